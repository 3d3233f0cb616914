#include "cmd/control_client.h"

#include "admin/control.h"
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* An answer names what the node listens on, eight times at most. */
#define ANSWER_MAX 8192
#define NS_PER_US 1000

pql_status pqi_control_connect(int *fd, const char *dir, uint64_t timeout_ns, pql_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval wait = {.tv_sec = (time_t)(timeout_ns / PQI_NS_PER_SEC),
                                 .tv_usec = (suseconds_t)(timeout_ns % PQI_NS_PER_SEC / NS_PER_US)};
    *fd = -1;
    const int len =
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/" PQI_CONTROL_NAME, dir);
    if (len < 0 || (size_t)len >= sizeof(address.sun_path)) {
        return pqi_fail(err, PQL_E_IO, "%s is too long for a socket.", dir);
    }
    const int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (made < 0) {
        return pqi_fail_errno(err, PQL_E_IO, errno, "Cannot make a socket");
    }
    (void)setsockopt(made, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    (void)setsockopt(made, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    if (connect(made, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        const int why = errno;
        (void)close(made);
        if (why == ENOENT || why == ECONNREFUSED) {
            return pqi_fail(err, PQL_E_NOT_FOUND,
                            "No node of %s is running (nobody listens at %s). Name the directory "
                            "that the node was started with: --dir.",
                            dir, address.sun_path);
        }
        return pqi_fail_errno(err, PQL_E_IO, why, "Cannot reach %s", address.sun_path);
    }
    *fd = made;
    return PQL_OK;
}

static pql_status send_request(int fd, json_t *request, pql_error *err)
{
    char *text = request == NULL ? NULL : json_dumps(request, JSON_COMPACT);
    json_decref(request);
    if (text == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory asking the node.");
    }
    const size_t len = strlen(text);
    text[len] = '\n'; /* in the place of the NUL */
    const ssize_t sent = send(fd, text, len + 1, MSG_NOSIGNAL);
    const int why = errno;
    free(text);
    return sent == (ssize_t)len + 1
               ? PQL_OK
               : pqi_fail_errno(err, PQL_E_CLOSED, why, "The node does not take the request");
}

static pql_status read_answer(int fd, char line[ANSWER_MAX], size_t *len, pql_error *err)
{
    *len = 0;
    while (*len < ANSWER_MAX) {
        const ssize_t got = recv(fd, line + *len, ANSWER_MAX - *len, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return pqi_fail_errno(err, PQL_E_TIMEOUT, errno, "The node does not answer");
        }
        if (got == 0) {
            return pqi_fail(err, PQL_E_CLOSED,
                            "The node hung up. It takes requests of its own user and root only, "
                            "and from four programs at a time.");
        }
        *len += (size_t)got;
        if (line[*len - 1] == '\n') {
            return PQL_OK;
        }
    }
    return pqi_fail(err, PQL_E_PROTOCOL, "The answer of the node is too long.");
}

pql_status pqi_control_ask(int fd, json_t *request, json_t **answer, pql_error *err)
{
    char line[ANSWER_MAX];
    size_t len = 0;
    *answer = NULL;
    pql_status status = send_request(fd, request, err);
    if (status == PQL_OK) {
        status = read_answer(fd, line, &len, err);
    }
    if (status != PQL_OK) {
        return status;
    }
    json_t *root = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_true(json_object_get(root, "ok"))) {
        *answer = root;
        return PQL_OK;
    }
    const char *sentence = json_string_value(json_object_get(root, "error"));
    status = sentence == NULL
                 ? pqi_fail(err, PQL_E_PROTOCOL, "The answer of the node cannot be read.")
                 : pqi_fail(err, PQL_E_REFUSED, "The node refuses: %s", sentence);
    json_decref(root);
    return status;
}
