#include "test.h"

#include "link/worker_metrics.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double value_of(pqi_metrics *registry, const char *name)
{
    pqi_buf text = {0};
    char start[128];
    double value = -1;
    assert_int_equal(pqi_metrics_write(registry, PQI_METRICS_PROMETHEUS, &text, NULL), PQL_OK);
    assert_true(pqi_buf_append(&text, "", 1));
    (void)snprintf(start, sizeof(start), "\n%s ", name);
    const char *at = strstr((const char *)text.data, start);
    if (at != NULL) {
        value = strtod(at + strlen(start), NULL);
    }
    pqi_buf_free(&text);
    return value;
}

typedef struct gate {
    sem_t there, open;
} gate;

static void stand(void *arg)
{
    gate *g = arg;
    (void)sem_post(&g->there);
    (void)sem_wait(&g->open);
}

static void pass(void *arg)
{
    (void)arg;
}

static void calls_that_wait_for_a_worker_are_seen(void **state)
{
    (void)state;
    pqi_metrics *registry;
    pql_context *ctx;
    gate g;
    const pql_context_opts opts = {.workers = 2};
    (void)sem_init(&g.there, 0, 0);
    (void)sem_init(&g.open, 0, 0);
    assert_int_equal(pqi_metrics_new(&registry, NULL), PQL_OK);
    assert_int_equal(pql_context_new(&ctx, &opts, NULL), PQL_OK);
    assert_int_equal(pqi_worker_metrics(ctx, registry, NULL), PQL_OK);
    assert_int_equal(pql_context_run(ctx, 1, stand, &g), PQL_OK);
    (void)sem_wait(&g.there);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pql_context_run(ctx, 1, pass, NULL), PQL_OK);
    }

    assert_true(value_of(registry, "pqlink_workers") == 2);
    assert_true(value_of(registry, "pqlink_worker_calls_waiting{worker=\"1\"}") == 3);
    assert_true(value_of(registry, "pqlink_worker_calls_waiting{worker=\"0\"}") == 0);
    assert_true(value_of(registry, "pqlink_worker_cpu_seconds_total{worker=\"1\"}") > 0);

    (void)sem_post(&g.open);
    pql_context_free(ctx);
    pqi_metrics_free(registry);
    (void)sem_destroy(&g.there);
    (void)sem_destroy(&g.open);
}

static void the_last_values_stay_when_the_context_is_gone(void **state)
{
    (void)state;
    pqi_metrics *registry;
    pql_context *ctx;
    const pql_context_opts opts = {.workers = 1};
    assert_int_equal(pqi_metrics_new(&registry, NULL), PQL_OK);
    assert_int_equal(pql_context_new(&ctx, &opts, NULL), PQL_OK);
    assert_int_equal(pqi_worker_metrics(ctx, registry, NULL), PQL_OK);
    const double before = value_of(registry, "pqlink_worker_cpu_seconds_total{worker=\"0\"}");

    pql_context_free(ctx);

    assert_true(value_of(registry, "pqlink_workers") == 1);
    assert_true(value_of(registry, "pqlink_worker_cpu_seconds_total{worker=\"0\"}") >= before);
    pqi_metrics_free(registry);
}

static void a_second_context_does_not_fit(void **state)
{
    (void)state;
    pqi_metrics *registry;
    pql_context *first;
    pql_context *second;
    const pql_context_opts opts = {.workers = 1};
    assert_int_equal(pqi_metrics_new(&registry, NULL), PQL_OK);
    assert_int_equal(pql_context_new(&first, &opts, NULL), PQL_OK);
    assert_int_equal(pql_context_new(&second, &opts, NULL), PQL_OK);
    assert_int_equal(pqi_worker_metrics(first, registry, NULL), PQL_OK);

    assert_int_equal(pqi_worker_metrics(second, registry, NULL), PQL_E_EXISTS);

    pql_context_free(second);
    pql_context_free(first);
    pqi_metrics_free(registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_that_wait_for_a_worker_are_seen),
        cmocka_unit_test(the_last_values_stay_when_the_context_is_gone),
        cmocka_unit_test(a_second_context_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
