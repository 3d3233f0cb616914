/* The retarget formula against the chain's vectors, and its bounds. */
#include "test.h"

#include "miner/difficulty.h"

#include <jansson.h>
#include <string.h>

static pqi_u512 number(const char *text)
{
    pqi_u512 value;
    assert_int_equal(pqi_u512_from_decimal(&value, text, strlen(text), NULL), PQL_OK);
    return value;
}

static void assert_number(const pqi_u512 *value, const char *expected)
{
    char text[PQI_U512_TEXT_SIZE];
    pqi_u512_to_decimal(text, value);
    assert_string_equal(text, expected);
}

static void every_retarget_of_the_vectors_comes_out_the_same(void **state)
{
    (void)state;
    const pqi_difficulty_rules rules = pqi_difficulty_rules_chain();
    json_t *root = json_load_file(PQLINK_TEST_DATA "/quantus-pow.json", 0, NULL);
    const json_t *list = json_object_get(root, "difficulty_retarget");
    assert_true(json_array_size(list) > 0);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i);
        const pqi_u512 parent = number(json_string_value(json_object_get(row, "parent")));
        const json_int_t took = json_integer_value(json_object_get(row, "block_time_ms"));
        assert_int_equal(json_integer_value(json_object_get(row, "target_ms")),
                         rules.block_time_ms);
        const pqi_u512 next = pqi_difficulty_next(&rules, &parent, (uint64_t)took);
        assert_number(&next, json_string_value(json_object_get(row, "result")));
    }
    json_decref(root);
}

static void the_difficulty_never_falls_below_the_minimum(void **state)
{
    (void)state;
    const pqi_difficulty_rules rules = pqi_difficulty_rules_chain();
    const pqi_u512 parent = pqi_u512_from_u64(PQI_DIFFICULTY_MINIMUM + 1);
    const pqi_u512 next = pqi_difficulty_next(&rules, &parent, UINT64_MAX);
    assert_number(&next, "131072");
}

static void the_difficulty_never_rises_above_512_bits(void **state)
{
    (void)state;
    const pqi_difficulty_rules rules = pqi_difficulty_rules_chain();
    const pqi_u512 max = pqi_u512_max();
    const pqi_u512 next = pqi_difficulty_next(&rules, &max, 0);
    assert_int_equal(pqi_u512_compare(&next, &max), 0);
}

static void one_fall_is_at_most_99_steps(void **state)
{
    (void)state;
    const pqi_difficulty_rules rules = pqi_difficulty_rules_chain();
    const pqi_u512 parent = pqi_u512_from_u64(UINT64_C(2048) * 1000000);
    const pqi_u512 at_99 = pqi_difficulty_next(&rules, &parent, UINT64_C(8000) * 100);
    const pqi_u512 later = pqi_difficulty_next(&rules, &parent, UINT64_MAX);
    assert_number(&at_99, "1949000000");
    assert_number(&later, "1949000000");
}

static void a_shorter_block_time_scales_the_bands_with_it(void **state)
{
    (void)state;
    const pqi_difficulty_rules rules = {.block_time_ms = 300, .minimum = pqi_u512_from_u64(1)};
    const pqi_u512 parent = pqi_u512_from_u64(2048000);
    const pqi_u512 faster = pqi_difficulty_next(&rules, &parent, 199);
    const pqi_u512 right = pqi_difficulty_next(&rules, &parent, 200);
    const pqi_u512 slower = pqi_difficulty_next(&rules, &parent, 400);
    assert_number(&faster, "2049000");
    assert_number(&right, "2048000");
    assert_number(&slower, "2047000");
}

static void the_shortest_block_time_still_moves_down(void **state)
{
    (void)state;
    const pqi_difficulty_rules rules = {.block_time_ms = 1, .minimum = pqi_u512_from_u64(1)};
    const pqi_u512 parent = pqi_u512_from_u64(2048000);
    const pqi_u512 next = pqi_difficulty_next(&rules, &parent, 2);
    assert_number(&next, "2047000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_retarget_of_the_vectors_comes_out_the_same),
        cmocka_unit_test(the_difficulty_never_falls_below_the_minimum),
        cmocka_unit_test(the_difficulty_never_rises_above_512_bits),
        cmocka_unit_test(one_fall_is_at_most_99_steps),
        cmocka_unit_test(a_shorter_block_time_scales_the_bands_with_it),
        cmocka_unit_test(the_shortest_block_time_still_moves_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
