#include "test.h"

#include "base/clock.h"
#include "cmd/mine_status.h"

#include <jansson.h>
#include <string.h>

static void assert_rate(double hashes_per_second, const char *wanted)
{
    char text[PQI_RATE_SIZE];
    pqi_rate_format(text, hashes_per_second);
    assert_string_equal(text, wanted);
}

static void rates_are_written_for_people(void **state)
{
    (void)state;

    assert_rate(0, "0 H/s");
    assert_rate(999, "999 H/s");
    assert_rate(1250, "1.25 kH/s");
    assert_rate(1.43e6, "1.43 MH/s");
    assert_rate(5e15, "5000.00 TH/s");
}

static void the_state_has_a_word(void **state)
{
    (void)state;

    assert_string_equal(pqi_mine_state_name(&(pqi_mine_status){0}), "connecting");
    assert_string_equal(pqi_mine_state_name(&(pqi_mine_status){.connected = true}),
                        "waiting for a job");
    assert_string_equal(pqi_mine_state_name(&(pqi_mine_status){.connected = true, .working = true}),
                        "mining");
}

static void what_is_neither_accepted_nor_stale_counts_as_rejected(void **state)
{
    (void)state;
    pqi_mine_status status = {0};
    for (unsigned i = 0; i < PQI_VERDICT_COUNT; i++) {
        status.verdicts[i] = 1;
    }

    assert_int_equal(pqi_mine_rejected(&status), PQI_VERDICT_COUNT - 2);
}

static json_t *json_of(const pqi_mine_status *status)
{
    pqi_buf text = {0};
    json_error_t why;
    assert_int_equal(
        pqi_mine_status_json(status, "quic://node:9833", 12 * PQI_NS_PER_SEC, &text, NULL), PQL_OK);
    json_t *root = json_loadb((const char *)text.data, text.len, 0, &why);
    pqi_buf_free(&text);
    assert_non_null(root);
    return root;
}

static void before_the_first_link_the_status_has_no_link_job_or_height(void **state)
{
    (void)state;
    const pqi_mine_status status = {
        .height = PQI_MINER_NO_NUMBER, .backend = "portable", .started_ns = 2 * PQI_NS_PER_SEC};

    json_t *root = json_of(&status);

    assert_string_equal(json_string_value(json_object_get(root, "node")), "quic://node:9833");
    assert_true(json_is_null(json_object_get(root, "link")));
    assert_true(json_is_null(json_object_get(root, "job")));
    assert_true(json_is_null(json_object_get(root, "height")));
    assert_true(json_real_value(json_object_get(root, "uptime_seconds")) == 10.0);
    json_decref(root);
}

static void a_working_miner_shows_posture_job_and_results(void **state)
{
    (void)state;
    pqi_mine_status status = {.connected = true,
                              .working = true,
                              .posture = {.group = 0x11ec, .peer_signature = 0x0906},
                              .job = {.id = "7"},
                              .height = 41,
                              .backend = "avx2"};
    status.job.difficulty = pqi_u512_from_u64(4000000);
    status.verdicts[PQI_VERDICT_ACCEPTED] = 3;

    json_t *root = json_of(&status);

    const json_t *link = json_object_get(root, "link");
    const json_t *job = json_object_get(root, "job");
    const json_t *results = json_object_get(root, "results");
    assert_string_equal(json_string_value(json_object_get(link, "group")), "X25519MLKEM768");
    assert_string_equal(json_string_value(json_object_get(job, "difficulty")), "4000000");
    assert_int_equal(json_integer_value(json_object_get(results, "accepted")), 3);
    assert_int_equal(json_integer_value(json_object_get(root, "height")), 41);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_written_for_people),
        cmocka_unit_test(the_state_has_a_word),
        cmocka_unit_test(what_is_neither_accepted_nor_stale_counts_as_rejected),
        cmocka_unit_test(before_the_first_link_the_status_has_no_link_job_or_height),
        cmocka_unit_test(a_working_miner_shows_posture_job_and_results),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
