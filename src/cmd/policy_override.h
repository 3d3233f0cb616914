/* A policy for a time: what the settings say, what an override says, and which of them holds: an
 * override makes the policy stricter, never weaker.  Pure: the time is an argument.  The thread
 * that changes policies. */
#ifndef PQI_CMD_POLICY_OVERRIDE_H
#define PQI_CMD_POLICY_OVERRIDE_H

#include "policy/table.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct pqi_policy_override {
    pql_policy settings; /* what the settings say */
    bool on;
    pql_policy policy; /* while |on| */
    uint64_t until;    /* monotonic ns; while |on| */
} pqi_policy_override;

/* By kind: one policy is as strict as another of its kind, of whatever year. */
static inline bool pqi_policy_is_weaker(pql_policy policy, pql_policy than)
{
    return pqi_policy_row_of(policy)->kind < pqi_policy_row_of(than)->kind;
}

/* Settings that were made stricter meanwhile hold at once. */
static inline pql_policy pqi_policy_in_force(const pqi_policy_override *o)
{
    return o->on && !pqi_policy_is_weaker(o->policy, o->settings) ? o->policy : o->settings;
}

/* True when the time of an override is over. */
static inline bool pqi_policy_override_over(const pqi_policy_override *o, uint64_t now)
{
    return o->on && now >= o->until;
}

#endif
