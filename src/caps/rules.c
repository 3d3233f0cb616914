#include "caps/rules.h"

#include "base/values.h"

#include <arpa/inet.h>
#include <string.h>

#define IPV4_SIZE 4
#define IPV6_SIZE 16
#define BYTE_BITS 8
/* ::ffff:a.b.c.d (RFC 4291, section 2.5.5.2): the IPv4 address begins here. */
#define MAPPED_OFFSET 12

const char *const pqi_cap_reason_names[PQI_CAP_REASON_COUNT] = {
    [PQI_CAP_ALLOWED] = "allowed",
    [PQI_CAP_PARSE] = "parse",
    [PQI_CAP_SIZE] = "size",
    [PQI_CAP_UNKNOWN_KID] = "unknown_kid",
    [PQI_CAP_MAC] = "mac",
    [PQI_CAP_REVOKED] = "revoked",
    [PQI_CAP_SIGNATURE] = "signature",
    [PQI_CAP_TENANT] = "tenant",
    [PQI_CAP_EXPIRED] = "expired",
    [PQI_CAP_NOT_YET] = "not_yet_valid",
    [PQI_CAP_AUDIENCE] = "audience",
    [PQI_CAP_METHOD] = "method",
    [PQI_CAP_PATH] = "path",
    [PQI_CAP_BYTES] = "bytes",
    [PQI_CAP_ADDRESS] = "address",
    [PQI_CAP_UNKNOWN_CAVEAT] = "unknown_caveat",
};

/* ---- Forms ---- */

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool pqi_cap_name_ok(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!is_name_char(name[i])) {
            return false;
        }
    }
    return len >= 1 && len <= PQI_CAP_NAME_MAX;
}

static bool segment_ok(const char *at, size_t len)
{
    const bool dots = (len == 1 && at[0] == '.') || (len == 2 && at[0] == '.' && at[1] == '.');
    for (size_t i = 0; i < len; i++) {
        if (at[i] <= ' ' || at[i] > '~' || strchr("%?#\\", at[i]) != NULL) {
            return false;
        }
    }
    return len > 0 && !dots;
}

bool pqi_cap_path_ok(const char *path, size_t len)
{
    if (len == 0 || len > PQI_CAP_PATH_MAX || path[0] != '/') {
        return false;
    }
    for (size_t at = 1; len > 1 && at <= len;) {
        const char *end = at < len ? memchr(path + at, '/', len - at) : NULL;
        const size_t segment = end == NULL ? len - at : (size_t)(end - (path + at));
        if (!segment_ok(path + at, segment)) {
            return false;
        }
        at += segment + 1;
    }
    return true;
}

static bool method_ok(pqi_span method)
{
    for (size_t i = 0; i < method.len; i++) {
        if (method.at[i] < 'A' || method.at[i] > 'Z') {
            return false;
        }
    }
    return method.len >= 1 && method.len <= PQI_CAP_METHOD_MAX;
}

static int span_compare(pqi_span a, pqi_span b)
{
    const int order = memcmp(a.at, b.at, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static bool methods_ok(const pqi_cap_rule *rule)
{
    for (size_t i = 0; i < rule->method_count; i++) {
        if (!method_ok(rule->methods[i]) ||
            (i > 0 && span_compare(rule->methods[i - 1], rule->methods[i]) >= 0)) {
            return false;
        }
    }
    return rule->method_count >= 1 && rule->method_count <= PQI_CAP_METHODS_MAX;
}

/* The bits behind the prefix are zero, so that one network has one form. */
static bool cidr_ok(const pqi_cap_rule *rule)
{
    const pqi_span a = rule->address;
    if ((a.len != IPV4_SIZE && a.len != IPV6_SIZE) || rule->number > a.len * BYTE_BITS) {
        return false;
    }
    for (size_t bit = (size_t)rule->number; bit < a.len * BYTE_BITS; bit++) {
        if ((a.at[bit / BYTE_BITS] & (0x80U >> (bit % BYTE_BITS))) != 0) {
            return false;
        }
    }
    return true;
}

bool pqi_cap_rule_check(const pqi_cap_rule *rule)
{
    switch (rule->type) {
    case PQI_CAP_RULE_AUDIENCE:
        return pqi_cap_name_ok((const char *)rule->text.at, rule->text.len);
    case PQI_CAP_RULE_METHODS:
        return methods_ok(rule);
    case PQI_CAP_RULE_PATH:
        return pqi_cap_path_ok((const char *)rule->text.at, rule->text.len);
    case PQI_CAP_RULE_ADDRESS:
        return cidr_ok(rule);
    default: /* any number will do */
        return true;
    }
}

/* ---- Wire ---- */

static void read_methods(pqi_reader *r, pqi_cap_rule *rule)
{
    const size_t count = pqi_cbor_array(r);
    if (count > PQI_CAP_METHODS_MAX) {
        r->failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        rule->methods[i] = pqi_cbor_text(r);
    }
    rule->method_count = count;
}

static void read_cidr(pqi_reader *r, pqi_cap_rule *rule)
{
    if (pqi_cbor_array(r) != 2) {
        r->failed = true;
    }
    rule->address = pqi_cbor_bytes(r);
    rule->number = pqi_cbor_uint(r);
}

void pqi_cap_rule_read(pqi_reader *r, uint64_t type, pqi_cap_rule *rule)
{
    *rule = (pqi_cap_rule){.type = type};
    switch (type) {
    case PQI_CAP_RULE_AUDIENCE:
    case PQI_CAP_RULE_PATH:
        rule->text = pqi_cbor_text(r);
        break;
    case PQI_CAP_RULE_METHODS:
        read_methods(r, rule);
        break;
    case PQI_CAP_RULE_ADDRESS:
        read_cidr(r, rule);
        break;
    case PQI_CAP_RULE_BYTES:
    case PQI_CAP_RULE_NOT_BEFORE:
    case PQI_CAP_RULE_EXPIRES:
        rule->number = pqi_cbor_uint(r);
        break;
    default:
        pqi_cbor_skip(r);
        break;
    }
    if (!r->failed && !pqi_cap_rule_check(rule)) {
        r->failed = true;
    }
}

void pqi_cap_rule_write(pqi_writer *w, const pqi_cap_rule *rule)
{
    pqi_cbor_write_uint(w, rule->type);
    switch (rule->type) {
    case PQI_CAP_RULE_AUDIENCE:
    case PQI_CAP_RULE_PATH:
        pqi_cbor_write_text(w, rule->text.at, rule->text.len);
        break;
    case PQI_CAP_RULE_METHODS:
        pqi_cbor_write_array(w, rule->method_count);
        for (size_t i = 0; i < rule->method_count; i++) {
            pqi_cbor_write_text(w, rule->methods[i].at, rule->methods[i].len);
        }
        break;
    case PQI_CAP_RULE_ADDRESS:
        pqi_cbor_write_array(w, 2);
        pqi_cbor_write_bytes(w, rule->address.at, rule->address.len);
        pqi_cbor_write_uint(w, rule->number);
        break;
    default:
        pqi_cbor_write_uint(w, rule->number);
        break;
    }
}

/* ---- Judging ---- */

static bool span_is(pqi_span span, const char *text)
{
    return text != NULL && strlen(text) == span.len && memcmp(span.at, text, span.len) == 0;
}

static bool method_allowed(const pqi_cap_rule *rule, const char *method)
{
    for (size_t i = 0; i < rule->method_count; i++) {
        if (span_is(rule->methods[i], method)) {
            return true;
        }
    }
    return false;
}

/* By whole segments: "/a" allows "/a" and "/a/b", not "/ab". */
static bool path_allowed(pqi_span prefix, const char *path)
{
    if (path == NULL) {
        return false;
    }
    const size_t len = strlen(path);
    if (!pqi_cap_path_ok(path, len)) {
        return false;
    }
    if (prefix.len == 1) {
        return true; /* "/" is above everything */
    }
    return len >= prefix.len && memcmp(path, prefix.at, prefix.len) == 0 &&
           (len == prefix.len || path[prefix.len] == '/');
}

static bool address_allowed(const pqi_cap_rule *rule, const struct in6_addr *address)
{
    if (address == NULL || (rule->address.len == IPV4_SIZE) != IN6_IS_ADDR_V4MAPPED(address)) {
        return false;
    }
    const uint8_t *bytes =
        rule->address.len == IPV4_SIZE ? address->s6_addr + MAPPED_OFFSET : address->s6_addr;
    for (size_t bit = 0; bit < (size_t)rule->number; bit++) {
        const unsigned mask = 0x80U >> (bit % BYTE_BITS);
        if (((bytes[bit / BYTE_BITS] ^ rule->address.at[bit / BYTE_BITS]) & mask) != 0) {
            return false;
        }
    }
    return true;
}

/* a + b, or UINT64_MAX. */
static uint64_t sum(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

pqi_cap_reason pqi_cap_rule_judge(const pqi_cap_rule *rule, const pqi_cap_request *request,
                                  uint64_t now, uint64_t skew)
{
    switch (rule->type) {
    case PQI_CAP_RULE_AUDIENCE:
        return span_is(rule->text, request->audience) ? PQI_CAP_ALLOWED : PQI_CAP_AUDIENCE;
    case PQI_CAP_RULE_METHODS:
        return method_allowed(rule, request->method) ? PQI_CAP_ALLOWED : PQI_CAP_METHOD;
    case PQI_CAP_RULE_PATH:
        return path_allowed(rule->text, request->path) ? PQI_CAP_ALLOWED : PQI_CAP_PATH;
    case PQI_CAP_RULE_BYTES:
        return request->has_bytes && request->bytes <= rule->number ? PQI_CAP_ALLOWED
                                                                    : PQI_CAP_BYTES;
    case PQI_CAP_RULE_ADDRESS:
        return address_allowed(rule, request->address) ? PQI_CAP_ALLOWED : PQI_CAP_ADDRESS;
    case PQI_CAP_RULE_NOT_BEFORE:
        return sum(now, skew) >= rule->number ? PQI_CAP_ALLOWED : PQI_CAP_NOT_YET;
    case PQI_CAP_RULE_EXPIRES:
        return now < sum(rule->number, skew) ? PQI_CAP_ALLOWED : PQI_CAP_EXPIRED;
    default:
        return PQI_CAP_UNKNOWN_CAVEAT;
    }
}

/* ---- As people type them ---- */

static void insert_method(pqi_cap_rule *rule, pqi_span method)
{
    size_t at = rule->method_count++;
    while (at > 0 && span_compare(rule->methods[at - 1], method) > 0) {
        rule->methods[at] = rule->methods[at - 1];
        at--;
    }
    rule->methods[at] = method;
}

bool pqi_cap_methods_parse(pqi_cap_rule *rule, const char *text)
{
    *rule = (pqi_cap_rule){.type = PQI_CAP_RULE_METHODS};
    for (;;) {
        const size_t len = strcspn(text, ",");
        const pqi_span method = {(const uint8_t *)text, len};
        if (rule->method_count == PQI_CAP_METHODS_MAX || !method_ok(method)) {
            return false;
        }
        insert_method(rule, method);
        if (text[len] == '\0') {
            return pqi_cap_rule_check(rule);
        }
        text += len + 1;
    }
}

bool pqi_cap_cidr_parse(pqi_cap_rule *rule, uint8_t bytes[16], const char *text)
{
    char address[INET6_ADDRSTRLEN];
    const size_t len = strcspn(text, "/");
    *rule = (pqi_cap_rule){.type = PQI_CAP_RULE_ADDRESS};
    if (len >= sizeof(address)) {
        return false;
    }
    memcpy(address, text, len);
    address[len] = '\0';
    if (inet_pton(AF_INET, address, bytes) == 1) {
        rule->address = (pqi_span){bytes, IPV4_SIZE};
    } else if (inet_pton(AF_INET6, address, bytes) == 1) {
        rule->address = (pqi_span){bytes, IPV6_SIZE};
    } else {
        return false;
    }
    rule->number = rule->address.len * BYTE_BITS;
    if (text[len] == '/' && pqi_number_parse(&rule->number, text + len + 1, 0,
                                             rule->address.len * BYTE_BITS, NULL) != PQL_OK) {
        return false;
    }
    return pqi_cap_rule_check(rule);
}
