/* The node's side of the miner job: links, jobs, results. */
#include "base/clock.h"
#include "base/log.h"
#include "miner/node_inside.h"
#include "miner/pow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One stream carries everything; a second one would have no meaning. */
#define STREAMS_PER_MINER 1
/* Frames have a kilobyte at most; this is room for the fastest honest miner. */
#define RECEIVE_PER_MINER ((size_t)64 << 10)
/* Bytes that wait for a miner that does not read: some 200 frames.  What comes then is the newest
 * job only, and after PQI_NODE_STALL_NS the link ends. */
#define MINER_QUEUE ((size_t)64 * 1024)
/* Between the Cancel of a drain and the close: the close would overtake a Cancel that has to wait
 * for its turn (pacing) or to be sent again. */
#define GOODBYE_TIME (100 * PQI_NS_PER_MS)
/* How soon a job is offered again to a worker whose queue was full. */
#define BROADCAST_AGAIN (20 * PQI_NS_PER_MS)
/* Hash rates are claims.  Above this one it is taken for this one: the sums of a few thousand such
 * miners are still exact in the double of a gauge, so a boast cannot swallow the rate of others. */
#define HASH_RATE_MAX UINT64_C(1000000000000)
/* A hash rate that was not renewed for so long is taken for 0: three Stats are missing then
 * (docs/protocol-miner.md, STATS_TIME). */
#define HASH_RATE_VALID (30 * PQI_NS_PER_SEC)
/* How often the file of tokens is looked at. */
#define TOKENS_LOOK PQI_NS_PER_SEC
/* A metric is not to overflow at one absurd difficulty. */
#define SHARE_WORK_MAX ((double)(UINT64_C(1) << 60))

static pqi_instant instant_now(void)
{
    return (pqi_instant){.unix_ms = pqi_clock_unix_ms(), .monotonic_ns = pqi_clock_monotonic()};
}

/* ---- Jobs ---- */

static void on_source_job(void *user, const pqi_job *job)
{
    pqi_node_service *s = user;
    pthread_mutex_lock(&s->job_lock);
    s->job = *job;
    s->has_job = true;
    s->news++;
    s->job_changed = true;
    pthread_mutex_unlock(&s->job_lock);
    pqi_node_metrics_job(s->opts.metrics);
    if (job->height > 0 && s->last_block_ms == 0) {
        /* No block of ours yet: after a restart the head is known from the job alone. */
        atomic_store(&s->height, job->height - 1);
        pqi_node_metrics_chain(s->opts.metrics, job->height - 1,
                               pqi_u512_to_double(&job->difficulty), 0, 0);
    }
}

static void on_source_idle(void *user)
{
    pqi_node_service *s = user;
    pthread_mutex_lock(&s->job_lock);
    s->has_job = false;
    s->news++;
    s->job_changed = true;
    pthread_mutex_unlock(&s->job_lock);
}

/* The job as miners get it: with the difficulty of shares, where that is the easier one. */
static pqi_miner_job to_wire_job(const pqi_job *job, const pqi_u512 *share)
{
    const bool shares = !pqi_u512_is_zero(share) && pqi_u512_compare(share, &job->difficulty) < 0;
    pqi_miner_job wire = {.difficulty = shares ? *share : job->difficulty};
    (void)snprintf(wire.id, sizeof(wire.id), "%s", job->id);
    memcpy(wire.mining_hash, job->mining_hash, sizeof(wire.mining_hash));
    return wire;
}

static const pqi_label_result result_labels[PQI_VERDICT_COUNT] = {
    [PQI_VERDICT_ACCEPTED] = PQI_RESULT_ACCEPTED, [PQI_VERDICT_STALE] = PQI_RESULT_STALE,
    [PQI_VERDICT_INVALID] = PQI_RESULT_INVALID,   [PQI_VERDICT_DUPLICATE] = PQI_RESULT_DUPLICATE,
    [PQI_VERDICT_FLOOD] = PQI_RESULT_FLOODED,     [PQI_VERDICT_UNAVAILABLE] = PQI_RESULT_REJECTED,
    [PQI_VERDICT_REJECTED] = PQI_RESULT_REJECTED,
};

static uint64_t whole_rate(double rate)
{
    return rate < (double)HASH_RATE_MAX ? (uint64_t)rate : HASH_RATE_MAX;
}

static void show_hash_rate(pqi_node_link *miner, uint64_t rate)
{
    if (atomic_load_explicit(&miner->hash_rate, memory_order_relaxed) != rate) {
        atomic_store_explicit(&miner->hash_rate, rate, memory_order_relaxed);
        pqi_node_miner_hash_rate(miner->metrics, rate);
    }
}

/* What the miner says; official ones say nothing, so what their results prove. */
static void take_hash_rate(pqi_node_link *miner, const pqi_session_node_counters *counters,
                           uint64_t now)
{
    const uint64_t proven = whole_rate(pqi_share_rate_get(&miner->shares_rate, now));
    atomic_store_explicit(&miner->share_rate, proven, memory_order_relaxed);
    if (miner->dialect != PQI_MINER_PQ1) {
        show_hash_rate(miner, proven);
    } else if (counters->hash_rate_at != miner->rate_at) {
        miner->rate_at = counters->hash_rate_at;
        show_hash_rate(miner, whole_rate(counters->hash_rate));
    } else if (now - miner->rate_at > HASH_RATE_VALID) {
        show_hash_rate(miner, 0);
    }
}

/* Takes what the session counted since the last time over to metrics and status. */
static void take_counters(pqi_node_link *miner, uint64_t now)
{
    const pqi_session_node_counters *counters = pqi_session_node_counters_get(&miner->session);
    for (int v = 0; v < PQI_VERDICT_COUNT; v++) {
        const uint64_t before = atomic_load_explicit(&miner->verdicts[v], memory_order_relaxed);
        for (uint64_t n = before; n < counters->verdicts[v]; n++) {
            pqi_node_miner_result(miner->metrics, result_labels[v]);
        }
        atomic_store_explicit(&miner->verdicts[v], counters->verdicts[v], memory_order_relaxed);
    }
    const uint64_t jobs = atomic_load_explicit(&miner->jobs_sent, memory_order_relaxed);
    if (counters->jobs_sent != jobs) {
        pqi_node_metrics_jobs_sent(miner->service->opts.metrics, counters->jobs_sent - jobs);
        atomic_store_explicit(&miner->jobs_sent, counters->jobs_sent, memory_order_relaxed);
    }
    take_hash_rate(miner, counters, now);
}

/* After each call of the session: its counters and its deadline. */
static void settle(pqi_node_link *miner, uint64_t now)
{
    take_counters(miner, now);
    const uint64_t deadline = pqi_session_node_deadline(&miner->session);
    pql_link_set_timer(miner->link, deadline < miner->leave_at ? deadline : miner->leave_at);
}

/* What there is to say to every miner. */
typedef struct news {
    uint64_t number;
    bool draining, has_job;
    pqi_miner_job job;
    pqi_u512 block_difficulty;
    uint64_t rotation_number;
    pqi_miner_rotation rotation;
} news;

static news newest(pqi_node_service *s)
{
    pthread_mutex_lock(&s->job_lock);
    const news n = {.number = s->news,
                    .draining = s->draining,
                    .has_job = s->has_job,
                    .job = to_wire_job(&s->job, &s->opts.share_difficulty),
                    .block_difficulty = s->job.difficulty,
                    .rotation_number = s->rotation_news,
                    .rotation = s->rotation};
    pthread_mutex_unlock(&s->job_lock);
    return n;
}

static void send_away(pqi_node_link *miner)
{
    miner->leave_at = PQI_TIME_NEVER;
    pqi_session_node_close(&miner->session, PQI_CLOSE_DRAINING);
}

static void tell_rotation(pqi_node_link *miner, const news *n, uint64_t now)
{
    if (miner->told_rotation != n->rotation_number) {
        miner->told_rotation = n->rotation_number;
        pqi_session_node_rotation(&miner->session, &n->rotation, now);
        settle(miner, now);
    }
}

/* Nothing is said twice: a link may open between a change and its fan-out. */
static void tell(pqi_node_link *miner, const news *n, uint64_t now)
{
    tell_rotation(miner, n, now);
    if (miner->told == n->number) {
        return;
    }
    miner->told = n->number;
    if (n->draining) {
        pqi_session_node_cancel(&miner->session, "draining", now);
        miner->leave_at = now + GOODBYE_TIME;
        if (!pqi_session_node_active(&miner->session)) {
            send_away(miner); /* nothing was said that it could miss */
        }
    } else if (n->has_job) {
        miner->block_difficulty = n->block_difficulty;
        pqi_session_node_job(&miner->session, &n->job, now);
    } else {
        pqi_session_node_cancel(&miner->session, "idle", now);
    }
    settle(miner, now);
}

static const char needs_pq[] = "pqlink-miner/1 needs an ML-KEM key exchange";

/* The profile promises ML-KEM, whatever else the policy would tolerate. */
static bool lacks_pq(const pqi_node_service *s, pql_link *link, pqi_miner_dialect dialect)
{
    return dialect == PQI_MINER_PQ1 && !pql_link_posture(link)->pq_key_exchange &&
           pql_policy_wants_pq(pql_context_policy(s->ctx));
}

static void refuse_classical(pqi_node_service *s, pql_link *link)
{
    pqi_pq_metrics_reject(s->opts.links, PQI_REJECT_POLICY);
    pqi_node_log_refused(s, link, needs_pq);
    pql_link_close(link, PQI_CLOSE_POLICY, needs_pq);
}

/* A miner that came while the policy was off. */
static void check_policy(pqi_node_link *miner)
{
    if (pql_link_is_open(miner->link) && lacks_pq(miner->service, miner->link, miner->dialect)) {
        refuse_classical(miner->service, miner->link);
    }
}

/* Ends the link when the token that let it in is good no more: final, and it says so.  But where it
 * has only expired the miner may come back: its file may hold a newer one by then. */
static void check_token(pqi_node_link *miner, uint64_t now)
{
    pqi_node_service *s = miner->service;
    char why[PQI_NODE_REFUSAL_SIZE];
    if (!pqi_session_node_active(&miner->session) || pqi_node_still_granted(miner)) {
        return; /* or closed already, while the link goes on until the miner has heard of it */
    }
    pqi_pq_metrics_reject(s->opts.links, PQI_REJECT_TOKEN);
    pqi_node_refusal(miner, NULL, why);
    pqi_node_log_refused(s, miner->link, why);
    const bool expired = miner->by_capability && miner->capability_reason == PQI_CAP_EXPIRED;
    pqi_session_node_close(&miner->session, expired ? PQI_CLOSE_DONE : PQI_CLOSE_REFUSED);
    settle(miner, now);
}

/* On a worker: the newest job to each of its miners. */
static void fan_out(void *arg)
{
    pqi_node_worker *home = arg;
    pqi_node_service *s = home->service;
    atomic_store(&home->fan_out_queued, false);
    const bool check_grants = atomic_exchange(&home->check_grants, false);
    const news n = newest(s);
    const uint64_t now = pqi_clock_monotonic();
    /* Links close from the event loop only, so the list stays. */
    for (pqi_node_link *miner = home->first; miner != NULL; miner = miner->next) {
        if (check_grants) {
            check_policy(miner);
            check_token(miner, now);
        }
        tell(miner, &n, now);
    }
}

/* Any thread, without a lock held.  False when the queue of a worker was full. */
static bool broadcast(pqi_node_service *s)
{
    bool all = true;
    for (unsigned i = 0; i < s->worker_count; i++) {
        if (!atomic_exchange(&s->workers[i].fan_out_queued, true) &&
            pql_context_run(s->ctx, i, fan_out, &s->workers[i]) != PQL_OK) {
            atomic_store(&s->workers[i].fan_out_queued, false);
            all = false;
        }
    }
    return all;
}

/* False when a worker could not be told: the next call tries again. */
static bool broadcast_if_changed(pqi_node_service *s)
{
    pthread_mutex_lock(&s->job_lock);
    const bool changed = s->job_changed;
    s->job_changed = false;
    pthread_mutex_unlock(&s->job_lock);
    if (!changed || broadcast(s)) {
        return true;
    }
    pthread_mutex_lock(&s->job_lock);
    s->job_changed = true;
    pthread_mutex_unlock(&s->job_lock);
    return false;
}

/* ---- Tokens ---- */

/* What became of a look at the file of tokens.  True when a new list is in use. */
static bool tell_of_tokens(pqi_node_service *s, pqi_tokens_news became, const pql_error *err)
{
    if (became == PQI_TOKENS_REFUSED) {
        pqi_log(PQI_LOG_ERROR, PQI_NODE_SERVICE, "tokens_refused", PQI_STR("reason", err->message),
                PQI_U64("tokens", pqi_tokens_count(s->opts.tokens)));
        return false;
    }
    if (became == PQI_TOKENS_TAKEN) {
        pqi_log(PQI_LOG_INFO, PQI_NODE_SERVICE, "tokens_loaded",
                PQI_U64("tokens", pqi_tokens_count(s->opts.tokens)));
    }
    return became == PQI_TOKENS_TAKEN;
}

/* Every worker looks for links that may not stay. */
static void look_at_grants(pqi_node_service *s)
{
    for (unsigned i = 0; i < s->worker_count; i++) {
        atomic_store(&s->workers[i].check_grants, true);
    }
    pthread_mutex_lock(&s->job_lock);
    s->job_changed = true; /* so that every worker gets a call */
    pthread_mutex_unlock(&s->job_lock);
}

void pqi_node_service_check_grants(pqi_node_service *service)
{
    look_at_grants(service);
}

static void look_at_tokens(pqi_node_service *s)
{
    pql_error err = {0};
    if (pqi_tokens_has_file(s->opts.tokens) &&
        tell_of_tokens(s, pqi_tokens_look(s->opts.tokens, &err), &err)) {
        look_at_grants(s);
    }
}

/* Answers when the file wants to be looked at again, and whether capabilities have ended. */
static uint64_t tick_tokens(pqi_node_service *s)
{
    const uint64_t now = pqi_clock_monotonic();
    if (!pqi_tokens_has_file(s->opts.tokens) && s->opts.capabilities == NULL) {
        return PQI_TIME_NEVER;
    }
    if (now >= s->tokens_look_at) {
        s->tokens_look_at = now + TOKENS_LOOK;
        look_at_tokens(s);
        if (s->opts.capabilities != NULL) {
            look_at_grants(s);
        }
    }
    return s->tokens_look_at;
}

/* ---- The service's own turns ---- */

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t pqi_node_service_tick(pqi_node_service *service)
{
    const uint64_t look_at = tick_tokens(service);
    pthread_mutex_lock(&service->source_lock);
    pqi_source_tick(service->opts.source, instant_now());
    const uint64_t deadline = sooner(look_at, pqi_source_deadline(service->opts.source));
    pthread_mutex_unlock(&service->source_lock);
    return broadcast_if_changed(service)
               ? deadline
               : sooner(deadline, pqi_clock_monotonic() + BROADCAST_AGAIN);
}

void pqi_node_service_rotation(pqi_node_service *service, const pqi_miner_rotation *rotation)
{
    pthread_mutex_lock(&service->job_lock);
    service->rotation = *rotation;
    service->rotation_news++;
    service->job_changed = true;
    pthread_mutex_unlock(&service->job_lock);
    (void)broadcast_if_changed(service); /* or the next tick does it */
}

void pqi_node_service_drain(pqi_node_service *service)
{
    pthread_mutex_lock(&service->job_lock);
    service->draining = true;
    service->has_job = false;
    service->news++;
    pthread_mutex_unlock(&service->job_lock);
    const struct timespec pause = {.tv_nsec = (long)BROADCAST_AGAIN};
    while (!broadcast(service)) {
        (void)nanosleep(&pause, NULL);
    }
}

uint64_t pqi_node_service_blocks(pqi_node_service *service)
{
    return atomic_load(&service->blocks);
}

/* ---- Results ---- */

/* Under the source's lock. */
static void count_block(pqi_node_service *s, const pqi_u512 *difficulty, uint64_t height)
{
    const uint64_t now_ms = pqi_clock_unix_ms();
    atomic_fetch_add(&s->blocks, 1);
    atomic_store(&s->height, height);
    pqi_node_metrics_block_found(s->opts.metrics);
    pqi_node_metrics_chain(s->opts.metrics, height, pqi_u512_to_double(difficulty), now_ms,
                           s->last_block_ms == 0 ? 0 : now_ms - s->last_block_ms);
    s->last_block_ms = now_ms;
}

/* An accepted result, as evidence of hashing. */
static void credit(pqi_node_link *miner, const pqi_u512 *difficulty, bool block)
{
    const double work = pqi_u512_to_double(difficulty);
    const double bounded = work < SHARE_WORK_MAX ? work : SHARE_WORK_MAX;
    pqi_share_rate_add(&miner->shares_rate, work, pqi_clock_monotonic());
    pqi_node_miner_share(miner->metrics, (uint64_t)bounded, block);
    atomic_fetch_add_explicit(block ? &miner->blocks : &miner->shares, 1, memory_order_relaxed);
}

/* A proof that meets the block's difficulty. */
static pqi_miner_verdict submit(pqi_node_link *miner, const pqi_miner_result *result,
                                uint64_t *height, const char **reason)
{
    static const pqi_miner_verdict verdicts[] = {
        [PQI_SOURCE_ACCEPTED] = PQI_VERDICT_ACCEPTED,
        [PQI_SOURCE_STALE] = PQI_VERDICT_STALE,
        [PQI_SOURCE_INVALID] = PQI_VERDICT_INVALID,
        [PQI_SOURCE_DUPLICATE] = PQI_VERDICT_DUPLICATE,
        [PQI_SOURCE_PASSED] = PQI_VERDICT_ACCEPTED,
        [PQI_SOURCE_UNAVAILABLE] = PQI_VERDICT_UNAVAILABLE,
    };
    pqi_node_service *s = miner->service;
    pqi_source_block block = {0};
    pthread_mutex_lock(&s->source_lock);
    const pqi_source_verdict verdict = pqi_source_submit(
        s->opts.source, result->job.id, result->work, miner->name, instant_now(), &block);
    if (verdict == PQI_SOURCE_ACCEPTED) {
        count_block(s, &miner->block_difficulty, block.height);
    }
    pthread_mutex_unlock(&s->source_lock);
    if (verdict == PQI_SOURCE_ACCEPTED) {
        *height = block.height;
        pqi_node_log_block(miner, &block);
    }
    if (verdict == PQI_SOURCE_PASSED) {
        *reason = "passed to the node that gave the job";
    }
    return verdicts[verdict];
}

static const char share_reason[] = "share";

/* The session lets only results of the job through that the miner has, which is the one that
 * |block_difficulty| belongs to. */
static pqi_miner_verdict judge(pqi_node_link *miner, const pqi_miner_result *result,
                               uint64_t *height, const char **reason)
{
    uint8_t hash[PQI_POW_HASH_SIZE];
    pqi_u512 share;
    pqi_u512 block;
    pqi_pow_hash(hash, result->job.mining_hash, result->work);
    if (!pqi_pow_target(&share, &result->job.difficulty) || !pqi_pow_meets(hash, &share) ||
        !pqi_pow_target(&block, &miner->block_difficulty)) {
        return PQI_VERDICT_INVALID;
    }
    const bool meets_block = pqi_pow_meets(hash, &block);
    const pqi_miner_verdict verdict =
        meets_block ? submit(miner, result, height, reason) : PQI_VERDICT_ACCEPTED;
    if (verdict == PQI_VERDICT_ACCEPTED) {
        *reason = meets_block ? *reason : share_reason;
        credit(miner, &result->job.difficulty, meets_block);
    }
    return verdict;
}

static void on_result(void *user, const pqi_miner_result *result)
{
    static const char *const reasons[PQI_VERDICT_COUNT] = {
        [PQI_VERDICT_INVALID] = "the hash does not meet the difficulty of the job",
        [PQI_VERDICT_STALE] = "the job was replaced by a newer one",
        [PQI_VERDICT_DUPLICATE] = "another miner or this one sent the same solution before",
        [PQI_VERDICT_UNAVAILABLE] =
            "the node could not store the block or pass it on; send the result again",
    };
    pqi_node_link *miner = user;
    uint64_t height = PQI_MINER_NO_NUMBER;
    const char *reason = NULL;
    const pqi_miner_verdict verdict = judge(miner, result, &height, &reason);
    if (reason == NULL) {
        reason = reasons[verdict];
    }
    const uint64_t now = pqi_clock_monotonic();
    if (miner->dialect != PQI_MINER_PQ1) {
        /* An official miner idles until the next job and gets no verdict: when there is a newer
         * job, the session does not need to send it the old one again. */
        const news n = newest(miner->service);
        tell(miner, &n, now);
    }
    (void)pqi_session_node_verdict(&miner->session, result->ticket, verdict, reason, height, now);
    (void)broadcast_if_changed(miner->service); /* when it fails, the next tick does it */
}

/* ---- Links ---- */

static void list_miner(pqi_node_link *miner)
{
    pqi_node_service *s = miner->service;
    pthread_mutex_lock(&s->miners_lock);
    miner->all_next = s->all;
    if (s->all != NULL) {
        s->all->all_prev = miner;
    }
    s->all = miner;
    miner->listed = true;
    pthread_mutex_unlock(&s->miners_lock);
}

static void unlist_miner(pqi_node_link *miner)
{
    pqi_node_service *s = miner->service;
    if (!miner->listed) {
        return;
    }
    pthread_mutex_lock(&s->miners_lock);
    if (miner->all_prev != NULL) {
        miner->all_prev->all_next = miner->all_next;
    } else {
        s->all = miner->all_next;
    }
    if (miner->all_next != NULL) {
        miner->all_next->all_prev = miner->all_prev;
    }
    pthread_mutex_unlock(&s->miners_lock);
}

static const pqi_label_protocol protocol_labels[PQI_MINER_DIALECTS] = {
    [PQI_MINER_PQ1] = PQI_PROTOCOL_PQLINK_1,
    [PQI_MINER_V2] = PQI_PROTOCOL_QUANTUS_2,
    [PQI_MINER_V1] = PQI_PROTOCOL_QUANTUS_1,
};

static bool on_hello(void *user, const pqi_miner_hello *hello)
{
    pqi_node_link *miner = user;
    pqi_node_service *s = miner->service;
    pqi_node_wait_end(miner);
    if (!pqi_node_authorise(miner, hello)) {
        pqi_pq_metrics_reject(s->opts.links, PQI_REJECT_TOKEN);
        char why[PQI_NODE_REFUSAL_SIZE];
        pqi_node_refusal(miner, hello, why);
        pqi_node_log_refused(s, miner->link, why);
        return false;
    }
    if (hello->agent != NULL) {
        (void)snprintf(miner->agent, sizeof(miner->agent), "%s", hello->agent);
    }
    miner->posture = *pql_link_posture(miner->link);
    miner->metrics = pqi_node_miner_join(s->opts.metrics, miner->name);
    pqi_node_miner_protocol(miner->metrics, protocol_labels[miner->dialect]);
    list_miner(miner);
    pqi_node_log_open(miner);
    return true;
}

static bool on_write(void *user, const uint8_t *frame, size_t len)
{
    pqi_node_link *miner = user;
    return miner->stream != NULL && pql_stream_write(miner->stream, frame, len, false) == PQL_OK;
}

/* The code on the wire is 0 for official miners, so the reason counts by what the session meant. */
static void on_close(void *user, uint64_t code, const char *reason)
{
    static const struct {
        bool counts;
        pqi_label_reject label;
    } rejects[PQI_CLOSE_COUNT] = {
        [PQI_CLOSE_FLOOD] = {true, PQI_REJECT_FLOOD},
        [PQI_CLOSE_PROTOCOL] = {true, PQI_REJECT_PROTOCOL},
        [PQI_CLOSE_HELLO_TIMEOUT] = {true, PQI_REJECT_TIMEOUT},
        [PQI_CLOSE_CROWDED] = {true, PQI_REJECT_CAPACITY},
    };
    pqi_node_link *miner = user;
    const pqi_miner_close why = pqi_session_node_why(&miner->session);
    if (rejects[why].counts) {
        pqi_pq_metrics_reject(miner->service->opts.links, rejects[why].label);
    }
    pql_link_close(miner->link, code, reason);
}

static const pqi_session_node_events session_events = {
    .write = on_write, .close = on_close, .hello = on_hello, .result = on_result};

static void link_open(pql_link *link, void *user)
{
    pqi_node_service *s = user;
    const char *alpn = pql_link_alpn(link);
    pqi_miner_dialect dialect = PQI_MINER_PQ1;
    (void)pqi_miner_dialect_find(alpn, strlen(alpn), &dialect);
    if (lacks_pq(s, link, dialect)) {
        refuse_classical(s, link);
        return;
    }
    pqi_node_link *miner = calloc(1, sizeof(*miner));
    if (miner == NULL) {
        pql_link_close(link, PQI_CLOSE_DONE, "out of memory");
        return;
    }
    const uint64_t now = pqi_clock_monotonic();
    miner->service = s;
    miner->link = link;
    miner->dialect = dialect;
    miner->leave_at = PQI_TIME_NEVER;
    miner->home = &s->workers[pql_link_worker(link)];
    miner->connected_ms = pqi_clock_unix_ms();
    (void)snprintf(miner->address, sizeof(miner->address), "%s", pql_link_peer_address(link));
    pqi_session_node_init(&miner->session, dialect, &session_events, miner, now);
    pqi_share_rate_init(&miner->shares_rate, now);
    miner->next = miner->home->first;
    if (miner->next != NULL) {
        miner->next->prev = miner;
    }
    miner->home->first = miner;
    pqi_node_wait_begin(miner);
    pql_link_set_data(link, miner);
    const news n = newest(s);
    tell(miner, &n, now);
}

static void link_close(pql_link *link, const pql_close *why, void *user)
{
    (void)user;
    pqi_node_link *miner = pql_link_data(link);
    if (miner == NULL) {
        return;
    }
    pqi_node_log_closed(miner, why);
    if (miner->prev != NULL) {
        miner->prev->next = miner->next;
    } else {
        miner->home->first = miner->next;
    }
    if (miner->next != NULL) {
        miner->next->prev = miner->prev;
    }
    pqi_node_wait_end(miner);
    unlist_miner(miner);
    pqi_node_miner_leave(miner->metrics);
    free(miner);
    pql_link_set_data(link, NULL);
}

static void link_timer(pql_link *link, uint64_t now, void *user)
{
    (void)user;
    pqi_node_link *miner = pql_link_data(link);
    if (miner != NULL) {
        pqi_session_node_expire(&miner->session, now);
        if (now >= miner->leave_at) {
            send_away(miner);
        }
        settle(miner, now);
    }
}

static void stream_open(pql_stream *stream, void *user)
{
    (void)user;
    pqi_node_link *miner = pql_link_data(pql_stream_link(stream));
    if (miner == NULL || miner->stream != NULL) {
        pql_stream_reset(stream, PQI_CLOSE_PROTOCOL);
        return;
    }
    miner->stream = stream;
}

static void stream_data(pql_stream *stream, const uint8_t *data, size_t len, bool fin, void *user)
{
    (void)user;
    pqi_node_link *miner = pql_link_data(pql_stream_link(stream));
    if (miner == NULL || miner->stream != stream) {
        return;
    }
    const uint64_t now = pqi_clock_monotonic();
    pqi_session_node_bytes(&miner->session, data, len, now);
    if (fin) {
        pqi_session_node_fin(&miner->session);
    }
    settle(miner, now);
}

static void stream_writable(pql_stream *stream, void *user)
{
    (void)user;
    pqi_node_link *miner = pql_link_data(pql_stream_link(stream));
    if (miner != NULL && miner->stream == stream) {
        const uint64_t now = pqi_clock_monotonic();
        pqi_session_node_writable(&miner->session, now);
        settle(miner, now);
    }
}

static void stream_close(pql_stream *stream, uint64_t code, void *user)
{
    (void)code;
    (void)user;
    pqi_node_link *miner = pql_link_data(pql_stream_link(stream));
    if (miner != NULL && miner->stream == stream) {
        miner->stream = NULL;
        pqi_session_node_fin(&miner->session);
    }
}

static const pql_handlers handlers = {
    .link_open = link_open,
    .link_close = link_close,
    .link_timer = link_timer,
    .stream_open = stream_open,
    .stream_data = stream_data,
    .stream_writable = stream_writable,
    .stream_close = stream_close,
};

/* ---- Service ---- */

pql_status pqi_node_service_new(pqi_node_service **out, const pqi_node_service_opts *opts,
                                pql_error *err)
{
    pqi_node_service *s = calloc(1, sizeof(*s));
    *out = s;
    if (s == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory starting the node.");
    }
    s->opts = *opts;
    s->news = 1; /* that there is no job */
    pthread_mutex_init(&s->source_lock, NULL);
    pthread_mutex_init(&s->job_lock, NULL);
    pthread_mutex_init(&s->miners_lock, NULL);
    return PQL_OK;
}

void pqi_node_service_free(pqi_node_service *service)
{
    if (service == NULL) {
        return;
    }
    pthread_mutex_destroy(&service->source_lock);
    pthread_mutex_destroy(&service->job_lock);
    pthread_mutex_destroy(&service->miners_lock);
    free(service);
}

/* Before the first listener. */
static pql_status start_service(pqi_node_service *s, pql_context *ctx, pql_error *err)
{
    const pqi_source_events events = {
        .on_job = on_source_job, .on_idle = on_source_idle, .user = s};
    s->ctx = ctx;
    s->worker_count = pql_context_workers(ctx);
    for (unsigned i = 0; i < s->worker_count; i++) {
        s->workers[i].service = s;
    }
    pthread_mutex_lock(&s->source_lock);
    const pql_status status = pqi_source_start(s->opts.source, &events, instant_now(), err);
    pthread_mutex_unlock(&s->source_lock);
    s->started = status == PQL_OK;
    return status;
}

pql_status pqi_node_service_listen(pqi_node_service *service, pql_context *ctx, const char *url,
                                   pql_listener **out, pql_error *err)
{
    pql_alpn alpn[PQI_MINER_DIALECTS];
    uint32_t uncertified;
    const size_t count = pqi_node_protocols(&service->opts, alpn, &uncertified);
    const pql_listen_opts listen = {.alpn = alpn,
                                    .alpn_count = count,
                                    .uncertified = uncertified,
                                    .refusals = service->refusals,
                                    .refusal_count = pqi_node_refusals(service),
                                    .clients = service->opts.clients,
                                    .pq_authentication = service->opts.pq_authentication,
                                    .max_links_per_address = service->opts.max_links_per_address,
                                    .handlers = &handlers,
                                    .user = service,
                                    .max_streams = STREAMS_PER_MINER,
                                    .max_receive = RECEIVE_PER_MINER,
                                    .stream_queue = MINER_QUEUE};
    const pql_status status = service->started ? PQL_OK : start_service(service, ctx, err);
    return status == PQL_OK ? pql_listen(ctx, url, &listen, out, err) : status;
}
