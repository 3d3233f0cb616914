/* Full handshakes per second of one server core, X25519MLKEM768 + ML-DSA-87 compact leaf:
 *
 *   quic         our QUIC endpoint, client and server in one thread, datagrams handed over in
 * memory ngtcp2 bare  ngtcp2 and the crypto library at both ends without anything of ours between
 * them; also with the client's first flight sent twice, as our client does, which saves the server
 * one turn and costs it two more datagrams tls bare     the crypto library: its TLS 1.3 over memory
 * buffers
 *
 * Once with a certificate of the server alone, once with one of the client too (mutual).  All with
 * the same certificates and policy.  Only the CPU time of the server's calls counts.  They run in
 * turn, handshake by handshake, in the same process; the ratios are what travels between machines,
 * the absolute figures do not.  JSON on standard output, a table on standard error.
 *
 *     bench_quic_handshake [ROUNDS [HANDSHAKES]] */
#include "../tests/quiet_quic.h"
#include "bare_quic.h"
#include "bench.h"
#include "crypto/random.h"
#include "identity/identity.h"
#include "policy/policy.h"
#include "quic/endpoint.h"

#include <string.h>

#define ROUNDS 9
#define ROUNDS_MAX 1000
#define HANDSHAKES 200
#define FLIGHT_MAX 64
#define FLIGHT_BYTES (FLIGHT_MAX * 1500)
#define TLS_BUFFER 65536
#define STEPS_MAX 10
/* How often our client sends its first flight to a server of ours. */
#define FLIGHT_COPIES 2
#define ALPN "bench/1"

/* ---- QUIC ---- */

typedef struct flight {
    struct {
        size_t len, segment;
        uint8_t *data;
    } runs[FLIGHT_MAX];
    size_t count, used;
    uint8_t bytes[FLIGHT_BYTES];
} flight;

typedef struct quic_pair {
    flight to_server, to_client;
    unsigned opened;
    pqi_address client, server;
} quic_pair;

static void put(flight *f, const pqi_datagrams *run)
{
    check(f->count < FLIGHT_MAX && f->used + run->len <= sizeof(f->bytes), "a flight is too long");
    f->runs[f->count].data = f->bytes + f->used;
    f->used += run->len;
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

static const pqi_quic_events events = {.open = on_open,
                                       .closed = quiet_closed,
                                       .timer = quiet_timer,
                                       .stream_open = quiet_stream,
                                       .stream_data = quiet_data,
                                       .stream_writable = quiet_stream,
                                       .stream_closed = quiet_stream_closed};

static const pqi_quic_events *on_accept(void *user, pqi_quic_conn *conn, void **owner)
{
    (void)conn;
    *owner = user;
    return &events;
}

static pqi_quic_endpoint *new_endpoint(quic_pair *pair, const pqi_quic_tls *tls, bool server)
{
    const pqi_quic_endpoint_opts opts = {.io = {.send = server ? send_to_client : send_to_server,
                                                .blocked = quiet_blocked,
                                                .random = quiet_random,
                                                .hand_over = quiet_hand_over,
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
                                         .handshake_timeout = 10 * PQI_NS_PER_SEC,
                                         .copies_short = 1,
                                         .copies_long = FLIGHT_COPIES};
    return pqi_quic_endpoint_new(&opts);
}

static void deliver(pqi_quic_endpoint *endpoint, flight *f, const pqi_address *from,
                    const pqi_address *to)
{
    const uint64_t now = pqi_clock_monotonic();
    for (size_t i = 0; i < f->count; i++) {
        const pqi_datagrams run = {.remote = *from,
                                   .local = *to,
                                   .data = f->runs[i].data,
                                   .len = f->runs[i].len,
                                   .segment = f->runs[i].segment};
        pqi_quic_endpoint_receive(endpoint, &run, now);
    }
    f->count = 0;
    f->used = 0;
    pqi_quic_endpoint_flush(endpoint, now);
}

/* One turn of the server; its nanoseconds of CPU time. */
__attribute__((noinline)) static uint64_t serve(pqi_quic_endpoint *server, quic_pair *pair)
{
    const uint64_t before = cpu_now();
    deliver(server, &pair->to_server, &pair->client, &pair->server);
    return cpu_now() - before;
}

/* One handshake; the server's CPU nanoseconds. */
static uint64_t quic_handshake(pqi_quic_endpoint *server, quic_pair *pair,
                               const pqi_quic_tls *client_tls)
{
    uint64_t spent = 0;
    pqi_quic_conn *conn = NULL;
    pqi_quic_endpoint *client = new_endpoint(pair, client_tls, false);
    pair->opened = 0;
    check(pqi_quic_endpoint_connect(client, &pair->client, &pair->server, "localhost",
                                    "localhost:9833", &events, pair, pqi_clock_monotonic(), &conn,
                                    NULL) == PQL_OK,
          "connect");
    pqi_quic_endpoint_flush(client, pqi_clock_monotonic());
    for (int i = 0; i < STEPS_MAX && pair->opened < 2; i++) {
        spent += serve(server, pair);
        deliver(client, &pair->to_client, &pair->server, &pair->client);
    }
    check(pair->opened == 2, "the QUIC handshake did not end");
    pqi_quic_conn_close(conn, 0, "");
    pqi_quic_endpoint_flush(client, pqi_clock_monotonic());
    spent += serve(server, pair);
    pair->to_client.count = 0;
    pair->to_client.used = 0;
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

static SSL_CTX *new_tls(const pql_identity *identity, bool server, bool mutual)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    const pqi_policy_use use = {.policy = PQL_POLICY_HYBRID, .quic = true, .server = server};
    check(pqi_policy_apply(&use, ctx, NULL) == PQL_OK, "policy");
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (server || mutual) {
        check(pqi_identity_use(identity, PQL_LEAF_PQ, ctx, NULL) == PQL_OK, "identity");
    }
    if (!server || mutual) {
        SSL_CTX_set_custom_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                                  accept_any);
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
    check(BIO_new_bio_pair(&server_bio, TLS_BUFFER, &client_bio, TLS_BUFFER) == 1, "pair");
    SSL_set_bio(server, server_bio, server_bio);
    SSL_set_bio(client, client_bio, client_bio);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    for (int i = 0; i < STEPS_MAX && (SSL_in_init(server) || SSL_in_init(client)); i++) {
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

/* ---- All of them ---- */

enum { QUIC, NGTCP2, NGTCP2_DOUBLED, TLS, KINDS };

static const char *const names[KINDS] = {"QUIC, our endpoint", "ngtcp2, bare",
                                         "ngtcp2, bare, first flight twice",
                                         "TLS, crypto library bare"};

typedef struct contestants {
    quic_pair pair;
    pqi_quic_endpoint *server;
    pqi_quic_tls *server_tls, *client_tls;
    SSL_CTX *quic_server, *quic_client; /* for bare ngtcp2 */
    SSL_CTX *tls_server, *tls_client;
} contestants;

static void prepare(contestants *all, const pql_identity *identity, bool mutual)
{
    static const pql_alpn alpn = {ALPN, PQL_LEAF_PQ};
    pql_fingerprint pin;
    pql_identity_fingerprint(identity, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &pin);
    const pql_peer peer = {.pins = &pin, .pin_count = 1};
    const pqi_quic_tls_opts server_opts = {.server = true,
                                           .identity = identity,
                                           .alpn = &alpn,
                                           .alpn_count = 1,
                                           .peer = mutual ? &peer : NULL};
    const pqi_quic_tls_opts client_opts = {
        .alpn = &alpn, .alpn_count = 1, .peer = &peer, .identity = mutual ? identity : NULL};
    check(pqi_quic_tls_new(&all->server_tls, &server_opts, NULL) == PQL_OK, "server TLS");
    check(pqi_quic_tls_new(&all->client_tls, &client_opts, NULL) == PQL_OK, "client TLS");
    all->server = new_endpoint(&all->pair, all->server_tls, true);
    (void)pqi_address_from_literal(&all->pair.client, "127.0.0.1", 40000);
    (void)pqi_address_from_literal(&all->pair.server, "127.0.0.1", 9833);
    all->tls_server = new_tls(identity, true, mutual);
    all->tls_client = new_tls(identity, false, mutual);
    all->quic_server = new_tls(identity, true, mutual);
    all->quic_client = new_tls(identity, false, mutual);
    bare_quic_setup(all->quic_server, ALPN, true);
    bare_quic_setup(all->quic_client, ALPN, false);
}

static void clean_up(contestants *all)
{
    pqi_quic_endpoint_free(all->server);
    pqi_quic_tls_free(all->server_tls);
    pqi_quic_tls_free(all->client_tls);
    SSL_CTX_free(all->tls_server);
    SSL_CTX_free(all->tls_client);
    SSL_CTX_free(all->quic_server);
    SSL_CTX_free(all->quic_client);
}

static uint64_t one_handshake(contestants *all, int kind)
{
    switch (kind) {
    case QUIC:
        return quic_handshake(all->server, &all->pair, all->client_tls);
    case NGTCP2:
        return bare_quic_handshake(all->quic_server, all->quic_client, ALPN, 1);
    case NGTCP2_DOUBLED:
        return bare_quic_handshake(all->quic_server, all->quic_client, ALPN, FLIGHT_COPIES);
    default:
        return tls_handshake(all->tls_server, all->tls_client);
    }
}

static void report(double rates[KINDS][ROUNDS_MAX], size_t rounds, unsigned handshakes, bool mutual)
{
    double rate[KINDS];
    double ratio[KINDS];
    double ratios[ROUNDS_MAX];
    for (int kind = KINDS - 1; kind >= 0; kind--) {
        for (size_t i = 0; i < rounds; i++) {
            ratios[i] = rates[QUIC][i] / rates[kind][i];
        }
        ratio[kind] = quantile(ratios, rounds, 0.5);
    }
    (void)fprintf(
        stderr,
        "full handshakes per second and server core (median of %zu rounds of %u), and our "
        "share of it\n",
        rounds, handshakes);
    for (int kind = 0; kind < KINDS; kind++) {
        rate[kind] = quantile(rates[kind], rounds, 0.5);
        (void)fprintf(stderr, "  %-34s %7.0f   %.3f\n", names[kind], rate[kind], ratio[kind]);
    }
    (void)printf("{\"bench\":\"quic_handshake\",\"group\":\"X25519MLKEM768\",\"signature\":"
                 "\"ML-DSA-87\",\"mutual\":%s,\"quic_per_core\":%.0f,"
                 "\"ngtcp2_bare_per_core\":%.0f,\"ngtcp2_bare_doubled_per_core\":%.0f,"
                 "\"tls_bare_per_core\":%.0f,\"ratio_ngtcp2\":%.3f,"
                 "\"ratio_ngtcp2_doubled\":%.3f,\"ratio_tls\":%.3f,\"target_ratio_ngtcp2\":0.92}\n",
                 mutual ? "true" : "false", rate[QUIC], rate[NGTCP2], rate[NGTCP2_DOUBLED],
                 rate[TLS], ratio[NGTCP2], ratio[NGTCP2_DOUBLED], ratio[TLS]);
}

static void measure(const pql_identity *identity, size_t rounds, unsigned handshakes, bool mutual)
{
    static contestants all;
    static double rates[KINDS][ROUNDS_MAX];
    all = (contestants){0};
    prepare(&all, identity, mutual);
    for (size_t round = 0; round <= rounds; round++) { /* the first warms up */
        uint64_t spent[KINDS] = {0};
        for (unsigned i = 0; i < handshakes; i++) {
            for (int kind = 0; kind < KINDS; kind++) {
                spent[kind] += one_handshake(&all, kind);
            }
        }
        for (int kind = 0; kind < KINDS && round > 0; kind++) {
            rates[kind][round - 1] = handshakes * (double)PQI_NS_PER_SEC / (double)spent[kind];
        }
    }
    report(rates, rounds, handshakes, mutual);
    clean_up(&all);
}

int main(int argc, char **argv)
{
    const size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUNDS;
    const unsigned handshakes = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : HANDSHAKES;
    pql_identity *identity = NULL;
    check(rounds > 0 && rounds <= ROUNDS_MAX && handshakes > 0,
          "usage: bench_quic_handshake [ROUNDS [HANDSHAKES]]");
    check(pql_identity_ephemeral(&identity, NULL, NULL) == PQL_OK, "identity");
    measure(identity, rounds, handshakes, false);
    measure(identity, rounds, handshakes, true);
    pql_identity_free(identity);
    return 0;
}
