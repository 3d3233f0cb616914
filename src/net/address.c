#include "net/address.h"

#include <arpa/inet.h>
#include <stdio.h>
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

void pqi_address_bytes(const pqi_address *address, uint8_t out[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    memset(out, 0, 16);
    if (address->sa.any.sa_family == AF_INET) {
        memcpy(out, mapped, sizeof(mapped));
        memcpy(out + sizeof(mapped), &address->sa.v4.sin_addr, 4);
    } else if (address->sa.any.sa_family == AF_INET6) {
        memcpy(out, &address->sa.v6.sin6_addr, 16);
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
