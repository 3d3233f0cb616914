/* How long a new job takes from the source to each miner: pqlink's node service, MINERS links over
 * loopback to a second process, ROUNDS jobs.
 *
 *     bench_fanout [MINERS [ROUNDS]]
 *
 * The miners write down when each job came (CLOCK_MONOTONIC, the same in both processes); the times
 * are compared with when the source gave it.  Every miner's process shares the processors with the
 * node's, so what is measured includes the miners' own decryption and parsing.  JSON on standard
 * output, a table on standard error. */
#include "base/clock.h"
#include "base/log.h"
#include "miner/node_service.h"
#include "miner/session.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
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
#define PER_MILLE 1000

static void check(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "the benchmark broke: %s\n", what);
        exit(1);
    }
}

/* What both processes see. */
typedef struct shared {
    uint16_t port;
    pql_fingerprint pin;
    unsigned miners, rounds;
    _Atomic unsigned arrived; /* jobs, all miners together */
    uint64_t came[];          /* by round, then by miner */
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
        if (m->jobs > 0) { /* the first one is the answer to Ready */
            m->board->came[(m->jobs - 1) * m->board->miners + m->index] = now;
        }
        m->jobs++;
        atomic_fetch_add(&m->board->arrived, 1);
    }
}

static void link_lost(pql_link *link, const pql_close *why, void *user)
{
    const shared *board = ((miner *)user)->board;
    (void)link;
    check(atomic_load(&board->arrived) == board->miners * (board->rounds + 1), why->reason);
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
    check(pql_context_new(&ctx, &(pql_context_opts){.workers = 1}, NULL) == PQL_OK, "context");
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
    uint64_t given; /* when the last job was */
} ticker;

static void ticker_tick(pqi_source *source, pqi_instant now)
{
    ticker *t = (ticker *)source;
    pqi_job job = {.difficulty = pqi_u512_from_u64(1000000000)};
    (void)now;
    t->number++;
    job.mining_hash[0] = (uint8_t)t->number;
    (void)snprintf(job.id, sizeof(job.id), "%u", t->number);
    t->given = pqi_clock_monotonic();
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

static int by_size(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double us(const uint64_t *sorted, size_t count, unsigned per_mille)
{
    const size_t place = (count - 1) * per_mille / PER_MILLE;
    return (double)sorted[place] / 1000;
}

static void report(shared *board, unsigned workers)
{
    const size_t count = (size_t)board->rounds * board->miners;
    qsort(board->came, count, sizeof(board->came[0]), by_size);
    const double p50 = us(board->came, count, 500);
    const double p99 = us(board->came, count, 990);
    const double max = us(board->came, count, PER_MILLE);
    (void)fprintf(stderr,
                  "a new job to %u miners, %u times, %u workers: from the source to the miner\n"
                  "   p50 %9.0f us\n   p99 %9.0f us\n   max %9.0f us\n",
                  board->miners, board->rounds, workers, p50, p99, max);
    (void)printf("{\"bench\":\"fanout\",\"miners\":%u,\"rounds\":%u,\"workers\":%u,\"p50_us\":%.1f,"
                 "\"p99_us\":%.1f,\"max_us\":%.1f}\n",
                 board->miners, board->rounds, workers, p50, p99, max);
}

static void run_node(shared *board, int go)
{
    ticker source = {.head = {&ticker_kind}};
    const pqi_node_service_opts service_opts = {.source = &source.head};
    const char *const url = "quic://127.0.0.1:0";
    pql_identity *identity = NULL;
    pqi_node_service *service = NULL;
    pql_context *ctx = NULL;
    pql_listener *listener = NULL;
    check(pql_identity_ephemeral(&identity, NULL, NULL) == PQL_OK, "identity");
    const pql_context_opts opts = {.identity = identity};
    check(pqi_node_service_new(&service, &service_opts, NULL) == PQL_OK, "service");
    check(pql_context_new(&ctx, &opts, NULL) == PQL_OK, "context");
    check(pqi_node_service_listen(service, ctx, url, &listener, NULL) == PQL_OK, "listen");
    board->port = pql_listener_port(listener);
    pql_identity_fingerprint(identity, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &board->pin);
    check(write(go, "", 1) == 1, "the miners broke");
    wait_arrived(board, board->miners);
    (void)sleep(2); /* acknowledgements, path MTU probes */
    for (unsigned round = 0; round < board->rounds; round++) {
        (void)pqi_node_service_tick(service);
        wait_arrived(board, board->miners * (round + 2));
        for (unsigned i = 0; i < board->miners; i++) {
            board->came[round * board->miners + i] -= source.given;
        }
    }
    report(board, pql_context_workers(ctx));
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
    const size_t size = sizeof(shared) + (size_t)miners * rounds * sizeof(uint64_t);
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
