#include "miner/mine_service.h"

#include "base/clock.h"
#include "base/error.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* The hash rate is measured between the newest and the oldest of so many samples. */
#define SAMPLES 11

typedef struct sample {
    uint64_t at;
    uint64_t hashes;
} sample;

struct pqi_mine_service {
    pqi_mine_service_opts opts;
    pqi_miner_client *client; /* set before its first event */
    pqi_hasher *hasher;       /* NULL from the stop on */

    pthread_mutex_t lock; /* for what follows; never held while an event is told */
    bool stopping, enough;
    bool wanted;   /* solutions for |work| are */
    uint64_t work; /* the client's name of the newest job */
    pqi_mine_status status;
    unsigned sample_count, sample_next;
    sample samples[SAMPLES];
};

/* The client tells one event at a time, so these come one at a time too. */
#define TELL(s, event, ...)                                                                        \
    do {                                                                                           \
        if ((s)->opts.events.event != NULL) {                                                      \
            (s)->opts.events.event((s)->opts.user, __VA_ARGS__);                                   \
        }                                                                                          \
    } while (0)

/* ---- Work ---- */

/* Forgets the job; what is found for it from now on is thrown away. */
static void stop_work(pqi_mine_service *s)
{
    pthread_mutex_lock(&s->lock);
    s->wanted = false;
    s->status.working = false;
    pqi_hasher_pause(s->hasher);
    pthread_mutex_unlock(&s->lock);
    pqi_mine_metrics_active_jobs(s->opts.metrics, 0);
}

static void on_job(void *user, const pqi_miner_job *job, uint64_t serial)
{
    pqi_mine_service *s = user;
    pthread_mutex_lock(&s->lock);
    s->work = serial;
    s->status.job = *job;
    s->status.jobs++;
    s->wanted = !s->stopping && !s->enough;
    s->status.working = s->wanted;
    if (s->wanted) {
        pqi_hasher_work(s->hasher, serial, job->mining_hash, &job->difficulty);
    }
    pthread_mutex_unlock(&s->lock);
    pqi_mine_metrics_active_jobs(s->opts.metrics, 1);
    TELL(s, job, job);
}

static void on_cancelled(void *user, const char *reason)
{
    pqi_mine_service *s = user;
    stop_work(s);
    TELL(s, cancelled, reason);
}

/* ---- Results ---- */

static pqi_label_result result_label(pqi_miner_verdict verdict)
{
    switch (verdict) {
    case PQI_VERDICT_ACCEPTED:
        return PQI_RESULT_ACCEPTED;
    case PQI_VERDICT_STALE:
        return PQI_RESULT_STALE;
    case PQI_VERDICT_INVALID:
        return PQI_RESULT_INVALID;
    case PQI_VERDICT_DUPLICATE:
        return PQI_RESULT_DUPLICATE;
    case PQI_VERDICT_FLOOD:
        return PQI_RESULT_FLOODED;
    case PQI_VERDICT_UNAVAILABLE:
    case PQI_VERDICT_REJECTED:
    case PQI_VERDICT_COUNT:
        break;
    }
    return PQI_RESULT_REJECTED;
}

static void on_answered(void *user, const pqi_miner_ack *ack)
{
    pqi_mine_service *s = user;
    pthread_mutex_lock(&s->lock);
    s->status.verdicts[ack->verdict]++;
    if (ack->height != PQI_MINER_NO_NUMBER) {
        s->status.height = ack->height;
    }
    s->enough =
        s->opts.max_blocks != 0 && s->status.verdicts[PQI_VERDICT_ACCEPTED] >= s->opts.max_blocks;
    const bool enough = s->enough;
    pthread_mutex_unlock(&s->lock);
    pqi_mine_metrics_result(s->opts.metrics, result_label(ack->verdict));
    TELL(s, answered, ack);
    if (enough) {
        stop_work(s);
        pqi_miner_client_finish(s->client);
    }
}

static void on_rotation(void *user, unsigned node, const pqi_miner_rotation *rotation)
{
    pqi_mine_service *s = user;
    TELL(s, rotation, node, rotation);
}

static void on_sent(void *user, const pqi_solution *solution)
{
    pqi_mine_service *s = user;
    pthread_mutex_lock(&s->lock);
    s->status.found++;
    pthread_mutex_unlock(&s->lock);
    TELL(s, found, solution);
}

/* On a hashing thread. */
static void on_found(void *user, const pqi_solution *solution)
{
    pqi_mine_service *s = user;
    pthread_mutex_lock(&s->lock);
    const bool wanted = s->wanted && solution->serial == s->work;
    pthread_mutex_unlock(&s->lock);
    if (wanted) {
        (void)pqi_miner_client_submit(s->client, solution);
    }
}

/* ---- Links ---- */

static void on_connected(void *user, const pqi_client_connected *link)
{
    pqi_mine_service *s = user;
    pthread_mutex_lock(&s->lock);
    s->status.connected = true;
    s->status.posture = link->posture;
    s->status.links++;
    (void)snprintf(s->status.address, sizeof(s->status.address), "%s", link->address);
    (void)snprintf(s->status.node, sizeof(s->status.node), "%s", link->text);
    pthread_mutex_unlock(&s->lock);
    TELL(s, connected, link);
}

/* A job of the node that takes the place follows at once: until then the old one is searched. */
static void on_disconnected(void *user, const pql_close *why, bool moved)
{
    pqi_mine_service *s = user;
    if (!moved) {
        stop_work(s);
    }
    pthread_mutex_lock(&s->lock);
    s->status.connected = false;
    pthread_mutex_unlock(&s->lock);
    TELL(s, disconnected, why);
}

static void on_retrying(void *user, const pqi_client_trouble *what)
{
    pqi_mine_service *s = user;
    TELL(s, retrying, what);
}

static void on_given_up(void *user, const pqi_client_trouble *what)
{
    pqi_mine_service *s = user;
    TELL(s, given_up, what);
}

static void on_pins_changed(void *user, const pqi_client_pins *pins)
{
    pqi_mine_service *s = user;
    TELL(s, pins_changed, pins);
}

static void on_ended(void *user, pql_status status, const char *sentence)
{
    pqi_mine_service *s = user;
    pthread_mutex_lock(&s->lock);
    s->status.ended = true;
    pthread_mutex_unlock(&s->lock);
    TELL(s, ended, status,
         status == PQL_OK ? "As many results as wanted were accepted." : sentence);
}

static uint64_t hashes_now(void *user)
{
    const pqi_mine_service *s = user;
    return pqi_hasher_hashes(s->hasher);
}

static const pqi_client_events client_events = {.connected = on_connected,
                                                .job = on_job,
                                                .cancelled = on_cancelled,
                                                .sent = on_sent,
                                                .answered = on_answered,
                                                .rotation = on_rotation,
                                                .disconnected = on_disconnected,
                                                .retrying = on_retrying,
                                                .given_up = on_given_up,
                                                .pins_changed = on_pins_changed,
                                                .ended = on_ended,
                                                .hashes = hashes_now};

/* ---- The service ---- */

static void fill(pqi_mine_service *s, const pqi_mine_service_opts *opts)
{
    s->opts = *opts;
    s->status.height = PQI_MINER_NO_NUMBER;
    s->status.started_ns = pqi_clock_monotonic();
}

static pql_status start_hasher(pqi_mine_service *s, pql_error *err)
{
    const pqi_hasher_opts opts = {.threads = s->opts.threads, .found = on_found, .user = s};
    const pql_status status = pqi_hasher_new(&s->hasher, &opts, err);
    if (status == PQL_OK) {
        s->status.threads = pqi_hasher_threads(s->hasher);
        s->status.backend = pqi_hasher_backend(s->hasher);
        pqi_mine_metrics_workers(s->opts.metrics, s->status.threads, 0, pqi_hasher_processors());
    }
    return status;
}

static pql_status start_client(pqi_mine_service *s, pql_error *err)
{
    const pqi_miner_client_opts opts = {.nodes = s->opts.nodes,
                                        .node_count = s->opts.node_count,
                                        .links = s->opts.links,
                                        .workers = s->opts.workers,
                                        .identity = s->opts.identity,
                                        .pq_authentication = s->opts.pq_authentication,
                                        .name = s->opts.name,
                                        .timing = s->opts.timing,
                                        .events = client_events,
                                        .user = s};
    return pqi_miner_client_start(&s->client, &opts, err);
}

pql_status pqi_mine_service_start(pqi_mine_service **out, const pqi_mine_service_opts *opts,
                                  pql_error *err)
{
    *out = NULL;
    pqi_mine_service *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory starting the miner.");
    }
    (void)pthread_mutex_init(&s->lock, NULL);
    fill(s, opts);
    pql_status status = start_hasher(s, err);
    if (status == PQL_OK) {
        status = start_client(s, err);
    }
    if (status != PQL_OK) {
        pqi_mine_service_free(s);
        return status;
    }
    *out = s;
    return PQL_OK;
}

pql_status pqi_mine_service_set_policy(pqi_mine_service *s, pql_policy policy, pql_error *err)
{
    return pqi_miner_client_set_policy(s->client, policy, err);
}

void pqi_mine_service_stop(pqi_mine_service *s)
{
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    s->wanted = false;
    s->status.working = false;
    if (s->hasher != NULL) {
        pqi_hasher_pause(s->hasher);
    }
    pthread_mutex_unlock(&s->lock);
    /* The client's events use the hasher: they end first.  The hasher's threads use the client,
     * which is freed later. */
    if (s->client != NULL) {
        pqi_miner_client_stop(s->client);
    }
    pthread_mutex_lock(&s->lock);
    pqi_hasher *hasher = s->hasher;
    s->hasher = NULL;
    s->status.hashes = hasher != NULL ? pqi_hasher_hashes(hasher) : s->status.hashes;
    pthread_mutex_unlock(&s->lock);
    pqi_hasher_free(hasher);
}

void pqi_mine_service_free(pqi_mine_service *s)
{
    if (s == NULL) {
        return;
    }
    pqi_mine_service_stop(s);
    pqi_miner_client_free(s->client);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

void pqi_mine_service_sample(pqi_mine_service *s, uint64_t now)
{
    pthread_mutex_lock(&s->lock);
    if (s->hasher == NULL) {
        pthread_mutex_unlock(&s->lock);
        return;
    }
    const sample new = {.at = now, .hashes = pqi_hasher_hashes(s->hasher)};
    const sample last = s->samples[(s->sample_next + SAMPLES - 1) % SAMPLES];
    s->samples[s->sample_next] = new;
    s->sample_next = (s->sample_next + 1) % SAMPLES;
    s->sample_count += s->sample_count < SAMPLES;
    const sample oldest = s->samples[(s->sample_next + SAMPLES - s->sample_count) % SAMPLES];
    const double seconds = (double)(new.at - oldest.at) / (double)PQI_NS_PER_SEC;
    const double rate = seconds > 0 ? (double)(new.hashes - oldest.hashes) / seconds : 0;
    s->status.hash_rate = rate;
    pthread_mutex_unlock(&s->lock);
    pqi_mine_metrics_hashes(s->opts.metrics, new.hashes - last.hashes);
    pqi_mine_metrics_hash_rate(s->opts.metrics, rate, 0);
}

void pqi_mine_service_status(pqi_mine_service *s, pqi_mine_status *out)
{
    pthread_mutex_lock(&s->lock);
    *out = s->status;
    if (s->hasher != NULL) {
        out->hashes = pqi_hasher_hashes(s->hasher);
    }
    pthread_mutex_unlock(&s->lock);
}
