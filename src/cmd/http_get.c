#include "cmd/http_get.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/secret.h"
#include "base/values.h"
#include "caps/token.h"
#include "net/address.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The request line and Host; a token. */
#define REQUEST_SIZE (512 + PQI_CAP_TEXT_MAX)
#define READ_SIZE ((size_t)16 << 10)
/* "HTTP/1.x 200": where the number stands, and its length. */
#define STATUS_AT 9
#define STATUS_DIGITS 3

typedef struct request {
    int fd;
    char where[PQI_ADDRESS_TEXT_SIZE];
    uint64_t deadline;
    pql_error *err;
} request;

static pql_status fail_network(const request *r, int number)
{
    return pqi_fail_errno(r->err, PQL_E_NETWORK, number, "No admin port answers at %s", r->where);
}

/* Waits until the socket can do |events|. */
static pql_status wait_for(const request *r, short events)
{
    struct pollfd fd = {.fd = r->fd, .events = events};
    for (;;) {
        const uint64_t now = pqi_clock_monotonic();
        const uint64_t left = r->deadline > now ? r->deadline - now : 0;
        const int ready = poll(&fd, 1, (int)(left / PQI_NS_PER_MS));
        if (ready > 0) {
            return PQL_OK;
        }
        if (ready < 0 && errno != EINTR) {
            return fail_network(r, errno);
        }
        if (ready == 0) {
            return pqi_fail(r->err, PQL_E_TIMEOUT, "The admin port at %s does not answer in time.",
                            r->where);
        }
    }
}

static pql_status connect_to(request *r, const pqi_address *address)
{
    int problem = 0;
    socklen_t size = sizeof(problem);
    r->fd = socket(address->sa.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (r->fd < 0) {
        return fail_network(r, errno);
    }
    if (connect(r->fd, &address->sa.any, address->len) == 0) {
        return PQL_OK;
    }
    if (errno != EINPROGRESS) {
        return fail_network(r, errno);
    }
    const pql_status status = wait_for(r, POLLOUT);
    if (status != PQL_OK) {
        return status;
    }
    if (getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &problem, &size) != 0) {
        problem = errno;
    }
    return problem == 0 ? PQL_OK : fail_network(r, problem);
}

static pql_status send_all(const request *r, const char *text)
{
    size_t len = strlen(text);
    while (len > 0) {
        const pql_status status = wait_for(r, POLLOUT);
        if (status != PQL_OK) {
            return status;
        }
        const ssize_t n = send(r->fd, text, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            return fail_network(r, errno);
        }
        text += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return PQL_OK;
}

static pql_status receive_all(const request *r, pqi_buf *out)
{
    char part[READ_SIZE];
    for (;;) {
        const pql_status status = wait_for(r, POLLIN);
        if (status != PQL_OK) {
            return status;
        }
        const ssize_t n = recv(r->fd, part, sizeof(part), 0);
        if (n == 0) {
            return PQL_OK;
        }
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            return fail_network(r, errno);
        }
        if (n > 0 && !pqi_buf_append(out, part, (size_t)n)) {
            return pqi_fail(r->err, PQL_E_LIMIT, "The answer of %s is too long.", r->where);
        }
    }
}

/* Takes the header off |answer|. */
static pql_status split(const request *r, pqi_buf *answer, unsigned *status)
{
    static const char version[] = "HTTP/1.";
    static const char end[] = "\r\n\r\n";
    char digits[STATUS_DIGITS + 1] = "";
    uint64_t number = 0;
    const uint8_t *blank =
        answer->len == 0 ? NULL : memmem(answer->data, answer->len, end, sizeof(end) - 1);
    if (blank != NULL && (size_t)(blank - answer->data) >= STATUS_AT + STATUS_DIGITS &&
        memcmp(answer->data, version, sizeof(version) - 1) == 0) {
        memcpy(digits, answer->data + STATUS_AT, STATUS_DIGITS);
    }
    if (pqi_number_parse(&number, digits, 100, 999, NULL) != PQL_OK) {
        return pqi_fail(r->err, PQL_E_PROTOCOL, "What answers at %s is no admin port.", r->where);
    }
    const size_t header = (size_t)(blank - answer->data) + sizeof(end) - 1;
    memmove(answer->data, answer->data + header, answer->len - header);
    answer->len -= header;
    *status = (unsigned)number;
    return PQL_OK;
}

static pql_status exchange(request *r, const pqi_address *address, const char *text, pqi_buf *body)
{
    pql_status rc = connect_to(r, address);
    if (rc == PQL_OK) {
        rc = send_all(r, text);
    }
    if (rc == PQL_OK) {
        rc = receive_all(r, body);
    }
    if (r->fd >= 0) {
        (void)close(r->fd);
    }
    return rc;
}

pql_status pqi_http_get_as(const pqi_endpoint *at, const char *path, const char *token,
                           uint64_t timeout_ns, unsigned *status, pqi_buf *body, pql_error *err)
{
    char text[REQUEST_SIZE];
    pqi_address address;
    request r = {.fd = -1, .deadline = pqi_clock_monotonic() + timeout_ns, .err = err};
    if (!pqi_address_from_literal(&address, at->host, at->port)) {
        return pqi_fail(err, PQL_E_USAGE, "'%.80s' is no IP address.", at->host);
    }
    pqi_address_format(&address, r.where);
    const int len = snprintf(text, sizeof(text), "GET %s HTTP/1.0\r\nHost: %s\r\n%s%s%s\r\n", path,
                             r.where, token != NULL ? "Authorization: Bearer " : "",
                             token != NULL ? token : "", token != NULL ? "\r\n" : "");
    const pql_status rc = len > 0 && (size_t)len < sizeof(text)
                              ? exchange(&r, &address, text, body)
                              : pqi_fail(err, PQL_E_LIMIT, "The token is too long to be sent.");
    pqi_secret_wipe(text, sizeof(text));
    return rc == PQL_OK ? split(&r, body, status) : rc;
}

pql_status pqi_http_get(const pqi_endpoint *at, const char *path, uint64_t timeout_ns,
                        unsigned *status, pqi_buf *body, pql_error *err)
{
    return pqi_http_get_as(at, path, NULL, timeout_ns, status, body, err);
}
