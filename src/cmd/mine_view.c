#include "cmd/mine_view.h"

#include "base/clock.h"
#include "cmd/mine_status.h"
#include "cmd/rotation_view.h"
#include "cmd/runtime.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SERVICE "mine"
#define WIDTH_DEFAULT 80
/* ECMA-48: to the start of the line, and erase to its end. */
#define CLEAR_LINE "\r\033[K"
/* Difficulties with more digits are shown as 1.23e45. */
#define DIGITS_SHOWN 12
#define MS_PER_SEC 1000

static const char insecure_sentence[] =
    "--insecure: nobody checks who the node is. Anybody on the way can read the jobs and take your "
    "work. Use --pin.";
static const char classical_sentence[] =
    "The key exchange of this link is classical: what is recorded today can be read by a quantum "
    "computer one day. --policy pq-only refuses such links.";

/* ---- The screen ---- */

static size_t screen_width(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                           : WIDTH_DEFAULT;
}

/* With the lock held. */
static void draw(const pqi_mine_view *view)
{
    char text[PQI_MINE_LINE_SIZE + sizeof(CLEAR_LINE)];
    if (view->line[0] == '\0') {
        return;
    }
    /* The last column stays free: some terminals wrap at once. */
    const int len =
        snprintf(text, sizeof(text), CLEAR_LINE "%.*s", (int)screen_width() - 1, view->line);
    pqi_runtime_show(text, (size_t)len);
}

/* The status line makes room for an event, and comes back below it. */
static void screen_begin(pqi_mine_view *view)
{
    pthread_mutex_lock(&view->lock);
    if (view->line[0] != '\0') {
        pqi_runtime_show(CLEAR_LINE, sizeof(CLEAR_LINE) - 1);
    }
}

static void screen_end(pqi_mine_view *view)
{
    draw(view);
    pthread_mutex_unlock(&view->lock);
}

#define SAY(view, level, event, ...)                                                               \
    do {                                                                                           \
        screen_begin(view);                                                                        \
        pqi_log(level, SERVICE, event, __VA_ARGS__);                                               \
        screen_end(view);                                                                          \
    } while (0)

/* With the lock held: a line for a message of the node may come now. */
static bool may_say(pqi_mine_view *view)
{
    uint64_t left_out = 0;
    if (!pqi_log_quota_take(&view->quota, PQI_MINE_LINES_PER_SEC,
                            pqi_clock_monotonic() / PQI_NS_PER_SEC, &left_out)) {
        return false;
    }
    if (left_out > 0) {
        pqi_log(PQI_LOG_WARN, SERVICE, "left_out", PQI_U64("lines", left_out),
                PQI_STR("reason", "the node sends more than is worth a line each"));
    }
    return true;
}

/* For what the node can cause as often as it likes, all of it on one link. */
#define SAY_BOUNDED(view, level, event, ...)                                                       \
    do {                                                                                           \
        screen_begin(view);                                                                        \
        if (may_say(view)) {                                                                       \
            pqi_log(level, SERVICE, event, __VA_ARGS__, PQI_CORR((view)->corr_id));                \
        }                                                                                          \
        screen_end(view);                                                                          \
    } while (0)

static void difficulty_format(char out[PQI_U512_TEXT_SIZE], const pqi_u512 *difficulty)
{
    const size_t len = pqi_u512_to_decimal(out, difficulty);
    if (len > DIGITS_SHOWN) {
        const char head[] = {out[0], '.', out[1], out[2], '\0'};
        (void)snprintf(out, PQI_U512_TEXT_SIZE, "%se%zu", head, len - 1);
    }
}

const char *pqi_mine_node_shown(const pqi_mine_status *status, const pqi_mine_options *options)
{
    return status->node[0] != '\0' ? status->node : options->login.nodes[0].url.text;
}

/* With a node to choose from, the line says which one it is. */
static void status_line(char out[PQI_MINE_LINE_SIZE], const pqi_mine_status *status,
                        const pqi_mine_options *options, uint64_t now)
{
    char rate[PQI_RATE_SIZE];
    char difficulty[PQI_U512_TEXT_SIZE] = "-";
    char height[24] = "-";
    const uint64_t seconds = (now - status->started_ns) / PQI_NS_PER_SEC;
    pqi_rate_format(rate, status->hash_rate);
    if (status->job.id[0] != '\0') {
        difficulty_format(difficulty, &status->job.difficulty);
    }
    if (status->height != PQI_MINER_NO_NUMBER) {
        (void)snprintf(height, sizeof(height), "%llu", (unsigned long long)status->height);
    }
    const bool several = options->login.count > 1;
    (void)snprintf(
        out, PQI_MINE_LINE_SIZE,
        "%s%s%.60s  %s  accepted %llu  rejected %llu  stale %llu  height %s  difficulty %.20s"
        "  up %llu:%02u:%02u",
        pqi_mine_state_name(status), several ? " for " : "",
        several ? pqi_mine_node_shown(status, options) : "", rate,
        (unsigned long long)status->verdicts[PQI_VERDICT_ACCEPTED],
        (unsigned long long)pqi_mine_rejected(status),
        (unsigned long long)status->verdicts[PQI_VERDICT_STALE], height, difficulty,
        (unsigned long long)(seconds / 3600), (unsigned)(seconds / 60 % 60),
        (unsigned)(seconds % 60));
}

static void status_event(pqi_mine_view *view, const pqi_mine_status *status, uint64_t now)
{
    const uint64_t interval = view->options->status_interval_ns;
    if (interval == 0 || now < view->status_due) {
        return;
    }
    view->status_due = now + interval;
    SAY(view, PQI_LOG_INFO, "status", PQI_STR("state", pqi_mine_state_name(status)),
        PQI_F64("hash_rate", status->hash_rate), PQI_U64("hashes", status->hashes),
        PQI_U64("accepted", status->verdicts[PQI_VERDICT_ACCEPTED]),
        PQI_U64("rejected", pqi_mine_rejected(status)),
        PQI_U64("stale", status->verdicts[PQI_VERDICT_STALE]));
}

void pqi_mine_view_tick(pqi_mine_view *view, const pqi_mine_status *status, uint64_t now)
{
    if (!view->live) {
        status_event(view, status, now);
        return;
    }
    pthread_mutex_lock(&view->lock);
    status_line(view->line, status, view->options, now);
    draw(view);
    pthread_mutex_unlock(&view->lock);
}

/* ---- Events ---- */

static void on_connected(void *user, const pqi_client_connected *link)
{
    pqi_mine_view *view = user;
    const pql_posture *p = &link->posture;
    char certificate[PQL_FINGERPRINT_SIZE];
    pql_fingerprint_format(&link->certificate, certificate);
    view->corr_id = link->link_id;
    SAY(view, PQI_LOG_INFO, "connected", PQI_STR("node", link->text),
        PQI_STR("address", link->address), PQI_STR("alpn", pqi_miner_alpn(link->dialect)),
        PQI_STR("certificate", certificate), PQI_U64("attempt", link->attempt),
        PQI_CORR(view->corr_id));
    if (!p->pq_key_exchange) {
        SAY(view, PQI_LOG_WARN, "classical", PQI_STR("reason", pql_downgrade_name(p->downgrade)),
            PQI_STR("message", classical_sentence), PQI_CORR(view->corr_id));
    }
    if (view->options->login.insecure) {
        screen_begin(view);
        pqi_runtime_shout(SERVICE, "insecure", insecure_sentence);
        screen_end(view);
    }
}

static void on_job(void *user, const pqi_miner_job *job)
{
    pqi_mine_view *view = user;
    char difficulty[PQI_U512_TEXT_SIZE];
    (void)pqi_u512_to_decimal(difficulty, &job->difficulty);
    SAY_BOUNDED(view, PQI_LOG_INFO, "job", PQI_STR("job", job->id),
                PQI_STR("difficulty", difficulty));
}

static void on_cancelled(void *user, const char *reason)
{
    pqi_mine_view *view = user;
    SAY_BOUNDED(view, PQI_LOG_INFO, "cancelled", PQI_STR("reason", reason));
}

static void on_found(void *user, const pqi_solution *solution)
{
    pqi_mine_view *view = user;
    SAY_BOUNDED(view, PQI_LOG_INFO, "found", PQI_U64("hashes", solution->hashes),
                PQI_F64("seconds", (double)solution->elapsed_ns / (double)PQI_NS_PER_SEC));
}

static void on_answered(void *user, const pqi_miner_ack *ack)
{
    pqi_mine_view *view = user;
    const bool usual = ack->verdict == PQI_VERDICT_ACCEPTED || ack->verdict == PQI_VERDICT_STALE;
    const pqi_log_level level = usual ? PQI_LOG_INFO : PQI_LOG_WARN;
    const char *verdict = pqi_miner_verdict_name(ack->verdict);
    const char *reason = ack->reason != NULL ? ack->reason : "";
    if (ack->presumed) {
        SAY_BOUNDED(view, level, "result", PQI_STR("verdict", verdict), PQI_BOOL("presumed", true),
                    PQI_STR("job", ack->job_id), PQI_STR("reason", reason));
    } else if (ack->height != PQI_MINER_NO_NUMBER) {
        SAY_BOUNDED(view, level, "result", PQI_STR("verdict", verdict),
                    PQI_U64("height", ack->height), PQI_STR("job", ack->job_id),
                    PQI_STR("reason", reason));
    } else {
        SAY_BOUNDED(view, level, "result", PQI_STR("verdict", verdict), PQI_STR("job", ack->job_id),
                    PQI_STR("reason", reason));
    }
}

static bool is_among(const pql_fingerprint *pins, size_t count, const pql_fingerprint *fp)
{
    for (size_t i = 0; i < count; i++) {
        if (pins[i].form == fp->form &&
            memcmp(pins[i].sha256, fp->sha256, sizeof(fp->sha256)) == 0) {
            return true;
        }
    }
    return false;
}

/* The certificate that comes is among the pins of |node|. */
static bool is_ready(const pqi_login_list *login, unsigned node, const pqi_miner_rotation *rotation)
{
    const pqi_login_node *n = &login->nodes[node];
    const pql_fingerprint *pins = n->pin_count > 0 ? n->pins : login->pins;
    const size_t count = n->pin_count > 0 ? n->pin_count : login->pin_count;
    return is_among(pins, count, &rotation->next) || is_among(pins, count, &rotation->next_spki);
}

#define ASK_FIRST "Ask its operator whether this is right, and then "

/* What to do about the node's next certificate, with the words to type. */
static void rotation_advice(char *out, size_t size, const pqi_login_list *login, unsigned node,
                            const pqi_miner_rotation *rotation)
{
    char next[PQL_FINGERPRINT_SIZE];
    pql_fingerprint_format(&rotation->next, next);
    if (is_ready(login, node, rotation)) {
        (void)snprintf(out, size, "It is pinned already; nothing is to be done.");
    } else if (login->nodes[node].pin_count > 0) {
        (void)snprintf(out, size, ASK_FIRST "add it to the pins in the node's URL: ,%s", next);
    } else if (login->pin_count > 0) {
        (void)snprintf(out, size, ASK_FIRST "start this miner with one more option: --pin %s",
                       next);
    } else if (login->pin_file != NULL) {
        (void)snprintf(out, size, ASK_FIRST "see to it that the pin file has the line %s", next);
    } else if (login->tofu) {
        (void)snprintf(out, size,
                       ASK_FIRST "when the old certificate is refused, run 'pqlink forget', or use "
                                 "--pin %s instead of --tofu.",
                       next);
    } else {
        (void)snprintf(out, size, "This miner pins nothing; nothing is to be done.");
    }
}

static bool pins_something(const pqi_login_list *login, unsigned node)
{
    return login->nodes[node].pin_count > 0 || login->pin_count > 0 || login->pin_file != NULL ||
           login->tofu;
}

/* |before| is what the node announced last.  Over is a rotation that was dropped before the switch,
 * and one whose old certificate is gone: a miner that knows only that one cannot come back. */
static void on_rotation_over(pqi_mine_view *view, unsigned node, const pqi_miner_rotation *before)
{
    const pqi_login_list *login = &view->options->login;
    char advice[PQL_ERROR_MESSAGE_SIZE];
    char sentence[2 * PQL_ERROR_MESSAGE_SIZE];
    const bool switched = before->any && before->switch_at != 0 &&
                          pqi_clock_unix_ms() / MS_PER_SEC >= before->switch_at;
    if (switched && !is_ready(login, node, before) && pins_something(login, node)) {
        rotation_advice(advice, sizeof(advice), login, node, before);
        (void)snprintf(sentence, sizeof(sentence),
                       "The old certificate is gone: a pin of it is no longer accepted for new "
                       "links. %s",
                       advice);
    } else {
        (void)snprintf(sentence, sizeof(sentence),
                       "The node has no other certificate than the one in use.");
    }
    SAY_BOUNDED(view, PQI_LOG_WARN, "rotation_over", PQI_STR("node", login->nodes[node].url.text),
                PQI_STR("message", sentence));
}

static void on_rotation(void *user, unsigned node, const pqi_miner_rotation *rotation)
{
    pqi_mine_view *view = user;
    const pqi_login_list *login = &view->options->login;
    char next[PQL_FINGERPRINT_SIZE];
    char spki[PQL_FINGERPRINT_SIZE];
    char switch_at[PQI_TIME_TEXT_SIZE];
    char drop_at[PQI_TIME_TEXT_SIZE];
    char advice[PQL_ERROR_MESSAGE_SIZE];
    const pqi_miner_rotation before = view->announced[node];
    view->announced[node] = *rotation;
    if (!rotation->any) {
        on_rotation_over(view, node, &before);
        return;
    }
    const bool ready = is_ready(login, node, rotation);
    pql_fingerprint_format(&rotation->next, next);
    pql_fingerprint_format(&rotation->next_spki, spki);
    pqi_time_format(switch_at, rotation->switch_at);
    pqi_time_format(drop_at, rotation->drop_at);
    rotation_advice(advice, sizeof(advice), login, node, rotation);
    SAY_BOUNDED(view, ready ? PQI_LOG_INFO : PQI_LOG_WARN, "rotation_announced",
                PQI_STR("node", login->nodes[node].url.text), PQI_STR("next", next),
                PQI_STR("next_spki", spki), PQI_STR("switch_at", switch_at),
                PQI_STR("previous_until", drop_at), PQI_BOOL("pinned", ready),
                PQI_STR("message", advice));
}

static const char *reason_of(const pql_close *why)
{
    if (why->reason[0] != '\0') {
        return why->reason;
    }
    return why->status == PQL_OK ? "closed in order" : pql_status_text(why->status);
}

static void on_disconnected(void *user, const pql_close *why)
{
    pqi_mine_view *view = user;
    SAY(view, why->status == PQL_OK ? PQI_LOG_INFO : PQI_LOG_WARN, "disconnected",
        PQI_STR("status", pql_status_name(why->status)), PQI_BOOL("by_node", why->by_peer),
        PQI_U64("code", why->code), PQI_STR("reason", reason_of(why)), PQI_CORR(view->corr_id));
}

static void on_retrying(void *user, const pqi_client_trouble *what)
{
    SAY((pqi_mine_view *)user, PQI_LOG_WARN, "retry", PQI_STR("node", what->text),
        PQI_F64("in_seconds", (double)what->delay_ns / (double)PQI_NS_PER_SEC),
        PQI_STR("status", pql_status_name(what->status)), PQI_STR("reason", reason_of(what->why)));
}

static void on_given_up(void *user, const pqi_client_trouble *what)
{
    SAY((pqi_mine_view *)user, PQI_LOG_ERROR, "node_given_up", PQI_STR("node", what->text),
        PQI_STR("status", pql_status_name(what->status)), PQI_STR("reason", what->sentence));
}

static void on_pins_changed(void *user, const pqi_client_pins *pins)
{
    SAY((pqi_mine_view *)user, PQI_LOG_WARN, "pins_changed", PQI_STR("node", pins->text),
        PQI_STR("before", pins->before), PQI_STR("after", pins->after));
}

const pqi_mine_events pqi_mine_view_events = {.connected = on_connected,
                                              .job = on_job,
                                              .cancelled = on_cancelled,
                                              .found = on_found,
                                              .answered = on_answered,
                                              .rotation = on_rotation,
                                              .disconnected = on_disconnected,
                                              .retrying = on_retrying,
                                              .given_up = on_given_up,
                                              .pins_changed = on_pins_changed};

/* ---- Start and end ---- */

void pqi_mine_view_start(pqi_mine_view *view, const pqi_mine_options *options)
{
    *view = (pqi_mine_view){.options = options, .live = pqi_runtime_log(&options->log)};
    (void)pthread_mutex_init(&view->lock, NULL);
    view->status_due = pqi_clock_monotonic() + options->status_interval_ns;
    SAY(view, PQI_LOG_INFO, "starting", PQI_STR("node", options->login.nodes[0].url.text),
        PQI_U64("nodes", options->login.count),
        PQI_STR("policy", pql_policy_name(options->security.policy)),
        PQI_STR("version", PQLINK_VERSION));
    pqi_runtime_shout_debug(SERVICE, options->keylog_file, options->qlog_dir);
    if (options->login.insecure) {
        pqi_runtime_shout(SERVICE, "insecure", insecure_sentence);
    }
}

void pqi_mine_view_end(pqi_mine_view *view, const pqi_mine_status *status, uint64_t now)
{
    const double seconds = (double)(now - status->started_ns) / (double)PQI_NS_PER_SEC;
    const double rate = seconds > 0 ? (double)status->hashes / seconds : 0;
    screen_begin(view);
    view->line[0] = '\0';
    screen_end(view);
    SAY(view, PQI_LOG_INFO, "summary", PQI_U64("accepted", status->verdicts[PQI_VERDICT_ACCEPTED]),
        PQI_U64("rejected", pqi_mine_rejected(status)),
        PQI_U64("stale", status->verdicts[PQI_VERDICT_STALE]), PQI_U64("hashes", status->hashes),
        PQI_F64("hash_rate", rate), PQI_F64("seconds", seconds), PQI_U64("links", status->links));
    (void)pthread_mutex_destroy(&view->lock);
}
