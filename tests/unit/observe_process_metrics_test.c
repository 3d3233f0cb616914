#include "test.h"

#include "observe/process_metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char status_text[] = "Name:\tpqlink\nVmSize:\t   20000 kB\nVmRSS:\t     900 kB\n"
                                  "RssAnon:\t     512 kB\nVmLck:\t       0 kB\n";

static void a_line_of_the_kernel_is_read_as_bytes(void **state)
{
    (void)state;
    assert_int_equal(pqi_process_status_bytes(status_text, "RssAnon"), 512 * 1024);
    assert_int_equal(pqi_process_status_bytes(status_text, "VmSize"), 20000 * 1024);
    assert_int_equal(pqi_process_status_bytes(status_text, "VmLck"), 0);
}

static void a_line_that_is_not_there_is_zero(void **state)
{
    (void)state;
    assert_int_equal(pqi_process_status_bytes(status_text, "VmSwap"), 0);
    assert_int_equal(pqi_process_status_bytes(status_text, "Rss"), 0);
    assert_int_equal(pqi_process_status_bytes("", "VmRSS"), 0);
    assert_int_equal(pqi_process_status_bytes("VmRSS", "VmRSS"), 0);
}

/* The value of the series |name| with its labels; -1 when there is none. */
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

static void the_figures_are_those_of_this_process(void **state)
{
    (void)state;
    pqi_metrics *registry;
    pqi_process_metrics *m;
    assert_int_equal(pqi_metrics_new(&registry, NULL), PQL_OK);
    assert_int_equal(pqi_process_metrics_new(&m, registry, NULL), PQL_OK);

    const double started = value_of(registry, "process_start_time_seconds");
    assert_true(started > 1e9 && started <= (double)time(NULL) + 1);
    assert_true(value_of(registry, "process_resident_memory_bytes") > 100e3);
    assert_true(value_of(registry, "process_virtual_memory_bytes") >=
                value_of(registry, "process_resident_memory_bytes"));
    assert_true(value_of(registry, "process_cpu_seconds_total") >= 0);
    assert_true(value_of(registry, "process_open_fds") >= 3);
    assert_true(value_of(registry, "process_max_fds") >= value_of(registry, "process_open_fds"));
    assert_true(value_of(registry, "pqlink_memory_bytes{kind=\"private\"}") > 10e3);
    assert_true(value_of(registry, "pqlink_memory_bytes{kind=\"locked\"}") >= 0);

    pqi_metrics_free(registry);
    pqi_process_metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_of_the_kernel_is_read_as_bytes),
        cmocka_unit_test(a_line_that_is_not_there_is_zero),
        cmocka_unit_test(the_figures_are_those_of_this_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
