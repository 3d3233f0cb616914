#include "base/notify.h"

#include "base/clock.h"
#include "base/values.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* sd_watchdog_enabled(3): the period is in microseconds. */
#define PERIOD_MAX_US (UINT64_MAX / PQI_NS_PER_US)

static pql_status fill_address(pqi_notify *n, const char *name, pql_error *err)
{
    const size_t len = strlen(name);
    if (name[0] != '/' && name[0] != '@') {
        return pqi_fail(err, PQL_E_USAGE,
                        "NOTIFY_SOCKET is '%.100s'; only a path from the root and an abstract name "
                        "that begins with @ are supported.",
                        name);
    }
    if (len < 2 || len >= sizeof(n->to.sun_path)) {
        return pqi_fail(err, PQL_E_USAGE, "The name in NOTIFY_SOCKET has a wrong length.");
    }
    n->to.sun_family = AF_UNIX;
    memcpy(n->to.sun_path, name, len);
    if (name[0] == '@') {
        n->to.sun_path[0] =
            '\0'; /* unix(7): an abstract name begins with a NUL and ends with none */
    }
    n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (name[0] == '/'));
    return PQL_OK;
}

pql_status pqi_notify_open(pqi_notify *n, const char *socket_name, pql_error *err)
{
    const struct timeval wait = {.tv_sec = PQI_NOTIFY_WAIT_MS / 1000,
                                 .tv_usec = PQI_NOTIFY_WAIT_MS % 1000 * 1000};
    *n = (pqi_notify){0};
    if (socket_name == NULL || socket_name[0] == '\0') {
        return PQL_OK;
    }
    const pql_status status = fill_address(n, socket_name, err);
    if (status != PQL_OK) {
        return status;
    }
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (n->fd < 0) {
        return pqi_fail_errno(err, PQL_E_NETWORK, errno, "No socket to the service manager");
    }
    (void)setsockopt(n->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    n->on = true;
    return PQL_OK;
}

void pqi_notify_close(pqi_notify *n)
{
    if (n->on) {
        (void)close(n->fd);
    }
    *n = (pqi_notify){0};
}

bool pqi_notify_send(const pqi_notify *n, const char *message)
{
    size_t len = strlen(message);
    if (!n->on) {
        return true;
    }
    if (len >= PQI_NOTIFY_SIZE) {
        const char *line = memrchr(message, '\n', PQI_NOTIFY_SIZE - 1);
        len = line != NULL ? (size_t)(line - message) : 0;
    }
    ssize_t sent;
    do {
        sent =
            sendto(n->fd, message, len, MSG_NOSIGNAL, (const struct sockaddr *)&n->to, n->to_len);
    } while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)len;
}

uint64_t pqi_notify_watchdog(const char *usec, const char *watchdog_pid, pid_t pid)
{
    uint64_t period = 0;
    uint64_t watched = 0;
    if (usec == NULL || pqi_number_parse(&period, usec, 1, PERIOD_MAX_US, NULL) != PQL_OK) {
        return 0;
    }
    if (watchdog_pid != NULL &&
        (pqi_number_parse(&watched, watchdog_pid, 1, UINT64_MAX, NULL) != PQL_OK ||
         watched != (uint64_t)pid)) {
        return 0;
    }
    return period * PQI_NS_PER_US;
}
