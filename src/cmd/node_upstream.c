#include "cmd/node_upstream.h"

#include "cmd/status_json.h"
#include "observe/link_observer.h"

static void wake(void *user)
{
    pqi_runtime_wake(user);
}

pql_status pqi_node_upstream_open(pqi_node_upstream *u, const pqi_node_options *options,
                                  pqi_hybrid_marks *hybrid, pqi_runtime *rt, pql_error *err)
{
    unsigned condition = 0;
    pql_status status = pqi_source_metrics_new(&u->metrics, rt->metrics, err);
    if (status == PQL_OK) {
        status = pqi_health_add(rt->health, "source", "The source has given no job yet.",
                                &condition, err);
    }
    if (status != PQL_OK) {
        return status;
    }
    pqi_login_list_fill(&options->sources, NULL, u->nodes);
    u->memory = pqi_hybrid_marks_memory(hybrid);
    const pqi_upstream_opts opts = {.nodes = u->nodes,
                                    .node_count = options->sources.count,
                                    .links = {.policy = options->security.policy,
                                              .memory = &u->memory,
                                              .keylog_file = options->keylog_file,
                                              .qlog_dir = options->qlog_dir,
                                              .observer = pqi_link_observer(rt->links)},
                                    .pq_authentication = options->security.pq_authentication,
                                    .timing = {.probe = options->sources.probe_ns},
                                    .metrics = u->metrics,
                                    .health = rt->health,
                                    .condition = condition,
                                    .wake = wake,
                                    .user = rt};
    return pqi_upstream_new(&u->source, &opts, err);
}

pql_status pqi_node_upstream_failure(const pqi_node_upstream *u, pql_error *err)
{
    return u->source == NULL ? PQL_OK : pqi_upstream_failure(u->source, err);
}

pql_status pqi_node_upstream_set_policy(const pqi_node_upstream *u, pql_policy policy,
                                        pql_error *err)
{
    return u->source == NULL ? PQL_OK : pqi_upstream_set_policy(u->source, policy, err);
}

pql_status pqi_node_upstream_status(const pqi_node_upstream *u, pqi_buf *out, pql_error *err)
{
    if (u->source == NULL) {
        return pqi_status_json_add(out, "source", json_pack("{s:s}", "kind", "chain"), err);
    }
    const char *node = pqi_upstream_node(u->source);
    json_t *source = json_pack("{s:s, s:b, s:s?}", "kind", "node", "connected", (int)(node != NULL),
                               "node", node);
    return pqi_status_json_add(out, "source", source, err);
}

void pqi_node_upstream_close(pqi_node_upstream *u)
{
    pqi_source_destroy(u->source);
    pqi_source_metrics_free(u->metrics);
    *u = (pqi_node_upstream){0};
}
