#include <pqlink/policy.h>

#include "policy/policy.h"

#include <openssl/ssl.h>

typedef struct code_name {
    uint16_t code;
    uint16_t pq; /* parameter set of ML-KEM or ML-DSA; 0: classical */
    const char *name;
} code_name;

/* IANA "TLS Supported Groups".  The place in this list is a bit of pql_posture.peer_groups. */
static const code_name groups[] = {
    {SSL_GROUP_SECP256R1, 0, "P-256"},
    {SSL_GROUP_SECP384R1, 0, "P-384"},
    {SSL_GROUP_SECP521R1, 0, "P-521"},
    {SSL_GROUP_X25519, 0, "X25519"},
    {SSL_GROUP_MLKEM512, 512, "MLKEM512"},
    {SSL_GROUP_MLKEM768, 768, "MLKEM768"},
    {SSL_GROUP_MLKEM1024, 1024, "MLKEM1024"},
    {SSL_GROUP_SECP256R1_MLKEM768, 768, "SecP256r1MLKEM768"},
    {SSL_GROUP_X25519_MLKEM768, 768, "X25519MLKEM768"},
    {SSL_GROUP_SECP384R1_MLKEM1024, 1024, "SecP384r1MLKEM1024"},
};

/* IANA "TLS SignatureScheme".  ML-DSA under its name of FIPS 204.  The place is a bit of
 * pql_posture.peer_signatures. */
static const code_name signatures[] = {
    {SSL_SIGN_MLDSA44, 44, "ML-DSA-44"},
    {SSL_SIGN_MLDSA65, 65, "ML-DSA-65"},
    {SSL_SIGN_MLDSA87, 87, "ML-DSA-87"},
    {SSL_SIGN_ECDSA_SECP256R1_SHA256, 0, "ecdsa_secp256r1_sha256"},
    {SSL_SIGN_ECDSA_SECP384R1_SHA384, 0, "ecdsa_secp384r1_sha384"},
    {SSL_SIGN_ECDSA_SECP521R1_SHA512, 0, "ecdsa_secp521r1_sha512"},
    {SSL_SIGN_ED25519, 0, "ed25519"},
    {SSL_SIGN_RSA_PSS_RSAE_SHA256, 0, "rsa_pss_rsae_sha256"},
    {SSL_SIGN_RSA_PSS_RSAE_SHA384, 0, "rsa_pss_rsae_sha384"},
    {SSL_SIGN_RSA_PSS_RSAE_SHA512, 0, "rsa_pss_rsae_sha512"},
    {SSL_SIGN_RSA_PKCS1_SHA256, 0, "rsa_pkcs1_sha256"},
    {SSL_SIGN_RSA_PKCS1_SHA384, 0, "rsa_pkcs1_sha384"},
    {SSL_SIGN_RSA_PKCS1_SHA512, 0, "rsa_pkcs1_sha512"},
};

/* IANA "TLS Cipher Suites". */
static const code_name ciphers[] = {
    {0x1301, 0, "TLS_AES_128_GCM_SHA256"},
    {0x1302, 0, "TLS_AES_256_GCM_SHA384"},
    {0x1303, 0, "TLS_CHACHA20_POLY1305_SHA256"},
    {0xc02b, 0, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
    {0xc02c, 0, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
    {0xc02f, 0, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
    {0xc030, 0, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"},
    {0xcca8, 0, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
    {0xcca9, 0, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

_Static_assert(COUNT(groups) == PQL_GROUP_COUNT, "the public number of groups");
_Static_assert(COUNT(signatures) == PQL_SIGNATURE_COUNT, "the public number of signatures");

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

uint16_t pql_group_at(unsigned index)
{
    return index < COUNT(groups) ? groups[index].code : 0;
}

uint16_t pql_signature_at(unsigned index)
{
    return index < COUNT(signatures) ? signatures[index].code : 0;
}

unsigned pqi_group_ml_kem(uint16_t group)
{
    const code_name *entry = find(groups, COUNT(groups), group);
    return entry != NULL ? entry->pq : 0;
}

bool pql_group_is_pq(uint16_t group)
{
    return pqi_group_ml_kem(group) != 0;
}

bool pql_signature_is_pq(uint16_t scheme)
{
    const code_name *entry = find(signatures, COUNT(signatures), scheme);
    return entry != NULL && entry->pq != 0;
}

/* Each indexed by its enum. */
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

const char *pql_trust_name(pql_trust trust)
{
    return (size_t)trust < COUNT(trust_names) ? trust_names[trust] : unknown;
}

const char *pql_downgrade_name(pql_downgrade reason)
{
    return (size_t)reason < COUNT(downgrade_names) ? downgrade_names[reason] : unknown;
}
