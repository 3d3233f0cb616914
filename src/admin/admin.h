/* The admin port: a small HTTP server for operators and their monitoring.
 *
 *   GET /metrics   Prometheus text, or OpenMetrics when Accept asks for it
 *   GET /healthz   200 as long as the process answers
 *   GET /readyz    200 or 503 with the conditions that are not fulfilled, and Retry-After
 *   GET /version   what this program is
 *   GET /status    what the service does now (from the service; 404 without a provider)
 *   GET /          the status page for browsers (Accept: text/html), the list of these for others
 *   GET /snapshot  what the status page shows, as JSON (from the service; 404 without a provider)
 *   GET /events    the same once a second, as server-sent events (admin/events.h); 503 when there
 *                  are PQI_EVENTS_LISTENERS_MAX listeners
 *   GET /page.css, /page.js   what the page is made of; it needs nothing from elsewhere
 *
 * HEAD works everywhere.  Nothing can be changed through it.  There is no authentication unless
 * opts.auth is set (admin/auth.h: 401 without a token, 403 with one that does not allow it): it
 * listens on loopback unless the caller names another address, which is logged as a warning.
 * Requests whose Host is not ours get 421, requests of foreign web pages 403 (admin/access.h).
 *
 * Bounds: PQI_ADMIN_CONNECTIONS_MAX connections, PQI_ADMIN_PER_ADDRESS_MAX from one address
 * (further ones are closed at once), request line and headers together
 * PQI_ADMIN_REQUEST_MAX bytes (431 or 414), no request body (413), PQI_ADMIN_TIMEOUT_SECONDS
 * of silence.  A client that sends a byte now and then can hold its connection longer; it holds one
 * of the bounded number.
 *
 * One thread of its own answers all requests.  The callbacks below run on it; |snapshot_json| also
 * on the thread of the events, maybe at the same time. */
#ifndef PQI_ADMIN_ADMIN_H
#define PQI_ADMIN_ADMIN_H

#include "admin/auth.h"
#include "base/buf.h"
#include "base/error.h"
#include "observe/health.h"
#include "observe/metrics.h"

#include <stddef.h>
#include <stdint.h>

#define PQI_ADMIN_CONNECTIONS_MAX 64
#define PQI_ADMIN_PER_ADDRESS_MAX 48
#define PQI_ADMIN_REQUEST_MAX 16384
/* The same with opts.auth, whose tokens may be signed. */
#define PQI_ADMIN_SIGNED_REQUEST_MAX 65536
#define PQI_ADMIN_TIMEOUT_SECONDS 10
#define PQI_ADMIN_ADDRESS_DEFAULT "127.0.0.1"

typedef struct pqi_admin pqi_admin;

/* Appends one JSON text to |out|.  On failure the client gets 500 and the sentence in |err|. */
typedef pql_status (*pqi_admin_json)(void *user, pqi_buf *out, pql_error *err);

/* Everything pointed to must outlive the server. */
typedef struct pqi_admin_opts {
    const char *address; /* literal or "localhost"; NULL: PQI_ADMIN_ADDRESS_DEFAULT */
    uint16_t port;       /* 0: any free one, see pqi_admin_port */
    pqi_metrics *metrics;
    pqi_health *health;
    pqi_admin_json version_json;   /* NULL: name and version only */
    pqi_admin_json status_json;    /* NULL: no /status */
    pqi_admin_json snapshot_json;  /* one line, bounded whoever connects; NULL: no status page */
    void *user;                    /* for all callbacks */
    const char *const *host_names; /* further names to accept in Host, without port */
    size_t host_name_count;
    const pqi_admin_auth *auth; /* who may ask; NULL: everybody */
} pqi_admin_opts;

/* Starts the server; *out is to be stopped by the caller.  Errors: PQL_E_USAGE (address or missing
 * options), PQL_E_NETWORK (port in use, not allowed), PQL_E_NOMEM, PQL_E_FAILED (its thread could
 * not be started); *out is then NULL. */
pql_status pqi_admin_start(pqi_admin **out, const pqi_admin_opts *opts, pql_error *err);
/* The port it listens on. */
uint16_t pqi_admin_port(const pqi_admin *admin);
/* Ends connections and thread, and frees.  Not from a callback.  NULL is a no-op. */
void pqi_admin_stop(pqi_admin *admin);

#endif
