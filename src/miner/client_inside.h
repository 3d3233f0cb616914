/* What the two halves of the client share: miner_client.c is the thread that connects and waits,
 * client_link.c what happens on the worker of the links. */
#ifndef PQI_MINER_CLIENT_INSIDE_H
#define PQI_MINER_CLIENT_INSIDE_H

#include "miner/miner_client.h"

#include <pthread.h>

typedef struct pqi_client_link pqi_client_link;

/* One link, from pql_connect until the client's thread has dealt with its end. */
struct pqi_client_link {
    pqi_miner_client *client;
    unsigned node;
    pql_link *link; /* with a reference of ours; set before a handler can have the lock */

    /* The worker alone. */
    pqi_session_miner session;
    pql_stream *stream; /* NULL while there is none */
    uint64_t stats_at, stats_hashes;
    uint64_t result_credit, result_credit_at; /* in results * PQI_NS_PER_SEC */
    uint64_t jobs_second; /* of CLOCK_MONOTONIC, in which |jobs_in_second| counts */
    unsigned jobs_in_second;
    unsigned unanswered;
    uint64_t session_serial; /* the session's name for the newest job */
    bool result_waits;       /* for the job that tells what became of it */
    uint64_t result_at;
    char result_job[PQI_MINER_JOB_ID_MAX + 1];
    uint8_t result_hash[PQI_MINER_HASH_SIZE];
    const char *broken; /* why our session closed the link; NULL: it did not */

    /* With the client's lock. */
    pqi_client_link *next;
    bool open, leave, closing, over, brought_job;
    bool told;     /* `connected` was, and `disconnected` was not */
    bool reported; /* the failover knows already that it is gone */
    pql_close why;
};

struct pqi_miner_client {
    pqi_miner_client_opts opts;
    char name[PQI_MINER_NAME_MAX + 1];
    pqi_login_opts nodes[PQI_FAILOVER_NODES_MAX]; /* never changes after the start */
    pql_context *ctx;
    pthread_t thread;
    bool thread_runs; /* for the functions of the owner */

    pthread_mutex_t lock; /* for what follows; never held while an event is told */
    pthread_cond_t change;
    pqi_failover failover;
    pqi_login logins[PQI_FAILOVER_NODES_MAX]; /* written by the thread alone */
    pqi_client_link *links;
    pqi_client_link *giver; /* the link of the newest job; NULL: there is no job */
    uint64_t serial;        /* of the newest job */
    bool stopping, finishing, attend_posted;
    unsigned attempts; /* links that opened */
    bool ever_open[PQI_FAILOVER_NODES_MAX];
    bool out_by_policy[PQI_FAILOVER_NODES_MAX]; /* what gave the node up was a policy */
    pqi_solution mailbox[PQI_CLIENT_MAILBOX];
    unsigned mail_count;

    uint64_t files_at; /* the thread alone: when files of nodes that are out are looked at */
    pql_status last_status;
    char last_sentence[PQL_ERROR_MESSAGE_SIZE];

    pthread_mutex_t telling; /* one event at a time */
};

#define TELL(c, event, ...)                                                                        \
    do {                                                                                           \
        if ((c)->opts.events.event != NULL) {                                                      \
            pthread_mutex_lock(&(c)->telling);                                                     \
            (c)->opts.events.event((c)->opts.user, __VA_ARGS__);                                   \
            pthread_mutex_unlock(&(c)->telling);                                                   \
        }                                                                                          \
    } while (0)

/* With the lock held: the worker will send the mailbox, close what is to be left, and tell of a
 * link that became the main one.  When its queue is full, the next event tries again. */
void pqi_client_call_worker(pqi_miner_client *c);
/* With the lock held: the link of |node| that is not being left; NULL: none. */
pqi_client_link *pqi_client_link_of(const pqi_miner_client *c, int node);
/* With the lock held: no new work is taken. */
bool pqi_client_ending(const pqi_miner_client *c);

/* Handlers of every link; their user is a pqi_client_link. */
extern const pql_handlers pqi_client_handlers;

#endif
