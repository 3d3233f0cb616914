#include "caps/verify.h"

#include "base/secret.h"
#include "caps/envelope.h"
#include "caps/mint.h"

#include <string.h>

static bool mac_fits(const pqi_cap_token *token, const pqi_cap_key *key)
{
    uint8_t mac[PQI_CAP_MAC_SIZE];
    const bool ok =
        pqi_cap_chain(mac, key->root, token) && pqi_secret_equal(mac, token->mac.at, sizeof(mac));
    pqi_secret_wipe(mac, sizeof(mac));
    return ok;
}

static bool tenant_fits(const pqi_cap_token *token, const pqi_cap_key *key,
                        const pqi_cap_request *request)
{
    return token->tenant.len == strlen(key->tenant) &&
           memcmp(token->tenant.at, key->tenant, token->tenant.len) == 0 &&
           (request->tenant == NULL || strcmp(request->tenant, key->tenant) == 0);
}

/* An envelope that is there has to be good, also where none is asked for: what nobody can check
 * must not look checked. */
static bool signature_fits(const pqi_cap_token *token, const pqi_cap_key *key,
                           const pqi_cap_policy *policy)
{
    if (!token->has_envelope) {
        return !policy->require_signature && !key->require_signature;
    }
    return pqi_cap_envelope_verify(token, key);
}

/* Every rule; |ends| becomes the earliest time at which one of them no longer holds. */
static pqi_cap_reason judge_rules(const pqi_cap_token *token, const pqi_cap_request *request,
                                  uint64_t now, uint64_t skew, uint64_t *ends)
{
    pqi_cap_rules at = {0};
    pqi_cap_rule rule;
    *ends = UINT64_MAX;
    while (pqi_cap_rules_next(token, &at, &rule)) {
        const pqi_cap_reason reason = pqi_cap_rule_judge(&rule, request, now, skew);
        if (reason != PQI_CAP_ALLOWED) {
            return reason;
        }
        if (rule.type == PQI_CAP_RULE_EXPIRES && rule.number <= UINT64_MAX - skew &&
            rule.number + skew < *ends) {
            *ends = rule.number + skew;
        }
    }
    return PQI_CAP_ALLOWED;
}

static pqi_cap_reason judge(const pqi_cap_token *token, const pqi_cap_keys *keys,
                            const pqi_cap_policy *policy, const pqi_cap_request *request,
                            uint64_t now, pqi_cap_grant *grant)
{
    const pqi_cap_key *key = pqi_cap_keys_find(keys, token->kid.at, token->kid.len);
    if (key == NULL) {
        return PQI_CAP_UNKNOWN_KID;
    }
    if (!mac_fits(token, key)) {
        return PQI_CAP_MAC;
    }
    if (!tenant_fits(token, key, request)) {
        return PQI_CAP_TENANT;
    }
    if (pqi_cap_keys_revoked(keys, token->nonce.at)) {
        return PQI_CAP_REVOKED;
    }
    if (!signature_fits(token, key, policy)) {
        return PQI_CAP_SIGNATURE;
    }
    memcpy(grant->tenant, key->tenant, sizeof(grant->tenant));
    memcpy(grant->kid, key->kid, sizeof(grant->kid));
    memcpy(grant->nonce, token->nonce.at, sizeof(grant->nonce));
    pqi_sha256(grant->key_digest, key->root, sizeof(key->root));
    grant->is_signed = token->has_envelope;
    return judge_rules(token, request, now, policy->skew, &grant->ends);
}

bool pqi_cap_verify(const char *text, size_t len, const pqi_cap_keys *keys,
                    const pqi_cap_policy *policy, const pqi_cap_request *request, uint64_t now,
                    pqi_cap_verdict *verdict)
{
    pqi_cap_token token;
    *verdict = (pqi_cap_verdict){.reason = pqi_cap_token_read(&token, text, len)};
    if (verdict->reason == PQI_CAP_ALLOWED) {
        verdict->reason = judge(&token, keys, policy, request, now, &verdict->grant);
        pqi_cap_token_free(&token);
    }
    if (verdict->reason != PQI_CAP_ALLOWED) {
        verdict->grant = (pqi_cap_grant){0};
    }
    return verdict->reason == PQI_CAP_ALLOWED;
}

pqi_cap_reason pqi_cap_recheck(const pqi_cap_grant *grant, const pqi_cap_keys *keys, uint64_t now)
{
    uint8_t digest[PQI_SHA256_SIZE];
    const pqi_cap_key *key = pqi_cap_keys_find(keys, grant->kid, strlen(grant->kid));
    if (key == NULL) {
        return PQI_CAP_UNKNOWN_KID;
    }
    pqi_sha256(digest, key->root, sizeof(key->root));
    if (memcmp(digest, grant->key_digest, sizeof(digest)) != 0) {
        return PQI_CAP_MAC;
    }
    if (strcmp(key->tenant, grant->tenant) != 0) {
        return PQI_CAP_TENANT;
    }
    if (pqi_cap_keys_revoked(keys, grant->nonce)) {
        return PQI_CAP_REVOKED;
    }
    if (key->require_signature && !grant->is_signed) {
        return PQI_CAP_SIGNATURE;
    }
    return now < grant->ends ? PQI_CAP_ALLOWED : PQI_CAP_EXPIRED;
}
