/* The permutation, its parts and the sponge against the vectors of two other implementations. */
#include "test.h"

#include "base/hex.h"
#include "miner/poseidon2.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define P UINT64_C(0xffffffff00000001)
#define WIDTH PQI_POSEIDON2_WIDTH
#define INPUT_MAX 512

static json_t *vectors;

static int load_vectors(void **state)
{
    (void)state;
    vectors = json_load_file(PQLINK_TEST_DATA "/quantus-poseidon2.json", 0, NULL);
    return vectors == NULL ? -1 : 0;
}

static int drop_vectors(void **state)
{
    (void)state;
    json_decref(vectors);
    return 0;
}

static uint64_t element(const json_t *text)
{
    assert_non_null(json_string_value(text));
    return strtoull(json_string_value(text), NULL, 16);
}

static void read_state(uint64_t out[WIDTH], const json_t *list)
{
    assert_int_equal(json_array_size(list), WIDTH);
    for (size_t i = 0; i < WIDTH; i++) {
        out[i] = element(json_array_get(list, i));
    }
}

/* Applies |step| to the input of each vector of |name| and compares. */
static void assert_step(const char *name, void (*step)(uint64_t state[WIDTH]))
{
    const json_t *list = json_object_get(vectors, name);
    assert_true(json_array_size(list) > 0);
    for (size_t i = 0; i < json_array_size(list); i++) {
        uint64_t actual[WIDTH];
        uint64_t expected[WIDTH];
        read_state(actual, json_object_get(json_array_get(list, i), "input"));
        read_state(expected, json_object_get(json_array_get(list, i), "output"));
        step(actual);
        assert_memory_equal(actual, expected, sizeof(expected));
    }
}

static void the_permutation_matches_the_vectors(void **state)
{
    (void)state;
    assert_step("permutation", pqi_poseidon2_permute);
}

static void the_external_layer_matches_the_vectors(void **state)
{
    (void)state;
    assert_step("external_linear_layer", pqi_poseidon2_external_layer);
}

static void the_internal_layer_matches_the_vectors(void **state)
{
    (void)state;
    assert_step("internal_linear_layer", pqi_poseidon2_internal_layer);
}

static void the_sbox_matches_the_vectors(void **state)
{
    (void)state;
    const json_t *list = json_object_get(vectors, "sbox");
    assert_true(json_array_size(list) > 0);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *pair = json_array_get(list, i);
        assert_true(pqi_poseidon2_sbox(element(json_array_get(pair, 0))) ==
                    element(json_array_get(pair, 1)));
    }
}

static void values_of_p_and_above_stand_for_their_residue(void **state)
{
    (void)state;
    assert_true(pqi_poseidon2_sbox(P) == 0);
    assert_true(pqi_poseidon2_sbox(P - 1) == P - 1);
    assert_true(pqi_poseidon2_sbox(P + 2) == 128);
    assert_true(pqi_poseidon2_sbox(UINT64_MAX) == pqi_poseidon2_sbox(UINT64_MAX - P));
}

static void a_state_of_values_above_p_permutes_like_their_residues(void **state)
{
    (void)state;
    uint64_t large[WIDTH];
    uint64_t small[WIDTH];
    for (size_t i = 0; i < WIDTH; i++) {
        large[i] = UINT64_MAX - i;
        small[i] = large[i] - P;
    }
    pqi_poseidon2_permute(large);
    pqi_poseidon2_permute(small);
    assert_memory_equal(large, small, sizeof(small));
}

static void assert_hashes(const char *name, size_t size)
{
    const json_t *list = json_object_get(vectors, name);
    assert_true(json_array_size(list) > 0);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *input = json_string_value(json_object_get(json_array_get(list, i), "input"));
        const char *output = json_string_value(json_object_get(json_array_get(list, i), "output"));
        const size_t len = strlen(input) / 2;
        uint8_t data[INPUT_MAX];
        uint8_t hash[PQI_POSEIDON2_HASH_SIZE];
        char text[2 * PQI_POSEIDON2_HASH_SIZE + 1];
        assert_true(len <= sizeof(data));
        assert_true(pqi_hex_decode(data, len, input, strlen(input)));
        pqi_poseidon2_hash(hash, data, len);
        pqi_hex_encode(text, hash, size);
        assert_string_equal(text, output);
    }
}

static void hashes_of_inputs_of_many_lengths_match_the_vectors(void **state)
{
    (void)state;
    assert_hashes("hash_64_bytes", 64);
    assert_hashes("hash_32_bytes", 32); /* the first half of the same output */
}

static void assert_constant(FILE *file, uint64_t actual)
{
    uint64_t expected = 0;
    assert_int_equal(fscanf(file, "%" SCNx64, &expected), 1);
    assert_true(actual == expected);
}

static void skip_to_section(FILE *file, const char *name)
{
    char line[512];
    char found[64] = "";
    while (strcmp(found, name) != 0 && fgets(line, sizeof(line), file) != NULL) {
        sscanf(line, "section %63s", found);
    }
    assert_string_equal(found, name);
}

static void every_constant_equals_the_published_file(void **state)
{
    (void)state;
    FILE *file = fopen(PQLINK_TEST_DATA "/quantus-poseidon2-constants.txt", "r");
    assert_non_null(file);
    skip_to_section(file, "internal_round_constants");
    for (size_t r = 0; r < PQI_POSEIDON2_INTERNAL_ROUNDS; r++) {
        assert_constant(file, pqi_poseidon2_internal_constants[r]);
    }
    skip_to_section(file, "internal_matrix_diagonal");
    for (size_t i = 0; i < WIDTH; i++) {
        assert_constant(file, pqi_poseidon2_diagonal[i]);
    }
    skip_to_section(file, "external_initial_round_constants");
    for (size_t i = 0; i < PQI_POSEIDON2_EXTERNAL_ROUNDS * WIDTH; i++) {
        assert_constant(file, pqi_poseidon2_initial_constants[i / WIDTH][i % WIDTH]);
    }
    skip_to_section(file, "external_terminal_round_constants");
    for (size_t i = 0; i < PQI_POSEIDON2_EXTERNAL_ROUNDS * WIDTH; i++) {
        assert_constant(file, pqi_poseidon2_terminal_constants[i / WIDTH][i % WIDTH]);
    }
    fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_permutation_matches_the_vectors),
        cmocka_unit_test(the_external_layer_matches_the_vectors),
        cmocka_unit_test(the_internal_layer_matches_the_vectors),
        cmocka_unit_test(the_sbox_matches_the_vectors),
        cmocka_unit_test(values_of_p_and_above_stand_for_their_residue),
        cmocka_unit_test(a_state_of_values_above_p_permutes_like_their_residues),
        cmocka_unit_test(hashes_of_inputs_of_many_lengths_match_the_vectors),
        cmocka_unit_test(every_constant_equals_the_published_file),
    };
    return cmocka_run_group_tests(tests, load_vectors, drop_vectors);
}
