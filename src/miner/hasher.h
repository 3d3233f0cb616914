/* CPU threads that search for proofs of work.
 *
 * Each thread searches the same job from a random start of its own, in batches of some milliseconds
 * between which it looks whether the job is still wanted.  Threads without work sleep.  They run at
 * a lower priority than the rest of the process (nice 10), so that links stay quick.
 *
 * Functions may be called from any thread, but pqi_hasher_free from none of its own. */
#ifndef PQI_MINER_HASHER_H
#define PQI_MINER_HASHER_H

#include "miner/pow.h"

#define PQI_HASHER_THREADS_MAX 1024

typedef struct pqi_hasher pqi_hasher;

/* A nonce that meets the difficulty: verified with portable code before it is handed over. */
typedef struct pqi_solution {
    uint64_t serial; /* of the job */
    uint8_t nonce[PQI_POW_NONCE_SIZE];
    uint64_t hashes;     /* done by all threads since the job came */
    uint64_t elapsed_ns; /* since the job came */
} pqi_solution;

typedef struct pqi_hasher_opts {
    unsigned threads;               /* 0: one per processor that we may use; at most
                                       PQI_HASHER_THREADS_MAX */
    const pqi_pow_backend *backend; /* NULL: the fastest */
    /* Called on a hashing thread, by several at once, with a solution that is valid during the
     * call; it may be for a job that was replaced a moment ago.  The search goes on behind it.  It
     * must not call pqi_hasher_free, and should not wait. */
    void (*found)(void *user, const pqi_solution *solution);
    void *user;
} pqi_hasher_opts;

/* Processors that this process may run on; at least 1. */
unsigned pqi_hasher_processors(void);

/* Starts the threads, without work.  *out is to be freed by the caller.  PQL_E_USAGE: too many
 * threads.  PQL_E_NOMEM; PQL_E_FAILED: a thread could not be started.  *out is then NULL. */
pql_status pqi_hasher_new(pqi_hasher **out, const pqi_hasher_opts *opts, pql_error *err);
/* Stops the threads, waits for them, frees.  NULL is a no-op. */
void pqi_hasher_free(pqi_hasher *h);

/* Replaces whatever is searched; |serial| comes back with each solution.  A |difficulty| of zero,
 * which nothing meets, pauses. */
void pqi_hasher_work(pqi_hasher *h, uint64_t serial,
                     const uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE],
                     const pqi_u512 *difficulty);
/* Stops searching until the next pqi_hasher_work.  A batch that is under way is finished. */
void pqi_hasher_pause(pqi_hasher *h);
/* Searches the last job again, from new starts; nothing happens when there is none or it is not
 * paused. */
void pqi_hasher_resume(pqi_hasher *h);

unsigned pqi_hasher_threads(const pqi_hasher *h);
/* Name of the backend; static string. */
const char *pqi_hasher_backend(const pqi_hasher *h);
/* Nonces tried since the start: by all threads, or by thread |index| (0 for one that is not). */
uint64_t pqi_hasher_hashes(const pqi_hasher *h);
uint64_t pqi_hasher_thread_hashes(const pqi_hasher *h, unsigned index);

#endif
