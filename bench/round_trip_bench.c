/* Time from the call to the finished handshake on first contact, over a network with delay: RUNS
 * links through the relay of the tests, one started every EVERY milliseconds so that they do not
 * wait for each other's signatures.
 *
 *     bench_round_trip [--mutual] [--runs N] [--every MS] [--to HOST:PORT --alpn NAME] [--
 * RELAY-OPTION...]
 *
 * Without --to it measures against a server of its own in a second process, with a compact
 * ML-DSA-87 leaf that the client has pinned, and with --mutual asks for the client's; with it
 * against any QUIC server, whose certificate is then not checked.  The relay (UDP_RELAY, or
 * ../tests/relay/udp_relay beside this program) gets the options behind "--"; without any it delays
 * 50 ms each way.  JSON on standard output. bench/peers.py runs the whole table, other programs
 * beside ours. */
#include "bench.h"
#include "links.h"

#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUNS 200
#define RUNS_MAX 100000
#define EVERY_MS 15
/* Slow ones, with losses, must not hold up the others. */
#define AT_ONCE 400
#define WORDS_MAX 64
/* What is under way when the last link has closed still counts in the relay. */
#define LAST_WORDS_US 300000
#define TARGET_MS 107
#define MUTUAL_TARGET_MS 110

typedef struct options {
    unsigned runs, every;
    const char *to, *alpn;
    bool mutual;
    char **relay_words;
    int relay_count;
} options;

static void relay_program(char out[PATH_MAX])
{
    const char *given = getenv("UDP_RELAY");
    char self[PATH_MAX];
    const ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    check(len > 0, "readlink");
    self[len] = '\0';
    if (given != NULL) {
        (void)snprintf(out, PATH_MAX, "%s", given);
    } else {
        (void)snprintf(out, PATH_MAX, "%s/../tests/relay/udp_relay", dirname(self));
    }
}

static void exec_relay(const options *o, const char *to)
{
    static char listen[] = "--listen";
    static char any_port[] = "127.0.0.1:0";
    static char server[] = "--to";
    static char delay[] = "--delay";
    static char half[] = "50";
    char program[PATH_MAX];
    char *words[WORDS_MAX + 1] = {program, listen, any_port, server, (char *)(uintptr_t)to};
    int count = 5;
    relay_program(program);
    for (int i = 0; i < o->relay_count && count < WORDS_MAX; i++) {
        words[count++] = o->relay_words[i];
    }
    if (o->relay_count == 0) {
        words[count++] = delay;
        words[count++] = half;
    }
    (void)execv(program, words);
    perror(program);
    _exit(1);
}

/* Starts it in front of |to|. */
static pid_t start_relay(const options *o, const char *to, unsigned *port)
{
    int out[2];
    char line[32] = "";
    check(pipe(out) == 0, "pipe");
    const pid_t child = bench_fork();
    if (child == 0) {
        (void)dup2(out[1], STDOUT_FILENO);
        (void)close(out[0]);
        exec_relay(o, to);
    }
    (void)close(out[1]);
    check(read(out[0], line, sizeof(line) - 1) > 0 && sscanf(line, "port %u", port) == 1,
          "no relay: build the target udp_relay, or name it in UDP_RELAY");
    return child;
}

static void report(bench_links *r, bool mutual)
{
    check(r->opened > 0, r->why);
    const double p50 = quantile(r->ms, r->opened, 0.5);
    const double p95 = quantile(r->ms, r->opened, 0.95);
    const double p99 = quantile(r->ms, r->opened, 0.99);
    (void)printf(
        "{\"bench\":\"round_trip\",\"mutual\":%s,\"runs\":%zu,\"failed\":%u,\"p50_ms\":%.1f,"
        "\"p95_ms\":%.1f,\"p99_ms\":%.1f,\"max_ms\":%.1f,\"target_ms\":%d,"
        "\"round_trips\":{",
        mutual ? "true" : "false", r->opened + r->failed, r->failed, p50, p95, p99,
        r->ms[r->opened - 1], mutual ? MUTUAL_TARGET_MS : TARGET_MS);
    const char *comma = "";
    for (unsigned i = 0; i <= BENCH_ROUND_TRIPS_MAX; i++) {
        if (r->round_trips[i] > 0) {
            (void)printf("%s\"%u\":%u", comma, i, r->round_trips[i]);
            comma = ",";
        }
    }
    (void)printf("}}\n");
}

static options read_options(int argc, char **argv)
{
    static const struct option table[] = {
        {"runs", required_argument, NULL, 'r'}, {"every", required_argument, NULL, 'e'},
        {"to", required_argument, NULL, 't'},   {"alpn", required_argument, NULL, 'a'},
        {"mutual", no_argument, NULL, 'm'},     {0}};
    options o = {.runs = RUNS, .every = EVERY_MS, .alpn = BENCH_ALPN};
    for (int which = 0; (which = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        switch (which) {
        case 'r':
            o.runs = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'e':
            o.every = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 't':
            o.to = optarg;
            break;
        case 'a':
            o.alpn = optarg;
            break;
        case 'm':
            o.mutual = true;
            break;
        default:
            exit(2);
        }
    }
    check(o.runs > 0 && o.runs <= RUNS_MAX && o.every > 0 && o.every < 1000,
          "--runs from 1 to 100000, --every from 1 to 999");
    o.relay_words = argv + optind;
    o.relay_count = argc - optind;
    return o;
}

int main(int argc, char **argv)
{
    const options o = read_options(argc, argv);
    bench_links result;
    bench_server server = {0};
    char to[64];
    bench_links_opts links = {
        .alpn = o.alpn, .count = o.runs, .every_ms = o.every, .at_once = AT_ONCE};
    pql_identity *client = NULL;
    check(!o.mutual || pql_identity_ephemeral(&client, NULL, NULL) == PQL_OK, "identity");
    links.identity = client;
    if (o.to == NULL) {
        server = bench_server_start(client, false);
        links.pin = &server.pin;
        (void)snprintf(to, sizeof(to), "127.0.0.1:%u", (unsigned)server.port);
    }
    const pid_t relay = start_relay(&o, o.to == NULL ? to : o.to, &links.port);
    bench_links_run(&links, &result);
    report(&result, o.mutual);
    (void)usleep(LAST_WORDS_US);
    (void)kill(relay, SIGTERM);
    (void)waitpid(relay, NULL, 0);
    if (o.to == NULL) {
        bench_server_stop(&server);
    }
    free(result.ms);
    pql_identity_free(client);
    return 0;
}
