/* Server-sent events of the admin port (WHATWG HTML, "Server-sent events"): one snapshot a second,
 * made once for all listeners, and none while nobody listens.
 *
 * A thread of its own makes the snapshots, so that a slow one holds up no other request.  Each
 * listener is a connection of the HTTP server that sleeps between snapshots (suspended).
 *
 * Bounds: PQI_EVENTS_LISTENERS_MAX listeners; each holds one snapshot at most besides the newest,
 * and one that takes longer than PQI_EVENTS_BEHIND_MAX snapshots for one is dropped. */
#ifndef PQI_ADMIN_EVENTS_H
#define PQI_ADMIN_EVENTS_H

#include "admin/auth.h"
#include "base/buf.h"
#include "base/error.h"

#include <stdint.h>

#define PQI_EVENTS_LISTENERS_MAX 8
#define PQI_EVENTS_BEHIND_MAX 10
/* What a listener too many is told to wait. */
#define PQI_EVENTS_RETRY_AFTER_SECONDS 10

struct MHD_Connection;
struct MHD_Response;
typedef struct pqi_events pqi_events;

/* Appends one JSON text without line feeds to |out|.  On failure nothing is sent that time. */
typedef pql_status (*pqi_events_make)(void *user, pqi_buf *out, pql_error *err);

/* Starts the thread, on which |make| is called with |user|.  PQL_E_NOMEM, PQL_E_FAILED: *out is
 * then NULL. */
pql_status pqi_events_new(pqi_events **out, pqi_events_make make, void *user, pql_error *err);

/* What lets a listener in, and ends its stream when it no longer would. */
typedef struct pqi_events_ticket {
    const pqi_admin_auth *auth; /* borrowed; NULL: everybody may listen */
    pqi_cap_grant grant;
} pqi_events_ticket;

/* The response for a new listener on |connection|, whose content type and other headers the caller
 * adds; to be queued and destroyed by the caller.  NULL: there are too many, or no memory.  On the
 * server's thread. */
struct MHD_Response *pqi_events_response(pqi_events *events, struct MHD_Connection *connection,
                                         const pqi_events_ticket *ticket);

/* Makes no more snapshots and ends all streams: to be called before the server is stopped, which
 * must find no connection suspended.  Waits up to a second for listeners that do not read.  Not on
 * the server's thread.  NULL is a no-op. */
void pqi_events_stop(pqi_events *events);

/* After the server has stopped.  NULL is a no-op. */
void pqi_events_free(pqi_events *events);

#endif
