/* The control socket of a node: what 'pqlink drill' asks for. */
#ifndef PQI_CMD_NODE_CONTROL_H
#define PQI_CMD_NODE_CONTROL_H

#include "admin/control.h"
#include "cmd/policy_override.h"
#include "cmd/runtime.h"

/* Zero before the opening; closed, it is zero again. */
typedef struct pqi_node_control {
    pqi_control *control; /* NULL: there is none */
    const pqi_runtime *rt;
    pqi_policy_override policy;
    /* All or nothing, as pql_context_set_policy. */
    pql_status (*set_policy)(void *service, pql_policy policy, pql_error *err);
    /* Members of every answer about what the node is; NULL: out of memory. */
    json_t *(*facts)(void *service);
    void *service;
} pqi_node_control;

typedef struct pqi_node_control_opts {
    const char *dir; /* NULL: no socket, because nothing may be written (--amnesia) */
    const pqi_runtime *rt;
    pql_policy policy; /* of the settings */
    pql_status (*set_policy)(void *service, pql_policy policy, pql_error *err);
    json_t *(*facts)(void *service);
    void *service;
} pqi_node_control_opts;

/* Opens DIR/control.  A directory whose path is too long for a socket has none: a warning in the
 * log says so.  Errors as pqi_control_open otherwise. */
pql_status pqi_node_control_open(pqi_node_control *c, const pqi_node_control_opts *opts,
                                 pql_error *err);
/* Ends an override without a change of the policy: the node is stopping. */
void pqi_node_control_close(pqi_node_control *c);

/* The policy that would hold if the settings said |policy|: that, or a stricter override. */
pql_policy pqi_node_control_would(const pqi_node_control *c, pql_policy policy);
/* The settings say |policy| now: the caller has made hold what pqi_node_control_would says, and the
 * end of an override will make |policy| hold. */
void pqi_node_control_settings(pqi_node_control *c, pql_policy policy);

/* Main thread: carries out what is asked for and ends what is over at |now| (monotonic ns).  When
 * it wants to be called again, beside a wake. */
uint64_t pqi_node_control_tick(pqi_node_control *c, uint64_t now);

#endif
