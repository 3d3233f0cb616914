/* A job source that logs in to other nodes as one miner and hands their jobs to all of ours: an
 * unmodified official node (quantus-miner/2), or another node of ours (pqlink-miner/1).  Several
 * nodes in order, with failover and failback: miner_client.h.  What is done with jobs and results:
 * relay.h.
 *
 * It logs what happens to the links as service "source", tells the metrics, and keeps one readiness
 * condition: there is a link, and it gave a job that still holds.
 *
 * Threads: as source.h; the client has a worker and a thread of its own, which start with
 * pqi_source_start and end with pqi_source_destroy. */
#ifndef PQI_MINER_UPSTREAM_H
#define PQI_MINER_UPSTREAM_H

#include "miner/miner_client.h"
#include "miner/source.h"
#include "observe/health.h"
#include "observe/source_metrics.h"

typedef struct pqi_upstream_opts {
    const pqi_login_opts *nodes; /* as pqi_miner_client_opts.nodes; borrowed until the start */
    unsigned node_count;
    pql_context_opts links;         /* policy, memory, debugging, observer; the rest is ignored */
    bool pq_authentication;         /* as pqi_miner_client_opts.pq_authentication */
    const char *name;               /* as pqi_miner_client_opts.name; borrowed */
    pqi_failover_timing timing;     /* as pqi_miner_client_opts.timing */
    uint64_t grace_ns, patience_ns; /* as pqi_relay_opts */
    pqi_source_metrics *metrics;    /* borrowed; NULL: none */
    pqi_health *health;             /* borrowed; NULL: none */
    unsigned condition;             /* of |health| */
    /* As pqi_relay_opts.wake. */
    void (*wake)(void *user);
    void *user;
} pqi_upstream_opts;

/* Lines a second for what a node can cause as often as it likes: cancels, rotations, and what
 * became of results; each says how many were left out before it. */
#define PQI_UPSTREAM_LINES_PER_SEC 20

/* Makes the source; nothing is connected before pqi_source_start.  PQL_E_NOMEM; *out is then NULL.
 * The caller frees it with pqi_source_destroy. */
pql_status pqi_upstream_new(pqi_source **out, const pqi_upstream_opts *opts, pql_error *err);

/* PQL_OK while there is a node that is worth trying; else why the last one is not, with a sentence.
 * The service is woken when that changes.  Never the case when a node's login comes from files:
 * these may change.  Any thread. */
pql_status pqi_upstream_failure(pqi_source *source, pql_error *err);

/* As pqi_miner_client_set_policy.  After pqi_source_start, from the same thread. */
pql_status pqi_upstream_set_policy(pqi_source *source, pql_policy policy, pql_error *err);

/* The URL of the node at the other end of the link, borrowed from opts.nodes; NULL: there is no
 * link.  Any thread. */
const char *pqi_upstream_node(pqi_source *source);

#endif
