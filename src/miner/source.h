/* Where mining jobs come from and where solutions go: the embedded development chain, or another
 * node (upstream.h).  The node service talks to this interface alone.
 *
 * Time: a source reads no clock.  Every call brings the present as a pqi_instant, and the caller
 * calls pqi_source_tick when pqi_source_deadline has come.  A source that hears from elsewhere,
 * such as from a link, wakes its caller from there, by a function that it is made with and that may
 * be called from any thread; the caller then calls pqi_source_tick soon, and the source says there
 * what it has heard.
 *
 * Threads: a source has no lock.  One thread calls it, or several that hold one mutex of the node
 * service around each call.  Events are called from within start, submit and tick, in the same
 * thread; they must not call the source.
 *
 * Ownership: the maker of the source destroys it.  What events and functions are given is borrowed
 * until they return; what a source borrows for its life is said where it is made. */
#ifndef PQI_MINER_SOURCE_H
#define PQI_MINER_SOURCE_H

#include "base/error.h"
#include "miner/u512.h"

#include <stdint.h>

#define PQI_JOB_ID_SIZE 64 /* with the final NUL */
#define PQI_JOB_HASH_SIZE 32
#define PQI_JOB_NONCE_SIZE 64

/* The present on both clocks: |unix_ms| for what is written into blocks, |monotonic_ns| for
 * deadlines. */
typedef struct pqi_instant {
    uint64_t unix_ms;
    uint64_t monotonic_ns;
} pqi_instant;

/* What miners work on.  Plain data. */
typedef struct pqi_job {
    char id[PQI_JOB_ID_SIZE]; /* text that miners treat as opaque */
    uint8_t mining_hash[PQI_JOB_HASH_SIZE];
    pqi_u512 difficulty;
    uint64_t height; /* of the block that a solution makes; 0: the source does not know */
} pqi_job;

/* What became of a result. */
typedef enum pqi_source_verdict {
    PQI_SOURCE_ACCEPTED,    /* it made a block, which is stored durably */
    PQI_SOURCE_STALE,       /* its job is not the current one, or a result of it was passed on */
    PQI_SOURCE_INVALID,     /* the nonce does not meet the job's difficulty, or is zero */
    PQI_SOURCE_DUPLICATE,   /* it made a block already */
    PQI_SOURCE_PASSED,      /* right, and handed on to another node, whose answer is not known */
    PQI_SOURCE_UNAVAILABLE, /* right, but it could not be stored or passed on; the job goes on, and
                               the same result may be sent again */
} pqi_source_verdict;

/* The block that an accepted result made. */
typedef struct pqi_source_block {
    uint64_t height; /* 0: the source does not know */
    uint8_t hash[PQI_JOB_HASH_SIZE];
} pqi_source_block;

typedef struct pqi_source_events {
    /* |job| is the current one from now on and replaces the one before. */
    void (*on_job)(void *user, const pqi_job *job);
    /* There is nothing to mine until the next on_job: miners should stop. */
    void (*on_idle)(void *user);
    void *user;
} pqi_source_events;

typedef struct pqi_source pqi_source;

/* What a kind of source implements; the functions below are its contract. */
typedef struct pqi_source_kind {
    pql_status (*start)(pqi_source *source, const pqi_source_events *events, pqi_instant now,
                        pql_error *err);
    pqi_source_verdict (*submit)(pqi_source *source, const char *job_id,
                                 const uint8_t nonce[PQI_JOB_NONCE_SIZE], const char *miner,
                                 pqi_instant now, pqi_source_block *block);
    void (*tick)(pqi_source *source, pqi_instant now);
    uint64_t (*deadline)(const pqi_source *source);
    void (*destroy)(pqi_source *source);
} pqi_source_kind;

/* The head of every source; a kind puts it first in its own struct. */
struct pqi_source {
    const pqi_source_kind *kind;
};

/* Begins to give jobs; a source that has one at hand calls on_job at once.  |events| is copied,
 * both functions must be set.  To be called once; a second time is PQL_E_STATE. */
static inline pql_status pqi_source_start(pqi_source *source, const pqi_source_events *events,
                                          pqi_instant now, pql_error *err)
{
    return source->kind->start(source, events, now, err);
}

/* Judges a result: |nonce| is the 64 bytes that go into the hash, |miner| a name for the history
 * (cut at 64 bytes).  Any other job than the current one is stale, before start too.  When it makes
 * a block, on_job for the next one is called before the verdict returns, and *block (may be NULL)
 * is filled; with any other verdict *block is all zero. */
static inline pqi_source_verdict pqi_source_submit(pqi_source *source, const char *job_id,
                                                   const uint8_t nonce[PQI_JOB_NONCE_SIZE],
                                                   const char *miner, pqi_instant now,
                                                   pqi_source_block *block)
{
    return source->kind->submit(source, job_id, nonce, miner, now, block);
}

/* Does what is due at |now|; harmless when nothing is. */
static inline void pqi_source_tick(pqi_source *source, pqi_instant now)
{
    source->kind->tick(source, now);
}

/* When tick is wanted next, in monotonic nanoseconds; PQI_TIME_NEVER for never.  Ask again after
 * each other call. */
static inline uint64_t pqi_source_deadline(const pqi_source *source)
{
    return source->kind->deadline(source);
}

/* Frees the source; no event is called.  NULL is a no-op. */
static inline void pqi_source_destroy(pqi_source *source)
{
    if (source != NULL) {
        source->kind->destroy(source);
    }
}

#endif
