/* pqlink drill classical-break: what if classical key exchange were broken today?  A running node
 * is made pq-only for a time, and everything that should then hold is looked at. */
#include "base/clock.h"
#include "cmd/commands.h"
#include "cmd/control_client.h"
#include "cmd/http_get.h"
#include "cmd/remote.h"

#include "admin/control.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* For each question to the node, and each connection to it. */
#define PATIENCE (10 * PQI_NS_PER_SEC)
/* The node rolls back by itself this long after the drill should have done it. */
#define SLACK_SECONDS 60
#define CHECKS_MAX 24
#define METRICS_MAX ((size_t)16 << 20)
#define HTTP_OK 200
/* How often, and how far apart, links are counted to find those that stay. */
#define LOOKS 5
#define LOOK_STEP_NS (100 * (long)PQI_NS_PER_MS)
#define LOOK_EVERY PQI_NS_PER_SEC
/* Where rejected peers are counted: a client without a common group, and one below the policy. */
#define REJECTS "pqlink_rejects_total{reason=\"policy\"}"
#define HYBRID_LINKS "pqlink_links{transport=\"quic\",posture=\"hybrid\"}"
#define PQ_LINKS "pqlink_links{transport=\"quic\",posture=\"pq\"}"
#define CLASSICAL_LINKS "pqlink_links{transport=\"quic\",posture=\"classical\"}"

typedef struct drill_options {
    pqi_dir dir;
    uint64_t time_ns;
    bool json;
} drill_options;

static const pqi_option drill_table[] = {
    {.name = "dir",
     .kind = PQI_OPTION_DIR,
     .at = PQI_AT(drill_options, dir, pqi_dir),
     .arg = "DIR",
     .help = "Directory of the running node.",
     .env = "PQLINK_DIR"},
    {.name = "for",
     .kind = PQI_OPTION_DURATION,
     .at = PQI_AT(drill_options, time_ns, uint64_t),
     .arg = "TIME",
     .min = PQI_NS_PER_SEC,
     .max = (PQI_CONTROL_SECONDS_MAX - SLACK_SECONDS) * PQI_NS_PER_SEC,
     .fallback = "30s",
     .help = "How long the node stays pq-only."},
    {.name = "json",
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(drill_options, json, bool),
     .help = "Print the report as one JSON object."},
};

typedef struct check {
    const char *name;
    bool ok;
    char detail[PQL_ERROR_MESSAGE_SIZE];
} check;

typedef struct drill {
    const drill_options *options;
    int control;
    pqi_url url; /* where the node can be reached from here */
    char alpn[64];
    pqi_endpoint admin; /* off: the node has none */
    char fingerprint[PQL_FINGERPRINT_SIZE];
    char settings[32]; /* its policy before the drill */
    bool classical_before;
    bool begun;    /* the policy of the node was changed */
    json_t *facts; /* of the node; owned */
    check checks[CHECKS_MAX];
    unsigned count, failed;
} drill;

/* ---- The report ---- */

static void say(drill *d, const char *name, bool ok, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void say(drill *d, const char *name, bool ok, const char *fmt, ...)
{
    check *c = &d->checks[d->count++];
    va_list args;
    c->name = name;
    c->ok = ok;
    va_start(args, fmt);
    (void)vsnprintf(c->detail, sizeof(c->detail), fmt, args);
    va_end(args);
    d->failed += ok ? 0 : 1;
    if (!d->options->json) {
        (void)printf("%-6s %-28s %s\n", ok ? "ok" : "FAILED", name, c->detail);
        (void)fflush(stdout);
    }
}

static void print_json(const drill *d)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < d->count; i++) {
        const check *c = &d->checks[i];
        (void)json_array_append_new(list, json_pack("{s:s, s:b, s:s}", "check", c->name, "ok",
                                                    (int)c->ok, "detail", c->detail));
    }
    json_t *root = json_pack("{s:s, s:b, s:s, s:I, s:o}", "drill", "classical-break", "passed",
                             (int)(d->failed == 0), "fingerprint", d->fingerprint, "seconds",
                             (json_int_t)(d->options->time_ns / PQI_NS_PER_SEC), "checks", list);
    char *text = root == NULL ? NULL : json_dumps(root, JSON_INDENT(2));
    (void)printf("%s\n", text != NULL ? text : "{}");
    free(text);
    json_decref(root);
}

/* ---- What the node is ---- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

/* A node that listens on all addresses is reached over loopback. */
static void reachable(char out[PQI_URL_SIZE], const char *listen, json_int_t port)
{
    pqi_url url;
    out[0] = '\0';
    if (pqi_url_parse(&url, listen, NULL) != PQL_OK) {
        return;
    }
    const char *host = strcmp(url.host, "0.0.0.0") == 0 ? "127.0.0.1"
                       : strcmp(url.host, "::") == 0    ? "::1"
                                                        : url.host;
    const bool v6 = url.host_kind == PQI_HOST_IPV6;
    (void)snprintf(out, PQI_URL_SIZE, "quic://%s%s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "",
                   (unsigned)port);
}

static pql_status read_facts(drill *d, pql_error *err)
{
    char url[PQI_URL_SIZE];
    const json_t *listen = json_array_get(json_object_get(d->facts, "listen"), 0);
    const char *admin = text_of(d->facts, "admin");
    (void)snprintf(d->alpn, sizeof(d->alpn), "%s", text_of(d->facts, "alpn"));
    (void)snprintf(d->fingerprint, sizeof(d->fingerprint), "%s", text_of(d->facts, "fingerprint"));
    (void)snprintf(d->settings, sizeof(d->settings), "%s", text_of(d->facts, "settings"));
    reachable(url, text_of(listen, "url"), json_integer_value(json_object_get(listen, "port")));
    if (json_is_true(json_object_get(d->facts, "override"))) {
        return pqi_fail(err, PQL_E_STATE,
                        "The node's policy is overridden already: another drill is running.");
    }
    if (pqi_url_parse(&d->url, url, NULL) != PQL_OK ||
        pqi_endpoint_parse(&d->admin, admin[0] == '\0' ? "off" : admin, NULL) != PQL_OK) {
        return pqi_fail(err, PQL_E_PROTOCOL, "The node did not say where it listens.");
    }
    return PQL_OK;
}

static pql_status ask(drill *d, json_t *request, pql_error *err)
{
    json_t *answer = NULL;
    const pql_status status = pqi_control_ask(d->control, request, &answer, err);
    if (status == PQL_OK) {
        json_decref(d->facts);
        d->facts = answer;
    }
    return status;
}

/* ---- Peers ---- */

static pql_status knock(const drill *d, pql_policy policy, pqi_remote *seen, pql_error *err)
{
    return pqi_remote_look_as(seen, &d->url, d->alpn, policy, PATIENCE, err);
}

static void check_hybrid(drill *d, const char *name)
{
    pqi_remote seen;
    pql_error err = {0};
    char came[PQL_FINGERPRINT_SIZE];
    if (knock(d, PQL_POLICY_HYBRID, &seen, &err) != PQL_OK) {
        say(d, name, false, "%s", err.message);
        return;
    }
    pql_fingerprint_format(&seen.certificate, came);
    if (strcmp(came, d->fingerprint) != 0) {
        say(d, name, false, "Another certificate answered: %s", came);
        return;
    }
    say(d, name, seen.posture.pq_key_exchange, "%s, %s, %.1f ms",
        pql_group_name(seen.posture.group), pql_signature_name(seen.posture.peer_signature),
        (double)seen.posture.handshake_ns / (double)PQI_NS_PER_MS);
}

static void check_classical_refused(drill *d, const char *name)
{
    pqi_remote seen;
    pql_error err = {0};
    const uint64_t began = pqi_clock_monotonic();
    const pql_status status = knock(d, PQL_POLICY_OFF, &seen, &err);
    const double ms = (double)(pqi_clock_monotonic() - began) / (double)PQI_NS_PER_MS;
    if (status == PQL_OK) {
        say(d, name, false, "A peer with %s was let in.", pql_group_name(seen.posture.group));
    } else {
        /* A time-out or silence is a refusal that nobody understands. */
        say(d, name, status == PQL_E_POLICY, "after %.1f ms: %s", ms, err.message);
    }
}

/* ---- The admin port ---- */

static bool fetch(const drill *d, const char *path, unsigned *code, pqi_buf *body)
{
    *code = 0;
    *body = (pqi_buf){.max = METRICS_MAX};
    return pqi_http_get(&d->admin, path, PATIENCE, code, body, NULL) == PQL_OK &&
           pqi_buf_append(body, "", 1);
}

/* The value of |series| in an exposition; negative: it is not there. */
static double value_in(const pqi_buf *body, const char *series)
{
    const size_t len = strlen(series);
    for (const char *line = (const char *)body->data; line != NULL;) {
        if (strncmp(line, series, len) == 0 && line[len] == ' ') {
            return strtod(line + len, NULL);
        }
        line = strchr(line, '\n');
        line = line == NULL ? NULL : line + 1;
    }
    return -1;
}

typedef struct figures {
    bool known;
    double pq, classical, rejects;
} figures;

/* Not known where the admin port is off. */
static figures look_at_metrics(const drill *d)
{
    pqi_buf body = {0};
    unsigned code = 0;
    figures f = {.known = !d->admin.off && fetch(d, "/metrics", &code, &body) && code == HTTP_OK};
    if (f.known) {
        f.pq = value_in(&body, HYBRID_LINKS) + value_in(&body, PQ_LINKS);
        f.classical = value_in(&body, CLASSICAL_LINKS);
        f.rejects = value_in(&body, REJECTS);
        /* Whoever answers without these series is no node of ours. */
        f.known = f.pq >= 0 && f.classical >= 0 && f.rejects >= 0;
    }
    pqi_buf_free(&body);
    return f;
}

/* A link that the drill itself has just closed is counted until the node has heard of that. */
static figures figures_at_rest(const drill *d)
{
    figures least = look_at_metrics(d);
    for (unsigned i = 0; least.known && i < LOOKS; i++) {
        const struct timespec step = {.tv_nsec = LOOK_STEP_NS};
        (void)nanosleep(&step, NULL);
        const figures f = look_at_metrics(d);
        least.known = f.known;
        least.pq = f.pq < least.pq ? f.pq : least.pq;
        least.classical = f.classical < least.classical ? f.classical : least.classical;
        least.rejects = f.rejects;
    }
    return least;
}

static bool answers_ok(const drill *d, const char *path, char why[PQL_ERROR_MESSAGE_SIZE])
{
    pqi_buf body;
    unsigned code;
    const bool answered = fetch(d, path, &code, &body);
    (void)snprintf(why, PQL_ERROR_MESSAGE_SIZE, "%s answers %u%s%.300s", path, code,
                   code == HTTP_OK ? "" : ": ",
                   !answered || code == HTTP_OK ? "" : (const char *)body.data);
    pqi_buf_free(&body);
    return answered && code == HTTP_OK;
}

/* Until the time is over the node has to stay healthy. */
static void check_health(drill *d, uint64_t until)
{
    char why[PQL_ERROR_MESSAGE_SIZE] = "";
    if (d->admin.off) {
        say(d, "healthy all the time", false, "The admin port is off: nobody could tell.");
        return;
    }
    bool ok = true;
    do {
        ok = answers_ok(d, "/healthz", why) && answers_ok(d, "/readyz", why);
        const struct timespec step = {.tv_sec = (time_t)(LOOK_EVERY / PQI_NS_PER_SEC)};
        if (ok && pqi_clock_monotonic() < until) {
            (void)nanosleep(&step, NULL);
        }
    } while (ok && pqi_clock_monotonic() < until);
    say(d, "healthy all the time", ok, "%s", why);
}

static void check_metrics(drill *d, const figures *before)
{
    const figures f = figures_at_rest(d);
    if (!f.known || !before->known) {
        say(d, "alerts would fire", false, "%s",
            d->admin.off ? "The admin port is off: nothing watches this node."
                         : "/metrics could not be read.");
        return;
    }
    say(d, "hybrid links stay", f.pq >= before->pq, "%.0f before, %.0f now", before->pq, f.pq);
    say(d, "no classical link is left", f.classical <= 0, "%.0f before, %.0f now",
        before->classical, f.classical);
    say(d, "alerts would fire", f.rejects > before->rejects,
        REJECTS " rose from %.0f to %.0f (alert PqlinkClassicalPeersRefused)", before->rejects,
        f.rejects);
}

/* ---- The drill ---- */

static void before_change(drill *d)
{
    pqi_remote seen;
    check_hybrid(d, "hybrid peer, before");
    d->classical_before = knock(d, PQL_POLICY_OFF, &seen, NULL) == PQL_OK;
    say(d, "classical peer, before", true, "its handshake %s (policy of the settings: %s)",
        d->classical_before ? "completes" : "is refused", d->settings);
}

static void while_pq_only(drill *d)
{
    const uint64_t until = pqi_clock_monotonic() + d->options->time_ns;
    check_classical_refused(d, "classical peer is refused");
    check_hybrid(d, "hybrid peer is let in");
    check_health(d, until);
}

static void after_rollback(drill *d)
{
    pqi_remote seen;
    pql_error err = {0};
    const pql_status status = ask(d, json_pack("{s:s}", "do", "end"), &err);
    const char *policy = text_of(d->facts, "policy");
    say(d, "rolled back", status == PQL_OK && strcmp(policy, d->settings) == 0, "%s",
        status == PQL_OK ? policy : err.message);
    const bool now = knock(d, PQL_POLICY_OFF, &seen, &err) == PQL_OK;
    say(d, "classical peer, after", now == d->classical_before, "%s",
        now ? "its handshake completes" : err.message);
    check_hybrid(d, "hybrid peer, after");
}

static pql_status run_checks(drill *d, pql_error *err)
{
    const json_int_t seconds = (json_int_t)(d->options->time_ns / PQI_NS_PER_SEC) + SLACK_SECONDS;
    before_change(d);
    if (d->failed > 0) {
        /* Who is hybrid during the drill alone would refuse this node afterwards: it remembers. */
        return PQL_OK;
    }
    const figures figures_before = figures_at_rest(d);
    const pql_status status = ask(
        d, json_pack("{s:s, s:s, s:I}", "do", "override", "policy", "pq-only", "seconds", seconds),
        err);
    if (status != PQL_OK) {
        return status;
    }
    d->begun = true;
    say(d, "the node is pq-only", strcmp(text_of(d->facts, "policy"), "pq-only") == 0, "for %lld s",
        (long long)(seconds - SLACK_SECONDS));
    while_pq_only(d);
    check_metrics(d, &figures_before);
    after_rollback(d);
    return PQL_OK;
}

static pql_status drill_run(const void *options, pql_error *err)
{
    drill d = {.options = options, .control = -1};
    pql_status status = pqi_control_connect(&d.control, d.options->dir.text, PATIENCE, err);
    if (status == PQL_OK) {
        status = ask(&d, json_pack("{s:s}", "do", "status"), err);
    }
    if (status == PQL_OK) {
        status = read_facts(&d, err);
    }
    if (status == PQL_OK) {
        status = run_checks(&d, err);
    }
    if (d.control >= 0) {
        (void)close(d.control);
    }
    if (status == PQL_OK && d.options->json) {
        print_json(&d);
    }
    if (status == PQL_OK && d.failed > 0) {
        status = pqi_fail(err, PQL_E_FAILED, "%u of %u checks failed.%s", d.failed, d.count,
                          d.begun ? "" : "  The drill was not begun, and nothing was changed.");
    } else if (status == PQL_OK && !d.options->json) {
        (void)printf("%u checks passed, none failed.\n", d.count);
    }
    json_decref(d.facts);
    return status;
}

const pqi_command pqi_command_drill_classical_break = {
    .name = "drill classical-break",
    .summary = "Drill the day on which classical key exchange is broken",
    .description =
        "Makes the running node of DIR pq-only for a time, without a restart, and looks at what "
        "should then hold: classical peers are refused, at once and with a reason; hybrid peers "
        "are let in, and those that were there stay; health and readiness stay green; the series "
        "that alerts watch move.  Then the policy of the settings is back, and it is looked at "
        "that it is.\n"
        "It does not begin where no hybrid peer is let in.  Classical links end at the beginning.  "
        "If the drill is stopped or dies, the node rolls "
        "back at once; it does so by itself a minute after the time in any case.\n"
        "The exit status is 0 when all checks passed, and 1 when one failed.  Run it as the "
        "node's user, or root.",
    PQI_OPTIONS(drill_table),
    .options_size = sizeof(drill_options),
    .example = (const char *const[]){"pqlink drill classical-break --for 1m", NULL},
    .run = drill_run,
};
