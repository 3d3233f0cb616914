/* Many miners that connect to a node at once.
 *
 *     crowd COUNT PORT FINGERPRINT
 *
 * All pql_connect calls are made before the first answer is waited for.  Each miner says Ready and
 * waits for its job.  Prints "crowd: COUNT have a job" when all have, stays until its standard
 * input ends, and leaves in order.  Ends with status 1 and a sentence when a link is refused or
 * lost, or when not all have a job after two minutes. */
#include "base/clock.h"
#include "miner/session.h"

#include <pqlink/link.h>

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE (120 * PQI_NS_PER_SEC)
#define CONNECT_TIMEOUT_MS 110000
/* Descriptors that are not a miner's socket. */
#define SPARE_FILES 64

static atomic_uint with_job;
static atomic_bool leaving;

static void fail(const char *what)
{
    (void)fprintf(stderr, "crowd: %s (%u had a job)\n", what, atomic_load(&with_job));
    exit(1);
}

static void say_ready(pql_link *link, void *user)
{
    const pqi_miner_message ready = {.type = PQI_MINER_READY, .ready = {.name = "crowd"}};
    uint8_t frame[PQI_FRAME_SIZE_MAX];
    pqi_writer w;
    pql_stream *stream = NULL;
    (void)user;
    pqi_writer_init(&w, frame, sizeof(frame));
    if (pqi_miner_encode(PQI_MINER_PQ1, &ready, &w, NULL) != PQL_OK ||
        pql_stream_open(link, &stream, NULL) != PQL_OK ||
        pql_stream_write(stream, w.data, w.len, false) != PQL_OK) {
        fail("Ready could not be sent");
    }
}

static void count_job(pql_stream *stream, const uint8_t *data, size_t len, bool fin, void *user)
{
    bool *has_job = user;
    (void)stream;
    (void)fin;
    if (!*has_job && memmem(data, len, "\"NewJob\"", strlen("\"NewJob\"")) != NULL) {
        *has_job = true;
        atomic_fetch_add(&with_job, 1);
    }
}

static void link_lost(pql_link *link, const pql_close *why, void *user)
{
    (void)link;
    (void)user;
    if (!atomic_load(&leaving)) {
        fail(why->reason);
    }
}

static const pql_handlers handlers = {
    .link_open = say_ready, .link_close = link_lost, .stream_data = count_job};

static void allow_files(unsigned count)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        fail("getrlimit");
    }
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    if (count + SPARE_FILES > files.rlim_cur) {
        fail("there are not enough file descriptors");
    }
}

int main(int argc, char **argv)
{
    pql_error err = {0};
    pql_context *ctx = NULL;
    pql_fingerprint pin;
    char url[64];
    if (argc != 4 || pql_fingerprint_parse(&pin, argv[3], &err) != PQL_OK) {
        (void)fprintf(stderr, "usage: crowd COUNT PORT FINGERPRINT\n%s\n", err.message);
        return 2;
    }
    const unsigned count = (unsigned)strtoul(argv[1], NULL, 10);
    (void)snprintf(url, sizeof(url), "quic://127.0.0.1:%s", argv[2]);
    bool *has_job = calloc(count, sizeof(*has_job));
    allow_files(count);
    const pql_peer peer = {.pins = &pin, .pin_count = 1};
    if (has_job == NULL || pql_context_new(&ctx, &(pql_context_opts){0}, &err) != PQL_OK) {
        fail(err.message);
    }
    for (unsigned i = 0; i < count; i++) {
        const pql_connect_opts opts = {.alpn = pqi_miner_alpn(PQI_MINER_PQ1),
                                       .handlers = &handlers,
                                       .user = &has_job[i],
                                       .connect_timeout_ms = CONNECT_TIMEOUT_MS};
        if (pql_connect(ctx, url, &peer, &opts, NULL, &err) != PQL_OK) {
            fail(err.message);
        }
    }
    const uint64_t end = pqi_clock_monotonic() + PATIENCE;
    while (atomic_load(&with_job) < count) {
        if (pqi_clock_monotonic() > end) {
            fail("time is up");
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = (long)(10 * PQI_NS_PER_MS)}, NULL);
    }
    (void)printf("crowd: %u have a job\n", count);
    (void)fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
        continue;
    }
    atomic_store(&leaving, true);
    pql_context_free(ctx);
    free(has_job);
    return 0;
}
