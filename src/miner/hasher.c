#include "miner/hasher.h"

#include "base/clock.h"
#include "base/error.h"
#include "crypto/random.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Nonces between two looks at the job: 2 ms with AVX-512, some 50 ms with portable code. */
#define BATCH ((uint64_t)(512 * PQI_POW_LANES_MAX))
#define HASH_NICE 10
#define CACHE_LINE 64

typedef struct thread {
    _Alignas(CACHE_LINE) _Atomic uint64_t hashes; /* written by its thread alone */
    pthread_t id;
    pqi_hasher *owner;
} thread;

/* What is searched; copied by each thread. */
typedef struct work {
    uint64_t serial;
    uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE];
    pqi_u512 target;
    uint64_t started_ns;
    uint64_t hashes_before;
} work;

struct pqi_hasher {
    pqi_hasher_opts opts;
    const pqi_pow_backend *backend;
    pthread_mutex_t lock;
    pthread_cond_t change;
    bool has_work, active, stopping; /* with |lock| */
    work work;                       /* with |lock| */
    _Atomic uint64_t generation;     /* changed with |lock|, read without */
    unsigned count;                  /* threads that were started */
    thread *threads;
};

unsigned pqi_hasher_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0) {
        return (unsigned)CPU_COUNT(&set);
    }
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

/* Waits for work other than that of |*generation|; false when it is time to end. */
static bool take_work(pqi_hasher *h, uint64_t *generation, work *out)
{
    pthread_mutex_lock(&h->lock);
    while (!h->stopping && !h->active) {
        pthread_cond_wait(&h->change, &h->lock);
    }
    const bool go_on = !h->stopping;
    *generation = atomic_load_explicit(&h->generation, memory_order_relaxed);
    *out = h->work;
    pthread_mutex_unlock(&h->lock);
    return go_on;
}

static void hand_over(const pqi_hasher *h, const work *w, const uint8_t nonce[PQI_POW_NONCE_SIZE])
{
    if (!pqi_pow_verify(w->mining_hash, nonce, &w->target)) {
        return; /* a backend that errs must not cost us our good name with the node */
    }
    pqi_solution solution = {.serial = w->serial,
                             .hashes = pqi_hasher_hashes(h) - w->hashes_before,
                             .elapsed_ns = pqi_clock_monotonic() - w->started_ns};
    memcpy(solution.nonce, nonce, sizeof(solution.nonce));
    h->opts.found(h->opts.user, &solution);
}

/* Searches until the work is replaced. */
static void search(thread *t, const work *w, uint64_t generation)
{
    const pqi_hasher *h = t->owner;
    uint8_t start[PQI_POW_NONCE_SIZE];
    uint8_t found[PQI_POW_NONCE_SIZE];
    pqi_pow_job job;
    pqi_random(start, sizeof(start));
    pqi_pow_search_init(&job, w->mining_hash, start, &w->target);
    pqi_pow_search_use(&job, h->backend);
    while (atomic_load_explicit(&h->generation, memory_order_relaxed) == generation) {
        uint64_t tried = 0;
        const bool hit = pqi_pow_search(&job, BATCH, &tried, found);
        atomic_fetch_add_explicit(&t->hashes, tried, memory_order_relaxed);
        if (hit) {
            hand_over(h, w, found);
        }
    }
}

static void *thread_main(void *arg)
{
    thread *t = arg;
    work w;
    uint64_t generation = 0;
    (void)pthread_setname_np(pthread_self(), "pqlink-hash");
    /* On Linux a priority is a thread's own. */
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), HASH_NICE);
    while (take_work(t->owner, &generation, &w)) {
        search(t, &w, generation);
    }
    return NULL;
}

/* Signals are for the main thread. */
static int start_thread(thread *t)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failure = pthread_create(&t->id, NULL, thread_main, t);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

static pql_status start_threads(pqi_hasher *h, unsigned threads, pql_error *err)
{
    h->threads = aligned_alloc(CACHE_LINE, threads * sizeof(thread));
    if (h->threads == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory for %u hashing threads.", threads);
    }
    memset(h->threads, 0, threads * sizeof(thread));
    for (; h->count < threads; h->count++) {
        thread *t = &h->threads[h->count];
        t->owner = h;
        const int failure = start_thread(t);
        if (failure != 0) {
            return pqi_fail_errno(err, PQL_E_FAILED, failure,
                                  "Hashing thread %u of %u cannot be started", h->count + 1,
                                  threads);
        }
    }
    return PQL_OK;
}

pql_status pqi_hasher_new(pqi_hasher **out, const pqi_hasher_opts *opts, pql_error *err)
{
    *out = NULL;
    const unsigned threads = opts->threads != 0 ? opts->threads : pqi_hasher_processors();
    const pqi_pow_backend *backends[PQI_POW_BACKENDS_MAX];
    if (threads > PQI_HASHER_THREADS_MAX) {
        return pqi_fail(err, PQL_E_USAGE, "At most %d hashing threads are possible.",
                        PQI_HASHER_THREADS_MAX);
    }
    pqi_hasher *h = calloc(1, sizeof(*h));
    if (h == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory for %u hashing threads.", threads);
    }
    (void)pqi_pow_backends(backends);
    h->opts = *opts;
    h->backend = opts->backend != NULL ? opts->backend : backends[0];
    (void)pthread_mutex_init(&h->lock, NULL);
    (void)pthread_cond_init(&h->change, NULL);
    const pql_status status = start_threads(h, threads, err);
    if (status != PQL_OK) {
        pqi_hasher_free(h);
        return status;
    }
    *out = h;
    return PQL_OK;
}

/* With the lock held: what the threads do now is over. */
static void next_generation(pqi_hasher *h, bool active)
{
    h->active = active;
    (void)atomic_fetch_add_explicit(&h->generation, 1, memory_order_relaxed);
    (void)pthread_cond_broadcast(&h->change);
}

void pqi_hasher_free(pqi_hasher *h)
{
    if (h == NULL) {
        return;
    }
    pthread_mutex_lock(&h->lock);
    h->stopping = true;
    next_generation(h, false);
    pthread_mutex_unlock(&h->lock);
    for (unsigned i = 0; i < h->count; i++) {
        (void)pthread_join(h->threads[i].id, NULL);
    }
    (void)pthread_cond_destroy(&h->change);
    (void)pthread_mutex_destroy(&h->lock);
    free(h->threads);
    free(h);
}

void pqi_hasher_work(pqi_hasher *h, uint64_t serial,
                     const uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE],
                     const pqi_u512 *difficulty)
{
    work w = {.serial = serial};
    const bool possible = pqi_pow_target(&w.target, difficulty);
    memcpy(w.mining_hash, mining_hash, sizeof(w.mining_hash));
    w.started_ns = pqi_clock_monotonic();
    w.hashes_before = pqi_hasher_hashes(h);
    pthread_mutex_lock(&h->lock);
    h->work = w;
    h->has_work = possible;
    next_generation(h, possible);
    pthread_mutex_unlock(&h->lock);
}

void pqi_hasher_pause(pqi_hasher *h)
{
    pthread_mutex_lock(&h->lock);
    next_generation(h, false);
    pthread_mutex_unlock(&h->lock);
}

void pqi_hasher_resume(pqi_hasher *h)
{
    pthread_mutex_lock(&h->lock);
    if (h->has_work && !h->active) {
        next_generation(h, true);
    }
    pthread_mutex_unlock(&h->lock);
}

unsigned pqi_hasher_threads(const pqi_hasher *h)
{
    return h->count;
}

const char *pqi_hasher_backend(const pqi_hasher *h)
{
    return pqi_pow_backend_name(h->backend);
}

uint64_t pqi_hasher_thread_hashes(const pqi_hasher *h, unsigned index)
{
    return index < h->count ? atomic_load_explicit(&h->threads[index].hashes, memory_order_relaxed)
                            : 0;
}

uint64_t pqi_hasher_hashes(const pqi_hasher *h)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < h->count; i++) {
        sum += pqi_hasher_thread_hashes(h, i);
    }
    return sum;
}
