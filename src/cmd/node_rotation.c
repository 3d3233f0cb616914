#include "cmd/node_rotation.h"

#include "base/error.h"
#include "base/log.h"
#include "cmd/fingerprint.h"
#include "cmd/rotation_process.h"
#include "cmd/rotation_view.h"
#include "cmd/status_json.h"
#include "identity/elsewhere.h"
#include "identity/identity.h"

#define SERVICE "node"
/* How long before the switch the log warns once more. */
#define WARN_SECONDS (UINT64_C(24) * 3600)
/* After a failure, for example on a full disk. */
#define AGAIN (60 * PQI_NS_PER_SEC)
/* How often a process that makes the next identity is looked after. */
#define CHILD_LOOK (100 * PQI_NS_PER_MS)

/* ---- What the log says ---- */

typedef struct texts {
    char cert[PQL_FINGERPRINT_SIZE];
    char spki[PQL_FINGERPRINT_SIZE];
    char classical[PQL_FINGERPRINT_SIZE];
} texts;

static void text_of(char out[PQL_FINGERPRINT_SIZE], const pql_identity *id, pql_leaf leaf,
                    pql_fingerprint_form form)
{
    pql_fingerprint fp;
    pql_identity_fingerprint(id, leaf, form, &fp);
    pql_fingerprint_format(&fp, out);
}

static texts texts_of(const pql_identity *id)
{
    texts t = {.cert = ""};
    text_of(t.cert, id, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT);
    text_of(t.spki, id, PQL_LEAF_PQ, PQL_FINGERPRINT_SPKI);
    text_of(t.classical, id, PQL_LEAF_CLASSICAL, PQL_FINGERPRINT_CERT);
    return t;
}

static void log_next(const char *event, const pqi_rotation *all)
{
    const texts t = texts_of(all->next);
    char switch_at[PQI_TIME_TEXT_SIZE];
    char drop_at[PQI_TIME_TEXT_SIZE];
    pqi_time_format(switch_at, all->plan.switch_at);
    pqi_time_format(drop_at, pqi_rotation_drop_at(all));
    pqi_log(PQI_LOG_WARN, SERVICE, event, PQI_STR("next", t.cert), PQI_STR("next_spki", t.spki),
            PQI_STR("next_classical", t.classical), PQI_STR("switch_at", switch_at),
            PQI_STR("previous_until", drop_at));
}

static void log_other(pqi_log_level level, const char *event, const pql_identity *id)
{
    const texts t = texts_of(id);
    pqi_log(level, SERVICE, event, PQI_STR("fingerprint", t.cert), PQI_STR("spki", t.spki),
            PQI_STR("classical", t.classical));
}

static void log_switched(const pql_identity *from, const pqi_rotation *to)
{
    const texts old = texts_of(from);
    const texts new = texts_of(to->current);
    char drop_at[PQI_TIME_TEXT_SIZE];
    pqi_time_format(drop_at, to->previous == NULL ? 0 : to->plan.drop_at);
    pqi_log(PQI_LOG_WARN, SERVICE, "identity_switched", PQI_STR("from", old.cert),
            PQI_STR("to", new.cert), PQI_STR("to_spki", new.spki),
            PQI_STR("from_classical", old.classical), PQI_STR("to_classical", new.classical),
            PQI_BOOL("previous_kept", to->previous != NULL), PQI_STR("previous_until", drop_at));
}

/* Says what is different in |new|. */
static void log_changes(const pqi_rotation *old, const pqi_rotation *new)
{
    const bool switched = !pqi_rotation_same(old->current, new->current);
    if (switched) {
        log_switched(old->current, new);
    }
    if (old->next != NULL && !switched && !pqi_rotation_same_or_none(old->next, new->next)) {
        log_other(PQI_LOG_WARN, "rotation_cancelled", old->next);
    }
    if (new->next != NULL && !pqi_rotation_same_or_none(old->next, new->next)) {
        log_next("rotation_prepared", new);
    }
    if (old->previous != NULL && new->previous == NULL) {
        log_other(PQI_LOG_WARN, "identity_previous_dropped", old->previous);
    }
}

/* The same identities with other notes. */
static void log_notes(const pqi_rotation *old, const pqi_rotation *new)
{
    char when[PQI_TIME_TEXT_SIZE];
    if (new->plan.by_age != 0 && pqi_rotation_same(old->current, new->current) &&
        pqi_rotation_same_or_none(old->next, new->next) && new->plan.by_age == old->plan.by_age &&
        (new->plan.switch_at != old->plan.switch_at || new->plan.drop_at != old->plan.drop_at)) {
        pqi_time_format(when, new->next != NULL ? new->plan.switch_at : new->plan.drop_at);
        pqi_log(PQI_LOG_WARN, SERVICE, "rotation_replanned",
                PQI_STR("change", new->next != NULL ? "switch" : "drop"), PQI_STR("at", when));
    }
    if (new->since != old->since && pqi_rotation_same(old->current, new->current)) {
        pqi_time_format(when, new->since);
        pqi_log(PQI_LOG_INFO, SERVICE, "identity_age_noted", PQI_STR("in_use_since", when));
    }
}

/* At start, when there is no "before". */
static void log_found(const pqi_rotation *all)
{
    if (all->next != NULL) {
        log_next("rotation_prepared", all);
    }
    if (all->previous != NULL) {
        char drop_at[PQI_TIME_TEXT_SIZE];
        const texts t = texts_of(all->previous);
        pqi_time_format(drop_at, all->plan.drop_at);
        pqi_log(PQI_LOG_INFO, SERVICE, "rotation_overlap", PQI_STR("previous", t.cert),
                PQI_STR("previous_classical", t.classical), PQI_STR("previous_until", drop_at));
    }
}

/* ---- Giving it to those who use it ---- */

/* The identity of the rotation's other side. */
static pql_identity *other_of(const pqi_rotation *all)
{
    return all->next != NULL ? all->next : all->previous;
}

/* What pqlink-miner/1 announces: the newer of two post-quantum certificates. */
static pqi_miner_rotation announcement(const pqi_rotation *all)
{
    pqi_miner_rotation r = {.any = false};
    const pql_identity *other = other_of(all);
    if (other == NULL || pqi_rotation_same_leaf(all->current, other, PQL_LEAF_PQ)) {
        return r;
    }
    const pql_identity *newer = all->next != NULL ? all->next : all->current;
    r.any = true;
    pql_identity_fingerprint(newer, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &r.next);
    pql_identity_fingerprint(newer, PQL_LEAF_PQ, PQL_FINGERPRINT_SPKI, &r.next_spki);
    r.drop_at = pqi_rotation_drop_at(all);
    if (all->next != NULL) {
        r.switch_at = all->plan.switch_at;
    } else {
        r.switch_at = r.drop_at > all->plan.keep ? r.drop_at - all->plan.keep : 0;
    }
    return r;
}

static void publish(const pqi_node_rotation *r)
{
    const pqi_rotation *all = &r->in_use;
    const pqi_miner_rotation said = announcement(all);
    pqi_node_service_rotation(r->service, &said);
    pqi_node_metrics_rotation(r->metrics, all->next != NULL ? all->plan.switch_at : 0,
                              pqi_rotation_drop_at(all));
}

/* Certificates whose keys the key process could not read would turn every handshake away. */
static pql_status check_keys(const pqi_rotation *all, pql_error *err)
{
    const pql_identity *other = other_of(all);
    if (pqi_keys_fit(all->current) && (other == NULL || pqi_keys_fit(other))) {
        return PQL_OK;
    }
    return pqi_fail(err, PQL_E_IDENTITY,
                    "The key process does not have the keys of the identity on disk, so the node "
                    "goes on with the one it has. The line 'keys_not_read' says why; it tries "
                    "again. After a new passphrase file, restart the node.");
}

/* Puts |all| in the place of what is in use, and frees that.  Takes |all| over when it succeeds. */
static pql_status take(pqi_node_rotation *r, pqi_rotation *all, pql_error *err)
{
    pql_status status = check_keys(all, err);
    if (status == PQL_OK && r->ctx != NULL) {
        status = pql_context_set_identity(r->ctx, all->current, other_of(all), err);
    }
    if (status != PQL_OK) {
        return status;
    }
    log_changes(&r->in_use, all);
    log_notes(&r->in_use, all);
    pthread_mutex_lock(&r->lock);
    pqi_rotation old = r->in_use;
    r->in_use = *all;
    pthread_mutex_unlock(&r->lock);
    r->warned = r->warned && pqi_rotation_same_or_none(old.next, all->next);
    r->refused = 0;
    if (r->service != NULL) {
        publish(r);
    }
    pqi_rotation_clear(&old);
    return PQL_OK;
}

/* ---- Reading again ---- */

/* True when |new| follows from |old| by what 'pqlink rotate' does. */
static bool is_successor(const pqi_rotation *old, const pqi_rotation *new)
{
    return pqi_rotation_same(old->current, new->current) ||
           (old->next != NULL && pqi_rotation_same(old->next, new->current)) ||
           (new->previous != NULL &&pqi_rotation_same(old->current, new->previous));
}

static pql_status read_again(pqi_node_rotation *r, pql_error *err)
{
    pqi_rotation all;
    pql_status status = pqi_rotation_load(&all, r->dir, &r->keys, err);
    if (status != PQL_OK) {
        return status;
    }
    if (!is_successor(&r->in_use, &all)) {
        r->refused = all.mark;
        status = pqi_fail(err, PQL_E_IDENTITY,
                          "The identity on disk is another one than the one in use, and did not "
                          "come from 'pqlink rotate'. Restart the node if that is meant; miners "
                          "then need the new fingerprint.");
    } else {
        status = take(r, &all, err);
    }
    if (status != PQL_OK) {
        pqi_rotation_clear(&all);
    }
    return status;
}

void pqi_node_rotation_reload(pqi_node_rotation *r)
{
    pql_error err = {0};
    if (r->dir == NULL) {
        return;
    }
    if (read_again(r, &err) == PQL_OK) {
        pqi_log(PQI_LOG_INFO, SERVICE, "reloaded", PQI_STR("dir", r->dir));
    } else {
        pqi_log(PQI_LOG_ERROR, SERVICE, "reload_refused", PQI_STR("reason", err.message));
    }
    r->again = 0;
}

/* ---- What is due ---- */

static void log_failure(const pql_error *err)
{
    pqi_log(PQI_LOG_ERROR, SERVICE, "rotation_failed", PQI_STR("reason", err->message));
}

/* What somebody typed. */
static pql_status do_typed(const pqi_node_rotation *r, uint64_t now_unix, bool *changed,
                           pql_error *err)
{
    const pqi_rotation *all = &r->in_use;
    pql_status status = PQL_OK;
    if (all->next != NULL && all->plan.switch_at != 0 && now_unix >= all->plan.switch_at) {
        *changed = true;
        status = pqi_rotation_switch(r->dir, &r->keys, now_unix, all, err);
    } else if (all->next == NULL && all->previous != NULL && all->plan.drop_at != 0 &&
               now_unix >= all->plan.drop_at) {
        *changed = true;
        status = pqi_rotation_finish(r->dir, all, err);
    }
    return status;
}

/* ---- The process that makes the next identity ---- */

static pql_status start_child(pqi_node_rotation *r, const pqi_rotation_opts *opts, pql_error *err)
{
    if (pqi_child_runs(&r->child)) {
        return PQL_OK;
    }
    const uint64_t now = r->clock.last; /* each tick looks at the clocks first */
    r->child_mark = r->in_use.mark;
    const pql_status status =
        pqi_rotation_process_start(&r->child, r->program, r->dir, &r->keys, opts, now, err);
    if (status == PQL_OK) {
        pqi_log(PQI_LOG_INFO, SERVICE, "rotation_process_started",
                PQI_U64("pid", (uint64_t)r->child.pid));
    }
    return status;
}

/* True when it has ended and nothing came of it.  That the directory changed is as good as success:
 * what is there then is read, and decides what comes next. */
static bool child_failed(pqi_node_rotation *r, uint64_t now, pql_error *err)
{
    const pqi_child_state state = pqi_child_look(&r->child, now, err);
    if (state == PQI_CHILD_NONE || state == PQI_CHILD_RUNS ||
        pqi_rotation_mark(r->dir) != r->child_mark) {
        return false;
    }
    (void)(state == PQI_CHILD_DONE
               ? pqi_fail(err, PQL_E_FAILED, "The process that makes the next identity made none.")
               : pqi_fail_context(err, PQL_E_FAILED,
                                  "The process that makes the next identity failed"));
    return true;
}

/* ---- What is due by age ---- */

/* The next identity differs in its post-quantum key alone: official miners, who can pin one
 * certificate only and hear of nothing, would be locked out by another classical one. */
static pql_status prepare_by_age(pqi_node_rotation *r, uint64_t now_unix, pql_error *err)
{
    const pqi_rotation *all = &r->in_use;
    const pqi_rotation_opts opts = {.pq = true,
                                    .self_signed =
                                        pqi_identity_is_self_signed(all->current, PQL_LEAF_PQ),
                                    .plan = pqi_age_plan(all, r->days, now_unix),
                                    .expected = all};
    return r->program == NULL ? pqi_rotation_prepare(r->dir, &r->keys, &opts, err)
                              : start_child(r, &opts, err);
}

static pql_status do_step(pqi_node_rotation *r, pqi_age_action action, uint64_t now_unix,
                          pql_error *err)
{
    const pqi_rotation *all = &r->in_use;
    if (action == PQI_AGE_SWITCH) {
        return pqi_rotation_switch(r->dir, &r->keys, now_unix, all, err);
    }
    if (action == PQI_AGE_DROP) {
        return pqi_rotation_finish(r->dir, all, err);
    }
    if (action == PQI_AGE_PREPARE) {
        return prepare_by_age(r, now_unix, err);
    }
    if (action == PQI_AGE_REPLAN) {
        const pqi_rotation_plan plan = pqi_age_plan(all, r->days, now_unix);
        return pqi_rotation_plan_set(r->dir, &plan, all, err);
    }
    return pqi_rotation_since_set(r->dir, now_unix, all, err);
}

/* Changes the directory when the time has come, then *changed is true.  That another process was
 * first, with this or with something else, is as good: what it did is read then. */
static pql_status do_due(pqi_node_rotation *r, uint64_t now_unix, bool *changed, pql_error *err)
{
    const pqi_rotation *all = &r->in_use;
    const pqi_age_step step = pqi_age_next(all, r->days, &r->clock);
    pql_status status = PQL_OK;
    *changed = false;
    if (step.action != PQI_AGE_NOTHING) {
        const bool due = now_unix >= step.when;
        status = due ? do_step(r, step.action, now_unix, err) : PQL_OK;
        *changed = due && !pqi_child_runs(&r->child); /* what that changes is found on disk */
    } else if (all->plan.by_age == 0) {
        status = do_typed(r, now_unix, changed, err);
    }
    return status == PQL_E_NOT_FOUND || status == PQL_E_STATE || status == PQL_E_EXISTS ? PQL_OK
                                                                                        : status;
}

/* What was found on disk, then one change that is due by it: never by a plan that is gone.  A
 * directory that was refused is left alone. */
static pql_status follow(pqi_node_rotation *r, uint64_t now_unix, pql_error *err)
{
    const uint64_t mark = pqi_rotation_mark(r->dir);
    bool changed = false;
    pql_status status = PQL_OK;
    if (r->refused != 0 && mark == r->refused) {
        return PQL_OK;
    }
    if (mark != r->in_use.mark) {
        status = read_again(r, err);
    }
    if (status == PQL_OK) {
        status = do_due(r, now_unix, &changed, err);
    }
    return status == PQL_OK && changed ? read_again(r, err) : status;
}

static void warn_ahead(pqi_node_rotation *r, uint64_t now_unix)
{
    const pqi_rotation *all = &r->in_use;
    if (!r->warned && all->next != NULL && all->plan.switch_at != 0 &&
        now_unix + WARN_SECONDS >= all->plan.switch_at) {
        r->warned = true;
        log_next("rotation_soon", all);
    }
}

static void expect(pqi_node_rotation *r)
{
    const pqi_age_step step = pqi_age_next(&r->in_use, r->days, &r->clock);
    pthread_mutex_lock(&r->lock);
    r->expected = step;
    pthread_mutex_unlock(&r->lock);
}

/* Says that what was due waits, and until when. */
static void look_at_clock(pqi_node_rotation *r, uint64_t now_unix, uint64_t now)
{
    const bool matters = r->days != 0 || r->in_use.plan.by_age != 0;
    if (pqi_age_clock_look(&r->clock, now_unix, now) && matters) {
        pqi_log(PQI_LOG_WARN, SERVICE, "clock_jumped",
                PQI_STR("reason", "The clock of this machine jumped.  What a rotation by age "
                                  "would do because of that waits for an hour."));
    }
}

/* The time of the plan's next change, Unix seconds; UINT64_MAX: none that this node will make. */
static uint64_t next_change(const pqi_node_rotation *r)
{
    const pqi_rotation *all = &r->in_use;
    if (r->refused == 0 && r->expected.action != PQI_AGE_NOTHING) {
        return r->expected.when;
    }
    const uint64_t when = r->refused != 0         ? 0
                          : all->next != NULL     ? all->plan.switch_at
                          : all->previous != NULL ? all->plan.drop_at
                                                  : 0;
    return when == 0 ? UINT64_MAX : when;
}

uint64_t pqi_node_rotation_tick(pqi_node_rotation *r, uint64_t now_unix, uint64_t now)
{
    pql_error err = {0};
    if (r->dir == NULL) {
        return UINT64_MAX;
    }
    look_at_clock(r, now_unix, now);
    const bool failed = child_failed(r, now, &err);
    if (!failed && now < r->again) {
        return r->again;
    }
    if (failed || follow(r, now_unix, &err) != PQL_OK) {
        log_failure(&err);
        r->again = now + AGAIN;
        return r->again;
    }
    warn_ahead(r, now_unix);
    expect(r);
    if (pqi_child_runs(&r->child)) {
        return now + CHILD_LOOK;
    }
    const uint64_t when = next_change(r);
    const uint64_t seconds = when == UINT64_MAX ? UINT64_MAX
                             : when > now_unix  ? when - now_unix
                                                : 0;
    return now + (seconds < PQI_NODE_ROTATION_LOOK / PQI_NS_PER_SEC ? seconds * PQI_NS_PER_SEC
                                                                    : PQI_NODE_ROTATION_LOOK);
}

/* ---- Start and end ---- */

pql_status pqi_node_rotation_open(pqi_node_rotation *r, const char *dir,
                                  const pqi_identity_keys *keys, uint64_t now_unix, uint64_t now,
                                  pql_error *err)
{
    *r = (pqi_node_rotation){.dir = dir, .keys = *keys, .opened = true};
    (void)pqi_age_clock_look(&r->clock, now_unix, now);
    (void)pthread_mutex_init(&r->lock, NULL);
    pql_status status = pqi_rotation_load(&r->in_use, dir, &r->keys, err);
    bool changed = true;
    while (status == PQL_OK && changed) { /* a switch and its end may both be over */
        pql_error failure = {0};
        if (do_due(r, now_unix, &changed, &failure) != PQL_OK) {
            log_failure(&failure);
            r->again = now + AGAIN;
            break; /* the identity in use is as good as before */
        }
        if (changed) {
            status = read_again(r, err);
        }
    }
    if (status == PQL_OK) {
        log_found(&r->in_use);
    }
    return status;
}

void pqi_node_rotation_by_age(pqi_node_rotation *r, uint64_t days)
{
    if (days != r->days) {
        pqi_log(PQI_LOG_INFO, SERVICE, "rotation_by_age", PQI_U64("days", days),
                PQI_U64("notice_days", pqi_age_notice(days) / PQI_SECONDS_PER_DAY),
                PQI_U64("keep_days", pqi_age_keep(days) / PQI_SECONDS_PER_DAY));
    }
    r->days = days;
}

void pqi_node_rotation_use_process(pqi_node_rotation *r, const char *program)
{
    r->program = program;
}

void pqi_node_rotation_open_memory(pqi_node_rotation *r, pql_identity *identity)
{
    *r = (pqi_node_rotation){.opened = true, .in_use = {.current = identity}};
    (void)pthread_mutex_init(&r->lock, NULL);
}

void pqi_node_rotation_close(pqi_node_rotation *r)
{
    if (r->opened) {
        pqi_child_stop(&r->child);
        pqi_rotation_clear(&r->in_use);
        (void)pthread_mutex_destroy(&r->lock);
        r->opened = false;
    }
}

pql_status pqi_node_rotation_start(pqi_node_rotation *r, pql_context *ctx,
                                   pqi_node_service *service, pqi_node_metrics *metrics,
                                   pql_error *err)
{
    r->ctx = ctx;
    r->service = service;
    r->metrics = metrics;
    const pql_status status =
        pql_context_set_identity(ctx, r->in_use.current, other_of(&r->in_use), err);
    if (status == PQL_OK) {
        publish(r);
    }
    return status;
}

/* ---- Status ---- */

/* Those of the rotation under way, else those of the next.  Under the lock. */
static uint64_t by_age_days(const pqi_node_rotation *r)
{
    return r->in_use.plan.by_age != 0 ? r->in_use.plan.by_age : r->days;
}

pql_status pqi_node_rotation_status(pqi_node_rotation *r, pqi_buf *out, pql_error *err)
{
    const pql_status status = pqi_node_service_status(r->service, out, err);
    return status == PQL_OK ? pqi_node_rotation_add(r, out, err) : status;
}

pql_status pqi_node_rotation_add(pqi_node_rotation *r, pqi_buf *out, pql_error *err)
{
    pthread_mutex_lock(&r->lock);
    json_t *rotation = pqi_rotation_json(&r->in_use);
    if (rotation != NULL) {
        (void)json_object_set_new(rotation, "automatic",
                                  pqi_rotation_automatic_json(&r->expected, by_age_days(r)));
    }
    pthread_mutex_unlock(&r->lock);
    return pqi_status_json_add(out, "rotation", rotation, err);
}

json_t *pqi_node_rotation_keys(pqi_node_rotation *r)
{
    pthread_mutex_lock(&r->lock);
    json_t *keys = pqi_fingerprint_json(r->in_use.current);
    pthread_mutex_unlock(&r->lock);
    return keys;
}
