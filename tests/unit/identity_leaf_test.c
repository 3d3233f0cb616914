/* The shape and size of the certificates that an identity makes, and their fingerprints. */
#include "test.h"

#include "crypto/hash.h"
#include "identity/identity.h"
#include "identity/leaf.h"

#include <openssl/x509.h>

#include <string.h>

static pqi_leaf make(pql_leaf which, pql_sign sign, bool self_signed)
{
    pqi_leaf leaf = {0};
    const pql_identity_opts opts = {.sign = sign, .self_signed = self_signed};
    assert_int_equal(pqi_leaf_make(&leaf, which, &opts, NULL), PQL_OK);
    return leaf;
}

static size_t size_of(const pqi_leaf *leaf)
{
    return CRYPTO_BUFFER_len(leaf->cert);
}

static void a_compact_leaf_is_small(void **state)
{
    (void)state;
    static const size_t limits[] = {
        [PQL_ML_DSA_87] = 3000, [PQL_ML_DSA_65] = 2350, [PQL_ML_DSA_44] = 1700};
    for (unsigned sign = PQL_ML_DSA_87; sign <= PQL_ML_DSA_44; sign++) {
        pqi_leaf leaf = make(PQL_LEAF_PQ, (pql_sign)sign, false);
        print_message("compact %s leaf: %zu bytes\n", leaf.kind->algorithm, size_of(&leaf));
        assert_true(size_of(&leaf) < limits[sign]);
        pqi_leaf_clear(&leaf);
    }
}

static void a_self_signed_leaf_carries_its_own_signature(void **state)
{
    (void)state;
    pqi_leaf leaf = make(PQL_LEAF_PQ, PQL_ML_DSA_87, true);
    print_message("self-signed ML-DSA-87 leaf: %zu bytes\n", size_of(&leaf));
    assert_true(size_of(&leaf) > 7000);
    X509 *cert = X509_parse_from_buffer(leaf.cert);
    assert_int_equal(X509_verify(cert, leaf.key), 1);
    X509_free(cert);
    pqi_leaf_clear(&leaf);
}

static void assert_time(const ASN1_TIME *time, int64_t expected)
{
    int64_t got = 0;
    assert_int_equal(ASN1_TIME_to_posix(time, &got), 1);
    assert_true(got == expected);
}

static void assert_shape(const pqi_leaf *leaf, const char *issuer, int signature_nid)
{
    char name[64];
    X509 *cert = X509_parse_from_buffer(leaf->cert);
    assert_non_null(cert);
    assert_int_equal(X509_get_version(cert), X509_VERSION_3);
    (void)X509_NAME_oneline(X509_get_subject_name(cert), name, sizeof(name));
    assert_string_equal(name, "/CN=pqlink");
    (void)X509_NAME_oneline(X509_get_issuer_name(cert), name, sizeof(name));
    assert_string_equal(name, issuer);
    assert_int_equal(X509_get_signature_nid(cert), signature_nid);
    assert_time(X509_get0_notBefore(cert), INT64_C(157766400));
    assert_time(X509_get0_notAfter(cert), INT64_C(253402300799));
    assert_int_equal(X509_check_host(cert, "localhost", 9, 0, NULL), 1);
    assert_int_equal(X509_get_ext_count(cert), 1);
    assert_int_equal(X509_check_ca(cert), 0);
    X509_free(cert);
}

static void leaves_have_the_documented_shape(void **state)
{
    (void)state;
    pqi_leaf compact = make(PQL_LEAF_PQ, PQL_ML_DSA_87, false);
    pqi_leaf self_signed = make(PQL_LEAF_PQ, PQL_ML_DSA_65, true);
    pqi_leaf classical = make(PQL_LEAF_CLASSICAL, PQL_ML_DSA_87, false);
    assert_shape(&compact, "/CN=pqlink compact leaf", NID_ED25519);
    assert_shape(&self_signed, "/CN=pqlink", NID_MLDSA65);
    assert_shape(&classical, "/CN=pqlink", NID_ecdsa_with_SHA256);
    pqi_leaf_clear(&compact);
    pqi_leaf_clear(&self_signed);
    pqi_leaf_clear(&classical);
}

static void serial_numbers_differ(void **state)
{
    (void)state;
    pqi_leaf one = make(PQL_LEAF_CLASSICAL, PQL_ML_DSA_87, false);
    pqi_leaf two = make(PQL_LEAF_CLASSICAL, PQL_ML_DSA_87, false);
    X509 *first = X509_parse_from_buffer(one.cert);
    X509 *second = X509_parse_from_buffer(two.cert);
    assert_int_not_equal(
        ASN1_INTEGER_cmp(X509_get0_serialNumber(first), X509_get0_serialNumber(second)), 0);
    X509_free(first);
    X509_free(second);
    pqi_leaf_clear(&one);
    pqi_leaf_clear(&two);
}

static void fingerprints_cover_the_certificate_or_the_public_key(void **state)
{
    (void)state;
    pqi_leaf leaf = make(PQL_LEAF_PQ, PQL_ML_DSA_44, false);
    uint8_t digest[PQI_SHA256_SIZE];
    pqi_sha256(digest, CRYPTO_BUFFER_data(leaf.cert), size_of(&leaf));
    assert_memory_equal(leaf.of_cert.sha256, digest, sizeof(digest));
    uint8_t *spki = NULL;
    const int spki_len = i2d_PUBKEY(leaf.key, &spki);
    assert_true(spki_len > 0);
    pqi_sha256(digest, spki, (size_t)spki_len);
    assert_memory_equal(leaf.of_spki.sha256, digest, sizeof(digest));
    OPENSSL_free(spki);
    pqi_leaf_clear(&leaf);
}

static void bytes_after_a_certificate_have_no_fingerprint(void **state)
{
    (void)state;
    pqi_leaf leaf = make(PQL_LEAF_CLASSICAL, PQL_ML_DSA_87, false);
    uint8_t der[1024] = {0};
    pql_fingerprint fp;
    const size_t len = size_of(&leaf);
    memcpy(der, CRYPTO_BUFFER_data(leaf.cert), len);
    assert_true(pqi_fingerprint_of_der(der, len, PQL_FINGERPRINT_CERT, &fp));
    assert_false(pqi_fingerprint_of_der(der, len + 1, PQL_FINGERPRINT_CERT, &fp));
    for (size_t cut = 0; cut < len; cut++) {
        assert_false(pqi_fingerprint_of_der(der, cut, PQL_FINGERPRINT_SPKI, &fp));
    }
    pqi_leaf_clear(&leaf);
}

static void an_identity_in_memory_has_both_leaves(void **state)
{
    (void)state;
    pql_identity *id = NULL;
    const pql_identity_opts opts = {.sign = PQL_ML_DSA_65};
    assert_int_equal(pql_identity_ephemeral(&id, &opts, NULL), PQL_OK);
    assert_string_equal(pql_identity_algorithm(id, PQL_LEAF_PQ), "ML-DSA-65");
    assert_string_equal(pql_identity_algorithm(id, PQL_LEAF_CLASSICAL), "ECDSA-P256");
    assert_int_equal(pqi_identity_scheme(id, PQL_LEAF_PQ), 0x0905);
    assert_int_equal(pqi_identity_scheme(id, PQL_LEAF_CLASSICAL), 0x0403);
    assert_true(pql_identity_created(id));
    pql_identity_free(id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_compact_leaf_is_small),
        cmocka_unit_test(a_self_signed_leaf_carries_its_own_signature),
        cmocka_unit_test(leaves_have_the_documented_shape),
        cmocka_unit_test(serial_numbers_differ),
        cmocka_unit_test(fingerprints_cover_the_certificate_or_the_public_key),
        cmocka_unit_test(bytes_after_a_certificate_have_no_fingerprint),
        cmocka_unit_test(an_identity_in_memory_has_both_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
