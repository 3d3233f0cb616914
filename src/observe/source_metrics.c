#include "observe/source_metrics.h"

#include <stdlib.h>

const char *const pqi_outcome_names[PQI_OUTCOME_COUNT] = {"accepted", "presumed", "refused",
                                                          "unanswered"};

/* Value of pqlink_source_node without a link. */
#define NO_NODE (-1)

struct pqi_source_metrics {
    pqi_gauge *connected, *node;
    pqi_counter *links, *jobs, *passed;
    pqi_family *outcomes;
};

static pqi_family *plain(pqi_metrics *r, pqi_metric_type type, const char *name, const char *help)
{
    return pqi_metrics_register(r, &(pqi_metric_desc){.type = type, .name = name, .help = help});
}

static void register_all(pqi_source_metrics *m, pqi_metrics *r)
{
    m->connected = pqi_gauge_at(plain(r, PQI_GAUGE, "pqlink_source_connected",
                                      "1 while a link to a node that gives jobs is up, else 0."),
                                0);
    m->node = pqi_gauge_at(plain(r, PQI_GAUGE, "pqlink_source_node",
                                 "Place in the list of the node in use, 0 for the preferred one; "
                                 "-1 without a link."),
                           0);
    m->links = pqi_counter_at(plain(r, PQI_COUNTER, "pqlink_source_links_total",
                                    "Links to nodes that give jobs, each taken into use."),
                              0);
    m->jobs = pqi_counter_at(
        plain(r, PQI_COUNTER, "pqlink_source_jobs_total", "Jobs that came from the nodes in use."),
        0);
    m->passed = pqi_counter_at(plain(r, PQI_COUNTER, "pqlink_source_passed_total",
                                     "Results of our miners that were passed on."),
                               0);
    m->outcomes = pqi_metrics_register(
        r, &(pqi_metric_desc){.type = PQI_COUNTER,
                              .name = "pqlink_source_outcomes_total",
                              .help = "Results that were passed on, by what became of them.",
                              .labels = {{"outcome", pqi_outcome_names, PQI_OUTCOME_COUNT}}});
}

pql_status pqi_source_metrics_new(pqi_source_metrics **out, pqi_metrics *registry, pql_error *err)
{
    *out = NULL;
    pqi_source_metrics *m = calloc(1, sizeof(*m));
    if (m == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "No memory for the metrics of the source.");
    }
    register_all(m, registry);
    const pql_status status = pqi_metrics_check(registry, err);
    if (status != PQL_OK) {
        free(m);
        return status;
    }
    pqi_gauge_set(m->node, NO_NODE);
    *out = m;
    return PQL_OK;
}

void pqi_source_metrics_free(pqi_source_metrics *m)
{
    free(m);
}

void pqi_source_metrics_up(pqi_source_metrics *m, unsigned node)
{
    if (m != NULL) {
        pqi_gauge_set(m->connected, 1);
        pqi_gauge_set(m->node, node);
        pqi_counter_add(m->links, 1);
    }
}

void pqi_source_metrics_down(pqi_source_metrics *m)
{
    if (m != NULL) {
        pqi_gauge_set(m->connected, 0);
        pqi_gauge_set(m->node, NO_NODE);
    }
}

void pqi_source_metrics_job(pqi_source_metrics *m)
{
    if (m != NULL) {
        pqi_counter_add(m->jobs, 1);
    }
}

void pqi_source_metrics_passed(pqi_source_metrics *m)
{
    if (m != NULL) {
        pqi_counter_add(m->passed, 1);
    }
}

void pqi_source_metrics_outcome(pqi_source_metrics *m, pqi_label_outcome outcome)
{
    if (m != NULL && outcome < PQI_OUTCOME_COUNT) {
        pqi_counter_add(pqi_counter_at(m->outcomes, outcome), 1);
    }
}
