#include "net/watch.h"

#include "base/error.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a message says does not matter, only that there was one. */
#define MESSAGE_SIZE 8192

struct pqi_watch {
    uv_poll_t poll; /* first member */
    int fd;
    void (*changed)(void *user);
    void *user;
};

static void on_readable(uv_poll_t *poll, int status, int poll_events)
{
    (void)poll_events;
    pqi_watch *watch = poll->data;
    char message[MESSAGE_SIZE];
    bool any = false;
    while (recv(watch->fd, message, sizeof(message), 0) > 0) {
        any = true;
    }
    if (status != 0 || errno == ENOBUFS) {
        /* The kernel dropped messages, which is a change too; libuv stopped polling on the error.
         */
        any = true;
        (void)uv_poll_start(&watch->poll, UV_READABLE, on_readable);
    }
    if (any) {
        watch->changed(watch->user);
    }
}

pql_status pqi_watch_open(pqi_watch **out, pqi_worker *worker, void (*changed)(void *user),
                          void *user, pql_error *err)
{
    const struct sockaddr_nl groups = {.nl_family = AF_NETLINK,
                                       .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
                                                    RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE};
    *out = NULL;
    pqi_watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory watching the network.");
    }
    watch->changed = changed;
    watch->user = user;
    watch->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (watch->fd < 0 || bind(watch->fd, (const struct sockaddr *)&groups, sizeof(groups)) != 0 ||
        uv_poll_init(pqi_worker_loop(worker), &watch->poll, watch->fd) != 0) {
        const int failure = errno;
        if (watch->fd >= 0) {
            (void)close(watch->fd);
        }
        free(watch);
        return pqi_fail_errno(err, PQL_E_NETWORK, failure, "Cannot watch the network for changes");
    }
    watch->poll.data = watch;
    (void)uv_poll_start(&watch->poll, UV_READABLE, on_readable);
    *out = watch;
    return PQL_OK;
}

static void on_closed(uv_handle_t *handle)
{
    pqi_watch *watch = handle->data;
    (void)close(watch->fd);
    free(watch);
}

void pqi_watch_close(pqi_watch *watch)
{
    if (watch != NULL) {
        uv_close((uv_handle_t *)&watch->poll, on_closed);
    }
}
