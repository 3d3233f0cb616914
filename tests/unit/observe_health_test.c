#include "test.h"

#include "observe/health.h"

#include <stdio.h>
#include <string.h>

static pqi_health *health_with(const char *first, unsigned *first_id, const char *second,
                               unsigned *second_id)
{
    pqi_health *h;
    assert_int_equal(pqi_health_new(&h, NULL), PQL_OK);
    assert_int_equal(pqi_health_add(h, first, "Not yet.", first_id, NULL), PQL_OK);
    assert_int_equal(pqi_health_add(h, second, "Not yet.", second_id, NULL), PQL_OK);
    return h;
}

static void assert_written(pqi_health *h, const char *wanted)
{
    pqi_buf text = {0};
    bool ready;
    assert_int_equal(pqi_health_write(h, &text, &ready, NULL), PQL_OK);
    assert_true(pqi_buf_append(&text, "", 1));
    assert_string_equal((const char *)text.data, wanted);
    assert_int_equal(ready, pqi_health_ready(h));
    pqi_buf_free(&text);
}

static void it_is_ready_when_every_condition_is_fulfilled(void **state)
{
    (void)state;
    unsigned listener;
    unsigned store;
    pqi_health *h = health_with("listener", &listener, "store", &store);
    pqi_health_set_ok(h, listener);
    assert_false(pqi_health_ready(h));

    pqi_health_set_ok(h, store);

    assert_true(pqi_health_ready(h));
    assert_written(h,
                   "{\"ready\":true,\"degraded\":false,\"conditions\":{\"listener\":{\"ok\":true},"
                   "\"store\":{\"ok\":true}}}\n");
    pqi_health_free(h);
}

static void a_condition_that_fails_is_named_with_its_reason(void **state)
{
    (void)state;
    unsigned listener;
    unsigned store;
    pqi_health *h = health_with("listener", &listener, "store", &store);
    pqi_health_set_ok(h, listener);

    pqi_health_set_failed(h, store, "The disk is full.");

    assert_written(h,
                   "{\"ready\":false,\"degraded\":true,\"conditions\":{\"listener\":{\"ok\":true},"
                   "\"store\":{\"ok\":false,\"reason\":\"The disk is full.\"}},"
                   "\"missing\":[\"store\"],\"retry_after\":5}\n");
    pqi_health_free(h);
}

static void a_reason_that_is_no_text_still_makes_valid_json(void **state)
{
    (void)state;
    unsigned listener;
    unsigned store;
    pqi_health *h = health_with("listener", &listener, "store", &store);
    pqi_health_set_ok(h, listener);

    pqi_health_set_failed(h, store, "/srv/\xff\xfe");

    assert_written(h,
                   "{\"ready\":false,\"degraded\":true,\"conditions\":{\"listener\":{\"ok\":true},"
                   "\"store\":{\"ok\":false,\"reason\":\"The reason is no valid UTF-8 text; "
                   "see the log.\"}},\"missing\":[\"store\"],\"retry_after\":5}\n");
    pqi_health_free(h);
}

static void an_empty_reason_is_not_taken_for_fulfilled(void **state)
{
    (void)state;
    unsigned listener;
    unsigned store;
    pqi_health *h = health_with("listener", &listener, "store", &store);
    pqi_health_set_ok(h, listener);
    pqi_health_set_ok(h, store);

    pqi_health_set_failed(h, store, "");

    assert_false(pqi_health_ready(h));
    pqi_health_free(h);
}

static void a_condition_has_one_valid_name(void **state)
{
    (void)state;
    unsigned id;
    unsigned other;
    pqi_health *h = health_with("listener", &id, "store", &other);

    assert_int_equal(pqi_health_add(h, "store", "Again.", &id, NULL), PQL_E_EXISTS);
    assert_int_equal(pqi_health_add(h, "", "Empty.", &id, NULL), PQL_E_USAGE);
    assert_int_equal(pqi_health_add(h, "with space", "Space.", &id, NULL), PQL_E_USAGE);
    pqi_health_free(h);
}

static void conditions_are_bounded(void **state)
{
    (void)state;
    pqi_health *h;
    unsigned id;
    assert_int_equal(pqi_health_new(&h, NULL), PQL_OK);
    for (int i = 0; i < PQI_HEALTH_CONDITIONS_MAX; i++) {
        const char name[] = {(char)('a' + i), '\0'};
        assert_int_equal(pqi_health_add(h, name, "Not yet.", &id, NULL), PQL_OK);
    }

    assert_int_equal(pqi_health_add(h, "more", "Not yet.", &id, NULL), PQL_E_LIMIT);

    pqi_health_free(h);
}

static void readiness_is_a_gauge_too(void **state)
{
    (void)state;
    unsigned listener;
    unsigned store;
    pqi_metrics *m;
    pqi_buf text = {0};
    pqi_health *h = health_with("listener", &listener, "store", &store);
    assert_int_equal(pqi_metrics_new(&m, NULL), PQL_OK);
    pqi_health_register(h, m);

    assert_int_equal(pqi_metrics_write(m, PQI_METRICS_PROMETHEUS, &text, NULL), PQL_OK);
    pqi_health_set_ok(h, listener);
    pqi_health_set_ok(h, store);
    assert_int_equal(pqi_metrics_write(m, PQI_METRICS_PROMETHEUS, &text, NULL), PQL_OK);

    assert_true(pqi_buf_append(&text, "", 1));
    const char *not_ready = strstr((const char *)text.data, "\npqlink_ready 0\n");
    assert_non_null(not_ready);
    assert_non_null(strstr(not_ready, "\npqlink_ready 1\n"));
    pqi_buf_free(&text);
    pqi_metrics_free(m);
    pqi_health_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_ready_when_every_condition_is_fulfilled),
        cmocka_unit_test(a_condition_that_fails_is_named_with_its_reason),
        cmocka_unit_test(a_reason_that_is_no_text_still_makes_valid_json),
        cmocka_unit_test(an_empty_reason_is_not_taken_for_fulfilled),
        cmocka_unit_test(a_condition_has_one_valid_name),
        cmocka_unit_test(conditions_are_bounded),
        cmocka_unit_test(readiness_is_a_gauge_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
