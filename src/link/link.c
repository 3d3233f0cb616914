/* Links and streams as services see them. */
#include "base/clock.h"
#include "base/error.h"
#include "link/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In the whole process, whatever its contexts: the logs tell links apart by it. */
static atomic_uint_fast64_t links_made;

pql_link *pqi_link_new(pql_context *ctx, unsigned worker, const pql_handlers *handlers, void *user)
{
    pql_link *link = calloc(1, sizeof(*link));
    if (link == NULL) {
        return NULL;
    }
    atomic_init(&link->refs, 1);
    link->ctx = ctx;
    link->worker = worker;
    link->handlers = handlers;
    link->user = user;
    link->id = atomic_fetch_add(&links_made, 1) + 1;
    link->started = pqi_clock_monotonic();
    return link;
}

void pql_link_ref(pql_link *link)
{
    (void)atomic_fetch_add_explicit(&link->refs, 1, memory_order_relaxed);
}

void pql_link_unref(pql_link *link)
{
    if (link == NULL || atomic_fetch_sub_explicit(&link->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    pqi_connect_free(link->connect);
    free(link->close_early);
    free(link);
}

static pql_link_info info_of(const pql_link *link)
{
    return (pql_link_info){.id = link->id,
                           .server = link->server,
                           .address = link->address,
                           .alpn = link->alpn,
                           .posture = &link->posture,
                           .age_ns = pqi_clock_monotonic() - link->started,
                           .bytes_in = link->bytes_in,
                           .bytes_out = link->bytes_out};
}

void pqi_link_started(const pql_link *link)
{
    const pql_observer *observer = &link->ctx->opts.observer;
    if (observer->link_start != NULL) {
        const pql_link_info info = info_of(link);
        observer->link_start(&info, observer->user);
    }
}

static void observe_handshake(const pql_link *link, const pql_close *failure)
{
    const pql_observer *observer = &link->ctx->opts.observer;
    const pql_link_info info = info_of(link);
    if (observer->handshake != NULL) {
        observer->handshake(&info, failure, observer->user);
    }
}

static void observe_change(const pql_link *link, const pql_close *why)
{
    const pql_observer *observer = &link->ctx->opts.observer;
    const pql_link_info info = info_of(link);
    if (observer->link_change != NULL) {
        observer->link_change(&info, why, observer->user);
    }
}

void pqi_link_finish(pql_link *link, const pql_close *why)
{
    if (link->closed) {
        return;
    }
    link->closed = true;
    const bool was_open = atomic_exchange(&link->open, false);
    if (was_open) {
        observe_change(link, why);
    } else {
        observe_handshake(link, why);
    }
    if ((was_open || !link->server) && link->handlers->link_close != NULL) {
        link->handlers->link_close(link, why, link->user);
    }
    if (was_open || !link->server) {
        (void)atomic_fetch_sub(&link->ctx->live, 1);
    }
    pql_link_unref(link);
}

/* The connection goes; what it counted is told at the end of the link. */
static void keep_counts(pql_link *link, const pqi_quic_conn *conn)
{
    pqi_quic_stats stats;
    pqi_quic_conn_stats(conn, &stats);
    link->bytes_in = stats.bytes_received;
    link->bytes_out = stats.bytes_sent;
}

static pql_link *link_of(pqi_quic_conn *conn)
{
    return pqi_quic_conn_user(conn);
}

static void on_open(pqi_quic_conn *conn)
{
    pql_link *link = link_of(conn);
    link->posture = *pqi_quic_conn_posture(conn);
    /* The engine's clock stands still while it computes: this one includes our own work. */
    link->posture.handshake_ns = pqi_clock_monotonic() - link->started;
    (void)snprintf(link->alpn, sizeof(link->alpn), "%s", pqi_quic_conn_alpn(conn));
    pqi_address_format(pqi_quic_conn_remote(conn), link->address);
    atomic_store(&link->open, true);
    if (link->server) {
        (void)atomic_fetch_add(&link->ctx->live, 1);
    }
    observe_handshake(link, NULL);
    observe_change(link, NULL);
    if (link->handlers->link_open != NULL) {
        link->handlers->link_open(link, link->user);
    }
}

static void on_closed(pqi_quic_conn *conn, const pql_close *why)
{
    pql_link *link = link_of(conn);
    pqi_port *port = link->port;
    keep_counts(link, conn);
    if (!atomic_load(&link->open)) {
        link->posture = *pqi_quic_conn_posture(conn); /* as far as it came */
    }
    link->conn = NULL;
    link->port = NULL;
    if (!link->server) {
        port->link = NULL;
        pqi_port_kick(port);
    }
    if (!link->server && !atomic_load(&link->open) && pqi_connect_again(link, why)) {
        return;
    }
    pqi_link_finish(link, why);
}

static void on_timer(pqi_quic_conn *conn, uint64_t now)
{
    pql_link *link = link_of(conn);
    if (atomic_load(&link->open) && link->handlers->link_timer != NULL) {
        link->handlers->link_timer(link, now, link->user);
    }
}

/* NULL when memory is short: the caller resets the stream. */
static pql_stream *stream_new(pql_link *link, pqi_quic_stream *quic)
{
    pql_stream *stream = calloc(1, sizeof(*stream));
    if (stream != NULL) {
        stream->link = link;
        stream->quic = quic;
        pqi_quic_stream_set_user(quic, stream);
    }
    return stream;
}

static void on_stream_open(pqi_quic_stream *quic)
{
    pql_link *link = link_of(pqi_quic_stream_conn(quic));
    pql_stream *stream = stream_new(link, quic);
    if (stream == NULL) {
        pqi_quic_stream_reset(quic, 0);
        return;
    }
    link->port->streams.opened_in++;
    if (link->handlers->stream_open != NULL) {
        link->handlers->stream_open(stream, link->user);
    }
}

static void on_stream_data(pqi_quic_stream *quic, const uint8_t *data, size_t len, bool fin)
{
    pql_stream *stream = pqi_quic_stream_user(quic);
    if (stream != NULL && stream->link->handlers->stream_data != NULL) {
        stream->link->handlers->stream_data(stream, data, len, fin, stream->link->user);
    }
}

static void on_stream_writable(pqi_quic_stream *quic)
{
    pql_stream *stream = pqi_quic_stream_user(quic);
    if (stream != NULL && stream->link->handlers->stream_writable != NULL) {
        stream->link->handlers->stream_writable(stream, stream->link->user);
    }
}

/* RFC 9000, 2.1: the lowest bit of the number says who opened it, 1 a server. */
static void count_stream_end(const pql_stream *stream)
{
    const bool by_server = ((uint64_t)pqi_quic_stream_id(stream->quic) & 1U) != 0;
    pqi_port *port = stream->link->port;
    if (port != NULL) {
        *(by_server == stream->link->server ? &port->streams.closed_out
                                            : &port->streams.closed_in) += 1;
    }
}

static void on_stream_closed(pqi_quic_stream *quic, uint64_t code)
{
    pql_stream *stream = pqi_quic_stream_user(quic);
    if (stream == NULL) {
        return;
    }
    count_stream_end(stream);
    if (stream->link->handlers->stream_close != NULL) {
        stream->link->handlers->stream_close(stream, code, stream->link->user);
    }
    free(stream);
}

const pqi_quic_events pqi_link_events = {
    .open = on_open,
    .closed = on_closed,
    .timer = on_timer,
    .stream_open = on_stream_open,
    .stream_data = on_stream_data,
    .stream_writable = on_stream_writable,
    .stream_closed = on_stream_closed,
};

const pqi_quic_events *pqi_link_accept(void *user, pqi_quic_conn *conn, void **owner)
{
    pqi_port *port = user;
    const pql_listener *listener = port->listener;
    pql_link *link = pqi_link_new(port->ctx, port->worker, listener->handlers, listener->user);
    if (link == NULL) {
        return NULL;
    }
    link->server = true;
    pqi_address_format(pqi_quic_conn_remote(conn), link->address);
    link->port = port;
    link->conn = conn;
    pqi_link_started(link);
    *owner = link;
    return &pqi_link_events;
}

/* A call for a link's worker. */
typedef struct link_call {
    pql_link *link;
    void (*fn)(pql_link *link, void *arg);
    void *arg;
} link_call;

static void run_link_call(void *arg)
{
    link_call *call = arg;
    call->fn(call->link, call->arg);
    if (call->link->port != NULL) {
        pqi_port_kick(call->link->port);
    }
    pql_link_unref(call->link);
    free(call);
}

pql_status pql_link_run(pql_link *link, void (*fn)(pql_link *link, void *arg), void *arg)
{
    link_call *call = malloc(sizeof(*call));
    if (call == NULL) {
        return PQL_E_NOMEM;
    }
    *call = (link_call){link, fn, arg};
    pql_link_ref(link);
    const pql_status status =
        pqi_worker_post(link->ctx->workers[link->worker].worker, run_link_call, call);
    if (status != PQL_OK) {
        pql_link_unref(link);
        free(call);
    }
    return status;
}

bool pql_link_is_open(const pql_link *link)
{
    return atomic_load(&link->open);
}

void pql_link_set_data(pql_link *link, void *data)
{
    link->data = data;
}

void *pql_link_data(const pql_link *link)
{
    return link->data;
}

unsigned pql_link_worker(const pql_link *link)
{
    return link->worker;
}

uint64_t pql_link_id(const pql_link *link)
{
    return link->id;
}

const pql_posture *pql_link_posture(const pql_link *link)
{
    return &link->posture;
}

const char *pql_link_alpn(const pql_link *link)
{
    return link->alpn;
}

const char *pql_link_peer_address(const pql_link *link)
{
    if (link->conn != NULL) {
        /* The text is a cache of what the connection knows. */
        pqi_address_format(pqi_quic_conn_remote(link->conn),
                           ((pql_link *)(uintptr_t)link)->address);
    }
    return link->address;
}

bool pql_link_peer_fingerprint(const pql_link *link, pql_fingerprint_form form,
                               pql_fingerprint *out)
{
    return link->conn != NULL && pqi_quic_conn_peer_fingerprint(link->conn, form, out);
}

void pql_link_close(pql_link *link, uint64_t code, const char *reason)
{
    if (link->conn != NULL) {
        pqi_quic_conn_close(link->conn, code, reason);
        pqi_port_kick(link->port);
    } else {
        pqi_connect_abandon(link, code, reason);
    }
}

void pql_link_set_timer(pql_link *link, uint64_t when_ns)
{
    if (link->conn != NULL) {
        pqi_quic_conn_set_timer(link->conn, when_ns);
        pqi_port_kick(link->port);
    }
}

pql_status pql_stream_open(pql_link *link, pql_stream **out, pql_error *err)
{
    pqi_quic_stream *quic = NULL;
    *out = NULL;
    if (link->conn == NULL) {
        return pqi_fail(err, PQL_E_CLOSED, "The link is closed.");
    }
    const pql_status status = pqi_quic_stream_open(link->conn, &quic, err);
    if (status != PQL_OK) {
        return status;
    }
    *out = stream_new(link, quic);
    if (*out == NULL) {
        pqi_quic_stream_reset(quic, 0);
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory opening a stream.");
    }
    link->port->streams.opened_out++;
    pqi_port_kick(link->port);
    return PQL_OK;
}

pql_status pql_stream_write(pql_stream *stream, const void *data, size_t len, bool fin)
{
    if (stream->link->port == NULL) {
        return PQL_E_CLOSED;
    }
    pqi_port_kick(stream->link->port);
    return pqi_quic_stream_write(stream->quic, data, len, fin);
}

void pql_stream_reset(pql_stream *stream, uint64_t code)
{
    if (stream->link->port != NULL) {
        pqi_quic_stream_reset(stream->quic, code);
        pqi_port_kick(stream->link->port);
    }
}

pql_link *pql_stream_link(const pql_stream *stream)
{
    return stream->link;
}

int64_t pql_stream_id(const pql_stream *stream)
{
    return pqi_quic_stream_id(stream->quic);
}

void pql_stream_set_data(pql_stream *stream, void *data)
{
    stream->data = data;
}

void *pql_stream_data(const pql_stream *stream)
{
    return stream->data;
}
