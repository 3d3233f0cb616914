/* What post-quantum protection costs: full handshakes over loopback UDP, between a server and a
 * client of one worker each, without resumption and without address tokens, in turn:
 *
 *   classical   policy off: X25519, ECDSA P-256
 *   hybrid      policy hybrid: X25519MLKEM768, ECDSA P-256; the cost of the key exchange alone
 *   full PQ     policy hybrid: X25519MLKEM768, ML-DSA-87
 *   CNSA 2.0    policy cnsa-2.0: MLKEM1024, ML-DSA-87
 *
 * CPU time of the server's worker and of the client's, and the client's latency from the call to
 * the open link.  The ratios to "classical" are what travels between machines; the goal of 20 %
 * more stands beside them as it is.  Then the cost of judging a posture and of reading what a
 * ClientHello offers.  JSON on standard output, a table on standard error.
 *
 *     bench_policy_budget [HANDSHAKES] */
#include "bench.h"
#include "policy/offer.h"
#include "policy/policy.h"

#include <pqlink/link.h>

#include <errno.h>
#include <semaphore.h>
#include <string.h>

#define HANDSHAKES 600
#define HANDSHAKES_MAX 100000
/* The first of each kind are not counted: memory and caches are cold. */
#define WARM_UP 20
#define ALPN "pqlink-bench/1"
#define GOAL 1.20
#define CLASSIFICATIONS 2000000
#define NS_PER_US 1000.0

enum { CLASSICAL, HYBRID, FULL_PQ, CNSA, KINDS };

static const struct {
    const char *name, *key;
    pql_policy policy;
    pql_leaf leaf;
    bool pq_group, pq_signature;
} kinds[KINDS] = {
    {"classical", "classical", PQL_POLICY_OFF, PQL_LEAF_CLASSICAL, false, false},
    {"hybrid", "hybrid", PQL_POLICY_HYBRID, PQL_LEAF_CLASSICAL, true, false},
    {"full PQ", "full_pq", PQL_POLICY_HYBRID, PQL_LEAF_PQ, true, true},
    {"CNSA 2.0", "cnsa_2_0", PQL_POLICY_CNSA_2_0, PQL_LEAF_PQ, true, true},
};

typedef struct contestant {
    pql_context *server, *client;
    char url[64];
    double *ms; /* latency of each handshake */
    uint64_t server_ns, client_ns;
    char group[32], signature[32];
} contestant;

static pql_identity *identity;
static sem_t done;
static pql_posture seen;
static bool opened;

static void on_open(pql_link *link, void *user)
{
    (void)user;
    seen = *pql_link_posture(link);
    opened = true;
    pql_link_close(link, 0, "");
}

static void on_close(pql_link *link, const pql_close *why, void *user)
{
    (void)link;
    (void)user;
    check(opened, why->reason);
    (void)sem_post(&done);
}

static const pql_handlers client_handlers = {.link_open = on_open, .link_close = on_close};
static const pql_handlers server_handlers;

static void wait_done(void)
{
    while (sem_wait(&done) != 0) {
        check(errno == EINTR, "semaphore");
    }
}

/* ---- CPU time of a worker, asked on its own thread ---- */

static void read_cpu(void *arg)
{
    *(uint64_t *)arg = cpu_now();
    (void)sem_post(&done);
}

static uint64_t worker_cpu(pql_context *ctx)
{
    uint64_t ns = 0;
    check(pql_context_run(ctx, 0, read_cpu, &ns) == PQL_OK, "run");
    wait_done();
    return ns;
}

/* ---- The handshakes ---- */

static void prepare(contestant *c, int kind, size_t count)
{
    const pql_alpn alpn = {ALPN, kinds[kind].leaf};
    const pql_context_opts server = {
        .identity = identity, .policy = kinds[kind].policy, .workers = 1};
    const pql_context_opts client = {.policy = kinds[kind].policy, .workers = 1};
    const pql_listen_opts listen = {.alpn = &alpn, .alpn_count = 1, .handlers = &server_handlers};
    pql_listener *listener = NULL;
    *c = (contestant){.ms = calloc(count, sizeof(double))};
    check(c->ms != NULL, "memory");
    check(pql_context_new(&c->server, &server, NULL) == PQL_OK, "context");
    check(pql_context_new(&c->client, &client, NULL) == PQL_OK, "context");
    check(pql_listen(c->server, "quic://127.0.0.1:0", &listen, &listener, NULL) == PQL_OK,
          "listen");
    (void)snprintf(c->url, sizeof(c->url), "quic://127.0.0.1:%u",
                   (unsigned)pql_listener_port(listener));
}

static void one_handshake(contestant *c, int kind, double *ms)
{
    pql_fingerprint pin;
    pql_identity_fingerprint(identity, kinds[kind].leaf, PQL_FINGERPRINT_CERT, &pin);
    const pql_peer peer = {.pins = &pin, .pin_count = 1};
    const pql_connect_opts opts = {.alpn = ALPN, .no_token = true, .handlers = &client_handlers};
    const uint64_t server = worker_cpu(c->server);
    const uint64_t client = worker_cpu(c->client);
    opened = false;
    check(pql_connect(c->client, c->url, &peer, &opts, NULL, NULL) == PQL_OK, "connect");
    wait_done();
    check(!seen.resumed && seen.pq_key_exchange == kinds[kind].pq_group &&
              seen.pq_authentication == kinds[kind].pq_signature,
          "another posture than was to be measured");
    if (ms != NULL) {
        *ms = (double)seen.handshake_ns / (double)PQI_NS_PER_MS;
        c->server_ns += worker_cpu(c->server) - server;
        c->client_ns += worker_cpu(c->client) - client;
    }
}

static void measure(contestant all[KINDS], size_t count)
{
    for (size_t i = 0; i < WARM_UP + count; i++) {
        for (int kind = 0; kind < KINDS; kind++) {
            one_handshake(&all[kind], kind, i < WARM_UP ? NULL : &all[kind].ms[i - WARM_UP]);
            (void)snprintf(all[kind].group, sizeof(all[kind].group), "%s",
                           pql_group_name(seen.group));
            (void)snprintf(all[kind].signature, sizeof(all[kind].signature), "%s",
                           pql_signature_name(seen.peer_signature));
        }
        if ((i + 1) % 100 == 0) {
            (void)fprintf(stderr, "  %zu of %zu\n", i + 1, WARM_UP + count);
        }
    }
}

static void report_kind(contestant *c, const contestant *base, int kind, size_t count)
{
    const double p50 = quantile(c->ms, count, 0.5);
    const double p95 = quantile(c->ms, count, 0.95);
    const double p99 = quantile(c->ms, count, 0.99);
    const double cpu = (double)c->server_ns / (double)count / NS_PER_US;
    const double client_cpu = (double)c->client_ns / (double)count / NS_PER_US;
    const double cpu_ratio = (double)c->server_ns / (double)base->server_ns;
    const double client_ratio = (double)c->client_ns / (double)base->client_ns;
    const double p50_ratio = p50 / base->ms[(size_t)((double)(count - 1) * 0.5 + 0.5)];
    const double p95_ratio = p95 / base->ms[(size_t)((double)(count - 1) * 0.95 + 0.5)];
    (void)fprintf(stderr,
                  "  %-10s %-16s %-22s server %6.0f us (%.2f)  client %6.0f us (%.2f)  p50 %.2f ms "
                  "(%.2f)  p95 %.2f  p99 %.2f\n",
                  kinds[kind].name, c->group, c->signature, cpu, cpu_ratio, client_cpu,
                  client_ratio, p50, p50_ratio, p95, p99);
    (void)printf("{\"bench\":\"policy_budget\",\"kind\":\"%s\",\"group\":\"%s\",\"signature\":"
                 "\"%s\",\"handshakes\":%zu,\"server_cpu_us\":%.1f,\"client_cpu_us\":%.1f,"
                 "\"p50_ms\":%.3f,\"p95_ms\":%.3f,\"p99_ms\":%.3f,\"server_cpu_ratio\":%.3f,"
                 "\"client_cpu_ratio\":%.3f,\"p50_ratio\":%.3f,\"p95_ratio\":%.3f,"
                 "\"goal_ratio\":%.2f}\n",
                 kinds[kind].key, c->group, c->signature, count, cpu, client_cpu, p50, p95, p99,
                 cpu_ratio, client_ratio, p50_ratio, p95_ratio, GOAL);
}

/* ---- Classification ---- */

static double judge_ns(void)
{
    const pqi_policy_use use = {.policy = PQL_POLICY_HYBRID, .quic = true, .server = true};
    static const uint16_t groups[] = {0x11ec, 0x001d};
    unsigned downgrades = 0;
    const uint64_t before = cpu_now();
    for (size_t i = 0; i < CLASSIFICATIONS; i++) {
        pql_posture posture = {.tls_version = 0x0304,
                               .cipher = 0x1302,
                               .group = groups[i % 2],
                               .own_signature = 0x0906};
        pql_error err;
        check(pqi_policy_judge(&use, &posture, &err) == PQL_OK, err.message);
        downgrades += posture.downgrade != PQL_DOWNGRADE_NONE ? 1 : 0;
    }
    const double ns = (double)(cpu_now() - before) / CLASSIFICATIONS;
    check(downgrades == CLASSIFICATIONS / 2, "classification");
    return ns;
}

static double offer_ns(void)
{
    /* What a browser of 2026 offers: GREASE, X25519MLKEM768, X25519, P-256, P-384; ten schemes. */
    static const uint8_t groups[] = {0, 10, 0x2a, 0x2a, 0x11, 0xec, 0, 0x1d, 0, 0x17, 0, 0x18};
    static const uint8_t schemes[] = {0, 20, 4, 3, 8, 4, 4, 1, 5, 3, 8,
                                      5, 5,  1, 8, 6, 6, 1, 9, 6, 9, 5};
    uint32_t sets = 0;
    const uint64_t before = cpu_now();
    for (size_t i = 0; i < CLASSIFICATIONS; i++) {
        sets |= pqi_offer_groups(groups, sizeof(groups));
        sets |= pqi_offer_signatures(schemes, sizeof(schemes));
    }
    const double ns = (double)(cpu_now() - before) / CLASSIFICATIONS;
    check(sets != 0, "offer");
    return ns;
}

int main(int argc, char **argv)
{
    static contestant all[KINDS];
    const long given = argc > 1 ? strtol(argv[1], NULL, 10) : HANDSHAKES;
    check(given > 0 && given <= HANDSHAKES_MAX, "HANDSHAKES is from 1 to 100000");
    const size_t count = (size_t)given;
    check(sem_init(&done, 0, 0) == 0, "semaphore");
    check(pql_identity_ephemeral(&identity, NULL, NULL) == PQL_OK, "identity");
    for (int kind = 0; kind < KINDS; kind++) {
        prepare(&all[kind], kind, count);
    }
    measure(all, count);
    (void)fprintf(stderr,
                  "full handshakes over loopback; in brackets the ratio to classical, "
                  "goal %.2f\n",
                  GOAL);
    for (int kind = 0; kind < KINDS; kind++) {
        report_kind(&all[kind], &all[CLASSICAL], kind, count);
    }
    const double judge = judge_ns();
    const double offer = offer_ns();
    (void)fprintf(stderr, "judging a posture %.0f ns, reading what a ClientHello offers %.0f ns\n",
                  judge, offer);
    (void)printf("{\"bench\":\"policy_classification\",\"judge_ns\":%.1f,\"offer_ns\":%.1f}\n",
                 judge, offer);
    for (int kind = 0; kind < KINDS; kind++) {
        pql_context_free(all[kind].client);
        pql_context_free(all[kind].server);
        free(all[kind].ms);
    }
    pql_identity_free(identity);
    return 0;
}
