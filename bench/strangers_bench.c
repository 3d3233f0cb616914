/* What strangers cost a node: processor time for each datagram of a flood, bytes sent back for each
 * byte received, and memory, for spoofed first flights (also ones that are ended) and three kinds
 * of rubbish.
 *
 *     bench_strangers [FIRST-FLIGHTS [DATAGRAMS]]
 *
 * The node is a context with one worker and the limits of `pqlink node`, in a process of its own;
 * the flood comes from tests/stress/strangers over loopback, as fast as the node answers.  JSON on
 * standard output, a table on standard error. */
#include "base/clock.h"

#include <pqlink/link.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST_FLIGHTS "100000"
#define DATAGRAMS "300000"
/* proc(5), /proc/PID/stat: utime and stime are fields 14 and 15; two stand before the state. */
#define FIELDS_BEFORE_UTIME 11

static void check(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "the benchmark broke: %s\n", what);
        exit(1);
    }
}

/* ---- The node ---- */

static int serve(int tell, int stop)
{
    static const pql_handlers handlers;
    static const pql_alpn alpn = {"pqlink-miner/1", PQL_LEAF_PQ};
    pql_identity *identity = NULL;
    pql_context *ctx = NULL;
    pql_listener *listener = NULL;
    char byte;
    check(pql_identity_ephemeral(&identity, NULL, NULL) == PQL_OK, "identity");
    const pql_context_opts opts = {.identity = identity, .workers = 1};
    const pql_listen_opts listen = {.alpn = &alpn, .alpn_count = 1, .handlers = &handlers};
    check(pql_context_new(&ctx, &opts, NULL) == PQL_OK, "context");
    check(pql_listen(ctx, "quic://127.0.0.1:0", &listen, &listener, NULL) == PQL_OK, "listen");
    const uint16_t port = pql_listener_port(listener);
    check(write(tell, &port, sizeof(port)) == (ssize_t)sizeof(port), "pipe");
    check(read(stop, &byte, 1) == 0, "pipe");
    pql_context_free(ctx);
    pql_identity_free(identity);
    return 0;
}

/* Seconds of processor time of a process. */
static double cpu_of(pid_t pid)
{
    char path[64];
    char text[1024] = {0};
    unsigned long long user = 0;
    unsigned long long system = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    check(file != NULL && fgets(text, sizeof(text), file) != NULL, path);
    (void)fclose(file);
    const char *at = strrchr(text, ')');
    check(at != NULL, path);
    for (int i = 0; i <= FIELDS_BEFORE_UTIME; i++) {
        at = strchr(at + 1, ' ');
        check(at != NULL, path);
    }
    check(sscanf(at, "%llu %llu", &user, &system) == 2, path);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* Private memory in kB. */
static unsigned long memory_of(pid_t pid)
{
    char path[64];
    char line[256];
    unsigned long kib = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    check(file != NULL, path);
    while (fgets(line, sizeof(line), file) != NULL) {
        (void)sscanf(line, "RssAnon: %lu kB", &kib);
    }
    (void)fclose(file);
    return kib;
}

/* ---- The flood ---- */

static void flood(pid_t node, const char *kind, const char *count, uint16_t port)
{
    char command[512];
    char answer[512] = {0};
    unsigned long long sent = 0;
    unsigned long long sent_bytes = 0;
    unsigned long long came = 0;
    unsigned long long came_bytes = 0;
    const double cpu = cpu_of(node);
    const uint64_t before = pqi_clock_monotonic();
    (void)snprintf(command, sizeof(command), "'%s' %s %s %u", STRANGERS, kind, count,
                   (unsigned)port);
    FILE *tool = popen(command, "r"); /* NOLINT(cert-env33-c): the words are ours */
    check(tool != NULL && fgets(answer, sizeof(answer), tool) != NULL, "no flood");
    check(pclose(tool) == 0, "the flood broke");
    const double seconds = (double)(pqi_clock_monotonic() - before) / (double)PQI_NS_PER_SEC;
    const double spent = cpu_of(node) - cpu;
    const char *numbers = strstr(answer, "\"sent\"");
    check(numbers != NULL && sscanf(numbers,
                                    "\"sent\":%llu,\"sent_bytes\":%llu,\"came\":%llu,"
                                    "\"came_bytes\":%llu",
                                    &sent, &sent_bytes, &came, &came_bytes) == 4,
          answer);
    const double each = spent * 1e6 / (double)sent;
    const double ratio = (double)came_bytes / (double)sent_bytes;
    (void)fprintf(stderr,
                  "   %-8s %8llu datagrams in %5.1f s  %6.2f us each  %5.3f bytes back  %6lu kB\n",
                  kind, sent, seconds, each, ratio, memory_of(node));
    (void)printf("{\"bench\":\"strangers\",\"kind\":\"%s\",\"datagrams\":%llu,\"seconds\":%.2f,"
                 "\"node_cpu_us_per_datagram\":%.3f,\"bytes_back_per_byte\":%.4f,"
                 "\"node_private_kb\":%lu}\n",
                 kind, sent, seconds, each, ratio, memory_of(node));
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *hellos = argc > 1 ? argv[1] : FIRST_FLIGHTS;
    const char *datagrams = argc > 2 ? argv[2] : DATAGRAMS;
    int tell[2];
    int stop[2];
    uint16_t port = 0;
    check(pipe(tell) == 0 && pipe(stop) == 0, "pipe");
    const pid_t node = fork();
    check(node >= 0, "fork");
    if (node == 0) {
        (void)close(stop[1]);
        return serve(tell[1], stop[0]);
    }
    check(read(tell[0], &port, sizeof(port)) == (ssize_t)sizeof(port), "the node broke");
    (void)fprintf(stderr,
                  "strangers: the node's processor time for each datagram, its answers for each "
                  "byte, its private memory (%lu kB at the start)\n",
                  memory_of(node));
    flood(node, "hello", hellos, port);
    flood(node, "bye", hellos, port);
    flood(node, "version", datagrams, port);
    flood(node, "short", datagrams, port);
    flood(node, "noise", datagrams, port);
    (void)close(stop[1]);
    int status = 0;
    check(waitpid(node, &status, 0) == node && status == 0, "the node's end");
    return 0;
}
