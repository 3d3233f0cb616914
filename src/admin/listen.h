/* The admin port's listening socket, made by ourselves for the sake of its error sentences. */
#ifndef PQI_ADMIN_LISTEN_H
#define PQI_ADMIN_LISTEN_H

#include "base/error.h"

#include <netinet/in.h>
#include <stdint.h>

/* Binds and listens on |address| (an IPv4 or IPv6 literal, the latter with or without brackets, or
 * "localhost") and |port|, 0 for any free one.  *fd is the caller's to close; *bound the address as
 * in pqi_access; *bound_port the real port.  Errors: PQL_E_USAGE (no address), PQL_E_NETWORK (in
 * use, not allowed, not of this machine); *fd is then -1. */
pql_status pqi_admin_listen(const char *address, uint16_t port, int *fd, struct in6_addr *bound,
                            uint16_t *bound_port, pql_error *err);

#endif
