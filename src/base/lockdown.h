/* What a process does so that its secrets stay in memory and in its own hands. */
#ifndef PQI_BASE_LOCKDOWN_H
#define PQI_BASE_LOCKDOWN_H

#include "base/error.h"

#include <stddef.h>

/* Keeps all memory of this process, present and to come, out of swap (mlockall with MCL_ONFAULT:
 * a page is locked when it is first touched, so the stacks of threads cost what they use).  To be
 * called before any secret exists and before any thread is started; a fork does not inherit it.
 *
 * PQL_E_STATE with the settings to change: the limit RLIMIT_MEMLOCK, whose soft value is raised to
 * the hard one first, does not let this process lock what it has and PQI_LOCKDOWN_ROOM more.  The
 * kernel counts addresses there, not pages in use.  Nothing is locked then. */
pql_status pqi_lockdown_memory(pql_error *err);

/* What a process with workers may come to need beyond what it has at its start. */
#define PQI_LOCKDOWN_ROOM ((size_t)1024 * 1024 * 1024)

/* No core dump: RLIMIT_CORE is 0, and PR_SET_DUMPABLE is off, which also keeps other processes of
 * the same user from attaching to this one and from reading /proc/PID/mem.  PQL_E_STATE. */
pql_status pqi_lockdown_dumps(pql_error *err);

#endif
