/* What a connection sends: packets from what the engine and the streams have to say. */
#include "base/clock.h"
#include "base/error.h"
#include "quic/internal.h"

#include <stdlib.h>
#include <string.h>

/* Runs of datagrams that one connection may write before the others have their turn. */
#define WRITE_ROUNDS 16
/* How long large datagrams may stay without an acknowledgement. */
#define BLACK_HOLE_PTO 3
/* RFC 9000, 17.3.1: first byte and packet number around the destination ID; RFC 9001, 5.3: the tag
 * of every suite has 16 bytes. */
#define SHORT_HEADER_MAX (1 + 4)
#define TAG_LEN 16
/* RFC 9000, 19.8: type, stream ID, offset, and a length below 16,384. */
#define STREAM_FRAME_MAX (1 + 8 + 8 + 2)
/* RFC 9000, 19.12 and 19.13: what ngtcp2 adds behind data that used up the peer's limit:
 * DATA_BLOCKED and STREAM_DATA_BLOCKED. */
#define BLOCKED_FRAMES_MAX (1 + 8 + 1 + 8 + 8)

_Static_assert(PQL_STREAM_WHOLE_MAX + STREAM_FRAME_MAX + BLOCKED_FRAMES_MAX + TAG_LEN +
                       SHORT_HEADER_MAX + NGTCP2_MAX_CIDLEN <=
                   NGTCP2_MAX_UDP_PAYLOAD_SIZE,
               "what has to be sent whole fits a packet of the smallest path");

/* Room for frames in a packet that is not begun, and that no frame but STREAM wants to be in.
 * |size|: of the buffer; the path may carry less. */
static size_t room_of_packet(const pqi_quic_conn *conn, size_t size)
{
    const size_t path = ngtcp2_conn_get_path_max_tx_udp_payload_size2(conn->ngtcp2);
    return (path < size ? path : size) - SHORT_HEADER_MAX -
           ngtcp2_conn_get_dcid2(conn->ngtcp2)->datalen - TAG_LEN;
}

/* True when ngtcp2 might split |piece|, which must not be split.  |room|: what is left of the
 * packet for certain. */
static bool too_large(const pqi_quic_piece *piece, size_t room)
{
    return piece->whole && piece->bytes.len > PQI_PIECE_SMALL &&
           piece->bytes.len + STREAM_FRAME_MAX + BLOCKED_FRAMES_MAX > room;
}

/* Takes down what ngtcp2 took of |piece|; |room| is that of the packet. */
static void took(pqi_quic_conn *conn, pqi_quic_stream *stream, const pqi_quic_piece *piece,
                 size_t taken, size_t *room)
{
    const size_t used = taken + STREAM_FRAME_MAX;
    *room = *room > used ? *room - used : 0;
    pqi_stream_sent(stream, taken, piece->fin && taken == piece->bytes.len);
    if (ngtcp2_conn_get_max_data_left2(conn->ngtcp2) == 0 ||
        ngtcp2_conn_get_max_stream_data_left2(conn->ngtcp2, stream->id) == 0) {
        conn->quiet = false; /* ngtcp2 tells the peer about it, here or in the next packet */
        *room = 0;
    }
}

/* One packet: handshake, acknowledgements and what streams have to say.
 *
 * A write that fits a packet is never split over two: some peers read a frame from one packet only
 * (or wait a millisecond for the rest).  ngtcp2 does not say how much room is left behind the
 * frames that it puts first, and it splits what is longer than PQI_PIECE_SMALL.  So such a write
 * begins a packet of its own, unless the room that is left is known: when a packet was asked for
 * without stream data and there was none to send, nothing but stream data comes until the flush
 * ends. */
static ngtcp2_ssize write_packet(ngtcp2_conn *ngtcp2, ngtcp2_path *path, ngtcp2_pkt_info *info,
                                 uint8_t *out, size_t size, ngtcp2_tstamp now, void *user_data)
{
    pqi_quic_conn *conn = user_data;
    size_t room = conn->quiet ? room_of_packet(conn, size) : 0;
    bool begun = false;
    for (;;) {
        pqi_quic_stream *stream = pqi_stream_next_ready(conn);
        if (stream == NULL) {
            return ngtcp2_conn_writev_stream(ngtcp2, path, info, out, size, NULL, 0, -1, NULL, 0,
                                             now);
        }
        const pqi_quic_piece piece = pqi_stream_piece(stream);
        if (too_large(&piece, room) && (begun || !conn->quiet)) {
            const ngtcp2_ssize n =
                ngtcp2_conn_writev_stream(ngtcp2, path, info, out, size, NULL, 0, -1, NULL, 0, now);
            if (n != 0) {
                return n;
            }
            if (conn->path_unproven) {
                return 0; /* the write waits for the end of the validation, a round trip */
            }
            conn->quiet = true;
            begun = false;
            room = room_of_packet(conn, size);
        }
        const uint32_t flags =
            NGTCP2_WRITE_STREAM_FLAG_MORE | (piece.fin ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0);
        ngtcp2_ssize taken = -1;
        const ngtcp2_ssize n =
            ngtcp2_conn_writev_stream(ngtcp2, path, info, out, size, &taken, flags, stream->id,
                                      &piece.bytes, piece.bytes.len > 0 ? 1 : 0, now);
        if (taken >= 0) {
            took(conn, stream, &piece, (size_t)taken, &room);
        }
        switch (n) {
        case NGTCP2_ERR_STREAM_DATA_BLOCKED:
            stream->blocked = true;
            conn->quiet = false;
            room = 0;
            begun = true;
            continue;
        case NGTCP2_ERR_STREAM_SHUT_WR:
        case NGTCP2_ERR_STREAM_NOT_FOUND:
            stream->closed_write = true;
            continue;
        case NGTCP2_ERR_WRITE_MORE:
            begun = true;
            continue;
        default:
            if (n > 0 && taken > 0) {
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
    if (run.segment > NGTCP2_MAX_UDP_PAYLOAD_SIZE && conn->large_at == 0 &&
        run.segment <= ngtcp2_conn_get_path_max_tx_udp_payload_size2(conn->ngtcp2)) {
        conn->large_at = now; /* a probe for a larger path does not count */
    }
    unsigned copies = 1;
    if (first_flight) {
        copies = pqi_conn_flight_copies(conn, (len + run.segment - 1) / run.segment);
        conn->copies = copies;
    }
    if (conn->state == CONN_HANDSHAKE && !conn->server) {
        pqi_conn_flight_sent(conn, copies * len, now);
    }
    for (unsigned i = 0; i < copies; i++) {
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

/* A run of packets of 1200 bytes, where the path's limit as ngtcp2 sees it is larger: it puts only
 * such packets together as fill that.  What goes another way is sent by itself. */
static ngtcp2_ssize write_small_run(pqi_quic_conn *conn, ngtcp2_path *path, ngtcp2_pkt_info *info,
                                    size_t *segment, uint64_t now)
{
    uint8_t *out = conn->endpoint->buffer;
    const size_t quantum = ngtcp2_conn_get_send_quantum2(conn->ngtcp2);
    /* A first flight is one burst, not paced. */
    const size_t most = conn->state == CONN_HANDSHAKE ? PQI_QUIC_BUFFER : quantum;
    size_t total = 0;
    while (total + NGTCP2_MAX_UDP_PAYLOAD_SIZE <= most &&
           total + NGTCP2_MAX_UDP_PAYLOAD_SIZE <= PQI_QUIC_BUFFER) {
        ngtcp2_path_storage way;
        ngtcp2_pkt_info mark = {0};
        ngtcp2_path_storage_zero(&way);
        const ngtcp2_ssize n = write_packet(conn->ngtcp2, &way.path, &mark, out + total,
                                            NGTCP2_MAX_UDP_PAYLOAD_SIZE, now, conn);
        if (n < 0) {
            return n;
        }
        if (n == 0) {
            break;
        }
        if (total > 0 && (mark.ecn != info->ecn || (size_t)n > *segment ||
                          ngtcp2_path_eq(&way.path, path) == 0)) {
            send_run(conn, path, info, total, *segment, now);
            memmove(out, out + total, (size_t)n);
            total = 0;
        }
        if (total == 0) {
            ngtcp2_path_copy(path, &way.path);
            *info = mark;
            *segment = (size_t)n;
        }
        total += (size_t)n;
        if ((size_t)n < *segment) {
            break;
        }
    }
    ngtcp2_conn_update_pkt_tx_time(conn->ngtcp2, now);
    return (ngtcp2_ssize)total;
}

/* A path may carry less from one moment on, and then loses all large datagrams in silence ("black
 * hole", RFC 8899, 4.3), the repeated ones too.  ngtcp2 does not look for that.  When nothing has
 * been acknowledged for three probe time-outs since a large one left, they are not large any more,
 * until the link is on another path. */
static void look_for_black_hole(pqi_quic_conn *conn, uint64_t now)
{
    if (conn->large_at != 0 && !conn->small &&
        now - conn->large_at >= BLACK_HOLE_PTO * ngtcp2_conn_get_pto2(conn->ngtcp2)) {
        conn->small = true;
    }
}

static void write_data(pqi_quic_conn *conn, uint64_t now)
{
    pqi_quic_endpoint *endpoint = conn->endpoint;
    const pqi_quic_io *io = &endpoint->opts.io;
    pqi_stream_unblock_all(conn);
    conn->quiet = false;
    look_for_black_hole(conn, now);
    for (unsigned round = 0; round < WRITE_ROUNDS && !io->blocked(io->user); round++) {
        ngtcp2_path_storage path;
        ngtcp2_pkt_info info = {0};
        size_t segment = 0;
        ngtcp2_path_storage_zero(&path);
        const ngtcp2_ssize n =
            endpoint->opts.wide_window || conn->small
                ? write_small_run(conn, &path.path, &info, &segment, now)
                : ngtcp2_conn_write_aggregate_pkt(conn->ngtcp2, &path.path, &info, endpoint->buffer,
                                                  PQI_QUIC_BUFFER, &segment, write_packet, now);
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
