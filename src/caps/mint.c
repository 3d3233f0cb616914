#include "caps/mint.h"

#include "base/secret.h"
#include "caps/envelope.h"

#include <stdlib.h>
#include <string.h>

/* Domain separators, each with its final NUL: what one key computes for one purpose is never what
 * it computes for another. */
static const char root_domain[] = "pqlink-cap-v1/root";
static const char caveat_domain[] = "pqlink-cap-v1/caveat";
#define INPUT_MAX (sizeof(caveat_domain) + PQI_CAP_BODY_MAX)
#define HEAD_ITEMS 4

/* ---- The chain ---- */

static bool mac_root(uint8_t out[PQI_CAP_MAC_SIZE], const uint8_t *key, const pqi_cap_token *token)
{
    uint8_t input[INPUT_MAX];
    pqi_writer w;
    pqi_writer_init(&w, input, sizeof(input));
    pqi_write_bytes(&w, root_domain, sizeof(root_domain));
    pqi_cbor_write_array(&w, HEAD_ITEMS);
    pqi_cap_write_head(&w, token);
    return pqi_writer_ok(&w) && pqi_hmac_sha256(out, key, PQI_CAP_ROOT_SIZE, input, w.len);
}

/* |mac| becomes that of the token with one caveat more. */
static bool mac_caveat(uint8_t mac[PQI_CAP_MAC_SIZE], pqi_span caveat)
{
    uint8_t input[INPUT_MAX];
    uint8_t key[PQI_CAP_MAC_SIZE];
    pqi_writer w;
    pqi_writer_init(&w, input, sizeof(input));
    pqi_write_bytes(&w, caveat_domain, sizeof(caveat_domain));
    pqi_write_bytes(&w, caveat.at, caveat.len);
    memcpy(key, mac, sizeof(key));
    const bool ok = pqi_writer_ok(&w) && pqi_hmac_sha256(mac, key, sizeof(key), input, w.len);
    pqi_secret_wipe(key, sizeof(key));
    return ok;
}

bool pqi_cap_chain(uint8_t out[PQI_CAP_MAC_SIZE], const uint8_t key[PQI_CAP_ROOT_SIZE],
                   const pqi_cap_token *token)
{
    bool ok = mac_root(out, key, token);
    for (size_t i = 0; ok && i < token->caveat_count; i++) {
        ok = mac_caveat(out, token->caveats[i]);
    }
    return ok;
}

/* ---- New parts ---- */

/* What a new token or caveat is put together in. */
typedef struct parts {
    uint8_t bytes[PQI_CAP_BODY_MAX];
    pqi_writer w;
} parts;

static pqi_span written_since(const parts *p, size_t start)
{
    return (pqi_span){p->bytes + start, p->w.len - start};
}

static pql_status fail_limit(pql_error *err)
{
    return pqi_fail(err, PQL_E_LIMIT,
                    "A token has at most %d caveats and %d bytes: leave out restrictions.",
                    PQI_CAP_CAVEATS_MAX, PQI_CAP_BODY_MAX);
}

static pql_status add_caveat(pqi_cap_token *token, parts *p, const pqi_cap_rule *rule,
                             pql_error *err)
{
    const size_t start = p->w.len;
    if (rule->type >= PQI_CAP_RULE_COUNT || !pqi_cap_rule_check(rule)) {
        return pqi_fail(err, PQL_E_USAGE, "A restriction of the token is not well-formed.");
    }
    pqi_cbor_write_array(&p->w, 2);
    pqi_cap_rule_write(&p->w, rule);
    if (!pqi_writer_ok(&p->w) || token->caveat_count == PQI_CAP_CAVEATS_MAX) {
        return fail_limit(err);
    }
    token->caveats[token->caveat_count++] = written_since(p, start);
    return PQL_OK;
}

static const pqi_cap_rule *rule_of(const pqi_cap_mint *mint, pqi_cap_rule_type type)
{
    for (size_t i = 0; i < mint->count; i++) {
        if (mint->rules[i].type == (uint64_t)type) {
            return &mint->rules[i];
        }
    }
    return NULL;
}

static pql_status write_scope(pqi_cap_token *token, parts *p, const pqi_cap_mint *mint,
                              pql_error *err)
{
    const size_t start = p->w.len;
    size_t count = 0;
    for (int type = PQI_CAP_RULE_AUDIENCE; type <= PQI_CAP_RULE_BYTES; type++) {
        count += rule_of(mint, (pqi_cap_rule_type)type) != NULL ? 1 : 0;
    }
    for (size_t i = 0; i < mint->count; i++) {
        if (mint->rules[i].type <= PQI_CAP_RULE_BYTES &&
            rule_of(mint, (pqi_cap_rule_type)mint->rules[i].type) != &mint->rules[i]) {
            return pqi_fail(err, PQL_E_USAGE, "A scope has each kind of restriction once.");
        }
    }
    if (rule_of(mint, PQI_CAP_RULE_AUDIENCE) == NULL) {
        return pqi_fail(err, PQL_E_USAGE, "A token needs an audience.");
    }
    pqi_cbor_write_map(&p->w, count);
    for (int type = PQI_CAP_RULE_AUDIENCE; type <= PQI_CAP_RULE_BYTES; type++) {
        const pqi_cap_rule *rule = rule_of(mint, (pqi_cap_rule_type)type);
        if (rule != NULL && !pqi_cap_rule_check(rule)) {
            return pqi_fail(err, PQL_E_USAGE, "A restriction of the token is not well-formed.");
        }
        if (rule != NULL) {
            pqi_cap_rule_write(&p->w, rule);
        }
    }
    token->scope = written_since(p, start);
    return pqi_writer_ok(&p->w) ? PQL_OK : fail_limit(err);
}

static pql_status fill(pqi_cap_token *token, parts *p, const pqi_cap_mint *mint, pql_error *err)
{
    pql_status status = write_scope(token, p, mint, err);
    for (size_t i = 0; status == PQL_OK && i < mint->count; i++) {
        if (mint->rules[i].type > PQI_CAP_RULE_BYTES) {
            status = add_caveat(token, p, &mint->rules[i], err);
        }
    }
    return status;
}

static pqi_span span_of(const char *text)
{
    return (pqi_span){(const uint8_t *)text, strlen(text)};
}

pql_status pqi_cap_mint_token(char **text, const pqi_cap_key *key, const pqi_cap_mint *mint,
                              pql_error *err)
{
    uint8_t mac[PQI_CAP_MAC_SIZE];
    parts p;
    pqi_cap_token token = {.tenant = span_of(key->tenant),
                           .kid = span_of(key->kid),
                           .nonce = {mint->nonce, sizeof(mint->nonce)},
                           .mac = {mac, sizeof(mac)}};
    *text = NULL;
    pqi_writer_init(&p.w, p.bytes, sizeof(p.bytes));
    uint8_t *signatures = malloc(PQI_CAP_ENVELOPE_MAX);
    pql_status status = signatures == NULL
                            ? pqi_fail(err, PQL_E_NOMEM, "Out of memory making a token.")
                            : fill(&token, &p, mint, err);
    if (status == PQL_OK && !pqi_cap_chain(mac, key->root, &token)) {
        status = pqi_fail(err, PQL_E_CRYPTO, "The token could not be authenticated.");
    }
    if (status == PQL_OK && mint->sign) {
        status = pqi_cap_envelope_sign(&token, key, signatures, err);
    }
    if (status == PQL_OK) {
        status = pqi_cap_token_write(text, &token, err);
    }
    pqi_secret_wipe(mac, sizeof(mac));
    free(signatures);
    return status;
}

pql_status pqi_cap_attenuate(char **out, const char *text, const pqi_cap_rule *rules, size_t count,
                             pql_error *err)
{
    uint8_t mac[PQI_CAP_MAC_SIZE];
    parts p;
    pqi_cap_token token;
    *out = NULL;
    if (pqi_cap_token_read(&token, text, strlen(text)) != PQI_CAP_ALLOWED) {
        return pqi_fail(err, PQL_E_USAGE,
                        "What was given is no capability token (" PQI_CAP_PREFIX "...).");
    }
    memcpy(mac, token.mac.at, sizeof(mac));
    pqi_writer_init(&p.w, p.bytes, sizeof(p.bytes));
    pql_status status = PQL_OK;
    for (size_t i = 0; status == PQL_OK && i < count; i++) {
        status = add_caveat(&token, &p, &rules[i], err);
        if (status == PQL_OK && !mac_caveat(mac, token.caveats[token.caveat_count - 1])) {
            status = pqi_fail(err, PQL_E_CRYPTO, "The token could not be authenticated.");
        }
    }
    token.mac.at = mac;
    if (status == PQL_OK) {
        status = pqi_cap_token_write(out, &token, err);
    }
    pqi_secret_wipe(mac, sizeof(mac));
    pqi_cap_token_free(&token);
    return status;
}
