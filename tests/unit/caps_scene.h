/* What the tests of capability tokens share: keys, rules and verdicts in few words. */
#ifndef PQI_TESTS_CAPS_SCENE_H
#define PQI_TESTS_CAPS_SCENE_H

#include "base/secret.h"
#include "caps/mint.h"
#include "caps/verify.h"

#include <stdlib.h>
#include <string.h>

#define SCENE_NOW UINT64_C(1700000000)
#define SCENE_SKEW UINT64_C(60)

static const uint8_t scene_root[PQI_CAP_ROOT_SIZE + 1] = "0123456789abcdef0123456789abcdef";

static inline pqi_span scene_span(const char *text)
{
    return (pqi_span){(const uint8_t *)text, strlen(text)};
}

static inline pqi_cap_rule scene_text(pqi_cap_rule_type type, const char *text)
{
    return (pqi_cap_rule){.type = type, .text = scene_span(text)};
}

static inline pqi_cap_rule scene_number(pqi_cap_rule_type type, uint64_t number)
{
    return (pqi_cap_rule){.type = type, .number = number};
}

static inline pqi_cap_rule scene_methods(const char *text)
{
    pqi_cap_rule rule;
    assert_true(pqi_cap_methods_parse(&rule, text));
    return rule;
}

/* The address stays in |bytes|. */
static inline pqi_cap_rule scene_cidr(uint8_t bytes[16], const char *text)
{
    pqi_cap_rule rule;
    assert_true(pqi_cap_cidr_parse(&rule, bytes, text));
    return rule;
}

/* A key without signatures, whose root is scene_root. */
static inline pqi_cap_keys scene_keys(const char *kid, const char *tenant)
{
    pqi_cap_keys keys = {0};
    pqi_cap_key key;
    assert_int_equal(pqi_cap_key_make(&key, kid, tenant, PQI_CAP_UNSIGNED, NULL), PQL_OK);
    memcpy(key.root, scene_root, sizeof(key.root));
    assert_int_equal(pqi_cap_keys_add(&keys, &key, NULL), PQL_OK);
    return keys;
}

static inline char *scene_mint(const pqi_cap_key *key, const pqi_cap_rule *rules, size_t count,
                               bool sign)
{
    char *text = NULL;
    pql_error err = {0};
    pqi_cap_mint mint = {.rules = rules, .count = count, .sign = sign};
    for (uint8_t i = 0; i < sizeof(mint.nonce); i++) {
        mint.nonce[i] = i;
    }
    if (pqi_cap_mint_token(&text, key, &mint, &err) != PQL_OK) {
        fail_msg("%s", err.message);
    }
    return text;
}

static inline char *scene_attenuate(const char *text, const pqi_cap_rule *rules, size_t count)
{
    char *out = NULL;
    pql_error err = {0};
    if (pqi_cap_attenuate(&out, text, rules, count, &err) != PQL_OK) {
        fail_msg("%s", err.message);
    }
    return out;
}

static inline pqi_cap_reason scene_verify_at(const pqi_cap_keys *keys, const char *text,
                                             const pqi_cap_request *request, uint64_t now)
{
    const pqi_cap_policy policy = {.skew = SCENE_SKEW};
    pqi_cap_verdict verdict;
    const bool allowed = pqi_cap_verify(text, strlen(text), keys, &policy, request, now, &verdict);
    assert_int_equal(allowed, verdict.reason == PQI_CAP_ALLOWED);
    return verdict.reason;
}

static inline pqi_cap_reason scene_verify(const pqi_cap_keys *keys, const char *text,
                                          const pqi_cap_request *request)
{
    return scene_verify_at(keys, text, request, SCENE_NOW);
}

#endif
