/* Notices when addresses or routes of this machine change (rtnetlink), so that links can move to
 * the new path before the old one times out. */
#ifndef PQI_NET_WATCH_H
#define PQI_NET_WATCH_H

#include "net/worker.h"

typedef struct pqi_watch pqi_watch;

/* Calls |changed| on the worker's thread after each burst of changes.  On the worker's thread; the
 * caller closes it there too.  PQL_E_NETWORK where the kernel has no rtnetlink for us. */
pql_status pqi_watch_open(pqi_watch **out, pqi_worker *worker, void (*changed)(void *user),
                          void *user, pql_error *err);
/* NULL is a no-op. */
void pqi_watch_close(pqi_watch *watch);

#endif
