#include "policy/table.h"

#include "base/error.h"

#include <openssl/ssl.h>

#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* ML-DSA first, so that a peer with both leaves shows its ML-DSA one. */
#define SCHEMES_2026                                                                               \
    SSL_SIGN_MLDSA87, SSL_SIGN_MLDSA65, SSL_SIGN_MLDSA44, SSL_SIGN_ECDSA_SECP256R1_SHA256,         \
        SSL_SIGN_ED25519, SSL_SIGN_ECDSA_SECP384R1_SHA384, SSL_SIGN_RSA_PSS_RSAE_SHA256,           \
        SSL_SIGN_RSA_PSS_RSAE_SHA384, SSL_SIGN_RSA_PSS_RSAE_SHA512
/* For RSA certificates under TLS 1.2; TLS 1.3 has no PKCS#1 v1.5 handshake signatures (RFC 8446,
 * section 4.2.3). */
#define SCHEMES_TLS12_2026                                                                         \
    SSL_SIGN_RSA_PKCS1_SHA256, SSL_SIGN_RSA_PKCS1_SHA384, SSL_SIGN_RSA_PKCS1_SHA512

#define CIPHERS_STRONG_2026 "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define CIPHERS_2026 CIPHERS_STRONG_2026 ":TLS_AES_128_GCM_SHA256"
#define CIPHERS_TLS12_2026                                                                         \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                   \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"                                   \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"

/* DESIGN.md, section 6.  A client sends a key share for the first group and for the first one of
 * the other family (AWS-LC, ssl_setup_key_shares): hybrid sends X25519MLKEM768 and X25519, 1.5 kB
 * together; a policy with ML-KEM only sends the first group's alone. */
static const pqi_policy_row rows[] = {
    {
        .name = "off-2026",
        .kind = PQI_POLICY_KIND_OFF,
        .groups = "X25519:P-256:P-384",
        .groups_tls12 = "X25519:P-256:P-384",
        .refuses_ml_kem = true,
        .ciphers = CIPHERS_2026,
        .ciphers_strong = CIPHERS_STRONG_2026,
        .ciphers_tls12 = CIPHERS_TLS12_2026,
        .aes_128 = true,
        .schemes = {SCHEMES_2026},
        .schemes_tls12 = {SCHEMES_TLS12_2026},
    },
    {
        .name = "hybrid-2026",
        .kind = PQI_POLICY_KIND_HYBRID,
        .groups = "X25519MLKEM768:X25519",
        /* An ECDSA certificate fails under TLS 1.2 without its curve among the groups. */
        .groups_tls12 = "X25519MLKEM768:X25519:P-256:P-384",
        .ciphers = CIPHERS_2026,
        .ciphers_strong = CIPHERS_STRONG_2026,
        .ciphers_tls12 = CIPHERS_TLS12_2026,
        .aes_128 = true,
        .schemes = {SCHEMES_2026},
        .schemes_tls12 = {SCHEMES_TLS12_2026},
    },
    {
        .name = "pq-only-2026",
        .kind = PQI_POLICY_KIND_PQ_ONLY,
        .groups = "X25519MLKEM768:SecP256r1MLKEM768:SecP384r1MLKEM1024",
        .groups_tls12 = "X25519MLKEM768:SecP256r1MLKEM768:SecP384r1MLKEM1024",
        .least_ml_kem = 768,
        .ciphers = CIPHERS_STRONG_2026,
        .ciphers_strong = CIPHERS_STRONG_2026,
        .schemes = {SCHEMES_2026},
    },
    /* "Announcing the Commercial National Security Algorithm Suite 2.0" (NSA, 2022): ML-KEM-1024,
     * ML-DSA-87, AES-256, SHA-384. */
    {
        .name = "cnsa-2.0-2026",
        .kind = PQI_POLICY_KIND_CNSA,
        .groups = "MLKEM1024:SecP384r1MLKEM1024",
        .groups_tls12 = "MLKEM1024:SecP384r1MLKEM1024",
        .least_ml_kem = 1024,
        .ciphers = "TLS_AES_256_GCM_SHA384",
        .ciphers_strong = "TLS_AES_256_GCM_SHA384",
        .schemes = {SSL_SIGN_MLDSA87},
        .pq_authentication = true,
    },
};

/* Indexed by pql_policy. */
static const struct {
    const char *name;
    pql_policy dated;
    uint8_t row;
} policies[] = {
    [PQL_POLICY_HYBRID] = {"hybrid", PQL_POLICY_HYBRID_2026, 1},
    [PQL_POLICY_OFF] = {"off", PQL_POLICY_OFF_2026, 0},
    [PQL_POLICY_PQ_ONLY] = {"pq-only", PQL_POLICY_PQ_ONLY_2026, 2},
    [PQL_POLICY_CNSA_2_0] = {"cnsa-2.0", PQL_POLICY_CNSA_2_0_2026, 3},
    [PQL_POLICY_HYBRID_2026] = {"hybrid-2026", PQL_POLICY_HYBRID_2026, 1},
    [PQL_POLICY_OFF_2026] = {"off-2026", PQL_POLICY_OFF_2026, 0},
    [PQL_POLICY_PQ_ONLY_2026] = {"pq-only-2026", PQL_POLICY_PQ_ONLY_2026, 2},
    [PQL_POLICY_CNSA_2_0_2026] = {"cnsa-2.0-2026", PQL_POLICY_CNSA_2_0_2026, 3},
};
_Static_assert(COUNT(policies) == PQL_POLICY_COUNT, "the public number of policies");

const pqi_policy_row *pqi_policy_row_of(pql_policy policy)
{
    return (size_t)policy < COUNT(policies) ? &rows[policies[policy].row] : &rows[COUNT(rows) - 1];
}

bool pqi_policy_row_takes(const pqi_policy_row *row, uint16_t scheme)
{
    for (const uint16_t *at = row->schemes; *at != 0; at++) {
        if (*at == scheme) {
            return true;
        }
    }
    return false;
}

pql_policy pql_policy_dated(pql_policy policy)
{
    return (size_t)policy < COUNT(policies) ? policies[policy].dated : PQL_POLICY_CNSA_2_0_2026;
}

bool pql_policy_needs_pq(pql_policy policy)
{
    return pqi_policy_row_of(policy)->least_ml_kem != 0;
}

bool pql_policy_wants_pq(pql_policy policy)
{
    return !pqi_policy_row_of(policy)->refuses_ml_kem;
}

bool pql_policy_needs_pq_authentication(pql_policy policy)
{
    return pqi_policy_row_of(policy)->pq_authentication;
}

const char *pql_policy_name(pql_policy policy)
{
    return (size_t)policy < COUNT(policies) ? policies[policy].name : "unknown";
}

pql_status pql_policy_parse(pql_policy *out, const char *text, pql_error *err)
{
    for (size_t i = 0; i < COUNT(policies); i++) {
        if (strcmp(text, policies[i].name) == 0) {
            *out = (pql_policy)i;
            return PQL_OK;
        }
    }
    return pqi_fail(err, PQL_E_USAGE,
                    "\"%.40s\" is not a policy. Write off, hybrid, pq-only or cnsa-2.0, or one of "
                    "these with a year, such as hybrid-2026.",
                    text);
}
