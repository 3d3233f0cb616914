/* Messages to a service manager: the protocol of sd_notify(3), without libsystemd.
 *
 * Each message is one datagram to the AF_UNIX socket that NOTIFY_SOCKET names: a path, or an
 * abstract name that begins with '@'. */
#ifndef PQI_BASE_NOTIFY_H
#define PQI_BASE_NOTIFY_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

/* Longest message, with a NUL; a longer one is cut at a line. */
#define PQI_NOTIFY_SIZE 512
/* How long a send may wait for a manager whose queue is full. */
#define PQI_NOTIFY_WAIT_MS 1000

/* The way to the manager.  All zero: there is none. */
typedef struct pqi_notify {
    int fd; /* valid when |on| */
    bool on;
    struct sockaddr_un to;
    socklen_t to_len;
} pqi_notify;

/* Gets ready to send to |socket_name|; NULL or "" means that there is no manager, and every send is
 * then a no-op.  PQL_E_USAGE for a name that is neither a path from the root nor abstract,
 * PQL_E_NETWORK without a socket; |n| is then as if there was none. */
pql_status pqi_notify_open(pqi_notify *n, const char *socket_name, pql_error *err);
void pqi_notify_close(pqi_notify *n);

/* Sends |message|, lines of NAME=VALUE.  False when there is a manager and the message did not
 * leave within PQI_NOTIFY_WAIT_MS. */
bool pqi_notify_send(const pqi_notify *n, const char *message);

/* The watchdog's period in nanoseconds from WATCHDOG_USEC and WATCHDOG_PID (NULL: not set), where
 * |pid| is this process.  0: nobody watches, or what they say is no number.  Pure. */
uint64_t pqi_notify_watchdog(const char *usec, const char *watchdog_pid, pid_t pid);

#endif
