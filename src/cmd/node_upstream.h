/* pqlink node with --source URL: from the options to a source of jobs. */
#ifndef PQI_CMD_NODE_UPSTREAM_H
#define PQI_CMD_NODE_UPSTREAM_H

#include "base/buf.h"
#include "cmd/node.h"
#include "cmd/runtime.h"
#include "miner/upstream.h"
#include "store/hybrid_marks.h"

/* What the source needs beside itself.  Zero before the opening. */
typedef struct pqi_node_upstream {
    pqi_source *source; /* NULL: jobs come from elsewhere */
    pqi_source_metrics *metrics;
    pql_hybrid_memory memory; /* of pinned nodes */
    pqi_login_opts nodes[PQI_FAILOVER_NODES_MAX];
} pqi_node_upstream;

/* Registers metrics and the readiness condition "source" in |rt| and makes the source, which
 * borrows |options|, |hybrid| and |rt|.  Errors: PQL_E_NOMEM, PQL_E_LIMIT.  pqi_node_upstream_close
 * undoes it, also after a failure. */
pql_status pqi_node_upstream_open(pqi_node_upstream *u, const pqi_node_options *options,
                                  pqi_hybrid_marks *hybrid, pqi_runtime *rt, pql_error *err);
/* As pqi_upstream_failure; PQL_OK without a source. */
pql_status pqi_node_upstream_failure(const pqi_node_upstream *u, pql_error *err);
/* As pqi_upstream_set_policy; PQL_OK without a source. */
pql_status pqi_node_upstream_set_policy(const pqi_node_upstream *u, pql_policy policy,
                                        pql_error *err);
/* Adds the member "source" to the JSON of /status that |out| ends with: what gives the jobs.  Any
 * thread.  Errors: PQL_E_NOMEM. */
pql_status pqi_node_upstream_status(const pqi_node_upstream *u, pqi_buf *out, pql_error *err);
void pqi_node_upstream_close(pqi_node_upstream *u);

#endif
