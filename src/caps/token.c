#include "caps/token.h"

#include "base/secret.h"

#include <stdlib.h>
#include <string.h>

/* Keys of the map that a token is, in its order. */
enum { KEY_TENANT, KEY_KID, KEY_SCOPE, KEY_NONCE, KEY_CAVEATS, KEY_MAC, KEY_ENVELOPE };
#define KEYS_PLAIN (KEY_MAC + 1)
#define KEYS_SIGNED (KEY_ENVELOPE + 1)
/* Keys of the envelope. */
enum { ENVELOPE_MINTED, ENVELOPE_ALGORITHM, ENVELOPE_ED25519, ENVELOPE_PQ, ENVELOPE_KEYS };
/* Rules that may stand in a scope: what a token is for.  When and from where are caveats. */
#define SCOPE_RULES (PQI_CAP_RULE_BYTES + 1)

bool pqi_cap_is_token(const char *text)
{
    return strncmp(text, PQI_CAP_PREFIX, PQI_CAP_PREFIX_LEN) == 0;
}

/* ---- Reading ---- */

static void expect_key(pqi_reader *r, uint64_t key)
{
    if (pqi_cbor_uint(r) != key) {
        r->failed = true;
    }
}

static pqi_span read_name(pqi_reader *r)
{
    const pqi_span name = pqi_cbor_text(r);
    if (!r->failed && !pqi_cap_name_ok((const char *)name.at, name.len)) {
        r->failed = true;
    }
    return name;
}

static pqi_span read_exactly(pqi_reader *r, size_t len)
{
    const pqi_span bytes = pqi_cbor_bytes(r);
    if (bytes.len != len) {
        r->failed = true;
    }
    return bytes;
}

/* The audience first, because every token has one; then what else there is, each once. */
static pqi_span read_scope(pqi_reader *r)
{
    const size_t start = r->pos;
    const size_t count = pqi_cbor_map(r);
    uint64_t least = PQI_CAP_RULE_AUDIENCE;
    for (size_t i = 0; i < count && !r->failed; i++) {
        pqi_cap_rule rule;
        const uint64_t type = pqi_cbor_uint(r);
        if (type < least || type >= SCOPE_RULES || (i == 0 && type != PQI_CAP_RULE_AUDIENCE)) {
            r->failed = true;
            break;
        }
        pqi_cap_rule_read(r, type, &rule);
        least = type + 1;
    }
    if (count == 0) {
        r->failed = true;
    }
    return pqi_cbor_since(r, start);
}

static void read_caveat(pqi_reader *r, pqi_cap_rule *rule)
{
    if (pqi_cbor_array(r) != 2) {
        r->failed = true;
    }
    const uint64_t type = pqi_cbor_uint(r);
    pqi_cap_rule_read(r, type, rule);
}

/* PQI_CAP_SIZE for too many of them, before the first is looked at. */
static pqi_cap_reason read_caveats(pqi_reader *r, pqi_cap_token *token)
{
    const size_t count = pqi_cbor_array(r);
    if (count > PQI_CAP_CAVEATS_MAX) {
        return PQI_CAP_SIZE;
    }
    for (size_t i = 0; i < count; i++) {
        pqi_cap_rule rule;
        const size_t start = r->pos;
        read_caveat(r, &rule);
        token->caveats[i] = pqi_cbor_since(r, start);
    }
    token->caveat_count = count;
    return r->failed ? PQI_CAP_PARSE : PQI_CAP_ALLOWED;
}

static void read_envelope(pqi_reader *r, pqi_cap_token *token)
{
    pqi_cap_envelope *e = &token->envelope;
    const size_t count = pqi_cbor_map(r);
    uint64_t least = ENVELOPE_MINTED;
    expect_key(r, ENVELOPE_MINTED);
    const uint64_t minted = pqi_cbor_uint(r);
    expect_key(r, ENVELOPE_ALGORITHM);
    e->algorithm = pqi_cbor_uint(r);
    /* A leg that is missing is for the verifier to refuse, with a reason of its own. */
    least = ENVELOPE_ED25519;
    for (size_t i = 2; i < count && !r->failed; i++) {
        const uint64_t key = pqi_cbor_uint(r);
        if (key < least || key >= ENVELOPE_KEYS) {
            r->failed = true;
            break;
        }
        *(key == ENVELOPE_ED25519 ? &e->ed25519 : &e->pq) = pqi_cbor_bytes(r);
        least = key + 1;
    }
    if (count < 2 || minted > token->caveat_count) {
        r->failed = true;
    }
    e->minted = r->failed ? 0 : (size_t)minted;
}

static pqi_cap_reason read_body(pqi_reader *r, pqi_cap_token *token)
{
    const size_t keys = pqi_cbor_map(r);
    expect_key(r, KEY_TENANT);
    token->tenant = read_name(r);
    expect_key(r, KEY_KID);
    token->kid = read_name(r);
    expect_key(r, KEY_SCOPE);
    token->scope = read_scope(r);
    expect_key(r, KEY_NONCE);
    token->nonce = read_exactly(r, PQI_CAP_NONCE_SIZE);
    expect_key(r, KEY_CAVEATS);
    const pqi_cap_reason reason = read_caveats(r, token);
    if (reason != PQI_CAP_ALLOWED) {
        return reason;
    }
    expect_key(r, KEY_MAC);
    token->mac = read_exactly(r, PQI_CAP_MAC_SIZE);
    if (r->failed || (keys != KEYS_PLAIN && keys != KEYS_SIGNED)) {
        return PQI_CAP_PARSE;
    }
    token->has_envelope = keys == KEYS_SIGNED;
    return r->pos <= PQI_CAP_BODY_MAX ? PQI_CAP_ALLOWED : PQI_CAP_SIZE;
}

static pqi_cap_reason read_all(pqi_cap_token *token)
{
    pqi_reader r;
    pqi_reader_init(&r, token->data, token->len);
    const pqi_cap_reason reason = read_body(&r, token);
    if (reason == PQI_CAP_ALLOWED && token->has_envelope) {
        expect_key(&r, KEY_ENVELOPE);
        read_envelope(&r, token);
    }
    if (reason == PQI_CAP_ALLOWED && !pqi_reader_done(&r)) {
        return PQI_CAP_PARSE;
    }
    return reason;
}

pqi_cap_reason pqi_cap_token_read(pqi_cap_token *out, const char *text, size_t len)
{
    *out = (pqi_cap_token){0};
    if (len > PQI_CAP_TEXT_MAX) {
        return PQI_CAP_SIZE;
    }
    if (len <= PQI_CAP_PREFIX_LEN || memcmp(text, PQI_CAP_PREFIX, PQI_CAP_PREFIX_LEN) != 0) {
        return PQI_CAP_PARSE;
    }
    const size_t chars = len - PQI_CAP_PREFIX_LEN;
    out->len = pqi_base64url_bytes(chars);
    out->data = calloc(1, out->len + 1); /* of no bytes, too */
    if (out->data == NULL) {
        *out = (pqi_cap_token){0};
        return PQI_CAP_SIZE;
    }
    const pqi_cap_reason reason = pqi_base64url_decode(out->data, text + PQI_CAP_PREFIX_LEN, chars)
                                      ? read_all(out)
                                      : PQI_CAP_PARSE;
    if (reason != PQI_CAP_ALLOWED) {
        pqi_cap_token_free(out);
    }
    return reason;
}

void pqi_cap_token_free(pqi_cap_token *token)
{
    pqi_secret_free(token->data, token->len);
    *token = (pqi_cap_token){0};
}

/* ---- Rules ---- */

static void scope_next(const pqi_cap_token *token, pqi_cap_rules *at, pqi_cap_rule *rule)
{
    pqi_reader r;
    pqi_reader_init(&r, token->scope.at, token->scope.len);
    (void)pqi_read_bytes(&r, at->scope_at);
    const uint64_t type = pqi_cbor_uint(&r);
    pqi_cap_rule_read(&r, type, rule);
    at->scope_at = r.pos;
    at->scope_left--;
}

bool pqi_cap_rules_next(const pqi_cap_token *token, pqi_cap_rules *at, pqi_cap_rule *rule)
{
    pqi_reader r;
    if (!at->begun) {
        pqi_reader_init(&r, token->scope.at, token->scope.len);
        at->begun = true;
        at->scope_left = pqi_cbor_map(&r);
        at->scope_at = r.pos;
    }
    if (at->scope_left > 0) {
        scope_next(token, at, rule);
        return true;
    }
    if (at->next == token->caveat_count) {
        return false;
    }
    const pqi_span caveat = token->caveats[at->next++];
    pqi_reader_init(&r, caveat.at, caveat.len);
    read_caveat(&r, rule);
    return true;
}

/* ---- Writing ---- */

void pqi_cap_write_head(pqi_writer *w, const pqi_cap_token *token)
{
    pqi_cbor_write_text(w, token->tenant.at, token->tenant.len);
    pqi_cbor_write_text(w, token->kid.at, token->kid.len);
    pqi_write_bytes(w, token->scope.at, token->scope.len);
    pqi_cbor_write_bytes(w, token->nonce.at, token->nonce.len);
}

static void write_envelope(pqi_writer *w, const pqi_cap_envelope *e)
{
    const size_t legs = (e->ed25519.len > 0 ? 1U : 0U) + (e->pq.len > 0 ? 1U : 0U);
    pqi_cbor_write_map(w, 2 + legs);
    pqi_cbor_write_uint(w, ENVELOPE_MINTED);
    pqi_cbor_write_uint(w, e->minted);
    pqi_cbor_write_uint(w, ENVELOPE_ALGORITHM);
    pqi_cbor_write_uint(w, e->algorithm);
    if (e->ed25519.len > 0) {
        pqi_cbor_write_uint(w, ENVELOPE_ED25519);
        pqi_cbor_write_bytes(w, e->ed25519.at, e->ed25519.len);
    }
    if (e->pq.len > 0) {
        pqi_cbor_write_uint(w, ENVELOPE_PQ);
        pqi_cbor_write_bytes(w, e->pq.at, e->pq.len);
    }
}

static void write_all(pqi_writer *w, const pqi_cap_token *token, size_t *body)
{
    pqi_cbor_write_map(w, token->has_envelope ? KEYS_SIGNED : KEYS_PLAIN);
    pqi_cbor_write_uint(w, KEY_TENANT);
    pqi_cbor_write_text(w, token->tenant.at, token->tenant.len);
    pqi_cbor_write_uint(w, KEY_KID);
    pqi_cbor_write_text(w, token->kid.at, token->kid.len);
    pqi_cbor_write_uint(w, KEY_SCOPE);
    pqi_write_bytes(w, token->scope.at, token->scope.len);
    pqi_cbor_write_uint(w, KEY_NONCE);
    pqi_cbor_write_bytes(w, token->nonce.at, token->nonce.len);
    pqi_cbor_write_uint(w, KEY_CAVEATS);
    pqi_cbor_write_array(w, token->caveat_count);
    for (size_t i = 0; i < token->caveat_count; i++) {
        pqi_write_bytes(w, token->caveats[i].at, token->caveats[i].len);
    }
    pqi_cbor_write_uint(w, KEY_MAC);
    pqi_cbor_write_bytes(w, token->mac.at, token->mac.len);
    *body = w->len;
    if (token->has_envelope) {
        pqi_cbor_write_uint(w, KEY_ENVELOPE);
        write_envelope(w, &token->envelope);
    }
}

/* |data| (PQI_CAP_DECODED_MAX bytes) and |text| are scratch and result of the caller. */
static pql_status write_text(char *text, uint8_t *data, const pqi_cap_token *token, pql_error *err)
{
    pqi_writer w;
    size_t body = 0;
    pqi_writer_init(&w, data, PQI_CAP_DECODED_MAX);
    write_all(&w, token, &body);
    if (!pqi_writer_ok(&w) || body > PQI_CAP_BODY_MAX) {
        return pqi_fail(err, PQL_E_LIMIT,
                        "The token would be longer than %d bytes: leave out restrictions.",
                        PQI_CAP_BODY_MAX);
    }
    memcpy(text, PQI_CAP_PREFIX, PQI_CAP_PREFIX_LEN);
    pqi_base64url_encode(text + PQI_CAP_PREFIX_LEN, data, w.len);
    return PQL_OK;
}

pql_status pqi_cap_token_write(char **text, const pqi_cap_token *token, pql_error *err)
{
    uint8_t *data = malloc(PQI_CAP_DECODED_MAX);
    char *out = malloc(PQI_CAP_TEXT_MAX + 1);
    const pql_status status = data == NULL || out == NULL
                                  ? pqi_fail(err, PQL_E_NOMEM, "Out of memory writing a token.")
                                  : write_text(out, data, token, err);
    if (status != PQL_OK) {
        free(out);
        out = NULL;
    }
    *text = out;
    pqi_secret_free(data, PQI_CAP_DECODED_MAX);
    return status;
}
