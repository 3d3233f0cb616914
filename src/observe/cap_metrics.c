#include "observe/cap_metrics.h"

#include <stdlib.h>

struct pqi_cap_metrics {
    pqi_family *results;
};

pql_status pqi_cap_metrics_new(pqi_cap_metrics **out, pqi_metrics *registry,
                               const char *const *results, unsigned count, pql_error *err)
{
    *out = NULL;
    pqi_cap_metrics *m = calloc(1, sizeof(*m));
    if (m == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "No memory for the metrics of capability tokens.");
    }
    m->results = pqi_metrics_register(
        registry, &(pqi_metric_desc){.type = PQI_COUNTER,
                                     .name = "pqlink_capability_verify_total",
                                     .help = "Capability tokens verified, by what came of it.",
                                     .labels = {{"result", results, count}}});
    const pql_status status = pqi_metrics_check(registry, err);
    if (status != PQL_OK) {
        free(m);
        return status;
    }
    *out = m;
    return PQL_OK;
}

void pqi_cap_metrics_free(pqi_cap_metrics *m)
{
    free(m);
}

void pqi_cap_metrics_verified(pqi_cap_metrics *m, unsigned result)
{
    if (m != NULL) {
        pqi_counter_add(pqi_counter_at(m->results, result), 1);
    }
}
