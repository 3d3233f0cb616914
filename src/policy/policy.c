#include "policy/policy.h"

#include "base/error.h"

#include <openssl/err.h>

/* ML-DSA first, so that a peer with both leaves shows its ML-DSA one. */
#define ML_DSA_SCHEMES SSL_SIGN_MLDSA87, SSL_SIGN_MLDSA65, SSL_SIGN_MLDSA44
#define CLASSICAL_SCHEMES                                                                          \
    SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_ED25519, SSL_SIGN_ECDSA_SECP384R1_SHA384,            \
        SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA384, SSL_SIGN_RSA_PSS_RSAE_SHA512
/* For RSA certificates under TLS 1.2; TLS 1.3 has no PKCS#1 v1.5 handshake signatures (RFC 8446,
 * section 4.2.3). */
#define TLS12_SCHEMES                                                                              \
    SSL_SIGN_RSA_PKCS1_SHA256, SSL_SIGN_RSA_PKCS1_SHA384, SSL_SIGN_RSA_PKCS1_SHA512

static const uint16_t schemes_pq[] = {ML_DSA_SCHEMES};
static const uint16_t schemes_all[] = {ML_DSA_SCHEMES, CLASSICAL_SCHEMES};
static const uint16_t schemes_tls12[] = {ML_DSA_SCHEMES, CLASSICAL_SCHEMES, TLS12_SCHEMES};

/* RFC 8446, B.4. */
#define CIPHER_AES_128 0x1301u
#define CIPHER_AES_256 0x1302u
#define CIPHER_CHACHA20 0x1303u
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* TLS 1.2 is a compatibility setting for classical peers on TCP (DESIGN.md, section 6). */
static bool tls12_possible(const pqi_policy_use *use)
{
    return !use->quic && !use->pq_authentication && use->policy != PQL_POLICY_PQ_ONLY;
}

/* A client sends a key share for the first group and for the first one of the other family
 * (AWS-LC, ssl_setup_key_shares): hybrid sends X25519MLKEM768 and X25519, 1.5 kB together. */
static const char *group_list(const pqi_policy_use *use)
{
    switch (use->policy) {
    case PQL_POLICY_OFF:
        return "X25519:P-256:P-384";
    case PQL_POLICY_PQ_ONLY:
        return "X25519MLKEM768:SecP256r1MLKEM768:SecP384r1MLKEM1024";
    case PQL_POLICY_HYBRID:
        break;
    }
    /* An ECDSA certificate fails under TLS 1.2 without its curve among the groups. */
    return tls12_possible(use) ? "X25519MLKEM768:X25519:P-256:P-384" : "X25519MLKEM768:X25519";
}

static bool set_versions(const pqi_policy_use *use, SSL_CTX *ssl_ctx)
{
    const uint16_t least = tls12_possible(use) ? TLS1_2_VERSION : TLS1_3_VERSION;
    return SSL_CTX_set_min_proto_version(ssl_ctx, least) == 1 &&
           SSL_CTX_set_max_proto_version(ssl_ctx, TLS1_3_VERSION) == 1;
}

static const char strong_ciphers[] = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

static bool set_ciphers(const pqi_policy_use *use, SSL_CTX *ssl_ctx)
{
    const char *all = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";
    const char *tls12 = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                        "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
                        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256";
    const bool pq_only = use->policy == PQL_POLICY_PQ_ONLY;
    return SSL_CTX_set_ciphersuites(ssl_ctx, pq_only ? strong_ciphers : all) == 1 &&
           SSL_CTX_set_strict_cipher_list(ssl_ctx, tls12) == 1;
}

bool pqi_policy_prefer_ciphers(const SSL_CLIENT_HELLO *hello)
{
    bool weak = false;
    for (size_t at = 0; at + 1 < hello->cipher_suites_len; at += 2) {
        const unsigned suite =
            (unsigned)hello->cipher_suites[at] << 8 | hello->cipher_suites[at + 1];
        if (suite == CIPHER_AES_128) {
            weak = true;
        } else if (suite == CIPHER_AES_256 || suite == CIPHER_CHACHA20) {
            /* Ahead of AES-128 it is taken anyway. */
            return !weak || SSL_set_ciphersuites(hello->ssl, strong_ciphers) == 1;
        }
    }
    return true;
}

static bool set_schemes(const pqi_policy_use *use, SSL_CTX *ssl_ctx)
{
    if (use->pq_authentication) {
        return SSL_CTX_set_verify_algorithm_prefs(ssl_ctx, schemes_pq, COUNT(schemes_pq)) == 1;
    }
    if (tls12_possible(use)) {
        return SSL_CTX_set_verify_algorithm_prefs(ssl_ctx, schemes_tls12, COUNT(schemes_tls12)) ==
               1;
    }
    return SSL_CTX_set_verify_algorithm_prefs(ssl_ctx, schemes_all, COUNT(schemes_all)) == 1;
}

pql_status pqi_policy_apply(const pqi_policy_use *use, SSL_CTX *ssl_ctx, pql_error *err)
{
    if (!set_versions(use, ssl_ctx) || SSL_CTX_set1_groups_list(ssl_ctx, group_list(use)) != 1 ||
        !set_ciphers(use, ssl_ctx) || !set_schemes(use, ssl_ctx)) {
        ERR_clear_error();
        return pqi_fail(err, PQL_E_CRYPTO,
                        "The TLS library refused the settings of the policy %s. It was built "
                        "without ML-KEM or ML-DSA; use AWS-LC 5.1 or later.",
                        pql_policy_name(use->policy));
    }
    if (use->server) {
        /* Else the client's order decides, and one that lists X25519 first gets no ML-KEM. */
        (void)SSL_CTX_set_options(ssl_ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
    }
    return PQL_OK;
}

/* A server without client certificates judges its own signature, because nobody else signed. */
static bool peer_signed(const pqi_policy_use *use, const pql_posture *posture)
{
    return !use->server || posture->peer_signature != 0;
}

static pql_downgrade downgrade_of(const pqi_policy_use *use, const pql_posture *posture)
{
    if (use->policy == PQL_POLICY_OFF || posture->pq_key_exchange) {
        return PQL_DOWNGRADE_NONE;
    }
    return posture->resumed ? PQL_DOWNGRADE_RESUMED : PQL_DOWNGRADE_PEER_CLASSICAL;
}

pql_status pqi_policy_judge(const pqi_policy_use *use, pql_posture *posture, pql_error *err)
{
    const uint16_t signature =
        peer_signed(use, posture) ? posture->peer_signature : posture->own_signature;
    posture->pq_key_exchange = pql_group_is_pq(posture->group);
    posture->pq_authentication = pql_signature_is_pq(signature);
    posture->downgrade = downgrade_of(use, posture);
    if (use->quic && posture->tls_version != TLS1_3_VERSION) {
        return pqi_fail(err, PQL_E_POLICY, "A QUIC session without TLS 1.3 is refused.");
    }
    if (use->policy == PQL_POLICY_PQ_ONLY && !posture->pq_key_exchange) {
        return pqi_fail(err, PQL_E_POLICY,
                        "The session uses the key exchange %s, which has no ML-KEM, and the policy "
                        "is pq-only. Update the peer, or set the policy to hybrid on this side.",
                        pql_group_name(posture->group));
    }
    if (use->policy == PQL_POLICY_OFF && posture->pq_key_exchange) {
        return pqi_fail(err, PQL_E_POLICY,
                        "The session uses the key exchange %s, and the policy is off. Set the "
                        "policy to hybrid on this side.",
                        pql_group_name(posture->group));
    }
    if (use->pq_authentication && peer_signed(use, posture) && !posture->pq_authentication) {
        return pqi_fail(err, PQL_E_POLICY,
                        "The peer proved its key with %s, and ML-DSA is required. Give the peer an "
                        "ML-DSA certificate, or do without that requirement on this side.",
                        pql_signature_name(signature));
    }
    return PQL_OK;
}
