#include "miner/upstream.h"

#include "base/clock.h"
#include "base/log.h"
#include "miner/relay.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE "source"

typedef struct upstream {
    pqi_source base; /* first member */
    pqi_upstream_opts opts;
    pqi_login_opts nodes[PQI_FAILOVER_NODES_MAX];
    pqi_source *relay;
    pqi_miner_client *client;                             /* NULL before the start */
    uint64_t corr_id;                                     /* pql_link_id of the present link */
    pqi_miner_rotation rotations[PQI_FAILOVER_NODES_MAX]; /* what each node said last */

    pthread_mutex_t lock; /* for what follows */
    pql_error failure;
    const char *node; /* at the other end of the link; NULL: there is none */
    pqi_log_quota quota;
} upstream;

static upstream *from_source(pqi_source *source)
{
    return (upstream *)source;
}

/* ---- What the log says of a node that talks ---- */

static bool may_say(upstream *u, uint64_t *left_out)
{
    pthread_mutex_lock(&u->lock);
    const bool may = pqi_log_quota_take(&u->quota, PQI_UPSTREAM_LINES_PER_SEC,
                                        pqi_clock_monotonic() / PQI_NS_PER_SEC, left_out);
    pthread_mutex_unlock(&u->lock);
    return may;
}

#define SAY_BOUNDED(u, level, event, ...)                                                          \
    do {                                                                                           \
        uint64_t left_out_ = 0;                                                                    \
        if (may_say(u, &left_out_)) {                                                              \
            pqi_log(level, SERVICE, event, __VA_ARGS__, PQI_U64("left_out", left_out_));           \
        }                                                                                          \
    } while (0)

/* ---- What the client tells ---- */

static void not_ready(const upstream *u, const char *sentence)
{
    pqi_health_set_failed(u->opts.health, u->opts.condition, sentence);
}

static void set_node(upstream *u, const char *text)
{
    pthread_mutex_lock(&u->lock);
    u->node = text;
    pthread_mutex_unlock(&u->lock);
}

static void on_connected(void *user, const pqi_client_connected *link)
{
    upstream *u = user;
    const pql_posture *p = &link->posture;
    char certificate[PQL_FINGERPRINT_SIZE];
    pql_fingerprint_format(&link->certificate, certificate);
    u->corr_id = link->link_id;
    set_node(u, u->nodes[link->node].text);
    pqi_source_metrics_up(u->opts.metrics, link->node);
    pqi_log(PQI_LOG_INFO, SERVICE, "connected", PQI_STR("node", link->text),
            PQI_STR("address", link->address), PQI_STR("alpn", pqi_miner_alpn(link->dialect)),
            PQI_STR("certificate", certificate), PQI_U64("attempt", link->attempt),
            PQI_CORR(u->corr_id));
    if (!p->pq_key_exchange) {
        pqi_log(PQI_LOG_WARN, SERVICE, "classical", PQI_STR("node", link->text),
                PQI_STR("downgrade_reason", pql_downgrade_name(p->downgrade)),
                PQI_STR("reason", "The key exchange of this link has no ML-KEM: what is recorded "
                                  "today can be read by a quantum computer one day."),
                PQI_CORR(u->corr_id));
    }
    not_ready(u, "The source has given no job yet.");
}

static void on_job(void *user, const pqi_miner_job *job, uint64_t serial)
{
    upstream *u = user;
    pqi_source_metrics_job(u->opts.metrics);
    pqi_health_set_ok(u->opts.health, u->opts.condition);
    pqi_log(PQI_LOG_DEBUG, SERVICE, "job", PQI_STR("job", job->id), PQI_CORR(u->corr_id));
    pqi_relay_job(u->relay, job, serial);
}

static void on_cancelled(void *user, const char *reason)
{
    upstream *u = user;
    SAY_BOUNDED(u, PQI_LOG_INFO, "cancelled", PQI_STR("reason", reason), PQI_CORR(u->corr_id));
    not_ready(u, "The source has no work at the moment.");
    pqi_relay_idle(u->relay);
}

static void on_sent(void *user, const pqi_solution *solution)
{
    upstream *u = user;
    pqi_source_metrics_passed(u->opts.metrics);
    SAY_BOUNDED(u, PQI_LOG_INFO, "result_passed", PQI_U64("hashes", solution->hashes),
                PQI_CORR(u->corr_id));
}

static void on_answered(void *user, const pqi_miner_ack *ack)
{
    upstream *u = user;
    const bool accepted = ack->verdict == PQI_VERDICT_ACCEPTED;
    pqi_source_metrics_outcome(u->opts.metrics, !accepted       ? PQI_OUTCOME_REFUSED
                                                : ack->presumed ? PQI_OUTCOME_PRESUMED
                                                                : PQI_OUTCOME_ACCEPTED);
    SAY_BOUNDED(u, accepted ? PQI_LOG_INFO : PQI_LOG_WARN, "result_answered",
                PQI_STR("verdict", pqi_miner_verdict_name(ack->verdict)),
                PQI_BOOL("presumed", ack->presumed), PQI_STR("job", ack->job_id),
                PQI_U64("height", ack->height == PQI_MINER_NO_NUMBER ? 0 : ack->height),
                PQI_STR("reason", ack->reason != NULL ? ack->reason : ""), PQI_CORR(u->corr_id));
    if (!accepted) {
        pqi_relay_refused(u->relay);
    }
}

static bool same_fingerprint(const pql_fingerprint *a, const pql_fingerprint *b)
{
    return memcmp(a->sha256, b->sha256, sizeof(a->sha256)) == 0;
}

static bool same_rotation(const pqi_miner_rotation *a, const pqi_miner_rotation *b)
{
    return a->any == b->any &&
           (!a->any || (same_fingerprint(&a->next, &b->next) &&
                        same_fingerprint(&a->next_spki, &b->next_spki) &&
                        a->switch_at == b->switch_at && a->drop_at == b->drop_at));
}

/* A node repeats it on each link. */
static void on_rotation(void *user, unsigned node, const pqi_miner_rotation *rotation)
{
    upstream *u = user;
    char next[PQL_FINGERPRINT_SIZE] = "";
    if (same_rotation(&u->rotations[node], rotation)) {
        return;
    }
    u->rotations[node] = *rotation;
    if (rotation->any) {
        pql_fingerprint_format(&rotation->next, next);
    }
    SAY_BOUNDED(u, PQI_LOG_WARN, rotation->any ? "rotation_announced" : "rotation_over",
                PQI_STR("node", u->nodes[node].text), PQI_STR("next", next),
                PQI_STR("reason", "The node is about to show another certificate, or no longer is. "
                                  "Ask its operator, then change the pin."));
}

static void on_disconnected(void *user, const pql_close *why, bool moved)
{
    upstream *u = user;
    pqi_log(moved || why->status == PQL_OK ? PQI_LOG_INFO : PQI_LOG_WARN, SERVICE, "disconnected",
            PQI_STR("status", pql_status_name(why->status)), PQI_BOOL("by_node", why->by_peer),
            PQI_U64("code", why->code),
            PQI_STR("reason", why->reason[0] != '\0' ? why->reason : "closed in order"),
            PQI_CORR(u->corr_id));
    if (moved) {
        return; /* the job of the next link follows at once */
    }
    set_node(u, NULL);
    pqi_source_metrics_down(u->opts.metrics);
    not_ready(u, "The link to the source is lost; it is made again.");
    pqi_relay_lost(u->relay);
}

static void on_retrying(void *user, const pqi_client_trouble *what)
{
    (void)user;
    pqi_log(PQI_LOG_WARN, SERVICE, "retry", PQI_STR("node", what->text),
            PQI_F64("in_seconds", (double)what->delay_ns / (double)PQI_NS_PER_SEC),
            PQI_STR("status", pql_status_name(what->status)), PQI_STR("reason", what->sentence));
}

static void on_given_up(void *user, const pqi_client_trouble *what)
{
    upstream *u = user;
    /* Another source may serve us meanwhile: the client tells one thing at a time. */
    if (u->node == NULL) {
        not_ready(u, "The source refused our token, or its certificate or policy does not fit; see "
                     "node_given_up in the log.");
    }
    pqi_log(PQI_LOG_ERROR, SERVICE, "node_given_up", PQI_STR("node", what->text),
            PQI_STR("status", pql_status_name(what->status)), PQI_STR("reason", what->sentence));
}

static void on_pins_changed(void *user, const pqi_client_pins *pins)
{
    (void)user;
    pqi_log(PQI_LOG_WARN, SERVICE, "pins_changed", PQI_STR("node", pins->text),
            PQI_STR("before", pins->before), PQI_STR("after", pins->after),
            PQI_STR("reason", "The pin file of the source has other pins than before. If nobody "
                              "rotated that node's certificate, look who can write the file."));
}

static void on_ended(void *user, pql_status status, const char *sentence)
{
    upstream *u = user;
    pthread_mutex_lock(&u->lock);
    (void)pqi_fail(&u->failure, status, "%s", sentence);
    pthread_mutex_unlock(&u->lock);
    not_ready(u, "No source is left that could be used.");
    u->opts.wake(u->opts.user);
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
                                                .ended = on_ended};

pql_status pqi_upstream_failure(pqi_source *source, pql_error *err)
{
    upstream *u = from_source(source);
    pthread_mutex_lock(&u->lock);
    const pql_error failure = u->failure;
    pthread_mutex_unlock(&u->lock);
    return failure.code == PQL_OK ? PQL_OK : pqi_fail(err, failure.code, "%s", failure.message);
}

pql_status pqi_upstream_set_policy(pqi_source *source, pql_policy policy, pql_error *err)
{
    return pqi_miner_client_set_policy(from_source(source)->client, policy, err);
}

const char *pqi_upstream_node(pqi_source *source)
{
    upstream *u = from_source(source);
    pthread_mutex_lock(&u->lock);
    const char *node = u->node;
    pthread_mutex_unlock(&u->lock);
    return node;
}

/* ---- What the relay asks ---- */

static pql_status pass(void *user, const pqi_solution *solution)
{
    const upstream *u = user;
    return pqi_miner_client_submit(u->client, solution);
}

static void wake(void *user)
{
    const upstream *u = user;
    u->opts.wake(u->opts.user);
}

static void unanswered(void *user)
{
    upstream *u = user;
    pqi_source_metrics_outcome(u->opts.metrics, PQI_OUTCOME_UNANSWERED);
    SAY_BOUNDED(u, PQI_LOG_WARN, "result_unanswered",
                PQI_STR("reason",
                        "The source gave no other job after a result; it may not have taken "
                        "it. The job goes on."));
}

/* ---- The source ---- */

static bool has_files(const upstream *u)
{
    for (unsigned i = 0; i < u->opts.node_count; i++) {
        const pqi_login_opts *n = &u->nodes[i];
        if (n->dir != NULL || n->token_file != NULL || n->pin_file != NULL) {
            return true;
        }
    }
    return false;
}

static pql_status upstream_start(pqi_source *source, const pqi_source_events *events,
                                 pqi_instant now, pql_error *err)
{
    upstream *u = from_source(source);
    const pqi_miner_client_opts opts = {.nodes = u->nodes,
                                        .node_count = u->opts.node_count,
                                        .links = {.policy = u->opts.links.policy,
                                                  .memory = u->opts.links.memory,
                                                  .keylog_file = u->opts.links.keylog_file,
                                                  .qlog_dir = u->opts.links.qlog_dir,
                                                  .observer = u->opts.links.observer},
                                        .pq_authentication = u->opts.pq_authentication,
                                        .name = u->opts.name,
                                        .timing = u->opts.timing,
                                        .patient = has_files(u),
                                        .events = client_events,
                                        .user = u};
    const pql_status status = pqi_source_start(u->relay, events, now, err);
    return status == PQL_OK ? pqi_miner_client_start(&u->client, &opts, err) : status;
}

static pqi_source_verdict upstream_submit(pqi_source *source, const char *job_id,
                                          const uint8_t nonce[PQI_JOB_NONCE_SIZE],
                                          const char *miner, pqi_instant now,
                                          pqi_source_block *block)
{
    return pqi_source_submit(from_source(source)->relay, job_id, nonce, miner, now, block);
}

static void upstream_tick(pqi_source *source, pqi_instant now)
{
    pqi_source_tick(from_source(source)->relay, now);
}

static uint64_t upstream_deadline(const pqi_source *source)
{
    return pqi_source_deadline(((const upstream *)source)->relay);
}

static void upstream_destroy(pqi_source *source)
{
    upstream *u = from_source(source);
    pqi_miner_client_free(u->client); /* its events use the relay */
    pqi_source_destroy(u->relay);     /* NULL when it could not be made */
    (void)pthread_mutex_destroy(&u->lock);
    free(u);
}

static const pqi_source_kind upstream_kind = {.start = upstream_start,
                                              .submit = upstream_submit,
                                              .tick = upstream_tick,
                                              .deadline = upstream_deadline,
                                              .destroy = upstream_destroy};

pql_status pqi_upstream_new(pqi_source **out, const pqi_upstream_opts *opts, pql_error *err)
{
    *out = NULL;
    upstream *u = calloc(1, sizeof(*u));
    if (u == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory making the source.");
    }
    u->base.kind = &upstream_kind;
    u->opts = *opts;
    (void)pthread_mutex_init(&u->lock, NULL);
    for (unsigned i = 0; i < opts->node_count && i < PQI_FAILOVER_NODES_MAX; i++) {
        u->nodes[i] = opts->nodes[i];
    }
    const pqi_relay_opts relay = {.grace_ns = opts->grace_ns,
                                  .patience_ns = opts->patience_ns,
                                  .pass = pass,
                                  .wake = wake,
                                  .unanswered = unanswered,
                                  .user = u};
    const pql_status status = pqi_relay_new(&u->relay, &relay, err);
    if (status != PQL_OK) {
        upstream_destroy(&u->base);
        return status;
    }
    *out = &u->base;
    return PQL_OK;
}
