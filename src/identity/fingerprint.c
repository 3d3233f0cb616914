#include "identity/identity.h"

#include "base/error.h"
#include "base/hex.h"
#include "crypto/hash.h"

#include <openssl/bytestring.h>
#include <openssl/x509.h>

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define HEX_DIGITS ((size_t)2 * PQL_SHA256_SIZE)

static const char cert_prefix[] = "sha256:";
static const char spki_prefix[] = "spki-sha256:";

/* Of ASCII alone: tolower() would go by the program's locale. */
static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Moves |*text| past |prefix| when it starts with it, in any case. */
static bool skip_prefix(const char **text, const char *prefix)
{
    size_t len = 0;
    for (; prefix[len] != '\0'; len++) {
        if (lower((*text)[len]) != prefix[len]) {
            return false;
        }
    }
    *text += len;
    return true;
}

static bool is_separator(char c)
{
    return c == ':' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Copies the digits without separators; false when there are not exactly HEX_DIGITS characters. */
static bool collect_digits(const char *text, char digits[HEX_DIGITS])
{
    size_t count = 0;
    for (; *text != '\0'; text++) {
        if (is_separator(*text)) {
            continue;
        }
        if (count == HEX_DIGITS) {
            return false;
        }
        digits[count++] = *text;
    }
    return count == HEX_DIGITS;
}

pql_status pql_fingerprint_parse(pql_fingerprint *out, const char *text, pql_error *err)
{
    char digits[HEX_DIGITS];
    memset(out, 0, sizeof(*out));
    pql_fingerprint_form form = PQL_FINGERPRINT_CERT;
    const char *rest = text;
    if (skip_prefix(&rest, spki_prefix)) {
        form = PQL_FINGERPRINT_SPKI;
    } else {
        (void)skip_prefix(&rest, cert_prefix);
    }
    if (!collect_digits(rest, digits) ||
        !pqi_hex_decode(out->sha256, PQL_SHA256_SIZE, digits, HEX_DIGITS)) {
        return pqi_fail(err, PQL_E_USAGE,
                        "A fingerprint is sha256: or spki-sha256: and 64 hexadecimal digits, as "
                        "'pqlink fingerprint' prints it.");
    }
    out->form = form;
    return PQL_OK;
}

void pql_fingerprint_format(const pql_fingerprint *fp, char out[PQL_FINGERPRINT_SIZE])
{
    char digits[HEX_DIGITS + 1];
    pqi_hex_encode(digits, fp->sha256, PQL_SHA256_SIZE);
    (void)snprintf(out, PQL_FINGERPRINT_SIZE, "%s%s",
                   fp->form == PQL_FINGERPRINT_SPKI ? spki_prefix : cert_prefix, digits);
}

/* True when |der| is one X.509 certificate and nothing more. */
static bool is_certificate(const uint8_t *der, size_t len)
{
    if (len == 0 || len > LONG_MAX) {
        return false;
    }
    const uint8_t *end = der;
    X509 *cert = d2i_X509(NULL, &end, (long)len);
    const bool whole = cert != NULL && end == der + len;
    X509_free(cert);
    return whole;
}

/* Finds the bytes of subjectPublicKeyInfo as they stand (RFC 5280, section 4.1), because what a
 * library would encode again need not be what the peer sent. */
static bool find_spki(const uint8_t *der, size_t len, CBS *spki)
{
    CBS input;
    CBS certificate;
    CBS tbs;
    CBS_init(&input, der, len);
    return CBS_get_asn1(&input, &certificate, CBS_ASN1_SEQUENCE) &&
           CBS_get_asn1(&certificate, &tbs, CBS_ASN1_SEQUENCE) &&
           CBS_get_optional_asn1(&tbs, NULL, NULL,
                                 CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 0) &&
           CBS_get_asn1(&tbs, NULL, CBS_ASN1_INTEGER) &&  /* serialNumber */
           CBS_get_asn1(&tbs, NULL, CBS_ASN1_SEQUENCE) && /* signature */
           CBS_get_asn1(&tbs, NULL, CBS_ASN1_SEQUENCE) && /* issuer */
           CBS_get_asn1(&tbs, NULL, CBS_ASN1_SEQUENCE) && /* validity */
           CBS_get_asn1(&tbs, NULL, CBS_ASN1_SEQUENCE) && /* subject */
           CBS_get_asn1_element(&tbs, spki, CBS_ASN1_SEQUENCE);
}

bool pqi_fingerprints_of_der(const uint8_t *der, size_t len, pql_fingerprint *of_cert,
                             pql_fingerprint *of_spki)
{
    CBS spki;
    *of_cert = (pql_fingerprint){.form = PQL_FINGERPRINT_CERT};
    *of_spki = (pql_fingerprint){.form = PQL_FINGERPRINT_SPKI};
    if (!is_certificate(der, len) || !find_spki(der, len, &spki)) {
        return false;
    }
    pqi_sha256(of_cert->sha256, der, len);
    pqi_sha256(of_spki->sha256, CBS_data(&spki), CBS_len(&spki));
    return true;
}

bool pqi_fingerprint_of_der(const uint8_t *der, size_t len, pql_fingerprint_form form,
                            pql_fingerprint *out)
{
    pql_fingerprint of_cert;
    pql_fingerprint of_spki;
    const bool good = pqi_fingerprints_of_der(der, len, &of_cert, &of_spki);
    *out = form == PQL_FINGERPRINT_SPKI ? of_spki : of_cert;
    return good;
}
