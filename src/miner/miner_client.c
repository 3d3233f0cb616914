#include "miner/miner_client.h"

#include "base/clock.h"
#include "base/error.h"
#include "crypto/random.h"

#include <pthread.h>
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
#define STATS_EVERY (10 * PQI_NS_PER_SEC)
/* How long an orderly end waits for the nodes' part of it. */
#define GOODBYE (2 * PQI_NS_PER_SEC)
/* A job that comes so soon after a result is taken for its effect, where there is no answer.  An
 * official node looks for results twice a second. */
#define PRESUMED_WITHIN (3 * PQI_NS_PER_SEC)
/* Two that live and two that are being closed; more would mean that closing hangs. */
#define LINKS_MAX 4
#define AGENT "pqlink/" PQLINK_VERSION
#define NONE PQI_FAILOVER_NONE

typedef struct client_link client_link;

/* One link, from pql_connect until the client's thread has dealt with its end. */
struct client_link {
    pqi_miner_client *client;
    unsigned node;
    pql_link *link; /* with a reference of ours; set before a handler can have the lock */

    /* The worker alone. */
    pqi_session_miner session;
    pql_stream *stream; /* NULL while there is none */
    uint64_t stats_at, stats_hashes;
    uint64_t result_credit, result_credit_at; /* in results * PQI_NS_PER_SEC */
    uint64_t jobs_second; /* of CLOCK_MONOTONIC, in which |jobs_in_second| counts */
    unsigned jobs_in_second;
    unsigned unanswered;
    uint64_t session_serial; /* the session's name for the newest job */
    bool result_waits;       /* for the job that tells what became of it */
    uint64_t result_at;
    char result_job[PQI_MINER_JOB_ID_MAX + 1];
    uint8_t result_hash[PQI_MINER_HASH_SIZE];
    const char *broken; /* why our session closed the link; NULL: it did not */

    /* With the client's lock. */
    client_link *next;
    bool open, leave, closing, over, brought_job;
    bool told;     /* `connected` was, and `disconnected` was not */
    bool reported; /* the failover knows already that it is gone */
    pql_close why;
};

struct pqi_miner_client {
    pqi_miner_client_opts opts;
    char name[PQI_MINER_NAME_MAX + 1];
    pqi_login logins[PQI_FAILOVER_NODES_MAX]; /* the thread alone, after the start */
    pql_context *ctx;
    pthread_t thread;
    bool thread_runs; /* for the functions of the owner */

    pthread_mutex_t lock; /* for what follows; never held while an event is told */
    pthread_cond_t change;
    pqi_failover failover;
    client_link *links;
    client_link *giver; /* the link of the newest job; NULL: there is no job */
    uint64_t serial;    /* of the newest job */
    bool stopping, finishing, attend_posted;
    unsigned attempts; /* links that opened */
    bool ever_open[PQI_FAILOVER_NODES_MAX];
    pqi_solution mailbox[PQI_CLIENT_MAILBOX];
    unsigned mail_count;

    uint64_t files_at; /* the thread alone: when files of nodes that are out are looked at */
    pql_status last_status;
    char last_sentence[PQL_ERROR_MESSAGE_SIZE];

    pthread_mutex_t telling; /* one event at a time */
};

#define TELL(c, event, ...)                                                                        \
    do {                                                                                           \
        if ((c)->opts.events.event != NULL) {                                                      \
            pthread_mutex_lock(&(c)->telling);                                                     \
            (c)->opts.events.event((c)->opts.user, __VA_ARGS__);                                   \
            pthread_mutex_unlock(&(c)->telling);                                                   \
        }                                                                                          \
    } while (0)

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

static void attend(void *arg);

/* With the lock held: the worker will do what there is to do.  When its queue is full, the next
 * event tries again. */
static void call_worker(pqi_miner_client *c)
{
    if (!c->attend_posted) {
        c->attend_posted = pql_context_run(c->ctx, 0, attend, c) == PQL_OK;
    }
}

/* With the lock held: the link of |node| that is not being left; NULL: none. */
static client_link *link_of(const pqi_miner_client *c, int node)
{
    client_link *l = c->links;
    while (l != NULL && ((int)l->node != node || l->leave || l->over)) {
        l = l->next;
    }
    return l;
}

static bool ending(const pqi_miner_client *c)
{
    return c->stopping || c->finishing;
}

/* ---- Results ---- */

/* A result more may be sent now; takes it from the credit. */
static bool may_send(client_link *l, uint64_t now)
{
    const uint64_t full = PQI_CLIENT_RESULTS_BURST * PQI_NS_PER_SEC;
    const uint64_t passed = now - l->result_credit_at;
    const uint64_t earned = passed < full ? passed * PQI_CLIENT_RESULTS_PER_SEC : full;
    l->result_credit = l->result_credit + earned < full ? l->result_credit + earned : full;
    l->result_credit_at = now;
    if (l->unanswered >= PQI_CLIENT_UNANSWERED || l->result_credit < PQI_NS_PER_SEC) {
        return false;
    }
    l->result_credit -= PQI_NS_PER_SEC;
    return true;
}

static void note_result(client_link *l, uint64_t now)
{
    l->unanswered++;
    l->result_waits = true;
    l->result_at = now;
    (void)snprintf(l->result_job, sizeof(l->result_job), "%s", l->session.job.id);
    memcpy(l->result_hash, l->session.job.mining_hash, sizeof(l->result_hash));
}

static void send_solution(pqi_miner_client *c, client_link *l, const pqi_solution *solution)
{
    const uint64_t now = pqi_clock_monotonic();
    if (l->stream == NULL || !may_send(l, now) ||
        pqi_session_miner_solution(&l->session, l->session_serial, solution->nonce,
                                   solution->hashes, solution->elapsed_ns, NULL) != PQL_OK) {
        return;
    }
    note_result(l, now);
    TELL(c, sent, solution);
}

/* On the worker. */
static void empty_mailbox(pqi_miner_client *c)
{
    pqi_solution mail[PQI_CLIENT_MAILBOX];
    pthread_mutex_lock(&c->lock);
    client_link *l = c->giver;
    const unsigned count = l != NULL ? c->mail_count : 0;
    memcpy(mail, c->mailbox, count * sizeof(mail[0]));
    c->mail_count = 0;
    pthread_mutex_unlock(&c->lock);
    for (unsigned i = 0; i < count; i++) {
        send_solution(c, l, &mail[i]); /* links end on this thread only */
    }
}

pql_status pqi_miner_client_submit(pqi_miner_client *c, const pqi_solution *solution)
{
    pql_status status = PQL_OK;
    pthread_mutex_lock(&c->lock);
    if (c->giver == NULL || solution->serial != c->serial || ending(c)) {
        status = PQL_E_STATE;
    } else if (c->mail_count == PQI_CLIENT_MAILBOX) {
        status = PQL_E_LIMIT;
    } else {
        c->mailbox[c->mail_count++] = *solution;
        call_worker(c);
    }
    pthread_mutex_unlock(&c->lock);
    return status;
}

static void on_ack(void *user, const pqi_miner_ack *ack)
{
    client_link *l = user;
    pqi_miner_client *c = l->client;
    l->unanswered -= l->unanswered > 0;
    l->result_waits = false;
    pthread_mutex_lock(&c->lock);
    const bool ours = l->told;
    pthread_mutex_unlock(&c->lock);
    if (ours) {
        TELL(c, answered, ack);
    }
}

/* Official nodes say nothing about a result.  Another job soon after one is what a taken one looks
 * like; the same job again tells nothing, because a pool says so after a good share and a node of
 * ours after a bad result. */
static void presume(client_link *l, const pqi_miner_job *job)
{
    const bool other = memcmp(job->mining_hash, l->result_hash, sizeof(l->result_hash)) != 0;
    const bool soon = pqi_clock_monotonic() - l->result_at < PRESUMED_WITHIN;
    const bool waited = l->result_waits;
    l->result_waits = false;
    if (!waited || !other || !soon || l->session.dialect == PQI_MINER_PQ1) {
        return;
    }
    const pqi_miner_ack ack = {.job_id = l->result_job,
                               .verdict = PQI_VERDICT_ACCEPTED,
                               .reason = "presumed: the node gave another job at once",
                               .height = PQI_MINER_NO_NUMBER,
                               .presumed = true};
    TELL(l->client, answered, &ack);
}

/* ---- Jobs ---- */

/* Counts a job or cancel; closes the link and returns false when it is one too many.  Each makes
 * those who search begin anew, and a node could keep them from searching at all. */
static bool may_take(client_link *l)
{
    const uint64_t second = pqi_clock_monotonic() / PQI_NS_PER_SEC;
    if (second != l->jobs_second) {
        l->jobs_second = second;
        l->jobs_in_second = 0;
    }
    if (l->jobs_in_second == PQI_CLIENT_JOBS_PER_SEC) {
        pqi_session_miner_close(&l->session, PQI_CLOSE_FLOOD);
        return false;
    }
    l->jobs_in_second++;
    return true;
}

/* On the link's worker. */
static void tell_connected(client_link *l)
{
    pqi_miner_client *c = l->client;
    const pqi_login_opts *login = &c->logins[l->node].opts;
    pqi_client_connected event = {.node = l->node,
                                  .text = login->text,
                                  .dialect = login->dialect,
                                  .posture = *pql_link_posture(l->link),
                                  .address = pql_link_peer_address(l->link)};
    (void)pql_link_peer_fingerprint(l->link, PQL_FINGERPRINT_CERT, &event.certificate);
    pthread_mutex_lock(&c->lock);
    event.attempt = ++c->attempts;
    pthread_mutex_unlock(&c->lock);
    TELL(c, connected, &event);
}

/* With the lock held: |l| brought a job.  False when it does not count.  *left is the link that it
 * replaces, if that was told of; *tell says that `connected` is due. */
static bool take_job(client_link *l, bool *tell, bool *left)
{
    pqi_miner_client *c = l->client;
    if (l->leave || ending(c)) {
        return false;
    }
    const int before = pqi_failover_job(&c->failover, (int)l->node, pqi_clock_monotonic());
    client_link *old = before == NONE ? NULL : link_of(c, before);
    if (old != NULL) {
        *left = old->told;
        old->told = false;
        old->leave = true;
        old->reported = true;
        call_worker(c);
    }
    *tell = !l->told;
    l->told = true;
    l->brought_job = true;
    c->serial++;
    c->giver = l;
    c->mail_count = 0;
    (void)pthread_cond_broadcast(&c->change); /* other deadlines now */
    return true;
}

static void on_job(void *user, const pqi_miner_job *job, uint64_t session_serial)
{
    client_link *l = user;
    pqi_miner_client *c = l->client;
    bool tell = false;
    bool left = false;
    if (!may_take(l)) {
        return;
    }
    presume(l, job);
    l->unanswered = 0;
    l->session_serial = session_serial;
    pthread_mutex_lock(&c->lock);
    const bool counts = take_job(l, &tell, &left);
    const uint64_t serial = c->serial;
    pthread_mutex_unlock(&c->lock);
    if (left) {
        const pql_close why = {.reason = "Another node has work and takes its place."};
        TELL(c, disconnected, &why, true);
    }
    if (tell) {
        tell_connected(l);
    }
    if (counts) {
        TELL(c, job, job, serial);
    }
}

static void on_cancel(void *user, const char *reason)
{
    client_link *l = user;
    pqi_miner_client *c = l->client;
    if (!may_take(l)) {
        return;
    }
    pthread_mutex_lock(&c->lock);
    const bool ours = l->told;
    if (c->giver == l) {
        c->giver = NULL;
        c->mail_count = 0;
        pqi_failover_idle(&c->failover, pqi_clock_monotonic());
        (void)pthread_cond_broadcast(&c->change);
    }
    pthread_mutex_unlock(&c->lock);
    if (ours) {
        TELL(c, cancelled, reason != NULL ? reason : "");
    }
}

static void on_rotation(void *user, const pqi_miner_rotation *rotation)
{
    client_link *l = user;
    pqi_miner_client *c = l->client;
    if (may_take(l)) {
        TELL(c, rotation, l->node, rotation);
    }
}

/* ---- The link ---- */

static bool on_write(void *user, const uint8_t *frame, size_t len)
{
    client_link *l = user;
    return l->stream != NULL && pql_stream_write(l->stream, frame, len, false) == PQL_OK;
}

/* What people are told when our session closes the link; NULL: the node did nothing wrong. */
static const char *fault_of_node(const pqi_session_miner *session)
{
    const pqi_miner_close why = pqi_session_miner_closed_for(session);
    if (why == PQI_CLOSE_PROTOCOL) {
        return "The node sent what the protocol of the miner link forbids.";
    }
    if (why == PQI_CLOSE_FLOOD) {
        return "The node sent jobs faster than anybody can work on them.";
    }
    return NULL;
}

static void on_session_close(void *user, uint64_t code, const char *reason)
{
    client_link *l = user;
    l->broken = fault_of_node(&l->session);
    if (l->stream != NULL) {
        pql_link_close(pql_stream_link(l->stream), code, reason);
    }
}

static const pqi_session_miner_events session_events = {.write = on_write,
                                                        .close = on_session_close,
                                                        .job = on_job,
                                                        .cancel = on_cancel,
                                                        .ack = on_ack,
                                                        .rotation = on_rotation};

static uint64_t hashes_of(const pqi_miner_client *c)
{
    return c->opts.events.hashes != NULL ? c->opts.events.hashes(c->opts.user) : 0;
}

static void login(client_link *l, pql_link *link, uint64_t now)
{
    pqi_miner_client *c = l->client;
    const pqi_login *login = &c->logins[l->node];
    pql_error err = {0};
    pqi_session_miner_init(&l->session, login->opts.dialect, &session_events, l);
    if (pql_stream_open(link, &l->stream, &err) != PQL_OK ||
        pqi_session_miner_open(&l->session, pqi_login_token(login), c->name, AGENT, &err) !=
            PQL_OK) {
        pql_link_close(link, PQI_CLOSE_DONE, "");
        return;
    }
    l->result_credit = PQI_CLIENT_RESULTS_BURST * PQI_NS_PER_SEC;
    l->result_credit_at = now;
    if (c->opts.events.hashes != NULL) {
        l->stats_at = now;
        l->stats_hashes = hashes_of(c);
        pql_link_set_timer(link, now + STATS_EVERY);
    }
}

static void on_link_open(pql_link *link, void *user)
{
    client_link *l = user;
    pqi_miner_client *c = l->client;
    pthread_mutex_lock(&c->lock);
    const bool stay = !l->leave;
    l->open = true;
    c->ever_open[l->node] = true;
    l->told = stay && pqi_failover_main(&c->failover) == (int)l->node;
    const bool tell = l->told;
    pthread_mutex_unlock(&c->lock);
    if (tell) {
        tell_connected(l);
    }
    if (stay) {
        login(l, link, pqi_clock_monotonic());
    } else {
        pql_link_close(link, PQI_CLOSE_DONE, "");
    }
}

static void on_link_timer(pql_link *link, uint64_t now, void *user)
{
    client_link *l = user;
    const uint64_t hashes = hashes_of(l->client);
    (void)pqi_session_miner_stats(&l->session, hashes - l->stats_hashes, now - l->stats_at, NULL);
    l->stats_at = now;
    l->stats_hashes = hashes;
    pql_link_set_timer(link, now + STATS_EVERY);
}

static void on_stream_data(pql_stream *stream, const uint8_t *data, size_t len, bool fin,
                           void *user)
{
    client_link *l = user;
    if (stream != l->stream) {
        return;
    }
    pqi_session_miner_bytes(&l->session, data, len);
    if (fin) {
        pqi_session_miner_fin(&l->session);
    }
}

static void on_stream_close(pql_stream *stream, uint64_t code, void *user)
{
    client_link *l = user;
    (void)code;
    if (stream == l->stream) {
        pqi_session_miner_fin(&l->session);
        l->stream = NULL;
    }
}

/* The last call for |l| on the worker; from |over| on it belongs to the thread. */
static void on_link_close(pql_link *link, const pql_close *why, void *user)
{
    client_link *l = user;
    pqi_miner_client *c = l->client;
    (void)link;
    l->stream = NULL;
    pthread_mutex_lock(&c->lock);
    const bool tell = l->told;
    l->told = false;
    l->why = *why;
    if (l->broken != NULL && !why->by_peer) {
        l->why.status = PQL_E_PROTOCOL;
        (void)snprintf(l->why.reason, sizeof(l->why.reason), "%s", l->broken);
    }
    if (c->giver == l) {
        c->giver = NULL;
        c->mail_count = 0;
    }
    pthread_mutex_unlock(&c->lock);
    if (tell) {
        TELL(c, disconnected, &l->why, false);
    }
    pthread_mutex_lock(&c->lock);
    l->over = true;
    (void)pthread_cond_broadcast(&c->change);
    pthread_mutex_unlock(&c->lock);
}

static const pql_handlers handlers = {.link_open = on_link_open,
                                      .link_close = on_link_close,
                                      .link_timer = on_link_timer,
                                      .stream_data = on_stream_data,
                                      .stream_close = on_stream_close};

/* ---- What the worker is called for ---- */

static client_link *next_to_leave(pqi_miner_client *c)
{
    pthread_mutex_lock(&c->lock);
    client_link *l = c->links;
    while (l != NULL && (!l->leave || l->closing || l->over)) {
        l = l->next;
    }
    if (l != NULL) {
        l->closing = true;
    }
    pthread_mutex_unlock(&c->lock);
    return l;
}

static void leave_links(pqi_miner_client *c)
{
    client_link *l = next_to_leave(c);
    while (l != NULL) {
        if (l->stream != NULL) {
            pqi_session_miner_close(&l->session, PQI_CLOSE_DONE);
        } else {
            pql_link_close(l->link, PQI_CLOSE_DONE, "");
        }
        l = next_to_leave(c);
    }
}

/* A link that was on trial may have become the main one. */
static void tell_promoted(pqi_miner_client *c)
{
    pthread_mutex_lock(&c->lock);
    client_link *l = link_of(c, pqi_failover_main(&c->failover));
    const bool tell = l != NULL && l->open && !l->told && !ending(c);
    if (tell) {
        l->told = true;
    }
    pthread_mutex_unlock(&c->lock);
    if (tell) {
        tell_connected(l);
    }
}

static void attend(void *arg)
{
    pqi_miner_client *c = arg;
    pthread_mutex_lock(&c->lock);
    c->attend_posted = false;
    pthread_mutex_unlock(&c->lock);
    empty_mailbox(c);
    leave_links(c);
    tell_promoted(c);
}

/* ---- The thread that connects and waits ---- */

/* What |node| ends with for good after |why|; PQL_OK: it is tried again. */
static pql_status final_status(const pqi_miner_client *c, const client_link *l,
                               const pql_close *why)
{
    const pqi_miner_dialect dialect = c->logins[l->node].opts.dialect;
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
        return PQL_E_POLICY;
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

/* Tells what became of |node| after |why|.  |final|: PQL_OK when it is tried again in |delay|. */
static void tell_trouble(pqi_miner_client *c, unsigned node, const pql_close *why, pql_status final,
                         uint64_t delay)
{
    const pqi_client_trouble what = {
        .node = node,
        .text = c->logins[node].opts.text,
        .status = final != PQL_OK ? final : why->status,
        .sentence = why->reason[0] != '\0' ? why->reason : pql_status_text(why->status),
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
static void report(pqi_miner_client *c, const client_link *l)
{
    uint64_t delay = 0;
    pthread_mutex_lock(&c->lock);
    const pql_status final = final_status(c, l, &l->why);
    const uint64_t now = pqi_clock_monotonic();
    if (final != PQL_OK) {
        pqi_failover_out(&c->failover, (int)l->node, now);
    } else {
        delay = pqi_failover_down(&c->failover, (int)l->node, now, chance());
    }
    call_worker(c); /* another may be the main one now */
    pthread_mutex_unlock(&c->lock);
    tell_trouble(c, l->node, &l->why, final, delay);
}

/* Takes a link that has ended out of the list; NULL: none.  With the lock held. */
static client_link *take_ended(pqi_miner_client *c)
{
    client_link **at = &c->links;
    while (*at != NULL && !(*at)->over) {
        at = &(*at)->next;
    }
    client_link *l = *at;
    if (l != NULL) {
        *at = l->next;
    }
    return l;
}

static void bury(client_link *l)
{
    pql_link_unref(l->link);
    free(l);
}

static pql_status start_link(pqi_miner_client *c, client_link *l, pql_error *err)
{
    const pqi_login *login = &c->logins[l->node];
    const pql_peer peer = pqi_login_peer(login);
    const bool pq1 = login->opts.dialect == PQI_MINER_PQ1;
    const pql_connect_opts opts = {.alpn = pqi_miner_alpn(login->opts.dialect),
                                   .pq_authentication =
                                       pq1 && c->opts.links.policy != PQL_POLICY_OFF,
                                   .identity = c->opts.identity,
                                   .handlers = &handlers,
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
    const pql_status status = pqi_login_read(&c->logins[node], &change, err);
    *changed = change.any;
    if (change.pins) {
        const pqi_client_pins pins = {
            .text = c->logins[node].opts.text, .before = change.before, .after = change.after};
        TELL(c, pins_changed, &pins);
    }
    return status;
}

/* The client's thread, without the lock. */
static void connect_to(pqi_miner_client *c, unsigned node)
{
    pql_error err = {0};
    bool changed = false;
    client_link *l = calloc(1, sizeof(*l));
    client_link failed = {.node = node};
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
    client_link *l = link_of(c, node);
    const uint64_t delay = pqi_failover_down(&c->failover, node, pqi_clock_monotonic(), chance());
    if (l != NULL) {
        l->leave = true;
        l->reported = true;
        call_worker(c);
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
    for (const client_link *l = c->links; l != NULL; l = l->next) {
        count++;
    }
    return count;
}

/* What the thread is to do next. */
typedef struct step {
    enum { STEP_WAIT, STEP_REPORT, STEP_END_TRIAL, STEP_CONNECT, STEP_FILES, STEP_END } what;
    client_link *ended;
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
    if (ending(c) || (!c->opts.patient && pqi_failover_all_out(&c->failover))) {
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

static void report_end(pqi_miner_client *c, client_link *l)
{
    if (!l->reported && !ending(c)) {
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
    for (client_link *l = c->links; l != NULL; l = l->next) {
        l->leave = true;
    }
    call_worker(c);
    while (c->links != NULL && pqi_clock_monotonic() < deadline) {
        client_link *l = take_ended(c);
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
    c->opts.links.workers = 1; /* all links are on one worker: no lock between them */
    c->opts.timing = (pqi_failover_timing){.first = time_or(opts->timing.first, RETRY_FIRST),
                                           .most = time_or(opts->timing.most, RETRY_MOST),
                                           .probe = time_or(opts->timing.probe, PROBE_EVERY),
                                           .patience = time_or(opts->timing.patience, PATIENCE),
                                           .trial = time_or(opts->timing.trial, TRIAL)};
    pqi_failover_init(&c->failover, opts->node_count, &c->opts.timing);
    for (unsigned i = 0; i < opts->node_count && status == PQL_OK; i++) {
        pqi_login_change change;
        pqi_login_init(&c->logins[i], &opts->nodes[i]);
        status = pqi_login_read(&c->logins[i], &change, err);
        status = opts->patient ? PQL_OK : status;
    }
    c->opts.nodes = NULL; /* the logins have what was in them */
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
    client_link *l = take_ended(c);
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
