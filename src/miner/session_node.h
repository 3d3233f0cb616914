/* One miner's connection as the node sees it, in any of the three dialects.
 * docs/protocol-miner.md section 7; quantus.md sections 2.7, 4.1 and 11.
 *
 * Sans-I/O: the caller brings bytes of the one stream, time (monotonic nanoseconds) and verdicts;
 * the session answers through the callbacks.  It allocates nothing and owns nothing outside of
 * itself.  One thread at a time.
 *
 * Callbacks may call pqi_session_node_job, _cancel, _rotation, _verdict and _close of the same
 * session, not the other functions, and must leave its memory alone.  After `close` was called no
 * callback of the session is called again.
 *
 * What a miner can make the node do is bounded here:
 *   before Ready was authorised: parse one frame, within PQI_NODE_HELLO_NS;
 *   verify results: PQI_NODE_RESULT_BURST at once, then PQI_NODE_RESULTS_PER_SEC; over that,
 * results are acknowledged as "flood" unseen; wait for verdicts: PQI_NODE_PENDING_MAX at once; over
 * that, results are "unavailable"; other messages: PQI_NODE_OTHER_BURST at once, then one a second;
 * over that, they are ignored; go over these rates: PQI_NODE_EXCESS_BURST times at once, then
 * PQI_NODE_EXCESS_PER_SEC; over that, the connection is closed; not read what it is sent:
 * PQI_NODE_STALL_NS, in which only the newest job is kept for it and acknowledgements are dropped.
 */
#ifndef PQI_MINER_SESSION_NODE_H
#define PQI_MINER_SESSION_NODE_H

#include "base/clock.h"
#include "miner/session.h"

#define PQI_NODE_HELLO_NS (10 * PQI_NS_PER_SEC)
#define PQI_NODE_STALL_NS (30 * PQI_NS_PER_SEC)
#define PQI_NODE_RESULT_BURST 64
#define PQI_NODE_RESULTS_PER_SEC 32
#define PQI_NODE_OTHER_BURST 16
#define PQI_NODE_OTHERS_PER_SEC 1
#define PQI_NODE_EXCESS_BURST 256
#define PQI_NODE_EXCESS_PER_SEC 8
/* When an official miner that was over its rate, and idles now, gets its job again. */
#define PQI_NODE_FLOOD_PAUSE_NS PQI_NS_PER_SEC
#define PQI_NODE_PENDING_MAX 8
/* Results of the current job that are remembered for finding duplicates; the oldest goes first. */
#define PQI_NODE_SEEN_MAX 64
/* A Stats over less time is ignored: its rate would mean nothing. */
#define PQI_NODE_STATS_MIN_NS PQI_NS_PER_MS

/* What a miner said of itself.  Strings are valid during the callback only. */
typedef struct pqi_miner_hello {
    pqi_miner_dialect dialect;
    const char *token; /* secret; NULL when it sent none (always in V1), at most
                          PQI_MINER_TOKEN_MAX bytes, without white space at both ends */
    const char *name;  /* NULL or pqi_miner_name_ok */
    const char *agent; /* NULL or pqi_miner_agent_ok */
} pqi_miner_hello;

/* A result that is worth verifying: for the current job, well-formed, not seen before. */
typedef struct pqi_miner_result {
    uint64_t ticket; /* give it back with the verdict */
    pqi_miner_job job;
    uint8_t work[PQI_MINER_WORK_SIZE]; /* the nonce, big-endian; not zero */
    uint64_t hashes;                   /* as claimed by the miner */
    uint64_t elapsed_ns;               /* as claimed by the miner */
} pqi_miner_result;

typedef struct pqi_session_node_events {
    /* Takes one whole frame, to be sent in one write.  False: there is no room; the session then
     * waits for pqi_session_node_writable. */
    bool (*write)(void *user, const uint8_t *frame, size_t len);
    /* Ends the connection with an application error; |reason| is a static string.  Called at most
     * once. */
    void (*close)(void *user, uint64_t code, const char *reason);
    /* True lets the miner in. */
    bool (*hello)(void *user, const pqi_miner_hello *hello);
    /* Verify |result| (valid during the call only), and then, from inside or later, call
     * pqi_session_node_verdict with its ticket. */
    void (*result)(void *user, const pqi_miner_result *result);
} pqi_session_node_events;

/* What the miner has done so far. */
typedef struct pqi_session_node_counters {
    uint64_t verdicts[PQI_VERDICT_COUNT]; /* by pqi_miner_verdict */
    uint64_t failed;                      /* JobResult with another status than "completed" */
    uint64_t ignored;                     /* messages of a later version, or out of place */
    uint64_t acks_dropped;                /* the miner did not read */
    uint64_t jobs_sent;
    uint64_t hashes;  /* sum of all Stats; stays at UINT64_MAX */
    double hash_rate; /* hashes per second of the last Stats, 0 before the first (always in V1 and
                         V2) */
    uint64_t hash_rate_at; /* when that Stats came */
} pqi_session_node_counters;

/* A result that waits for its verdict. */
typedef struct pqi_node_claim {
    uint64_t ticket; /* 0: free */
    char job_id[PQI_MINER_JOB_ID_MAX + 1];
    bool has_work;
    uint8_t work[PQI_MINER_WORK_SIZE];
} pqi_node_claim;

typedef enum pqi_node_state {
    PQI_NODE_WAIT_READY,
    PQI_NODE_ACTIVE,
    PQI_NODE_CLOSED
} pqi_node_state;

/* Members are for session_node.c alone; use the functions. */
typedef struct pqi_session_node {
    pqi_miner_dialect dialect;
    pqi_node_state state;
    const pqi_session_node_events *events; /* borrowed */
    void *user;                            /* borrowed */
    uint64_t hello_deadline;
    pqi_frame_reader frames;
    bool has_job;
    pqi_miner_job job;
    const char *idle_reason; /* static string; meant while has_job is false */
    bool blocked;            /* the last write found no room */
    bool unsent;             /* the newest job or cancel is still to be written */
    pqi_miner_rotation rotation;
    bool rotation_unsent; /* it is still to be written */
    uint64_t stall_deadline;
    uint64_t again_at;    /* when the job is sent again; PQI_TIME_NEVER: not by time */
    pqi_miner_close why;  /* once the state is closed */
    uint64_t result_rate; /* the three rates: see rate_take */
    uint64_t other_rate;
    uint64_t excess_rate;
    uint64_t last_ticket;
    pqi_node_claim pending[PQI_NODE_PENDING_MAX];
    uint64_t seen[PQI_NODE_SEEN_MAX]; /* digests of work; 0: free */
    size_t seen_next;
    pqi_session_node_counters counters;
} pqi_session_node;

/* Begins at |now|, when the handshake is done.  |events| and |user| are borrowed and must outlive
 * the session.  Nothing to free; the session has no job yet ("idle"). */
void pqi_session_node_init(pqi_session_node *s, pqi_miner_dialect dialect,
                           const pqi_session_node_events *events, void *user, uint64_t now);

/* Bytes of the stream, in order and in any pieces. */
void pqi_session_node_bytes(pqi_session_node *s, const void *data, size_t len, uint64_t now);
/* The miner ended its stream: closes with PQI_CLOSE_DONE. */
void pqi_session_node_fin(pqi_session_node *s);
/* There is room again after `write` returned false. */
void pqi_session_node_writable(pqi_session_node *s, uint64_t now);

/* When pqi_session_node_expire must be called at the latest; PQI_TIME_NEVER for not at all. */
uint64_t pqi_session_node_deadline(const pqi_session_node *s);
/* Acts on deadlines that are over; harmless when none is. */
void pqi_session_node_expire(pqi_session_node *s, uint64_t now);

/* |job| (copied) is the current one from now on: sent at once to an active miner, right after Ready
 * to another.  The same job again is sent again, and what was seen of it stays seen. */
void pqi_session_node_job(pqi_session_node *s, const pqi_miner_job *job, uint64_t now);
/* There is no current job; |reason| is a static string such as "syncing".  PQ1 miners are told to
 * stop, the others cannot be.  Results are stale until the next job. */
void pqi_session_node_cancel(pqi_session_node *s, const char *reason, uint64_t now);

/* Tells the miner of the node's next certificate, or that there is none any more: at once when it
 * is active, after Ready and the job otherwise.  |rotation| is copied.  Nothing is sent in V1 and
 * V2, which have no word for it, and nothing while there was never one. */
void pqi_session_node_rotation(pqi_session_node *s, const pqi_miner_rotation *rotation,
                               uint64_t now);

/* The verdict on the result with |ticket|.  |reason|: a sentence for the miner's user, UTF-8 of at
 * most PQI_MINER_REASON_MAX bytes; NULL, or a text that does not fit, becomes the verdict's word.
 * |height|: of the block it made, or PQI_MINER_NO_NUMBER.  V1 and V2 miners idle after a result:
 * unless it was accepted they get the job again, if it is still the current one. False when no
 * result waits under |ticket|. */
bool pqi_session_node_verdict(pqi_session_node *s, uint64_t ticket, pqi_miner_verdict verdict,
                              const char *reason, uint64_t height, uint64_t now);

/* Ends the session; calls `close` unless it is closed already. */
void pqi_session_node_close(pqi_session_node *s, pqi_miner_close why);

/* Why it was closed, also where the code on the wire does not say it; from `close` on. */
pqi_miner_close pqi_session_node_why(const pqi_session_node *s);

/* True from an authorised Ready until the close. */
bool pqi_session_node_active(const pqi_session_node *s);
/* Borrowed; valid as long as the session. */
const pqi_session_node_counters *pqi_session_node_counters_get(const pqi_session_node *s);

#endif
