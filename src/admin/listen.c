#include "admin/listen.h"

#include "admin/access.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* Connections that the kernel may hold for us. */
#define BACKLOG 64

typedef union socket_address {
    struct sockaddr any;
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;
} socket_address;

static bool address_read(struct in6_addr *out, const char *address)
{
    char bare[INET6_ADDRSTRLEN];
    const size_t len = strlen(address);
    if (strcasecmp(address, "localhost") == 0) {
        return pqi_address_parse(out, "127.0.0.1");
    }
    if (len > 2 && address[0] == '[' && address[len - 1] == ']' && len - 2 < sizeof(bare)) {
        memcpy(bare, address + 1, len - 2);
        bare[len - 2] = '\0';
        return strchr(bare, ':') != NULL && pqi_address_parse(out, bare);
    }
    return pqi_address_parse(out, address);
}

static socklen_t address_make(socket_address *out, const struct in6_addr *address, uint16_t port)
{
    memset(out, 0, sizeof(*out));
    if (IN6_IS_ADDR_V4MAPPED(address)) {
        out->in4.sin_family = AF_INET;
        out->in4.sin_port = htons(port);
        memcpy(&out->in4.sin_addr, &address->s6_addr[sizeof(*address) - sizeof(out->in4.sin_addr)],
               sizeof(out->in4.sin_addr));
        return sizeof(out->in4);
    }
    out->in6.sin6_family = AF_INET6;
    out->in6.sin6_port = htons(port);
    out->in6.sin6_addr = *address;
    return sizeof(out->in6);
}

static pql_status bind_failed(int errno_value, const char *address, uint16_t port, pql_error *err)
{
    switch (errno_value) {
    case EADDRINUSE:
        return pqi_fail(err, PQL_E_NETWORK,
                        "The admin port %s:%u is in use by another program (perhaps a second "
                        "pqlink); stop that one or choose another port.",
                        address, port);
    case EACCES:
        return pqi_fail(err, PQL_E_NETWORK,
                        "The admin port %s:%u needs a privilege that this program does not have; "
                        "choose a port above 1023.",
                        address, port);
    case EADDRNOTAVAIL:
        return pqi_fail(err, PQL_E_NETWORK,
                        "The admin port cannot listen on %s: no network interface of this machine "
                        "has that address.",
                        address);
    default:
        return pqi_fail_errno(err, PQL_E_NETWORK, errno_value, "The admin port %s:%u cannot listen",
                              address, port);
    }
}

static int socket_open(const struct in6_addr *address, uint16_t port)
{
    socket_address target;
    const socklen_t len = address_make(&target, address, port);
    const int fd = socket(target.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    /* A restart must not wait for the old connections' TIME_WAIT; two listeners still collide. */
    const int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, &target.any, len) != 0 || listen(fd, BACKLOG) != 0) {
        const int failure = errno;
        (void)close(fd);
        errno = failure;
        return -1;
    }
    return fd;
}

static uint16_t socket_port(int fd)
{
    socket_address local;
    socklen_t len = sizeof(local);
    memset(&local, 0, sizeof(local));
    if (getsockname(fd, &local.any, &len) != 0) {
        return 0;
    }
    return ntohs(local.any.sa_family == AF_INET ? local.in4.sin_port : local.in6.sin6_port);
}

pql_status pqi_admin_listen(const char *address, uint16_t port, int *fd, struct in6_addr *bound,
                            uint16_t *bound_port, pql_error *err)
{
    *fd = -1;
    if (!address_read(bound, address)) {
        return pqi_fail(err, PQL_E_USAGE,
                        "The admin port's address \"%s\" is no IP address; use for example "
                        "127.0.0.1 or [::1].",
                        address);
    }
    *fd = socket_open(bound, port);
    if (*fd < 0) {
        return bind_failed(errno, address, port, err);
    }
    *bound_port = socket_port(*fd);
    return PQL_OK;
}
