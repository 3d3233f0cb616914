#include "miner/relay.h"

#include "base/clock.h"
#include "miner/pow.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRACE (5 * PQI_NS_PER_SEC)
#define PATIENCE (3 * PQI_NS_PER_SEC)

/* What came from the link since the last tick; the newest only. */
typedef struct relay_news {
    enum { NEWS_NONE, NEWS_JOB, NEWS_IDLE, NEWS_LOST } what;
    bool refused; /* beside it: the last result was */
    pqi_miner_job job;
    uint64_t serial;
} relay_news;

typedef struct relay {
    pqi_source base; /* first member */
    pqi_relay_opts opts;

    pthread_mutex_t lock; /* for |news| */
    relay_news news;

    /* Of the source's caller. */
    pqi_source_events events;
    bool started, has_job;
    pqi_job job;     /* under our id */
    uint64_t serial; /* of the link for the same job */
    pqi_u512 target;
    uint64_t ids; /* given out */
    bool passed;  /* a result of this job is on its way */
    uint64_t passed_until;
    uint64_t lost_until; /* PQI_TIME_NEVER: the link lives */
    bool keeps;          /* |kept| waits for the link to come back */
    pqi_solution kept;
    uint8_t remembered[PQI_RELAY_REMEMBERED][PQI_JOB_NONCE_SIZE]; /* of this job; zero: free */
    size_t remembered_next;
} relay;

static relay *from_source(pqi_source *source)
{
    return (relay *)source;
}

/* ---- From the link, any thread ---- */

static void put_news(pqi_source *source, const relay_news *news)
{
    relay *r = from_source(source);
    pthread_mutex_lock(&r->lock);
    const bool refused = r->news.refused;
    r->news = *news;
    r->news.refused = refused;
    pthread_mutex_unlock(&r->lock);
    r->opts.wake(r->opts.user);
}

void pqi_relay_job(pqi_source *source, const pqi_miner_job *job, uint64_t serial)
{
    put_news(source, &(relay_news){.what = NEWS_JOB, .job = *job, .serial = serial});
}

void pqi_relay_idle(pqi_source *source)
{
    put_news(source, &(relay_news){.what = NEWS_IDLE});
}

void pqi_relay_lost(pqi_source *source)
{
    put_news(source, &(relay_news){.what = NEWS_LOST});
}

void pqi_relay_refused(pqi_source *source)
{
    relay *r = from_source(source);
    pthread_mutex_lock(&r->lock);
    r->news.refused = true;
    pthread_mutex_unlock(&r->lock);
    r->opts.wake(r->opts.user);
}

static relay_news take_news(relay *r)
{
    pthread_mutex_lock(&r->lock);
    const relay_news news = r->news;
    r->news = (relay_news){0};
    pthread_mutex_unlock(&r->lock);
    return news;
}

static bool job_waits(relay *r)
{
    pthread_mutex_lock(&r->lock);
    const bool waits = r->news.what == NEWS_JOB;
    pthread_mutex_unlock(&r->lock);
    return waits;
}

/* ---- Jobs ---- */

static bool is_current(const relay *r, const pqi_miner_job *job)
{
    return r->has_job && memcmp(r->job.mining_hash, job->mining_hash, PQI_JOB_HASH_SIZE) == 0 &&
           pqi_u512_compare(&r->job.difficulty, &job->difficulty) == 0;
}

static void forget_results(relay *r)
{
    memset(r->remembered, 0, sizeof(r->remembered));
    r->remembered_next = 0;
    r->keeps = false;
}

static void announce(relay *r)
{
    r->passed = false;
    r->events.on_job(r->events.user, &r->job);
}

static void remember(relay *r, const uint8_t nonce[PQI_JOB_NONCE_SIZE])
{
    memcpy(r->remembered[r->remembered_next], nonce, PQI_JOB_NONCE_SIZE);
    r->remembered_next = (r->remembered_next + 1) % PQI_RELAY_REMEMBERED;
}

static pql_status pass(relay *r, const pqi_solution *solution, pqi_instant now)
{
    const pql_status status = r->opts.pass(r->opts.user, solution);
    if (status == PQL_OK) {
        r->passed = true;
        r->passed_until = now.monotonic_ns + r->opts.patience_ns;
        remember(r, solution->nonce);
    }
    return status;
}

static void take_job(relay *r, const relay_news *news, pqi_instant now)
{
    r->lost_until = PQI_TIME_NEVER;
    r->serial = news->serial;
    if (is_current(r, &news->job)) {
        announce(r);
        if (r->keeps) {
            r->keeps = false;
            r->kept.serial = r->serial;
            (void)pass(r, &r->kept, now);
        }
        return;
    }
    r->ids++;
    r->has_job = true;
    r->job = (pqi_job){.difficulty = news->job.difficulty};
    (void)snprintf(r->job.id, sizeof(r->job.id), "%llu", (unsigned long long)r->ids);
    memcpy(r->job.mining_hash, news->job.mining_hash, PQI_JOB_HASH_SIZE);
    (void)pqi_pow_target(&r->target, &r->job.difficulty); /* a job's is never zero */
    forget_results(r);
    announce(r);
}

static void become_idle(relay *r)
{
    r->lost_until = PQI_TIME_NEVER;
    forget_results(r);
    r->passed = false;
    if (r->has_job) {
        r->has_job = false;
        r->events.on_idle(r->events.user);
    }
}

static void take_loss(relay *r, pqi_instant now)
{
    if (r->has_job && r->lost_until == PQI_TIME_NEVER) {
        r->lost_until = now.monotonic_ns + r->opts.grace_ns;
    }
}

/* The job is open again, and those who stopped after a result search on. */
static void reopen(relay *r)
{
    if (r->passed && r->has_job) {
        announce(r);
    }
}

static void relay_tick(pqi_source *source, pqi_instant now)
{
    relay *r = from_source(source);
    if (!r->started) {
        return;
    }
    const relay_news news = take_news(r);
    if (news.refused && news.what != NEWS_JOB) {
        reopen(r);
    }
    switch (news.what) {
    case NEWS_JOB:
        take_job(r, &news, now);
        break;
    case NEWS_IDLE:
        become_idle(r);
        break;
    case NEWS_LOST:
        take_loss(r, now);
        break;
    case NEWS_NONE:
        break;
    }
    if (now.monotonic_ns >= r->lost_until) {
        become_idle(r);
    }
    if (r->passed && now.monotonic_ns >= r->passed_until) {
        reopen(r);
        if (r->opts.unanswered != NULL) {
            r->opts.unanswered(r->opts.user);
        }
    }
}

static uint64_t relay_deadline(const pqi_source *source)
{
    const relay *r = (const relay *)source;
    return r->passed && r->passed_until < r->lost_until ? r->passed_until : r->lost_until;
}

static pql_status relay_start(pqi_source *source, const pqi_source_events *events, pqi_instant now,
                              pql_error *err)
{
    relay *r = from_source(source);
    if (r->started) {
        return pqi_fail(err, PQL_E_STATE, "The source was started already.");
    }
    r->started = true;
    r->events = *events;
    relay_tick(source, now);
    return PQL_OK;
}

/* ---- Results ---- */

static bool is_remembered(const relay *r, const uint8_t nonce[PQI_JOB_NONCE_SIZE])
{
    for (size_t i = 0; i < PQI_RELAY_REMEMBERED; i++) {
        if (memcmp(r->remembered[i], nonce, PQI_JOB_NONCE_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

/* There is no link at the moment: the first result waits for one. */
static void keep(relay *r, const pqi_solution *solution)
{
    if (!r->keeps) {
        r->kept = *solution;
        r->keeps = true;
    }
}

static pqi_source_verdict relay_submit(pqi_source *source, const char *job_id,
                                       const uint8_t nonce[PQI_JOB_NONCE_SIZE], const char *miner,
                                       pqi_instant now, pqi_source_block *block)
{
    relay *r = from_source(source);
    (void)miner;
    if (block != NULL) {
        *block = (pqi_source_block){0};
    }
    if (!r->has_job || strcmp(job_id, r->job.id) != 0) {
        return PQI_SOURCE_STALE;
    }
    if (!pqi_pow_verify(r->job.mining_hash, nonce, &r->target)) {
        return PQI_SOURCE_INVALID; /* a zero nonce too */
    }
    if (is_remembered(r, nonce)) {
        return PQI_SOURCE_DUPLICATE;
    }
    if (r->passed) {
        return PQI_SOURCE_STALE;
    }
    pqi_solution solution = {.serial = r->serial};
    memcpy(solution.nonce, nonce, PQI_JOB_NONCE_SIZE);
    switch (pass(r, &solution, now)) {
    case PQL_OK:
        return PQI_SOURCE_PASSED;
    case PQL_E_STATE:
        if (job_waits(r)) {
            return PQI_SOURCE_STALE; /* there is a newer job; the next tick tells of it */
        }
        keep(r, &solution);
        return PQI_SOURCE_UNAVAILABLE;
    default:
        return PQI_SOURCE_UNAVAILABLE;
    }
}

/* ---- Life ---- */

static void relay_destroy(pqi_source *source)
{
    relay *r = from_source(source);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
}

static const pqi_source_kind relay_kind = {.start = relay_start,
                                           .submit = relay_submit,
                                           .tick = relay_tick,
                                           .deadline = relay_deadline,
                                           .destroy = relay_destroy};

pql_status pqi_relay_new(pqi_source **out, const pqi_relay_opts *opts, pql_error *err)
{
    *out = NULL;
    relay *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory making the source.");
    }
    r->base.kind = &relay_kind;
    r->opts = *opts;
    r->opts.grace_ns = opts->grace_ns != 0 ? opts->grace_ns : GRACE;
    r->opts.patience_ns = opts->patience_ns != 0 ? opts->patience_ns : PATIENCE;
    r->lost_until = PQI_TIME_NEVER;
    (void)pthread_mutex_init(&r->lock, NULL);
    *out = &r->base;
    return PQL_OK;
}
