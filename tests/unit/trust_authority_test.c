/* Trust by certificate authority: chains made here, good ones and every kind of bad one. */
#include "test.h"

#include "base/file.h"
#include "identity/key.h"
#include "identity/leaf.h"
#include "identity/pem.h"
#include "trust/trust.h"

#include <openssl/asn1.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOW INT64_C(1790000000)
#define DAY INT64_C(86400)

static char bundle[] = "/tmp/pqlink-roots-XXXXXX";

/* What one certificate of a test chain says. */
typedef struct spec {
    const char *name;
    const char *san;   /* NULL: none */
    const char *usage; /* extended key usage; NULL: none */
    bool ca;
    int64_t from;
    int64_t to;
    const EVP_MD *digest; /* NULL for ML-DSA */
} spec;

static const spec root_spec = {.name = "root", .ca = true, .from = NOW - DAY, .to = NOW + DAY};
static const spec middle_spec = {.name = "middle", .ca = true, .from = NOW - DAY, .to = NOW + DAY};
static const spec leaf_spec = {.name = "leaf",
                               .san = "DNS:node.example,IP:192.0.2.1,IP:2001:db8::1",
                               .usage = "serverAuth",
                               .from = NOW - DAY,
                               .to = NOW + DAY};

static void add_extension(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, NULL, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static void set_name(X509_NAME *name, const char *text)
{
    assert_int_equal(X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                                (const uint8_t *)text, -1, -1, 0),
                     1);
}

static X509 *issue(const spec *s, EVP_PKEY *key, const char *issuer, EVP_PKEY *issuer_key)
{
    static long serial = 1;
    X509 *cert = X509_new();
    assert_int_equal(X509_set_version(cert, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++), 1);
    set_name(X509_get_subject_name(cert), s->name);
    set_name(X509_get_issuer_name(cert), issuer);
    assert_non_null(ASN1_TIME_set_posix(X509_getm_notBefore(cert), s->from));
    assert_non_null(ASN1_TIME_set_posix(X509_getm_notAfter(cert), s->to));
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    add_extension(cert, NID_basic_constraints, s->ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (s->san != NULL) {
        add_extension(cert, NID_subject_alt_name, s->san);
    }
    if (s->usage != NULL) {
        add_extension(cert, NID_ext_key_usage, s->usage);
    }
    const EVP_MD *digest = EVP_PKEY_id(issuer_key) == EVP_PKEY_PQDSA ? NULL : EVP_sha256();
    assert_true(X509_sign(cert, issuer_key, s->digest != NULL ? s->digest : digest) > 0);
    return cert;
}

/* A root on disk, and a chain of DER below it. */
typedef struct world {
    EVP_PKEY *root_key;
    EVP_PKEY *leaf_key;
    X509 *root;
    uint8_t *der[3];
    pqi_chain chain;
} world;

static void send(world *w, X509 *cert)
{
    const size_t i = w->chain.count++;
    const int len = i2d_X509(cert, &w->der[i]);
    assert_true(len > 0);
    w->chain.der[i] = w->der[i];
    w->chain.len[i] = (size_t)len;
    X509_free(cert);
}

static void write_bundle(X509 *cert)
{
    uint8_t *der = NULL;
    uint8_t *pem = NULL;
    size_t pem_len = 0;
    const int len = i2d_X509(cert, &der);
    assert_true(pqi_pem_encode(der, (size_t)len, PQI_PEM_CERTIFICATE, &pem, &pem_len));
    assert_int_equal(pqi_file_write_atomic(bundle, pem, pem_len, 0600, NULL), PQL_OK);
    OPENSSL_free(der);
    free(pem);
}

static world make_world(EVP_PKEY *root_key, const spec *root, EVP_PKEY *leaf_key, const spec *leaf)
{
    world w = {.root_key = root_key, .leaf_key = leaf_key};
    w.root = issue(root, root_key, root->name, root_key);
    write_bundle(w.root);
    send(&w, issue(leaf, leaf_key, root->name, root_key));
    return w;
}

static void free_world(world *w)
{
    for (size_t i = 0; i < w->chain.count; i++) {
        OPENSSL_free(w->der[i]);
    }
    X509_free(w->root);
    EVP_PKEY_free(w->root_key);
    EVP_PKEY_free(w->leaf_key);
}

static pql_status check(const pqi_chain *chain, const char *host, int64_t now, pql_error *err)
{
    pqi_trust *trust = NULL;
    pql_trust how = PQL_TRUST_NONE;
    assert_int_equal(pqi_trust_new(&trust, &(pql_peer){.ca_file = bundle}, err), PQL_OK);
    const pql_status status =
        pqi_trust_check(trust, chain, host, "node.example:9833", now, PQI_KEX_HYBRID, &how, err);
    assert_int_equal(how, status == PQL_OK ? PQL_TRUST_CA : PQL_TRUST_NONE);
    pqi_trust_free(trust);
    return status;
}

/* A P-256 world in which only |leaf| differs from the good one; its verdict for |host| at NOW. */
static pql_status check_leaf(const spec *leaf, const char *host)
{
    world w = make_world(pqi_key_make_p256(), &root_spec, pqi_key_make_p256(), leaf);
    const pql_status status = check(&w.chain, host, NOW, NULL);
    free_world(&w);
    return status;
}

static void a_classical_chain_is_verified(void **state)
{
    (void)state;
    assert_int_equal(check_leaf(&leaf_spec, "node.example"), PQL_OK);
}

/* The verdict of a listener on a client with that leaf. */
static pql_status check_client(const spec *leaf)
{
    pqi_trust *trust = NULL;
    pql_trust how = PQL_TRUST_NONE;
    world w = make_world(pqi_key_make_p256(), &root_spec, pqi_key_make_p256(), leaf);
    assert_int_equal(pqi_trust_new_clients(&trust, &(pql_peer){.ca_file = bundle}, NULL), PQL_OK);
    const pql_status status =
        pqi_trust_check(trust, &w.chain, "", "", NOW, PQI_KEX_HYBRID, &how, NULL);
    assert_int_equal(how, status == PQL_OK ? PQL_TRUST_CA : PQL_TRUST_NONE);
    pqi_trust_free(trust);
    free_world(&w);
    return status;
}

static void a_client_of_the_authority_is_accepted_whatever_its_name(void **state)
{
    (void)state;
    spec leaf = leaf_spec;
    leaf.usage = "clientAuth";
    assert_int_equal(check_client(&leaf), PQL_OK);
    leaf.san = NULL;
    assert_int_equal(check_client(&leaf), PQL_OK);
}

static void a_certificate_for_servers_only_is_refused_from_a_client(void **state)
{
    (void)state;
    assert_int_equal(check_client(&leaf_spec), PQL_E_TRUST);
}

static void an_expired_client_is_refused(void **state)
{
    (void)state;
    spec leaf = leaf_spec;
    leaf.usage = "clientAuth";
    leaf.to = NOW - 1;
    assert_int_equal(check_client(&leaf), PQL_E_TRUST);
}

static void an_ml_dsa_chain_is_verified(void **state)
{
    (void)state;
    world w = make_world(pqi_key_make_ml_dsa(PQL_ML_DSA_65), &root_spec,
                         pqi_key_make_ml_dsa(PQL_ML_DSA_87), &leaf_spec);
    assert_int_equal(check(&w.chain, "node.example", NOW, NULL), PQL_OK);
    free_world(&w);
}

static void a_broken_ml_dsa_signature_is_refused(void **state)
{
    (void)state;
    world w = make_world(pqi_key_make_ml_dsa(PQL_ML_DSA_65), &root_spec,
                         pqi_key_make_ml_dsa(PQL_ML_DSA_87), &leaf_spec);
    w.der[0][w.chain.len[0] - 100] ^= 1;
    assert_int_equal(check(&w.chain, "node.example", NOW, NULL), PQL_E_TRUST);
    free_world(&w);
}

static void an_intermediate_that_the_peer_sends_is_used(void **state)
{
    (void)state;
    EVP_PKEY *middle_key = pqi_key_make_p256();
    world w = {.root_key = pqi_key_make_p256(), .leaf_key = pqi_key_make_p256()};
    w.root = issue(&root_spec, w.root_key, root_spec.name, w.root_key);
    write_bundle(w.root);
    send(&w, issue(&leaf_spec, w.leaf_key, middle_spec.name, middle_key));
    assert_int_equal(check(&w.chain, "node.example", NOW, NULL), PQL_E_TRUST);
    send(&w, issue(&middle_spec, middle_key, root_spec.name, w.root_key));
    assert_int_equal(check(&w.chain, "node.example", NOW, NULL), PQL_OK);
    EVP_PKEY_free(middle_key);
    free_world(&w);
}

static void an_intermediate_that_is_no_authority_is_refused(void **state)
{
    (void)state;
    spec not_ca = middle_spec;
    not_ca.ca = false;
    EVP_PKEY *middle_key = pqi_key_make_p256();
    world w = {.root_key = pqi_key_make_p256(), .leaf_key = pqi_key_make_p256()};
    w.root = issue(&root_spec, w.root_key, root_spec.name, w.root_key);
    write_bundle(w.root);
    send(&w, issue(&leaf_spec, w.leaf_key, middle_spec.name, middle_key));
    send(&w, issue(&not_ca, middle_key, root_spec.name, w.root_key));
    assert_int_equal(check(&w.chain, "node.example", NOW, NULL), PQL_E_TRUST);
    EVP_PKEY_free(middle_key);
    free_world(&w);
}

static void the_name_that_was_dialled_must_be_in_the_certificate(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        pql_status expected;
    } names[] = {
        {"node.example", PQL_OK},
        {"NODE.example", PQL_OK},
        {"node.example.", PQL_OK},
        {"192.0.2.1", PQL_OK},
        {"2001:db8::1", PQL_OK},
        {"[2001:db8::1]", PQL_OK},
        {"other.example", PQL_E_TRUST},
        {"sub.node.example", PQL_E_TRUST},
        {"example", PQL_E_TRUST},
        {"192.0.2.2", PQL_E_TRUST},
        {"[2001:db8::2]", PQL_E_TRUST},
        {"leaf", PQL_E_TRUST}, /* its CN */
        {"", PQL_E_TRUST},
    };
    world w = make_world(pqi_key_make_p256(), &root_spec, pqi_key_make_p256(), &leaf_spec);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(check(&w.chain, names[i].host, NOW, NULL), names[i].expected);
    }
    free_world(&w);
}

static void a_common_name_alone_proves_no_name(void **state)
{
    (void)state;
    spec no_san = leaf_spec;
    no_san.name = "node.example";
    no_san.san = NULL;
    assert_int_equal(check_leaf(&no_san, "node.example"), PQL_E_TRUST);
}

static void dates_are_judged_by_the_time_that_was_passed(void **state)
{
    (void)state;
    pql_error err;
    world w = make_world(pqi_key_make_p256(), &root_spec, pqi_key_make_p256(), &leaf_spec);
    assert_int_equal(check(&w.chain, "node.example", NOW - 2 * DAY, &err), PQL_E_TRUST);
    assert_int_equal(check(&w.chain, "node.example", NOW + 2 * DAY, &err), PQL_E_TRUST);
    assert_non_null(strstr(err.message, "expired"));
    assert_non_null(strstr(err.message, "sha256:"));
    assert_int_equal(check(&w.chain, "node.example", NOW, NULL), PQL_OK);
    free_world(&w);
}

static void a_client_certificate_is_no_server(void **state)
{
    (void)state;
    spec client = leaf_spec;
    client.usage = "clientAuth";
    assert_int_equal(check_leaf(&client, "node.example"), PQL_E_TRUST);
}

static void a_root_of_somebody_else_is_refused(void **state)
{
    (void)state;
    world w = make_world(pqi_key_make_p256(), &root_spec, pqi_key_make_p256(), &leaf_spec);
    EVP_PKEY *other = pqi_key_make_p256();
    X509 *impostor = issue(&root_spec, other, root_spec.name, other);
    write_bundle(impostor); /* the same name, another key */
    assert_int_equal(check(&w.chain, "node.example", NOW, NULL), PQL_E_TRUST);
    X509_free(impostor);
    EVP_PKEY_free(other);
    free_world(&w);
}

static void a_sha1_signature_is_refused(void **state)
{
    (void)state;
    spec weak = leaf_spec;
    weak.digest = EVP_sha1();
    assert_int_equal(check_leaf(&weak, "node.example"), PQL_E_TRUST);
}

static EVP_PKEY *make_rsa(int bits)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL);
    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, bits), 1);
    assert_int_equal(EVP_PKEY_keygen(ctx, &key), 1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static void a_short_rsa_key_is_refused(void **state)
{
    (void)state;
    world w = make_world(pqi_key_make_p256(), &root_spec, make_rsa(1024), &leaf_spec);
    pql_error err;
    assert_int_equal(check(&w.chain, "node.example", NOW, &err), PQL_E_TRUST);
    assert_non_null(strstr(err.message, "2048"));
    free_world(&w);
}

/* The throw-away issuer of a compact leaf vouches for nothing. */
static void a_compact_leaf_never_passes(void **state)
{
    (void)state;
    for (unsigned self_signed = 0; self_signed < 2; self_signed++) {
        world w = make_world(pqi_key_make_p256(), &root_spec, pqi_key_make_p256(), &leaf_spec);
        pqi_leaf leaf = {0};
        const pql_identity_opts opts = {.self_signed = self_signed != 0};
        assert_int_equal(pqi_leaf_make(&leaf, PQL_LEAF_PQ, &opts, NULL), PQL_OK);
        const pqi_chain chain = {.der = {CRYPTO_BUFFER_data(leaf.cert)},
                                 .len = {CRYPTO_BUFFER_len(leaf.cert)},
                                 .count = 1};
        assert_int_equal(check(&chain, "localhost", NOW, NULL), PQL_E_TRUST);
        pqi_leaf_clear(&leaf);
        free_world(&w);
    }
}

static void a_leaf_in_the_bundle_is_refused(void **state)
{
    (void)state;
    for (unsigned self_signed = 0; self_signed < 2; self_signed++) {
        pqi_leaf leaf = {0};
        pqi_trust *trust = NULL;
        pql_error err;
        const pql_identity_opts opts = {.self_signed = self_signed != 0};
        assert_int_equal(pqi_leaf_make(&leaf, PQL_LEAF_PQ, &opts, NULL), PQL_OK);
        X509 *cert = X509_parse_from_buffer(leaf.cert);
        write_bundle(cert);
        assert_int_equal(pqi_trust_new(&trust, &(pql_peer){.ca_file = bundle}, &err), PQL_E_IO);
        assert_non_null(strstr(err.message, "fingerprint"));
        X509_free(cert);
        pqi_leaf_clear(&leaf);
    }
}

static void an_unfit_bundle_is_an_error_at_start(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "hello\n", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nMIIB"};
    pqi_trust *trust = NULL;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(pqi_file_write_atomic(bundle, bad[i], strlen(bad[i]), 0600, NULL), PQL_OK);
        assert_int_equal(pqi_trust_new(&trust, &(pql_peer){.ca_file = bundle}, NULL), PQL_E_IO);
        assert_null(trust);
    }
    assert_int_equal(pqi_trust_new(&trust, &(pql_peer){.ca_file = "/nonexistent"}, NULL), PQL_E_IO);
}

static int make_bundle(void **state)
{
    (void)state;
    const int fd = mkstemp(bundle);
    return fd >= 0 && close(fd) == 0 ? 0 : -1;
}

static int remove_bundle(void **state)
{
    (void)state;
    return unlink(bundle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_classical_chain_is_verified),
        cmocka_unit_test(a_client_of_the_authority_is_accepted_whatever_its_name),
        cmocka_unit_test(a_certificate_for_servers_only_is_refused_from_a_client),
        cmocka_unit_test(an_expired_client_is_refused),
        cmocka_unit_test(an_ml_dsa_chain_is_verified),
        cmocka_unit_test(a_broken_ml_dsa_signature_is_refused),
        cmocka_unit_test(an_intermediate_that_the_peer_sends_is_used),
        cmocka_unit_test(an_intermediate_that_is_no_authority_is_refused),
        cmocka_unit_test(the_name_that_was_dialled_must_be_in_the_certificate),
        cmocka_unit_test(a_common_name_alone_proves_no_name),
        cmocka_unit_test(dates_are_judged_by_the_time_that_was_passed),
        cmocka_unit_test(a_client_certificate_is_no_server),
        cmocka_unit_test(a_root_of_somebody_else_is_refused),
        cmocka_unit_test(a_sha1_signature_is_refused),
        cmocka_unit_test(a_short_rsa_key_is_refused),
        cmocka_unit_test(a_compact_leaf_never_passes),
        cmocka_unit_test(a_leaf_in_the_bundle_is_refused),
        cmocka_unit_test(an_unfit_bundle_is_an_error_at_start),
    };
    return cmocka_run_group_tests(tests, make_bundle, remove_bundle);
}
