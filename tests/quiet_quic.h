/* The parts of a QUIC endpoint's surroundings that a program does not care for: nothing is heard,
 * nothing blocks, random bytes are real ones. */
#ifndef PQI_TESTS_QUIET_QUIC_H
#define PQI_TESTS_QUIET_QUIC_H

#include "crypto/random.h"
#include "quic/endpoint.h"

/* ---- pqi_quic_io ---- */

static inline bool quiet_blocked(void *user)
{
    (void)user;
    return false;
}

static inline void quiet_random(void *user, uint8_t *out, size_t len)
{
    (void)user;
    pqi_random(out, len);
}

static inline void quiet_hand_over(void *user, unsigned worker, const pqi_datagrams *run)
{
    (void)user;
    (void)worker;
    (void)run;
}

/* ---- pqi_quic_events ---- */

static inline void quiet_closed(pqi_quic_conn *conn, const pql_close *why)
{
    (void)conn;
    (void)why;
}

static inline void quiet_timer(pqi_quic_conn *conn, uint64_t now)
{
    (void)conn;
    (void)now;
}

static inline void quiet_stream(pqi_quic_stream *stream)
{
    (void)stream;
}

static inline void quiet_data(pqi_quic_stream *stream, const uint8_t *data, size_t len, bool fin)
{
    (void)stream;
    (void)data;
    (void)len;
    (void)fin;
}

static inline void quiet_stream_closed(pqi_quic_stream *stream, uint64_t code)
{
    (void)stream;
    (void)code;
}

#endif
