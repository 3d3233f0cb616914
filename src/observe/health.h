/* Readiness: named conditions, each fulfilled or with the reason why not.
 *
 * Conditions say what this process can do (its listener is bound, its identity loaded, its store
 * open, it is not draining), never how one remote peer behaves: otherwise a peer could take the
 * service out of a load balancer.  The nodes that an operator named as the source of all jobs are
 * part of what it can do.  Any thread may set and read. */
#ifndef PQI_OBSERVE_HEALTH_H
#define PQI_OBSERVE_HEALTH_H

#include "base/buf.h"
#include "base/error.h"
#include "observe/metrics.h"

#define PQI_HEALTH_CONDITIONS_MAX 16 /* one more: PQL_E_LIMIT */
#define PQI_HEALTH_NAME_SIZE 32      /* with the NUL */
#define PQI_HEALTH_REASON_SIZE 192   /* with the NUL; longer reasons are cut */
/* What a client that got 503 is told to wait. */
#define PQI_HEALTH_RETRY_AFTER_SECONDS 5

typedef struct pqi_health pqi_health;

/* *out: without conditions, and so ready; to be freed by the caller. */
pql_status pqi_health_new(pqi_health **out, pql_error *err);
void pqi_health_free(pqi_health *h);

/* Adds the condition |name| ([a-z_], up to 31 characters), not fulfilled for |reason| until
 * pqi_health_set_ok; *condition is its handle.  PQL_E_LIMIT over the bound, PQL_E_EXISTS for a name
 * that is there, PQL_E_USAGE for one that cannot be. */
pql_status pqi_health_add(pqi_health *h, const char *name, const char *reason, unsigned *condition,
                          pql_error *err);
/* Both ignore a NULL |h| and an unknown condition. */
void pqi_health_set_ok(pqi_health *h, unsigned condition);
/* |reason| is a sentence for the operator; it is shown on the admin port, so no secrets. */
void pqi_health_set_failed(pqi_health *h, unsigned condition, const char *reason);

/* All conditions are fulfilled. */
bool pqi_health_ready(pqi_health *h);

/* Appends {"ready":..,"degraded":..,"conditions":{..}} to |out|, when not ready also
 * "missing":[names] and "retry_after":seconds; *ready is what the text says.  PQL_E_NOMEM when it
 * cannot be written. */
pql_status pqi_health_write(pqi_health *h, pqi_buf *out, bool *ready, pql_error *err);

/* Registers the gauge pqlink_ready (1 or 0) in |registry|, which |h| must outlive. */
void pqi_health_register(pqi_health *h, pqi_metrics *registry);

#endif
