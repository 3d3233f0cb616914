#include "miner/mine_service.h"

#include "base/clock.h"
#include "base/error.h"
#include "crypto/random.h"
#include "net/url.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RETRY_FIRST PQI_NS_PER_SEC
#define RETRY_MOST (30 * PQI_NS_PER_SEC)
#define KEEP_ALIVE_MS 5000
#define IDLE_TIMEOUT_MS 15000
#define STATS_EVERY (10 * PQI_NS_PER_SEC)
/* How long an orderly end waits for the node's part of it. */
#define GOODBYE (2 * PQI_NS_PER_SEC)
/* The hash rate is measured between the newest and the oldest of so many samples. */
#define SAMPLES 11
#define AGENT "pqlink/" PQLINK_VERSION

typedef struct sample {
    uint64_t at;
    uint64_t hashes;
} sample;

struct pqi_mine_service {
    pqi_mine_service_opts opts;
    char url[PQI_URL_SIZE];
    char name[PQI_MINER_NAME_MAX + 1];
    pql_context *ctx;
    pqi_hasher *hasher; /* NULL from the stop on */
    pthread_t thread;   /* connects and waits */

    /* The link's worker alone. */
    pqi_session_miner session;
    pql_stream *stream; /* NULL while there is none */
    uint64_t stats_at, stats_hashes;
    uint64_t result_credit, result_credit_at; /* in results * PQI_NS_PER_SEC */
    uint64_t jobs_second; /* of CLOCK_MONOTONIC, in which |jobs_in_second| counts */
    unsigned jobs_in_second;
    const char *broken; /* why our session closed the link; NULL: it did not */
    unsigned unanswered;

    bool thread_runs; /* for the functions of the owner */

    /* With |lock|, which is never held while an event is told. */
    bool stopping, enough, link_over, brought_job, mail_posted;
    unsigned mail_count, sample_count, sample_next;
    pthread_mutex_t lock;
    pthread_cond_t change;
    pqi_mine_status status;
    pql_link *link; /* with a reference of ours, from connect to link_close */
    pql_close why;
    uint64_t work;           /* names the job for the hasher; 0: none */
    uint64_t session_serial; /* the session's name for the same job; 0: none is wanted */
    pqi_solution mailbox[PQI_MINE_MAILBOX];
    sample samples[SAMPLES];

    pthread_mutex_t telling; /* one event at a time */
};

#define TELL(s, event, ...)                                                                        \
    do {                                                                                           \
        if ((s)->opts.events.event != NULL) {                                                      \
            pthread_mutex_lock(&(s)->telling);                                                     \
            (s)->opts.events.event((s)->opts.user, __VA_ARGS__);                                   \
            pthread_mutex_unlock(&(s)->telling);                                                   \
        }                                                                                          \
    } while (0)

void pqi_mine_name_clean(char out[PQI_MINER_NAME_MAX + 1], const char *text)
{
    size_t len = 0;
    for (; len < PQI_MINER_NAME_MAX && text[len] != '\0'; len++) {
        const char one[2] = {text[len], '\0'};
        out[len] = pqi_miner_name_ok(one) ? text[len] : '-';
    }
    out[len] = '\0';
    if (len == 0) {
        memcpy(out, "miner", sizeof("miner"));
    }
}

/* ---- Work ---- */

/* Forgets the job; what is found for it from now on is thrown away. */
static void stop_work(pqi_mine_service *s)
{
    pthread_mutex_lock(&s->lock);
    s->session_serial = 0;
    s->mail_count = 0;
    s->status.working = false;
    pqi_hasher_pause(s->hasher);
    pthread_mutex_unlock(&s->lock);
    pqi_mine_metrics_active_jobs(s->opts.metrics, 0);
}

/* Counts a job or cancel; closes the link and returns false when it is one too many.  Each makes
 * the hashing threads begin anew, and a node could keep them from hashing at all. */
static bool may_take(pqi_mine_service *s)
{
    const uint64_t second = pqi_clock_monotonic() / PQI_NS_PER_SEC;
    if (second != s->jobs_second) {
        s->jobs_second = second;
        s->jobs_in_second = 0;
    }
    if (s->jobs_in_second == PQI_MINE_JOBS_PER_SEC) {
        pqi_session_miner_close(&s->session, PQI_CLOSE_FLOOD);
        return false;
    }
    s->jobs_in_second++;
    return true;
}

static void on_job(void *user, const pqi_miner_job *job, uint64_t serial)
{
    pqi_mine_service *s = user;
    if (!may_take(s)) {
        return;
    }
    s->unanswered = 0;
    pthread_mutex_lock(&s->lock);
    s->work++;
    s->session_serial = serial;
    s->mail_count = 0;
    s->brought_job = true;
    s->status.job = *job;
    s->status.jobs++;
    s->status.working = !s->stopping && !s->enough;
    if (s->status.working) {
        pqi_hasher_work(s->hasher, s->work, job->mining_hash, &job->difficulty);
    }
    pthread_mutex_unlock(&s->lock);
    pqi_mine_metrics_active_jobs(s->opts.metrics, 1);
    TELL(s, job, job);
}

static void on_cancel(void *user, const char *reason)
{
    pqi_mine_service *s = user;
    if (!may_take(s)) {
        return;
    }
    stop_work(s);
    TELL(s, cancelled, reason != NULL ? reason : "");
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

static void on_ack(void *user, const pqi_miner_ack *ack)
{
    pqi_mine_service *s = user;
    s->unanswered -= s->unanswered > 0;
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
        pqi_session_miner_close(&s->session, PQI_CLOSE_DONE);
    }
}

static void on_rotation(void *user, const pqi_miner_rotation *rotation)
{
    pqi_mine_service *s = user;
    TELL(s, rotation, rotation);
}

/* A result more may be sent now; takes it from the credit. */
static bool may_send(pqi_mine_service *s, uint64_t now)
{
    const uint64_t full = PQI_MINE_RESULTS_BURST * PQI_NS_PER_SEC;
    const uint64_t passed = now - s->result_credit_at;
    const uint64_t earned = passed < full ? passed * PQI_MINE_RESULTS_PER_SEC : full;
    s->result_credit = s->result_credit + earned < full ? s->result_credit + earned : full;
    s->result_credit_at = now;
    if (s->unanswered >= PQI_MINE_UNANSWERED || s->result_credit < PQI_NS_PER_SEC) {
        return false;
    }
    s->result_credit -= PQI_NS_PER_SEC;
    return true;
}

static void send_solution(pqi_mine_service *s, const pqi_solution *solution, uint64_t serial)
{
    if (!may_send(s, pqi_clock_monotonic()) ||
        pqi_session_miner_solution(&s->session, serial, solution->nonce, solution->hashes,
                                   solution->elapsed_ns, NULL) != PQL_OK) {
        return;
    }
    s->unanswered++;
    pthread_mutex_lock(&s->lock);
    s->status.found++;
    pthread_mutex_unlock(&s->lock);
    TELL(s, found, solution);
}

/* On the link's worker: what the hashing threads have put into the mailbox. */
static void empty_mailbox(pql_link *link, void *arg)
{
    pqi_mine_service *s = arg;
    pqi_solution mail[PQI_MINE_MAILBOX];
    pthread_mutex_lock(&s->lock);
    const bool ours = s->link == link && !s->link_over;
    const unsigned count = ours ? s->mail_count : 0;
    const uint64_t serial = s->session_serial;
    memcpy(mail, s->mailbox, count * sizeof(mail[0]));
    s->mail_count = 0;
    s->mail_posted = false;
    pthread_mutex_unlock(&s->lock);
    for (unsigned i = 0; i < count && s->stream != NULL; i++) {
        send_solution(s, &mail[i], serial);
    }
}

/* On a hashing thread. */
static void on_found(void *user, const pqi_solution *solution)
{
    pqi_mine_service *s = user;
    pthread_mutex_lock(&s->lock);
    if (s->session_serial != 0 && solution->serial == s->work && s->mail_count < PQI_MINE_MAILBOX &&
        s->link != NULL) {
        s->mailbox[s->mail_count++] = *solution;
        if (!s->mail_posted) {
            s->mail_posted = pql_link_run(s->link, empty_mailbox, s) == PQL_OK;
        }
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- The link ---- */

static bool on_write(void *user, const uint8_t *frame, size_t len)
{
    pqi_mine_service *s = user;
    return s->stream != NULL && pql_stream_write(s->stream, frame, len, false) == PQL_OK;
}

/* What people are told when our session closes the link; NULL: the node did nothing wrong. */
static const char *fault_of_node(uint64_t code)
{
    switch (code) {
    case PQI_CLOSE_PROTOCOL:
        return "The node sent what the protocol pqlink-miner/1 forbids.";
    case PQI_CLOSE_FLOOD:
        return "The node sent jobs faster than anybody can work on them.";
    default:
        return NULL;
    }
}

static void on_session_close(void *user, uint64_t code, const char *reason)
{
    pqi_mine_service *s = user;
    s->broken = fault_of_node(code);
    if (s->stream != NULL) {
        pql_link_close(pql_stream_link(s->stream), code, reason);
    }
}

static const pqi_session_miner_events session_events = {.write = on_write,
                                                        .close = on_session_close,
                                                        .job = on_job,
                                                        .cancel = on_cancel,
                                                        .ack = on_ack,
                                                        .rotation = on_rotation};

static void tell_connected(pqi_mine_service *s, pql_link *link, unsigned attempt)
{
    pqi_mine_connected event = {.posture = *pql_link_posture(link),
                                .address = pql_link_peer_address(link),
                                .attempt = attempt};
    (void)pql_link_peer_fingerprint(link, PQL_FINGERPRINT_CERT, &event.certificate);
    TELL(s, connected, &event);
}

static void on_link_open(pql_link *link, void *user)
{
    pqi_mine_service *s = user;
    const uint64_t now = pqi_clock_monotonic();
    pql_error err = {0};
    pthread_mutex_lock(&s->lock);
    s->status.connected = true;
    s->status.posture = *pql_link_posture(link);
    (void)snprintf(s->status.address, sizeof(s->status.address), "%s", pql_link_peer_address(link));
    const unsigned attempt = (unsigned)++s->status.links;
    pthread_mutex_unlock(&s->lock);
    tell_connected(s, link, attempt);
    s->broken = NULL;
    s->jobs_in_second = 0;
    s->unanswered = 0;
    s->result_credit = PQI_MINE_RESULTS_BURST * PQI_NS_PER_SEC;
    s->result_credit_at = now;
    s->stats_at = now;
    s->stats_hashes = pqi_hasher_hashes(s->hasher);
    pqi_session_miner_init(&s->session, PQI_MINER_PQ1, &session_events, s);
    if (pql_stream_open(link, &s->stream, &err) != PQL_OK ||
        pqi_session_miner_open(&s->session, NULL, s->name, AGENT, &err) != PQL_OK) {
        pql_link_close(link, PQI_CLOSE_DONE, "no stream");
        return;
    }
    pql_link_set_timer(link, now + STATS_EVERY);
}

static void on_link_timer(pql_link *link, uint64_t now, void *user)
{
    pqi_mine_service *s = user;
    const uint64_t hashes = pqi_hasher_hashes(s->hasher);
    (void)pqi_session_miner_stats(&s->session, hashes - s->stats_hashes, now - s->stats_at, NULL);
    s->stats_at = now;
    s->stats_hashes = hashes;
    pql_link_set_timer(link, now + STATS_EVERY);
}

static void on_stream_data(pql_stream *stream, const uint8_t *data, size_t len, bool fin,
                           void *user)
{
    pqi_mine_service *s = user;
    if (stream != s->stream) {
        return;
    }
    pqi_session_miner_bytes(&s->session, data, len);
    if (fin) {
        pqi_session_miner_fin(&s->session);
    }
}

static void on_stream_close(pql_stream *stream, uint64_t code, void *user)
{
    pqi_mine_service *s = user;
    (void)code;
    if (stream == s->stream) {
        pqi_session_miner_fin(&s->session);
        s->stream = NULL;
    }
}

static void on_link_close(pql_link *link, const pql_close *why, void *user)
{
    pqi_mine_service *s = user;
    s->stream = NULL;
    stop_work(s);
    pthread_mutex_lock(&s->lock);
    const bool was_open = s->status.connected;
    s->status.connected = false;
    s->why = *why;
    if (s->broken != NULL && !why->by_peer) {
        s->why.status = PQL_E_PROTOCOL;
        (void)snprintf(s->why.reason, sizeof(s->why.reason), "%s", s->broken);
    }
    s->broken = NULL;
    const pql_close told = s->why;
    pthread_mutex_unlock(&s->lock);
    if (was_open) {
        TELL(s, disconnected, &told);
    }
    (void)link;
    pthread_mutex_lock(&s->lock);
    s->link_over = true;
    (void)pthread_cond_broadcast(&s->change);
    pthread_mutex_unlock(&s->lock);
}

static const pql_handlers handlers = {.link_open = on_link_open,
                                      .link_close = on_link_close,
                                      .link_timer = on_link_timer,
                                      .stream_data = on_stream_data,
                                      .stream_close = on_stream_close};

/* ---- The thread that connects and waits ---- */

static void say_goodbye(pql_link *link, void *arg)
{
    pqi_mine_service *s = arg;
    if (s->stream != NULL) {
        pqi_session_miner_close(&s->session, PQI_CLOSE_DONE);
    } else {
        pql_link_close(link, PQI_CLOSE_DONE, "");
    }
}

static struct timespec at_monotonic(uint64_t when)
{
    return (struct timespec){.tv_sec = (time_t)(when / PQI_NS_PER_SEC),
                             .tv_nsec = (long)(when % PQI_NS_PER_SEC)};
}

/* With the lock held: waits until the link is over; a stop gives it a moment to end in order. */
static void wait_for_end(pqi_mine_service *s)
{
    while (!s->link_over && !s->stopping) {
        pthread_cond_wait(&s->change, &s->lock);
    }
    if (s->link_over || pql_link_run(s->link, say_goodbye, s) != PQL_OK) {
        return;
    }
    const struct timespec deadline = at_monotonic(pqi_clock_monotonic() + GOODBYE);
    while (!s->link_over && pthread_cond_timedwait(&s->change, &s->lock, &deadline) == 0) {
        continue;
    }
}

/* One link from connect to close.  What ended it is then in s->why. */
static void run_link(pqi_mine_service *s)
{
    const pql_connect_opts opts = {.alpn = pqi_miner_alpn(PQI_MINER_PQ1),
                                   .pq_authentication = s->opts.links.policy != PQL_POLICY_OFF,
                                   .handlers = &handlers,
                                   .user = s,
                                   .keep_alive_ms = KEEP_ALIVE_MS,
                                   .idle_timeout_ms = IDLE_TIMEOUT_MS};
    pql_error err = {0};
    pql_link *link = NULL;
    pthread_mutex_lock(&s->lock);
    s->link_over = false;
    s->brought_job = false;
    /* Under the lock, so that link_close cannot come before s->link is set. */
    const pql_status status = pql_connect(s->ctx, s->url, &s->opts.peer, &opts, &link, &err);
    if (status == PQL_OK) {
        s->link = link;
        wait_for_end(s);
        s->link = NULL;
    } else {
        s->why = (pql_close){.status = status};
        (void)snprintf(s->why.reason, sizeof(s->why.reason), "%s", err.message);
    }
    pthread_mutex_unlock(&s->lock);
    pql_link_unref(link);
}

/* What the service ends with after |why|; PQL_OK: it goes on.  |first|: there was no link yet. */
static pql_status final_status(const pql_close *why, bool brought_job, bool first)
{
    if (why->by_peer && why->application) {
        const size_t len = strlen(why->reason);
        if (brought_job || !pqi_miner_close_is_final(PQI_MINER_PQ1, why->code, why->reason, len)) {
            return PQL_OK;
        }
        return why->code == PQI_CLOSE_POLICY ? PQL_E_POLICY : PQL_E_REFUSED;
    }
    switch (why->status) {
    case PQL_E_TRUST:
        return why->by_peer ? PQL_OK : PQL_E_TRUST; /* we show no certificate: nothing to mend */
    case PQL_E_POLICY:
        return PQL_E_POLICY;
    case PQL_E_USAGE:
    case PQL_E_IO:
    case PQL_E_UNSUPPORTED:
        /* Settings that worked once are settings that can work: a CA file may just be replaced. */
        return first ? why->status : PQL_OK;
    default:
        return PQL_OK;
    }
}

/* |base| and up to a quarter more or less, so that many miners do not come back as one. */
static uint64_t with_jitter(uint64_t base)
{
    uint64_t random;
    pqi_random(&random, sizeof(random));
    const uint64_t half = base / 2;
    return base - half / 2 + (half == 0 ? 0 : random % half);
}

/* False when the service is to stop. */
static bool pause_before_retry(pqi_mine_service *s, uint64_t delay)
{
    const struct timespec deadline = at_monotonic(pqi_clock_monotonic() + delay);
    pthread_mutex_lock(&s->lock);
    while (!s->stopping && pthread_cond_timedwait(&s->change, &s->lock, &deadline) == 0) {
        continue;
    }
    const bool go_on = !s->stopping;
    pthread_mutex_unlock(&s->lock);
    return go_on;
}

static void end_with(pqi_mine_service *s, pql_status status, const char *sentence)
{
    pthread_mutex_lock(&s->lock);
    s->status.ended = true;
    pthread_mutex_unlock(&s->lock);
    TELL(s, ended, status, sentence);
}

/* After a link: true when another is to be made, and it is time. */
static bool again(pqi_mine_service *s, uint64_t *delay)
{
    pthread_mutex_lock(&s->lock);
    const pql_close why = s->why;
    const bool stopping = s->stopping;
    const bool enough = s->enough;
    const bool brought_job = s->brought_job;
    const bool first = s->status.links == 0;
    pthread_mutex_unlock(&s->lock);
    if (stopping) {
        return false;
    }
    if (enough) {
        end_with(s, PQL_OK, "As many results as wanted were accepted.");
        return false;
    }
    const pql_status final = final_status(&why, brought_job, first);
    if (final != PQL_OK) {
        end_with(s, final, why.reason[0] != '\0' ? why.reason : pql_status_text(final));
        return false;
    }
    *delay = brought_job ? s->opts.retry_first_ns : *delay;
    const uint64_t jittered = with_jitter(*delay);
    *delay = *delay * 2 < s->opts.retry_most_ns ? *delay * 2 : s->opts.retry_most_ns;
    TELL(s, retrying, jittered, &why);
    return pause_before_retry(s, jittered);
}

static void *thread_main(void *arg)
{
    pqi_mine_service *s = arg;
    uint64_t delay = s->opts.retry_first_ns;
    (void)pthread_setname_np(pthread_self(), "pqlink-mine");
    do {
        run_link(s);
    } while (again(s, &delay));
    return NULL;
}

/* ---- The service ---- */

static void init_locks(pqi_mine_service *s)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_mutex_init(&s->telling, NULL);
    (void)pthread_cond_init(&s->change, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

static pql_status fill(pqi_mine_service *s, const pqi_mine_service_opts *opts, pql_error *err)
{
    char host[256] = "";
    if (strlen(opts->url) >= sizeof(s->url)) {
        return pqi_fail(err, PQL_E_USAGE, "The node's URL is too long.");
    }
    s->opts = *opts;
    memcpy(s->url, opts->url, strlen(opts->url) + 1);
    if (opts->name == NULL) {
        (void)gethostname(host, sizeof(host) - 1);
    }
    pqi_mine_name_clean(s->name, opts->name != NULL ? opts->name : host);
    s->opts.links.workers = 1; /* one link has one worker */
    s->opts.retry_first_ns = opts->retry_first_ns != 0 ? opts->retry_first_ns : RETRY_FIRST;
    s->opts.retry_most_ns = opts->retry_most_ns != 0 ? opts->retry_most_ns : RETRY_MOST;
    s->status.height = PQI_MINER_NO_NUMBER;
    s->status.started_ns = pqi_clock_monotonic();
    return PQL_OK;
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

static pql_status start_thread(pqi_mine_service *s, pql_error *err)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failure = pthread_create(&s->thread, NULL, thread_main, s);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    s->thread_runs = failure == 0;
    return failure == 0
               ? PQL_OK
               : pqi_fail_errno(err, PQL_E_FAILED, failure, "The miner's thread cannot be started");
}

pql_status pqi_mine_service_start(pqi_mine_service **out, const pqi_mine_service_opts *opts,
                                  pql_error *err)
{
    *out = NULL;
    pqi_mine_service *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory starting the miner.");
    }
    init_locks(s);
    pql_status status = fill(s, opts, err);
    if (status == PQL_OK) {
        status = pql_context_new(&s->ctx, &s->opts.links, err);
    }
    if (status == PQL_OK) {
        status = start_hasher(s, err);
    }
    if (status == PQL_OK) {
        status = start_thread(s, err);
    }
    if (status != PQL_OK) {
        pqi_mine_service_free(s);
        return status;
    }
    *out = s;
    return PQL_OK;
}

void pqi_mine_service_stop(pqi_mine_service *s)
{
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    s->status.working = false;
    if (s->hasher != NULL) {
        pqi_hasher_pause(s->hasher);
    }
    (void)pthread_cond_broadcast(&s->change);
    pthread_mutex_unlock(&s->lock);
    if (s->thread_runs) {
        (void)pthread_join(s->thread, NULL);
        s->thread_runs = false;
    }
    /* The link's handlers use the hasher: they end first.  The hasher's threads use the link: they
     * were told to pause, and find none any more. */
    pql_context_free(s->ctx);
    s->ctx = NULL;
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
    (void)pthread_cond_destroy(&s->change);
    (void)pthread_mutex_destroy(&s->telling);
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
