#include <pqlink/policy.h>

#include "base/error.h"

#include <openssl/ssl.h>

#include <string.h>

typedef struct code_name {
    uint16_t code;
    bool pq;
    const char *name;
} code_name;

/* IANA "TLS Supported Groups". */
static const code_name groups[] = {
    {SSL_GROUP_SECP256R1, false, "P-256"},
    {SSL_GROUP_SECP384R1, false, "P-384"},
    {SSL_GROUP_SECP521R1, false, "P-521"},
    {SSL_GROUP_X25519, false, "X25519"},
    {SSL_GROUP_MLKEM512, true, "MLKEM512"},
    {SSL_GROUP_MLKEM768, true, "MLKEM768"},
    {SSL_GROUP_MLKEM1024, true, "MLKEM1024"},
    {SSL_GROUP_SECP256R1_MLKEM768, true, "SecP256r1MLKEM768"},
    {SSL_GROUP_X25519_MLKEM768, true, "X25519MLKEM768"},
    {SSL_GROUP_SECP384R1_MLKEM1024, true, "SecP384r1MLKEM1024"},
};

/* IANA "TLS SignatureScheme".  ML-DSA under its name of FIPS 204. */
static const code_name signatures[] = {
    {SSL_SIGN_MLDSA44, true, "ML-DSA-44"},
    {SSL_SIGN_MLDSA65, true, "ML-DSA-65"},
    {SSL_SIGN_MLDSA87, true, "ML-DSA-87"},
    {SSL_SIGN_ECDSA_SECP256R1_SHA256, false, "ecdsa_secp256r1_sha256"},
    {SSL_SIGN_ECDSA_SECP384R1_SHA384, false, "ecdsa_secp384r1_sha384"},
    {SSL_SIGN_ECDSA_SECP521R1_SHA512, false, "ecdsa_secp521r1_sha512"},
    {SSL_SIGN_ED25519, false, "ed25519"},
    {SSL_SIGN_RSA_PSS_RSAE_SHA256, false, "rsa_pss_rsae_sha256"},
    {SSL_SIGN_RSA_PSS_RSAE_SHA384, false, "rsa_pss_rsae_sha384"},
    {SSL_SIGN_RSA_PSS_RSAE_SHA512, false, "rsa_pss_rsae_sha512"},
    {SSL_SIGN_RSA_PKCS1_SHA256, false, "rsa_pkcs1_sha256"},
    {SSL_SIGN_RSA_PKCS1_SHA384, false, "rsa_pkcs1_sha384"},
    {SSL_SIGN_RSA_PKCS1_SHA512, false, "rsa_pkcs1_sha512"},
};

/* IANA "TLS Cipher Suites". */
static const code_name ciphers[] = {
    {0x1301, false, "TLS_AES_128_GCM_SHA256"},
    {0x1302, false, "TLS_AES_256_GCM_SHA384"},
    {0x1303, false, "TLS_CHACHA20_POLY1305_SHA256"},
    {0xc02b, false, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
    {0xc02c, false, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
    {0xc02f, false, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
    {0xc030, false, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"},
    {0xcca8, false, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
    {0xcca9, false, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const char unknown[] = "unknown";

static const code_name *find(const code_name *table, size_t count, uint16_t code)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].code == code) {
            return &table[i];
        }
    }
    return NULL;
}

static const char *name_of(const code_name *entry)
{
    return entry != NULL ? entry->name : unknown;
}

const char *pql_group_name(uint16_t group)
{
    return name_of(find(groups, COUNT(groups), group));
}

const char *pql_signature_name(uint16_t scheme)
{
    return name_of(find(signatures, COUNT(signatures), scheme));
}

const char *pql_cipher_name(uint16_t suite)
{
    return name_of(find(ciphers, COUNT(ciphers), suite));
}

bool pql_group_is_pq(uint16_t group)
{
    const code_name *entry = find(groups, COUNT(groups), group);
    return entry != NULL && entry->pq;
}

bool pql_signature_is_pq(uint16_t scheme)
{
    const code_name *entry = find(signatures, COUNT(signatures), scheme);
    return entry != NULL && entry->pq;
}

/* Each indexed by its enum. */
static const char *const policy_names[] = {
    [PQL_POLICY_HYBRID] = "hybrid",
    [PQL_POLICY_OFF] = "off",
    [PQL_POLICY_PQ_ONLY] = "pq-only",
};
static const char *const trust_names[] = {
    [PQL_TRUST_NONE] = "none", [PQL_TRUST_PIN] = "pin",           [PQL_TRUST_TOFU] = "tofu",
    [PQL_TRUST_CA] = "ca",     [PQL_TRUST_INSECURE] = "insecure",
};
static const char *const downgrade_names[] = {
    [PQL_DOWNGRADE_NONE] = "none",
    [PQL_DOWNGRADE_PEER_CLASSICAL] = "peer-classical",
    [PQL_DOWNGRADE_COMPAT] = "compat",
    [PQL_DOWNGRADE_RESUMED] = "resumed",
    [PQL_DOWNGRADE_REMEMBERED] = "remembered",
};

const char *pql_policy_name(pql_policy policy)
{
    return (size_t)policy < COUNT(policy_names) ? policy_names[policy] : unknown;
}

const char *pql_trust_name(pql_trust trust)
{
    return (size_t)trust < COUNT(trust_names) ? trust_names[trust] : unknown;
}

const char *pql_downgrade_name(pql_downgrade reason)
{
    return (size_t)reason < COUNT(downgrade_names) ? downgrade_names[reason] : unknown;
}

pql_status pql_policy_parse(pql_policy *out, const char *text, pql_error *err)
{
    for (size_t i = 0; i < COUNT(policy_names); i++) {
        if (strcmp(text, policy_names[i]) == 0) {
            *out = (pql_policy)i;
            return PQL_OK;
        }
    }
    return pqi_fail(err, PQL_E_USAGE, "\"%.40s\" is not a policy. Write off, hybrid or pq-only.",
                    text);
}
