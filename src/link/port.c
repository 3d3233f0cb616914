/* Sockets on workers: bytes from the kernel to a QUIC endpoint and back. */
#include "base/clock.h"
#include "base/error.h"
#include "crypto/random.h"
#include "link/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* recvmmsg calls before other sockets of the worker have their turn. */
#define RECEIVE_BATCHES 16

/* A machine that was asleep, and steps of the wall clock, are noticed so soon. */
#define WALL_LOOK PQI_NS_PER_SEC

/* Copies of a first flight of two datagrams: 4 x 1200 bytes x 3 cover a flight with a compact
 * ML-DSA-87 certificate (9.3 kB), 6 x 1200 x 3 one with a self-signed or issued one (14.0 kB). */
#define COPIES_COMPACT 2
#define COPIES_FOREIGN 3

/* A UDP socket on the worker's loop. */
struct pqi_socket {
    uv_poll_t poll; /* first member */
    pqi_udp *udp;
    pqi_port *port;
    bool want_write;
};

static bool io_send(void *user, const pqi_datagrams *run)
{
    pqi_port *port = user;
    return pqi_udp_send(port->socket->udp, run);
}

static bool io_blocked(void *user)
{
    const pqi_port *port = user;
    return pqi_udp_blocked(port->socket->udp);
}

static void io_random(void *user, uint8_t *out, size_t len)
{
    (void)user;
    pqi_random(out, len);
}

static void io_rejected(void *user, const char *reason)
{
    const pqi_port *port = user;
    const pql_observer *observer = &port->ctx->opts.observer;
    if (observer->reject != NULL) {
        observer->reject(reason, observer->user);
    }
}

/* Bytes of datagrams that wait for one worker at most; more is lost, as on a network.  Strangers
 * decide how much comes, so it must not fill the worker's queue of calls. */
#define HAND_OVER_MAX ((size_t)4 << 20)

/* A datagram on its way to the worker that owns its connection. */
typedef struct parcel {
    pql_listener *listener;
    unsigned worker;
    pqi_datagrams run;
    uint8_t data[];
} parcel;

/* Before anything new is taken in: a listener lives for months, and dates what begins there. */
static void look_at_wall(pqi_port *port, uint64_t now)
{
    if (now >= port->wall_look_at) {
        port->wall_look_at = now + WALL_LOOK;
        pqi_quic_endpoint_set_wall_offset(port->endpoint, pqi_clock_unix_offset(now));
    }
}

static void deliver_parcel(void *arg)
{
    parcel *p = arg;
    const uint64_t now = pqi_clock_monotonic();
    (void)atomic_fetch_sub(&p->listener->ctx->workers[p->worker].handed_over, p->run.len);
    for (pqi_port *port = p->listener->ctx->workers[p->worker].ports; port != NULL;
         port = port->next) {
        if (port->listener == p->listener) {
            look_at_wall(port, now);
            pqi_quic_endpoint_receive(port->endpoint, &p->run, now);
            pqi_port_kick(port);
        }
    }
    free(p);
}

/* Only where the kernel could not steer. */
static void io_hand_over(void *user, unsigned worker, const pqi_datagrams *run)
{
    const pqi_port *port = user;
    atomic_size_t *waiting = &port->ctx->workers[worker].handed_over;
    (void)atomic_fetch_add(&port->ctx->handed_over, 1);
    if (atomic_load(waiting) + run->len > HAND_OVER_MAX) {
        return;
    }
    parcel *p = malloc(sizeof(*p) + run->len);
    if (p == NULL) {
        return;
    }
    p->listener = port->listener;
    p->worker = worker;
    p->run = *run;
    memcpy(p->data, run->data, run->len);
    p->run.data = p->data;
    (void)atomic_fetch_add(waiting, run->len);
    if (pqi_worker_post(port->ctx->workers[worker].worker, deliver_parcel, p) != PQL_OK) {
        (void)atomic_fetch_sub(waiting, run->len);
        free(p);
    }
}

static void io_new_token(void *user, const uint8_t *token, size_t len)
{
    const pqi_port *port = user;
    if (port->link != NULL) {
        pqi_servers_keep_token(port->ctx->servers, port->link->connect->host_port, token, len);
    }
}

static void io_held_up(void *user, unsigned copies)
{
    const pqi_port *port = user;
    if (port->link != NULL) {
        pqi_servers_held_up(port->ctx->servers, port->link->connect->host_port, copies);
    }
}

static pqi_quic_io io_of(pqi_port *port)
{
    return (pqi_quic_io){.send = io_send,
                         .blocked = io_blocked,
                         .random = io_random,
                         .hand_over = io_hand_over,
                         .accept = pqi_link_accept,
                         .rejected = io_rejected,
                         .new_token = io_new_token,
                         .held_up = io_held_up,
                         .qlog = port->ctx->qlog_dir != NULL ? pqi_debug_qlog : NULL,
                         .user = port};
}

static void on_run(void *user, const pqi_datagrams *run)
{
    pqi_port *port = user;
    const uint64_t now = pqi_clock_monotonic();
    look_at_wall(port, now);
    pqi_quic_endpoint_receive(port->endpoint, run, now);
}

static void read_socket(pqi_socket *socket)
{
    pqi_port *port = socket->port;
    pqi_worker *worker = port->ctx->workers[port->worker].worker;
    const int failure =
        pqi_udp_receive(socket->udp, pqi_worker_scratch(worker), RECEIVE_BATCHES, on_run, port);
    if (failure == ECONNREFUSED) {
        pqi_quic_endpoint_unreachable(port->endpoint,
                                      "Nobody listens at that address (port unreachable).",
                                      pqi_clock_monotonic());
    }
    pqi_port_kick(port);
}

static void on_poll(uv_poll_t *poll, int status, int poll_events)
{
    pqi_socket *socket = poll->data;
    if (status == 0 && (poll_events & UV_WRITABLE) != 0) {
        pqi_udp_flush(socket->udp);
    }
    read_socket(socket);
    if (status != 0) {
        /* libuv stops polling when a socket reports an error, and an ICMP message is one. */
        (void)uv_poll_start(poll, UV_READABLE | (socket->want_write ? UV_WRITABLE : 0), on_poll);
    }
}

static void on_poll_closed(uv_handle_t *handle)
{
    pqi_socket *socket = handle->data;
    pqi_udp_close(socket->udp);
    free(socket);
}

static void socket_close(pqi_socket *socket)
{
    uv_close((uv_handle_t *)&socket->poll, on_poll_closed);
}

/* Takes |udp| over, also on failure. */
static pqi_socket *socket_open(pqi_port *port, pqi_udp *udp)
{
    pqi_socket *socket = calloc(1, sizeof(*socket));
    if (socket == NULL || uv_poll_init(pqi_worker_loop(port->ctx->workers[port->worker].worker),
                                       &socket->poll, pqi_udp_fd(udp)) != 0) {
        pqi_udp_close(udp);
        free(socket);
        return NULL;
    }
    socket->udp = udp;
    socket->port = port;
    socket->poll.data = socket;
    (void)uv_poll_start(&socket->poll, UV_READABLE, on_poll);
    return socket;
}

static void report_counters(pqi_port *port)
{
    const pql_observer *observer = &port->ctx->opts.observer;
    const pqi_quic_counters now = pqi_quic_endpoint_counters(port->endpoint);
    const pqi_quic_counters *before = &port->reported;
    if (observer->traffic != NULL &&
        (now.datagrams_in != before->datagrams_in || now.datagrams_out != before->datagrams_out)) {
        observer->traffic(now.bytes_in - before->bytes_in, now.bytes_out - before->bytes_out,
                          now.datagrams_in - before->datagrams_in,
                          now.datagrams_out - before->datagrams_out, observer->user);
    }
    if (observer->strangers != NULL &&
        (now.retries != before->retries || now.resets != before->resets ||
         now.version_negotiations != before->version_negotiations)) {
        observer->strangers(now.retries - before->retries, now.resets - before->resets,
                            now.version_negotiations - before->version_negotiations,
                            observer->user);
    }
    port->reported = now;
    const pql_stream_counts *streams = &port->streams;
    if (observer->streams != NULL && (streams->opened_in != 0 || streams->opened_out != 0 ||
                                      streams->closed_in != 0 || streams->closed_out != 0)) {
        observer->streams(streams, observer->user);
        port->streams = (pql_stream_counts){0};
    }
}

static void poll_for(pqi_socket *socket)
{
    const bool want_write = pqi_udp_blocked(socket->udp);
    if (want_write != socket->want_write) {
        socket->want_write = want_write;
        (void)uv_poll_start(&socket->poll, UV_READABLE | (want_write ? UV_WRITABLE : 0), on_poll);
    }
}

static void on_task(pqi_task *task, uint64_t now)
{
    pqi_port *port = (pqi_port *)task;
    pqi_quic_endpoint_flush(port->endpoint, now);
    if (pqi_udp_refused(port->socket->udp)) {
        read_socket(port->socket);
    }
    if (port->path_lost) {
        pqi_port_check_path(port);
    }
    report_counters(port);
    if (port->link == NULL && port->listener == NULL && pqi_quic_endpoint_empty(port->endpoint)) {
        pqi_port_free(port);
        return;
    }
    poll_for(port->socket);
    pqi_worker_schedule(port->ctx->workers[port->worker].worker, task,
                        pqi_quic_endpoint_deadline(port->endpoint));
}

void pqi_port_kick(pqi_port *port)
{
    pqi_worker_kick(port->ctx->workers[port->worker].worker, &port->task);
}

void pqi_port_free(pqi_port *port)
{
    pqi_context_worker *home = &port->ctx->workers[port->worker];
    pqi_worker_forget(home->worker, &port->task);
    report_counters(port);
    pqi_quic_endpoint_free(port->endpoint);
    if (port->prev != NULL) {
        port->prev->next = port->next;
    } else {
        home->ports = port->next;
    }
    if (port->next != NULL) {
        port->next->prev = port->prev;
    }
    socket_close(port->socket);
    free(port);
}

/* NULL without memory: each endpoint then has its own, or fails. */
static uint8_t *send_buffer(pqi_context_worker *home)
{
    if (home->send_buffer == NULL) {
        home->send_buffer = malloc(PQI_QUIC_BUFFER);
    }
    return home->send_buffer;
}

/* On the worker's thread.  Takes |udp| over, also on failure. */
static pql_status port_new(pqi_port **out, pql_context *ctx, unsigned worker, pqi_udp *udp,
                           const pqi_quic_endpoint_opts *base, pql_error *err)
{
    pqi_context_worker *home = &ctx->workers[worker];
    pqi_port *port = calloc(1, sizeof(*port));
    *out = NULL;
    if (port == NULL) {
        pqi_udp_close(udp);
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory opening a socket.");
    }
    port->task.run = on_task;
    port->ctx = ctx;
    port->worker = worker;
    port->socket = socket_open(port, udp);
    pqi_quic_endpoint_opts opts = *base;
    opts.io = io_of(port);
    opts.buffer = send_buffer(home);
    port->endpoint = port->socket == NULL ? NULL : pqi_quic_endpoint_new(&opts);
    if (port->endpoint == NULL) {
        if (port->socket != NULL) {
            socket_close(port->socket);
        }
        free(port);
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory opening a socket.");
    }
    port->next = home->ports;
    if (port->next != NULL) {
        port->next->prev = port;
    }
    home->ports = port;
    *out = port;
    return PQL_OK;
}

pql_status pqi_port_listen(pql_listener *listener, unsigned worker, pqi_udp *udp, pql_error *err)
{
    pqi_port *port = NULL;
    pqi_quic_endpoint_opts opts = listener->endpoint_opts;
    opts.worker = worker;
    const pql_status status = port_new(&port, listener->ctx, worker, udp, &opts, err);
    if (status == PQL_OK) {
        port->listener = listener;
    }
    return status;
}

static pql_status open_client_socket(const pqi_address *remote, pqi_udp **udp, pql_error *err)
{
    const bool v6 = remote->sa.any.sa_family == AF_INET6;
    pqi_udp_opts opts = {.connect = *remote};
    (void)pqi_address_from_literal(&opts.bind, v6 ? "::" : "0.0.0.0", 0);
    return pqi_udp_open(udp, &opts, err);
}

/* A link stays on its path while the address that it sends from is still one of ours: a better
 * route is no reason to risk a path that nobody has tried. */
static bool still_ours(const pqi_address *local)
{
    pqi_udp *probe = NULL;
    pqi_udp_opts opts = {.bind = *local};
    pqi_address_set_port(&opts.bind, 0);
    const bool ours = pqi_udp_open(&probe, &opts, NULL) == PQL_OK;
    pqi_udp_close(probe);
    return ours;
}

void pqi_port_check_path(pqi_port *port)
{
    pqi_udp *udp = NULL;
    port->path_lost = false;
    if (port->link == NULL || port->link->conn == NULL) {
        return;
    }
    const pqi_address gone = pqi_udp_local(port->socket->udp);
    if (still_ours(&gone)) {
        return;
    }
    port->path_lost = true; /* until the link has moved; looked at again when the port runs */
    const pqi_address *remote = pqi_quic_conn_remote(port->link->conn);
    if (open_client_socket(remote, &udp, NULL) != PQL_OK) {
        return; /* no way there at all at the moment: the old path may come back */
    }
    const pqi_address now = pqi_udp_local(udp);
    pqi_socket *fresh = socket_open(port, udp);
    if (fresh == NULL) {
        return;
    }
    if (pqi_quic_conn_migrate(port->link->conn, &now, pqi_clock_monotonic()) != PQL_OK) {
        /* Still in its handshake, or short of connection IDs. */
        socket_close(fresh);
        return;
    }
    socket_close(port->socket);
    port->socket = fresh;
    port->path_lost = false;
    pqi_port_kick(port);
}

static void on_network_change(void *user)
{
    const pqi_context_worker *home = user;
    for (pqi_port *port = home->ports; port != NULL; port = port->next) {
        pqi_port_check_path(port);
    }
}

/* Links work without it; they then notice a lost path by their time-outs. */
static void watch_network(pqi_context_worker *home)
{
    if (home->watch == NULL) {
        (void)pqi_watch_open(&home->watch, home->worker, on_network_change, home, NULL);
    }
}

/* How often the first flight is sent, or the token that makes copies needless.  |token| is the room
 * for it. */
static void plan_first_flight(pql_context *ctx, const pqi_connect *connect, uint8_t *token,
                              pqi_quic_endpoint_opts *opts)
{
    const unsigned known = pqi_servers_copies(ctx->servers, connect->host_port);
    const unsigned usual = connect->own_profile ? COPIES_COMPACT : COPIES_FOREIGN;
    opts->copies_long = connect->copies != 0 ? connect->copies : known > usual ? known : usual;
    opts->copies_short = connect->copies != 0 ? connect->copies : known > 1 ? known : 1;
    if (!connect->no_token) {
        opts->token_len = pqi_servers_take_token(ctx->servers, connect->host_port, token);
        opts->token = token;
    }
}

pql_status pqi_port_connect(pql_link *link, const pqi_address *remote, uint64_t handshake_timeout,
                            pql_error *err)
{
    const pqi_connect *connect = link->connect;
    const uint64_t now = pqi_clock_monotonic();
    pqi_udp *udp = NULL;
    pqi_port *port = NULL;
    uint8_t token[PQI_QUIC_TOKEN_MAX];
    pqi_quic_endpoint_opts opts = {
        .tls = connect->tls,
        .workers = 1,
        .wall_offset = pqi_clock_unix_offset(now),
        .max_streams = connect->max_streams,
        .idle_timeout = connect->idle_timeout,
        .handshake_timeout = handshake_timeout,
        .keep_alive = connect->keep_alive,
    };
    pql_status status = open_client_socket(remote, &udp, err);
    if (status != PQL_OK) {
        return status;
    }
    pqi_random(opts.secret, sizeof(opts.secret));
    plan_first_flight(link->ctx, connect, token, &opts);
    const pqi_address local = pqi_udp_local(udp);
    status = port_new(&port, link->ctx, link->worker, udp, &opts, err);
    if (status != PQL_OK) {
        return status;
    }
    status = pqi_quic_endpoint_connect(port->endpoint, &local, remote, connect->url.host,
                                       connect->host_port, &pqi_link_events, link, now, &link->conn,
                                       err);
    if (status != PQL_OK) {
        pqi_port_free(port);
        return status;
    }
    port->link = link;
    link->port = port;
    pqi_address_format(remote, link->address); /* a failure is told with it, too */
    pqi_port_kick(port);
    watch_network(&link->ctx->workers[link->worker]);
    return PQL_OK;
}
