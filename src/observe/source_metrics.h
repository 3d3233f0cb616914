/* The series of a node whose jobs come from other nodes (pqlink node --source URL).
 *
 * Functions may be called from any thread, take no lock, and ignore a NULL object and values out of
 * range. */
#ifndef PQI_OBSERVE_SOURCE_METRICS_H
#define PQI_OBSERVE_SOURCE_METRICS_H

#include "observe/metrics.h"

/* What became of a result that was passed on. */
typedef enum pqi_label_outcome {
    PQI_OUTCOME_ACCEPTED,   /* the node said so */
    PQI_OUTCOME_PRESUMED,   /* the node, which has no word for it, gave another job at once */
    PQI_OUTCOME_REFUSED,    /* the node said so */
    PQI_OUTCOME_UNANSWERED, /* neither an answer nor another job followed */
    PQI_OUTCOME_COUNT
} pqi_label_outcome;

extern const char *const pqi_outcome_names[PQI_OUTCOME_COUNT];

typedef struct pqi_source_metrics pqi_source_metrics;

/* Registers the series in |registry|.  *out is to be freed by the caller before the registry.
 * Errors: those of pqi_metrics_check, PQL_E_NOMEM; *out is then NULL. */
pql_status pqi_source_metrics_new(pqi_source_metrics **out, pqi_metrics *registry, pql_error *err);
void pqi_source_metrics_free(pqi_source_metrics *m);

/* A link to |node| (0: the preferred one) gives the jobs from now on. */
void pqi_source_metrics_up(pqi_source_metrics *m, unsigned node);
/* No link does. */
void pqi_source_metrics_down(pqi_source_metrics *m);
void pqi_source_metrics_job(pqi_source_metrics *m);
/* A result was handed to the link. */
void pqi_source_metrics_passed(pqi_source_metrics *m);
void pqi_source_metrics_outcome(pqi_source_metrics *m, pqi_label_outcome outcome);

#endif
