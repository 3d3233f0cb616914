/* Socket addresses as values, and what class of network they belong to. */
#ifndef PQI_NET_ADDRESS_H
#define PQI_NET_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* An IPv4 or IPv6 address with port.  All zero: none. */
typedef struct pqi_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } sa;
    socklen_t len;
} pqi_address;

/* "[ffff:...]:65535%ifname" with NUL. */
#define PQI_ADDRESS_TEXT_SIZE 80

/* Reads a literal IPv4 or IPv6 address (no brackets, no name).  False otherwise. */
bool pqi_address_from_literal(pqi_address *out, const char *host, uint16_t port);
/* "192.0.2.1:9833" or "[2001:db8::1]:9833"; "-" for none. */
void pqi_address_format(const pqi_address *address, char out[PQI_ADDRESS_TEXT_SIZE]);
uint16_t pqi_address_port(const pqi_address *address);
void pqi_address_set_port(pqi_address *address, uint16_t port);
/* The address without its port as 16 bytes, an IPv4 one mapped (RFC 4291, 2.5.5.2); zeros for none.
 */
void pqi_address_bytes(const pqi_address *address, uint8_t out[16]);
bool pqi_address_equal(const pqi_address *a, const pqi_address *b);
bool pqi_address_is_loopback(const pqi_address *address);
/* 0.0.0.0 or ::. */
bool pqi_address_is_wildcard(const pqi_address *address);

#endif
