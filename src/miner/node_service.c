#include "miner/node_service.h"

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "miner/pow.h"
#include "miner/session_node.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SERVICE "node"
#define ADDRESS_SIZE 96
#define WORKERS_MAX 64
/* One stream carries everything; a second one would have no meaning. */
#define STREAMS_PER_MINER 1
/* Frames have a kilobyte at most; this is room for the fastest honest miner. */
#define RECEIVE_PER_MINER ((size_t)64 << 10)
/* Bytes that wait for a miner that does not read: some 200 frames.  What comes then is the newest
 * job only, and after PQI_NODE_STALL_NS the link ends. */
#define MINER_QUEUE ((size_t)64 * 1024)
#define UNNAMED "unnamed"
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
/* Lines about single miners in a second; strangers can come and go as fast as they like. */
#define MINER_LINES_PER_SEC 20

typedef struct node_miner node_miner;

/* What one worker has. */
typedef struct worker_miners {
    pqi_node_service *service;
    node_miner *first;          /* touched by the worker's thread only */
    atomic_bool fan_out_queued; /* a call that sends the newest job is in the worker's queue */
} worker_miners;

struct pqi_node_service {
    pqi_node_service_opts opts;
    pql_context *ctx;
    worker_miners workers[WORKERS_MAX];
    unsigned worker_count;
    pthread_mutex_t source_lock; /* around every call of the source */
    pthread_mutex_t job_lock;    /* guards the seven below */
    bool has_job;
    pqi_job job;
    bool draining;
    uint64_t news;               /* grows with each change of the three above */
    pqi_miner_rotation rotation; /* of our certificate */
    uint64_t rotation_news;      /* grows with each change of it */
    bool job_changed;            /* not every worker was told of it */
    pthread_mutex_t miners_lock; /* guards the list of all miners, for the status */
    node_miner *all;
    uint64_t last_block_ms; /* under source_lock */
    atomic_uint_fast64_t blocks, height;
    atomic_uint_fast64_t lines_second; /* the second in which |lines| were logged */
    atomic_uint lines, lines_left_out;
};

struct node_miner {
    pqi_node_service *service;
    pql_link *link;
    pql_stream *stream; /* NULL before it was opened and after it was closed */
    worker_miners *home;
    node_miner *next, *prev;         /* on its worker */
    node_miner *all_next, *all_prev; /* of the service, under miners_lock */
    pqi_session_node session;
    pqi_node_miner *metrics;
    char name[PQI_MINER_NAME_MAX + 1]; /* empty before Ready; then unchanged, as the next two */
    char address[ADDRESS_SIZE];
    uint64_t connected_ms;
    bool listed;        /* Ready came */
    uint64_t rate_at;   /* of the last Stats that was taken over */
    uint64_t jobs_sent; /* those that were counted */
    uint64_t told;      /* number of the news that it knows */
    uint64_t told_rotation;
    uint64_t leave_at; /* when its link ends in a drain */
    atomic_uint_fast64_t verdicts[PQI_VERDICT_COUNT];
    atomic_uint_fast64_t hash_rate;
};

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

static pqi_miner_job to_wire_job(const pqi_job *job)
{
    pqi_miner_job wire = {.difficulty = job->difficulty};
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

static void show_hash_rate(node_miner *miner, uint64_t rate)
{
    atomic_store_explicit(&miner->hash_rate, rate, memory_order_relaxed);
    pqi_node_miner_hash_rate(miner->metrics, rate);
}

static void take_hash_rate(node_miner *miner, const pqi_session_node_counters *counters,
                           uint64_t now)
{
    if (counters->hash_rate_at != miner->rate_at) {
        const double rate = counters->hash_rate;
        miner->rate_at = counters->hash_rate_at;
        show_hash_rate(miner, rate < (double)HASH_RATE_MAX ? (uint64_t)rate : HASH_RATE_MAX);
    } else if (now - miner->rate_at > HASH_RATE_VALID &&
               atomic_load_explicit(&miner->hash_rate, memory_order_relaxed) != 0) {
        show_hash_rate(miner, 0);
    }
}

/* Takes what the session counted since the last time over to metrics and status. */
static void take_counters(node_miner *miner, uint64_t now)
{
    const pqi_session_node_counters *counters = pqi_session_node_counters_get(&miner->session);
    for (int v = 0; v < PQI_VERDICT_COUNT; v++) {
        const uint64_t before = atomic_load_explicit(&miner->verdicts[v], memory_order_relaxed);
        for (uint64_t n = before; n < counters->verdicts[v]; n++) {
            pqi_node_miner_result(miner->metrics, result_labels[v]);
        }
        atomic_store_explicit(&miner->verdicts[v], counters->verdicts[v], memory_order_relaxed);
    }
    if (counters->jobs_sent != miner->jobs_sent) {
        pqi_node_metrics_jobs_sent(miner->service->opts.metrics,
                                   counters->jobs_sent - miner->jobs_sent);
        miner->jobs_sent = counters->jobs_sent;
    }
    take_hash_rate(miner, counters, now);
}

/* After each call of the session: its counters and its deadline. */
static void settle(node_miner *miner, uint64_t now)
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
    uint64_t rotation_number;
    pqi_miner_rotation rotation;
} news;

static news newest(pqi_node_service *s)
{
    pthread_mutex_lock(&s->job_lock);
    const news n = {.number = s->news,
                    .draining = s->draining,
                    .has_job = s->has_job,
                    .job = to_wire_job(&s->job),
                    .rotation_number = s->rotation_news,
                    .rotation = s->rotation};
    pthread_mutex_unlock(&s->job_lock);
    return n;
}

static void send_away(node_miner *miner)
{
    miner->leave_at = PQI_TIME_NEVER;
    pqi_session_node_close(&miner->session, PQI_CLOSE_DRAINING);
}

static void tell_rotation(node_miner *miner, const news *n, uint64_t now)
{
    if (miner->told_rotation != n->rotation_number) {
        miner->told_rotation = n->rotation_number;
        pqi_session_node_rotation(&miner->session, &n->rotation, now);
        settle(miner, now);
    }
}

/* Nothing is said twice: a link may open between a change and its fan-out. */
static void tell(node_miner *miner, const news *n, uint64_t now)
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
        pqi_session_node_job(&miner->session, &n->job, now);
    } else {
        pqi_session_node_cancel(&miner->session, "idle", now);
    }
    settle(miner, now);
}

/* On a worker: the newest job to each of its miners. */
static void fan_out(void *arg)
{
    worker_miners *home = arg;
    pqi_node_service *s = home->service;
    atomic_store(&home->fan_out_queued, false);
    const news n = newest(s);
    const uint64_t now = pqi_clock_monotonic();
    for (node_miner *miner = home->first; miner != NULL; miner = miner->next) {
        tell(miner, &n, now); /* links close from the event loop only, so the list stays */
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

uint64_t pqi_node_service_tick(pqi_node_service *service)
{
    pthread_mutex_lock(&service->source_lock);
    pqi_source_tick(service->opts.source, instant_now());
    const uint64_t deadline = pqi_source_deadline(service->opts.source);
    pthread_mutex_unlock(&service->source_lock);
    if (broadcast_if_changed(service)) {
        return deadline;
    }
    const uint64_t again = pqi_clock_monotonic() + BROADCAST_AGAIN;
    return again < deadline ? again : deadline;
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

static void log_block(const node_miner *miner, const pqi_source_block *block)
{
    char hash[2 * PQI_JOB_HASH_SIZE + 1];
    pqi_hex_encode(hash, block->hash, sizeof(block->hash));
    pqi_log(PQI_LOG_INFO, SERVICE, "block_accepted", PQI_U64("height", block->height),
            PQI_STR("hash", hash), PQI_STR("miner", miner->name),
            PQI_U64("corr_id", pql_link_id(miner->link)));
}

/* Under the source's lock. */
static void count_block(pqi_node_service *s, const pqi_miner_job *job, uint64_t height)
{
    const uint64_t now_ms = pqi_clock_unix_ms();
    atomic_fetch_add(&s->blocks, 1);
    atomic_store(&s->height, height);
    pqi_node_metrics_block_found(s->opts.metrics);
    pqi_node_metrics_chain(s->opts.metrics, height, pqi_u512_to_double(&job->difficulty), now_ms,
                           s->last_block_ms == 0 ? 0 : now_ms - s->last_block_ms);
    s->last_block_ms = now_ms;
}

static pqi_miner_verdict judge(node_miner *miner, const pqi_miner_result *result, uint64_t *height)
{
    static const pqi_miner_verdict verdicts[] = {
        [PQI_SOURCE_ACCEPTED] = PQI_VERDICT_ACCEPTED,
        [PQI_SOURCE_STALE] = PQI_VERDICT_STALE,
        [PQI_SOURCE_INVALID] = PQI_VERDICT_INVALID,
        [PQI_SOURCE_DUPLICATE] = PQI_VERDICT_DUPLICATE,
        [PQI_SOURCE_UNAVAILABLE] = PQI_VERDICT_UNAVAILABLE,
    };
    pqi_node_service *s = miner->service;
    pqi_source_block block = {0};
    pqi_u512 target;
    if (!pqi_pow_target(&target, &result->job.difficulty) ||
        !pqi_pow_verify(result->job.mining_hash, result->work, &target)) {
        return PQI_VERDICT_INVALID;
    }
    pthread_mutex_lock(&s->source_lock);
    const pqi_source_verdict verdict = pqi_source_submit(
        s->opts.source, result->job.id, result->work, miner->name, instant_now(), &block);
    if (verdict == PQI_SOURCE_ACCEPTED) {
        count_block(s, &result->job, block.height);
    }
    pthread_mutex_unlock(&s->source_lock);
    if (verdict == PQI_SOURCE_ACCEPTED) {
        *height = block.height;
        log_block(miner, &block);
    }
    return verdicts[verdict];
}

static void on_result(void *user, const pqi_miner_result *result)
{
    static const char *const reasons[PQI_VERDICT_COUNT] = {
        [PQI_VERDICT_INVALID] = "the hash does not meet the difficulty of the job",
        [PQI_VERDICT_STALE] = "the job was replaced by a newer one",
        [PQI_VERDICT_DUPLICATE] = "another miner or this one sent the same solution before",
        [PQI_VERDICT_UNAVAILABLE] = "the node could not store the block; send the result again",
    };
    node_miner *miner = user;
    uint64_t height = PQI_MINER_NO_NUMBER;
    const pqi_miner_verdict verdict = judge(miner, result, &height);
    (void)pqi_session_node_verdict(&miner->session, result->ticket, verdict, reasons[verdict],
                                   height, pqi_clock_monotonic());
    (void)broadcast_if_changed(miner->service); /* when it fails, the next tick does it */
}

/* ---- Links ---- */

static void list_miner(node_miner *miner)
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

static void unlist_miner(node_miner *miner)
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

/* ---- What is logged of a miner: at most MINER_LINES_PER_SEC lines a second, and each says how
 * many were left out before it.  A link on which no Ready came is worth a line for debugging only.
 * ---- */

static bool may_log(pqi_node_service *s, uint64_t *left_out)
{
    const uint64_t second = pqi_clock_monotonic() / PQI_NS_PER_SEC;
    if (atomic_exchange(&s->lines_second, second) != second) {
        atomic_store(&s->lines, 0);
    }
    if (atomic_fetch_add(&s->lines, 1) >= MINER_LINES_PER_SEC) {
        atomic_fetch_add(&s->lines_left_out, 1);
        return false;
    }
    *left_out = atomic_exchange(&s->lines_left_out, 0);
    return true;
}

static void log_open(const node_miner *miner, const pqi_miner_hello *hello)
{
    const pql_posture *p = pql_link_posture(miner->link);
    uint64_t left_out = 0;
    if (!may_log(miner->service, &left_out)) {
        return;
    }
    pqi_log(PQI_LOG_INFO, SERVICE, "link_open", PQI_STR("miner", miner->name),
            PQI_STR("agent", hello->agent != NULL ? hello->agent : ""),
            PQI_STR("address", miner->address), PQI_STR("alpn", pql_link_alpn(miner->link)),
            PQI_STR("algo", pql_group_name(p->group)),
            PQI_STR("signature", pql_signature_name(p->own_signature)),
            PQI_STR("cipher", pql_cipher_name(p->cipher)), PQI_BOOL("pq", p->pq_key_exchange),
            PQI_STR("downgrade_reason", pql_downgrade_name(p->downgrade)),
            PQI_F64("latency_ms", (double)p->handshake_ns / (double)PQI_NS_PER_MS),
            PQI_U64("left_out", left_out), PQI_U64("corr_id", pql_link_id(miner->link)));
}

static void log_closed(const node_miner *miner, const pql_close *why)
{
    uint64_t left_out = 0;
    if (miner->listed ? !may_log(miner->service, &left_out) : !pqi_log_enabled(PQI_LOG_DEBUG)) {
        return;
    }
    pqi_log(miner->listed ? PQI_LOG_INFO : PQI_LOG_DEBUG, SERVICE, "link_closed",
            PQI_STR("miner", miner->name), PQI_STR("address", miner->address),
            PQI_STR("status", pql_status_name(why->status)), PQI_BOOL("by_peer", why->by_peer),
            PQI_U64("code", why->code), PQI_STR("reason", why->reason),
            PQI_U64("left_out", left_out), PQI_U64("corr_id", pql_link_id(miner->link)));
}

static void log_refused(pqi_node_service *s, const pql_link *link, const char *reason)
{
    uint64_t left_out = 0;
    if (may_log(s, &left_out)) {
        pqi_log(PQI_LOG_WARN, SERVICE, "link_refused",
                PQI_STR("address", pql_link_peer_address(link)), PQI_STR("reason", reason),
                PQI_U64("left_out", left_out), PQI_U64("corr_id", pql_link_id(link)));
    }
}

static bool on_hello(void *user, const pqi_miner_hello *hello)
{
    node_miner *miner = user;
    (void)snprintf(miner->name, sizeof(miner->name), "%s",
                   hello->name != NULL ? hello->name : UNNAMED);
    miner->metrics = pqi_node_miner_join(miner->service->opts.metrics, miner->name);
    list_miner(miner);
    log_open(miner, hello);
    return true;
}

static bool on_write(void *user, const uint8_t *frame, size_t len)
{
    node_miner *miner = user;
    return miner->stream != NULL && pql_stream_write(miner->stream, frame, len, false) == PQL_OK;
}

static void on_close(void *user, uint64_t code, const char *reason)
{
    node_miner *miner = user;
    pqi_pq_metrics *links = miner->service->opts.links;
    if (code == PQI_CLOSE_FLOOD) {
        pqi_pq_metrics_reject(links, PQI_REJECT_FLOOD);
    } else if (code == PQI_CLOSE_PROTOCOL) {
        pqi_pq_metrics_reject(links, PQI_REJECT_PROTOCOL);
    } else if (code == PQI_CLOSE_HELLO_TIMEOUT) {
        pqi_pq_metrics_reject(links, PQI_REJECT_TIMEOUT);
    }
    pql_link_close(miner->link, code, reason);
}

static const pqi_session_node_events session_events = {
    .write = on_write, .close = on_close, .hello = on_hello, .result = on_result};

static const char needs_pq[] = "pqlink-miner/1 needs an ML-KEM key exchange";

static void link_open(pql_link *link, void *user)
{
    pqi_node_service *s = user;
    const pql_posture *posture = pql_link_posture(link);
    if (!posture->pq_key_exchange && s->opts.policy != PQL_POLICY_OFF) {
        /* The profile promises ML-KEM, whatever else the policy would tolerate. */
        pqi_pq_metrics_reject(s->opts.links, PQI_REJECT_POLICY);
        log_refused(s, link, needs_pq);
        pql_link_close(link, PQI_CLOSE_POLICY, needs_pq);
        return;
    }
    node_miner *miner = calloc(1, sizeof(*miner));
    if (miner == NULL) {
        pql_link_close(link, PQI_CLOSE_DONE, "out of memory");
        return;
    }
    const uint64_t now = pqi_clock_monotonic();
    miner->service = s;
    miner->link = link;
    miner->leave_at = PQI_TIME_NEVER;
    miner->home = &s->workers[pql_link_worker(link)];
    miner->connected_ms = pqi_clock_unix_ms();
    (void)snprintf(miner->address, sizeof(miner->address), "%s", pql_link_peer_address(link));
    pqi_session_node_init(&miner->session, PQI_MINER_PQ1, &session_events, miner, now);
    miner->next = miner->home->first;
    if (miner->next != NULL) {
        miner->next->prev = miner;
    }
    miner->home->first = miner;
    pql_link_set_data(link, miner);
    const news n = newest(s);
    tell(miner, &n, now);
}

static void link_close(pql_link *link, const pql_close *why, void *user)
{
    (void)user;
    node_miner *miner = pql_link_data(link);
    if (miner == NULL) {
        return;
    }
    log_closed(miner, why);
    if (miner->prev != NULL) {
        miner->prev->next = miner->next;
    } else {
        miner->home->first = miner->next;
    }
    if (miner->next != NULL) {
        miner->next->prev = miner->prev;
    }
    unlist_miner(miner);
    pqi_node_miner_leave(miner->metrics);
    free(miner);
    pql_link_set_data(link, NULL);
}

static void link_timer(pql_link *link, uint64_t now, void *user)
{
    (void)user;
    node_miner *miner = pql_link_data(link);
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
    node_miner *miner = pql_link_data(pql_stream_link(stream));
    if (miner == NULL || miner->stream != NULL) {
        pql_stream_reset(stream, PQI_CLOSE_PROTOCOL);
        return;
    }
    miner->stream = stream;
}

static void stream_data(pql_stream *stream, const uint8_t *data, size_t len, bool fin, void *user)
{
    (void)user;
    node_miner *miner = pql_link_data(pql_stream_link(stream));
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
    node_miner *miner = pql_link_data(pql_stream_link(stream));
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
    node_miner *miner = pql_link_data(pql_stream_link(stream));
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

pql_status pqi_node_service_listen(pqi_node_service *service, pql_context *ctx, const char *url,
                                   pql_listener **out, pql_error *err)
{
    const pqi_source_events events = {
        .on_job = on_source_job, .on_idle = on_source_idle, .user = service};
    const pql_alpn alpn = {pqi_miner_alpn(PQI_MINER_PQ1), PQL_LEAF_PQ};
    const pql_listen_opts listen = {.alpn = &alpn,
                                    .alpn_count = 1,
                                    .handlers = &handlers,
                                    .user = service,
                                    .max_streams = STREAMS_PER_MINER,
                                    .max_receive = RECEIVE_PER_MINER,
                                    .stream_queue = MINER_QUEUE};
    service->ctx = ctx;
    service->worker_count = pql_context_workers(ctx);
    for (unsigned i = 0; i < service->worker_count; i++) {
        service->workers[i].service = service;
    }
    pthread_mutex_lock(&service->source_lock);
    const pql_status status = pqi_source_start(service->opts.source, &events, instant_now(), err);
    pthread_mutex_unlock(&service->source_lock);
    return status == PQL_OK ? pql_listen(ctx, url, &listen, out, err) : status;
}

static json_t *miner_json(const node_miner *miner)
{
    json_t *row = json_pack("{s:s, s:s, s:I, s:I, s:I}", "name", miner->name, "address",
                            miner->address, "corr_id", (json_int_t)pql_link_id(miner->link),
                            "connected_ms", (json_int_t)miner->connected_ms, "hash_rate",
                            (json_int_t)atomic_load(&miner->hash_rate));
    for (int v = 0; row != NULL && v < PQI_VERDICT_COUNT; v++) {
        (void)json_object_set_new(row, pqi_miner_verdict_name((pqi_miner_verdict)v),
                                  json_integer((json_int_t)atomic_load(&miner->verdicts[v])));
    }
    return row;
}

pql_status pqi_node_service_status(void *service, pqi_buf *out, pql_error *err)
{
    pqi_node_service *s = service;
    json_t *miners = json_array();
    pthread_mutex_lock(&s->miners_lock);
    for (const node_miner *miner = s->all; miner != NULL; miner = miner->all_next) {
        (void)json_array_append_new(miners, miner_json(miner));
    }
    pthread_mutex_unlock(&s->miners_lock);
    pthread_mutex_lock(&s->job_lock);
    const pqi_job job = s->job;
    const bool has_job = s->has_job;
    pthread_mutex_unlock(&s->job_lock);
    char difficulty[PQI_U512_TEXT_SIZE];
    pqi_u512_to_decimal(difficulty, &job.difficulty);
    json_t *root =
        json_pack("{s:I, s:I, s:b, s:s, s:I, s:s, s:o}", "blocks_accepted", (json_int_t)s->blocks,
                  "height", (json_int_t)s->height, "has_job", (int)has_job, "job_id", job.id,
                  "job_height", (json_int_t)job.height, "difficulty", difficulty, "miners", miners);
    char *text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);
    json_decref(root);
    const bool ok = text != NULL && pqi_buf_append(out, text, strlen(text));
    free(text);
    return ok ? PQL_OK : pqi_fail(err, PQL_E_NOMEM, "Out of memory writing the status.");
}
