#include "net/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool pqi_address_from_literal(pqi_address *out, const char *host, uint16_t port)
{
    *out = (pqi_address){0};
    if (inet_pton(AF_INET, host, &out->sa.v4.sin_addr) == 1) {
        out->sa.v4.sin_family = AF_INET;
        out->sa.v4.sin_port = htons(port);
        out->len = sizeof(out->sa.v4);
        return true;
    }
    *out = (pqi_address){0};
    if (inet_pton(AF_INET6, host, &out->sa.v6.sin6_addr) == 1) {
        out->sa.v6.sin6_family = AF_INET6;
        out->sa.v6.sin6_port = htons(port);
        out->len = sizeof(out->sa.v6);
        return true;
    }
    *out = (pqi_address){0};
    return false;
}

void pqi_address_format(const pqi_address *address, char out[PQI_ADDRESS_TEXT_SIZE])
{
    char host[INET6_ADDRSTRLEN] = "";
    if (address->sa.any.sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &address->sa.v4.sin_addr, host, sizeof(host));
        (void)snprintf(out, PQI_ADDRESS_TEXT_SIZE, "%s:%u", host,
                       (unsigned)pqi_address_port(address));
    } else if (address->sa.any.sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &address->sa.v6.sin6_addr, host, sizeof(host));
        (void)snprintf(out, PQI_ADDRESS_TEXT_SIZE, "[%s]:%u", host,
                       (unsigned)pqi_address_port(address));
    } else {
        (void)snprintf(out, PQI_ADDRESS_TEXT_SIZE, "-");
    }
}

uint16_t pqi_address_port(const pqi_address *address)
{
    return address->sa.any.sa_family == AF_INET6 ? ntohs(address->sa.v6.sin6_port)
                                                 : ntohs(address->sa.v4.sin_port);
}

void pqi_address_set_port(pqi_address *address, uint16_t port)
{
    if (address->sa.any.sa_family == AF_INET6) {
        address->sa.v6.sin6_port = htons(port);
    } else {
        address->sa.v4.sin_port = htons(port);
    }
}

bool pqi_address_equal(const pqi_address *a, const pqi_address *b)
{
    if (a->sa.any.sa_family != b->sa.any.sa_family) {
        return false;
    }
    if (a->sa.any.sa_family == AF_INET) {
        return a->sa.v4.sin_port == b->sa.v4.sin_port &&
               a->sa.v4.sin_addr.s_addr == b->sa.v4.sin_addr.s_addr;
    }
    return a->sa.v6.sin6_port == b->sa.v6.sin6_port &&
           a->sa.v6.sin6_scope_id == b->sa.v6.sin6_scope_id &&
           memcmp(&a->sa.v6.sin6_addr, &b->sa.v6.sin6_addr, sizeof(a->sa.v6.sin6_addr)) == 0;
}

bool pqi_address_is_loopback(const pqi_address *address)
{
    if (address->sa.any.sa_family == AF_INET) {
        return (ntohl(address->sa.v4.sin_addr.s_addr) >> 24) == 127;
    }
    return address->sa.any.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&address->sa.v6.sin6_addr);
}

bool pqi_address_is_wildcard(const pqi_address *address)
{
    if (address->sa.any.sa_family == AF_INET) {
        return address->sa.v4.sin_addr.s_addr == INADDR_ANY;
    }
    return address->sa.any.sa_family == AF_INET6 &&
           IN6_IS_ADDR_UNSPECIFIED(&address->sa.v6.sin6_addr);
}

/* Copies text[0..len) when it fits and holds nothing but what a host may hold. */
static bool copy_host(char out[PQI_HOST_SIZE], const char *text, size_t len, bool literal_v6)
{
    static const char name_chars[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    if (len == 0 || len >= PQI_HOST_SIZE) {
        return false;
    }
    memcpy(out, text, len);
    out[len] = '\0';
    struct in6_addr v6;
    return literal_v6 ? inet_pton(AF_INET6, out, &v6) == 1 : strspn(out, name_chars) == len;
}

static bool parse_port(uint16_t *out, const char *text)
{
    unsigned long value = 0;
    const size_t len = strlen(text);
    if (len == 0 || len > 5 || strspn(text, "0123456789") != len) {
        return false;
    }
    value = strtoul(text, NULL, 10);
    *out = (uint16_t)value;
    return value <= UINT16_MAX;
}

pql_status pqi_url_parse(pqi_url *out, const char *text, pql_error *err)
{
    *out = (pqi_url){0};
    pqi_url url = {0};
    const char *rest = strstr(text, "://");
    if (rest == NULL || rest == text || (size_t)(rest - text) >= sizeof(url.scheme)) {
        return pqi_fail(err, PQL_E_USAGE,
                        "'%.100s' is not an address: write it as quic://HOST:PORT.", text);
    }
    memcpy(url.scheme, text, (size_t)(rest - text));
    rest += 3;
    const bool bracket = rest[0] == '[';
    const char *end = bracket ? strchr(rest, ']') : strrchr(rest, ':');
    if (end == NULL || (bracket && end[1] != ':')) {
        return pqi_fail(err, PQL_E_USAGE,
                        "'%.100s' names no port: write it as %s://HOST:PORT, IPv6 in brackets.",
                        text, url.scheme);
    }
    const char *host = bracket ? rest + 1 : rest;
    const char *port = bracket ? end + 2 : end + 1;
    if (!copy_host(url.host, host, (size_t)(end - host), bracket)) {
        return pqi_fail(err, PQL_E_USAGE,
                        "'%.100s' has no proper host: a name, an IPv4 address, or an IPv6 address "
                        "in brackets is needed.",
                        text);
    }
    if (!parse_port(&url.port, port)) {
        return pqi_fail(err, PQL_E_USAGE, "'%.100s' has no proper port (0 to 65535).", text);
    }
    *out = url;
    return PQL_OK;
}
