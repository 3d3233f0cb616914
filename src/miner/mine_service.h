/* The miner: links to nodes, of which one gives work (miner_client.h), and threads that hash for
 * it.
 *
 * No hash is computed without a live link that has a job.  What ends the service is what ends the
 * client: no node is left that could be mined for.
 *
 * Threads: those of the client and the hashing threads.  Functions may be called from any other
 * thread, unless they say otherwise.
 *
 * Bounds: those of the client.  What is found beyond them is thrown away, which happens at
 * difficulties so low that another is found at once. */
#ifndef PQI_MINER_MINE_SERVICE_H
#define PQI_MINER_MINE_SERVICE_H

#include "miner/hasher.h"
#include "miner/miner_client.h"
#include "net/url.h"
#include "observe/miner_metrics.h"

typedef struct pqi_mine_service pqi_mine_service;

/* What happens, one call at a time but on different threads; pointers are valid during the call.
 * A callback may call pqi_mine_service_status and nothing else of the service.  Members may be
 * NULL. */
typedef struct pqi_mine_events {
    void (*connected)(void *user, const pqi_client_connected *link);
    void (*job)(void *user, const pqi_miner_job *job);
    void (*cancelled)(void *user, const char *reason);       /* the node has no work for now */
    void (*found)(void *user, const pqi_solution *solution); /* and sent */
    void (*answered)(void *user, const pqi_miner_ack *ack);
    /* The node announces its next certificate; nothing is done about it here. */
    void (*rotation)(void *user, unsigned node, const pqi_miner_rotation *rotation);
    void (*disconnected)(void *user, const pql_close *why); /* a link that was open */
    void (*retrying)(void *user, const pqi_client_trouble *what);
    void (*given_up)(void *user, const pqi_client_trouble *what);
    void (*pins_changed)(void *user, const pqi_client_pins *pins);
    /* The last call.  PQL_OK: max_blocks was reached.  Not called for pqi_mine_service_stop. */
    void (*ended)(void *user, pql_status status, const char *sentence);
} pqi_mine_events;

typedef struct pqi_mine_service_opts {
    const pqi_login_opts *nodes; /* as pqi_miner_client_opts.nodes */
    unsigned node_count;
    const pql_identity *identity; /* shown to a node that asks; borrowed; NULL: none */
    pql_context_opts links;       /* policy, debugging, observer; workers is ignored */
    bool pq_authentication;       /* as pqi_miner_client_opts.pq_authentication */
    const char *name;             /* as pqi_miner_client_opts.name */
    unsigned threads;             /* as pqi_hasher_opts.threads */
    uint64_t max_blocks;          /* accepted, or presumed to be; 0: no end */
    pqi_failover_timing timing;   /* as pqi_miner_client_opts.timing */
    pqi_mine_metrics *metrics;    /* borrowed; NULL: none */
    pqi_metrics *workers;         /* as pqi_miner_client_opts.workers */
    pqi_mine_events events;
    void *user;
} pqi_mine_service_opts;

/* Now, and since the start. */
typedef struct pqi_mine_status {
    bool connected;
    bool working;                 /* there is a job, and it is searched */
    bool ended;                   /* nothing will happen any more */
    pql_posture posture;          /* of the live link, or of the last one */
    char address[64];             /* of the node; "" before the first link */
    char node[PQI_NODE_URL_SIZE]; /* its URL; "" before the first link */
    pqi_miner_job job;            /* the last one; id "" before the first */
    uint64_t height;              /* the last that an answer named, or PQI_MINER_NO_NUMBER */
    uint64_t links, jobs, found;
    uint64_t verdicts[PQI_VERDICT_COUNT]; /* answers of the node */
    uint64_t hashes;
    double hash_rate; /* hashes per second in the last 10 s or so */
    unsigned threads;
    const char *backend; /* static string */
    uint64_t started_ns; /* CLOCK_MONOTONIC */
} pqi_mine_status;

/* Starts everything.  *out is to be freed by the caller.  PQL_E_USAGE for settings that cannot
 * work, and the errors of pqi_miner_client_start and pqi_hasher_new; *out is then NULL.  A node
 * that cannot be reached is no error. */
pql_status pqi_mine_service_start(pqi_mine_service **out, const pqi_mine_service_opts *opts,
                                  pql_error *err);
/* Ends hashing and the link in order and waits for the threads; no event comes after it.  The
 * status can still be asked.  Idempotent. */
void pqi_mine_service_stop(pqi_mine_service *s);
/* As pqi_miner_client_set_policy. */
pql_status pqi_mine_service_set_policy(pqi_mine_service *s, pql_policy policy, pql_error *err);
/* Stops and frees.  NULL is a no-op. */
void pqi_mine_service_free(pqi_mine_service *s);

/* To be called once a second or so, from one thread: measures the hash rate and tells the metrics.
 * |now| is CLOCK_MONOTONIC. */
void pqi_mine_service_sample(pqi_mine_service *s, uint64_t now);
/* Any thread, callbacks included. */
void pqi_mine_service_status(pqi_mine_service *s, pqi_mine_status *out);

#endif
