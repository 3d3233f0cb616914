#include "sim/network.h"

#include "base/clock.h"

#include <openssl/rand.h>

#include <stdlib.h>
#include <string.h>

#define QUEUE_MAX 65536
#define CLIENT_PORT 40000
#define REBOUND_PORT 40001
#define MIGRATED_PORT 40002
#define STRANGER_PORT 6666
#define SERVER_PORT 9833
#define SERVER_HOST "10.0.0.1"
#define ECHO_CHUNK 16384
#define ECN_CE 3

typedef struct datagram {
    uint64_t at;
    bool to_server;
    uint16_t client_port;
    uint8_t ecn;
    size_t len;
    uint8_t *data;
} datagram;

struct sim {
    sim_opts opts;
    uint64_t random;
    uint64_t now;
    datagram *queue[QUEUE_MAX];
    size_t queued;
    pqi_quic_tls *client_tls, *server_tls; /* own ones */
    pqi_quic_endpoint *client, *server;
    pqi_quic_conn *client_conn, *server_conn;
    sim_peer_log client_log, server_log;
    uint8_t secret[PQI_QUIC_SECRET_LEN];
    uint16_t port_seen;   /* the client's port as the server sees it */
    uint16_t client_port; /* its own idea of it */
    unsigned client_datagrams, server_runs, marks_sent, marks_received;
    size_t unvalidated_in, unvalidated_out, stranger_bytes;
    bool validated;
    double amplification;
    size_t to_send;
    pqi_quic_stream *stream;
    /* What the server could not echo at once: its bytes follow from their place. */
    size_t echo_at, echo_until;
    bool echo_fin;
};

static uint64_t next_random(sim *s)
{
    /* splitmix64: any seed gives a good sequence. */
    uint64_t z = (s->random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static bool chance(sim *s, unsigned per_mille)
{
    return next_random(s) % 1000 < per_mille;
}

static pqi_address address_of(uint16_t port)
{
    pqi_address address;
    (void)pqi_address_from_literal(&address, SERVER_HOST, port);
    return address;
}

static pqi_address client_address(const sim *s, uint16_t port)
{
    pqi_address address;
    (void)pqi_address_from_literal(
        &address, s->opts.client_host != NULL ? s->opts.client_host : SERVER_HOST, port);
    return address;
}

static sim_fate fate_of(sim *s, bool to_server, size_t len)
{
    sim_fate fate = {0};
    if (s->opts.fate != NULL) {
        fate = s->opts.fate(s->opts.fate_user, to_server, len);
    }
    if (chance(s, s->opts.rules.corrupt)) {
        fate.flip = true;
        fate.flip_bit = (size_t)next_random(s);
    }
    return fate;
}

static void enqueue(sim *s, const uint8_t *data, size_t len, uint8_t ecn, bool to_server,
                    uint16_t client_port, const sim_fate *fate)
{
    if (s->queued == QUEUE_MAX) {
        return;
    }
    if (fate->keep > 0 && fate->keep < len) {
        len = fate->keep;
    }
    if (ecn != 0) {
        s->marks_sent++;
        ecn = chance(s, s->opts.rules.mark_ce) ? ECN_CE : ecn;
    }
    datagram *d = malloc(sizeof(*d));
    d->at = s->now + s->opts.rules.delay + fate->extra_delay;
    if (s->opts.rules.jitter > 0) {
        d->at += next_random(s) % s->opts.rules.jitter;
    }
    d->to_server = to_server;
    d->client_port = client_port;
    d->ecn = ecn;
    d->len = len;
    d->data = malloc(len);
    memcpy(d->data, data, len);
    if (fate->flip) {
        d->data[fate->flip_bit / 8 % len] ^= (uint8_t)(1u << fate->flip_bit % 8);
    }
    s->queue[s->queued++] = d;
}

static bool is_lost(sim *s, size_t len, bool to_server)
{
    const sim_rules *r = &s->opts.rules;
    const uint64_t since = s->now - SIM_START;
    const bool dark = r->blackhole_for > 0 && since >= r->blackhole_at &&
                      since < r->blackhole_at + r->blackhole_for;
    if (to_server && s->client_datagrams++ < r->drop_first_client) {
        return true;
    }
    return dark || (r->server_dark && !to_server) || (r->mtu > 0 && len > r->mtu) ||
           chance(s, r->loss);
}

static void transmit(sim *s, const pqi_datagrams *run, bool to_server)
{
    for (size_t at = 0; at < run->len; at += run->segment) {
        const size_t len = run->len - at < run->segment ? run->len - at : run->segment;
        const uint16_t port = to_server ? s->port_seen : pqi_address_port(&run->remote);
        if (!to_server && port == STRANGER_PORT) {
            s->stranger_bytes += len;
            continue;
        }
        if (!to_server && !s->validated) {
            s->unvalidated_out += len;
            const double ratio = (double)s->unvalidated_out / (double)s->unvalidated_in;
            if (ratio > s->amplification) {
                s->amplification = ratio;
            }
        }
        const sim_fate fate = fate_of(s, to_server, len);
        if (is_lost(s, len, to_server) || fate.drop) {
            continue;
        }
        enqueue(s, run->data + at, len, run->ecn, to_server, port, &fate);
        if (chance(s, s->opts.rules.duplicate) || fate.duplicate) {
            const sim_fate whole = {0};
            enqueue(s, run->data + at, len, run->ecn, to_server, port, &whole);
        }
    }
}

static bool client_send(void *user, const pqi_datagrams *run)
{
    transmit(user, run, true);
    return true;
}

static bool server_send(void *user, const pqi_datagrams *run)
{
    sim *s = user;
    s->server_runs++;
    transmit(s, run, false);
    return true;
}

static bool never_blocked(void *user)
{
    (void)user;
    return false;
}

static void random_bytes(void *user, uint8_t *out, size_t len)
{
    sim *s = user;
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)next_random(s);
    }
}

static void no_hand_over(void *user, unsigned worker, const pqi_datagrams *run)
{
    (void)user;
    (void)worker;
    (void)run;
    abort(); /* there is one worker only */
}

static void ignore_reject(void *user, const char *reason)
{
    (void)user;
    (void)reason;
}

static sim *sim_of(pqi_quic_conn *conn)
{
    return pqi_quic_conn_user(conn);
}

static sim_peer_log *log_of(pqi_quic_conn *conn)
{
    sim *s = sim_of(conn);
    return pqi_quic_conn_is_server(conn) ? &s->server_log : &s->client_log;
}

/* The client's bytes: their value tells their place, so that the far end can check the order. */
static uint8_t byte_at(size_t place)
{
    return (uint8_t)(place * 31 + (place >> 8));
}

/* Writes the bytes from |at| until |until| as far as the queue takes them; the new place. */
static size_t pump(pqi_quic_stream *stream, size_t at, size_t until, bool fin)
{
    while (at < until) {
        uint8_t chunk[ECHO_CHUNK];
        const size_t len = until - at < sizeof(chunk) ? until - at : sizeof(chunk);
        for (size_t i = 0; i < len; i++) {
            chunk[i] = byte_at(at + i);
        }
        if (pqi_quic_stream_write(stream, chunk, len, fin && at + len == until) != PQL_OK) {
            break;
        }
        at += len;
    }
    return at;
}

static void client_pump(sim *s)
{
    const size_t at = s->opts.send - s->to_send;
    s->to_send -= pump(s->stream, at, s->opts.send, true) - at;
}

static void server_pump(sim *s, pqi_quic_stream *stream)
{
    s->echo_at = pump(stream, s->echo_at, s->echo_until, s->echo_fin);
}

static void echo(sim *s, pqi_quic_stream *stream, const uint8_t *data, size_t len, bool fin)
{
    const bool waiting = s->echo_at < s->echo_until;
    if (!waiting && pqi_quic_stream_write(stream, data, len, fin) == PQL_OK) {
        return;
    }
    if (!waiting) {
        s->echo_at = s->server_log.received - len;
    }
    s->echo_until = s->server_log.received;
    s->echo_fin = fin;
}

static void on_open(pqi_quic_conn *conn)
{
    sim *s = sim_of(conn);
    sim_peer_log *log = log_of(conn);
    log->opened++;
    log->posture = *pqi_quic_conn_posture(conn);
    log->opened_at = s->now - SIM_START;
    if (!pqi_quic_conn_is_server(conn) && s->opts.send > 0 &&
        pqi_quic_stream_open(conn, &s->stream, NULL) == PQL_OK) {
        client_pump(s);
    }
}

static void on_closed(pqi_quic_conn *conn, const pql_close *why)
{
    sim *s = sim_of(conn);
    sim_peer_log *log = log_of(conn);
    log->closed++;
    log->close = *why;
    if (log->opened == 0) {
        log->posture = *pqi_quic_conn_posture(conn); /* as far as it came */
    }
    if (pqi_quic_conn_is_server(conn)) {
        s->server_conn = NULL;
    } else {
        s->client_conn = NULL;
    }
}

static void on_timer(pqi_quic_conn *conn, uint64_t now)
{
    (void)conn;
    (void)now;
}

static void on_stream_open(pqi_quic_stream *stream)
{
    log_of(pqi_quic_stream_conn(stream))->streams_opened++;
}

static void on_stream_data(pqi_quic_stream *stream, const uint8_t *data, size_t len, bool fin)
{
    pqi_quic_conn *conn = pqi_quic_stream_conn(stream);
    const sim_opts *opts = &sim_of(conn)->opts;
    sim_peer_log *log = log_of(conn);
    if (opts->stream_data != NULL) {
        opts->stream_data(opts->stream_user, stream, data, len, fin);
        return;
    }
    for (size_t i = 0; i < len; i++) {
        if (data[i] != byte_at(log->received + i)) {
            abort(); /* bytes out of order or changed: nothing after this would mean anything */
        }
    }
    log->received += len;
    log->fin = log->fin || fin;
    if (pqi_quic_conn_is_server(conn)) {
        echo(sim_of(conn), stream, data, len, fin);
    }
}

static void on_stream_writable(pqi_quic_stream *stream)
{
    pqi_quic_conn *conn = pqi_quic_stream_conn(stream);
    if (!pqi_quic_conn_is_server(conn)) {
        client_pump(sim_of(conn));
    } else {
        server_pump(sim_of(conn), stream);
    }
}

static void on_stream_closed(pqi_quic_stream *stream, uint64_t code)
{
    sim_peer_log *log = log_of(pqi_quic_stream_conn(stream));
    log->streams_closed++;
    log->stream_code = code;
}

static const pqi_quic_events events = {
    .open = on_open,
    .closed = on_closed,
    .timer = on_timer,
    .stream_open = on_stream_open,
    .stream_data = on_stream_data,
    .stream_writable = on_stream_writable,
    .stream_closed = on_stream_closed,
};

static const pqi_quic_events *on_accept(void *user, pqi_quic_conn *conn, void **owner)
{
    sim *s = user;
    s->server_conn = conn;
    *owner = s;
    return &events;
}

static void client_qlog(void *user, void **slot, const void *data, size_t len, bool last)
{
    const sim *s = user;
    (void)slot;
    (void)last;
    s->opts.qlog(s->opts.qlog_user, false, data, len);
}

static void server_qlog(void *user, void **slot, const void *data, size_t len, bool last)
{
    const sim *s = user;
    (void)slot;
    (void)last;
    s->opts.qlog(s->opts.qlog_user, true, data, len);
}

static void on_new_token(void *user, const uint8_t *token, size_t len)
{
    sim *s = user;
    memcpy(s->client_log.token, token, len);
    s->client_log.token_len = len;
}

static void on_held_up(void *user, unsigned copies)
{
    sim *s = user;
    s->client_log.held_up = copies;
}

static pqi_quic_endpoint *new_endpoint(sim *s, bool server)
{
    pqi_quic_endpoint_opts opts = {
        .io = {.send = server ? server_send : client_send,
               .blocked = never_blocked,
               .random = random_bytes,
               .hand_over = no_hand_over,
               .accept = on_accept,
               .rejected = ignore_reject,
               .new_token = on_new_token,
               .held_up = on_held_up,
               .user = s},
        .tls = server ? s->opts.server_tls : s->opts.client_tls,
        .server = server,
        .workers = 1,
        .wall_offset = UINT64_C(1700000000) * PQI_NS_PER_SEC + s->opts.wall_later,
        .max_links = 100,
        .max_unauthenticated = 50,
        .retry_threshold = s->opts.retry_threshold,
        .max_streams = s->opts.max_streams != 0 ? s->opts.max_streams : 16,
        .max_receive = s->opts.max_receive,
        .wide_window = server && s->opts.wide_window,
        .idle_timeout = 60 * PQI_NS_PER_SEC,
        .handshake_timeout = 10 * PQI_NS_PER_SEC,
        .keep_alive = server ? 0 : s->opts.keep_alive,
    };
    memcpy(opts.secret, s->secret, sizeof(opts.secret));
    if (!server) {
        opts.copies_short = s->opts.copies_short != 0 ? s->opts.copies_short : 1;
        opts.copies_long = s->opts.copies_long != 0 ? s->opts.copies_long : 2;
        opts.token = s->opts.token;
        opts.token_len = s->opts.token_len;
    }
    if (s->opts.qlog != NULL) {
        opts.io.qlog = server ? server_qlog : client_qlog;
    }
    return pqi_quic_endpoint_new(&opts);
}

bool sim_tls(const sim_opts *opts, pqi_quic_tls **client, pqi_quic_tls **server)
{
    static const pql_alpn server_alpn[] = {{"sim/1", PQL_LEAF_PQ}, {"sim-old", PQL_LEAF_CLASSICAL}};
    const pql_alpn client_alpn = {opts->client_alpn != NULL ? opts->client_alpn : "sim/1",
                                  PQL_LEAF_PQ};
    /* The classical leaf may not be shown under every policy. */
    const bool pq_leaves = pql_policy_needs_pq_authentication(opts->server_policy);
    pqi_quic_tls_opts server_opts = {.server = true,
                                     .policy = opts->server_policy,
                                     .identity = opts->identity,
                                     .alpn = server_alpn,
                                     .alpn_count = pq_leaves ? 1 : 2};
    pqi_quic_tls_opts client_opts = {
        .policy = opts->client_policy, .alpn = &client_alpn, .alpn_count = 1, .peer = opts->peer};
    *client = NULL;
    return pqi_quic_tls_new(server, &server_opts, NULL) == PQL_OK &&
           pqi_quic_tls_new(client, &client_opts, NULL) == PQL_OK;
}

static void connect_client(sim *s)
{
    const pqi_address local = client_address(s, CLIENT_PORT);
    const pqi_address remote = address_of(SERVER_PORT);
    s->client = new_endpoint(s, false);
    (void)pqi_quic_endpoint_connect(s->client, &local, &remote, "sim.example", "sim.example:9833",
                                    &events, s, s->now, &s->client_conn, NULL);
}

sim *sim_new(const sim_opts *opts)
{
    sim *s = calloc(1, sizeof(*s));
    s->opts = *opts;
    s->random = opts->seed;
    s->now = SIM_START;
    s->port_seen = CLIENT_PORT;
    s->client_port = CLIENT_PORT;
    s->to_send = opts->send;
    memset(s->secret, opts->secret != 0 ? opts->secret : 7, sizeof(s->secret));
    if (opts->client_tls == NULL) {
        if (!sim_tls(opts, &s->client_tls, &s->server_tls)) {
            sim_free(s);
            return NULL;
        }
        s->opts.client_tls = s->client_tls;
        s->opts.server_tls = s->server_tls;
    }
    s->server = new_endpoint(s, true);
    connect_client(s);
    return s;
}

void sim_free(sim *s)
{
    for (size_t i = 0; i < s->queued; i++) {
        free(s->queue[i]->data);
        free(s->queue[i]);
    }
    pqi_quic_endpoint_free(s->client);
    pqi_quic_endpoint_free(s->server);
    pqi_quic_tls_free(s->client_tls);
    pqi_quic_tls_free(s->server_tls);
    free(s);
}

static size_t first_due(const sim *s)
{
    size_t best = 0;
    for (size_t i = 1; i < s->queued; i++) {
        if (s->queue[i]->at < s->queue[best]->at) {
            best = i;
        }
    }
    return best;
}

static void deliver(sim *s, size_t index)
{
    datagram *d = s->queue[index];
    memmove(&s->queue[index], &s->queue[index + 1], (--s->queued - index) * sizeof(s->queue[0]));
    pqi_datagrams run = {.ecn = d->ecn, .data = d->data, .len = d->len, .segment = d->len};
    s->marks_received += d->ecn != 0 ? 1 : 0;
    if (d->to_server) {
        run.local = address_of(SERVER_PORT);
        run.remote = client_address(s, d->client_port);
        if (d->client_port != STRANGER_PORT) {
            s->unvalidated_in += d->len;
            /* A second flight of the client's proves its address. */
            s->validated = s->validated || s->client_log.opened > 0 ||
                           (s->unvalidated_out > 0 && s->client_log.received == 0 &&
                            d->at > SIM_START + 3 * s->opts.rules.delay - 1);
        }
        pqi_quic_endpoint_receive(s->server, &run, s->now);
    } else {
        run.local = client_address(s, s->client_port);
        run.remote = address_of(SERVER_PORT);
        pqi_quic_endpoint_receive(s->client, &run, s->now);
    }
    free(d->data);
    free(d);
}

static uint64_t next_time(const sim *s)
{
    uint64_t next = pqi_quic_endpoint_deadline(s->client);
    const uint64_t server = pqi_quic_endpoint_deadline(s->server);
    next = server < next ? server : next;
    if (s->queued > 0 && s->queue[first_due(s)]->at < next) {
        next = s->queue[first_due(s)]->at;
    }
    return next;
}

void sim_run(sim *s, uint64_t until)
{
    for (;;) {
        pqi_quic_endpoint_flush(s->client, s->now);
        pqi_quic_endpoint_flush(s->server, s->now);
        const uint64_t next = next_time(s);
        if (next == PQI_TIME_NEVER || next > SIM_START + until) {
            s->now = SIM_START + until > s->now ? SIM_START + until : s->now;
            return;
        }
        s->now = next > s->now ? next : s->now;
        if (s->opts.rules.rebind_at > 0 && s->now >= SIM_START + s->opts.rules.rebind_at) {
            s->port_seen = REBOUND_PORT;
        }
        while (s->queued > 0) {
            const size_t index = first_due(s);
            if (s->queue[index]->at > s->now) {
                break;
            }
            deliver(s, index);
        }
    }
}

uint64_t sim_now(const sim *s)
{
    return s->now;
}

const sim_peer_log *sim_client(const sim *s)
{
    return &s->client_log;
}

const sim_peer_log *sim_server(const sim *s)
{
    return &s->server_log;
}

pqi_quic_conn *sim_client_conn(const sim *s)
{
    return s->client_conn;
}

pqi_quic_conn *sim_server_conn(const sim *s)
{
    return s->server_conn;
}

pqi_quic_endpoint *sim_server_endpoint(const sim *s)
{
    return s->server;
}

pqi_quic_endpoint *sim_client_endpoint(const sim *s)
{
    return s->client;
}

sim_rules *sim_change(sim *s)
{
    return &s->opts.rules;
}

pql_status sim_migrate(sim *s)
{
    const pqi_address local = client_address(s, MIGRATED_PORT);
    s->client_port = MIGRATED_PORT;
    s->port_seen = MIGRATED_PORT;
    return pqi_quic_conn_migrate(s->client_conn, &local, s->now);
}

void sim_rehost(sim *s, const char *host)
{
    s->opts.client_host = host;
}

unsigned sim_marks_sent(const sim *s)
{
    return s->marks_sent;
}

unsigned sim_marks_received(const sim *s)
{
    return s->marks_received;
}

double sim_amplification(const sim *s)
{
    return s->amplification;
}

void sim_restart_server(sim *s)
{
    pqi_quic_endpoint_free(s->server);
    s->server_conn = NULL;
    s->server = new_endpoint(s, true);
}

void sim_reconnect(sim *s, const uint8_t *token, size_t token_len)
{
    pqi_quic_endpoint_free(s->client);
    memset(&s->client_log, 0, sizeof(s->client_log));
    s->opts.token = token;
    s->opts.token_len = token_len;
    s->client_conn = NULL;
    connect_client(s);
}

unsigned sim_server_runs(const sim *s)
{
    return s->server_runs;
}

void sim_inject(sim *s, const void *data, size_t len)
{
    const sim_fate whole = {0};
    enqueue(s, data, len, 0, true, STRANGER_PORT, &whole);
}

size_t sim_stranger_bytes(const sim *s)
{
    return s->stranger_bytes;
}
