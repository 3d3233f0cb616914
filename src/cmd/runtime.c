#include "cmd/runtime.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "cmd/facts.h"
#include "cmd/snapshot.h"
#include "cmd/status_json.h"
#include "crypto/self_test.h"
#include "miner/pow.h"

#include <jansson.h>
#include <openssl/base.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CRYPTO_VERSION AWSLC_VERSION_NAME " " AWSLC_VERSION_NUMBER_STRING
/* Longest warning, with the line feed and a NUL; what is longer is cut. */
#define SHOUT_SIZE 640
/* Wakes the main thread: ignored by default, so that it hurts nobody, and pending only once. */
#define WAKE_SIGNAL SIGURG
/* Without a deadline a signal is still looked for this often, so that nothing is missed. */
#define LONGEST_WAIT (60 * PQI_NS_PER_SEC)

bool pqi_runtime_log(const pqi_log_options *options)
{
    const bool terminal = isatty(STDERR_FILENO) == 1;
    const bool text = options->format == PQI_LOG_CHOICE_TEXT ||
                      (options->format == PQI_LOG_CHOICE_AUTO && terminal);
    pqi_log_setup(STDERR_FILENO, options->level, text ? PQI_LOG_TEXT : PQI_LOG_JSON);
    /* no-color.org: set and not empty. */
    const char *no_colour = getenv("NO_COLOR");
    const bool shown = text && terminal;
    pqi_log_set_terminal(shown, shown && (no_colour == NULL || no_colour[0] == '\0'));
    return shown;
}

static void signal_set(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGHUP);
    (void)sigaddset(set, WAKE_SIGNAL);
}

void pqi_runtime_block_signals(void)
{
    sigset_t set;
    signal_set(&set);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

int pqi_runtime_wait_signal(uint64_t deadline)
{
    sigset_t set;
    const uint64_t now = pqi_clock_monotonic();
    uint64_t wait = deadline > now ? deadline - now : 0;
    wait = wait > LONGEST_WAIT ? LONGEST_WAIT : wait;
    const struct timespec timeout = {.tv_sec = (time_t)(wait / PQI_NS_PER_SEC),
                                     .tv_nsec = (long)(wait % PQI_NS_PER_SEC)};
    signal_set(&set);
    const int signal_number = sigtimedwait(&set, NULL, &timeout);
    return signal_number < 0 || signal_number == WAKE_SIGNAL ? 0 : signal_number;
}

void pqi_runtime_wake(const pqi_runtime *rt)
{
    (void)pthread_kill(rt->main, WAKE_SIGNAL);
}

void pqi_runtime_show(const char *text, size_t len)
{
    struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&fd, 1, 0) == 1 && (fd.revents & POLLOUT) != 0) {
        (void)!write(STDERR_FILENO, text, len);
    }
}

void pqi_runtime_shout(const char *service, const char *event, const char *sentence)
{
    pqi_log(PQI_LOG_WARN, service, event, PQI_STR("reason", sentence));
    if (isatty(STDERR_FILENO) == 1) {
        char line[SHOUT_SIZE];
        (void)snprintf(line, sizeof(line) - 1, "pqlink: WARNING: %s", sentence);
        pqi_text_clean(line); /* it may name a file */
        const size_t end = strlen(line);
        line[end] = '\n';
        pqi_runtime_show(line, end + 1);
    }
}

void pqi_runtime_shout_debug(const char *service, const char *keylog_file, const char *qlog_dir)
{
    char sentence[512];
    if (keylog_file != NULL) {
        (void)snprintf(sentence, sizeof(sentence),
                       "the secrets of every link are written to %.300s; whoever reads that file "
                       "can read the links",
                       keylog_file);
        pqi_runtime_shout(service, "keylog_on", sentence);
    }
    if (qlog_dir != NULL) {
        (void)snprintf(sentence, sizeof(sentence),
                       "a trace of every link is written into %.300s; it tells who talked when",
                       qlog_dir);
        pqi_runtime_shout(service, "qlog_on", sentence);
    }
}

static json_t *keys_json(const pqi_runtime *rt)
{
    return rt->views.keys == NULL ? json_null() : rt->views.keys(rt->views.user);
}

/* The JSON of /version: what this program is made of and what it may negotiate. */
static pql_status version_json(void *user, pqi_buf *out, pql_error *err)
{
    const pqi_runtime *rt = user;
    const pqi_pow_backend *backends[PQI_POW_BACKENDS_MAX];
    (void)pqi_pow_backends(backends);
    json_t *root = json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:s, s:{s:b}}", "name", "pqlink", "version",
        PQLINK_VERSION, "service", rt->views.service, "policy",
        pql_policy_name((pql_policy)atomic_load(&rt->policy)), "posture",
        pqi_posture_json((pql_policy)atomic_load(&rt->policy), rt->views.pq_authentication), "keys",
        keys_json(rt), "build", pqi_build_json(), "dependencies", pqi_dependencies_json(), "pow",
        pqi_pow_backend_name(backends[0]), "features", "amnesia", (int)rt->amnesia);
    char *text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);
    json_decref(root);
    const bool ok = text != NULL && pqi_buf_append(out, text, strlen(text));
    free(text);
    return ok ? PQL_OK : pqi_fail(err, PQL_E_NOMEM, "Out of memory writing the version.");
}

static pql_status status_json(void *user, pqi_buf *out, pql_error *err)
{
    const pqi_runtime *rt = user;
    pql_status status = rt->views.status(rt->views.user, out, err);
    if (status == PQL_OK) {
        status = pqi_status_json_add(out, "open_links", pqi_link_table_links_json(rt->table), err);
    }
    if (status == PQL_OK) {
        status =
            pqi_status_json_add(out, "downgrades", pqi_link_table_downgrades_json(rt->table), err);
    }
    if (status == PQL_OK) {
        status =
            pqi_status_json_add(out, "handshakes", pqi_link_table_handshakes_json(rt->table), err);
    }
    return status;
}

static pql_status self_test(pqi_runtime *rt, pql_error *err)
{
    uint64_t took = 0;
    unsigned condition = 0;
    pql_status status =
        pqi_health_add(rt->health, "crypto_self_test", "not run yet", &condition, err);
    if (status == PQL_OK) {
        status = pqi_self_test(&pqi_self_test_known, &took, err);
    }
    if (status == PQL_OK) {
        pqi_health_set_ok(rt->health, condition);
        pqi_log(PQI_LOG_DEBUG, "crypto", "self_test", PQI_STR("algo", pqi_self_test_algorithms),
                PQI_U64("latency_us", took / PQI_NS_PER_US));
    }
    return status;
}

pql_status pqi_runtime_open(pqi_runtime *rt, pql_policy policy, pql_error *err)
{
    *rt = (pqi_runtime){
        .policy = (unsigned)policy, .opened = pqi_clock_monotonic(), .main = pthread_self()};
    pql_status status = pqi_health_new(&rt->health, err);
    if (status == PQL_OK) {
        status = self_test(rt, err);
    }
    if (status == PQL_OK) {
        status = pqi_metrics_new(&rt->metrics, err);
    }
    if (status == PQL_OK) {
        pqi_health_register(rt->health, rt->metrics);
        status = pqi_pq_metrics_new(&rt->links, rt->metrics, CRYPTO_VERSION, err);
    }
    if (status == PQL_OK) {
        status = pqi_process_metrics_new(&rt->process, rt->metrics, err);
    }
    if (status == PQL_OK) {
        status = pqi_link_table_new(&rt->table, err);
    }
    if (status == PQL_OK) {
        pqi_pq_metrics_keep_links(rt->links, rt->table);
    }
    return status;
}

pql_status pqi_runtime_amnesia(pqi_runtime *rt, bool on, pql_error *err)
{
    const pqi_metric_desc desc = {.type = PQI_GAUGE,
                                  .name = "pqlink_amnesia",
                                  .help = "1 when nothing is written to a disk (--amnesia), else "
                                          "0."};
    rt->amnesia = on;
    pqi_gauge_set(pqi_gauge_at(pqi_metrics_register(rt->metrics, &desc), 0), on ? 1 : 0);
    return pqi_metrics_check(rt->metrics, err);
}

static pql_status snapshot_json(void *user, pqi_buf *out, pql_error *err)
{
    return pqi_snapshot_write(user, pqi_clock_unix_ms(), pqi_clock_monotonic(), out, err);
}

pql_status pqi_runtime_admin(pqi_runtime *rt, const pqi_endpoint *at,
                             const pqi_runtime_views *views, pql_error *err)
{
    const pqi_admin_opts opts = {.address = at->host,
                                 .port = at->port,
                                 .metrics = rt->metrics,
                                 .health = rt->health,
                                 .version_json = version_json,
                                 .status_json = status_json,
                                 .snapshot_json = snapshot_json,
                                 .user = rt,
                                 .auth = rt->auth};
    rt->views = *views;
    return at->off ? PQL_OK : pqi_admin_start(&rt->admin, &opts, err);
}

void pqi_runtime_close(pqi_runtime *rt)
{
    pqi_admin_stop(rt->admin);
    pqi_pq_metrics_free(rt->links);
    pqi_link_table_free(rt->table);
    pqi_metrics_free(rt->metrics);
    pqi_process_metrics_free(rt->process);
    pqi_health_free(rt->health);
    *rt = (pqi_runtime){0};
}
