/* The workers of a context as series: processor time, calls that wait, datagrams handed over. */
#ifndef PQI_LINK_WORKER_METRICS_H
#define PQI_LINK_WORKER_METRICS_H

#include "observe/metrics.h"

#include <pqlink/link.h>

/* Registers the series of |ctx|, one context for each registry: a second one is PQL_E_EXISTS.  The
 * registry must be there when the context is freed; it keeps the last values.  Errors: those of
 * pqi_metrics_check. */
pql_status pqi_worker_metrics(pql_context *ctx, pqi_metrics *registry, pql_error *err);

#endif
