/* A capability token takes any bytes: as text, and as the CBOR that a text would carry.  What is
 * read is written again as the same bytes, nothing gets through without a MAC, and narrowing what
 * was read never makes it get through. */
#include "base/secret.h"
#include "caps/mint.h"
#include "caps/verify.h"

#include <stdlib.h>
#include <string.h>

#define NOW UINT64_C(1700000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const pqi_cap_request request = {.audience = "admin", .method = "GET", .path = "/a"};

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

static pqi_cap_keys make_keys(void)
{
    pqi_cap_keys keys = {0};
    pqi_cap_key key;
    must(pqi_cap_key_make(&key, "k1", "acme", PQI_CAP_ML_DSA_65, NULL) == PQL_OK);
    memset(key.root, '0', sizeof(key.root));
    must(pqi_cap_keys_add(&keys, &key, NULL) == PQL_OK);
    return keys;
}

/* Every rule is as it was checked to be. */
static void judge_all(const pqi_cap_token *token)
{
    pqi_cap_rules at = {0};
    pqi_cap_rule rule;
    size_t count = 0;
    while (pqi_cap_rules_next(token, &at, &rule)) {
        must(pqi_cap_rule_check(&rule));
        must(pqi_cap_rule_judge(&rule, &request, NOW, 0) < PQI_CAP_REASON_COUNT);
        count++;
    }
    must(count > token->caveat_count); /* the scope has an audience at least */
}

static void narrow(const char *text, const pqi_cap_keys *keys)
{
    const pqi_cap_policy policy = {0};
    const pqi_cap_rule never = {.type = PQI_CAP_RULE_EXPIRES};
    pqi_cap_verdict verdict;
    char *narrower = NULL;
    if (pqi_cap_attenuate(&narrower, text, &never, 1, NULL) == PQL_OK) {
        must(!pqi_cap_verify(narrower, strlen(narrower), keys, &policy, &request, NOW, &verdict));
        pqi_secret_free(narrower, strlen(narrower));
    }
}

static void take(const char *text, size_t len, const pqi_cap_keys *keys)
{
    const pqi_cap_policy policy = {0};
    pqi_cap_token token;
    pqi_cap_verdict verdict;
    char *again = NULL;
    const bool allowed = pqi_cap_verify(text, len, keys, &policy, &request, NOW, &verdict);
    must(allowed == (verdict.reason == PQI_CAP_ALLOWED));
    if (pqi_cap_token_read(&token, text, len) != PQI_CAP_ALLOWED) {
        must(!allowed && token.data == NULL);
        return;
    }
    must(verdict.reason != PQI_CAP_PARSE && verdict.reason != PQI_CAP_SIZE);
    judge_all(&token);
    if (!token.has_envelope || (token.envelope.ed25519.len > 0 && token.envelope.pq.len > 0)) {
        must(pqi_cap_token_write(&again, &token, NULL) == PQL_OK);
        must(strlen(again) == len && memcmp(again, text, len) == 0);
        narrow(again, keys);
        free(again);
    }
    pqi_cap_token_free(&token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static pqi_cap_keys keys;
    if (keys.count == 0) {
        keys = make_keys();
    }
    take((const char *)data, size, &keys);
    if (size > 0 && size <= PQI_CAP_DECODED_MAX) {
        char *text = malloc(PQI_CAP_TEXT_MAX + 1);
        must(text != NULL);
        memcpy(text, PQI_CAP_PREFIX, PQI_CAP_PREFIX_LEN);
        pqi_base64url_encode(text + PQI_CAP_PREFIX_LEN, data, size);
        take(text, strlen(text), &keys);
        free(text);
    }
    return 0;
}
