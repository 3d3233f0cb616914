#include "net/url.h"

#include "base/values.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SCHEME "quic://"
#define LABEL_MAX ((size_t)63) /* RFC 1035, 2.3.4 */

/* What stands between the scheme and the end, still as the user typed it. */
typedef struct authority {
    const char *host;
    size_t host_len;
    const char *port; /* runs to the NUL */
    bool bracketed;
} authority;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_name_char(char c)
{
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '_';
}

/* Letters, digits, '-' and '_' in labels of 1 to 63, joined by single dots. */
static bool name_is_good(const char *name)
{
    size_t label = 0;
    for (; *name != '\0'; name++) {
        if (*name == '.') {
            if (label == 0) {
                return false;
            }
            label = 0;
        } else if (!is_name_char(*name) || ++label > LABEL_MAX) {
            return false;
        }
    }
    return label > 0;
}

/* A name whose last label is a number would be taken for an IPv4 address by some and for a name by
 * others (WHATWG URL, "ends in a number"), so such names count as addresses. */
static bool looks_like_ipv4(const char *name)
{
    const char *dot = strrchr(name, '.');
    const char *label = dot != NULL ? dot + 1 : name;
    return label[strspn(label, "0123456789")] == '\0';
}

static pql_status split_bracketed(authority *out, const char *text, pql_error *err)
{
    const char *end = strchr(text, ']');
    if (end == NULL) {
        return pqi_fail(err, PQL_E_USAGE,
                        "The bracket of the IPv6 address is not closed; write "
                        "it like [2001:db8::1]:9833.");
    }
    if (end[1] != ':') {
        return pqi_fail(err, PQL_E_USAGE,
                        "After the bracket of the IPv6 address comes a colon and the port, as in "
                        "[2001:db8::1]:9833.");
    }
    *out = (authority){text + 1, (size_t)(end - text - 1), end + 2, true};
    return PQL_OK;
}

static pql_status split_plain(authority *out, const char *text, pql_error *err)
{
    const char *colon = strchr(text, ':');
    if (colon == NULL) {
        return pqi_fail(err, PQL_E_USAGE, "The port is missing; write HOST:PORT.");
    }
    if (strchr(colon + 1, ':') != NULL) {
        return pqi_fail(err, PQL_E_USAGE,
                        "There is more than one colon; an IPv6 address needs brackets, as in "
                        "[2001:db8::1]:9833.");
    }
    *out = (authority){text, (size_t)(colon - text), colon + 1, false};
    return PQL_OK;
}

static pql_status split_authority(authority *out, const char *text, pql_error *err)
{
    if (strpbrk(text, "/?#") != NULL) {
        return pqi_fail(err, PQL_E_USAGE, "Nothing may follow the port: no path, query or '/'.");
    }
    if (strchr(text, '@') != NULL) {
        return pqi_fail(err, PQL_E_USAGE, "A user name ('@') has no place in it.");
    }
    const pql_status status =
        text[0] == '[' ? split_bracketed(out, text, err) : split_plain(out, text, err);
    if (status == PQL_OK && out->host_len == 0) {
        return pqi_fail(err, PQL_E_USAGE, "The host before the port is empty.");
    }
    return status;
}

static pql_status check_ipv6(const char *host, pql_error *err)
{
    struct in6_addr address;
    if (strchr(host, '%') != NULL) {
        return pqi_fail(err, PQL_E_USAGE,
                        "An IPv6 address with a zone ('%%') is not accepted; use a global or "
                        "unique local address.");
    }
    if (inet_pton(AF_INET6, host, &address) != 1) {
        return pqi_fail(err, PQL_E_USAGE, "What stands in the brackets is no IPv6 address.");
    }
    return PQL_OK;
}

static pql_status check_host(const char *host, bool bracketed, pqi_host_kind *kind, pql_error *err)
{
    struct in_addr address;
    if (bracketed) {
        *kind = PQI_HOST_IPV6;
        return check_ipv6(host, err);
    }
    if (!name_is_good(host)) {
        return pqi_fail(err, PQL_E_USAGE, "The host is neither a name nor an IP address.");
    }
    if (!looks_like_ipv4(host)) {
        *kind = PQI_HOST_NAME;
        return PQL_OK;
    }
    *kind = PQI_HOST_IPV4;
    if (inet_pton(AF_INET, host, &address) != 1) {
        return pqi_fail(err, PQL_E_USAGE, "The host looks like an IPv4 address but is none.");
    }
    return PQL_OK;
}

static pql_status parse_port(uint16_t *out, const char *text, pql_error *err)
{
    uint64_t port = 0;
    pql_error ignored;
    if (pqi_number_parse(&port, text, 0, UINT16_MAX, &ignored) != PQL_OK) {
        return pqi_fail(err, PQL_E_USAGE, "The port must be a number from 0 to 65535.");
    }
    *out = (uint16_t)port;
    return PQL_OK;
}

/* Reads HOST:PORT into the three outputs; |host| holds PQI_HOST_SIZE bytes. */
static pql_status parse_host_port(const char *text, char *host, pqi_host_kind *kind, uint16_t *port,
                                  pql_error *err)
{
    authority parts = {0};
    const pql_status status = split_authority(&parts, text, err);
    if (status != PQL_OK) {
        return status;
    }
    if (parts.host_len >= PQI_HOST_SIZE) {
        return pqi_fail(err, PQL_E_USAGE, "The host is longer than %d characters.",
                        PQI_HOST_SIZE - 1);
    }
    for (size_t i = 0; i < parts.host_len; i++) {
        host[i] = lower(parts.host[i]);
    }
    host[parts.host_len] = '\0';
    const pql_status host_status = check_host(host, parts.bracketed, kind, err);
    return host_status != PQL_OK ? host_status : parse_port(port, parts.port, err);
}

pql_status pqi_url_parse(pqi_url *out, const char *text, pql_error *err)
{
    pqi_url url = {.transport = PQL_TRANSPORT_QUIC};
    memset(out, 0, sizeof(*out));
    if (strncasecmp(text, SCHEME, strlen(SCHEME)) != 0) {
        return pqi_fail(err, PQL_E_USAGE, "It must begin with %s, as in %shost.example:9833.",
                        SCHEME, SCHEME);
    }
    const pql_status status =
        parse_host_port(text + strlen(SCHEME), url.host, &url.host_kind, &url.port, err);
    if (status != PQL_OK) {
        return status;
    }
    const bool brackets = url.host_kind == PQI_HOST_IPV6;
    (void)snprintf(url.text, sizeof(url.text), "%s%s%s%s:%u", SCHEME, brackets ? "[" : "", url.host,
                   brackets ? "]" : "", (unsigned)url.port);
    *out = url;
    return PQL_OK;
}

static const char *const node_schemes[] = {[PQI_SCHEME_QUIC] = SCHEME,
                                           [PQI_SCHEME_QUANTUS] = "quantus://",
                                           [PQI_SCHEME_QUANTUS_V1] = "quantus-v1://"};
#define NODE_SCHEMES (sizeof(node_schemes) / sizeof(node_schemes[0]))

/* What stands behind the scheme; NULL when it is none of ours. */
static const char *skip_node_scheme(const char *text, pqi_node_scheme *scheme)
{
    for (size_t i = 0; i < NODE_SCHEMES; i++) {
        const size_t len = strlen(node_schemes[i]);
        if (strncasecmp(text, node_schemes[i], len) == 0) {
            *scheme = (pqi_node_scheme)i;
            return text + len;
        }
    }
    return NULL;
}

/* Reads the part behind the scheme, |len| bytes, as if quic:// stood before it. */
static pql_status parse_as_quic(pqi_url *out, const char *rest, size_t len, pql_error *err)
{
    char text[2 * PQI_URL_SIZE];
    if (len >= sizeof(text) - strlen(SCHEME)) {
        return pqi_fail(err, PQL_E_USAGE, "It is too long.");
    }
    (void)snprintf(text, sizeof(text), "%s%.*s", SCHEME, (int)len, rest);
    const pql_status status = pqi_url_parse(out, text, err);
    if (status == PQL_OK && out->port == 0) {
        return pqi_fail(err, PQL_E_USAGE, "The port must not be 0.");
    }
    return status;
}

pql_status pqi_node_url_parse(pqi_node_url *out, const char *text, pql_error *err)
{
    pqi_node_url node = {0};
    memset(out, 0, sizeof(*out));
    const char *rest = skip_node_scheme(text, &node.scheme);
    if (rest == NULL) {
        return pqi_fail(err, PQL_E_USAGE,
                        "It must begin with quic://, quantus:// (an official node) or "
                        "quantus-v1://, as in quic://host.example:9833.");
    }
    const char *hash = strchr(rest, '#');
    const size_t len = hash != NULL ? (size_t)(hash - rest) : strlen(rest);
    const pql_status status = parse_as_quic(&node.url, rest, len, err);
    if (status != PQL_OK) {
        return status;
    }
    node.fragment = hash != NULL ? hash + 1 : NULL;
    (void)snprintf(node.text, sizeof(node.text), "%s%s", node_schemes[node.scheme],
                   node.url.text + strlen(SCHEME));
    *out = node;
    return PQL_OK;
}

pql_status pqi_endpoint_parse(pqi_endpoint *out, const char *text, pql_error *err)
{
    pqi_endpoint endpoint = {0};
    memset(out, 0, sizeof(*out));
    if (strcmp(text, "off") == 0) {
        out->off = true;
        return PQL_OK;
    }
    const pql_status status =
        parse_host_port(text, endpoint.host, &endpoint.host_kind, &endpoint.port, err);
    if (status != PQL_OK) {
        return status;
    }
    if (endpoint.host_kind == PQI_HOST_NAME) {
        return pqi_fail(err, PQL_E_USAGE,
                        "A name is not accepted here; write an IP address, such as 127.0.0.1 or "
                        "[::1], or \"off\".");
    }
    *out = endpoint;
    return PQL_OK;
}
