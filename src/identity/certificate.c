#include "identity/certificate.h"

#include "crypto/random.h"
#include "identity/key.h"

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/mem.h>
#include <openssl/x509.h>

/* Dates without meaning: a leaf is valid as long as somebody pins it, so no clock can break it.
 * RFC 5280, section 4.1.2.5: 99991231235959Z stands for "no well-defined expiration date". */
#define NOT_BEFORE INT64_C(157766400)   /* 1975-01-01 00:00:00 UTC */
#define NOT_AFTER INT64_C(253402300799) /* 9999-12-31 23:59:59 UTC */
#define SERIAL_SIZE 16

static const char subject_name[] = "pqlink";
static const char compact_issuer_name[] = "pqlink compact leaf";

static bool set_common_name(X509_NAME *name, const char *text)
{
    return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, (const uint8_t *)text,
                                      -1, -1, 0) == 1;
}

/* Positive, never zero, 16 bytes long (RFC 5280, section 4.1.2.2). */
static bool set_serial(X509 *cert)
{
    uint8_t bytes[SERIAL_SIZE];
    pqi_random(bytes, sizeof(bytes));
    bytes[0] = (uint8_t)((bytes[0] & 0x3f) | 0x40);
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    const bool ok =
        number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
    BN_free(number);
    return ok;
}

static bool set_validity(X509 *cert)
{
    return ASN1_TIME_set_posix(X509_getm_notBefore(cert), NOT_BEFORE) != NULL &&
           ASN1_TIME_set_posix(X509_getm_notAfter(cert), NOT_AFTER) != NULL;
}

static bool add_localhost(X509 *cert)
{
    X509_EXTENSION *extension =
        X509V3_EXT_nconf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");
    const bool ok = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

static bool fill(X509 *cert, EVP_PKEY *key, const char *issuer)
{
    return X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) && set_validity(cert) &&
           set_common_name(X509_get_subject_name(cert), subject_name) &&
           set_common_name(X509_get_issuer_name(cert), issuer) && X509_set_pubkey(cert, key) == 1 &&
           add_localhost(cert);
}

static bool sign_by_itself(X509 *cert, EVP_PKEY *key)
{
    return X509_sign(cert, key, pqi_key_digest(key)) > 0;
}

static bool sign_and_throw_away(X509 *cert)
{
    EVP_PKEY *issuer = pqi_key_make_ed25519();
    const bool ok = issuer != NULL && X509_sign(cert, issuer, NULL) > 0;
    EVP_PKEY_free(issuer); /* the only reference: AWS-LC wipes what it frees */
    return ok;
}

static CRYPTO_BUFFER *encode(X509 *cert)
{
    uint8_t *der = NULL;
    const int len = i2d_X509(cert, &der);
    if (len <= 0) {
        return NULL;
    }
    CRYPTO_BUFFER *buffer = CRYPTO_BUFFER_new(der, (size_t)len, NULL);
    OPENSSL_free(der);
    return buffer;
}

CRYPTO_BUFFER *pqi_certificate_make(EVP_PKEY *key, pqi_issuer issuer)
{
    CRYPTO_BUFFER *buffer = NULL;
    const bool compact = issuer == PQI_ISSUER_THROW_AWAY;
    X509 *cert = X509_new();
    if (cert != NULL && fill(cert, key, compact ? compact_issuer_name : subject_name) &&
        (compact ? sign_and_throw_away(cert) : sign_by_itself(cert, key))) {
        buffer = encode(cert);
    }
    X509_free(cert);
    return buffer;
}
