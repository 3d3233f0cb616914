/* What /version and the status page say of a policy is what TLS is configured from. */
#include "test.h"

#include "cmd/facts.h"

#include <stdlib.h>
#include <string.h>

static char *list_of(json_t *posture, const char *name)
{
    char *text = json_dumps(json_object_get(posture, name), JSON_COMPACT);
    assert_non_null(text);
    return text;
}

static void assert_list(pql_policy policy, bool pq_authentication, const char *name,
                        const char *expected)
{
    json_t *posture = pqi_posture_json(policy, pq_authentication);
    char *text = list_of(posture, name);
    assert_string_equal(text, expected);
    free(text);
    json_decref(posture);
}

static void the_groups_are_those_of_the_policy_in_order(void **state)
{
    (void)state;
    assert_list(PQL_POLICY_HYBRID, false, "groups", "[\"X25519MLKEM768\",\"X25519\"]");
    assert_list(PQL_POLICY_OFF, false, "groups", "[\"X25519\",\"P-256\",\"P-384\"]");
    assert_list(PQL_POLICY_PQ_ONLY, false, "groups",
                "[\"X25519MLKEM768\",\"SecP256r1MLKEM768\",\"SecP384r1MLKEM1024\"]");
}

static void authentication_by_ml_dsa_leaves_nothing_else(void **state)
{
    (void)state;
    assert_list(PQL_POLICY_HYBRID, true, "signatures",
                "[\"ML-DSA-87\",\"ML-DSA-65\",\"ML-DSA-44\"]");
    assert_list(PQL_POLICY_CNSA_2_0, false, "signatures", "[\"ML-DSA-87\"]");
}

static void what_is_asked_of_peers_is_a_word(void **state)
{
    (void)state;
    const struct {
        pql_policy policy;
        bool pq_authentication;
        const char *word;
    } cases[] = {{PQL_POLICY_HYBRID, false, "any"},
                 {PQL_POLICY_HYBRID, true, "ml-dsa"},
                 {PQL_POLICY_CNSA_2_0, false, "ml-dsa"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *posture = pqi_posture_json(cases[i].policy, cases[i].pq_authentication);
        assert_string_equal(json_string_value(json_object_get(posture, "authentication")),
                            cases[i].word);
        json_decref(posture);
    }
}

static void a_word_and_its_dated_policy_allow_the_same(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PQL_POLICY_COUNT; i++) {
        json_t *word = pqi_posture_json((pql_policy)i, false);
        json_t *dated = pqi_posture_json(pql_policy_dated((pql_policy)i), false);
        assert_non_null(word);
        assert_string_equal(json_string_value(json_object_get(word, "dated")),
                            json_string_value(json_object_get(dated, "policy")));
        assert_true(json_array_size(json_object_get(word, "groups")) > 0);
        assert_true(json_array_size(json_object_get(word, "ciphers")) > 0);
        (void)json_object_del(word, "policy");
        (void)json_object_del(dated, "policy");
        assert_true(json_equal(word, dated));
        json_decref(word);
        json_decref(dated);
    }
}

static void every_name_is_one_that_the_library_knows(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PQL_POLICY_COUNT; i++) {
        json_t *posture = pqi_posture_json((pql_policy)i, false);
        size_t at;
        json_t *name;
        json_array_foreach(json_object_get(posture, "groups"), at, name)
        {
            bool known = false;
            for (unsigned g = 0; g < PQL_GROUP_COUNT; g++) {
                known |= strcmp(json_string_value(name), pql_group_name(pql_group_at(g))) == 0;
            }
            assert_true(known);
        }
        json_array_foreach(json_object_get(posture, "signatures"), at, name)
        {
            assert_string_not_equal(json_string_value(name), "unknown");
        }
        json_decref(posture);
    }
}

static void the_build_says_no_place(void **state)
{
    (void)state;
    json_t *build = pqi_build_json();
    char *text = json_dumps(build, JSON_COMPACT);
    assert_non_null(text);
    assert_null(strchr(text, '/'));
    free(text);
    json_decref(build);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_groups_are_those_of_the_policy_in_order),
        cmocka_unit_test(authentication_by_ml_dsa_leaves_nothing_else),
        cmocka_unit_test(what_is_asked_of_peers_is_a_word),
        cmocka_unit_test(a_word_and_its_dated_policy_allow_the_same),
        cmocka_unit_test(every_name_is_one_that_the_library_knows),
        cmocka_unit_test(the_build_says_no_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
