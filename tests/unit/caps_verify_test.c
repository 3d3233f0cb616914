/* Capability tokens: what is minted, narrowed and verified, and what must never get through. */
#include "test.h"

#include "base/hex.h"
#include "unit/caps_scene.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdio.h>

#define RULES_MAX 16

static struct in6_addr mapped(const char *text)
{
    struct in6_addr out;
    char full[64];
    (void)snprintf(full, sizeof(full), strchr(text, ':') == NULL ? "::ffff:%s" : "%s", text);
    assert_int_equal(inet_pton(AF_INET6, full, &out), 1);
    return out;
}

static void free_token(char *text)
{
    pqi_secret_free(text, strlen(text));
}

/* The bytes of a token; *len is how many.  To be freed. */
static uint8_t *bytes_of(const char *text, size_t *len)
{
    const char *encoded = text + PQI_CAP_PREFIX_LEN;
    *len = pqi_base64url_bytes(strlen(encoded));
    uint8_t *bytes = malloc(*len + 1);
    assert_non_null(bytes);
    assert_true(pqi_base64url_decode(bytes, encoded, strlen(encoded)));
    return bytes;
}

static char *text_of(const uint8_t *bytes, size_t len)
{
    char *text = malloc(PQI_CAP_PREFIX_LEN + PQI_BASE64URL_LEN(len) + 1);
    assert_non_null(text);
    memcpy(text, PQI_CAP_PREFIX, PQI_CAP_PREFIX_LEN);
    pqi_base64url_encode(text + PQI_CAP_PREFIX_LEN, bytes, len);
    return text;
}

static pqi_cap_reason verify_bytes(const pqi_cap_keys *keys, const uint8_t *bytes, size_t len,
                                   const pqi_cap_request *request)
{
    char *text = text_of(bytes, len);
    const pqi_cap_reason reason = scene_verify(keys, text, request);
    free(text);
    return reason;
}

/* ---- Golden vectors ---- */

static const char *const rule_names[PQI_CAP_RULE_COUNT] = {
    "audience", "methods", "path", "bytes", "address", "not_before", "expires"};

/* One restriction of the file; |text| and |address| keep what the rule points to. */
static pqi_cap_rule golden_rule(const json_t *object, char text[64], uint8_t address[16])
{
    for (unsigned type = 0; type < PQI_CAP_RULE_COUNT; type++) {
        const json_t *value = json_object_get(object, rule_names[type]);
        pqi_cap_rule rule = {.type = type};
        if (value == NULL) {
            continue;
        }
        if (json_is_integer(value)) {
            rule.number = (uint64_t)json_integer_value(value);
        } else if (json_is_string(value) && type == PQI_CAP_RULE_BYTES) {
            rule.number = strtoull(json_string_value(value), NULL, 10);
        } else if (json_is_string(value)) {
            rule.text = scene_span(json_string_value(value));
        } else if (type == PQI_CAP_RULE_METHODS) {
            text[0] = '\0';
            for (size_t i = 0; i < json_array_size(value); i++) {
                (void)snprintf(text + strlen(text), 64 - strlen(text), "%s%s", i == 0 ? "" : ",",
                               json_string_value(json_array_get(value, i)));
            }
            assert_true(pqi_cap_methods_parse(&rule, text));
        } else {
            const char *hex = json_string_value(json_array_get(value, 0));
            assert_true(pqi_hex_decode(address, strlen(hex) / 2, hex, strlen(hex)));
            rule.address = (pqi_span){address, strlen(hex) / 2};
            rule.number = (uint64_t)json_integer_value(json_array_get(value, 1));
        }
        return rule;
    }
    fail_msg("a restriction without a name");
    return (pqi_cap_rule){0};
}

static void golden_mint(const json_t *vector, const pqi_cap_keys *keys)
{
    char texts[RULES_MAX][64];
    uint8_t addresses[RULES_MAX][16];
    pqi_cap_rule scope[RULES_MAX];
    size_t count = 0;
    const json_t *item;
    size_t i;
    json_array_foreach(json_object_get(vector, "scope"), i, item)
    {
        scope[count] = golden_rule(item, texts[count], addresses[count]);
        count++;
    }
    char *text = scene_mint(&keys->keys[0], scope, count, false);
    json_array_foreach(json_object_get(vector, "caveats"), i, item)
    {
        char *before = text;
        const pqi_cap_rule rule = golden_rule(item, texts[0], addresses[0]);
        text = scene_attenuate(before, &rule, 1);
        free_token(before);
    }
    assert_string_equal(text, json_string_value(json_object_get(vector, "token")));
    free_token(text);
}

static void golden_read(const json_t *vector, const pqi_cap_keys *keys)
{
    const char *text = json_string_value(json_object_get(vector, "token"));
    const json_t *chain = json_object_get(vector, "chain");
    pqi_cap_token token;
    uint8_t mac[PQI_CAP_MAC_SIZE];
    char hex[2 * PQI_CAP_MAC_SIZE + 1];
    size_t len;
    uint8_t *bytes = bytes_of(text, &len);
    char *bytes_hex = malloc(2 * len + 1);
    pqi_hex_encode(bytes_hex, bytes, len);
    assert_string_equal(bytes_hex, json_string_value(json_object_get(vector, "cbor")));
    assert_int_equal(pqi_cap_token_read(&token, text, strlen(text)), PQI_CAP_ALLOWED);
    const size_t count = token.caveat_count;
    assert_int_equal(json_array_size(chain), count + 1);
    for (size_t i = 0; i <= count; i++) {
        token.caveat_count = i;
        assert_true(pqi_cap_chain(mac, keys->keys[0].root, &token));
        pqi_hex_encode(hex, mac, sizeof(mac));
        assert_string_equal(hex, json_string_value(json_array_get(chain, i)));
    }
    pqi_cap_token_free(&token);
    free(bytes_hex);
    free(bytes);
}

static void tokens_are_those_of_the_golden_vectors(void **state)
{
    (void)state;
    json_t *file = json_load_file(PQLINK_TEST_DATA "/pqlink-cap-1.json", 0, NULL);
    const json_t *vector;
    size_t index;
    assert_true(json_array_size(json_object_get(file, "vectors")) >= 6);
    json_array_foreach(json_object_get(file, "vectors"), index, vector)
    {
        pqi_cap_keys keys = scene_keys(json_string_value(json_object_get(vector, "kid")),
                                       json_string_value(json_object_get(vector, "tenant")));
        golden_mint(vector, &keys);
        golden_read(vector, &keys);
        pqi_cap_keys_clear(&keys);
    }
    json_decref(file);
}

/* The original lost its domain separator: a token without it must not pass for one with it. */
static void the_domain_separator_is_in_the_mac(void **state)
{
    (void)state;
    json_t *file = json_load_file(PQLINK_TEST_DATA "/pqlink-cap-1.json", 0, NULL);
    const json_t *vector;
    size_t index;
    json_array_foreach(json_object_get(file, "vectors"), index, vector)
    {
        const char *audience = json_string_value(
            json_object_get(json_array_get(json_object_get(vector, "scope"), 0), "audience"));
        const pqi_cap_request request = {.audience = audience};
        pqi_cap_keys keys = scene_keys(json_string_value(json_object_get(vector, "kid")),
                                       json_string_value(json_object_get(vector, "tenant")));
        const char *without = json_string_value(json_object_get(vector, "without_root_separator"));
        assert_int_equal(scene_verify(&keys, without, &request), PQI_CAP_MAC);
        pqi_cap_keys_clear(&keys);
    }
    json_decref(file);
}

/* ---- Scope and caveats ---- */

typedef struct fixture {
    pqi_cap_keys keys;
    pqi_cap_rule rules[2];
    char *text;
} fixture;

/* A token for "admin" with |rule| besides. */
static fixture with_rule(pqi_cap_rule rule)
{
    fixture f = {.keys = scene_keys("k1", "acme")};
    f.rules[0] = scene_text(PQI_CAP_RULE_AUDIENCE, "admin");
    f.rules[1] = rule;
    f.text = scene_mint(&f.keys.keys[0], f.rules, 2, false);
    return f;
}

static void drop_fixture(fixture *f)
{
    free_token(f->text);
    pqi_cap_keys_clear(&f->keys);
}

static void the_audience_is_compared_with_the_service(void **state)
{
    (void)state;
    pqi_cap_keys keys = scene_keys("k1", "acme");
    const pqi_cap_rule rule = scene_text(PQI_CAP_RULE_AUDIENCE, "miner");
    char *text = scene_mint(&keys.keys[0], &rule, 1, false);
    assert_int_equal(scene_verify(&keys, text, &(pqi_cap_request){.audience = "miner"}),
                     PQI_CAP_ALLOWED);
    static const char *const others[] = {"admin", "mine", "miners", "Miner", ""};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_int_equal(scene_verify(&keys, text, &(pqi_cap_request){.audience = others[i]}),
                         PQI_CAP_AUDIENCE);
    }
    free_token(text);
    pqi_cap_keys_clear(&keys);
}

/* The original returned the scope and left it to the caller, who did not look. */
static void the_scope_is_enforced(void **state)
{
    (void)state;
    fixture f = with_rule(scene_methods("GET,HEAD"));
    pqi_cap_request request = {.audience = "admin", .method = "HEAD"};
    assert_int_equal(scene_verify(&f.keys, f.text, &request), PQI_CAP_ALLOWED);
    request.method = "POST";
    assert_int_equal(scene_verify(&f.keys, f.text, &request), PQI_CAP_METHOD);
    drop_fixture(&f);
    f = with_rule(scene_text(PQI_CAP_RULE_PATH, "/status"));
    request.path = "/metrics";
    assert_int_equal(scene_verify(&f.keys, f.text, &request), PQI_CAP_PATH);
    drop_fixture(&f);
    f = with_rule(scene_number(PQI_CAP_RULE_BYTES, 100));
    request.has_bytes = true;
    request.bytes = 101;
    assert_int_equal(scene_verify(&f.keys, f.text, &request), PQI_CAP_BYTES);
    request.bytes = 100;
    assert_int_equal(scene_verify(&f.keys, f.text, &request), PQI_CAP_ALLOWED);
    drop_fixture(&f);
}

/* The original skipped what the caller did not say. */
static void a_fact_that_the_request_lacks_is_denied(void **state)
{
    static const pqi_cap_request request = {.audience = "admin"};
    uint8_t bytes[16];
    (void)state;
    const struct {
        pqi_cap_rule rule;
        pqi_cap_reason reason;
    } cases[] = {
        {scene_methods("GET"), PQI_CAP_METHOD},
        {scene_text(PQI_CAP_RULE_PATH, "/"), PQI_CAP_PATH},
        {scene_number(PQI_CAP_RULE_BYTES, UINT64_MAX), PQI_CAP_BYTES},
        {scene_cidr(bytes, "0.0.0.0/0"), PQI_CAP_ADDRESS},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fixture f = with_rule(cases[i].rule);
        assert_int_equal(scene_verify(&f.keys, f.text, &request), cases[i].reason);
        drop_fixture(&f);
    }
}

static void paths_are_compared_by_segments(void **state)
{
    static const struct {
        const char *prefix;
        const char *path;
        bool allowed;
    } cases[] = {
        {"/a", "/a", true},       {"/a", "/a/b", true},
        {"/a", "/ab", false},     {"/a", "/", false},
        {"/a", "/a/", false},     {"/a", "/a/../b", false},
        {"/a", "/a/..", false},   {"/a", "/a/./b", false},
        {"/a", "/a//b", false},   {"/a", "//a", false},
        {"/a", "/%61", false},    {"/a", "/a/%2e%2e/b", false},
        {"/a", "/a?x", false},    {"/a", "/a#x", false},
        {"/a", "/a\\..", false},  {"/a", "a", false},
        {"/a", "", false},        {"/a", "/A", false},
        {"/a/b", "/a/b/c", true}, {"/a/b", "/a", false},
        {"/", "/", true},         {"/", "/anything", true},
        {"/", "/../x", false},    {"/a", "/a/...", true},
        {"/a", "/a/b c", false},  {"/a", "/a/\xc3\xbc", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fixture f = with_rule(scene_text(PQI_CAP_RULE_PATH, cases[i].prefix));
        const pqi_cap_request request = {.audience = "admin", .path = cases[i].path};
        const pqi_cap_reason reason = scene_verify(&f.keys, f.text, &request);
        if (reason != (cases[i].allowed ? PQI_CAP_ALLOWED : PQI_CAP_PATH)) {
            fail_msg("%s under %s: %s", cases[i].path, cases[i].prefix,
                     pqi_cap_reason_names[reason]);
        }
        drop_fixture(&f);
    }
}

static void addresses_are_compared_by_network(void **state)
{
    static const struct {
        const char *network;
        const char *address;
        bool allowed;
    } cases[] = {
        {"10.0.0.0/8", "10.255.1.2", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.0/31", "192.0.2.1", true},
        {"192.0.2.0/31", "192.0.2.2", false},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"2001:db8::/32", "2001:db8:1::", true},
        {"2001:db8::/32", "2001:db9::", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "192.0.2.1", false},
        {"::1", "::1", true},
        {"::1", "127.0.0.1", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t bytes[16];
        fixture f = with_rule(scene_cidr(bytes, cases[i].network));
        const struct in6_addr address = mapped(cases[i].address);
        const pqi_cap_request request = {.audience = "admin", .address = &address};
        const pqi_cap_reason reason = scene_verify(&f.keys, f.text, &request);
        if (reason != (cases[i].allowed ? PQI_CAP_ALLOWED : PQI_CAP_ADDRESS)) {
            fail_msg("%s in %s: %s", cases[i].address, cases[i].network,
                     pqi_cap_reason_names[reason]);
        }
        drop_fixture(&f);
    }
}

static void times_have_the_skew_of_the_policy(void **state)
{
    static const pqi_cap_request request = {.audience = "admin"};
    (void)state;
    fixture f = with_rule(scene_number(PQI_CAP_RULE_EXPIRES, SCENE_NOW));
    assert_int_equal(scene_verify_at(&f.keys, f.text, &request, SCENE_NOW + SCENE_SKEW - 1),
                     PQI_CAP_ALLOWED);
    assert_int_equal(scene_verify_at(&f.keys, f.text, &request, SCENE_NOW + SCENE_SKEW),
                     PQI_CAP_EXPIRED);
    drop_fixture(&f);
    f = with_rule(scene_number(PQI_CAP_RULE_NOT_BEFORE, SCENE_NOW));
    assert_int_equal(scene_verify_at(&f.keys, f.text, &request, SCENE_NOW - SCENE_SKEW),
                     PQI_CAP_ALLOWED);
    assert_int_equal(scene_verify_at(&f.keys, f.text, &request, SCENE_NOW - SCENE_SKEW - 1),
                     PQI_CAP_NOT_YET);
    drop_fixture(&f);
    f = with_rule(scene_number(PQI_CAP_RULE_EXPIRES, UINT64_MAX));
    assert_int_equal(scene_verify_at(&f.keys, f.text, &request, UINT64_MAX - 1), PQI_CAP_ALLOWED);
    drop_fixture(&f);
}

static void a_token_of_another_tenant_is_denied(void **state)
{
    (void)state;
    fixture f = with_rule(scene_number(PQI_CAP_RULE_EXPIRES, SCENE_NOW));
    pqi_cap_request request = {.audience = "admin", .tenant = "acme"};
    assert_int_equal(scene_verify(&f.keys, f.text, &request), PQI_CAP_ALLOWED);
    request.tenant = "umbrella";
    assert_int_equal(scene_verify(&f.keys, f.text, &request), PQI_CAP_TENANT);
    pqi_cap_keys other = scene_keys("k1", "umbrella"); /* the same root key, bound elsewhere */
    request.tenant = NULL;
    assert_int_equal(scene_verify(&other, f.text, &request), PQI_CAP_TENANT);
    pqi_cap_keys_clear(&other);
    drop_fixture(&f);
}

/* ---- Attenuation ---- */

/* In the original every step used the root key, so that no holder could add anything. */
static void a_holder_narrows_a_token_without_any_key(void **state)
{
    (void)state;
    fixture f = with_rule(scene_methods("GET,HEAD"));
    const pqi_cap_rule rules[] = {scene_text(PQI_CAP_RULE_PATH, "/status"), scene_methods("GET")};
    char *narrow = scene_attenuate(f.text, rules, 2);
    pqi_cap_request request = {.audience = "admin", .method = "GET", .path = "/status"};
    assert_int_equal(scene_verify(&f.keys, narrow, &request), PQI_CAP_ALLOWED);
    request.method = "HEAD";
    assert_int_equal(scene_verify(&f.keys, f.text, &request), PQI_CAP_ALLOWED);
    assert_int_equal(scene_verify(&f.keys, narrow, &request), PQI_CAP_METHOD);
    request.method = "GET";
    request.path = "/metrics";
    assert_int_equal(scene_verify(&f.keys, narrow, &request), PQI_CAP_PATH);
    free_token(narrow);
    drop_fixture(&f);
}

static void a_caveat_cannot_be_taken_off_again(void **state)
{
    static const pqi_cap_request request = {.audience = "admin"};
    pqi_cap_token token;
    char *without = NULL;
    (void)state;
    fixture f = with_rule(scene_number(PQI_CAP_RULE_EXPIRES, SCENE_NOW));
    const pqi_cap_rule rule = scene_text(PQI_CAP_RULE_AUDIENCE, "miner");
    char *narrow = scene_attenuate(f.text, &rule, 1);
    assert_int_equal(scene_verify(&f.keys, narrow, &request), PQI_CAP_AUDIENCE);
    assert_int_equal(pqi_cap_token_read(&token, narrow, strlen(narrow)), PQI_CAP_ALLOWED);
    token.caveat_count--;
    assert_int_equal(pqi_cap_token_write(&without, &token, NULL), PQL_OK);
    assert_int_equal(scene_verify(&f.keys, without, &request), PQI_CAP_MAC);
    pqi_cap_token_free(&token);
    free_token(without);
    free_token(narrow);
    drop_fixture(&f);
}

/* A small generator, the same at each run. */
static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static pqi_cap_rule random_rule(uint64_t *seed, uint8_t bytes[16])
{
    static const char *const methods[] = {"GET", "GET,HEAD", "POST", "GET,POST"};
    static const char *const paths[] = {"/", "/a", "/a/b", "/b"};
    static const char *const networks[] = {"10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "::/0"};
    static const char *const audiences[] = {"admin", "miner"};
    const uint64_t pick = next_random(seed) >> 20;
    switch (next_random(seed) % PQI_CAP_RULE_COUNT) {
    case PQI_CAP_RULE_AUDIENCE:
        return scene_text(PQI_CAP_RULE_AUDIENCE, audiences[pick % 2]);
    case PQI_CAP_RULE_METHODS:
        return scene_methods(methods[pick % 4]);
    case PQI_CAP_RULE_PATH:
        return scene_text(PQI_CAP_RULE_PATH, paths[pick % 4]);
    case PQI_CAP_RULE_BYTES:
        return scene_number(PQI_CAP_RULE_BYTES, pick % 3);
    case PQI_CAP_RULE_ADDRESS:
        return scene_cidr(bytes, networks[pick % 4]);
    case PQI_CAP_RULE_NOT_BEFORE:
        return scene_number(PQI_CAP_RULE_NOT_BEFORE, SCENE_NOW + 50 + pick % 20);
    default:
        return scene_number(PQI_CAP_RULE_EXPIRES, SCENE_NOW - 70 + pick % 20);
    }
}

/* Whatever is added to whichever token, no request gets through that did not before. */
static void attenuation_never_widens(void **state)
{
    static const char *const request_methods[] = {NULL, "GET", "HEAD", "POST"};
    static const char *const request_paths[] = {NULL, "/", "/a", "/a/b", "/ab"};
    uint64_t seed = 42;
    unsigned allowed = 0;
    unsigned narrowed = 0;
    const struct in6_addr addresses[] = {mapped("10.1.2.3"), mapped("10.9.9.9"),
                                         mapped("2001:db8::1")};
    (void)state;
    for (unsigned round = 0; round < 3000; round++) {
        uint8_t bytes[3][16];
        fixture f = with_rule(scene_number(PQI_CAP_RULE_EXPIRES, SCENE_NOW));
        const pqi_cap_rule first[] = {random_rule(&seed, bytes[0])};
        const pqi_cap_rule second[] = {random_rule(&seed, bytes[1]), random_rule(&seed, bytes[2])};
        char *wide = scene_attenuate(f.text, first, 1);
        char *narrow = scene_attenuate(wide, second, 1 + next_random(&seed) % 2);
        for (unsigned k = 0; k < 8; k++) {
            const uint64_t pick = next_random(&seed) >> 16;
            const pqi_cap_request request = {
                .audience = pick % 5 == 0 ? "miner" : "admin",
                .method = request_methods[(pick >> 4) % 4],
                .path = request_paths[(pick >> 8) % 5],
                .has_bytes = (pick >> 12) % 2 == 0,
                .bytes = (pick >> 13) % 3,
                .address = (pick >> 16) % 4 == 3 ? NULL : &addresses[(pick >> 16) % 4],
            };
            const bool before = scene_verify(&f.keys, wide, &request) == PQI_CAP_ALLOWED;
            const bool after = scene_verify(&f.keys, narrow, &request) == PQI_CAP_ALLOWED;
            assert_true(before || !after);
            allowed += after ? 1 : 0;
            narrowed += before && !after ? 1 : 0;
        }
        free_token(narrow);
        free_token(wide);
        drop_fixture(&f);
    }
    assert_true(allowed > 100 && narrowed > 100); /* or the property was not put to a test */
}

/* ---- What is no token ---- */

static const pqi_cap_request plain_request = {.audience = "admin"};

static void every_truncation_is_denied(void **state)
{
    size_t len;
    (void)state;
    fixture f = with_rule(scene_number(PQI_CAP_RULE_EXPIRES, SCENE_NOW));
    assert_int_equal(scene_verify(&f.keys, f.text, &plain_request), PQI_CAP_ALLOWED);
    for (size_t i = 0; i < strlen(f.text); i++) {
        char *cut = strndup(f.text, i);
        assert_int_not_equal(scene_verify(&f.keys, cut, &plain_request), PQI_CAP_ALLOWED);
        free(cut);
    }
    uint8_t *bytes = bytes_of(f.text, &len);
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(verify_bytes(&f.keys, bytes, i, &plain_request), PQI_CAP_PARSE);
    }
    bytes[len] = 0; /* a byte more than there is */
    assert_int_equal(verify_bytes(&f.keys, bytes, len + 1, &plain_request), PQI_CAP_PARSE);
    free(bytes);
    drop_fixture(&f);
}

static void assert_no_flip_is_allowed(const fixture *f, const char *token)
{
    size_t len;
    char *text = strdup(token);
    for (size_t i = 0; i < strlen(token); i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            text[i] = (char)(text[i] ^ (char)(1U << bit));
            pqi_cap_verdict verdict;
            const pqi_cap_policy policy = {.skew = SCENE_SKEW};
            assert_false(pqi_cap_verify(text, strlen(token), &f->keys, &policy, &plain_request,
                                        SCENE_NOW, &verdict));
            text[i] = token[i];
        }
    }
    free(text);
    uint8_t *bytes = bytes_of(token, &len);
    for (size_t i = 0; i < 8 * len; i++) {
        bytes[i / 8] ^= (uint8_t)(1U << (i % 8));
        assert_int_not_equal(verify_bytes(&f->keys, bytes, len, &plain_request), PQI_CAP_ALLOWED);
        bytes[i / 8] ^= (uint8_t)(1U << (i % 8));
    }
    free(bytes);
}

static void every_bit_flip_is_denied(void **state)
{
    (void)state;
    fixture f = with_rule(scene_number(PQI_CAP_RULE_EXPIRES, SCENE_NOW));
    const pqi_cap_rule rule = scene_number(PQI_CAP_RULE_NOT_BEFORE, SCENE_NOW);
    char *more = scene_attenuate(f.text, &rule, 1);
    assert_no_flip_is_allowed(&f, f.text);
    assert_no_flip_is_allowed(&f, more);
    free_token(more);
    drop_fixture(&f);
}

/* Tokens with a good MAC that are written in another form than the one there is. */
static void other_forms_of_a_good_token_are_denied(void **state)
{
    size_t len;
    (void)state;
    fixture f = with_rule(scene_number(PQI_CAP_RULE_EXPIRES, SCENE_NOW));
    uint8_t *bytes = bytes_of(f.text, &len);
    uint8_t *other = malloc(len + 16);
    assert_int_equal(bytes[0], 0xa6);
    memcpy(other + 1, bytes, len); /* the head of the map in two bytes */
    other[0] = 0xb8;
    other[1] = 6;
    assert_int_equal(verify_bytes(&f.keys, other, len + 1, &plain_request), PQI_CAP_PARSE);
    memcpy(other, bytes, len);
    other[0] = 0xbf; /* of indefinite length */
    other[len] = 0xff;
    assert_int_equal(verify_bytes(&f.keys, other, len + 1, &plain_request), PQI_CAP_PARSE);
    memcpy(other, bytes, len);
    other[0] = 0xa7; /* an unknown key at the end, and the first one twice */
    memcpy(other + len, "\x07\x00", 2);
    assert_int_equal(verify_bytes(&f.keys, other, len + 2, &plain_request), PQI_CAP_PARSE);
    memcpy(other + len,
           "\x00\x64"
           "acme",
           6);
    assert_int_equal(verify_bytes(&f.keys, other, len + 6, &plain_request), PQI_CAP_PARSE);
    free(other);
    free(bytes);
    char padded[PQI_CAP_BODY_MAX];
    (void)snprintf(padded, sizeof(padded), "%s=", f.text);
    assert_int_equal(scene_verify(&f.keys, padded, &plain_request), PQI_CAP_PARSE);
    (void)snprintf(padded, sizeof(padded), "%s\n", f.text);
    assert_int_equal(scene_verify(&f.keys, padded, &plain_request), PQI_CAP_PARSE);
    drop_fixture(&f);
}

/* As a token of a later version, or of a verifier with more kinds of caveats, would be. */
static void an_unknown_caveat_is_denied(void **state)
{
    static const uint8_t unknown[] = {0x82, 0x18, 0x63, 0x82, 0x01, 0x61, 'x'}; /* [99, [1, "x"]] */
    pqi_cap_token token;
    uint8_t mac[PQI_CAP_MAC_SIZE];
    char *text = NULL;
    (void)state;
    fixture f = with_rule(scene_number(PQI_CAP_RULE_EXPIRES, SCENE_NOW));
    assert_int_equal(pqi_cap_token_read(&token, f.text, strlen(f.text)), PQI_CAP_ALLOWED);
    token.caveats[token.caveat_count++] = (pqi_span){unknown, sizeof(unknown)};
    assert_true(pqi_cap_chain(mac, f.keys.keys[0].root, &token));
    token.mac.at = mac;
    assert_int_equal(pqi_cap_token_write(&text, &token, NULL), PQL_OK);
    assert_int_equal(scene_verify(&f.keys, text, &plain_request), PQI_CAP_UNKNOWN_CAVEAT);
    pqi_cap_token_free(&token);
    free_token(text);
    drop_fixture(&f);
}

static void count_and_length_are_looked_at_first(void **state)
{
    pqi_cap_rule many[PQI_CAP_CAVEATS_MAX + 1];
    char path[PQI_CAP_PATH_MAX + 1] = "/";
    (void)state;
    pqi_cap_keys none = {0}; /* no key is looked up: the reason would be another one */
    fixture f = with_rule(scene_number(PQI_CAP_RULE_EXPIRES, SCENE_NOW));
    for (size_t i = 0; i <= PQI_CAP_CAVEATS_MAX; i++) {
        many[i] = scene_number(PQI_CAP_RULE_EXPIRES, SCENE_NOW);
    }
    char *full = scene_attenuate(f.text, many, PQI_CAP_CAVEATS_MAX - 1);
    assert_int_equal(scene_verify(&f.keys, full, &plain_request), PQI_CAP_ALLOWED);
    char *over = NULL;
    assert_int_equal(pqi_cap_attenuate(&over, full, many, 1, NULL), PQL_E_LIMIT);
    assert_null(over);

    size_t len;
    uint8_t *bytes = bytes_of(full, &len);
    uint8_t *head = memmem(bytes, len, "\x04\x98\x40\x82", 4);
    assert_non_null(head);
    head[2] = PQI_CAP_CAVEATS_MAX + 1;
    assert_int_equal(verify_bytes(&none, bytes, len, &plain_request), PQI_CAP_SIZE);
    free(bytes);

    memset(path + 1, 'a', sizeof(path) - 2);
    for (size_t i = 0; i < 16; i++) {
        many[i] = scene_text(PQI_CAP_RULE_PATH, path);
    }
    assert_int_equal(pqi_cap_attenuate(&over, f.text, many, 16, NULL), PQL_E_LIMIT);
    char *endless = malloc(PQI_CAP_TEXT_MAX + 2);
    memset(endless, 'A', PQI_CAP_TEXT_MAX + 1);
    endless[PQI_CAP_TEXT_MAX + 1] = '\0';
    memcpy(endless, PQI_CAP_PREFIX, PQI_CAP_PREFIX_LEN);
    assert_int_equal(scene_verify(&none, endless, &plain_request), PQI_CAP_SIZE);
    free(endless);
    free_token(full);
    drop_fixture(&f);
}

/* ---- Keys ---- */

static void an_unknown_key_is_denied(void **state)
{
    (void)state;
    fixture f = with_rule(scene_number(PQI_CAP_RULE_EXPIRES, SCENE_NOW));
    pqi_cap_keys other = scene_keys("k2", "acme");
    assert_int_equal(scene_verify(&other, f.text, &plain_request), PQI_CAP_UNKNOWN_KID);
    pqi_cap_keys_clear(&other);
    drop_fixture(&f);
}

static void the_previous_key_is_accepted_and_the_one_before_is_not(void **state)
{
    pqi_cap_key key;
    (void)state;
    fixture f = with_rule(scene_number(PQI_CAP_RULE_EXPIRES, SCENE_NOW));
    assert_int_equal(pqi_cap_key_make(&key, "k2", "acme", PQI_CAP_UNSIGNED, NULL), PQL_OK);
    assert_int_equal(pqi_cap_keys_add(&f.keys, &key, NULL), PQL_OK);
    assert_false(f.keys.keys[0].current);
    assert_int_equal(scene_verify(&f.keys, f.text, &plain_request), PQI_CAP_ALLOWED);
    assert_int_equal(pqi_cap_key_make(&key, "k3", "acme", PQI_CAP_UNSIGNED, NULL), PQL_OK);
    assert_int_equal(pqi_cap_keys_add(&f.keys, &key, NULL), PQL_OK);
    assert_int_equal(f.keys.count, 2);
    assert_int_equal(scene_verify(&f.keys, f.text, &plain_request), PQI_CAP_UNKNOWN_KID);
    drop_fixture(&f);
}

static void a_revoked_token_is_denied(void **state)
{
    (void)state;
    fixture f = with_rule(scene_number(PQI_CAP_RULE_EXPIRES, SCENE_NOW));
    f.keys.revoked = calloc(1, sizeof(*f.keys.revoked));
    f.keys.revoked_count = 1;
    memset(f.keys.revoked[0].nonce, 0xff, PQI_CAP_NONCE_SIZE);
    assert_int_equal(scene_verify(&f.keys, f.text, &plain_request), PQI_CAP_ALLOWED);
    for (uint8_t i = 0; i < PQI_CAP_NONCE_SIZE; i++) {
        f.keys.revoked[0].nonce[i] = i;
    }
    assert_int_equal(scene_verify(&f.keys, f.text, &plain_request), PQI_CAP_REVOKED);
    drop_fixture(&f);
}

/* What a service asks about a link that a token let in a while ago. */
static void a_grant_ends_with_its_token(void **state)
{
    const pqi_cap_policy policy = {.skew = SCENE_SKEW};
    pqi_cap_verdict verdict;
    (void)state;
    fixture f = with_rule(scene_number(PQI_CAP_RULE_EXPIRES, SCENE_NOW + 10));
    assert_true(pqi_cap_verify(f.text, strlen(f.text), &f.keys, &policy, &plain_request, SCENE_NOW,
                               &verdict));
    const pqi_cap_grant *grant = &verdict.grant;
    assert_string_equal(grant->tenant, "acme");
    assert_int_equal(grant->ends, SCENE_NOW + 10 + SCENE_SKEW);
    assert_int_equal(pqi_cap_recheck(grant, &f.keys, grant->ends - 1), PQI_CAP_ALLOWED);
    assert_int_equal(pqi_cap_recheck(grant, &f.keys, grant->ends), PQI_CAP_EXPIRED);
    f.keys.keys[0].root[0] ^= 1;
    assert_int_equal(pqi_cap_recheck(grant, &f.keys, SCENE_NOW), PQI_CAP_MAC);
    pqi_cap_keys none = {0};
    assert_int_equal(pqi_cap_recheck(grant, &none, SCENE_NOW), PQI_CAP_UNKNOWN_KID);
    drop_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_those_of_the_golden_vectors),
        cmocka_unit_test(the_domain_separator_is_in_the_mac),
        cmocka_unit_test(the_audience_is_compared_with_the_service),
        cmocka_unit_test(the_scope_is_enforced),
        cmocka_unit_test(a_fact_that_the_request_lacks_is_denied),
        cmocka_unit_test(paths_are_compared_by_segments),
        cmocka_unit_test(addresses_are_compared_by_network),
        cmocka_unit_test(times_have_the_skew_of_the_policy),
        cmocka_unit_test(a_token_of_another_tenant_is_denied),
        cmocka_unit_test(a_holder_narrows_a_token_without_any_key),
        cmocka_unit_test(a_caveat_cannot_be_taken_off_again),
        cmocka_unit_test(attenuation_never_widens),
        cmocka_unit_test(every_truncation_is_denied),
        cmocka_unit_test(every_bit_flip_is_denied),
        cmocka_unit_test(other_forms_of_a_good_token_are_denied),
        cmocka_unit_test(an_unknown_caveat_is_denied),
        cmocka_unit_test(count_and_length_are_looked_at_first),
        cmocka_unit_test(an_unknown_key_is_denied),
        cmocka_unit_test(the_previous_key_is_accepted_and_the_one_before_is_not),
        cmocka_unit_test(a_revoked_token_is_denied),
        cmocka_unit_test(a_grant_ends_with_its_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
