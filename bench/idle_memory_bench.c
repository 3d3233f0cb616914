/* Private memory of a server per idle QUIC link (X25519MLKEM768 + ML-DSA-87).
 *
 * The clients live in a process of their own; what is measured is how much the server's private
 * memory grows from no links to LINKS, a while after the last handshake.  JSON on standard output.
 */
#include <pqlink/link.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WARM_LINKS 100
#define LINKS 2000
/* Handshakes under way at a time, below the number from which Retry is asked for. */
#define AT_ONCE 50
#define ALPN "bench/1"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;
static unsigned opened;
static unsigned failed;

static void check(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "the benchmark broke: %s\n", what);
        exit(1);
    }
}

static void on_open(pql_link *link, void *user)
{
    (void)link;
    (void)user;
    pthread_mutex_lock(&lock);
    opened++;
    pthread_cond_broadcast(&change);
    pthread_mutex_unlock(&lock);
}

static void on_close(pql_link *link, const pql_close *why, void *user)
{
    (void)link;
    (void)why;
    (void)user;
    pthread_mutex_lock(&lock);
    failed++;
    pthread_cond_broadcast(&change);
    pthread_mutex_unlock(&lock);
}

static const pql_handlers handlers = {.link_open = on_open, .link_close = on_close};

static void wait_opened(unsigned count)
{
    pthread_mutex_lock(&lock);
    while (opened < count) {
        check(failed == 0, "a link failed");
        pthread_cond_wait(&change, &lock);
    }
    pthread_mutex_unlock(&lock);
}

/* Kilobytes that no other process shares. */
static long private_kb(void)
{
    char line[256];
    long total = 0;
    long value = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    check(file != NULL, "no smaps_rollup");
    while (fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "Private_Clean: %ld", &value) == 1 ||
            sscanf(line, "Private_Dirty: %ld", &value) == 1) {
            total += value;
        }
    }
    (void)fclose(file);
    return total;
}

/* The clients: as many links as the server's orders on |orders| say, and a byte back for each. */
static int run_clients(int orders, int answers)
{
    struct {
        uint16_t port;
        pql_fingerprint pin;
    } where;
    char url[64];
    char byte = 0;
    unsigned wanted = 0;
    pql_context *ctx = NULL;
    check(read(orders, &where, sizeof(where)) == (ssize_t)sizeof(where), "no address");
    check(pql_context_new(&ctx, &(pql_context_opts){.workers = 1}, NULL) == PQL_OK, "context");
    (void)snprintf(url, sizeof(url), "quic://127.0.0.1:%u", (unsigned)where.port);
    const pql_peer peer = {.pins = &where.pin, .pin_count = 1};
    const pql_connect_opts opts = {.alpn = ALPN, .handlers = &handlers, .idle_timeout_ms = 600000};
    unsigned count = 0;
    while (read(orders, &count, sizeof(count)) == (ssize_t)sizeof(count)) {
        for (unsigned i = 0; i < count; i++) {
            check(pql_connect(ctx, url, &peer, &opts, NULL, NULL) == PQL_OK, "connect");
            wanted++;
            if (wanted % AT_ONCE == 0) {
                wait_opened(wanted);
            }
        }
        wait_opened(wanted);
        check(write(answers, &byte, 1) == 1, "answer");
    }
    return 0;
}

static void order(int orders, int answers, unsigned count)
{
    char byte = 0;
    check(write(orders, &count, sizeof(count)) == (ssize_t)sizeof(count), "order");
    check(read(answers, &byte, 1) == 1, "the clients broke");
    (void)sleep(2); /* acknowledgements, handshake confirmation, path MTU probes */
}

int main(void)
{
    static const pql_alpn alpn = {ALPN, PQL_LEAF_PQ};
    int orders[2];
    int answers[2];
    struct {
        uint16_t port;
        pql_fingerprint pin;
    } where;
    memset(&where, 0, sizeof(where));
    check(pipe(orders) == 0 && pipe(answers) == 0, "pipe");
    const pid_t child = fork();
    if (child == 0) {
        (void)close(orders[1]);
        return run_clients(orders[0], answers[1]);
    }
    pql_identity *identity = NULL;
    pql_context *ctx = NULL;
    pql_listener *listener = NULL;
    check(pql_identity_ephemeral(&identity, NULL, NULL) == PQL_OK, "identity");
    const pql_context_opts opts = {.identity = identity, .workers = 1};
    static const pql_handlers silent;
    const pql_listen_opts listen = {
        .alpn = &alpn, .alpn_count = 1, .handlers = &silent, .idle_timeout_ms = 600000};
    check(pql_context_new(&ctx, &opts, NULL) == PQL_OK, "context");
    check(pql_listen(ctx, "quic://127.0.0.1:0", &listen, &listener, NULL) == PQL_OK, "listen");
    where.port = pql_listener_port(listener);
    pql_identity_fingerprint(identity, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &where.pin);
    check(write(orders[1], &where, sizeof(where)) == (ssize_t)sizeof(where), "address");
    order(orders[1], answers[0], WARM_LINKS);
    const long before = private_kb();
    order(orders[1], answers[0], LINKS);
    const long after = private_kb();
    const double each = (double)(after - before) / LINKS;
    (void)fprintf(stderr, "private memory of the server per idle link: %.1f kB (%d links)\n", each,
                  LINKS);
    (void)printf("{\"bench\":\"idle_memory\",\"links\":%d,\"kb_per_link\":%.1f}\n", LINKS, each);
    (void)close(orders[1]);
    (void)waitpid(child, NULL, 0);
    pql_context_free(ctx);
    pql_identity_free(identity);
    return 0;
}
