/* The connection to a node as the miner sees it, in any of the three dialects.
 * docs/protocol-miner.md section 8; quantus.md sections 3, 4.2 and 11.
 *
 * Sans-I/O: the caller brings bytes of the one stream and solutions; the session answers through
 * the callbacks.  It has no deadlines: a node may be silent for hours, and the transport's
 * keep-alive finds out about a dead one.  It allocates nothing.  One thread at a time.
 *
 * Callbacks may call pqi_session_miner_solution, _stats and _close of the same session, not the
 * other functions, and must leave its memory alone.  After `close` was called no callback of the
 * session is called again.
 *
 * Bounds: one job is held, the newest; nothing is queued. */
#ifndef PQI_MINER_SESSION_MINER_H
#define PQI_MINER_SESSION_MINER_H

#include "miner/session.h"

/* Acknowledgement of one result.  Strings are valid during the callback only. */
typedef struct pqi_miner_ack {
    const char *job_id;
    const char *nonce; /* hex number as in pqi_miner_nonce_text; NULL when work was malformed */
    pqi_miner_verdict verdict;
    const char *reason;
    uint64_t height; /* of the block it made, or PQI_MINER_NO_NUMBER */
    bool presumed;   /* no word of the node, which has none for it: judged by what it did next */
} pqi_miner_ack;

typedef struct pqi_session_miner_events {
    /* Takes one whole frame, to be sent in one write and, if at all possible, one packet.  False:
     * there is no room; the frame is lost. */
    bool (*write)(void *user, const uint8_t *frame, size_t len);
    /* Ends the connection with an application error; |reason| is a static string.  Called at most
     * once, and not for an end that the node began. */
    void (*close)(void *user, uint64_t code, const char *reason);
    /* |job| (valid during the call only) replaces whatever was searched.  |serial| names it
     * within this session: job ids may repeat, serials do not. */
    void (*job)(void *user, const pqi_miner_job *job, uint64_t serial);
    /* Stop searching until the next job.  |reason| is valid during the call only. */
    void (*cancel)(void *user, const char *reason);
    /* Never more often than solutions were sent; what comes beyond is ignored. */
    void (*ack)(void *user, const pqi_miner_ack *ack);
    /* The node announces its next certificate, or that none comes any more: for people, who decide
     * what to pin.  Valid during the call only.  A node may call as often as it likes.
     * May be NULL. */
    void (*rotation)(void *user, const pqi_miner_rotation *rotation);
} pqi_session_miner_events;

typedef enum pqi_miner_state {
    PQI_MINER_IDLE,     /* before pqi_session_miner_open */
    PQI_MINER_WAIT_JOB, /* Ready was sent */
    PQI_MINER_WORKING,
    PQI_MINER_CLOSED
} pqi_miner_state;

/* Members are for session_miner.c alone; use the functions. */
typedef struct pqi_session_miner {
    pqi_miner_dialect dialect;
    pqi_miner_state state;
    const pqi_session_miner_events *events; /* borrowed */
    void *user;                             /* borrowed */
    pqi_frame_reader frames;
    uint64_t serial;     /* of the newest job; 0 before the first */
    uint64_t unanswered; /* solutions sent, of any job, less the acknowledgements that came */
    bool had_job;
    pqi_miner_close closed_for; /* meant in PQI_MINER_CLOSED */
    pqi_miner_job job;          /* meant in PQI_MINER_WORKING */
} pqi_session_miner;

/* |events| and |user| are borrowed and must outlive the session.  Nothing to free. */
void pqi_session_miner_init(pqi_session_miner *s, pqi_miner_dialect dialect,
                            const pqi_session_miner_events *events, void *user);

/* Sends Ready; call once, when the stream is open.  |token| (V2: required; at most
 * PQI_MINER_TOKEN_MAX bytes), |name| (pqi_miner_name_ok) and |agent| (pqi_miner_agent_ok) may be
 * NULL; dialects that have no place for them leave them out.  The frame is wiped afterwards.
 * PQL_E_USAGE: one of them is not as it must be.  PQL_E_LIMIT: the frame is over 1024 bytes (quotes
 * and backslashes in a token count double), or `write` had no room.  PQL_E_STATE: called before. */
pql_status pqi_session_miner_open(pqi_session_miner *s, const char *token, const char *name,
                                  const char *agent, pql_error *err);

/* Bytes of the stream, in order and in any pieces.  A job that cannot be used is answered with a
 * "failed" JobResult, and the one before goes on; what is no message of the dialect closes. */
void pqi_session_miner_bytes(pqi_session_miner *s, const void *data, size_t len);
/* The node ended its stream: closes with PQI_CLOSE_DONE. */
void pqi_session_miner_fin(pqi_session_miner *s);

/* Sends a solution of the job |serial|: |work| is the nonce as a big-endian number, |hashes| and
 * |elapsed_ns| what it took since the job came.
 * PQL_E_STATE: the job was replaced or cancelled, or the session is not open; throw the solution
 * away.  PQL_E_USAGE: |work| is zero, which no chain accepts.  PQL_E_LIMIT: `write` had no room. */
pql_status pqi_session_miner_solution(pqi_session_miner *s, uint64_t serial,
                                      const uint8_t work[PQI_MINER_WORK_SIZE], uint64_t hashes,
                                      uint64_t elapsed_ns, pql_error *err);

/* Tells the node how many hashes were done in the last |elapsed_ns|: to be called every 10 s or
 * so.  Does nothing in V1 and V2.  Errors as pqi_session_miner_solution. */
pql_status pqi_session_miner_stats(pqi_session_miner *s, uint64_t hashes, uint64_t elapsed_ns,
                                   pql_error *err);

/* Ends the session; calls `close` unless it is closed already. */
void pqi_session_miner_close(pqi_session_miner *s, pqi_miner_close why);

/* Why the session closed itself; PQI_CLOSE_DONE before. */
pqi_miner_close pqi_session_miner_closed_for(const pqi_session_miner *s);

/* True once a job came: a node that let us in.  After it, no close is about our token. */
bool pqi_session_miner_had_job(const pqi_session_miner *s);

#endif
