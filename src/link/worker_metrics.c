#include "link/worker_metrics.h"

#include "base/clock.h"
#include "link/internal.h"

#include <stdio.h>

/* Digits of the largest worker's number, with a NUL. */
#define NUMBER_SIZE 12

static double workers(void *user, unsigned series)
{
    (void)series;
    return ((const pql_context *)user)->worker_count;
}

static double handed_over(void *user, unsigned series)
{
    pql_context *ctx = user;
    (void)series;
    return (double)atomic_load_explicit(&ctx->handed_over, memory_order_relaxed);
}

static double cpu_seconds(void *user, unsigned series)
{
    const pql_context *ctx = user;
    return (double)pqi_worker_cpu_ns(ctx->workers[series].worker) / (double)PQI_NS_PER_SEC;
}

static double calls_waiting(void *user, unsigned series)
{
    const pql_context *ctx = user;
    return (double)pqi_worker_waiting(ctx->workers[series].worker);
}

static double bytes_waiting(void *user, unsigned series)
{
    pql_context *ctx = user;
    return (double)atomic_load_explicit(&ctx->workers[series].handed_over, memory_order_relaxed);
}

static void register_each(pql_context *ctx, pqi_metrics *registry)
{
    static const struct {
        pqi_metric_type type;
        const char *name, *help;
        double (*compute)(void *user, unsigned series);
    } each[] = {
        {PQI_COUNTER, "pqlink_worker_cpu_seconds_total",
         "Processor time of a worker's thread; one second each second is all it can.", cpu_seconds},
        {PQI_GAUGE, "pqlink_worker_calls_waiting", "Calls of other threads that wait for a worker.",
         calls_waiting},
        {PQI_GAUGE, "pqlink_worker_handed_over_waiting_bytes",
         "Datagrams from other workers that wait for a worker.", bytes_waiting},
    };
    char numbers[PQI_CONTEXT_WORKERS_MAX][NUMBER_SIZE];
    const char *names[PQI_CONTEXT_WORKERS_MAX];
    for (unsigned i = 0; i < ctx->worker_count; i++) {
        (void)snprintf(numbers[i], sizeof(numbers[i]), "%u", i);
        names[i] = numbers[i];
    }
    for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
        (void)pqi_metrics_register(
            registry,
            &(pqi_metric_desc){
                .type = each[i].type,
                .name = each[i].name,
                .help = each[i].help,
                .labels = {{.name = "worker", .values = names, .count = ctx->worker_count}},
                .compute = each[i].compute,
                .user = ctx});
    }
}

pql_status pqi_worker_metrics(pql_context *ctx, pqi_metrics *registry, pql_error *err)
{
    ctx->registry = registry;
    (void)pqi_metrics_register(registry, &(pqi_metric_desc){.type = PQI_GAUGE,
                                                            .name = "pqlink_workers",
                                                            .help = "Worker threads of links.",
                                                            .compute = workers,
                                                            .user = ctx});
    (void)pqi_metrics_register(
        registry, &(pqi_metric_desc){.type = PQI_COUNTER,
                                     .name = "pqlink_datagrams_handed_over_total",
                                     .help = "Datagrams that the kernel gave to the wrong worker.",
                                     .compute = handed_over,
                                     .user = ctx});
    register_each(ctx, registry);
    return pqi_metrics_check(registry, err);
}
