#include "base/clock.h"
#include "base/secret.h"
#include "miner/client_inside.h"

#include <stdio.h>
#include <string.h>

#define STATS_EVERY (10 * PQI_NS_PER_SEC)
#define AGENT "pqlink/" PQLINK_VERSION
#define NONE PQI_FAILOVER_NONE

static void attend(void *arg);

void pqi_client_call_worker(pqi_miner_client *c)
{
    if (!c->attend_posted) {
        c->attend_posted = pql_context_run(c->ctx, 0, attend, c) == PQL_OK;
    }
}

pqi_client_link *pqi_client_link_of(const pqi_miner_client *c, int node)
{
    pqi_client_link *l = c->links;
    while (l != NULL && ((int)l->node != node || l->leave || l->over)) {
        l = l->next;
    }
    return l;
}

bool pqi_client_ending(const pqi_miner_client *c)
{
    return c->stopping || c->finishing;
}

/* ---- Results ---- */

/* A result more may be sent now; takes it from the credit. */
static bool may_send(pqi_client_link *l, uint64_t now)
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

static void note_result(pqi_client_link *l, uint64_t now)
{
    l->unanswered++;
    l->result_waits = true;
    l->result_at = now;
    (void)snprintf(l->result_job, sizeof(l->result_job), "%s", l->session.job.id);
    memcpy(l->result_hash, l->session.job.mining_hash, sizeof(l->result_hash));
}

static void send_solution(pqi_miner_client *c, pqi_client_link *l, const pqi_solution *solution)
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
    pqi_client_link *l = c->giver;
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
    if (c->giver == NULL || solution->serial != c->serial || pqi_client_ending(c)) {
        status = PQL_E_STATE;
    } else if (c->mail_count == PQI_CLIENT_MAILBOX) {
        status = PQL_E_LIMIT;
    } else {
        c->mailbox[c->mail_count++] = *solution;
        pqi_client_call_worker(c);
    }
    pthread_mutex_unlock(&c->lock);
    return status;
}

static void on_ack(void *user, const pqi_miner_ack *ack)
{
    pqi_client_link *l = user;
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
static void presume(pqi_client_link *l, const pqi_miner_job *job)
{
    const bool other = memcmp(job->mining_hash, l->result_hash, sizeof(l->result_hash)) != 0;
    const bool soon = pqi_clock_monotonic() - l->result_at < l->client->opts.presume_ns;
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
static bool may_take(pqi_client_link *l)
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
static void tell_connected(pqi_client_link *l)
{
    pqi_miner_client *c = l->client;
    const pqi_login_opts *login = &c->nodes[l->node];
    pqi_client_connected event = {.node = l->node,
                                  .text = login->text,
                                  .dialect = login->dialect,
                                  .posture = *pql_link_posture(l->link),
                                  .address = pql_link_peer_address(l->link),
                                  .link_id = pql_link_id(l->link)};
    (void)pql_link_peer_fingerprint(l->link, PQL_FINGERPRINT_CERT, &event.certificate);
    pthread_mutex_lock(&c->lock);
    event.attempt = ++c->attempts;
    pthread_mutex_unlock(&c->lock);
    TELL(c, connected, &event);
}

/* With the lock held: |l| brought a job.  False when it does not count.  *left is the link that it
 * replaces, if that was told of; *tell says that `connected` is due. */
static bool take_job(pqi_client_link *l, bool *tell, bool *left)
{
    pqi_miner_client *c = l->client;
    if (l->leave || pqi_client_ending(c)) {
        return false;
    }
    const int before = pqi_failover_job(&c->failover, (int)l->node, pqi_clock_monotonic());
    pqi_client_link *old = before == NONE ? NULL : pqi_client_link_of(c, before);
    if (old != NULL) {
        *left = old->told;
        old->told = false;
        old->leave = true;
        old->reported = true;
        pqi_client_call_worker(c);
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
    pqi_client_link *l = user;
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
    pqi_client_link *l = user;
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
    pqi_client_link *l = user;
    pqi_miner_client *c = l->client;
    if (may_take(l)) {
        TELL(c, rotation, l->node, rotation);
    }
}

/* ---- The link ---- */

static bool on_write(void *user, const uint8_t *frame, size_t len)
{
    pqi_client_link *l = user;
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
    pqi_client_link *l = user;
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

/* Sends Ready. */
static pql_status introduce(pqi_client_link *l, pql_error *err)
{
    pqi_miner_client *c = l->client;
    char token[PQI_MINER_TOKEN_MAX + 1] = "";
    pthread_mutex_lock(&c->lock);
    const char *given = pqi_login_token(&c->logins[l->node]);
    if (given != NULL) {
        (void)snprintf(token, sizeof(token), "%s", given);
    }
    pthread_mutex_unlock(&c->lock);
    const pql_status status =
        pqi_session_miner_open(&l->session, token[0] != '\0' ? token : NULL, c->name, AGENT, err);
    pqi_secret_wipe(token, sizeof(token));
    return status;
}

static void login(pqi_client_link *l, pql_link *link, uint64_t now)
{
    pqi_miner_client *c = l->client;
    pql_error err = {0};
    pqi_session_miner_init(&l->session, c->nodes[l->node].dialect, &session_events, l);
    if (pql_stream_open(link, &l->stream, &err) != PQL_OK || introduce(l, &err) != PQL_OK) {
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
    pqi_client_link *l = user;
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
    pqi_client_link *l = user;
    const uint64_t hashes = hashes_of(l->client);
    (void)pqi_session_miner_stats(&l->session, hashes - l->stats_hashes, now - l->stats_at, NULL);
    l->stats_at = now;
    l->stats_hashes = hashes;
    pql_link_set_timer(link, now + STATS_EVERY);
}

static void on_stream_data(pql_stream *stream, const uint8_t *data, size_t len, bool fin,
                           void *user)
{
    pqi_client_link *l = user;
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
    pqi_client_link *l = user;
    (void)code;
    if (stream == l->stream) {
        pqi_session_miner_fin(&l->session);
        l->stream = NULL;
    }
}

/* The last call for |l| on the worker; from |over| on it belongs to the thread. */
static void on_link_close(pql_link *link, const pql_close *why, void *user)
{
    pqi_client_link *l = user;
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

const pql_handlers pqi_client_handlers = {.link_open = on_link_open,
                                          .link_close = on_link_close,
                                          .link_timer = on_link_timer,
                                          .stream_data = on_stream_data,
                                          .stream_close = on_stream_close};

/* ---- What the worker is called for ---- */

static pqi_client_link *next_to_leave(pqi_miner_client *c)
{
    pthread_mutex_lock(&c->lock);
    pqi_client_link *l = c->links;
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
    pqi_client_link *l = next_to_leave(c);
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
    pqi_client_link *l = pqi_client_link_of(c, pqi_failover_main(&c->failover));
    const bool tell = l != NULL && l->open && !l->told && !pqi_client_ending(c);
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
