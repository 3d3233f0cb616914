/* Send queues of streams.  What was sent stays until it is acknowledged: ngtcp2 sends it again
 * from where it lies. */
#include "base/error.h"
#include "quic/internal.h"

#include <stdlib.h>
#include <string.h>

/* Room of a chunk at least. */
#define CHUNK_MIN 512

pqi_quic_stream *pqi_stream_new(pqi_quic_conn *conn, int64_t id)
{
    pqi_quic_stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL) {
        return NULL;
    }
    stream->conn = conn;
    stream->id = id;
    stream->next = conn->streams;
    if (conn->streams != NULL) {
        conn->streams->prev = stream;
    }
    conn->streams = stream;
    return stream;
}

static void leave_ready_list(pqi_quic_stream *stream)
{
    pqi_quic_conn *conn = stream->conn;
    if (!stream->ready) {
        return;
    }
    pqi_quic_stream *before = NULL;
    for (pqi_quic_stream *s = conn->ready_first; s != stream; s = s->ready_next) {
        before = s;
    }
    if (before == NULL) {
        conn->ready_first = stream->ready_next;
    } else {
        before->ready_next = stream->ready_next;
    }
    if (conn->ready_last == stream) {
        conn->ready_last = before;
    }
    stream->ready = false;
    stream->ready_next = NULL;
}

static void drop_chunks(pqi_quic_stream *stream)
{
    while (stream->first != NULL) {
        pqi_quic_chunk *next = stream->first->next;
        free(stream->first);
        stream->first = next;
    }
    stream->last = NULL;
    stream->unsent = NULL;
    stream->queued = 0;
}

void pqi_stream_free(pqi_quic_stream *stream)
{
    leave_ready_list(stream);
    drop_chunks(stream);
    if (stream->prev != NULL) {
        stream->prev->next = stream->next;
    } else {
        stream->conn->streams = stream->next;
    }
    if (stream->next != NULL) {
        stream->next->prev = stream->prev;
    }
    free(stream);
}

static bool has_work(const pqi_quic_stream *stream)
{
    return !stream->closed_write && (stream->unsent != NULL || (stream->fin && !stream->fin_sent));
}

void pqi_stream_ready(pqi_quic_stream *stream)
{
    pqi_quic_conn *conn = stream->conn;
    if (!stream->ready && !stream->blocked && has_work(stream)) {
        stream->ready = true;
        stream->ready_next = NULL;
        if (conn->ready_last == NULL) {
            conn->ready_first = stream;
        } else {
            conn->ready_last->ready_next = stream;
        }
        conn->ready_last = stream;
    }
    pqi_endpoint_dirty(conn->endpoint, conn);
}

pqi_quic_stream *pqi_stream_next_ready(pqi_quic_conn *conn)
{
    while (conn->ready_first != NULL) {
        pqi_quic_stream *stream = conn->ready_first;
        if (has_work(stream) && !stream->blocked) {
            return stream;
        }
        leave_ready_list(stream);
    }
    return NULL;
}

void pqi_stream_had_its_turn(pqi_quic_stream *stream)
{
    if (stream->ready && stream->ready_next != NULL) {
        leave_ready_list(stream);
        pqi_stream_ready(stream);
    }
}

pqi_quic_piece pqi_stream_piece(const pqi_quic_stream *stream)
{
    pqi_quic_chunk *chunk = stream->unsent;
    const size_t at = stream->unsent_at;
    if (chunk == NULL) {
        return (pqi_quic_piece){.fin = stream->fin, .whole = true};
    }
    const size_t end = chunk->end_count > 0 ? chunk->ends[0] : chunk->len;
    return (pqi_quic_piece){
        .bytes = {chunk->data + at, end - at},
        .fin = stream->fin && end == chunk->len && chunk->next == NULL,
        /* The rest of a write that was larger has been split already. */
        .whole = end - at <= PQL_STREAM_WHOLE_MAX && (chunk->end_count > 0 || at == 0),
    };
}

/* Forgets the ends of pieces that are sent. */
static void drop_ends(pqi_quic_chunk *chunk, size_t sent)
{
    uint8_t gone = 0;
    while (gone < chunk->end_count && chunk->ends[gone] <= sent) {
        gone++;
    }
    chunk->end_count = (uint8_t)(chunk->end_count - gone);
    memmove(chunk->ends, chunk->ends + gone, chunk->end_count * sizeof(chunk->ends[0]));
}

void pqi_stream_sent(pqi_quic_stream *stream, size_t len, bool fin)
{
    while (stream->unsent != NULL && len >= stream->unsent->len - stream->unsent_at) {
        len -= stream->unsent->len - stream->unsent_at;
        stream->unsent->end_count = 0;
        stream->unsent = stream->unsent->next;
        stream->unsent_at = 0;
    }
    stream->unsent_at += len;
    if (stream->unsent != NULL) {
        drop_ends(stream->unsent, stream->unsent_at);
    }
    if (fin && stream->unsent == NULL) {
        stream->fin_sent = true;
    }
    if (!has_work(stream)) {
        leave_ready_list(stream);
    }
}

void pqi_stream_acked(pqi_quic_stream *stream, uint64_t len)
{
    stream->queued -= (size_t)len;
    len += stream->first_acked;
    while (stream->first != NULL && len >= stream->first->len) {
        pqi_quic_chunk *done = stream->first;
        len -= done->len;
        stream->first = done->next;
        free(done);
    }
    stream->first_acked = (size_t)len;
    if (stream->first == NULL) {
        stream->last = NULL;
    }
    if (stream->want_writable && stream->queued == 0) {
        stream->want_writable = false;
        stream->conn->events->stream_writable(stream);
    }
}

void pqi_stream_unblock_all(pqi_quic_conn *conn)
{
    if (ngtcp2_conn_get_max_data_left2(conn->ngtcp2) == 0) {
        return; /* the connection's own limit holds them all */
    }
    for (pqi_quic_stream *s = conn->streams; s != NULL; s = s->next) {
        if (s->blocked) {
            s->blocked = false;
            pqi_stream_ready(s);
        }
    }
}

pql_status pqi_quic_stream_open(pqi_quic_conn *conn, pqi_quic_stream **out, pql_error *err)
{
    int64_t id = 0;
    *out = NULL;
    if (conn->state == CONN_LINGER || conn->close_wanted) {
        return pqi_fail(err, PQL_E_CLOSED, "The link is closed.");
    }
    const int rv = ngtcp2_conn_open_bidi_stream(conn->ngtcp2, &id, NULL);
    if (rv == NGTCP2_ERR_STREAM_ID_BLOCKED) {
        return pqi_fail(err, PQL_E_LIMIT, "The peer allows no more streams at the moment.");
    }
    if (rv != 0) {
        return pqi_fail(err, PQL_E_NOMEM, "Cannot open a stream: %s.", ngtcp2_strerror(rv));
    }
    pqi_quic_stream *stream = pqi_stream_new(conn, id);
    if (stream == NULL) {
        (void)ngtcp2_conn_shutdown_stream(conn->ngtcp2, 0, id, 0);
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory opening a stream.");
    }
    (void)ngtcp2_conn_set_stream_user_data(conn->ngtcp2, id, stream);
    *out = stream;
    return PQL_OK;
}

static pqi_quic_chunk *new_chunk(pqi_quic_stream *stream, size_t len)
{
    const size_t size = len < CHUNK_MIN ? CHUNK_MIN : len;
    pqi_quic_chunk *chunk = malloc(sizeof(*chunk) + size);
    if (chunk == NULL) {
        return NULL;
    }
    chunk->next = NULL;
    chunk->len = 0;
    chunk->size = size;
    chunk->end_count = 0;
    if (stream->last == NULL) {
        stream->first = chunk;
        stream->first_acked = 0;
    } else {
        stream->last->next = chunk;
    }
    stream->last = chunk;
    return chunk;
}

/* Takes down where |len| more bytes of |chunk| end.  Small writes that wait together are one piece:
 * they share a frame, and the list of ends stays short.  False when the list is full. */
static bool add_end(const pqi_quic_stream *stream, pqi_quic_chunk *chunk, size_t len)
{
    const size_t end = chunk->len + len;
    size_t start = stream->unsent == chunk ? stream->unsent_at : 0;
    if (chunk->size > CHUNK_MIN) {
        return true; /* one large write */
    }
    if (chunk->end_count > 1) {
        start = chunk->ends[chunk->end_count - 2];
    }
    if (chunk->end_count > 0 && end - start <= PQI_PIECE_SMALL) {
        chunk->ends[chunk->end_count - 1] = (uint16_t)end;
        return true;
    }
    if (chunk->end_count == PQI_CHUNK_PIECES) {
        return false;
    }
    chunk->ends[chunk->end_count++] = (uint16_t)end;
    return true;
}

/* Small writes share a chunk, so that a queue of single bytes does not cost fifty times its size.
 * No write lies in two chunks.  What is in a chunk never moves: ngtcp2 points at it until it is
 * acknowledged. */
static bool append(pqi_quic_stream *stream, const void *data, size_t len)
{
    pqi_quic_chunk *chunk = stream->last;
    if (chunk == NULL || chunk->size - chunk->len < len || !add_end(stream, chunk, len)) {
        chunk = new_chunk(stream, len);
        if (chunk == NULL) {
            return false;
        }
        (void)add_end(stream, chunk, len); /* an empty list has room */
    }
    if (stream->unsent == NULL) {
        stream->unsent = chunk;
        stream->unsent_at = chunk->len;
    }
    memcpy(chunk->data + chunk->len, data, len);
    chunk->len += len;
    stream->queued += len;
    return true;
}

static size_t queue_max(const pqi_quic_stream *stream)
{
    const size_t wanted = stream->conn->endpoint->opts.stream_queue;
    return wanted != 0 && wanted < PQL_STREAM_QUEUE_MAX ? wanted : PQL_STREAM_QUEUE_MAX;
}

pql_status pqi_quic_stream_write(pqi_quic_stream *stream, const void *data, size_t len, bool fin)
{
    if (stream->conn->state == CONN_LINGER || stream->fin || stream->closed_write) {
        return PQL_E_CLOSED;
    }
    if (len > queue_max(stream) - stream->queued) {
        stream->want_writable = true;
        return PQL_E_LIMIT;
    }
    if (len > 0 && !append(stream, data, len)) {
        return PQL_E_NOMEM;
    }
    stream->fin = fin;
    pqi_stream_ready(stream);
    return PQL_OK;
}

void pqi_quic_stream_reset(pqi_quic_stream *stream, uint64_t code)
{
    if (stream->conn->state == CONN_LINGER) {
        return;
    }
    stream->closed_write = true;
    leave_ready_list(stream);
    (void)ngtcp2_conn_shutdown_stream(stream->conn->ngtcp2, 0, stream->id, code);
    pqi_endpoint_dirty(stream->conn->endpoint, stream->conn);
}

pqi_quic_conn *pqi_quic_stream_conn(const pqi_quic_stream *stream)
{
    return stream->conn;
}

int64_t pqi_quic_stream_id(const pqi_quic_stream *stream)
{
    return stream->id;
}

void pqi_quic_stream_set_user(pqi_quic_stream *stream, void *user)
{
    stream->user = user;
}

void *pqi_quic_stream_user(const pqi_quic_stream *stream)
{
    return stream->user;
}
