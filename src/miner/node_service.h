/* The node's side of the miner job: jobs of a source go to every miner, results come back.
 *
 * Each link and its session live on the link's worker; the source is called by one thread at a
 * time, under the service's mutex.  A result's proof is verified on its own worker before the
 * source sees it, so a miner that sends rubbish costs others nothing.
 *
 * A new job reaches every worker by one call in its queue, however many miners it has; calls that
 * are still waiting are not doubled, so the queue cannot fill up with jobs.  When others filled it,
 * the next tick offers the job again.
 *
 * Locks: a thread that holds the source's may take the job's; no other two are held at once, and
 * none while a link or a worker is called.
 *
 * What a stranger can make the node log is bounded: a line when it is let in, one when it goes, and
 * a few of those a second only, with a count of what was left out. */
#ifndef PQI_MINER_NODE_SERVICE_H
#define PQI_MINER_NODE_SERVICE_H

#include "base/buf.h"
#include "caps/keyring.h"
#include "miner/session.h"
#include "miner/source.h"
#include "miner/tokens.h"
#include "observe/cap_metrics.h"
#include "observe/miner_metrics.h"
#include "observe/pq_metrics.h"

#include <pqlink/link.h>

typedef struct pqi_node_service pqi_node_service;

typedef struct pqi_node_service_opts {
    pqi_source *source;        /* borrowed; not started yet */
    pqi_node_metrics *metrics; /* borrowed; NULL: none */
    pqi_pq_metrics *links;     /* borrowed; NULL: none */
    pql_policy policy; /* of the start: what is spoken and what is refused with which sentence stays
                          so; links follow that of the context */
    bool pq_authentication; /* |clients| prove their key with ML-DSA, and official miners, which can
                               prove none, are not served */
    /* Who may mine, by a token of the list or by a capability.  Both NULL: quantus-miner/2, which
     * has to authenticate, is not served. */
    pqi_tokens *tokens;                  /* borrowed */
    pqi_cap_keyring *capabilities;       /* borrowed */
    pqi_cap_metrics *capability_metrics; /* borrowed; NULL: none */
    bool token_required;       /* of pqlink-miner/1 too; else its tokens are not looked at */
    bool allow_v1;             /* serve quantus-miner, which cannot authenticate */
    pqi_u512 share_difficulty; /* miners get this one where it is below the block's; 0: never */
    unsigned max_waiting;      /* 0: PQI_NODE_WAITING_MAX */
    unsigned max_links_per_address; /* as in pql_listen_opts */
    /* Of pqlink-miner/1, as in pql_listen_opts; read by pqi_node_service_listen.  Not NULL:
     * official miners, which have no certificate, are served only when |token_required|. */
    const pql_peer *clients;
} pqi_node_service_opts;

/* Links per worker that have not said Ready; one more, and the oldest of them is closed
 * (PQI_CLOSE_CROWDED).  As many as half-open handshakes: a crowd that comes back after a restart
 * fits in, and each costs some 40 kB for 10 s at most. */
#define PQI_NODE_WAITING_MAX 1024

/* Makes the service.  The caller frees it after the context that it listens on. */
pql_status pqi_node_service_new(pqi_node_service **out, const pqi_node_service_opts *opts,
                                pql_error *err);
void pqi_node_service_free(pqi_node_service *service);

/* True when a node with |opts| speaks |dialect|: pqlink-miner/1 always, quantus-miner/2 with
 * tokens, quantus-miner on request; the last two never under the policy pq-only, because official
 * programs have no ML-KEM, and never with pq_authentication. */
bool pqi_node_serves(const pqi_node_service_opts *opts, pqi_miner_dialect dialect);

/* Listens on |url|; the first call starts the source before.  Call it for each address, from one
 * thread. */
pql_status pqi_node_service_listen(pqi_node_service *service, pql_context *ctx, const char *url,
                                   pql_listener **out, pql_error *err);

/* Does what is due, and answers when it wants to be called again (monotonic ns; PQI_TIME_NEVER for
 * not at all).  One thread. */
uint64_t pqi_node_service_tick(pqi_node_service *service);

/* Tokens, capability keys or the policy of the context are others now: links that they do not let
 * in any more are closed with the next tick; among them those of pqlink-miner/1 without ML-KEM,
 * which that protocol promises wherever the policy wants it.  The tick does the same by itself when
 * the file of tokens has changed or a capability has ended.  The tick's thread. */
void pqi_node_service_check_grants(pqi_node_service *service);

/* Tells every miner, also those that come from now on, of the node's next certificate, or that
 * there is none any more (pqi_session_node_rotation).  |rotation| is copied.  Any thread but a
 * worker. */
void pqi_node_service_rotation(pqi_node_service *service, const pqi_miner_rotation *rotation);

/* Tells every miner that the node goes away (Cancel, then close code 6), also those that come from
 * now on.  Does not wait for the links to end: pql_context_drain does.  Blocks while the queue of a
 * worker is full.  Any thread but a worker. */
void pqi_node_service_drain(pqi_node_service *service);

/* Blocks that were accepted since the start. */
uint64_t pqi_node_service_blocks(pqi_node_service *service);

/* Appends the JSON of /status: the chain's head, the job, every miner with its counters.  Any
 * thread. */
pql_status pqi_node_service_status(void *service, pqi_buf *out, pql_error *err);

/* The same with PQI_NODE_OVERVIEW_MINERS miners at most, the newest: what may be sent once a
 * second.  All of them are in miner_count and hash_rate. */
#define PQI_NODE_OVERVIEW_MINERS 100
pql_status pqi_node_service_overview(pqi_node_service *service, pqi_buf *out, pql_error *err);

#endif
