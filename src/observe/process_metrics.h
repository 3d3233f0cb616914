/* The process itself: memory, descriptors, processor time; the usual names of Prometheus clients
 * where there are such.
 *
 * All of it is asked of the kernel when somebody scrapes, at most once in
 * PQI_PROCESS_REFRESH_NS however often that is, and without a lock that a link could wait for. */
#ifndef PQI_OBSERVE_PROCESS_METRICS_H
#define PQI_OBSERVE_PROCESS_METRICS_H

#include "base/clock.h"
#include "observe/metrics.h"

#define PQI_PROCESS_REFRESH_NS PQI_NS_PER_SEC

typedef struct pqi_process_metrics pqi_process_metrics;

/* Registers the series in |registry|, which must be freed before *out is.  Errors: those of
 * pqi_metrics_check, PQL_E_NOMEM; *out is then NULL. */
pql_status pqi_process_metrics_new(pqi_process_metrics **out, pqi_metrics *registry,
                                   pql_error *err);
/* After the registry.  NULL is a no-op. */
void pqi_process_metrics_free(pqi_process_metrics *m);

/* Reads the figure of the line "NAME:   123 kB" of a text like /proc/self/status, in bytes.  0 when
 * there is no such line.  |name| is without the colon. */
uint64_t pqi_process_status_bytes(const char *text, const char *name);

#endif
