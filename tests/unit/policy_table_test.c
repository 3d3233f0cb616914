/* The dated policies, frozen; the questions that the rest of the program asks; offers. */
#include "test.h"

#include "policy/offer.h"
#include "policy/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROW_TEXT 1024

/* A row as one line, so that nothing of it can change unseen. */
static void write_row(char *out, const pqi_policy_row *row)
{
    int at = snprintf(out, ROW_TEXT, "%s %d [%s] [%s] %u %d [%s] [%s] [%s] %d %d", row->name,
                      (int)row->kind, row->groups, row->groups_tls12, row->least_ml_kem,
                      row->refuses_ml_kem, row->ciphers, row->ciphers_strong,
                      row->ciphers_tls12 != NULL ? row->ciphers_tls12 : "none", row->aes_128,
                      row->pq_authentication);
    for (const uint16_t *scheme = row->schemes; *scheme != 0; scheme++) {
        at += snprintf(out + at, ROW_TEXT - (size_t)at, " %04x", (unsigned)*scheme);
    }
    for (const uint16_t *scheme = row->schemes_tls12; *scheme != 0; scheme++) {
        at += snprintf(out + at, ROW_TEXT - (size_t)at, " +%04x", (unsigned)*scheme);
    }
}

#define SUITES_2026                                                                                \
    "[TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256] "                \
    "[TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256] "                                       \
    "[ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"    \
    "ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256] "
#define SCHEMES_2026 " 0906 0905 0904 0403 0807 0503 0804 0805 0806"
#define TLS12_2026 " +0401 +0501 +0601"

/* Whoever wrote "hybrid-2026" into a configuration decided on these groups, suites and signatures.
 * If this test fails, do not change the test: put the row back, and add one with a new date. */
static void a_dated_policy_never_changes(void **state)
{
    (void)state;
    static const struct {
        pql_policy policy;
        const char *text;
    } frozen[] = {
        {PQL_POLICY_OFF_2026,
         "off-2026 0 [X25519:P-256:P-384] [X25519:P-256:P-384] 0 1 " SUITES_2026
         "1 0" SCHEMES_2026 TLS12_2026},
        {PQL_POLICY_HYBRID_2026,
         "hybrid-2026 1 [X25519MLKEM768:X25519] [X25519MLKEM768:X25519:P-256:P-384] 0 "
         "0 " SUITES_2026 "1 0" SCHEMES_2026 TLS12_2026},
        {PQL_POLICY_PQ_ONLY_2026,
         "pq-only-2026 2 [X25519MLKEM768:SecP256r1MLKEM768:SecP384r1MLKEM1024] "
         "[X25519MLKEM768:SecP256r1MLKEM768:SecP384r1MLKEM1024] 768 0 "
         "[TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256] "
         "[TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256] [none] 0 0" SCHEMES_2026},
        {PQL_POLICY_CNSA_2_0_2026,
         "cnsa-2.0-2026 3 [MLKEM1024:SecP384r1MLKEM1024] [MLKEM1024:SecP384r1MLKEM1024] 1024 0 "
         "[TLS_AES_256_GCM_SHA384] [TLS_AES_256_GCM_SHA384] [none] 0 1 0906"},
    };
    for (size_t i = 0; i < sizeof(frozen) / sizeof(frozen[0]); i++) {
        char text[ROW_TEXT];
        write_row(text, pqi_policy_row_of(frozen[i].policy));
        assert_string_equal(text, frozen[i].text);
        assert_string_equal(pql_policy_name(frozen[i].policy),
                            pqi_policy_row_of(frozen[i].policy)->name);
    }
}

/* The numbers are public: they stand in programs that were compiled against the header. */
static void the_number_of_a_policy_never_changes(void **state)
{
    (void)state;
    static const char *const names[] = {"hybrid",      "off",      "pq-only",      "cnsa-2.0",
                                        "hybrid-2026", "off-2026", "pq-only-2026", "cnsa-2.0-2026"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_string_equal(pql_policy_name((pql_policy)i), names[i]);
    }
}

static void a_word_means_the_newest_row_of_its_kind(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PQL_POLICY_COUNT; i++) {
        const pql_policy policy = (pql_policy)i;
        const pql_policy dated = pql_policy_dated(policy);
        assert_ptr_equal(pqi_policy_row_of(policy), pqi_policy_row_of(dated));
        assert_int_equal(pql_policy_dated(dated), dated);
        assert_string_equal(pql_policy_name(dated), pqi_policy_row_of(policy)->name);
        for (unsigned k = 0; k < PQL_POLICY_COUNT; k++) {
            /* Names are dated by year, so the newest is the last in order. */
            const pqi_policy_row *other = pqi_policy_row_of((pql_policy)k);
            if (dated != policy && other->kind == pqi_policy_row_of(policy)->kind) {
                assert_true(strcmp(other->name, pql_policy_name(dated)) <= 0);
            }
        }
    }
}

static void a_policy_that_is_none_is_the_strictest(void **state)
{
    (void)state;
    assert_int_equal(pqi_policy_row_of((pql_policy)99)->kind, PQI_POLICY_KIND_CNSA);
    assert_true(pql_policy_needs_pq((pql_policy)99));
}

static void the_questions_have_an_answer_for_every_policy(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PQL_POLICY_COUNT; i++) {
        const pql_policy policy = (pql_policy)i;
        const bool cnsa = strncmp(pql_policy_name(policy), "cnsa", 4) == 0;
        assert_int_equal(pql_policy_needs_pq(policy),
                         cnsa || strncmp(pql_policy_name(policy), "pq-only", 7) == 0);
        assert_int_equal(pql_policy_wants_pq(policy),
                         strncmp(pql_policy_name(policy), "off", 3) != 0);
        assert_int_equal(pql_policy_needs_pq_authentication(policy), cnsa);
    }
}

static void cnsa_takes_no_key_but_ml_dsa_87_and_no_authorities(void **state)
{
    (void)state;
    pql_error err;
    assert_int_equal(pqi_policy_check_own(PQL_POLICY_CNSA_2_0, 0x0906, &err), PQL_OK);
    assert_int_equal(pqi_policy_check_own(PQL_POLICY_CNSA_2_0, 0x0905, &err), PQL_E_POLICY);
    assert_non_null(strstr(err.message, "ML-DSA-65"));
    assert_non_null(strstr(err.message, "keygen"));
    assert_int_equal(pqi_policy_check_own(PQL_POLICY_PQ_ONLY, 0x0403, &err), PQL_OK);
    assert_int_equal(pqi_policy_check_authority(PQL_POLICY_CNSA_2_0_2026, &err), PQL_E_POLICY);
    assert_non_null(strstr(err.message, "Pin"));
    assert_int_equal(pqi_policy_check_authority(PQL_POLICY_PQ_ONLY, &err), PQL_OK);
}

/* ---- offers ---- */

static void the_groups_of_a_policy_are_a_set(void **state)
{
    (void)state;
    assert_int_equal(pqi_policy_groups(PQL_POLICY_HYBRID),
                     pqi_offer_group_bit(0x11ec) | pqi_offer_group_bit(0x001d));
    assert_int_equal(pqi_policy_groups(PQL_POLICY_CNSA_2_0),
                     pqi_offer_group_bit(0x0202) | pqi_offer_group_bit(0x11ed));
    assert_int_equal(pqi_policy_groups(PQL_POLICY_OFF), pqi_offer_group_bit(0x001d) |
                                                            pqi_offer_group_bit(0x0017) |
                                                            pqi_offer_group_bit(0x0018));
}

/* Bits are public and counted: a place never changes. */
static void the_places_in_the_closed_lists_never_change(void **state)
{
    (void)state;
    static const uint16_t groups[PQL_GROUP_COUNT] = {0x0017, 0x0018, 0x0019, 0x001d, 0x0200,
                                                     0x0201, 0x0202, 0x11eb, 0x11ec, 0x11ed};
    static const uint16_t signatures[PQL_SIGNATURE_COUNT] = {0x0904, 0x0905, 0x0906, 0x0403, 0x0503,
                                                             0x0603, 0x0807, 0x0804, 0x0805, 0x0806,
                                                             0x0401, 0x0501, 0x0601};
    for (unsigned i = 0; i < PQL_GROUP_COUNT; i++) {
        assert_int_equal(pql_group_at(i), groups[i]);
    }
    for (unsigned i = 0; i < PQL_SIGNATURE_COUNT; i++) {
        assert_int_equal(pql_signature_at(i), signatures[i]);
    }
    assert_int_equal(pql_group_at(PQL_GROUP_COUNT), 0);
    assert_int_equal(pql_signature_at(PQL_SIGNATURE_COUNT), 0);
}

static void an_offer_is_read_without_grease_and_with_what_is_unknown(void **state)
{
    (void)state;
    /* As Chrome sends it: GREASE, X25519MLKEM768, X25519, P-256, and ffdhe2048 for an unknown. */
    static const uint8_t list[] = {0, 10, 0x4a, 0x4a, 0x11, 0xec, 0, 0x1d, 0, 0x17, 1, 0};
    assert_int_equal(pqi_offer_groups(list, sizeof(list)),
                     pqi_offer_group_bit(0x11ec) | pqi_offer_group_bit(0x001d) |
                         pqi_offer_group_bit(0x0017) | PQL_OFFER_OTHER);
    static const uint8_t schemes[] = {0, 4, 0x09, 0x06, 0x04, 0x03};
    assert_int_equal(pqi_offer_signatures(schemes, sizeof(schemes)),
                     pqi_offer_signature_bit(0x0906) | pqi_offer_signature_bit(0x0403));
}

static void a_malformed_offer_is_no_offer(void **state)
{
    (void)state;
    static const uint8_t list[] = {0, 4, 0x11, 0xec, 0, 0x1d};
    for (size_t len = 0; len < sizeof(list); len++) {
        assert_int_equal(pqi_offer_groups(list, len), 0);
    }
    static const uint8_t odd[] = {0, 3, 0x11, 0xec, 0};
    assert_int_equal(pqi_offer_groups(odd, sizeof(odd)), 0);
    static const uint8_t more[] = {0, 2, 0x11, 0xec, 0, 0x1d};
    assert_int_equal(pqi_offer_groups(more, sizeof(more)), 0);
    static const uint8_t none[] = {0, 0};
    assert_int_equal(pqi_offer_groups(none, sizeof(none)), 0);
}

static void of_a_long_offer_the_beginning_is_read(void **state)
{
    (void)state;
    uint8_t list[2 + 2 * (PQI_OFFER_MAX + 1)] = {0};
    const size_t bytes = sizeof(list) - 2;
    list[0] = (uint8_t)(bytes >> 8);
    list[1] = (uint8_t)bytes;
    for (size_t i = 2; i + 2 < sizeof(list); i += 2) {
        list[i + 1] = 0x1d;
    }
    list[sizeof(list) - 2] = 0x11; /* number PQI_OFFER_MAX + 1 */
    list[sizeof(list) - 1] = 0xec;
    assert_int_equal(pqi_offer_groups(list, sizeof(list)), pqi_offer_group_bit(0x001d));
}

static void a_set_is_written_by_its_names(void **state)
{
    (void)state;
    char text[64];
    pqi_offer_write_groups(text, sizeof(text),
                           pqi_offer_group_bit(0x001d) | pqi_offer_group_bit(0x11ec) |
                               PQL_OFFER_OTHER);
    assert_string_equal(text, "X25519, X25519MLKEM768, others");
    pqi_offer_write_groups(text, sizeof(text), PQL_OFFER_OTHER);
    assert_string_equal(text, "nothing known");
    pqi_offer_write_signatures(text, sizeof(text), pqi_offer_signature_bit(0x0906));
    assert_string_equal(text, "ML-DSA-87");
    pqi_offer_write_signatures(text, sizeof(text), UINT32_MAX); /* longer than there is room */
    assert_int_equal(strlen(text), sizeof(text) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dated_policy_never_changes),
        cmocka_unit_test(the_number_of_a_policy_never_changes),
        cmocka_unit_test(a_word_means_the_newest_row_of_its_kind),
        cmocka_unit_test(a_policy_that_is_none_is_the_strictest),
        cmocka_unit_test(the_questions_have_an_answer_for_every_policy),
        cmocka_unit_test(cnsa_takes_no_key_but_ml_dsa_87_and_no_authorities),
        cmocka_unit_test(the_groups_of_a_policy_are_a_set),
        cmocka_unit_test(the_places_in_the_closed_lists_never_change),
        cmocka_unit_test(an_offer_is_read_without_grease_and_with_what_is_unknown),
        cmocka_unit_test(a_malformed_offer_is_no_offer),
        cmocka_unit_test(of_a_long_offer_the_beginning_is_read),
        cmocka_unit_test(a_set_is_written_by_its_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
