/* How long a new job takes from the source to each miner: pqlink's node service, MINERS links over
 * loopback to a second process.
 *
 *     bench_fanout [MINERS [ROUNDS]]
 *
 * Two figures, ROUNDS jobs each:
 *
 *   node         until the last miner's datagram is in the kernel's hands, while the miners'
 * process stands still: what a node needs that has this machine to itself end to end   until a
 * miner has decrypted and parsed it.  The miners write down when each job came (CLOCK_MONOTONIC,
 * the same in both processes).  They share the processors with the node, so this includes the work
 * of all of them
 *
 * JSON on standard output, a table on standard error. */
#include "base/log.h"
#include "bench.h"
#include "miner/node_service.h"
#include "miner/session.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MINERS 1000
#define ROUNDS 50
/* Handshakes under way at a time, below the number from which Retry is asked for. */
#define AT_ONCE 50
/* Descriptors that are not a miner's socket. */
#define SPARE_FILES 64
/* Between two jobs. */
#define SETTLE_US 200000
#define TARGET_US 50000

/* What both processes see. */
typedef struct shared {
    uint16_t port;
    pql_fingerprint pin;
    unsigned miners, rounds;
    _Atomic uint64_t given;   /* when the source gave the last job */
    _Atomic unsigned arrived; /* jobs, all miners together */
    double came[];            /* microseconds from the source, by round, then by miner */
} shared;

/* ---- The miners ---- */

typedef struct miner {
    shared *board;
    unsigned index, jobs;
    pqi_frame_reader frames;
} miner;

static void send_ready(pql_link *link, void *user)
{
    const pqi_miner_message ready = {.type = PQI_MINER_READY, .ready = {.name = "bench"}};
    uint8_t frame[PQI_FRAME_SIZE_MAX];
    pqi_writer w;
    pql_stream *stream = NULL;
    (void)user;
    pqi_writer_init(&w, frame, sizeof(frame));
    check(pqi_miner_encode(PQI_MINER_PQ1, &ready, &w, NULL) == PQL_OK, "Ready");
    check(pql_stream_open(link, &stream, NULL) == PQL_OK, "no stream");
    check(pql_stream_write(stream, w.data, w.len, false) == PQL_OK, "no room");
}

static void note_job(pql_stream *stream, const uint8_t *data, size_t len, bool fin, void *user)
{
    miner *m = user;
    pqi_reader in;
    const uint8_t *body = NULL;
    size_t body_len = 0;
    const uint64_t now = pqi_clock_monotonic();
    (void)stream;
    (void)fin;
    pqi_reader_init(&in, data, len);
    while (pqi_frame_read(&m->frames, &in, &body, &body_len, NULL) == PQL_OK && body != NULL) {
        char text[PQI_FRAME_BODY_MAX];
        pqi_miner_message message;
        check(pqi_miner_decode(PQI_MINER_PQ1, body, body_len, &message, text, NULL) == PQL_OK,
              "a frame that is none");
        check(message.type == PQI_MINER_NEW_JOB, "not a job");
        if (m->jobs > m->board->rounds) { /* behind the answer to Ready and the node's rounds */
            const unsigned round = m->jobs - m->board->rounds - 1;
            m->board->came[(size_t)round * m->board->miners + m->index] =
                (double)(now - atomic_load(&m->board->given)) / (double)PQI_NS_PER_US;
        }
        m->jobs++;
        atomic_fetch_add(&m->board->arrived, 1);
    }
}

static void link_lost(pql_link *link, const pql_close *why, void *user)
{
    const shared *board = ((miner *)user)->board;
    (void)link;
    check(atomic_load(&board->arrived) == board->miners * (2 * board->rounds + 1), why->reason);
}

static const pql_handlers handlers = {
    .link_open = send_ready, .link_close = link_lost, .stream_data = note_job};

static pid_t child; /* the miners' process, known to the node's */

static void wait_arrived(shared *board, unsigned count)
{
    const struct timespec pause = {.tv_nsec = (long)PQI_NS_PER_MS};
    while (atomic_load(&board->arrived) < count) {
        check(child == 0 || waitpid(child, NULL, WNOHANG) == 0, "the miners are gone");
        (void)nanosleep(&pause, NULL);
    }
}

static int run_miners(shared *board, int go, int stop)
{
    char url[64];
    char byte = 0;
    pql_context *ctx = NULL;
    check(read(go, &byte, 1) == 1, "the node broke");
    miner *miners = calloc(board->miners, sizeof(*miners));
    check(miners != NULL, "memory");
    check(pql_context_new(&ctx, &(pql_context_opts){0}, NULL) == PQL_OK, "context");
    (void)snprintf(url, sizeof(url), "quic://127.0.0.1:%u", (unsigned)board->port);
    const pql_peer peer = {.pins = &board->pin, .pin_count = 1};
    for (unsigned i = 0; i < board->miners; i++) {
        miners[i] = (miner){.board = board, .index = i};
        const pql_connect_opts opts = {.alpn = pqi_miner_alpn(PQI_MINER_PQ1),
                                       .handlers = &handlers,
                                       .user = &miners[i],
                                       .connect_timeout_ms = 60000,
                                       .idle_timeout_ms = 600000,
                                       .keep_alive_ms = 20000};
        check(pql_connect(ctx, url, &peer, &opts, NULL, NULL) == PQL_OK, "connect");
        if ((i + 1) % AT_ONCE == 0) {
            wait_arrived(board, i + 1);
        }
    }
    check(read(stop, &byte, 1) == 0, "the node says something");
    pql_context_free(ctx);
    free(miners);
    return 0;
}

/* ---- The node ---- */

/* A source that gives a job with each tick. */
typedef struct ticker {
    pqi_source head; /* first member */
    pqi_source_events events;
    unsigned number;
    shared *board;
} ticker;

static void ticker_tick(pqi_source *source, pqi_instant now)
{
    ticker *t = (ticker *)source;
    pqi_job job = {.difficulty = pqi_u512_from_u64(1000000000)};
    (void)now;
    t->number++;
    job.mining_hash[0] = (uint8_t)t->number;
    (void)snprintf(job.id, sizeof(job.id), "%u", t->number);
    atomic_store(&t->board->given, pqi_clock_monotonic());
    t->events.on_job(t->events.user, &job);
}

static pql_status ticker_start(pqi_source *source, const pqi_source_events *events, pqi_instant now,
                               pql_error *err)
{
    (void)err;
    ((ticker *)source)->events = *events;
    ticker_tick(source, now);
    return PQL_OK;
}

static pqi_source_verdict ticker_submit(pqi_source *source, const char *job_id,
                                        const uint8_t *nonce, const char *name, pqi_instant now,
                                        pqi_source_block *block)
{
    (void)source;
    (void)job_id;
    (void)nonce;
    (void)name;
    (void)now;
    (void)block;
    return PQI_SOURCE_STALE;
}

static uint64_t ticker_deadline(const pqi_source *source)
{
    (void)source;
    return PQI_TIME_NEVER;
}

static void ticker_destroy(pqi_source *source)
{
    (void)source;
}

static const pqi_source_kind ticker_kind = {ticker_start, ticker_submit, ticker_tick,
                                            ticker_deadline, ticker_destroy};

/* Datagrams of the node, counted by its observer. */
typedef struct outgoing {
    _Atomic unsigned count, wanted;
    _Atomic uint64_t done; /* when |wanted| was reached */
} outgoing;

static void on_traffic(uint64_t bytes_in, uint64_t bytes_out, uint64_t datagrams_in,
                       uint64_t datagrams_out, void *user)
{
    outgoing *o = user;
    (void)bytes_in;
    (void)bytes_out;
    (void)datagrams_in;
    const unsigned before = atomic_fetch_add(&o->count, (unsigned)datagrams_out);
    const unsigned wanted = atomic_load(&o->wanted);
    if (before < wanted && before + datagrams_out >= wanted) {
        atomic_store(&o->done, pqi_clock_monotonic());
    }
}

/* Microseconds of CPU time of this process. */
static double process_cpu(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

/* One job while the miners stand still; microseconds until the last datagram was handed over. */
static double round_of_node(shared *board, pqi_node_service *service, outgoing *o, double *cpu)
{
    const struct timespec pause = {.tv_nsec = (long)PQI_NS_PER_MS};
    check(kill(child, SIGSTOP) == 0, "the miners are gone");
    atomic_store(&o->done, 0);
    atomic_store(&o->count, 0);
    atomic_store(&o->wanted, board->miners);
    *cpu = -process_cpu();
    (void)pqi_node_service_tick(service);
    while (atomic_load(&o->done) == 0) {
        (void)nanosleep(&pause, NULL);
    }
    *cpu += process_cpu();
    (void)kill(child, SIGCONT);
    return (double)(atomic_load(&o->done) - atomic_load(&board->given)) / (double)PQI_NS_PER_US;
}

static void report(shared *board, double *handed_over, double *cpu, unsigned workers)
{
    const size_t count = (size_t)board->rounds * board->miners;
    const double node_p50 = quantile(handed_over, board->rounds, 0.5);
    const double node_max = quantile(handed_over, board->rounds, 1);
    const double each = quantile(cpu, board->rounds, 0.5) / board->miners;
    const double p50 = quantile(board->came, count, 0.5);
    const double p99 = quantile(board->came, count, 0.99);
    const double max = quantile(board->came, count, 1);
    (void)fprintf(
        stderr,
        "a new job to %u miners, %u times, %u workers, microseconds\n"
        "   node: all handed to the kernel   median %9.0f   worst %9.0f   CPU per miner %.1f\n"
        "   end to end                       p50    %9.0f   p99   %9.0f   max %9.0f\n",
        board->miners, board->rounds, workers, node_p50, node_max, each, p50, p99, max);
    (void)printf("{\"bench\":\"fanout\",\"miners\":%u,\"rounds\":%u,\"workers\":%u,"
                 "\"node_median_us\":%.0f,\"node_max_us\":%.0f,\"node_cpu_us_per_miner\":%.1f,"
                 "\"p50_us\":%.0f,\"p99_us\":%.0f,"
                 "\"max_us\":%.0f,\"target_us\":%d}\n",
                 board->miners, board->rounds, workers, node_p50, node_max, each, p50, p99, max,
                 TARGET_US);
}

static void measure(shared *board, pqi_node_service *service, outgoing *o, unsigned workers)
{
    double *handed_over = calloc(board->rounds, sizeof(double));
    double *cpu = calloc(board->rounds, sizeof(double));
    check(handed_over != NULL && cpu != NULL, "memory");
    for (unsigned round = 0; round < 2 * board->rounds; round++) {
        if (round < board->rounds) {
            handed_over[round] = round_of_node(board, service, o, &cpu[round]);
        } else {
            (void)pqi_node_service_tick(service);
        }
        wait_arrived(board, board->miners * (round + 2));
        (void)usleep(SETTLE_US); /* acknowledgements */
    }
    report(board, handed_over, cpu, workers);
    free(handed_over);
    free(cpu);
}

static void run_node(shared *board, int go)
{
    outgoing sent = {0};
    ticker source = {.head = {&ticker_kind}, .board = board};
    const pqi_node_service_opts service_opts = {.source = &source.head};
    const char *const url = "quic://127.0.0.1:0";
    pql_identity *identity = NULL;
    pqi_node_service *service = NULL;
    pql_context *ctx = NULL;
    pql_listener *listener = NULL;
    check(pql_identity_ephemeral(&identity, NULL, NULL) == PQL_OK, "identity");
    const pql_context_opts opts = {.identity = identity,
                                   .observer = {.traffic = on_traffic, .user = &sent}};
    check(pqi_node_service_new(&service, &service_opts, NULL) == PQL_OK, "service");
    check(pql_context_new(&ctx, &opts, NULL) == PQL_OK, "context");
    check(pqi_node_service_listen(service, ctx, url, &listener, NULL) == PQL_OK, "listen");
    board->port = pql_listener_port(listener);
    pql_identity_fingerprint(identity, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &board->pin);
    check(write(go, "", 1) == 1, "the miners broke");
    wait_arrived(board, board->miners);
    (void)sleep(2); /* acknowledgements, path MTU probes */
    measure(board, service, &sent, pql_context_workers(ctx));
    pql_context_free(ctx);
    pqi_node_service_free(service);
    pql_identity_free(identity);
}

/* As many miners as there may be sockets. */
static unsigned possible(unsigned wanted)
{
    struct rlimit files;
    check(getrlimit(RLIMIT_NOFILE, &files) == 0, "getrlimit");
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    if (wanted + SPARE_FILES > files.rlim_cur) {
        (void)fprintf(stderr, "%u miners need more file descriptors than there are\n", wanted);
        return (unsigned)files.rlim_cur - SPARE_FILES;
    }
    return wanted;
}

int main(int argc, char **argv)
{
    const unsigned wanted = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : MINERS;
    const unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : ROUNDS;
    const unsigned miners = possible(wanted);
    const size_t size = sizeof(shared) + (size_t)miners * rounds * sizeof(double);
    int go[2];
    int stop[2];
    shared *board = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(miners > 0 && rounds > 0, "usage: bench_fanout [MINERS [ROUNDS]]");
    check(board != MAP_FAILED && pipe(go) == 0 && pipe(stop) == 0, "memory or pipe");
    pqi_log_setup(STDERR_FILENO, PQI_LOG_WARN, PQI_LOG_TEXT);
    board->miners = miners;
    board->rounds = rounds;
    child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
        (void)close(go[1]);
        (void)close(stop[1]);
        return run_miners(board, go[0], stop[0]);
    }
    run_node(board, go[1]);
    (void)close(stop[1]);
    (void)waitpid(child, NULL, 0);
    (void)munmap(board, size);
    return 0;
}
