/* What a running context shows and asks for, changed in two steps: all that can fail comes first
 * and has no effect, so that it can be one part of a change that is all or nothing elsewhere too.
 * pql_context_set_identity, pql_context_set_policy and pql_listener_set_clients are the parts of
 * it. */
#ifndef PQI_LINK_CHANGE_H
#define PQI_LINK_CHANGE_H

#include <pqlink/link.h>

typedef struct pqi_context_change {
    pql_identity *current;    /* as in pql_context_set_identity; NULL: both identities stay */
    pql_identity *other;      /* with |current| only */
    const pql_peer *clients;  /* of every listener (pql_listener_set_clients); NULL: they stay */
    const pql_policy *policy; /* as in pql_context_set_policy; NULL: it stays */
} pqi_context_change;

/* Gets everything ready, judged together: an identity may need the policy that comes with it.
 * Errors: those of the three functions.  After PQL_OK the context is locked against any other
 * change until this thread calls pqi_context_publish or pqi_context_discard, one of which it must.
 */
pql_status pqi_context_prepare(pql_context *ctx, const pqi_context_change *change, pql_error *err);

/* |change|, which was prepared, holds when this returns, and live links that a new policy does not
 * allow are closed.  Never fails.  Waits for every worker when the policy is another one. */
void pqi_context_publish(pql_context *ctx, const pqi_context_change *change);

/* Gives up what was prepared: nothing has changed. */
void pqi_context_discard(pql_context *ctx);

#endif
