/* 512-bit numbers: decimal text, bytes, order and division. */
#include "test.h"

#include "miner/u512.h"

#include <jansson.h>
#include <string.h>

#define MAX_TEXT                                                                                   \
    "13407807929942597099574024998205846127479365820592393377723561443721764030073546976801874298" \
    "166903427690031858186486050853753882811946569946433649006084095"

static pql_status parse(pqi_u512 *out, const char *text)
{
    return pqi_u512_from_decimal(out, text, strlen(text), NULL);
}

static void assert_text(const pqi_u512 *value, const char *expected)
{
    char text[PQI_U512_TEXT_SIZE];
    assert_int_equal(pqi_u512_to_decimal(text, value), strlen(expected));
    assert_string_equal(text, expected);
}

static void the_largest_number_survives_a_round_trip(void **state)
{
    (void)state;
    const pqi_u512 max = pqi_u512_max();
    pqi_u512 value;
    assert_int_equal(parse(&value, MAX_TEXT), PQL_OK);
    assert_int_equal(pqi_u512_compare(&value, &max), 0);
    assert_text(&value, MAX_TEXT);
}

static void zero_is_written_as_one_digit(void **state)
{
    (void)state;
    const pqi_u512 zero = pqi_u512_from_u64(0);
    assert_text(&zero, "0");
}

static void every_power_of_ten_and_its_neighbour_below_are_written_in_full(void **state)
{
    (void)state;
    char power[PQI_U512_TEXT_SIZE] = "1";
    char nines[PQI_U512_TEXT_SIZE] = "";
    for (size_t digits = 1; digits < PQI_U512_DIGITS; digits++) {
        pqi_u512 value;
        power[digits] = '0';
        nines[digits - 1] = '9';
        assert_int_equal(parse(&value, power), PQL_OK);
        assert_text(&value, power);
        assert_int_equal(parse(&value, nines), PQL_OK);
        assert_text(&value, nines);
    }
}

static void leading_zeros_are_accepted(void **state)
{
    (void)state;
    pqi_u512 value;
    assert_int_equal(parse(&value, "007"), PQL_OK);
    assert_text(&value, "7");
}

static void one_more_than_the_largest_number_is_refused(void **state)
{
    (void)state;
    char text[] = MAX_TEXT;
    text[strlen(text) - 1] = '6';
    pqi_u512 value = pqi_u512_max();
    assert_int_equal(parse(&value, text), PQL_E_LIMIT);
    assert_true(pqi_u512_is_zero(&value));
}

static void more_digits_than_the_largest_number_has_are_refused_even_if_zeros(void **state)
{
    (void)state;
    char text[PQI_U512_DIGITS + 2];
    memset(text, '0', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    pqi_u512 value;
    assert_int_equal(parse(&value, text), PQL_E_LIMIT);
    assert_int_equal(parse(&value, text + 1), PQL_OK);
}

static void empty_text_has_a_code_of_its_own(void **state)
{
    (void)state;
    pql_error err;
    pqi_u512 value = pqi_u512_max();
    assert_int_equal(pqi_u512_from_decimal(&value, "", 0, &err), PQL_E_NOT_FOUND);
    assert_int_equal(err.code, PQL_E_NOT_FOUND);
    assert_true(pqi_u512_is_zero(&value));
}

static void text_that_is_not_all_digits_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"0x10", " 5", "5 ", "+5", "-5", "5.0", "1e3", "\xd9\xa1"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        pqi_u512 value = pqi_u512_max();
        assert_int_equal(parse(&value, texts[i]), PQL_E_USAGE);
        assert_true(pqi_u512_is_zero(&value));
    }
}

static void a_nul_inside_the_text_is_not_its_end(void **state)
{
    (void)state;
    pqi_u512 value;
    assert_int_equal(pqi_u512_from_decimal(&value, "1\0002", 3, NULL), PQL_E_USAGE);
}

/* The official miner's treatment of each text; empty text is the one place where we differ. */
static void every_difficulty_text_of_the_vectors_is_treated_as_described(void **state)
{
    (void)state;
    json_t *root = json_load_file(PQLINK_TEST_DATA "/quantus-pow.json", 0, NULL);
    const json_t *list = json_object_get(root, "difficulty_strings");
    assert_true(json_array_size(list) > 0);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i);
        const char *text = json_string_value(json_object_get(row, "text"));
        const char *behaviour = json_string_value(json_object_get(row, "miner_behaviour"));
        pqi_u512 value;
        const bool usable = parse(&value, text) == PQL_OK && !pqi_u512_is_zero(&value);
        assert_int_equal(usable, strncmp(behaviour, "accepted", 8) == 0);
    }
    json_decref(root);
}

static void bytes_are_big_endian(void **state)
{
    (void)state;
    uint8_t bytes[PQI_U512_BYTES] = {0};
    uint8_t again[PQI_U512_BYTES];
    bytes[0] = 0x80;
    bytes[55] = 0x02;
    bytes[63] = 0x01;
    const pqi_u512 value = pqi_u512_from_bytes(bytes);
    assert_true(value.limb[0] == 1);
    assert_true(value.limb[1] == 2);
    assert_true(value.limb[7] == UINT64_C(1) << 63);
    pqi_u512_to_bytes(again, &value);
    assert_memory_equal(again, bytes, sizeof(bytes));
}

static void the_most_significant_difference_decides_the_order(void **state)
{
    (void)state;
    const pqi_u512 low = {.limb = {UINT64_MAX, 0, 0, 0, 0, 0, 0, 1}};
    const pqi_u512 high = {.limb = {0, 1, 0, 0, 0, 0, 0, 1}};
    assert_true(pqi_u512_compare(&low, &high) < 0);
    assert_true(pqi_u512_compare(&high, &low) > 0);
    assert_int_equal(pqi_u512_compare(&low, &low), 0);
}

static void carries_and_borrows_run_through_all_limbs(void **state)
{
    (void)state;
    const pqi_u512 max = pqi_u512_max();
    const pqi_u512 one = pqi_u512_from_u64(1);
    pqi_u512 value;
    assert_true(pqi_u512_add(&value, &max, &one));
    assert_true(pqi_u512_is_zero(&value));
    assert_true(pqi_u512_subtract(&value, &value, &one));
    assert_int_equal(pqi_u512_compare(&value, &max), 0);
}

static void division_by_zero_is_refused(void **state)
{
    (void)state;
    const pqi_u512 max = pqi_u512_max();
    const pqi_u512 zero = pqi_u512_from_u64(0);
    pqi_u512 quotient = max;
    assert_false(pqi_u512_divide(&quotient, &max, &zero));
    assert_true(pqi_u512_is_zero(&quotient));
}

static void a_number_divided_by_itself_is_one_and_by_a_larger_one_zero(void **state)
{
    (void)state;
    const pqi_u512 max = pqi_u512_max();
    const pqi_u512 smaller = {.limb = {1, 2, 3, 4, 5, 6, 7, 8}};
    pqi_u512 quotient;
    assert_true(pqi_u512_divide(&quotient, &max, &max));
    assert_text(&quotient, "1");
    assert_true(pqi_u512_divide(&quotient, &smaller, &max));
    assert_text(&quotient, "0");
}

/* a = q * d + r with r < d, checked by multiplying back. */
static void long_and_short_division_agree(void **state)
{
    (void)state;
    pqi_u512 a = {.limb = {0x123456789abcdef1, 7, 0, 99, UINT64_MAX, 1, 3, 0xfedcba9876543210}};
    for (uint64_t d = 1; d < UINT64_MAX / 3; d = d * 3 + 1) {
        const pqi_u512 divisor = pqi_u512_from_u64(d);
        pqi_u512 slow;
        pqi_u512 fast;
        pqi_u512 product;
        assert_true(pqi_u512_divide(&slow, &a, &divisor));
        const uint64_t rest = pqi_u512_divide_u64(&fast, &a, d);
        assert_int_equal(pqi_u512_compare(&slow, &fast), 0);
        assert_true(pqi_u512_multiply_u64(&product, &fast, d, rest) == 0);
        assert_int_equal(pqi_u512_compare(&product, &a), 0);
    }
}

static void multiplication_returns_what_does_not_fit(void **state)
{
    (void)state;
    const pqi_u512 max = pqi_u512_max();
    pqi_u512 product;
    assert_true(pqi_u512_multiply_u64(&product, &max, 10, 10) == 10);
    assert_true(pqi_u512_is_zero(&product));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_number_survives_a_round_trip),
        cmocka_unit_test(zero_is_written_as_one_digit),
        cmocka_unit_test(every_power_of_ten_and_its_neighbour_below_are_written_in_full),
        cmocka_unit_test(leading_zeros_are_accepted),
        cmocka_unit_test(one_more_than_the_largest_number_is_refused),
        cmocka_unit_test(more_digits_than_the_largest_number_has_are_refused_even_if_zeros),
        cmocka_unit_test(empty_text_has_a_code_of_its_own),
        cmocka_unit_test(text_that_is_not_all_digits_is_refused),
        cmocka_unit_test(a_nul_inside_the_text_is_not_its_end),
        cmocka_unit_test(every_difficulty_text_of_the_vectors_is_treated_as_described),
        cmocka_unit_test(bytes_are_big_endian),
        cmocka_unit_test(the_most_significant_difference_decides_the_order),
        cmocka_unit_test(carries_and_borrows_run_through_all_limbs),
        cmocka_unit_test(division_by_zero_is_refused),
        cmocka_unit_test(a_number_divided_by_itself_is_one_and_by_a_larger_one_zero),
        cmocka_unit_test(long_and_short_division_agree),
        cmocka_unit_test(multiplication_returns_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
