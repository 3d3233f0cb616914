#include "policy/policy.h"

#include "base/error.h"
#include "policy/offer.h"

#include <openssl/err.h>

#include <stdio.h>
#include <string.h>

/* RFC 8446, B.4. */
#define CIPHER_AES_128 0x1301u
#define CIPHER_AES_256 0x1302u
#define CIPHER_CHACHA20 0x1303u
/* The names of one policy's groups. */
#define GROUPS_TEXT_SIZE 96

/* TLS 1.2 is a compatibility setting for classical peers on TCP (DESIGN.md, section 6). */
static bool tls12_possible(const pqi_policy_use *use, const pqi_policy_row *row)
{
    return !use->quic && !use->pq_authentication && row->ciphers_tls12 != NULL;
}

static bool set_versions(const pqi_policy_use *use, const pqi_policy_row *row, SSL_CTX *ssl_ctx)
{
    const uint16_t least = tls12_possible(use, row) ? TLS1_2_VERSION : TLS1_3_VERSION;
    return SSL_CTX_set_min_proto_version(ssl_ctx, least) == 1 &&
           SSL_CTX_set_max_proto_version(ssl_ctx, TLS1_3_VERSION) == 1;
}

static bool set_groups(const pqi_policy_use *use, const pqi_policy_row *row, SSL_CTX *ssl_ctx)
{
    const char *groups = tls12_possible(use, row) ? row->groups_tls12 : row->groups;
    return SSL_CTX_set1_groups_list(ssl_ctx, groups) == 1;
}

static bool set_ciphers(const pqi_policy_row *row, SSL_CTX *ssl_ctx)
{
    return SSL_CTX_set_ciphersuites(ssl_ctx, row->ciphers) == 1 &&
           (row->ciphers_tls12 == NULL ||
            SSL_CTX_set_strict_cipher_list(ssl_ctx, row->ciphers_tls12) == 1);
}

bool pqi_policy_prefer_ciphers(pql_policy policy, const SSL_CLIENT_HELLO *hello)
{
    const pqi_policy_row *row = pqi_policy_row_of(policy);
    bool weak = false;
    for (size_t at = 0; row->aes_128 && at + 1 < hello->cipher_suites_len; at += 2) {
        const unsigned suite =
            (unsigned)hello->cipher_suites[at] << 8 | hello->cipher_suites[at + 1];
        if (suite == CIPHER_AES_128) {
            weak = true;
        } else if (suite == CIPHER_AES_256 || suite == CIPHER_CHACHA20) {
            /* Ahead of AES-128 it is taken anyway. */
            return !weak || SSL_set_ciphersuites(hello->ssl, row->ciphers_strong) == 1;
        }
    }
    return true;
}

/* Appends the schemes that |use| accepts to the |count| that are there. */
static size_t add_schemes(const pqi_policy_use *use, const uint16_t *schemes, uint16_t *list,
                          size_t count)
{
    for (; *schemes != 0; schemes++) {
        if (!use->pq_authentication || pql_signature_is_pq(*schemes)) {
            list[count++] = *schemes;
        }
    }
    return count;
}

static bool set_schemes(const pqi_policy_use *use, const pqi_policy_row *row, SSL_CTX *ssl_ctx)
{
    uint16_t list[2 * PQI_POLICY_SCHEMES];
    size_t count = add_schemes(use, row->schemes, list, 0);
    if (tls12_possible(use, row)) {
        count = add_schemes(use, row->schemes_tls12, list, count);
    }
    return SSL_CTX_set_verify_algorithm_prefs(ssl_ctx, list, count) == 1;
}

pql_status pqi_policy_apply(const pqi_policy_use *use, SSL_CTX *ssl_ctx, pql_error *err)
{
    const pqi_policy_row *row = pqi_policy_row_of(use->policy);
    if (!set_versions(use, row, ssl_ctx) || !set_groups(use, row, ssl_ctx) ||
        !set_ciphers(row, ssl_ctx) || !set_schemes(use, row, ssl_ctx)) {
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

static pql_downgrade downgrade_of(const pqi_policy_row *row, const pql_posture *posture)
{
    if (row->refuses_ml_kem || posture->pq_key_exchange) {
        return PQL_DOWNGRADE_NONE;
    }
    return posture->resumed ? PQL_DOWNGRADE_RESUMED : PQL_DOWNGRADE_PEER_CLASSICAL;
}

pql_status pqi_policy_check_group(pql_policy policy, uint16_t group, pql_error *err)
{
    const unsigned least = pqi_policy_row_of(policy)->least_ml_kem;
    if (pqi_offer_group_bit(group) == PQL_OFFER_OTHER) {
        /* None at all: a session that was resumed without a key exchange of its own. */
        return pqi_fail(err, PQL_E_POLICY,
                        "The session has no key exchange that is known here (number 0x%04x). "
                        "Update the older side.",
                        (unsigned)group);
    }
    if (pqi_group_ml_kem(group) >= least) {
        return PQL_OK;
    }
    return pql_group_is_pq(group)
               ? pqi_fail(err, PQL_E_POLICY,
                          "The session uses the key exchange %s, and the policy is %s, which needs "
                          "ML-KEM-%u. Set the policy to %s on the peer, or to pq-only on this "
                          "side.",
                          pql_group_name(group), pql_policy_name(policy), least,
                          pql_policy_name(policy))
               : pqi_fail(err, PQL_E_POLICY,
                          "The session uses the key exchange %s, which has no ML-KEM, and the "
                          "policy is %s. Update the peer, or set the policy to hybrid on this "
                          "side.",
                          pql_group_name(group), pql_policy_name(policy));
}

static pql_status judge_suite(const pqi_policy_use *use, const pqi_policy_row *row,
                              const pql_posture *posture, pql_error *err)
{
    const char *cipher = pql_cipher_name(posture->cipher);
    if (posture->tls_version != TLS1_3_VERSION) {
        if (posture->tls_version == TLS1_2_VERSION && tls12_possible(use, row)) {
            return PQL_OK;
        }
        return use->quic
                   ? pqi_fail(err, PQL_E_POLICY, "A QUIC session without TLS 1.3 is refused.")
                   : pqi_fail(err, PQL_E_POLICY,
                              "The session uses TLS 1.2, which the policy %s does not allow here. "
                              "Update the peer to TLS 1.3.",
                              pql_policy_name(use->policy));
    }
    /* No name of a suite is a part of another's. */
    return strstr(row->ciphers, cipher) != NULL
               ? PQL_OK
               : pqi_fail(err, PQL_E_POLICY,
                          "The session uses the cipher suite %s, and the policy %s does not allow "
                          "it. Let the peer offer %s.",
                          cipher, pql_policy_name(use->policy), row->ciphers);
}

static pql_status judge_authentication(const pqi_policy_use *use, const pqi_policy_row *row,
                                       const pql_posture *posture, pql_error *err)
{
    const bool required = use->pq_authentication || row->pq_authentication;
    if (required && peer_signed(use, posture) &&
        !(pql_signature_is_pq(posture->peer_signature) &&
          pqi_policy_row_takes(row, posture->peer_signature))) {
        return pqi_fail(err, PQL_E_POLICY,
                        "The peer proved its key with %s, and %s is required. Give the peer an "
                        "%s certificate, or do without that requirement on this side.",
                        pql_signature_name(posture->peer_signature),
                        row->pq_authentication ? "ML-DSA-87" : "ML-DSA",
                        row->pq_authentication ? "ML-DSA-87" : "ML-DSA");
    }
    if (row->pq_authentication && posture->trust == PQL_TRUST_CA) {
        return pqi_policy_check_authority(use->policy, err);
    }
    const bool showed = use->server || posture->own_signature != 0;
    return showed ? pqi_policy_check_own(use->policy, posture->own_signature, err) : PQL_OK;
}

pql_status pqi_policy_keeps(const pqi_policy_use *use, const pql_posture *posture, pql_error *err)
{
    const pqi_policy_row *row = pqi_policy_row_of(use->policy);
    pql_status status = judge_suite(use, row, posture, err);
    if (status == PQL_OK) {
        status = pqi_policy_check_group(use->policy, posture->group, err);
    }
    return status == PQL_OK ? judge_authentication(use, row, posture, err) : status;
}

pql_status pqi_policy_judge(const pqi_policy_use *use, pql_posture *posture, pql_error *err)
{
    const pqi_policy_row *row = pqi_policy_row_of(use->policy);
    const uint16_t signature =
        peer_signed(use, posture) ? posture->peer_signature : posture->own_signature;
    posture->pq_key_exchange = pql_group_is_pq(posture->group);
    posture->pq_authentication = pql_signature_is_pq(signature);
    posture->downgrade = downgrade_of(row, posture);
    if (row->refuses_ml_kem && posture->pq_key_exchange) {
        return pqi_fail(err, PQL_E_POLICY,
                        "The session uses the key exchange %s, and the policy is off. Set the "
                        "policy to hybrid on this side.",
                        pql_group_name(posture->group));
    }
    return pqi_policy_keeps(use, posture, err);
}

pql_status pqi_policy_check_own(pql_policy policy, uint16_t scheme, pql_error *err)
{
    const pqi_policy_row *row = pqi_policy_row_of(policy);
    if (!row->pq_authentication || pqi_policy_row_takes(row, scheme)) {
        return PQL_OK;
    }
    return pqi_fail(err, PQL_E_POLICY,
                    "The policy %s needs ML-DSA-87, and this side's key would sign with %s. Make "
                    "an ML-DSA-87 identity ('pqlink keygen'), or choose another policy.",
                    pql_policy_name(policy), pql_signature_name(scheme));
}

pql_status pqi_policy_check_authority(pql_policy policy, pql_error *err)
{
    if (!pqi_policy_row_of(policy)->pq_authentication) {
        return PQL_OK;
    }
    return pqi_fail(err, PQL_E_POLICY,
                    "The policy %s does not go with a file of authorities, because nothing says "
                    "that their signatures are ML-DSA-87. Pin the peer's fingerprint, or choose "
                    "another policy.",
                    pql_policy_name(policy));
}

uint32_t pqi_policy_groups(pql_policy policy)
{
    const char *groups = pqi_policy_row_of(policy)->groups;
    uint32_t set = 0;
    for (unsigned i = 0; i < PQL_GROUP_COUNT; i++) {
        const char *name = pql_group_name(pql_group_at(i));
        const size_t len = strlen(name);
        for (const char *at = groups; at != NULL; at = strchr(at, ':')) {
            at += *at == ':' ? 1 : 0;
            if (strncmp(at, name, len) == 0 && (at[len] == ':' || at[len] == '\0')) {
                set |= PQL_OFFER_BIT(i);
            }
        }
    }
    return set;
}

/* What a client may change when the server takes nothing of what it offers. */
static const char *client_advice(pqi_policy_kind kind)
{
    switch (kind) {
    case PQI_POLICY_KIND_OFF:
        return "It may require ML-KEM: set the policy to hybrid on this side.";
    case PQI_POLICY_KIND_HYBRID:
        return "It may require ML-KEM-1024: set the policy to cnsa-2.0 on this side, or to hybrid "
               "on the server.";
    case PQI_POLICY_KIND_PQ_ONLY:
        return "It may have no ML-KEM: update the server, or set the policy to hybrid on this "
               "side.";
    case PQI_POLICY_KIND_CNSA:
        break;
    }
    return "It may have no ML-KEM-1024 or no ML-DSA-87: set the policy to cnsa-2.0 on the server, "
           "or to pq-only on this side.";
}

void pqi_policy_explain_alert(char *out, size_t size, const pqi_policy_use *use, unsigned alert,
                              bool open)
{
    if (open) {
        (void)snprintf(out, size,
                       "The peer's policy was changed and does not allow this link any more (TLS "
                       "alert %u): compare the policies of both sides.",
                       alert);
    } else if (alert == SSL_AD_INSUFFICIENT_SECURITY || use->server) {
        (void)snprintf(out, size,
                       "The peer's policy does not allow what was negotiated (TLS alert %u); the "
                       "policy is %s on this side: compare the policies of both sides.",
                       alert, pql_policy_name(use->policy));
    } else {
        char groups[GROUPS_TEXT_SIZE];
        pqi_offer_write_groups(groups, sizeof(groups), pqi_policy_groups(use->policy));
        (void)snprintf(out, size,
                       "The server refused all that the policy %s offers (TLS alert %u): the key "
                       "exchanges %s, or the signatures that this side can verify. %s",
                       pql_policy_name(use->policy), alert, groups,
                       client_advice(pqi_policy_row_of(use->policy)->kind));
    }
}
