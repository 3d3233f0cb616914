/* Full handshakes per second of one server core, X25519MLKEM768 + ML-DSA-87 compact leaf:
 *
 *   quic   our QUIC endpoint, client and server in one thread, datagrams handed over in memory
 *   tls    the crypto library bare: its TLS 1.3 over memory buffers, same certificate and policy
 *
 * Only the CPU time of the server's calls counts.  Both run in turn in the same process; the ratio
 * quic/tls is what travels between machines, the absolute figures do not.  JSON on standard output,
 * a table on standard error. */
#include "base/clock.h"
#include "crypto/random.h"
#include "identity/identity.h"
#include "policy/policy.h"
#include "quic/endpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 5
#define HANDSHAKES 200
#define FLIGHT_MAX 64
#define DATAGRAM_MAX 65536

static uint64_t cpu_now(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * PQI_NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void check(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "the benchmark broke: %s\n", what);
        exit(1);
    }
}

/* ---- QUIC ---- */

typedef struct flight {
    struct {
        size_t len, segment;
        uint8_t *data;
    } runs[FLIGHT_MAX];
    size_t count;
} flight;

typedef struct quic_pair {
    flight to_server, to_client;
    unsigned opened;
} quic_pair;

static void put(flight *f, const pqi_datagrams *run)
{
    check(f->count < FLIGHT_MAX && run->len <= DATAGRAM_MAX, "a flight is too long");
    f->runs[f->count].data = malloc(run->len);
    memcpy(f->runs[f->count].data, run->data, run->len);
    f->runs[f->count].len = run->len;
    f->runs[f->count++].segment = run->segment;
}

static bool send_to_server(void *user, const pqi_datagrams *run)
{
    put(&((quic_pair *)user)->to_server, run);
    return true;
}

static bool send_to_client(void *user, const pqi_datagrams *run)
{
    put(&((quic_pair *)user)->to_client, run);
    return true;
}

static bool not_blocked(void *user)
{
    (void)user;
    return false;
}

static void fill_random(void *user, uint8_t *out, size_t len)
{
    (void)user;
    pqi_random(out, len);
}

static void hand_over(void *user, unsigned worker, const pqi_datagrams *run)
{
    (void)user;
    (void)worker;
    (void)run;
}

static void rejected(void *user, const char *reason)
{
    (void)user;
    check(false, reason);
}

static void on_open(pqi_quic_conn *conn)
{
    quic_pair *pair = pqi_quic_conn_user(conn);
    pair->opened++;
}

static void on_closed(pqi_quic_conn *conn, const pql_close *why)
{
    (void)conn;
    (void)why;
}

static void on_timer(pqi_quic_conn *conn, uint64_t now)
{
    (void)conn;
    (void)now;
}

static void on_stream(pqi_quic_stream *stream)
{
    (void)stream;
}

static void on_data(pqi_quic_stream *stream, const uint8_t *data, size_t len, bool fin)
{
    (void)stream;
    (void)data;
    (void)len;
    (void)fin;
}

static void on_stream_closed(pqi_quic_stream *stream, uint64_t code)
{
    (void)stream;
    (void)code;
}

static const pqi_quic_events events = {.open = on_open,
                                       .closed = on_closed,
                                       .timer = on_timer,
                                       .stream_open = on_stream,
                                       .stream_data = on_data,
                                       .stream_writable = on_stream,
                                       .stream_closed = on_stream_closed};

static const pqi_quic_events *on_accept(void *user, pqi_quic_conn *conn, void **owner)
{
    (void)conn;
    *owner = user;
    return &events;
}

static pqi_quic_endpoint *new_endpoint(quic_pair *pair, const pqi_quic_tls *tls, bool server)
{
    const pqi_quic_endpoint_opts opts = {.io = {.send = server ? send_to_client : send_to_server,
                                                .blocked = not_blocked,
                                                .random = fill_random,
                                                .hand_over = hand_over,
                                                .accept = on_accept,
                                                .rejected = rejected,
                                                .user = pair},
                                         .tls = tls,
                                         .server = server,
                                         .workers = 1,
                                         .max_links = SIZE_MAX,
                                         .max_unauthenticated = SIZE_MAX,
                                         .retry_threshold = SIZE_MAX,
                                         .max_streams = 1,
                                         .idle_timeout = 60 * PQI_NS_PER_SEC,
                                         .handshake_timeout = 10 * PQI_NS_PER_SEC};
    return pqi_quic_endpoint_new(&opts);
}

static void deliver(pqi_quic_endpoint *endpoint, flight *f, uint16_t from, uint16_t to)
{
    const uint64_t now = pqi_clock_monotonic();
    for (size_t i = 0; i < f->count; i++) {
        pqi_datagrams run = {
            .data = f->runs[i].data, .len = f->runs[i].len, .segment = f->runs[i].segment};
        (void)pqi_address_from_literal(&run.remote, "127.0.0.1", from);
        (void)pqi_address_from_literal(&run.local, "127.0.0.1", to);
        pqi_quic_endpoint_receive(endpoint, &run, now);
        free(f->runs[i].data);
    }
    f->count = 0;
    pqi_quic_endpoint_flush(endpoint, now);
}

/* One handshake; the server's CPU nanoseconds. */
static uint64_t quic_handshake(pqi_quic_endpoint *server, quic_pair *pair,
                               const pqi_quic_tls *client_tls)
{
    uint64_t spent = 0;
    pqi_address local;
    pqi_address remote;
    pqi_quic_conn *conn = NULL;
    pqi_quic_endpoint *client = new_endpoint(pair, client_tls, false);
    (void)pqi_address_from_literal(&local, "127.0.0.1", 40000);
    (void)pqi_address_from_literal(&remote, "127.0.0.1", 9833);
    pair->opened = 0;
    check(pqi_quic_endpoint_connect(client, &local, &remote, "localhost", "localhost:9833", &events,
                                    pair, pqi_clock_monotonic(), &conn, NULL) == PQL_OK,
          "connect");
    pqi_quic_endpoint_flush(client, pqi_clock_monotonic());
    for (int i = 0; i < 10 && pair->opened < 2; i++) {
        const uint64_t before = cpu_now();
        deliver(server, &pair->to_server, 40000, 9833);
        spent += cpu_now() - before;
        deliver(client, &pair->to_client, 9833, 40000);
    }
    check(pair->opened == 2, "the QUIC handshake did not end");
    pqi_quic_conn_close(conn, 0, "");
    pqi_quic_endpoint_flush(client, pqi_clock_monotonic());
    const uint64_t before = cpu_now();
    deliver(server, &pair->to_server, 40000, 9833);
    spent += cpu_now() - before;
    for (size_t i = 0; i < pair->to_client.count; i++) {
        free(pair->to_client.runs[i].data);
    }
    pair->to_client.count = 0;
    pqi_quic_endpoint_free(client);
    return spent;
}

/* ---- TLS ---- */

static enum ssl_verify_result_t accept_any(SSL *ssl, uint8_t *alert)
{
    (void)ssl;
    (void)alert;
    return ssl_verify_ok;
}

static SSL_CTX *new_tls(const pql_identity *identity, bool server)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    const pqi_policy_use use = {.policy = PQL_POLICY_HYBRID, .quic = true, .server = server};
    check(pqi_policy_apply(&use, ctx, NULL) == PQL_OK, "policy");
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (server) {
        check(pqi_identity_use(identity, PQL_LEAF_PQ, ctx, NULL) == PQL_OK, "identity");
    } else {
        SSL_CTX_set_custom_verify(ctx, SSL_VERIFY_PEER, accept_any);
    }
    return ctx;
}

static uint64_t tls_handshake(SSL_CTX *server_ctx, SSL_CTX *client_ctx)
{
    uint64_t before = cpu_now();
    SSL *server = SSL_new(server_ctx);
    uint64_t spent = cpu_now() - before;
    SSL *client = SSL_new(client_ctx);
    BIO *server_bio = NULL;
    BIO *client_bio = NULL;
    check(BIO_new_bio_pair(&server_bio, DATAGRAM_MAX, &client_bio, DATAGRAM_MAX) == 1, "pair");
    SSL_set_bio(server, server_bio, server_bio);
    SSL_set_bio(client, client_bio, client_bio);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    for (int i = 0; i < 10 && (SSL_in_init(server) || SSL_in_init(client)); i++) {
        (void)SSL_do_handshake(client);
        before = cpu_now();
        (void)SSL_do_handshake(server);
        spent += cpu_now() - before;
    }
    check(!SSL_in_init(server) && !SSL_in_init(client), "the TLS handshake did not end");
    before = cpu_now();
    SSL_free(server);
    spent += cpu_now() - before;
    SSL_free(client);
    return spent;
}

/* ---- Both ---- */

static int by_size(const void *a, const void *b)
{
    const double left = *(const double *)a;
    const double right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median(double values[ROUNDS])
{
    qsort(values, ROUNDS, sizeof(double), by_size);
    return values[ROUNDS / 2];
}

int main(void)
{
    static const pql_alpn alpn = {"bench/1", PQL_LEAF_PQ};
    static quic_pair pair;
    pql_identity *identity = NULL;
    pqi_quic_tls *server_tls = NULL;
    pqi_quic_tls *client_tls = NULL;
    pql_fingerprint pin;
    double quic[ROUNDS];
    double tls[ROUNDS];
    double ratio[ROUNDS];
    check(pql_identity_ephemeral(&identity, NULL, NULL) == PQL_OK, "identity");
    pql_identity_fingerprint(identity, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &pin);
    const pql_peer peer = {.pins = &pin, .pin_count = 1};
    const pqi_quic_tls_opts server_opts = {
        .server = true, .identity = identity, .alpn = &alpn, .alpn_count = 1};
    const pqi_quic_tls_opts client_opts = {.alpn = &alpn, .alpn_count = 1, .peer = &peer};
    check(pqi_quic_tls_new(&server_tls, &server_opts, NULL) == PQL_OK, "server TLS");
    check(pqi_quic_tls_new(&client_tls, &client_opts, NULL) == PQL_OK, "client TLS");
    SSL_CTX *bare_server = new_tls(identity, true);
    SSL_CTX *bare_client = new_tls(identity, false);
    pqi_quic_endpoint *server = new_endpoint(&pair, server_tls, true);

    for (int round = -1; round < ROUNDS; round++) { /* the first warms up */
        uint64_t quic_ns = 0;
        uint64_t tls_ns = 0;
        for (int i = 0; i < HANDSHAKES; i++) {
            quic_ns += quic_handshake(server, &pair, client_tls);
            tls_ns += tls_handshake(bare_server, bare_client);
        }
        if (round >= 0) {
            quic[round] = HANDSHAKES * (double)PQI_NS_PER_SEC / (double)quic_ns;
            tls[round] = HANDSHAKES * (double)PQI_NS_PER_SEC / (double)tls_ns;
            ratio[round] = quic[round] / tls[round];
        }
    }
    const double quic_rate = median(quic);
    const double tls_rate = median(tls);
    const double ratio_median = median(ratio);
    (void)fprintf(stderr,
                  "full handshakes per second and server core (median of %d rounds of %d)\n"
                  "  QUIC, our endpoint   %7.0f\n  TLS, library bare    %7.0f\n  ratio      "
                  "          %.2f\n",
                  ROUNDS, HANDSHAKES, quic_rate, tls_rate, ratio_median);
    (void)printf(
        "{\"bench\":\"quic_handshake\",\"group\":\"X25519MLKEM768\",\"signature\":"
        "\"ML-DSA-87\",\"quic_per_core\":%.0f,\"tls_bare_per_core\":%.0f,\"ratio\":%.3f}\n",
        quic_rate, tls_rate, ratio_median);
    pqi_quic_endpoint_free(server);
    SSL_CTX_free(bare_server);
    SSL_CTX_free(bare_client);
    pqi_quic_tls_free(server_tls);
    pqi_quic_tls_free(client_tls);
    pql_identity_free(identity);
    return 0;
}
