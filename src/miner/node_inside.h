/* What the files of the node service share.  Nobody else includes this. */
#ifndef PQI_MINER_NODE_INSIDE_H
#define PQI_MINER_NODE_INSIDE_H

#include "miner/node_service.h"
#include "miner/session_node.h"
#include "miner/share_rate.h"

#include <pthread.h>
#include <stdatomic.h>

#define PQI_NODE_SERVICE "node" /* in log lines */
#define PQI_NODE_WORKERS_MAX 64
#define PQI_NODE_ADDRESS_SIZE 96

typedef struct pqi_node_link pqi_node_link;

/* What one worker has.  Lists are touched by the worker's thread only. */
typedef struct pqi_node_worker {
    pqi_node_service *service;
    pqi_node_link *first;          /* all links */
    pqi_node_link *oldest_waiting; /* those without a Ready, in the order in which they came */
    pqi_node_link *newest_waiting;
    size_t waiting;
    atomic_bool fan_out_queued; /* a call that sends the newest job is in the worker's queue */
    atomic_bool check_grants;   /* that call is to look for links that may not stay */
} pqi_node_worker;

struct pqi_node_service {
    pqi_node_service_opts opts;
    pql_context *ctx;
    pql_alpn_refusal refusals[PQI_MINER_DIALECTS]; /* that the listeners borrow */
    pqi_node_worker workers[PQI_NODE_WORKERS_MAX];
    unsigned worker_count;
    bool started;
    /* Under job_lock, the next seven: */
    bool has_job;
    bool draining;
    bool job_changed; /* not every worker was told of it */
    pqi_job job;
    uint64_t news;               /* grows with each change of job, has_job and draining */
    pqi_miner_rotation rotation; /* of our certificate */
    uint64_t rotation_news;      /* grows with each change of it */
    pthread_mutex_t source_lock; /* around every call of the source */
    pthread_mutex_t job_lock;
    pthread_mutex_t miners_lock; /* guards the list of all miners, for the status */
    pqi_node_link *all;
    uint64_t last_block_ms;  /* under source_lock */
    uint64_t tokens_look_at; /* when the file of tokens is looked at next; the tick's thread only */
    atomic_uint_fast64_t blocks, height;
    atomic_uint_fast64_t lines_second; /* the second in which |lines| were logged */
    atomic_uint lines, lines_left_out;
};

/* One link of a miner, or of somebody who has not said Ready yet. */
struct pqi_node_link {
    pqi_node_service *service;
    pql_link *link;
    pql_stream *stream; /* NULL before it was opened and after it was closed */
    pqi_node_worker *home;
    pqi_node_link *next, *prev;                 /* on its worker */
    pqi_node_link *waiting_next, *waiting_prev; /* on its worker, while it waits */
    pqi_node_link *all_next, *all_prev;         /* of the service, under miners_lock */
    pqi_session_node session;
    pqi_miner_dialect dialect;
    pqi_node_miner *metrics;
    /* Empty or zero before Ready, then unchanged; the posture is the link's own. */
    char name[PQI_TOKEN_MINER_SIZE];
    char agent[PQI_MINER_AGENT_MAX + 1];
    char address[PQI_NODE_ADDRESS_SIZE];
    pql_posture posture;
    bool granted;          /* a token let it in: */
    pqi_token_grant grant; /* of a capability: the tenant, and the kid as its token */
    bool by_capability;
    pqi_cap_grant capability;
    pqi_cap_reason capability_reason; /* why one was refused, or no longer is good */
    uint64_t connected_ms;
    bool waits;                /* it is on the list of those without a Ready */
    bool listed;               /* Ready came */
    pqi_u512 block_difficulty; /* of the job that it has; its shares may be easier */
    pqi_share_rate shares_rate;
    uint64_t rate_at; /* of the last Stats that was taken over */
    uint64_t told;    /* number of the news that it knows */
    uint64_t told_rotation;
    uint64_t leave_at; /* when its link ends in a drain */
    atomic_uint_fast64_t verdicts[PQI_VERDICT_COUNT];
    atomic_uint_fast64_t jobs_sent; /* those that were counted */
    atomic_uint_fast64_t shares, blocks;
    atomic_uint_fast64_t hash_rate, share_rate;
};

/* ---- node_door.c: who has not said Ready yet.  Beyond a bound the oldest goes, not the new one:
 * whoever does say Ready does so at once, so a crowd of silent strangers pushes out itself. ---- */
void pqi_node_wait_begin(pqi_node_link *miner);
/* Harmless for one that does not wait. */
void pqi_node_wait_end(pqi_node_link *miner);
/* Lets it in or not; its name is then the operator's where a token gave one. */
bool pqi_node_authorise(pqi_node_link *miner, const pqi_miner_hello *hello);
/* False when a token let it in that is there no more, or a capability that has ended. */
bool pqi_node_still_granted(pqi_node_link *miner);
/* Why pqi_node_authorise or pqi_node_still_granted said no, as a sentence's part for the log. */
#define PQI_NODE_REFUSAL_SIZE 96
void pqi_node_refusal(const pqi_node_link *miner, const pqi_miner_hello *hello,
                      char out[PQI_NODE_REFUSAL_SIZE]);

/* ---- node_protocols.c ---- */
/* Fills |alpn| with what is spoken, best first, and answers how many that are; |*uncertified| as in
 * pql_listen_opts.  Official programs have no post-quantum cryptography: they get the classical
 * leaf, which they have pinned, and a policy that asks for ML-KEM leaves them out. */
size_t pqi_node_protocols(const pqi_node_service_opts *opts, pql_alpn alpn[PQI_MINER_DIALECTS],
                          uint32_t *uncertified);
/* Fills the service's |refusals| for those that are not served; how many. */
size_t pqi_node_refusals(pqi_node_service *s);

/* ---- node_log.c: at most PQI_NODE_LINES_PER_SEC lines about single links a second, and each says
 * how many were left out before it.  A link on which no Ready came is worth a line for debugging
 * only. ---- */
#define PQI_NODE_LINES_PER_SEC 20
void pqi_node_log_open(const pqi_node_link *miner);
void pqi_node_log_closed(const pqi_node_link *miner, const pql_close *why);
void pqi_node_log_refused(pqi_node_service *s, const pql_link *link, const char *reason);
void pqi_node_log_block(const pqi_node_link *miner, const pqi_source_block *block);

#endif
