/* What a service says to the manager that started it (systemd): ready, reloading, stopping, alive.
 *
 * Without a manager (no NOTIFY_SOCKET) all of it does nothing. */
#ifndef PQI_CMD_MANAGER_H
#define PQI_CMD_MANAGER_H

#include "base/notify.h"

#include <pqlink/link.h>

#include <stdatomic.h>

/* Longest line of status, with a NUL. */
#define PQI_MANAGER_STATUS_SIZE 160

/* One per process, of its main thread; must not move, and outlives the context. */
typedef struct pqi_manager {
    pqi_notify to;
    char status[PQI_MANAGER_STATUS_SIZE]; /* what the manager was told last */
    uint64_t step;                        /* ns between two looks at the workers; 0: no watchdog */
    uint64_t due;                         /* of the next one */
    pql_context *ctx;                     /* NULL: the main thread alone is watched */
    unsigned asked;                       /* workers that were asked in this round */
    atomic_uint answers;                  /* of them */
    bool asking;                          /* a round is under way */
} pqi_manager;

/* Finds out from the environment whether there is a manager and whether it watches.  A socket that
 * cannot be used is logged under |service|, and the program goes on without. */
void pqi_manager_open(pqi_manager *m, const char *service);
void pqi_manager_close(pqi_manager *m);

/* "READY=1": the service serves, or serves again after a reload.  From now on |ctx| (may be NULL)
 * is watched. */
void pqi_manager_ready(pqi_manager *m, pql_context *ctx, const char *status);

/* One line for people, sent when it is another than the last. */
void pqi_manager_status(pqi_manager *m, const char *status);

/* "RELOADING=1" with the monotonic time |now| (ns), as systemd's notify-reload wants it. */
void pqi_manager_reloading(pqi_manager *m, uint64_t now);

/* "STOPPING=1". */
void pqi_manager_stopping(pqi_manager *m, const char *status);

/* To be called by the main loop at the time (monotonic ns) that it returned last, or before: every
 * quarter of the watchdog's period it asks all workers for an answer, and "WATCHDOG=1" goes out
 * when all have given it.  A worker that hangs, or a main loop that does, ends the pings, and the
 * manager starts the service anew.  Returns PQI_TIME_NEVER without a watchdog. */
uint64_t pqi_manager_tick(pqi_manager *m, uint64_t now);

#endif
