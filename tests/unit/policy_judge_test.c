/* The verdict on a posture, and the names that people read. */
#include "test.h"

#include "policy/policy.h"

#include <string.h>

static const pqi_policy_use client_pq_only = {.policy = PQL_POLICY_PQ_ONLY, .quic = true};
static const pqi_policy_use client_hybrid = {.policy = PQL_POLICY_HYBRID, .quic = true};

static pql_posture posture(uint16_t group, uint16_t peer_signature)
{
    return (pql_posture){
        .tls_version = 0x0304, .group = group, .peer_signature = peer_signature, .cipher = 0x1302};
}

static void pq_only_refuses_a_classical_group_and_names_it(void **state)
{
    (void)state;
    pql_error err;
    pql_posture p = posture(0x001d, 0x0906);
    assert_int_equal(pqi_policy_judge(&client_pq_only, &p, &err), PQL_E_POLICY);
    assert_non_null(strstr(err.message, "X25519"));
    assert_non_null(strstr(err.message, "hybrid"));
}

static void pq_only_refuses_a_resumed_classical_session(void **state)
{
    (void)state;
    pql_posture p = posture(0x001d, 0x0906);
    p.resumed = true;
    assert_int_equal(pqi_policy_judge(&client_pq_only, &p, NULL), PQL_E_POLICY);
    assert_int_equal(p.downgrade, PQL_DOWNGRADE_RESUMED);
}

static void pq_only_takes_every_ml_kem_group(void **state)
{
    (void)state;
    static const uint16_t groups[] = {0x11eb, 0x11ec, 0x11ed, 0x0201, 0x0202};
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        pql_posture p = posture(groups[i], 0x0403);
        assert_int_equal(pqi_policy_judge(&client_pq_only, &p, NULL), PQL_OK);
        assert_true(p.pq_key_exchange);
        assert_false(p.pq_authentication);
    }
}

static void an_unknown_group_is_not_post_quantum(void **state)
{
    (void)state;
    pql_posture p = posture(0, 0x0906);
    assert_int_equal(pqi_policy_judge(&client_pq_only, &p, NULL), PQL_E_POLICY);
    p = posture(0x6399, 0x0906); /* the old Kyber draft */
    assert_int_equal(pqi_policy_judge(&client_pq_only, &p, NULL), PQL_E_POLICY);
}

static void hybrid_counts_a_classical_peer_as_a_downgrade(void **state)
{
    (void)state;
    pql_posture p = posture(0x001d, 0x0403);
    assert_int_equal(pqi_policy_judge(&client_hybrid, &p, NULL), PQL_OK);
    assert_int_equal(p.downgrade, PQL_DOWNGRADE_PEER_CLASSICAL);
    p = posture(0x11ec, 0x0403);
    assert_int_equal(pqi_policy_judge(&client_hybrid, &p, NULL), PQL_OK);
    assert_int_equal(p.downgrade, PQL_DOWNGRADE_NONE);
}

static void off_is_no_downgrade_and_refuses_ml_kem(void **state)
{
    (void)state;
    const pqi_policy_use off = {.policy = PQL_POLICY_OFF, .quic = true};
    pql_posture p = posture(0x001d, 0x0403);
    assert_int_equal(pqi_policy_judge(&off, &p, NULL), PQL_OK);
    assert_int_equal(p.downgrade, PQL_DOWNGRADE_NONE);
    p = posture(0x11ec, 0x0403);
    assert_int_equal(pqi_policy_judge(&off, &p, NULL), PQL_E_POLICY);
}

static void quic_without_tls_13_is_refused(void **state)
{
    (void)state;
    pql_posture p = posture(0x11ec, 0x0906);
    p.tls_version = 0x0303;
    assert_int_equal(pqi_policy_judge(&client_hybrid, &p, NULL), PQL_E_POLICY);
}

static void required_pq_authentication_looks_at_the_peer(void **state)
{
    (void)state;
    pqi_policy_use use = client_hybrid;
    use.pq_authentication = true;
    pql_posture p = posture(0x11ec, 0x0403);
    assert_int_equal(pqi_policy_judge(&use, &p, NULL), PQL_E_POLICY);
    p = posture(0x11ec, 0);
    assert_int_equal(pqi_policy_judge(&use, &p, NULL), PQL_E_POLICY);
    p = posture(0x11ec, 0x0904);
    assert_int_equal(pqi_policy_judge(&use, &p, NULL), PQL_OK);
}

static void a_server_without_client_certificates_counts_its_own_signature(void **state)
{
    (void)state;
    pqi_policy_use use = client_hybrid;
    use.server = true;
    pql_posture p = posture(0x11ec, 0);
    p.own_signature = 0x0906;
    assert_int_equal(pqi_policy_judge(&use, &p, NULL), PQL_OK);
    assert_true(p.pq_authentication);
    p.peer_signature = 0x0403; /* but a client that signed is what counts */
    assert_int_equal(pqi_policy_judge(&use, &p, NULL), PQL_OK);
    assert_false(p.pq_authentication);
}

/* What a user reads, on either side, for every policy: whole, and with a way out. */
static void every_alert_has_a_whole_sentence_under_every_policy(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PQL_POLICY_COUNT; i++) {
        for (unsigned flags = 0; flags < 4; flags++) {
            static const unsigned alerts[] = {40, 71};
            const pqi_policy_use use = {
                .policy = (pql_policy)i, .quic = true, .server = (flags & 1) != 0};
            for (size_t a = 0; a < 2; a++) {
                char text[400]; /* what a close has room for, before the peer's own words */
                pqi_policy_explain_alert(text, sizeof(text), &use, alerts[a], (flags & 2) != 0);
                assert_true(text[strlen(text) - 1] == '.');
                assert_non_null(strstr(text, alerts[a] == 40 ? "alert 40" : "alert 71"));
                assert_non_null(strstr(text, "polic"));
                if (!use.server && alerts[a] == 40 && (flags & 2) == 0) {
                    assert_non_null(strstr(text, "set the policy to "));
                    assert_non_null(strstr(text, pql_policy_name(use.policy)));
                }
            }
        }
    }
}

static void names_are_those_of_the_registries(void **state)
{
    (void)state;
    assert_string_equal(pql_group_name(0x11ec), "X25519MLKEM768");
    assert_string_equal(pql_group_name(0x001d), "X25519");
    assert_string_equal(pql_signature_name(0x0906), "ML-DSA-87");
    assert_string_equal(pql_signature_name(0x0403), "ecdsa_secp256r1_sha256");
    assert_string_equal(pql_cipher_name(0x1302), "TLS_AES_256_GCM_SHA384");
    assert_string_equal(pql_trust_name(PQL_TRUST_INSECURE), "insecure");
    assert_string_equal(pql_downgrade_name(PQL_DOWNGRADE_RESUMED), "resumed");
    assert_string_equal(pql_group_name(0xffff), "unknown");
    assert_string_equal(pql_signature_name(0), "unknown");
    assert_string_equal(pql_cipher_name(0), "unknown");
    assert_string_equal(pql_policy_name((pql_policy)99), "unknown");
    assert_string_equal(pql_trust_name((pql_trust)99), "unknown");
    assert_string_equal(pql_downgrade_name((pql_downgrade)99), "unknown");
}

static void a_policy_is_read_by_its_name_only(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PQL_POLICY_COUNT; i++) {
        pql_policy p = (pql_policy)99;
        assert_int_equal(pql_policy_parse(&p, pql_policy_name((pql_policy)i), NULL), PQL_OK);
        assert_int_equal(p, i);
    }
    static const char *const bad[] = {"",        "Hybrid", "pqonly",       "pq-only ",
                                      "unknown", "cnsa",   "cnsa-2.0-2027"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        pql_policy p = PQL_POLICY_OFF;
        assert_int_equal(pql_policy_parse(&p, bad[i], NULL), PQL_E_USAGE);
        assert_int_equal(p, PQL_POLICY_OFF);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pq_only_refuses_a_classical_group_and_names_it),
        cmocka_unit_test(pq_only_refuses_a_resumed_classical_session),
        cmocka_unit_test(pq_only_takes_every_ml_kem_group),
        cmocka_unit_test(an_unknown_group_is_not_post_quantum),
        cmocka_unit_test(hybrid_counts_a_classical_peer_as_a_downgrade),
        cmocka_unit_test(off_is_no_downgrade_and_refuses_ml_kem),
        cmocka_unit_test(quic_without_tls_13_is_refused),
        cmocka_unit_test(required_pq_authentication_looks_at_the_peer),
        cmocka_unit_test(a_server_without_client_certificates_counts_its_own_signature),
        cmocka_unit_test(every_alert_has_a_whole_sentence_under_every_policy),
        cmocka_unit_test(names_are_those_of_the_registries),
        cmocka_unit_test(a_policy_is_read_by_its_name_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
