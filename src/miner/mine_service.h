/* The miner: a link to a node that is made again whenever it breaks, and threads that hash for the
 * job that came over it.
 *
 *   connect --> link open --> Ready --> job --> hash ... solution --> JobResult --> JobAck
 *      ^                                                                  |
 *      +------------- wait: 1 s, doubling to 30 s, 25 % jitter <----------+  the link breaks
 *
 * No hash is computed without a live link.  The pauses begin anew after a link that brought a job.
 * A peer that is not the one that was meant, a policy that cannot be met, a refused token and
 * settings that cannot work end the service; everything else is tried again for ever.
 *
 * Threads: one worker for the link, one that connects and waits, and the hashing threads.
 * Functions may be called from any thread but those three, unless they say otherwise.
 *
 * Bounds: PQI_MINE_MAILBOX solutions wait for the link, PQI_MINE_UNANSWERED of one job for the
 * node's answer, and PQI_MINE_RESULTS_PER_SEC are sent on average; what is found beyond is thrown
 * away, which happens at difficulties so low that another is found at once.  A node that sends more
 * than PQI_MINE_JOBS_PER_SEC jobs and cancels in one second is left, and tried again later. */
#ifndef PQI_MINER_MINE_SERVICE_H
#define PQI_MINER_MINE_SERVICE_H

#include "miner/hasher.h"
#include "miner/session_miner.h"
#include "observe/miner_metrics.h"

#include <pqlink/link.h>

#define PQI_MINE_MAILBOX 8
#define PQI_MINE_UNANSWERED 4
/* Below what a node takes (PQI_NODE_RESULTS_PER_SEC). */
#define PQI_MINE_RESULTS_PER_SEC 24
#define PQI_MINE_RESULTS_BURST 48
/* Jobs and cancels in one second of CLOCK_MONOTONIC: far over what a chain brings. */
#define PQI_MINE_JOBS_PER_SEC 200

typedef struct pqi_mine_service pqi_mine_service;

/* A link that has just opened. */
typedef struct pqi_mine_connected {
    pql_posture posture;
    const char *address;         /* of the node, as text */
    pql_fingerprint certificate; /* that the node showed */
    unsigned attempt;            /* 1 for the first link of the service */
} pqi_mine_connected;

/* What happens, one call at a time but on different threads; pointers are valid during the call.
 * A callback may call pqi_mine_service_status and nothing else of the service.  Members may be
 * NULL. */
typedef struct pqi_mine_events {
    void (*connected)(void *user, const pqi_mine_connected *link);
    void (*job)(void *user, const pqi_miner_job *job);
    void (*cancelled)(void *user, const char *reason);       /* the node has no work for now */
    void (*found)(void *user, const pqi_solution *solution); /* and sent */
    void (*answered)(void *user, const pqi_miner_ack *ack);
    /* The node announces its next certificate; nothing is done about it here. */
    void (*rotation)(void *user, const pqi_miner_rotation *rotation);
    void (*disconnected)(void *user, const pql_close *why); /* a link that was open */
    /* The next attempt comes after |delay_ns|; |why| is what ended the last one. */
    void (*retrying)(void *user, uint64_t delay_ns, const pql_close *why);
    /* The last call.  PQL_OK: max_blocks was reached.  Not called for pqi_mine_service_stop. */
    void (*ended)(void *user, pql_status status, const char *sentence);
} pqi_mine_events;

typedef struct pqi_mine_service_opts {
    const char *url;                        /* copied */
    pql_peer peer;                          /* what it points to is borrowed */
    pql_context_opts links;                 /* policy, debugging, observer; workers is ignored */
    const char *name;                       /* copied; NULL: the host's name, made fit */
    unsigned threads;                       /* as pqi_hasher_opts.threads */
    uint64_t max_blocks;                    /* 0: no end */
    uint64_t retry_first_ns, retry_most_ns; /* 0: one second, 30 seconds */
    pqi_mine_metrics *metrics;              /* borrowed; NULL: none */
    pqi_mine_events events;
    void *user;
} pqi_mine_service_opts;

/* Now, and since the start. */
typedef struct pqi_mine_status {
    bool connected;
    bool working;        /* there is a job, and it is searched */
    bool ended;          /* nothing will happen any more */
    pql_posture posture; /* of the live link, or of the last one */
    char address[64];    /* of the node; "" before the first link */
    pqi_miner_job job;   /* the last one; id "" before the first */
    uint64_t height;     /* the last that an answer named, or PQI_MINER_NO_NUMBER */
    uint64_t links, jobs, found;
    uint64_t verdicts[PQI_VERDICT_COUNT]; /* answers of the node */
    uint64_t hashes;
    double hash_rate; /* hashes per second in the last 10 s or so */
    unsigned threads;
    const char *backend; /* static string */
    uint64_t started_ns; /* CLOCK_MONOTONIC */
} pqi_mine_status;

/* Starts everything.  *out is to be freed by the caller.  PQL_E_USAGE for settings that cannot
 * work, and the errors of pql_context_new and pqi_hasher_new; *out is then NULL.  A node that
 * cannot be reached is no error. */
pql_status pqi_mine_service_start(pqi_mine_service **out, const pqi_mine_service_opts *opts,
                                  pql_error *err);
/* Ends hashing and the link in order and waits for the threads; no event comes after it.  The
 * status can still be asked.  Idempotent. */
void pqi_mine_service_stop(pqi_mine_service *s);
/* Stops and frees.  NULL is a no-op. */
void pqi_mine_service_free(pqi_mine_service *s);

/* To be called once a second or so, from one thread: measures the hash rate and tells the metrics.
 * |now| is CLOCK_MONOTONIC. */
void pqi_mine_service_sample(pqi_mine_service *s, uint64_t now);
/* Any thread, callbacks included. */
void pqi_mine_service_status(pqi_mine_service *s, pqi_mine_status *out);

/* Makes a miner's name that every node takes out of any text: '-' for what is not allowed, cut,
 * "miner" when empty. */
void pqi_mine_name_clean(char out[PQI_MINER_NAME_MAX + 1], const char *text);

#endif
