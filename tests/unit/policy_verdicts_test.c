/* The verdict on every session that can be thought of, against a table that people can read, and
 * against rules that do not come from that table. */
#include "test.h"

#include "policy_verdicts.h"

#include <stdlib.h>
#include <string.h>

#define GOLDEN PQLINK_TEST_DATA "/policy-verdicts.tsv"

static char *read_golden(void)
{
    FILE *file = fopen(GOLDEN, "r");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    const long len = ftell(file);
    assert_true(len > 0);
    rewind(file);
    char *text = calloc(1, (size_t)len + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)len, file), (size_t)len);
    (void)fclose(file);
    return text;
}

static void every_verdict_is_that_of_the_table(void **state)
{
    (void)state;
    char *now = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&now, &size);
    assert_non_null(out);
    verdict_write_all(out);
    (void)fclose(out);
    char *golden = read_golden();
    char *now_rest = NULL;
    char *golden_rest = NULL;
    const char *is = strtok_r(now, "\n", &now_rest);
    const char *was = strtok_r(golden, "\n", &golden_rest);
    while (is != NULL && was != NULL) {
        assert_string_equal(is, was); /* `ninja policy-verdicts` shows all differences */
        is = strtok_r(NULL, "\n", &now_rest);
        was = strtok_r(NULL, "\n", &golden_rest);
    }
    assert_null(is);
    assert_null(was);
    free(now);
    free(golden);
}

/* ---- rules, from DESIGN.md section 6 and the registries; by code points, not by our tables ----
 */

static bool one_of(uint16_t code, const uint16_t *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i] == code) {
            return true;
        }
    }
    return false;
}

static bool has_ml_kem(uint16_t group)
{
    static const uint16_t list[] = {0x0200, 0x0201, 0x0202, 0x11eb, 0x11ec, 0x11ed};
    return one_of(group, list, VERDICT_COUNT(list));
}

static bool is_ml_dsa(uint16_t scheme)
{
    static const uint16_t list[] = {0x0904, 0x0905, 0x0906};
    return one_of(scheme, list, VERDICT_COUNT(list));
}

static pql_status status_under(const verdict_case *c, pql_policy policy)
{
    verdict_case other = *c;
    other.policy = policy;
    return verdict_of(&other).status;
}

typedef struct tally {
    unsigned cases, ok, of_policy[PQL_POLICY_COUNT];
} tally;

static void check_allowed(const verdict_case *c)
{
    const uint16_t own = verdict_roles[c->role].own;
    assert_true(c->group != 0 && c->group != VERDICT_UNKNOWN);
    if (c->policy == PQL_POLICY_OFF_2026) {
        assert_false(has_ml_kem(c->group));
    }
    if (c->policy == PQL_POLICY_PQ_ONLY_2026) {
        assert_true(has_ml_kem(c->group) && c->group != 0x0200);
    }
    if (c->policy == PQL_POLICY_CNSA_2_0_2026) {
        assert_true(c->group == 0x0202 || c->group == 0x11ed);
        assert_true(own == 0 || own == 0x0906);
        assert_true(c->signature == 0x0906 || (c->signature == 0 && own == 0x0906));
    }
    if (c->required && (c->signature != 0 || own == 0)) {
        assert_true(is_ml_dsa(c->signature));
    }
    if (verdict_transports[c->transport].version != 0x0304) {
        assert_false(verdict_transports[c->transport].quic || c->required);
        assert_true(c->policy == PQL_POLICY_OFF_2026 || c->policy == PQL_POLICY_HYBRID_2026);
    }
}

/* What a stricter policy takes, a less strict one takes too. */
static void check_order(const verdict_case *c)
{
    if (c->policy == PQL_POLICY_CNSA_2_0_2026) {
        assert_int_equal(status_under(c, PQL_POLICY_PQ_ONLY_2026), PQL_OK);
    }
    if (c->policy == PQL_POLICY_PQ_ONLY_2026) {
        assert_int_equal(status_under(c, PQL_POLICY_HYBRID_2026), PQL_OK);
    }
    verdict_case easier = *c;
    easier.required = false;
    assert_int_equal(verdict_of(&easier).status, PQL_OK);
}

static void check_case(const verdict_case *c, void *user)
{
    tally *t = user;
    const verdict v = verdict_of(c);
    verdict_case full = *c;
    full.resumed = false;
    t->cases++;
    assert_true(v.status == PQL_OK || v.status == PQL_E_POLICY);
    assert_true(v.keeps == PQL_OK || v.keeps == PQL_E_POLICY);
    assert_int_equal(v.status, verdict_of(&full).status); /* resumption excuses nothing */
    assert_int_equal(v.posture.pq_key_exchange, has_ml_kem(c->group));
    assert_int_equal(v.posture.pq_authentication,
                     is_ml_dsa(c->signature != 0 || verdict_roles[c->role].own == 0
                                   ? c->signature
                                   : verdict_roles[c->role].own));
    assert_int_equal(v.posture.downgrade != PQL_DOWNGRADE_NONE,
                     c->policy != PQL_POLICY_OFF_2026 && !has_ml_kem(c->group));
    /* A session that is there already is ended for being weaker only, never for being stronger. */
    assert_int_equal(v.keeps == PQL_OK && v.status != PQL_OK,
                     v.keeps == PQL_OK && c->policy == PQL_POLICY_OFF_2026 && has_ml_kem(c->group));
    assert_true(v.status != PQL_OK || v.keeps == PQL_OK);
    if (v.status == PQL_OK) {
        t->ok++;
        t->of_policy[c->policy]++;
        check_allowed(c);
        check_order(c);
    }
}

static void the_verdicts_keep_the_rules_whatever_the_table_says(void **state)
{
    (void)state;
    tally t = {0};
    verdict_for_all(check_case, &t);
    print_message("%u cases, %u allowed\n", t.cases, t.ok);
    assert_true(t.cases > 10000);
    for (size_t i = 0; i < VERDICT_COUNT(verdict_policies); i++) {
        assert_true(t.of_policy[verdict_policies[i]] > 0); /* no policy refuses everything */
    }
}

static void a_word_judges_as_the_policy_that_it_stands_for(void **state)
{
    (void)state;
    for (unsigned word = 0; word < PQL_POLICY_COUNT; word++) {
        for (unsigned g = 0; g < VERDICT_GROUPS; g++) {
            verdict_case c = {.policy = (pql_policy)word,
                              .group = verdict_group(g),
                              .signature = 0x0906,
                              .cipher = VERDICT_AES_256};
            assert_int_equal(verdict_of(&c).status,
                             status_under(&c, pql_policy_dated((pql_policy)word)));
        }
    }
}

static void a_session_without_aes_256_is_none_of_cnsa(void **state)
{
    (void)state;
    for (size_t i = 0; i < VERDICT_COUNT(verdict_ciphers); i++) {
        verdict_case c = {.policy = PQL_POLICY_CNSA_2_0,
                          .group = 0x0202,
                          .signature = 0x0906,
                          .cipher = verdict_ciphers[i]};
        assert_int_equal(verdict_of(&c).status == PQL_OK, verdict_ciphers[i] == 0x1302);
        c.policy = PQL_POLICY_PQ_ONLY;
        assert_int_equal(verdict_of(&c).status == PQL_OK,
                         verdict_ciphers[i] == 0x1302 || verdict_ciphers[i] == 0x1303);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_verdict_is_that_of_the_table),
        cmocka_unit_test(the_verdicts_keep_the_rules_whatever_the_table_says),
        cmocka_unit_test(a_word_judges_as_the_policy_that_it_stands_for),
        cmocka_unit_test(a_session_without_aes_256_is_none_of_cnsa),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
