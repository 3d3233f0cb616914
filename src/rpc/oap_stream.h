/* OAP/1 on one stream of a link: the session of oap_session.h between stream and service.
 *
 * The posture that HELLO names and is compared with is that of the link.  All calls on the link's
 * worker, from handlers of the link or from the session's events, but a free from the latter.  The
 * caller forwards what its stream handlers hear:
 *   stream_data  -> pqi_oap_stream_data
 *   stream_close -> pqi_oap_stream_free */
#ifndef PQI_RPC_OAP_STREAM_H
#define PQI_RPC_OAP_STREAM_H

#include "rpc/oap_session.h"

#include <pqlink/link.h>

/* Application error codes of a stream that is reset (RFC 9000, section 20.2). */
#define PQI_OAP_ERROR_PROTOCOL 1 /* bytes that OAP/1 forbids */
#define PQI_OAP_ERROR_POSTURE 2  /* the posture in the HELLO is not accepted */
#define PQI_OAP_ERROR_LIMIT 3    /* a frame too long, or too many exchanges */
#define PQI_OAP_ERROR_INTERNAL 4 /* our own failure */

/* How long a service waits for a peer's HELLO, or the answer to its own, before it resets the
 * stream; for pql_link_set_timer. */
#define PQI_OAP_HELLO_TIMEOUT_SECONDS 10

typedef struct pqi_oap_stream pqi_oap_stream;

typedef struct pqi_oap_stream_opts {
    pql_policy policy; /* of the context: the mode of our claim */
    const char *agent; /* as pqi_oap_rules; client only */
    bool require_claim, enforce;
    size_t frame_max;
    const pqi_oap_events *events; /* borrowed for the stream's life */
    void *user;
} pqi_oap_stream_opts;

/* Client: opens a stream on |link| and says HELLO.  The caller owns *out, which borrows the stream.
 * PQL_E_LIMIT while the peer gives no stream, PQL_E_USAGE, PQL_E_NOMEM. */
pql_status pqi_oap_stream_open(pqi_oap_stream **out, pql_link *link,
                               const pqi_oap_stream_opts *opts, pql_error *err);
/* Server: for a stream that the peer opened. */
pql_status pqi_oap_stream_accept(pqi_oap_stream **out, pql_stream *stream,
                                 const pqi_oap_stream_opts *opts, pql_error *err);
/* NULL is a no-op. */
void pqi_oap_stream_free(pqi_oap_stream *s);

/* Bytes of the peer.  On failure (those of pqi_oap_session_read) what is to be said was said and
 * the stream is reset; the link goes on. */
pql_status pqi_oap_stream_data(pqi_oap_stream *s, const uint8_t *data, size_t len, bool fin,
                               pql_error *err);

/* Sends one frame, all or nothing: pqi_oap_session_write, and PQL_E_LIMIT while the stream's queue
 * is full (stream_writable follows), PQL_E_CLOSED. */
pql_status pqi_oap_stream_send(pqi_oap_stream *s, const pqi_oap_frame *frame, pql_error *err);

/* What is negotiated on the link, in the words of HELLO. */
const pqi_oap_posture *pqi_oap_stream_posture(const pqi_oap_stream *s);
const pqi_oap_session *pqi_oap_stream_session(const pqi_oap_stream *s);
pql_stream *pqi_oap_stream_of(const pqi_oap_stream *s);

#endif
