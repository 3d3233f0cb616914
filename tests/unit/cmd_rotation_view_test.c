/* Times as people write them, and a rotation as people and programs read it. */
#include "test.h"

#include "cmd/rotation_view.h"

#include <string.h>

static void a_time_survives_its_text(void **state)
{
    (void)state;
    char text[PQI_TIME_TEXT_SIZE];
    uint64_t when = 0;
    pqi_time_format(text, 1796126400);
    assert_string_equal(text, "2026-12-01T12:00:00Z");
    assert_true(pqi_time_parse(&when, text));
    assert_true(when == 1796126400);
    assert_true(pqi_time_parse(&when, "2026-12-01"));
    assert_true(when == 1796126400 - 12 * 3600);
    assert_true(pqi_time_parse(&when, "2028-02-29"));
}

static void no_time_is_called_never(void **state)
{
    (void)state;
    char text[PQI_TIME_TEXT_SIZE];
    pqi_time_format(text, 0);
    assert_string_equal(text, "never");
}

static void anything_else_is_no_time(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "never",
                                      "2026-12-01T12:00:00",
                                      "2026-12-01 12:00:00Z",
                                      "2026-02-29",
                                      "2026-13-01",
                                      "2026-12-01T25:00:00Z",
                                      "2026-12-01T12:00:00+01:00",
                                      "1969-12-31",
                                      "1800000000",
                                      "2026-12-1",
                                      "2026-12-01T12:00:00Z ",
                                      "+026-12-01",
                                      " 2026-12-01",
                                      "2026-04-31"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t when = 42;
        if (pqi_time_parse(&when, bad[i]) || when != 42) {
            fail_msg("'%s' was taken for a time", bad[i]);
        }
    }
}

static void the_json_tells_the_state_and_its_times(void **state)
{
    (void)state;
    pqi_rotation all = {.plan = {.switch_at = 1000, .keep = 50}};
    assert_int_equal(pql_identity_ephemeral(&all.current, NULL, NULL), PQL_OK);
    assert_int_equal(pql_identity_ephemeral(&all.next, NULL, NULL), PQL_OK);
    json_t *root = pqi_rotation_json(&all);
    assert_string_equal(json_string_value(json_object_get(root, "state")), "prepared");
    assert_int_equal(json_integer_value(json_object_get(root, "switch_at")), 1000);
    assert_int_equal(json_integer_value(json_object_get(root, "drop_at")), 1050);
    assert_true(json_is_null(json_object_get(root, "previous")));
    json_decref(root);

    all.previous = all.next; /* as after the switch */
    all.next = NULL;
    all.plan.drop_at = 1060;
    root = pqi_rotation_json(&all);
    assert_string_equal(json_string_value(json_object_get(root, "state")), "overlap");
    assert_true(json_is_null(json_object_get(root, "switch_at")));
    assert_int_equal(json_integer_value(json_object_get(root, "drop_at")), 1060);
    json_decref(root);
    pqi_rotation_clear(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_survives_its_text),
        cmocka_unit_test(no_time_is_called_never),
        cmocka_unit_test(anything_else_is_no_time),
        cmocka_unit_test(the_json_tells_the_state_and_its_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
