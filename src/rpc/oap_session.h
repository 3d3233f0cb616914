/* One OAP/1 conversation on an ordered stream: HELLO first, then requests, answers and events, each
 * exchange known by its correlation id.  docs/protocol-oap.md section 3.
 *
 * Sans I/O: bytes come in, events and bytes go out; no clock, no socket.  One thread at a time.
 *
 * What a peer can make us hold: one frame of at most |frame_max| bytes, of which only what has come
 * is allocated, and PQI_OAP_INFLIGHT_MAX exchanges of a few bytes. */
#ifndef PQI_RPC_OAP_SESSION_H
#define PQI_RPC_OAP_SESSION_H

#include "rpc/oap.h"
#include "rpc/oap_hello.h"

typedef struct pqi_oap_session pqi_oap_session;

/* What is asked of a peer, and said to it. */
typedef struct pqi_oap_rules {
    bool server;                /* the side that answers HELLO */
    const char *agent;          /* our "ua"; NULL: none; borrowed until the call returns */
    pqi_oap_posture negotiated; /* of the link: our claim, and what the peer's is compared with */
    bool require_claim;         /* a peer without a claim is refused */
    bool enforce;               /* so is one whose claim disagrees, or cannot be understood */
    size_t frame_max;           /* largest frame that we take; 0: PQI_OAP_FRAME_MAX */
} pqi_oap_rules;

/* What came.  Borrowed until the callback returns.  Each may be NULL. */
typedef struct pqi_oap_events {
    /* HELLO is through: frames may be written.  |agent| is the peer's own word, "" when it said
     * none (a server says none). */
    void (*ready)(void *user, pqi_oap_claim claim, const char *agent);
    /* A request, answer or event of another application protocol than control. */
    void (*frame)(void *user, const pqi_oap_frame *frame);
} pqi_oap_events;

/* *out is owned by the caller; |events| and |user| are borrowed for its life.  PQL_E_USAGE for an
 * agent that cannot be said, PQL_E_NOMEM. */
pql_status pqi_oap_session_new(pqi_oap_session **out, const pqi_oap_rules *rules,
                               const pqi_oap_events *events, void *user, pql_error *err);
void pqi_oap_session_free(pqi_oap_session *s);

/* Client: appends the HELLO, the first bytes of the stream, to |out|.  Once. */
pql_status pqi_oap_session_start(pqi_oap_session *s, pqi_buf *out, pql_error *err);

/* Takes |len| bytes in any pieces; |fin|: none follow.  A server's answer to HELLO, or the sentence
 * of its refusal, is appended to |reply|, which is to be sent also when the call fails.
 * PQL_E_PROTOCOL, PQL_E_LIMIT (a frame over the bound, or more exchanges than were offered),
 * PQL_E_UNSUPPORTED, PQL_E_POLICY (the posture in the HELLO), PQL_E_REFUSED (the server refused
 * ours), PQL_E_NOMEM.  A session that failed stays failed: its stream is to be reset. */
pql_status pqi_oap_session_read(pqi_oap_session *s, const uint8_t *data, size_t len, bool fin,
                                pqi_buf *reply, pql_error *err);

/* Appends one frame to |out|: a request of a client, an answer of a server, an event of either.
 * Nothing is appended and nothing changed on failure: PQL_E_STATE before HELLO is through, and for
 * an answer that nobody waits for or a second START of an exchange; PQL_E_LIMIT when the peer takes
 * no further exchange or no frame of that size; PQL_E_USAGE; PQL_E_NOMEM. */
pql_status pqi_oap_session_write(pqi_oap_session *s, const pqi_oap_frame *frame, pqi_buf *out,
                                 pql_error *err);

/* Gives back the frame that the last pqi_oap_session_write put at the end of |out|, which could not
 * be sent: it was never written. */
void pqi_oap_session_unwrite(pqi_oap_session *s);

bool pqi_oap_session_ready(const pqi_oap_session *s);
/* Exchanges that have begun and not ended. */
unsigned pqi_oap_session_inflight(const pqi_oap_session *s);

#endif
