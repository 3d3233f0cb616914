#include "cmd/mine_bench.h"

#include "base/clock.h"
#include "base/error.h"
#include "cmd/mine_status.h"
#include "miner/hasher.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* What was measured. */
typedef struct measure {
    double seconds;
    double total;  /* hashes per second */
    double *rates; /* of each thread; owned */
    unsigned threads;
    const char *backend;
} measure;

static void on_found(void *user, const pqi_solution *solution)
{
    (void)user;
    (void)solution; /* no nonce meets this difficulty before the sun burns out */
}

static void wait_seconds(uint64_t seconds)
{
    struct timespec left = {.tv_sec = (time_t)seconds};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
        continue;
    }
}

static pql_status measure_rates(measure *m, const pqi_mine_options *options, pql_error *err)
{
    static const uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE] = "pqlink mine --bench";
    const pqi_u512 hardest = pqi_u512_max();
    const pqi_hasher_opts opts = {.threads = (unsigned)options->threads, .found = on_found};
    pqi_hasher *hasher = NULL;
    const pql_status status = pqi_hasher_new(&hasher, &opts, err);
    if (status != PQL_OK) {
        return status;
    }
    m->threads = pqi_hasher_threads(hasher);
    m->backend = pqi_hasher_backend(hasher);
    m->rates = calloc(m->threads, sizeof(*m->rates));
    if (m->rates == NULL) {
        pqi_hasher_free(hasher);
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory for %u rates.", m->threads);
    }
    const uint64_t begin = pqi_clock_monotonic();
    pqi_hasher_work(hasher, 1, mining_hash, &hardest);
    wait_seconds(options->bench_seconds);
    m->seconds = (double)(pqi_clock_monotonic() - begin) / (double)PQI_NS_PER_SEC;
    for (unsigned i = 0; i < m->threads; i++) {
        m->rates[i] = (double)pqi_hasher_thread_hashes(hasher, i) / m->seconds;
        m->total += m->rates[i];
    }
    pqi_hasher_free(hasher);
    return PQL_OK;
}

static pql_status print_json(const measure *m, pql_error *err)
{
    json_t *rates = json_array();
    for (unsigned i = 0; i < m->threads; i++) {
        (void)json_array_append_new(rates, json_real(m->rates[i]));
    }
    json_t *root = json_pack("{s:s, s:s, s:i, s:f, s:f, s:o}", "event", "bench", "backend",
                             m->backend, "threads", (int)m->threads, "seconds", m->seconds,
                             "hash_rate", m->total, "thread_hash_rates", rates);
    const bool made = root != NULL && json_dumpf(root, stdout, JSON_COMPACT) == 0;
    (void)putchar('\n');
    json_decref(root);
    return made ? PQL_OK : pqi_fail(err, PQL_E_NOMEM, "The JSON object could not be written.");
}

static void print_table(const measure *m)
{
    char rate[PQI_RATE_SIZE];
    printf("backend %s, %u thread%s, %.1f s\n", m->backend, m->threads, m->threads == 1 ? "" : "s",
           m->seconds);
    for (unsigned i = 0; i < m->threads; i++) {
        pqi_rate_format(rate, m->rates[i]);
        printf("thread %-4u %12s\n", i + 1, rate);
    }
    pqi_rate_format(rate, m->total);
    printf("all         %12s\n", rate);
}

pql_status pqi_mine_bench(const pqi_mine_options *options, pql_error *err)
{
    measure m = {0};
    const pqi_log_choice choice = options->log.format;
    const bool json = choice == PQI_LOG_CHOICE_JSON ||
                      (choice == PQI_LOG_CHOICE_AUTO && isatty(STDOUT_FILENO) != 1);
    pql_status status = measure_rates(&m, options, err);
    if (status == PQL_OK && json) {
        status = print_json(&m, err);
    } else if (status == PQL_OK) {
        print_table(&m);
    }
    free(m.rates);
    return status;
}
