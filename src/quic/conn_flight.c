/* The client's flights of a handshake. */
#include "base/clock.h"
#include "quic/internal.h"

/* RFC 9000, 14.1: no datagram is smaller than what must pass. */
#define DATAGRAM_MIN 1200
/* Shorter waits than this are the scheduler's as likely as the network's. */
#define FLIGHT_WAIT_MIN (5 * PQI_NS_PER_MS)

/* Round trips are counted as client flights that waited for the server.  A flight waited when what
 * came after it could not have been on its way before: the server had used up the three times that
 * it may send to an address that it has not validated, it had asked for a new first flight (Retry),
 * or half the first answer's time has passed.  Time says nothing where a round trip is shorter than
 * what a busy machine makes a process wait. */
void pqi_conn_flight_answered(pqi_quic_conn *conn, size_t len, uint64_t now)
{
    if (conn->flight_waits) {
        const uint64_t waited = now - conn->flight_at;
        const bool first = conn->posture.round_trips == 0;
        /* A token, also that of a Retry, ends the limit. */
        const bool limited = conn->endpoint->opts.token_len == 0 && !conn->ever_retried &&
                             conn->handshake_in + DATAGRAM_MIN > conn->flight_budget;
        const bool long_wait = waited >= FLIGHT_WAIT_MIN && 2 * waited >= conn->first_wait;
        if (first || conn->retried || long_wait || limited) {
            conn->limited = conn->limited || (!first && limited);
            conn->posture.round_trips++;
            conn->flight_waits = false;
            conn->retried = false;
        }
        if (first) {
            conn->first_wait = waited;
        }
    }
    conn->heard = true;
    conn->handshake_in += len;
}

void pqi_conn_flight_sent(pqi_quic_conn *conn, size_t len, uint64_t now)
{
    if (conn->handshake_out == 0 || conn->heard) {
        conn->flight_waits = true;
        conn->flight_at = now;
        conn->flight_budget = PQI_AMPLIFICATION_LIMIT * conn->handshake_out;
        conn->heard = false;
    }
    conn->handshake_out += len;
}

unsigned pqi_conn_flight_copies(const pqi_quic_conn *conn, size_t datagrams)
{
    const pqi_quic_endpoint_opts *opts = &conn->endpoint->opts;
    const unsigned copies = datagrams > 1 ? opts->copies_long : opts->copies_short;
    if (opts->token_len > 0 || copies == 0) {
        return 1; /* with a token the address is validated, and the limit falls */
    }
    return copies < PQI_QUIC_COPIES_MAX ? copies : PQI_QUIC_COPIES_MAX;
}

void pqi_conn_flight_done(const pqi_quic_conn *conn)
{
    const pqi_quic_io *io = &conn->endpoint->opts.io;
    ngtcp2_conn_info info;
    ngtcp2_conn_get_conn_info2(conn->ngtcp2, &info);
    if (io->held_up != NULL && conn->limited && conn->posture.round_trips == 2 &&
        !conn->ever_retried && info.pkt_lost == 0 && conn->endpoint->opts.token_len == 0) {
        io->held_up(io->user, conn->copies);
    }
}
