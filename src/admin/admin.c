#include "admin/admin.h"

#include "admin/access.h"
#include "admin/events.h"
#include "admin/listen.h"
#include "base/clock.h"
#include "base/log.h"

#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define TYPE_TEXT "text/plain; charset=utf-8"
#define TYPE_JSON "application/json"
#define TYPE_PROMETHEUS "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define TYPE_HTML "text/html; charset=utf-8"
#define TYPE_CSS "text/css; charset=utf-8"
#define TYPE_SCRIPT "text/javascript; charset=utf-8"
#define TYPE_EVENTS "text/event-stream"
#define EVENTS_PATH "/events"
/* What a document may load: nothing; the status page: what we serve beside it. */
#define CONTENT_NONE "default-src 'none'; frame-ancestors 'none'"
#define CONTENT_PAGE                                                                               \
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " \
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "                                \
    "require-trusted-types-for 'script'; trusted-types 'none'"
/* Longest Retry-After that we send, with a NUL. */
#define SECONDS_SIZE 12
#define MS_PER_SEC 1000

extern const uint8_t pqi_page_html[], pqi_page_css[], pqi_page_js[];
extern const size_t pqi_page_html_len, pqi_page_css_len, pqi_page_js_len;

struct pqi_admin {
    struct MHD_Daemon *daemon;
    pqi_events *events; /* NULL: no status page */
    pqi_admin_opts opts;
    pqi_access access;
    uint16_t port;
};

/* The headers that matter; NULL where absent. */
typedef struct request {
    const char *host;
    const char *origin;
    const char *fetch_site;
    const char *fetch_mode;
    const char *accept;
    const char *content_length;
    const char *transfer_encoding;
    const char *authorization;
    unsigned authorization_count;
    unsigned host_count;
    unsigned origin_count;
} request;

typedef struct reply {
    unsigned status;
    const char *type;
    unsigned retry_after; /* seconds; 0: none */
    bool close;           /* the connection ends after it */
    const char *content;  /* the Content-Security-Policy; NULL: CONTENT_NONE */
    pqi_buf body;
} reply;

/* ---- What each path answers ---- */

static void reply_text(reply *r, unsigned status, const char *text)
{
    r->status = status;
    r->type = TYPE_TEXT;
    r->body.len = 0;
    (void)pqi_buf_printf(&r->body, "%s\n", text);
}

static void reply_done(reply *r, pql_status status, const char *type, const pql_error *err)
{
    if (status != PQL_OK) {
        reply_text(r, MHD_HTTP_INTERNAL_SERVER_ERROR, err->message);
        return;
    }
    r->status = MHD_HTTP_OK;
    r->type = type;
}

static void answer_metrics(pqi_admin *a, const request *q, reply *r)
{
    pql_error err = {0};
    const bool open = pqi_accepts_openmetrics(q->accept);
    const pql_status status = pqi_metrics_write(
        a->opts.metrics, open ? PQI_METRICS_OPENMETRICS : PQI_METRICS_PROMETHEUS, &r->body, &err);
    reply_done(r, status, open ? TYPE_OPENMETRICS : TYPE_PROMETHEUS, &err);
}

static void answer_healthz(pqi_admin *a, const request *q, reply *r)
{
    (void)a;
    (void)q;
    reply_text(r, MHD_HTTP_OK, "{\"ok\":true}");
    r->type = TYPE_JSON;
}

static void answer_readyz(pqi_admin *a, const request *q, reply *r)
{
    (void)q;
    pql_error err = {0};
    bool ready = false;
    const pql_status status = pqi_health_write(a->opts.health, &r->body, &ready, &err);
    reply_done(r, status, TYPE_JSON, &err);
    if (status == PQL_OK && !ready) {
        r->status = MHD_HTTP_SERVICE_UNAVAILABLE;
        r->retry_after = PQI_HEALTH_RETRY_AFTER_SECONDS;
    }
}

static void answer_version(pqi_admin *a, const request *q, reply *r)
{
    (void)q;
    pql_error err = {0};
    if (a->opts.version_json == NULL) {
        reply_text(r, MHD_HTTP_OK, "{\"name\":\"pqlink\",\"version\":\"" PQLINK_VERSION "\"}");
        r->type = TYPE_JSON;
        return;
    }
    reply_done(r, a->opts.version_json(a->opts.user, &r->body, &err), TYPE_JSON, &err);
}

static void answer_status(pqi_admin *a, const request *q, reply *r)
{
    (void)q;
    pql_error err = {0};
    if (a->opts.status_json == NULL) {
        reply_text(r, MHD_HTTP_NOT_FOUND, "This service has no status to show.");
        return;
    }
    reply_done(r, a->opts.status_json(a->opts.user, &r->body, &err), TYPE_JSON, &err);
}

static void answer_snapshot(pqi_admin *a, const request *q, reply *r)
{
    (void)q;
    pql_error err = {0};
    if (a->events == NULL) {
        reply_text(r, MHD_HTTP_NOT_FOUND, "This service has no status page.");
        return;
    }
    reply_done(r, a->opts.snapshot_json(a->opts.user, &r->body, &err), TYPE_JSON, &err);
}

static void reply_file(reply *r, const char *type, const uint8_t *data, size_t len)
{
    pql_error err = {0};
    const pql_status status = pqi_buf_append(&r->body, data, len)
                                  ? PQL_OK
                                  : pqi_fail(&err, PQL_E_NOMEM, "No memory for the page.");
    reply_done(r, status, type, &err);
}

static void answer_css(pqi_admin *a, const request *q, reply *r)
{
    (void)a;
    (void)q;
    reply_file(r, TYPE_CSS, pqi_page_css, pqi_page_css_len);
}

static void answer_script(pqi_admin *a, const request *q, reply *r)
{
    (void)a;
    (void)q;
    reply_file(r, TYPE_SCRIPT, pqi_page_js, pqi_page_js_len);
}

static void answer_index(pqi_admin *a, const request *q, reply *r)
{
    if (a->events != NULL && pqi_accepts_html(q->accept)) {
        r->content = CONTENT_PAGE;
        reply_file(r, TYPE_HTML, pqi_page_html, pqi_page_html_len);
        return;
    }
    reply_text(r, MHD_HTTP_OK,
               "pqlink " PQLINK_VERSION "\n\n"
               "/          the status page, in a browser\n"
               "/metrics   counters for Prometheus (or OpenMetrics)\n"
               "/healthz   200 while the process lives\n"
               "/readyz    200 when it can do its work, 503 with reasons when not\n"
               "/version   what this program is\n"
               "/status    what it does now, as JSON\n"
               "/snapshot  what the status page shows, as JSON\n"
               "/events    the same once a second, as server-sent events");
}

static const struct {
    const char *path;
    void (*answer)(pqi_admin *a, const request *q, reply *r);
} routes[] = {
    {"/", answer_index},
    {"/metrics", answer_metrics},
    {"/healthz", answer_healthz},
    {"/readyz", answer_readyz},
    {"/version", answer_version},
    {"/status", answer_status},
    {"/snapshot", answer_snapshot},
    {"/page.css", answer_css},
    {"/page.js", answer_script},
};

static void answer(pqi_admin *a, const char *path, const request *q, reply *r)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (strcmp(path, routes[i].path) == 0) {
            routes[i].answer(a, q, r);
            return;
        }
    }
    reply_text(r, MHD_HTTP_NOT_FOUND, "There is no such path; / lists those that exist.");
}

/* ---- What is refused ---- */

static enum MHD_Result header_take(void *user, enum MHD_ValueKind kind, const char *key,
                                   const char *value)
{
    (void)kind;
    request *q = user;
    const struct {
        const char *name;
        const char **slot;
        unsigned *count;
    } wanted[] = {
        {"Host", &q->host, &q->host_count},
        {"Origin", &q->origin, &q->origin_count},
        {"Sec-Fetch-Site", &q->fetch_site, NULL},
        {"Sec-Fetch-Mode", &q->fetch_mode, NULL},
        {"Accept", &q->accept, NULL},
        {"Content-Length", &q->content_length, NULL},
        {"Transfer-Encoding", &q->transfer_encoding, NULL},
        {"Authorization", &q->authorization, &q->authorization_count},
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        if (strcasecmp(key, wanted[i].name) == 0) {
            *wanted[i].slot = value == NULL ? "" : value;
            if (wanted[i].count != NULL) {
                ++*wanted[i].count;
            }
        }
    }
    return MHD_YES;
}

/* RFC 9112 section 3.2: exactly one Host in HTTP/1.1.  A request of HTTP/1.0 without one (a load
 * balancer's check) comes from no browser. */
static bool host_missing(const request *q, const char *version)
{
    return q->host_count == 0 && strcmp(version, MHD_HTTP_VERSION_1_0) != 0;
}

static bool body_announced(const request *q)
{
    return q->transfer_encoding != NULL ||
           (q->content_length != NULL && strcmp(q->content_length, "0") != 0);
}

/* A link to us may be followed, but not to the stream: its answer never ends, so that a page that
 * opens it a few times would take all places of those who look at the status page. */
static bool fetch_allowed(const request *q, const char *path)
{
    return pqi_access_fetch(q->fetch_site, strcmp(path, EVENTS_PATH) == 0 ? NULL : q->fetch_mode);
}

/* Fills |r| and returns true when the request gets no further. */
static bool refuse(const pqi_admin *a, const request *q, const char *method, const char *path,
                   const char *version, reply *r)
{
    r->close = true;
    if (host_missing(q, version) || q->host_count > 1 || q->origin_count > 1) {
        reply_text(r, MHD_HTTP_BAD_REQUEST, "The request needs exactly one Host header.");
    } else if (q->host != NULL && !pqi_access_host(&a->access, q->host)) {
        reply_text(r, MHD_HTTP_MISDIRECTED_REQUEST,
                   "The Host header names another server.  Ask by IP address or localhost, or have "
                   "the name allowed in the configuration.");
    } else if (!pqi_access_origin(q->origin, q->host) || !fetch_allowed(q, path)) {
        reply_text(r, MHD_HTTP_FORBIDDEN, "Pages of other sites may not use the admin port.");
    } else if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
               strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        reply_text(r, MHD_HTTP_METHOD_NOT_ALLOWED, "Only GET and HEAD are known here.");
    } else if (body_announced(q)) {
        reply_text(r, MHD_HTTP_CONTENT_TOO_LARGE, "Requests here have no body.");
    } else {
        r->close = false;
        return false;
    }
    return true;
}

static pqi_admin_asked asked_of(struct MHD_Connection *connection, const request *q,
                                const char *method, const char *path)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return (pqi_admin_asked){.authorization = q->authorization,
                             .authorizations = q->authorization_count,
                             .method = method,
                             .path = path,
                             .from = info == NULL ? NULL : info->client_addr};
}

/* As refuse, for those who have no token that allows it. */
static bool refuse_stranger(const pqi_admin *a, struct MHD_Connection *connection, const request *q,
                            const char *method, const char *path, reply *r)
{
    const char *reason = NULL;
    const pqi_admin_asked asked = asked_of(connection, q, method, path);
    if (a->opts.auth == NULL) {
        return false;
    }
    switch (pqi_admin_auth_check(a->opts.auth, &asked, pqi_clock_unix_ms() / MS_PER_SEC, &reason)) {
    case PQI_ADMIN_NO_TOKEN:
        reply_text(r, MHD_HTTP_UNAUTHORIZED,
                   "A capability token is needed: Authorization: Bearer TOKEN.");
        break;
    case PQI_ADMIN_DENIED:
        reply_text(r, MHD_HTTP_FORBIDDEN, reason);
        break;
    default:
        return false;
    }
    r->close = true;
    return true;
}

/* ---- HTTP ---- */

static void header_add(struct MHD_Response *response, const char *name, const char *value)
{
    (void)MHD_add_response_header(response, name, value);
}

static void headers_add(struct MHD_Response *response, const reply *r)
{
    header_add(response, MHD_HTTP_HEADER_CONTENT_TYPE, r->type);
    header_add(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    header_add(response, "X-Content-Type-Options", "nosniff");
    header_add(response, "X-Frame-Options", "DENY");
    header_add(response, "Content-Security-Policy", r->content == NULL ? CONTENT_NONE : r->content);
    header_add(response, "Cross-Origin-Resource-Policy", "same-origin");
    header_add(response, "Referrer-Policy", "no-referrer");
    if (r->status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        header_add(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    }
    if (r->status == MHD_HTTP_UNAUTHORIZED) {
        header_add(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, PQI_ADMIN_CHALLENGE);
    }
    if (r->retry_after > 0) {
        char seconds[SECONDS_SIZE];
        (void)snprintf(seconds, sizeof(seconds), "%u", r->retry_after);
        header_add(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    }
    if (r->close) {
        header_add(response, MHD_HTTP_HEADER_CONNECTION, "close");
    }
}

/* Sends |r| and takes its body. */
static enum MHD_Result reply_send(struct MHD_Connection *connection, reply *r)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(r->body.len, r->body.data, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        pqi_buf_free(&r->body);
        return MHD_NO;
    }
    headers_add(response, r);
    const enum MHD_Result queued = MHD_queue_response(connection, r->status, response);
    MHD_destroy_response(response);
    return queued;
}

/* Begins a stream of events, or refuses it in |r| and returns MHD_NO. */
static enum MHD_Result events_send(pqi_admin *a, struct MHD_Connection *connection,
                                   const pqi_events_ticket *ticket, reply *r)
{
    if (a->events == NULL) {
        reply_text(r, MHD_HTTP_NOT_FOUND, "This service has no status page.");
        return MHD_NO;
    }
    struct MHD_Response *response = pqi_events_response(a->events, connection, ticket);
    if (response == NULL) {
        reply_text(r, MHD_HTTP_SERVICE_UNAVAILABLE,
                   "As many listen to the events as may; ask /snapshot, or come again.");
        r->retry_after = PQI_EVENTS_RETRY_AFTER_SECONDS;
        return MHD_NO;
    }
    headers_add(response, &(reply){.status = MHD_HTTP_OK, .type = TYPE_EVENTS});
    const enum MHD_Result queued = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return queued;
}

/* A stream goes on for longer than its request: what its token gives is looked at again. */
static pqi_events_ticket ticket_of(const pqi_admin *a, struct MHD_Connection *connection,
                                   const request *q, const char *method, const char *path)
{
    const char *reason;
    pqi_events_ticket ticket = {.auth = a->opts.auth};
    if (ticket.auth != NULL) {
        const pqi_admin_asked asked = asked_of(connection, q, method, path);
        (void)pqi_admin_auth_grant(ticket.auth, &asked, pqi_clock_unix_ms() / MS_PER_SEC,
                                   &ticket.grant, &reason);
    }
    return ticket; /* one that is no longer good ends the stream before its first event */
}

/* libmicrohttpd calls this once when the headers are there, where a refusal must be sent before a
 * body arrives, and once more for the answer. */
static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload_data,
                                  size_t *upload_data_size, void **state)
{
    static char headers_seen;
    pqi_admin *a = user;
    request q = {0};
    reply r = {0};
    (void)upload_data;
    *upload_data_size = 0;
    (void)MHD_get_connection_values(connection, MHD_HEADER_KIND, header_take, &q);
    if (*state == NULL) {
        *state = &headers_seen;
        return refuse(a, &q, method, url, version, &r) ||
                       refuse_stranger(a, connection, &q, method, url, &r)
                   ? reply_send(connection, &r)
                   : MHD_YES;
    }
    if (strcmp(url, EVENTS_PATH) != 0) {
        answer(a, url, &q, &r);
    } else {
        const pqi_events_ticket ticket = ticket_of(a, connection, &q, method, url);
        if (events_send(a, connection, &ticket, &r) == MHD_YES) {
            return MHD_YES;
        }
    }
    return reply_send(connection, &r);
}

static struct MHD_Daemon *daemon_start(pqi_admin *a, int fd)
{
    /* The server's thread must not take the program's signals. */
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, a->port, NULL, NULL, on_request,
        a, MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)PQI_ADMIN_CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        (unsigned)PQI_ADMIN_PER_ADDRESS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)PQI_ADMIN_TIMEOUT_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)(a->opts.auth == NULL ? PQI_ADMIN_REQUEST_MAX : PQI_ADMIN_SIGNED_REQUEST_MAX),
        MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return daemon;
}

static pql_status admin_start(pqi_admin *a, pql_error *err)
{
    int fd;
    const char *address = a->opts.address == NULL ? PQI_ADMIN_ADDRESS_DEFAULT : a->opts.address;
    const pql_status status =
        pqi_admin_listen(address, a->opts.port, &fd, &a->access.bound, &a->port, err);
    if (status != PQL_OK) {
        return status;
    }
    if (!pqi_address_loopback(&a->access.bound)) {
        pqi_log(PQI_LOG_WARN, "admin", "not_loopback", PQI_STR("address", address),
                PQI_STR("reason", a->opts.auth == NULL
                                      ? "the admin port has no authentication; others can read it"
                                      : "tokens travel to the admin port in clear; put TLS before "
                                        "it"));
    }
    if (a->opts.snapshot_json != NULL) {
        const pql_status started =
            pqi_events_new(&a->events, a->opts.snapshot_json, a->opts.user, err);
        if (started != PQL_OK) {
            (void)close(fd);
            return started;
        }
    }
    a->daemon = daemon_start(a, fd);
    if (a->daemon == NULL) {
        pqi_events_stop(a->events);
        pqi_events_free(a->events);
        (void)close(fd);
        return pqi_fail(err, PQL_E_FAILED,
                        "The admin port's server did not start; the limits on open files, threads "
                        "or memory are probably reached.");
    }
    return PQL_OK;
}

pql_status pqi_admin_start(pqi_admin **out, const pqi_admin_opts *opts, pql_error *err)
{
    *out = NULL;
    if (opts->metrics == NULL || opts->health == NULL) {
        return pqi_fail(err, PQL_E_USAGE, "The admin port needs metrics and a readiness state.");
    }
    pqi_admin *a = calloc(1, sizeof(*a));
    if (a == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "No memory for the admin port.");
    }
    a->opts = *opts;
    a->access.names = opts->host_names;
    a->access.name_count = opts->host_name_count;
    const pql_status status = admin_start(a, err);
    if (status != PQL_OK) {
        free(a);
        return status;
    }
    *out = a;
    return PQL_OK;
}

uint16_t pqi_admin_port(const pqi_admin *admin)
{
    return admin->port;
}

void pqi_admin_stop(pqi_admin *admin)
{
    if (admin != NULL) {
        pqi_events_stop(admin->events);
        MHD_stop_daemon(admin->daemon);
        pqi_events_free(admin->events);
        free(admin);
    }
}
