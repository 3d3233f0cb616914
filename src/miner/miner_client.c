#include "miner/miner_client.h"

#include "base/clock.h"
#include "base/error.h"
#include "crypto/random.h"
#include "link/worker_metrics.h"
#include "miner/client_inside.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RETRY_FIRST PQI_NS_PER_SEC
#define RETRY_MOST (30 * PQI_NS_PER_SEC)
#define PROBE_EVERY (30 * PQI_NS_PER_SEC)
#define PATIENCE (5 * PQI_NS_PER_SEC)
/* As long as a handshake may take, and then time for a job. */
#define TRIAL (20 * PQI_NS_PER_SEC)
#define KEEP_ALIVE_MS 5000
#define IDLE_TIMEOUT_MS 15000
/* How long an orderly end waits for the nodes' part of it. */
#define GOODBYE (2 * PQI_NS_PER_SEC)
/* An official node looks for results twice a second, and gives another job soon after it took one.
 */
#define PRESUME (3 * PQI_NS_PER_SEC)
/* Two that live and two that are being closed; more would mean that closing hangs. */
#define LINKS_MAX 4
#define NONE PQI_FAILOVER_NONE

void pqi_miner_name_clean(char out[PQI_MINER_NAME_MAX + 1], const char *text)
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

/* ---- The thread that connects and waits ---- */

/* What |node| ends with for good after |why|; PQL_OK: it is tried again. */
static pql_status final_status(const pqi_miner_client *c, const pqi_client_link *l,
                               const pql_close *why)
{
    const pqi_miner_dialect dialect = c->nodes[l->node].dialect;
    if (why->by_peer && why->application) {
        const size_t len = strlen(why->reason);
        if (l->brought_job || !pqi_miner_close_is_final(dialect, why->code, why->reason, len)) {
            return PQL_OK;
        }
        return dialect == PQI_MINER_PQ1 && why->code == PQI_CLOSE_POLICY ? PQL_E_POLICY
                                                                         : PQL_E_REFUSED;
    }
    switch (why->status) {
    case PQL_E_TRUST:
        return why->by_peer ? PQL_OK : PQL_E_TRUST; /* we show no certificate: nothing to mend */
    case PQL_E_POLICY:
        /* One side changed its policy, and ended what it does not allow any more: the next
         * handshake shows whether something is left that both allow. */
        return l->open ? PQL_OK : PQL_E_POLICY;
    case PQL_E_USAGE:
    case PQL_E_IO:
    case PQL_E_UNSUPPORTED:
        /* Settings that worked once are settings that can work: a CA file may just be replaced. */
        return c->ever_open[l->node] ? PQL_OK : why->status;
    default:
        return PQL_OK;
    }
}

static uint64_t chance(void)
{
    uint64_t random;
    pqi_random(&random, sizeof(random));
    return random;
}

/* The sentence of |why|.  What a node says when it refuses us is two words at most: it needs the
 * node and a remedy.  |out| has PQL_ERROR_MESSAGE_SIZE bytes. */
static void explain(char *out, const pqi_miner_client *c, unsigned node, const pql_close *why,
                    pql_status final)
{
    const char *said = why->reason[0] != '\0' ? why->reason : pql_status_text(why->status);
    if (final == PQL_E_POLICY && why->by_peer && why->code == PQI_CLOSE_POLICY) {
        (void)snprintf(
            out, PQL_ERROR_MESSAGE_SIZE,
            "The node %.160s refused this link, whose key exchange is classical (it said: "
            "%.80s). The policy is %s on this side: set it to hybrid.",
            c->nodes[node].text, said, pql_policy_name(pql_context_policy(c->ctx)));
        return;
    }
    if (final != PQL_E_REFUSED) {
        (void)snprintf(out, PQL_ERROR_MESSAGE_SIZE, "%s", said);
        return;
    }
    (void)snprintf(out, PQL_ERROR_MESSAGE_SIZE,
                   "The node %.160s refused our token (it said: %.80s). Give the token that its "
                   "operator lists for us: --token-file, or --source-token-file for a source.",
                   c->nodes[node].text, said);
}

/* Tells what became of |node| after |why|.  |final|: PQL_OK when it is tried again in |delay|. */
static void tell_trouble(pqi_miner_client *c, unsigned node, const pql_close *why, pql_status final,
                         uint64_t delay)
{
    char sentence[PQL_ERROR_MESSAGE_SIZE];
    explain(sentence, c, node, why, final);
    const pqi_client_trouble what = {.node = node,
                                     .text = c->nodes[node].text,
                                     .status = final != PQL_OK ? final : why->status,
                                     .sentence = sentence,
                                     .why = why,
                                     .delay_ns = delay};
    if (final == PQL_OK) {
        TELL(c, retrying, &what);
        return;
    }
    c->last_status = final;
    (void)snprintf(c->last_sentence, sizeof(c->last_sentence), "%s", what.sentence);
    TELL(c, given_up, &what);
}

/* |l| has ended, or could not be made. */
static void report(pqi_miner_client *c, const pqi_client_link *l)
{
    uint64_t delay = 0;
    pthread_mutex_lock(&c->lock);
    const pql_status final = final_status(c, l, &l->why);
    const uint64_t now = pqi_clock_monotonic();
    if (final != PQL_OK) {
        c->out_by_policy[l->node] = final == PQL_E_POLICY;
        pqi_failover_out(&c->failover, (int)l->node, now);
    } else {
        delay = pqi_failover_down(&c->failover, (int)l->node, now, chance());
    }
    pqi_client_call_worker(c); /* another may be the main one now */
    pthread_mutex_unlock(&c->lock);
    tell_trouble(c, l->node, &l->why, final, delay);
}

/* Takes a link that has ended out of the list; NULL: none.  With the lock held. */
static pqi_client_link *take_ended(pqi_miner_client *c)
{
    pqi_client_link **at = &c->links;
    while (*at != NULL && !(*at)->over) {
        at = &(*at)->next;
    }
    pqi_client_link *l = *at;
    if (l != NULL) {
        *at = l->next;
    }
    return l;
}

static void bury(pqi_client_link *l)
{
    pql_link_unref(l->link);
    free(l);
}

static pql_status start_link(pqi_miner_client *c, pqi_client_link *l, pql_error *err)
{
    const pqi_login *login = &c->logins[l->node];
    const pql_peer peer = pqi_login_peer(login);
    const bool pq1 = login->opts.dialect == PQI_MINER_PQ1;
    const pql_connect_opts opts = {.alpn = pqi_miner_alpn(login->opts.dialect),
                                   .pq_authentication =
                                       c->opts.pq_authentication ||
                                       (pq1 && pql_policy_wants_pq(pql_context_policy(c->ctx))),
                                   .identity = c->opts.identity,
                                   .handlers = &pqi_client_handlers,
                                   .user = l,
                                   .keep_alive_ms = KEEP_ALIVE_MS,
                                   .idle_timeout_ms = IDLE_TIMEOUT_MS};
    /* Under the lock, so that no handler comes before the link stands in the list. */
    pthread_mutex_lock(&c->lock);
    const pql_status status = pql_connect(c->ctx, login->opts.url, &peer, &opts, &l->link, err);
    if (status == PQL_OK) {
        l->next = c->links;
        c->links = l;
    }
    pthread_mutex_unlock(&c->lock);
    return status;
}

/* Reads the files of |node| again. */
static pql_status read_login(pqi_miner_client *c, unsigned node, bool *changed, pql_error *err)
{
    pqi_login_change change;
    pqi_login fresh = c->logins[node]; /* nobody else writes it */
    const pql_status status = pqi_login_read(&fresh, &change, err);
    pthread_mutex_lock(&c->lock);
    c->logins[node] = fresh;
    pthread_mutex_unlock(&c->lock);
    pqi_login_wipe(&fresh);
    *changed = change.any;
    if (change.pins) {
        const pqi_client_pins pins = {
            .text = c->nodes[node].text, .before = change.before, .after = change.after};
        TELL(c, pins_changed, &pins);
    }
    return status;
}

/* The client's thread, without the lock. */
static void connect_to(pqi_miner_client *c, unsigned node)
{
    pql_error err = {0};
    bool changed = false;
    pqi_client_link *l = calloc(1, sizeof(*l));
    pqi_client_link failed = {.node = node};
    pql_status status = read_login(c, node, &changed, &err);
    if (status != PQL_OK) {
        status = PQL_E_FAILED; /* the files may be on their way: never final */
    } else if (l == NULL) {
        status = pqi_fail(&err, PQL_E_NOMEM, "Out of memory connecting.");
    } else {
        l->client = c;
        l->node = node;
        status = start_link(c, l, &err);
    }
    if (status != PQL_OK) {
        free(l);
        failed.why.status = status;
        (void)snprintf(failed.why.reason, sizeof(failed.why.reason), "%s", err.message);
        report(c, &failed);
    }
}

static struct timespec at_monotonic(uint64_t when)
{
    return (struct timespec){.tv_sec = (time_t)(when / PQI_NS_PER_SEC),
                             .tv_nsec = (long)(when % PQI_NS_PER_SEC)};
}

/* With the lock held. */
static void wait_until(pqi_miner_client *c, uint64_t when)
{
    if (when == PQI_TIME_NEVER) {
        (void)pthread_cond_wait(&c->change, &c->lock);
    } else {
        const struct timespec deadline = at_monotonic(when);
        (void)pthread_cond_timedwait(&c->change, &c->lock, &deadline);
    }
}

/* A trial that brought no job in time has failed, as far as the failover is concerned. */
static void end_trial(pqi_miner_client *c, int node)
{
    const pql_close why = {.status = PQL_E_TIMEOUT,
                           .reason = "The node let us in but gave no job in time."};
    pthread_mutex_lock(&c->lock);
    pqi_client_link *l = pqi_client_link_of(c, node);
    const uint64_t delay = pqi_failover_down(&c->failover, node, pqi_clock_monotonic(), chance());
    if (l != NULL) {
        l->leave = true;
        l->reported = true;
        pqi_client_call_worker(c);
    }
    pthread_mutex_unlock(&c->lock);
    tell_trouble(c, (unsigned)node, &why, PQL_OK, delay);
}

/* Nodes that are out are tried again when what we log in with has changed. */
static void look_at_files(pqi_miner_client *c)
{
    for (unsigned i = 0; i < c->opts.node_count; i++) {
        bool changed = false;
        pthread_mutex_lock(&c->lock);
        const bool out = pqi_failover_is_out(&c->failover, (int)i);
        pthread_mutex_unlock(&c->lock);
        if (!out || !pqi_login_has_files(&c->logins[i]) ||
            read_login(c, i, &changed, NULL) != PQL_OK || !changed) {
            continue;
        }
        pthread_mutex_lock(&c->lock);
        pqi_failover_back(&c->failover, (int)i, pqi_clock_monotonic());
        pthread_mutex_unlock(&c->lock);
    }
    c->files_at = pqi_clock_monotonic() + c->opts.timing.most;
}

static bool any_out(const pqi_miner_client *c)
{
    for (unsigned i = 0; i < c->opts.node_count; i++) {
        if (pqi_failover_is_out(&c->failover, (int)i)) {
            return true;
        }
    }
    return false;
}

static unsigned link_count(const pqi_miner_client *c)
{
    unsigned count = 0;
    for (const pqi_client_link *l = c->links; l != NULL; l = l->next) {
        count++;
    }
    return count;
}

/* What the thread is to do next. */
typedef struct step {
    enum { STEP_WAIT, STEP_REPORT, STEP_END_TRIAL, STEP_CONNECT, STEP_FILES, STEP_END } what;
    pqi_client_link *ended;
    int node;
    uint64_t until; /* STEP_WAIT */
} step;

/* With the lock held. */
static step next_step(pqi_miner_client *c)
{
    const uint64_t now = pqi_clock_monotonic();
    const bool watch = c->opts.patient && any_out(c);
    step s = {.what = STEP_REPORT, .ended = take_ended(c), .node = NONE};
    if (s.ended != NULL) {
        return s;
    }
    if (pqi_client_ending(c) || (!c->opts.patient && pqi_failover_all_out(&c->failover))) {
        return (step){.what = STEP_END};
    }
    s.node = pqi_failover_late(&c->failover, now);
    if (s.node != NONE) {
        s.what = STEP_END_TRIAL;
        return s;
    }
    if (watch && now >= c->files_at) {
        return (step){.what = STEP_FILES};
    }
    s.until = pqi_failover_deadline(&c->failover);
    if (link_count(c) >= LINKS_MAX) {
        s.until = PQI_TIME_NEVER; /* the end of one is an event */
    } else {
        s.node = pqi_failover_next(&c->failover, now);
    }
    s.until = watch && c->files_at < s.until ? c->files_at : s.until;
    s.what = s.node != NONE ? STEP_CONNECT : STEP_WAIT;
    return s;
}

static void report_end(pqi_miner_client *c, pqi_client_link *l)
{
    if (!l->reported && !pqi_client_ending(c)) {
        report(c, l);
    }
    bury(l);
}

static void do_step(pqi_miner_client *c, const step *s)
{
    switch (s->what) {
    case STEP_REPORT:
        report_end(c, s->ended);
        break;
    case STEP_END_TRIAL:
        end_trial(c, s->node);
        break;
    case STEP_CONNECT:
        connect_to(c, (unsigned)s->node);
        break;
    case STEP_FILES:
        look_at_files(c);
        break;
    case STEP_WAIT:
    case STEP_END:
        break;
    }
}

/* Closes the links in order and gives the nodes a moment for their part of it. */
static void say_goodbye(pqi_miner_client *c)
{
    const uint64_t deadline = pqi_clock_monotonic() + GOODBYE;
    pthread_mutex_lock(&c->lock);
    for (pqi_client_link *l = c->links; l != NULL; l = l->next) {
        l->leave = true;
    }
    pqi_client_call_worker(c);
    while (c->links != NULL && pqi_clock_monotonic() < deadline) {
        pqi_client_link *l = take_ended(c);
        if (l != NULL) {
            bury(l);
        } else {
            wait_until(c, deadline);
        }
    }
    pthread_mutex_unlock(&c->lock);
}

static void *thread_main(void *arg)
{
    pqi_miner_client *c = arg;
    (void)pthread_setname_np(pthread_self(), "pqlink-client");
    for (;;) {
        pthread_mutex_lock(&c->lock);
        const step s = next_step(c);
        if (s.what == STEP_WAIT) {
            wait_until(c, s.until);
        }
        pthread_mutex_unlock(&c->lock);
        if (s.what == STEP_END) {
            break;
        }
        do_step(c, &s);
    }
    say_goodbye(c);
    pthread_mutex_lock(&c->lock);
    const bool stopped = c->stopping;
    const bool finished = c->finishing;
    pthread_mutex_unlock(&c->lock);
    if (!stopped) {
        TELL(c, ended, finished ? PQL_OK : c->last_status, finished ? "" : c->last_sentence);
    }
    return NULL;
}

/* ---- The client ---- */

static void init_locks(pqi_miner_client *c)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_mutex_init(&c->telling, NULL);
    (void)pthread_cond_init(&c->change, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

static uint64_t time_or(uint64_t time, uint64_t fallback)
{
    return time != 0 ? time : fallback;
}

static pql_status fill(pqi_miner_client *c, const pqi_miner_client_opts *opts, pql_error *err)
{
    pql_status status = PQL_OK;
    if (opts->node_count == 0 || opts->node_count > PQI_FAILOVER_NODES_MAX) {
        return pqi_fail(err, PQL_E_USAGE, "There may be 1 to %d nodes.", PQI_FAILOVER_NODES_MAX);
    }
    char host[256] = "";
    if (opts->name == NULL) {
        (void)gethostname(host, sizeof(host) - 1);
    }
    pqi_miner_name_clean(c->name, opts->name != NULL ? opts->name : host);
    c->opts = *opts;
    c->opts.presume_ns = time_or(opts->presume_ns, PRESUME);
    c->opts.links.workers = 1; /* all links are on one worker: no lock between them */
    c->opts.timing = (pqi_failover_timing){.first = time_or(opts->timing.first, RETRY_FIRST),
                                           .most = time_or(opts->timing.most, RETRY_MOST),
                                           .probe = time_or(opts->timing.probe, PROBE_EVERY),
                                           .patience = time_or(opts->timing.patience, PATIENCE),
                                           .trial = time_or(opts->timing.trial, TRIAL)};
    pqi_failover_init(&c->failover, opts->node_count, &c->opts.timing);
    for (unsigned i = 0; i < opts->node_count && status == PQL_OK; i++) {
        pqi_login_change change;
        c->nodes[i] = opts->nodes[i];
        pqi_login_init(&c->logins[i], &opts->nodes[i]);
        status = pqi_login_read(&c->logins[i], &change, err);
        status = opts->patient ? PQL_OK : status;
    }
    c->opts.nodes = c->nodes;
    return status;
}

static pql_status start_thread(pqi_miner_client *c, pql_error *err)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failure = pthread_create(&c->thread, NULL, thread_main, c);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    c->thread_runs = failure == 0;
    return failure == 0
               ? PQL_OK
               : pqi_fail_errno(err, PQL_E_FAILED, failure, "The miner's thread cannot be started");
}

pql_status pqi_miner_client_start(pqi_miner_client **out, const pqi_miner_client_opts *opts,
                                  pql_error *err)
{
    *out = NULL;
    pqi_miner_client *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory starting the miner.");
    }
    init_locks(c);
    pql_status status = fill(c, opts, err);
    if (status == PQL_OK) {
        status = pql_context_new(&c->ctx, &c->opts.links, err);
    }
    if (status == PQL_OK && opts->workers != NULL) {
        status = pqi_worker_metrics(c->ctx, opts->workers, err);
    }
    if (status == PQL_OK) {
        *out = c; /* the first event may come before the return */
        status = start_thread(c, err);
    }
    if (status != PQL_OK) {
        *out = NULL;
        pqi_miner_client_free(c);
    }
    return status;
}

pql_status pqi_miner_client_set_policy(pqi_miner_client *c, pql_policy policy, pql_error *err)
{
    /* Without the lock: it waits for the worker, whose handlers take it. */
    const pql_status status = pql_context_set_policy(c->ctx, policy, err);
    if (status != PQL_OK) {
        return status;
    }
    pthread_mutex_lock(&c->lock);
    for (unsigned i = 0; i < c->opts.node_count; i++) {
        if (c->out_by_policy[i] && pqi_failover_is_out(&c->failover, (int)i)) {
            pqi_failover_back(&c->failover, (int)i, pqi_clock_monotonic());
        }
        c->out_by_policy[i] = false;
    }
    (void)pthread_cond_broadcast(&c->change);
    pthread_mutex_unlock(&c->lock);
    return PQL_OK;
}

void pqi_miner_client_finish(pqi_miner_client *c)
{
    pthread_mutex_lock(&c->lock);
    c->finishing = true;
    (void)pthread_cond_broadcast(&c->change);
    pthread_mutex_unlock(&c->lock);
}

void pqi_miner_client_stop(pqi_miner_client *c)
{
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    (void)pthread_cond_broadcast(&c->change);
    pthread_mutex_unlock(&c->lock);
    if (c->thread_runs) {
        (void)pthread_join(c->thread, NULL);
        c->thread_runs = false;
    }
    pql_context_free(c->ctx); /* what is left of the links ends now */
    c->ctx = NULL;
    pqi_client_link *l = take_ended(c);
    while (l != NULL) {
        bury(l);
        l = take_ended(c);
    }
}

void pqi_miner_client_free(pqi_miner_client *c)
{
    if (c == NULL) {
        return;
    }
    pqi_miner_client_stop(c);
    for (unsigned i = 0; i < PQI_FAILOVER_NODES_MAX; i++) {
        pqi_login_wipe(&c->logins[i]);
    }
    (void)pthread_cond_destroy(&c->change);
    (void)pthread_mutex_destroy(&c->telling);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}
