/* One QUIC connection over ngtcp2: a sans-I/O state machine.
 *
 * Datagrams and time go in through the endpoint (endpoint.h), events come out through
 * pqi_quic_events, datagrams leave through the endpoint's send function.  Nothing here reads a
 * clock or a socket.  Every function belongs to the endpoint's thread. */
#ifndef PQI_QUIC_CONN_H
#define PQI_QUIC_CONN_H

#include "net/address.h"

#include <pqlink/link.h>

typedef struct pqi_quic_conn pqi_quic_conn;
typedef struct pqi_quic_stream pqi_quic_stream;

/* What a connection tells its owner.  All members must be set.  Inside an event the owner may call
 * anything in this header. */
typedef struct pqi_quic_events {
    /* The handshake is done, the peer authenticated, the policy holds. */
    void (*open)(pqi_quic_conn *conn);
    /* The last event; the connection must not be used after it.  Exactly once. */
    void (*closed)(pqi_quic_conn *conn, const pql_close *why);
    /* The deadline set with pqi_quic_conn_set_timer has come. */
    void (*timer)(pqi_quic_conn *conn, uint64_t now);
    void (*stream_open)(pqi_quic_stream *stream); /* by the peer */
    void (*stream_data)(pqi_quic_stream *stream, const uint8_t *data, size_t len, bool fin);
    void (*stream_writable)(pqi_quic_stream *stream);
    void (*stream_closed)(pqi_quic_stream *stream, uint64_t code);
} pqi_quic_events;

/* The owner's pointer. */
void pqi_quic_conn_set_user(pqi_quic_conn *conn, void *user);
void *pqi_quic_conn_user(const pqi_quic_conn *conn);

/* What was negotiated; complete from the open event on. */
const pql_posture *pqi_quic_conn_posture(const pqi_quic_conn *conn);
/* The selected protocol name; "" before the handshake is done. */
const char *pqi_quic_conn_alpn(const pqi_quic_conn *conn);
const pqi_address *pqi_quic_conn_remote(const pqi_quic_conn *conn);
bool pqi_quic_conn_is_server(const pqi_quic_conn *conn);
bool pqi_quic_conn_peer_fingerprint(const pqi_quic_conn *conn, pql_fingerprint_form form,
                                    pql_fingerprint *out);

/* Asks for the end: what is queued is sent as far as it may be, then CONNECTION_CLOSE with an
 * application code.  The closed event comes from the endpoint, not from within this call. */
void pqi_quic_conn_close(pqi_quic_conn *conn, uint64_t code, const char *reason);

/* One deadline of the owner's; PQI_TIME_NEVER clears it. */
void pqi_quic_conn_set_timer(pqi_quic_conn *conn, uint64_t when);

/* Starts a key update (RFC 9001, 6).  PQL_E_STATE while one is under way or before confirmation. */
pql_status pqi_quic_conn_update_keys(pqi_quic_conn *conn, uint64_t now);

/* Client: the socket's address changed; validates the new path and moves over (RFC 9000, 9). */
pql_status pqi_quic_conn_migrate(pqi_quic_conn *conn, const pqi_address *local, uint64_t now);

/* Figures for tests, logs and the probe. */
typedef struct pqi_quic_stats {
    uint64_t bytes_sent, bytes_received, packets_lost;
    uint64_t smoothed_rtt_ns;
    size_t path_mtu; /* largest UDP payload that the path is known to carry */
} pqi_quic_stats;
void pqi_quic_conn_stats(const pqi_quic_conn *conn, pqi_quic_stats *out);

/* Streams (RFC 9000, 2): bidirectional only. */
pql_status pqi_quic_stream_open(pqi_quic_conn *conn, pqi_quic_stream **out, pql_error *err);
/* See pql_stream_write. */
pql_status pqi_quic_stream_write(pqi_quic_stream *stream, const void *data, size_t len, bool fin);
void pqi_quic_stream_reset(pqi_quic_stream *stream, uint64_t code);
pqi_quic_conn *pqi_quic_stream_conn(const pqi_quic_stream *stream);
int64_t pqi_quic_stream_id(const pqi_quic_stream *stream);
void pqi_quic_stream_set_user(pqi_quic_stream *stream, void *user);
void *pqi_quic_stream_user(const pqi_quic_stream *stream);

#endif
