/* The self-test passes on the library that we link, and each of its answers is really compared. */
#include "test.h"

#include "crypto/self_test.h"

#include <stdlib.h>
#include <string.h>

static const char wrong_answer[] =
    "0000000000000000000000000000000000000000000000000000000000000000";

static void assert_fails_for(const pqi_self_test_answers *answers, const char *algorithm)
{
    pql_error err = {0};
    uint64_t took = 0;
    assert_int_equal(pqi_self_test(answers, &took, &err), PQL_E_CRYPTO);
    assert_non_null(strstr(err.message, algorithm));
    assert_int_equal(took, 0);
}

static void the_linked_library_gives_the_known_answers(void **state)
{
    (void)state;
    uint64_t took = 0;
    pql_error err = {0};
    assert_int_equal(pqi_self_test(&pqi_self_test_known, &took, &err), PQL_OK);
    assert_true(took > 0);
    print_message("# the self-test took %.2f ms\n", (double)took / 1e6);
    assert_int_equal(pqi_self_test(&pqi_self_test_known, NULL, NULL), PQL_OK);
}

static void each_answer_about_ml_kem_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < PQI_SELF_TEST_KEMS; i++) {
        for (int field = 0; field < 5; field++) {
            pqi_self_test_answers answers = pqi_self_test_known;
            pqi_kem_answer *a = &answers.kems[i];
            const char **fields[] = {&a->public_sha256, &a->secret_sha256, &a->ciphertext_sha256,
                                     &a->shared, &a->rejected};
            *fields[field] = wrong_answer;
            assert_fails_for(&answers, a->name);
        }
    }
}

static void each_answer_about_ml_dsa_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < PQI_SELF_TEST_DSAS; i++) {
        pqi_self_test_answers answers = pqi_self_test_known;
        answers.dsas[i].public_sha256 = wrong_answer;
        assert_fails_for(&answers, answers.dsas[i].name);

        answers = pqi_self_test_known;
        const size_t len = *answers.dsas[i].signature_len;
        uint8_t *spoilt = malloc(len);
        assert_non_null(spoilt);
        memcpy(spoilt, answers.dsas[i].signature, len);
        spoilt[len - 1] ^= 0x40;
        answers.dsas[i].signature = spoilt;
        assert_fails_for(&answers, answers.dsas[i].name);
        free(spoilt);
    }
}

static void an_algorithm_that_the_library_does_not_have_fails(void **state)
{
    (void)state;
    pqi_self_test_answers answers = pqi_self_test_known;
    answers.kems[0].nid = 0;
    assert_fails_for(&answers, "ML-KEM-768");
    answers = pqi_self_test_known;
    answers.dsas[2].nid = 0;
    assert_fails_for(&answers, "ML-DSA-87");
}

static void the_answers_of_the_classical_parts_count(void **state)
{
    (void)state;
    pqi_self_test_answers answers = pqi_self_test_known;
    answers.x25519_shared = wrong_answer;
    assert_fails_for(&answers, "X25519");
    answers = pqi_self_test_known;
    answers.gcm_sealed = wrong_answer;
    assert_fails_for(&answers, "AES-256-GCM");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_linked_library_gives_the_known_answers),
        cmocka_unit_test(each_answer_about_ml_kem_counts),
        cmocka_unit_test(each_answer_about_ml_dsa_counts),
        cmocka_unit_test(an_algorithm_that_the_library_does_not_have_fails),
        cmocka_unit_test(the_answers_of_the_classical_parts_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
