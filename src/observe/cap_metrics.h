/* The series of capability tokens that a service verified.  Any thread, no lock; a NULL object and
 * values out of range are ignored. */
#ifndef PQI_OBSERVE_CAP_METRICS_H
#define PQI_OBSERVE_CAP_METRICS_H

#include "observe/metrics.h"

typedef struct pqi_cap_metrics pqi_cap_metrics;

/* Registers pqlink_capability_verify_total in |registry|, with the |count| values of its label
 * |results| (static), which are those of caps/rules.h.  *out is to be freed by the caller before
 * the registry.  Errors: those of pqi_metrics_check, PQL_E_NOMEM; *out is then NULL. */
pql_status pqi_cap_metrics_new(pqi_cap_metrics **out, pqi_metrics *registry,
                               const char *const *results, unsigned count, pql_error *err);
void pqi_cap_metrics_free(pqi_cap_metrics *m);

/* A token was verified, and |result| (an index into |results|) came of it. */
void pqi_cap_metrics_verified(pqi_cap_metrics *m, unsigned result);

#endif
