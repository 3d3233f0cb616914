/* What scraping costs links: the time of a message round trip over LINKS live links of one server,
 * with nobody scraping its admin port and with RATE scrapes a second, in turn.
 *
 *     bench_scrape [--links N] [--rate N] [--rounds N] [--seconds N] [--workers N]
 *
 * The server is a process of its own with all series that a node has, and with the real admin port.
 * Each link sends a message of 64 bytes every PERIOD_MS and waits for its echo.  The scraper is a
 * third process that keeps its connections alive; it only counts what it got in full.  Every round
 * measures both ways, the order changes from round to round, and the figure is the median of the
 * rounds' ratios, so that what else the machine does falls on both.  Text on standard error, JSON
 * on standard output. */
#include "bench.h"
#include "links.h"

#include "admin/admin.h"
#include "base/log.h"
#include "link/worker_metrics.h"
#include "observe/link_observer.h"
#include "observe/miner_metrics.h"
#include "observe/process_metrics.h"
#include "observe/source_metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINKS 64
#define LINKS_MAX 4096
#define RATE 1000
#define ROUNDS 5
#define ROUNDS_MAX 100
#define SECONDS 4
#define WORKERS 1
#define SCRAPERS 2
#define PERIOD_MS 10
#define MESSAGE_SIZE 64
#define SAMPLES_MAX ((size_t)4 << 20)
#define RESPONSE_MAX ((size_t)1 << 20)
/* After the scrapers started or stopped, before anything counts. */
#define SETTLE_MS 200
#define TARGET 1.05

typedef struct options {
    unsigned links, rate, rounds, seconds, workers;
} options;

/* ---- The server ---- */

typedef struct server {
    pid_t pid;
    uint16_t port, admin_port;
    pql_fingerprint pin;
} server;

static void echo(pql_stream *stream, const uint8_t *data, size_t len, bool fin, void *user)
{
    (void)user;
    check(pql_stream_write(stream, data, len, fin) == PQL_OK, "echo");
}

/* All that `pqlink node` registers. */
static pqi_metrics *make_registry(pqi_pq_metrics **links, pqi_health **health)
{
    pqi_metrics *registry;
    pqi_process_metrics *process;
    pqi_node_metrics *node;
    pqi_source_metrics *source;
    check(pqi_metrics_new(&registry, NULL) == PQL_OK && pqi_health_new(health, NULL) == PQL_OK,
          "registry");
    pqi_health_register(*health, registry);
    check(pqi_pq_metrics_new(links, registry, NULL, NULL) == PQL_OK, "metrics of links");
    check(pqi_process_metrics_new(&process, registry, NULL) == PQL_OK, "metrics of the process");
    check(pqi_node_metrics_new(&node, registry, NULL) == PQL_OK, "metrics of a node");
    check(pqi_source_metrics_new(&source, registry, NULL) == PQL_OK, "metrics of a source");
    return registry;
}

static void serve(int answer, const options *o)
{
    static const pql_alpn alpn = {BENCH_ALPN, PQL_LEAF_PQ};
    static const pql_handlers handlers = {.stream_data = echo};
    pql_identity *identity = NULL;
    pql_context *ctx = NULL;
    pql_listener *listener = NULL;
    pqi_pq_metrics *links;
    pqi_health *health;
    pqi_admin *admin;
    server self;
    memset(&self, 0, sizeof(self));
    pqi_metrics *registry = make_registry(&links, &health);
    check(pql_identity_ephemeral(&identity, NULL, NULL) == PQL_OK, "identity");
    const pql_context_opts opts = {
        .identity = identity, .workers = o->workers, .observer = pqi_link_observer(links)};
    const pql_listen_opts listen = {.alpn = &alpn, .alpn_count = 1, .handlers = &handlers};
    const pqi_admin_opts port = {.metrics = registry, .health = health};
    pqi_log_setup(STDERR_FILENO, PQI_LOG_ERROR, PQI_LOG_TEXT);
    check(pql_context_new(&ctx, &opts, NULL) == PQL_OK, "context");
    check(pqi_worker_metrics(ctx, registry, NULL) == PQL_OK, "metrics of workers");
    check(pql_listen(ctx, "quic://127.0.0.1:0", &listen, &listener, NULL) == PQL_OK, "listen");
    check(pqi_admin_start(&admin, &port, NULL) == PQL_OK, "admin port");
    self.port = pql_listener_port(listener);
    self.admin_port = pqi_admin_port(admin);
    pql_identity_fingerprint(identity, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &self.pin);
    check(write(answer, &self, sizeof(self)) == (ssize_t)sizeof(self), "answer");
    for (;;) {
        (void)pause();
    }
}

static server server_start(const options *o)
{
    int answer[2];
    server s;
    check(pipe(answer) == 0, "pipe");
    const pid_t child = bench_fork();
    if (child == 0) {
        serve(answer[1], o);
    }
    check(read(answer[0], &s, sizeof(s)) == (ssize_t)sizeof(s), "no server");
    (void)close(answer[0]);
    (void)close(answer[1]);
    s.pid = child;
    return s;
}

/* ---- The scrapers ---- */

/* What they have got; in memory that all processes share. */
typedef struct scraped {
    atomic_ullong scrapes, bytes, busy_ns;
} scraped;

static int dial(uint16_t port)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    check(fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0, "admin port");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

/* One request and its whole answer; the length of the body. */
static size_t scrape(int fd, char *buffer)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    size_t have = 0;
    size_t want = RESPONSE_MAX;
    check(write(fd, request, sizeof(request) - 1) == (ssize_t)sizeof(request) - 1, "request");
    while (have < want) {
        const ssize_t got = read(fd, buffer + have, RESPONSE_MAX - have);
        check(got > 0, "answer of the admin port");
        have += (size_t)got;
        buffer[have] = '\0';
        const char *end = strstr(buffer, "\r\n\r\n");
        if (want == RESPONSE_MAX && end != NULL) {
            const char *length = strstr(buffer, "Content-Length: ");
            check(strncmp(buffer, "HTTP/1.1 200", 12) == 0 && length != NULL, "scrape");
            want = (size_t)(end - buffer) + 4 + strtoul(length + 16, NULL, 10);
        }
    }
    return have;
}

static void scrape_for_ever(uint16_t port, unsigned rate, scraped *out)
{
    char *buffer = malloc(RESPONSE_MAX + 1);
    const int fd = dial(port);
    const uint64_t period = PQI_NS_PER_SEC / rate;
    check(buffer != NULL, "memory");
    for (uint64_t next = pqi_clock_monotonic();; next += period) {
        const struct timespec until = {.tv_sec = (time_t)(next / PQI_NS_PER_SEC),
                                       .tv_nsec = (long)(next % PQI_NS_PER_SEC)};
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        const uint64_t begin = pqi_clock_monotonic();
        const size_t len = scrape(fd, buffer);
        atomic_fetch_add(&out->busy_ns, pqi_clock_monotonic() - begin);
        atomic_fetch_add(&out->bytes, len);
        atomic_fetch_add(&out->scrapes, 1);
    }
}

static void scrapers_start(pid_t pids[SCRAPERS], const server *s, unsigned rate, scraped *out)
{
    for (unsigned i = 0; i < SCRAPERS; i++) {
        pids[i] = bench_fork();
        if (pids[i] == 0) {
            scrape_for_ever(s->admin_port, rate / SCRAPERS, out);
        }
    }
}

static void child_stop(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

/* ---- The links ---- */

typedef struct client {
    unsigned wanted;
    atomic_uint ready;
    atomic_bool measuring;
    atomic_size_t count;
    double *us; /* of SAMPLES_MAX */
} client;

typedef struct talk {
    client *c;
    pql_stream *stream;
    uint64_t sent_at, next;
    size_t missing;
} talk;

static void on_open(pql_link *link, void *user)
{
    talk *t = user;
    check(pql_stream_open(link, &t->stream, NULL) == PQL_OK, "stream");
    pql_link_set_timer(link, t->next);
}

static void on_timer(pql_link *link, uint64_t now, void *user)
{
    static const uint8_t message[MESSAGE_SIZE];
    talk *t = user;
    if (t->missing == 0) {
        t->sent_at = pqi_clock_monotonic();
        t->missing = MESSAGE_SIZE;
        check(pql_stream_write(t->stream, message, sizeof(message), false) == PQL_OK, "write");
    }
    t->next += PERIOD_MS * PQI_NS_PER_MS;
    pql_link_set_timer(link, t->next > now ? t->next : now);
}

static void on_data(pql_stream *stream, const uint8_t *data, size_t len, bool fin, void *user)
{
    talk *t = user;
    (void)stream;
    (void)data;
    check(!fin && len <= t->missing, "another echo than was sent");
    t->missing -= len;
    if (t->missing != 0) {
        return;
    }
    if (atomic_load_explicit(&t->c->measuring, memory_order_relaxed)) {
        const size_t at = atomic_fetch_add(&t->c->count, 1);
        check(at < SAMPLES_MAX, "more samples than there is room for");
        t->c->us[at] = (double)(pqi_clock_monotonic() - t->sent_at) / (double)PQI_NS_PER_US;
    }
    (void)atomic_fetch_add(&t->c->ready, 1);
}

static void on_close(pql_link *link, const pql_close *why, void *user)
{
    (void)link;
    (void)user;
    check(why->status == PQL_OK || why->status == PQL_E_CANCELLED, why->reason);
}

static void sleep_ms(uint64_t ms)
{
    const struct timespec time = {.tv_sec = (time_t)(ms / 1000),
                                  .tv_nsec = (long)(ms % 1000 * PQI_NS_PER_MS)};
    (void)nanosleep(&time, NULL);
}

static pql_context *links_start(client *c, talk *talks, const server *s)
{
    static const pql_handlers handlers = {.link_open = on_open,
                                          .link_timer = on_timer,
                                          .stream_data = on_data,
                                          .link_close = on_close};
    pql_context *ctx = NULL;
    char url[64];
    const pql_context_opts opts = {.workers = 1};
    const pql_peer peer = {.pins = &s->pin, .pin_count = 1};
    (void)snprintf(url, sizeof(url), "quic://127.0.0.1:%u", (unsigned)s->port);
    check(pql_context_new(&ctx, &opts, NULL) == PQL_OK, "context");
    const uint64_t begin = pqi_clock_monotonic() + PQI_NS_PER_SEC;
    for (unsigned i = 0; i < c->wanted; i++) {
        /* Spread over the period, as links of different peers are. */
        talks[i] = (talk){.c = c, .next = begin + PERIOD_MS * PQI_NS_PER_MS * i / c->wanted};
        const pql_connect_opts connect = {
            .alpn = BENCH_ALPN, .handlers = &handlers, .user = &talks[i]};
        check(pql_connect(ctx, url, &peer, &connect, NULL, NULL) == PQL_OK, "connect");
    }
    while (atomic_load(&c->ready) < 10 * c->wanted) {
        sleep_ms(PERIOD_MS);
    }
    return ctx;
}

/* ---- The rounds ---- */

typedef struct figures {
    double p50, p99;
    double server_cpu; /* seconds */
    size_t messages;
} figures;

/* Processor seconds of another process, all of its threads. */
static double cpu_of(pid_t pid)
{
    clockid_t clock;
    struct timespec used;
    check(clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &used) == 0, "CPU clock");
    return (double)used.tv_sec + (double)used.tv_nsec / (double)PQI_NS_PER_SEC;
}

static figures measure(client *c, const server *s, unsigned seconds)
{
    sleep_ms(SETTLE_MS);
    const double cpu = cpu_of(s->pid);
    atomic_store(&c->count, 0);
    atomic_store(&c->measuring, true);
    sleep_ms((uint64_t)seconds * 1000);
    atomic_store(&c->measuring, false);
    const double used = cpu_of(s->pid) - cpu;
    sleep_ms(PERIOD_MS);
    const size_t count = atomic_load(&c->count);
    check(count > 0, "no message came back");
    return (figures){.p50 = quantile(c->us, count, 0.5),
                     .p99 = quantile(c->us, count, 0.99),
                     .server_cpu = used,
                     .messages = count};
}

typedef struct results {
    double quiet_cpu, scraped_cpu; /* seconds of the server's process, all rounds together */
    double quiet_p50[ROUNDS_MAX], quiet_p99[ROUNDS_MAX];
    double scraped_p50[ROUNDS_MAX], scraped_p99[ROUNDS_MAX];
    double ratio_p50[ROUNDS_MAX], ratio_p99[ROUNDS_MAX];
    double per_second;
    size_t messages;
} results;

static void scraped_half(client *c, const server *s, const options *o, scraped *out, results *r,
                         unsigned round)
{
    pid_t pids[SCRAPERS];
    const unsigned long long before = atomic_load(&out->scrapes);
    const uint64_t begin = pqi_clock_monotonic();
    scrapers_start(pids, s, o->rate, out);
    const figures f = measure(c, s, o->seconds);
    const double took = (double)(pqi_clock_monotonic() - begin) / (double)PQI_NS_PER_SEC;
    r->per_second += (double)(atomic_load(&out->scrapes) - before) / took / o->rounds;
    for (unsigned i = 0; i < SCRAPERS; i++) {
        child_stop(pids[i]);
    }
    r->scraped_cpu += f.server_cpu;
    r->scraped_p50[round] = f.p50;
    r->scraped_p99[round] = f.p99;
    r->messages += f.messages;
}

static void quiet_half(client *c, const server *s, const options *o, results *r, unsigned round)
{
    const figures f = measure(c, s, o->seconds);
    r->quiet_cpu += f.server_cpu;
    r->quiet_p50[round] = f.p50;
    r->quiet_p99[round] = f.p99;
    r->messages += f.messages;
}

static void run_rounds(client *c, const server *s, const options *o, scraped *out, results *r)
{
    for (unsigned i = 0; i < o->rounds; i++) {
        if (i % 2 == 0) {
            quiet_half(c, s, o, r, i);
            scraped_half(c, s, o, out, r, i);
        } else {
            scraped_half(c, s, o, out, r, i);
            quiet_half(c, s, o, r, i);
        }
        r->ratio_p50[i] = r->scraped_p50[i] / r->quiet_p50[i];
        r->ratio_p99[i] = r->scraped_p99[i] / r->quiet_p99[i];
        (void)fprintf(stderr, "round %u: p99 %.0f us alone, %.0f us scraped: %.3f\n", i + 1,
                      r->quiet_p99[i], r->scraped_p99[i], r->ratio_p99[i]);
    }
}

static void report(const options *o, results *r, const scraped *out)
{
    const double scrapes = (double)atomic_load(&out->scrapes);
    const double bytes = (double)atomic_load(&out->bytes) / scrapes;
    const double us = (double)atomic_load(&out->busy_ns) / scrapes / (double)PQI_NS_PER_US;
    const double cpu_us =
        (r->scraped_cpu - r->quiet_cpu) / (double)o->rounds / o->seconds / r->per_second * 1e6;
    const double ratio = quantile(r->ratio_p99, o->rounds, 0.5);
    (void)fprintf(stderr,
                  "%u links, %.0f scrapes/s of %.0f bytes, %.0f us each, %.0f us of the server's "
                  "processor: p99 of a round trip "
                  "%.3f times that without (target %.2f)\n",
                  o->links, r->per_second, bytes, us, cpu_us, ratio, TARGET);
    (void)printf("{\"bench\":\"scrape\",\"links\":%u,\"workers\":%u,\"rounds\":%u,\"messages\":%zu,"
                 "\"scrapes_per_second\":%.1f,\"scrape_bytes\":%.0f,\"scrape_us\":%.1f,\"scrape_"
                 "cpu_us\":%.1f,"
                 "\"p50_us\":%.1f,\"p50_scraped_us\":%.1f,\"p99_us\":%.1f,\"p99_scraped_us\":%.1f,"
                 "\"p50_ratio\":%.4f,\"p99_ratio\":%.4f,\"target_ratio\":%.2f}\n",
                 o->links, o->workers, o->rounds, r->messages, r->per_second, bytes, us, cpu_us,
                 quantile(r->quiet_p50, o->rounds, 0.5), quantile(r->scraped_p50, o->rounds, 0.5),
                 quantile(r->quiet_p99, o->rounds, 0.5), quantile(r->scraped_p99, o->rounds, 0.5),
                 quantile(r->ratio_p50, o->rounds, 0.5), ratio, TARGET);
}

static unsigned number(const char *text, unsigned most)
{
    const unsigned long value = strtoul(text, NULL, 10);
    check(value > 0 && value <= most, "an option's number is out of range");
    return (unsigned)value;
}

static options parse(int argc, char **argv)
{
    static const struct option known[] = {
        {"links", required_argument, NULL, 'l'},   {"rate", required_argument, NULL, 'r'},
        {"rounds", required_argument, NULL, 'n'},  {"seconds", required_argument, NULL, 's'},
        {"workers", required_argument, NULL, 'w'}, {NULL, 0, NULL, 0}};
    options o = {LINKS, RATE, ROUNDS, SECONDS, WORKERS};
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        check(c != '?', "usage: bench_scrape [--links N] [--rate N] [--rounds N] [--seconds N] "
                        "[--workers N]");
        unsigned *where = c == 'l'   ? &o.links
                          : c == 'r' ? &o.rate
                          : c == 'n' ? &o.rounds
                          : c == 's' ? &o.seconds
                                     : &o.workers;
        *where = number(optarg, c == 'l' ? LINKS_MAX : c == 'n' ? ROUNDS_MAX : 100000);
    }
    return o;
}

int main(int argc, char **argv)
{
    const options o = parse(argc, argv);
    (void)signal(SIGPIPE, SIG_IGN);
    scraped *out =
        mmap(NULL, sizeof(*out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(out != MAP_FAILED, "memory");
    static results r;
    client c = {.wanted = o.links, .us = malloc(SAMPLES_MAX * sizeof(double))};
    talk *talks = calloc(o.links, sizeof(*talks));
    check(c.us != NULL && talks != NULL, "memory");
    const server s = server_start(&o);
    pql_context *ctx = links_start(&c, talks, &s);
    run_rounds(&c, &s, &o, out, &r);
    report(&o, &r, out);
    pql_context_free(ctx);
    child_stop(s.pid);
    free(talks);
    free(c.us);
    (void)munmap(out, sizeof(*out));
    return 0;
}
