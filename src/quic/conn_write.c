/* What a connection sends: packets from what the engine and the streams have to say. */
#include "base/clock.h"
#include "base/error.h"
#include "quic/internal.h"

#include <stdlib.h>
#include <string.h>

/* Runs of datagrams that one connection may write before the others have their turn. */
#define WRITE_ROUNDS 16
/* Pieces of stream data that one packet takes at most. */
#define WRITE_PIECES 8

/* One packet: handshake, acknowledgements and what streams have to say. */
static ngtcp2_ssize write_packet(ngtcp2_conn *ngtcp2, ngtcp2_path *path, ngtcp2_pkt_info *info,
                                 uint8_t *out, size_t size, ngtcp2_tstamp now, void *user_data)
{
    pqi_quic_conn *conn = user_data;
    for (;;) {
        ngtcp2_vec pieces[WRITE_PIECES];
        size_t count = 0;
        bool fin = false;
        pqi_quic_stream *stream = pqi_stream_next_ready(conn);
        int64_t id = -1;
        uint32_t flags = 0;
        ngtcp2_ssize taken = -1;
        if (stream != NULL) {
            id = stream->id;
            count = pqi_stream_pieces(stream, pieces, WRITE_PIECES, &fin);
            flags = NGTCP2_WRITE_STREAM_FLAG_MORE | (fin ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0);
        }
        const ngtcp2_ssize n = ngtcp2_conn_writev_stream(ngtcp2, path, info, out, size, &taken,
                                                         flags, id, pieces, count, now);
        if (stream != NULL && taken >= 0) {
            size_t total = 0;
            for (size_t i = 0; i < count; i++) {
                total += pieces[i].len;
            }
            pqi_stream_sent(stream, (size_t)taken, fin && (size_t)taken == total);
        }
        switch (n) {
        case NGTCP2_ERR_STREAM_DATA_BLOCKED:
            stream->blocked = true;
            continue;
        case NGTCP2_ERR_STREAM_SHUT_WR:
        case NGTCP2_ERR_STREAM_NOT_FOUND:
            stream->closed_write = true;
            continue;
        case NGTCP2_ERR_WRITE_MORE:
            continue;
        default:
            if (n > 0 && stream != NULL && taken > 0) {
                pqi_stream_had_its_turn(stream);
            }
            return n;
        }
    }
}

static void send_run(pqi_quic_conn *conn, const ngtcp2_path *path, const ngtcp2_pkt_info *info,
                     size_t len, size_t segment, uint64_t now)
{
    pqi_datagrams run = {.ecn = info->ecn,
                         .data = conn->endpoint->buffer,
                         .len = len,
                         .segment = segment < len ? segment : len};
    memcpy(&run.local.sa, path->local.addr, path->local.addrlen);
    run.local.len = path->local.addrlen;
    memcpy(&run.remote.sa, path->remote.addr, path->remote.addrlen);
    run.remote.len = path->remote.addrlen;
    const bool first_flight = !conn->server && conn->handshake_out == 0;
    if (conn->state == CONN_HANDSHAKE && !conn->server) {
        pqi_conn_flight_sent(conn, first_flight ? 2 * len : len, now);
    }
    pqi_endpoint_send(conn->endpoint, &run);
    if (first_flight) {
        /* Twice, so that three times what the server has received covers its 9.3 kB flight with an
         * ML-DSA-87 leaf, and the handshake takes one round trip. */
        pqi_endpoint_send(conn->endpoint, &run);
    }
}

/* The peer's address on the path in use; where a probe of another path goes does not count. */
static void follow_path(pqi_quic_conn *conn)
{
    const ngtcp2_path *path = ngtcp2_conn_get_path2(conn->ngtcp2);
    memcpy(&conn->remote.sa, path->remote.addr, path->remote.addrlen);
    conn->remote.len = path->remote.addrlen;
}

static void write_close(pqi_quic_conn *conn, uint64_t now)
{
    ngtcp2_path_storage path;
    ngtcp2_pkt_info info = {0};
    ngtcp2_ccerr ccerr;
    const size_t reason_len = strlen(conn->close.reason);
    const uint8_t *reason = (const uint8_t *)conn->close.reason;
    ngtcp2_path_storage_zero(&path);
    ngtcp2_ccerr_default(&ccerr);
    if (conn->close_is_transport) {
        /* Our own sentences stay here: a stranger learns the code only. */
        ngtcp2_ccerr_set_transport_error(&ccerr, conn->close.code, NULL, 0);
    } else {
        ngtcp2_ccerr_set_application_error(&ccerr, conn->close.code, reason, reason_len);
    }
    uint8_t *packet = conn->endpoint->buffer;
    const ngtcp2_ssize n = ngtcp2_conn_write_connection_close(
        conn->ngtcp2, &path.path, &info, packet, PQI_QUIC_CLOSE_SIZE, &ccerr, now);
    if (n > 0) {
        send_run(conn, &path.path, &info, (size_t)n, (size_t)n, now);
        conn->close_packet = malloc((size_t)n);
        if (conn->close_packet != NULL) {
            memcpy(conn->close_packet, packet, (size_t)n);
            conn->close_len = (size_t)n;
        }
    }
    pqi_conn_finish(conn, now);
}

static void write_data(pqi_quic_conn *conn, uint64_t now)
{
    pqi_quic_endpoint *endpoint = conn->endpoint;
    const pqi_quic_io *io = &endpoint->opts.io;
    pqi_stream_unblock_all(conn);
    for (unsigned round = 0; round < WRITE_ROUNDS && !io->blocked(io->user); round++) {
        ngtcp2_path_storage path;
        ngtcp2_pkt_info info = {0};
        size_t segment = 0;
        ngtcp2_path_storage_zero(&path);
        const ngtcp2_ssize n =
            ngtcp2_conn_write_aggregate_pkt(conn->ngtcp2, &path.path, &info, endpoint->buffer,
                                            sizeof(endpoint->buffer), &segment, write_packet, now);
        if (n < 0) {
            pqi_conn_fail(conn, (int)n, now);
            return;
        }
        if (n == 0) {
            return;
        }
        send_run(conn, &path.path, &info, (size_t)n, segment, now);
    }
    pqi_endpoint_dirty(endpoint, conn); /* the next flush goes on */
}

void pqi_conn_flush(pqi_quic_conn *conn, uint64_t now)
{
    if (conn->state != CONN_LINGER && !conn->engine_failed &&
        (!conn->close_wanted || !conn->close_is_transport)) {
        write_data(conn, now);
    }
    if (conn->state != CONN_LINGER) {
        follow_path(conn);
    }
    if (conn->close_wanted && conn->state != CONN_LINGER) {
        write_close(conn, now);
    }
    pqi_endpoint_schedule(conn->endpoint, conn);
}
