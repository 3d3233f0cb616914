/* Encrypted private keys: what we write we read, what OpenSSL wrote too, and every way in which
 * that can go wrong has its sentence. */
#include "test.h"

#include "base/secret.h"
#include "identity/key.h"
#include "identity/key_file.h"

#include <stdlib.h>
#include <string.h>

/* Made with 'openssl pkcs8 -topk8 -v2 aes-256-cbc' of OpenSSL 3.0. */
static const char by_openssl[] =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
    "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAiwhvwNpJ7AEQICCAAw\n"
    "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEN8XYEiPac3keVlT/mZzWdIEgZDP\n"
    "iYaBw2za+7WW/xhgXKejiVdHDl2V3R+4Vc0ymYekG3MyeiDaA8UMwXSSWLTO2koY\n"
    "V/ko8Y/lT4Peq7IfoyBFSJ54oeWMSE+ySZ8jl2AFrGGq7AxERnmylQoz8R+5ZFIp\n"
    "Ma50QId5p6OHNVJWoDOPiwvY01CN8BvoXuCz0JPuglulRNwlEfraG0GEmHvQ92A=\n"
    "-----END ENCRYPTED PRIVATE KEY-----\n";
/* The same with -scrypt. */
static const char by_openssl_scrypt[] =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
    "MIHkME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAiz+nFZNnwBjQICQAAC\n"
    "AQgCAQEwHQYJYIZIAWUDBAEqBBDafi+LE2ZBjQmi1UhN5Or5BIGQmWbIAYMKrF/U\n"
    "YYakpupO364TQpf+Y06epO5ALMIgQxBUgatlUIbIgR3QVcaL16sfsQ/yGvvlADHJ\n"
    "UGwY28lUBYG/K7T3XvLJiKupbo43Lbe70s5U2wLhiMZbgbsw4L6+WlbWUUW1Qwzt\n"
    "FIrCeHv6PskrG+dDorDrVM0uJLfNePliwcWFN1h9B1+vIuurzz+W\n"
    "-----END ENCRYPTED PRIVATE KEY-----\n";

static const pqi_passphrase right = {.text = "correct horse", .len = 13};
static const pqi_passphrase wrong = {.text = "correct horsf", .len = 13};
static const pqi_passphrase shorter = {.text = "correct hors", .len = 12};

static EVP_PKEY *decode(const void *pem, size_t len, const pqi_passphrase *passphrase)
{
    EVP_PKEY *key = NULL;
    pql_error err = {0};
    if (pqi_key_file_decode(&key, pem, len, passphrase, "key.pem", &err) != PQL_OK) {
        fail_msg("%s", err.message);
    }
    return key;
}

static void assert_refused(const void *pem, size_t len, const pqi_passphrase *passphrase,
                           const char *words)
{
    EVP_PKEY *key = NULL;
    pql_error err = {0};
    assert_int_equal(pqi_key_file_decode(&key, pem, len, passphrase, "key.pem", &err),
                     PQL_E_IDENTITY);
    assert_null(key);
    assert_non_null(strstr(err.message, "key.pem"));
    if (strstr(err.message, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.message, words);
    }
}

typedef struct sealed {
    EVP_PKEY *key;
    uint8_t *pem;
    size_t len;
} sealed;

static sealed seal(EVP_PKEY *key)
{
    sealed s = {.key = key};
    assert_non_null(key);
    assert_int_equal(pqi_key_file_encode(key, &right, &s.pem, &s.len, NULL), PQL_OK);
    return s;
}

static void unseal(sealed *s)
{
    pqi_secret_free(s->pem, s->len);
    EVP_PKEY_free(s->key);
}

static void every_kind_of_key_survives_encryption(void **state)
{
    (void)state;
    EVP_PKEY *const keys[] = {
        pqi_key_make_ml_dsa(PQL_ML_DSA_87),
        pqi_key_make_ml_dsa(PQL_ML_DSA_44),
        pqi_key_make_p256(),
        pqi_key_make_ed25519(),
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        sealed s = seal(keys[i]);
        assert_true(pqi_key_file_is_encrypted(s.pem, s.len));
        EVP_PKEY *again = decode(s.pem, s.len, &right);
        assert_int_equal(EVP_PKEY_cmp(s.key, again), 1);
        assert_true(pqi_key_fits(again, s.key));
        EVP_PKEY_free(again);
        unseal(&s);
    }
}

static void the_same_key_is_never_encrypted_to_the_same_bytes(void **state)
{
    (void)state;
    sealed one = seal(pqi_key_make_p256());
    (void)EVP_PKEY_up_ref(one.key);
    sealed two = seal(one.key);
    assert_int_equal(one.len, two.len);
    assert_memory_not_equal(one.pem, two.pem, one.len);
    unseal(&one);
    unseal(&two);
}

static void a_key_that_openssl_encrypted_is_read(void **state)
{
    (void)state;
    EVP_PKEY *key = decode(by_openssl, strlen(by_openssl), &right);
    assert_non_null(pqi_key_kind_of(key, PQL_LEAF_CLASSICAL));
    EVP_PKEY_free(key);
}

static void a_wrong_passphrase_says_so(void **state)
{
    (void)state;
    sealed s = seal(pqi_key_make_p256());
    assert_refused(s.pem, s.len, &wrong, "does not fit");
    assert_refused(s.pem, s.len, &shorter, "does not fit");
    unseal(&s);
    assert_refused(by_openssl, strlen(by_openssl), &wrong, "does not fit");
}

static void a_missing_passphrase_says_what_to_give(void **state)
{
    (void)state;
    assert_refused(by_openssl, strlen(by_openssl), NULL, "--passphrase-file");
}

static void a_key_in_plain_text_is_not_taken_for_an_encrypted_one(void **state)
{
    (void)state;
    EVP_PKEY *key = pqi_key_make_p256();
    uint8_t *pem = NULL;
    size_t len = 0;
    assert_int_equal(pqi_key_file_encode(key, NULL, &pem, &len, NULL), PQL_OK);
    assert_false(pqi_key_file_is_encrypted(pem, len));
    assert_refused(pem, len, &right, "is not encrypted");
    EVP_PKEY *again = decode(pem, len, NULL);
    EVP_PKEY_free(again);
    EVP_PKEY_free(key);
    pqi_secret_free(pem, len);
}

static void an_unknown_encryption_says_which_is_known(void **state)
{
    (void)state;
    assert_refused(by_openssl_scrypt, strlen(by_openssl_scrypt), &right, "-v2 aes-256-cbc");
}

static void no_truncation_is_read_or_blamed_on_the_passphrase(void **state)
{
    (void)state;
    const size_t len = strlen(by_openssl);
    for (size_t cut = 0; cut + 1 < len; cut++) {
        assert_refused(by_openssl, cut, &right, "PKCS#8 private key in PEM");
    }
}

static void data_behind_the_key_is_refused(void **state)
{
    (void)state;
    char twice[2 * sizeof(by_openssl)];
    (void)snprintf(twice, sizeof(twice), "%s%s", by_openssl, by_openssl);
    assert_refused(twice, strlen(twice), &right, "PKCS#8 private key in PEM");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_key_survives_encryption),
        cmocka_unit_test(the_same_key_is_never_encrypted_to_the_same_bytes),
        cmocka_unit_test(a_key_that_openssl_encrypted_is_read),
        cmocka_unit_test(a_wrong_passphrase_says_so),
        cmocka_unit_test(a_missing_passphrase_says_what_to_give),
        cmocka_unit_test(a_key_in_plain_text_is_not_taken_for_an_encrypted_one),
        cmocka_unit_test(an_unknown_encryption_says_which_is_known),
        cmocka_unit_test(no_truncation_is_read_or_blamed_on_the_passphrase),
        cmocka_unit_test(data_behind_the_key_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
