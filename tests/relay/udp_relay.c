/* udp_relay: a bad network between a client and a server on this machine (relay.h).
 * Prints "port N" when it listens, and goes on until SIGTERM or SIGINT. */
#include "base/clock.h"
#include "relay.h"

#include <getopt.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: udp_relay --listen ADDR:PORT --to HOST:PORT [OPTION...]\n"
    "  --listen ADDR:PORT     where clients send to; port 0 picks one\n"
    "  --to HOST:PORT         the server\n"
    "  --delay MS             one way\n"
    "  --loss PERCENT         of datagrams, each way\n"
    "  --corrupt PERCENT      of datagrams, each way: one bit is flipped\n"
    "  --seed N               of loss and corruption\n"
    "  --duplicate N          each datagram of a client's first flight arrives N times\n"
    "  --once                 equal datagrams of a client's first flight arrive once\n"
    "  --split-first MS       pause between the datagrams of a client's first flight\n"
    "  --rebind-after MS      a client's source port changes so long after its first datagram\n"
    "  --blackhole-after MS   nothing passes so long after a client's first datagram\n"
    "  --blackhole-for MS     for so long (without it: for ever)\n"
    "  --mtu BYTES            larger datagrams (UDP payload) are lost\n"
    "  --stats FILE           JSON at the end\n";

#define HOST_MAX 256
#define SEED_FIRST 1

static void die(const char *what, const char *text)
{
    (void)fprintf(stderr, "udp_relay: %s: %s\n%s", what, text, usage);
    exit(2);
}

static double number(const char *text)
{
    char *end = NULL;
    const double value = strtod(text, &end);
    if (*text == '\0' || *end != '\0' || !(value >= 0)) {
        die("not a number", text);
    }
    return value;
}

static uint64_t milliseconds(const char *text)
{
    return (uint64_t)(number(text) * (double)PQI_NS_PER_MS);
}

static double share(const char *text)
{
    return number(text) / 100;
}

/* "HOST:PORT", an IPv6 literal in brackets. */
static pqi_address address(const char *text)
{
    char host[HOST_MAX];
    pqi_address out = {0};
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    const char *colon = strrchr(text, ':');
    const size_t len = colon == NULL ? 0 : (size_t)(colon - text);
    const bool brackets = len > 2 && text[0] == '[' && text[len - 1] == ']';
    if (colon == NULL || len == 0 || len >= sizeof(host)) {
        die("not HOST:PORT", text);
    }
    (void)snprintf(host, sizeof(host), "%.*s", (int)(brackets ? len - 2 : len),
                   brackets ? text + 1 : text);
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0) {
        die("no such address", text);
    }
    memcpy(&out.sa, found->ai_addr, found->ai_addrlen);
    out.len = found->ai_addrlen;
    freeaddrinfo(found);
    return out;
}

enum {
    LISTEN,
    TO,
    DELAY,
    LOSS,
    CORRUPT,
    SEED,
    DUPLICATE,
    ONCE,
    SPLIT_FIRST,
    REBIND_AFTER,
    BLACKHOLE_AFTER,
    BLACKHOLE_FOR,
    MTU,
    STATS
};

static const struct option options[] = {
    {"listen", required_argument, NULL, LISTEN},
    {"to", required_argument, NULL, TO},
    {"delay", required_argument, NULL, DELAY},
    {"loss", required_argument, NULL, LOSS},
    {"corrupt", required_argument, NULL, CORRUPT},
    {"seed", required_argument, NULL, SEED},
    {"duplicate", required_argument, NULL, DUPLICATE},
    {"once", no_argument, NULL, ONCE},
    {"split-first", required_argument, NULL, SPLIT_FIRST},
    {"rebind-after", required_argument, NULL, REBIND_AFTER},
    {"blackhole-after", required_argument, NULL, BLACKHOLE_AFTER},
    {"blackhole-for", required_argument, NULL, BLACKHOLE_FOR},
    {"mtu", required_argument, NULL, MTU},
    {"stats", required_argument, NULL, STATS},
    {0},
};

static void take_option(relay_opts *o, const char **stats, int which, const char *value)
{
    switch (which) {
    case LISTEN:
        o->listen = address(value);
        break;
    case TO:
        o->server = address(value);
        break;
    case DELAY:
        o->delay = milliseconds(value);
        break;
    case LOSS:
        o->loss = share(value);
        break;
    case CORRUPT:
        o->corrupt = share(value);
        break;
    case SEED:
        o->seed = (uint64_t)number(value);
        break;
    case DUPLICATE:
        o->duplicate = (unsigned)number(value);
        break;
    case ONCE:
        o->once = true;
        break;
    case SPLIT_FIRST:
        o->split_first = milliseconds(value);
        break;
    case REBIND_AFTER:
        o->rebind_after = milliseconds(value);
        break;
    case BLACKHOLE_AFTER:
        o->blackhole = true;
        o->blackhole_after = milliseconds(value);
        break;
    case BLACKHOLE_FOR:
        o->blackhole_for = milliseconds(value);
        break;
    case MTU:
        o->mtu = (size_t)number(value);
        break;
    case STATS:
        *stats = value;
        break;
    default:
        (void)fputs(usage, stderr);
        exit(2);
    }
}

static int write_stats(const relay *r, const char *path)
{
    FILE *out = fopen(path, "w");
    if (out == NULL) {
        perror(path);
        return 1;
    }
    relay_write_stats(r, out);
    return fclose(out) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    relay_opts opts = {.seed = SEED_FIRST};
    const char *stats = NULL;
    relay *r = NULL;
    pql_error err = {0};
    for (int which = 0; (which = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        take_option(&opts, &stats, which, optarg);
    }
    if (optind != argc || opts.listen.len == 0 || opts.server.len == 0) {
        die("missing", "--listen and --to");
    }
    if (relay_new(&r, &opts, &err) != PQL_OK) {
        (void)fprintf(stderr, "udp_relay: %s\n", err.message);
        return 1;
    }
    (void)printf("port %u\n", (unsigned)relay_port(r));
    (void)fflush(stdout);
    relay_run(r);
    const int status = stats == NULL ? 0 : write_stats(r, stats);
    relay_free(r);
    return status;
}
