/* Hash rate of the proof of work, for each backend and number of threads.
 *
 * Usage: pow_bench [SECONDS [THREADS]]     each measurement runs SECONDS (default 2); thread counts
 *                                          double from 1 up to THREADS (default: all cores)
 *
 * stdout: one JSON object on one line,
 *   {"bench":"pow","seconds":2,"results":[{"backend":"avx512","threads":1,"hashes":N,
 *    "elapsed_seconds":S,"cpu_seconds":S,"hashes_per_second":R,"hashes_per_cpu_second":R},...]}
 * stderr: the same as a table.  On a busy machine the rate per CPU second is the one to compare.
 * The search is the miner's own, with a target that nothing meets. */
#include "miner/pow.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_SECONDS 2.0
#define BATCH 16384 /* nonces between two looks at the stop flag: what a worker does */
#define THREADS_MAX 1024

typedef struct worker {
    pthread_t thread;
    pqi_pow_job job;
    atomic_bool *stop;
    uint64_t hashes;
    double cpu_seconds;
} worker;

typedef struct measurement {
    uint64_t hashes;
    double elapsed;
    double cpu_seconds;
} measurement;

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void *work(void *user)
{
    worker *w = user;
    while (!atomic_load_explicit(w->stop, memory_order_relaxed)) {
        uint8_t found[PQI_POW_NONCE_SIZE];
        uint64_t tried;
        pqi_pow_search(&w->job, BATCH, &tried, found);
        w->hashes += tried;
    }
    w->cpu_seconds = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    return NULL;
}

static void prepare(worker *w, const pqi_pow_backend *backend, size_t index, atomic_bool *stop)
{
    const uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE] = {1, 2, 3};
    const uint8_t start[PQI_POW_NONCE_SIZE] = {(uint8_t)(index >> 8), (uint8_t)index, 1};
    const pqi_u512 nothing = pqi_u512_from_u64(0);
    *w = (worker){.stop = stop};
    pqi_pow_search_init(&w->job, mining_hash, start, &nothing);
    pqi_pow_search_use(&w->job, backend);
}

static void sleep_seconds(double seconds)
{
    const struct timespec pause = {
        .tv_sec = (time_t)seconds,
        .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9),
    };
    nanosleep(&pause, NULL);
}

static void must(int failed, const char *what)
{
    if (failed) {
        fprintf(stderr, "pow_bench: %s failed\n", what);
        exit(EXIT_FAILURE);
    }
}

static measurement measure(const pqi_pow_backend *backend, size_t threads, double seconds)
{
    measurement m = {0};
    atomic_bool stop = false;
    worker *workers = calloc(threads, sizeof(*workers));
    must(workers == NULL, "calloc");
    for (size_t i = 0; i < threads; i++) {
        prepare(&workers[i], backend, i, &stop);
    }
    const double start = seconds_of(CLOCK_MONOTONIC);
    for (size_t i = 0; i < threads; i++) {
        must(pthread_create(&workers[i].thread, NULL, work, &workers[i]), "pthread_create");
    }
    sleep_seconds(seconds);
    atomic_store(&stop, true);
    for (size_t i = 0; i < threads; i++) {
        must(pthread_join(workers[i].thread, NULL), "pthread_join");
        m.hashes += workers[i].hashes;
        m.cpu_seconds += workers[i].cpu_seconds;
    }
    m.elapsed = seconds_of(CLOCK_MONOTONIC) - start;
    free(workers);
    return m;
}

static void report(const pqi_pow_backend *backend, size_t threads, measurement m, bool first)
{
    const char *name = pqi_pow_backend_name(backend);
    const double rate = (double)m.hashes / m.elapsed;
    const double cpu_rate = (double)m.hashes / m.cpu_seconds;
    printf("%s{\"backend\":\"%s\",\"threads\":%zu,\"hashes\":%llu,\"elapsed_seconds\":%.6f,"
           "\"cpu_seconds\":%.6f,\"hashes_per_second\":%.0f,\"hashes_per_cpu_second\":%.0f}",
           first ? "" : ",", name, threads, (unsigned long long)m.hashes, m.elapsed, m.cpu_seconds,
           rate, cpu_rate);
    fprintf(stderr, "%-10s %7zu %12.3f %12.3f\n", name, threads, rate / 1e6, cpu_rate / 1e6);
}

static size_t default_threads(void)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores > 0 ? (size_t)cores : 1;
}

int main(int argc, char **argv)
{
    const double seconds = argc > 1 ? strtod(argv[1], NULL) : DEFAULT_SECONDS;
    const size_t threads_max = argc > 2 ? strtoul(argv[2], NULL, 10) : default_threads();
    if (argc > 3 || !(seconds > 0) || threads_max < 1 || threads_max > THREADS_MAX) {
        fprintf(stderr, "usage: %s [SECONDS [THREADS]]\n", argv[0]);
        return EXIT_FAILURE;
    }
    const pqi_pow_backend *backends[PQI_POW_BACKENDS_MAX];
    const size_t count = pqi_pow_backends(backends);
    printf("{\"bench\":\"pow\",\"seconds\":%g,\"results\":[", seconds);
    fprintf(stderr, "%-10s %7s %12s %12s\n", "backend", "threads", "MH/s", "MH/CPU-s");
    for (size_t i = 0; i < count; i++) {
        for (size_t threads = 1; threads <= threads_max; threads *= 2) {
            const measurement m = measure(backends[i], threads, seconds);
            report(backends[i], threads, m, i == 0 && threads == 1);
        }
    }
    printf("]}\n");
    return EXIT_SUCCESS;
}
