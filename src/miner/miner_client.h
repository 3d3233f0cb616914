/* The miner's side of links to nodes: logs in to the first of several nodes that gives work, makes
 * links again when they break, goes to the next node and comes back to a better one.  Used by
 * whoever wants jobs: the hasher (mine_service.h), and the node that serves the jobs of another
 * one (upstream.h).
 *
 *   login files --> connect --> link open --> Ready --> job ... solution --> JobResult [--> JobAck]
 *        ^                                                  |
 *        +----- pause, next node (failover.h) <-------------+  the link breaks
 *
 * The dialect of each node is that of its login: in quantus-miner/2 and quantus-miner there are no
 * acknowledgements, so what became of a result is presumed from the job that follows (see
 * pqi_miner_ack.presumed).
 *
 * What ends a node for good: a certificate that is not the one that was meant, a refused token, a
 * policy that cannot be met; and settings that never worked.  All else is tried again for ever; so
 * are an "auth timeout" and an empty close of an official node.  When no node is left, the client
 * ends, unless it is |patient|: then a node is tried again when its login files have changed.
 *
 * Threads: one worker for all links, one thread that connects and waits.  Functions may be called
 * from any other thread, and from callbacks where they say so.
 *
 * Bounds: PQI_FAILOVER_NODES_MAX nodes; two links, and such as are being closed; PQI_CLIENT_MAILBOX
 * solutions wait for the link, PQI_CLIENT_UNANSWERED of one job for the node's answer, and
 * PQI_CLIENT_RESULTS_PER_SEC are sent on average; what comes beyond is thrown away.  A node that
 * sends more than PQI_CLIENT_JOBS_PER_SEC jobs and cancels in one second is left, and tried again
 * later. */
#ifndef PQI_MINER_MINER_CLIENT_H
#define PQI_MINER_MINER_CLIENT_H

#include "miner/failover.h"
#include "miner/hasher.h"
#include "miner/login.h"
#include "miner/session_miner.h"
#include "observe/metrics.h"

#include <pqlink/link.h>

#define PQI_CLIENT_MAILBOX 8
#define PQI_CLIENT_UNANSWERED 4
/* Below what a node takes (PQI_NODE_RESULTS_PER_SEC). */
#define PQI_CLIENT_RESULTS_PER_SEC 24
#define PQI_CLIENT_RESULTS_BURST 48
/* Jobs and cancels in one second of CLOCK_MONOTONIC: far over what a chain brings. */
#define PQI_CLIENT_JOBS_PER_SEC 200

typedef struct pqi_miner_client pqi_miner_client;

/* A link whose jobs count from now on. */
typedef struct pqi_client_connected {
    unsigned node;    /* index in the list */
    const char *text; /* the node's URL */
    pqi_miner_dialect dialect;
    pql_posture posture;
    const char *address;         /* of the node, as text */
    pql_fingerprint certificate; /* that the node showed */
    uint64_t link_id;            /* pql_link_id */
    unsigned attempt;            /* 1 for the first link of the client */
} pqi_client_connected;

/* A node, and what happened to it. */
typedef struct pqi_client_trouble {
    unsigned node;
    const char *text; /* the node's URL */
    pql_status status;
    const char *sentence; /* never NULL or empty */
    const pql_close *why; /* of the link, or of the attempt */
    uint64_t delay_ns;    /* until the next attempt; 0 where there is none */
} pqi_client_trouble;

typedef struct pqi_client_pins {
    const char *text; /* the node's URL */
    const char *before, *after;
} pqi_client_pins;

/* What happens, one call at a time but on two threads; pointers are valid during the call.
 * Callbacks may call pqi_miner_client_submit and pqi_miner_client_finish and nothing else of the
 * client.  Members may be NULL. */
typedef struct pqi_client_events {
    void (*connected)(void *user, const pqi_client_connected *link);
    /* |serial| names the job in this client for ever; it replaces the one before. */
    void (*job)(void *user, const pqi_miner_job *job, uint64_t serial);
    void (*cancelled)(void *user, const char *reason); /* the node has no work for now */
    void (*sent)(void *user, const pqi_solution *solution);
    void (*answered)(void *user, const pqi_miner_ack *ack);
    /* The node's certificate is being replaced: what it says is a claim, to be asked about. */
    void (*rotation)(void *user, unsigned node, const pqi_miner_rotation *rotation);
    /* A link that was told of has ended.  |moved|: another has taken its place, whose `connected`
     * and `job` follow at once; what was searched may be searched until then. */
    void (*disconnected)(void *user, const pql_close *why, bool moved);
    void (*retrying)(void *user, const pqi_client_trouble *what);
    /* The node is not tried again. */
    void (*given_up)(void *user, const pqi_client_trouble *what);
    /* A pin file has other pins than before; they are used from now on. */
    void (*pins_changed)(void *user, const pqi_client_pins *pins);
    /* The last call.  PQL_OK: pqi_miner_client_finish was called.  Not called for a stop. */
    void (*ended)(void *user, pql_status status, const char *sentence);
    /* Hashes computed since the start, for the Stats of pqlink-miner/1; NULL: none are sent. */
    uint64_t (*hashes)(void *user);
} pqi_client_events;

typedef struct pqi_miner_client_opts {
    const pqi_login_opts *nodes;  /* the preferred one first; copied, texts are borrowed */
    unsigned node_count;          /* 1 to PQI_FAILOVER_NODES_MAX */
    const pql_identity *identity; /* shown to a node that asks; borrowed; NULL: none */
    pql_context_opts links;       /* policy, debugging, observer; workers is ignored */
    bool pq_authentication;       /* nodes prove their key with ML-DSA whatever the policy and the
                                     dialect; those of pqlink-miner/1 do, but under off, anyway */
    const char *name;             /* copied; NULL: the host's name; either is made fit */
    pqi_failover_timing timing;   /* members that are 0: 1 s, 30 s, 30 s, 5 s, 20 s */
    uint64_t presume_ns;  /* another job so soon after a result is taken for its effect, where
                             there are no answers; 0: 3 s */
    pqi_metrics *workers; /* gets the series of link/worker_metrics.h; must outlive the client;
                             NULL: nobody does */
    bool patient;         /* see above; files that are missing at the start are waited for */
    pqi_client_events events;
    void *user;
} pqi_miner_client_opts;

/* Starts the threads.  *out is to be freed by the caller.  PQL_E_USAGE for settings that cannot
 * work; the errors of pql_context_new and, unless patient, pqi_login_read; *out is then NULL.  A
 * node that cannot be reached is no error. */
pql_status pqi_miner_client_start(pqi_miner_client **out, const pqi_miner_client_opts *opts,
                                  pql_error *err);
/* Closes the links in order and waits for the threads; no event comes after it.  Not from
 * callbacks.  Idempotent. */
void pqi_miner_client_stop(pqi_miner_client *c);
/* Replaces the policy, as pql_context_set_policy, with the same errors: everything is then as it
 * was.  Links that it does not allow are closed, and made again if the node goes along; nodes that
 * were given up because of a policy are tried again.  The thread that starts and stops the client;
 * not after the stop. */
pql_status pqi_miner_client_set_policy(pqi_miner_client *c, pql_policy policy, pql_error *err);

/* Stops and frees.  NULL is a no-op. */
void pqi_miner_client_free(pqi_miner_client *c);

/* Sends a solution (copied) of the job solution->serial when its turn comes; returns at once.
 * PQL_E_STATE: the job is over.  PQL_E_LIMIT: the mailbox is full.  Whether it was sent says the
 * event. */
pql_status pqi_miner_client_submit(pqi_miner_client *c, const pqi_solution *solution);
/* Ends in order: closes the links, then `ended` with PQL_OK. */
void pqi_miner_client_finish(pqi_miner_client *c);

/* Makes a miner's name that every node takes out of any text: '-' for what is not allowed, cut,
 * "miner" when empty. */
void pqi_miner_name_clean(char out[PQI_MINER_NAME_MAX + 1], const char *text);

#endif
