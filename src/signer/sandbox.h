/* What the key process may still do once it has its keys: read files below one directory, answer on
 * its sockets, write log lines. */
#ifndef PQI_SIGNER_SANDBOX_H
#define PQI_SIGNER_SANDBOX_H

#include "base/error.h"

#include <stdbool.h>

/* From now on this thread, and those that it starts, open nothing but what lies below |dir|, and
 * |file| (NULL: none), to read it (Landlock).  *done is false, with PQL_OK, where the kernel has no
 * Landlock or does not let us use it: then pqi_sandbox_calls alone is in force.  PQL_E_STATE. */
pql_status pqi_sandbox_files(const char *dir, const char *file, bool *done, pql_error *err);

/* From now on all threads of this process have but a few system calls (seccomp).  Any other one
 * fails with EPERM, as do opening for writing and what a rotation would change in the directory.
 * Another program, another process, a socket or a look at another process ends this one at once
 * (SIGSYS).  PQL_E_STATE. */
pql_status pqi_sandbox_calls(pql_error *err);

/* From now on this process and its threads to come have no io_uring, whose work on files and
 * sockets no trace of system calls and no filter of them would see; libraries do without.  Before
 * threads are started.  PQL_E_STATE. */
pql_status pqi_sandbox_no_rings(pql_error *err);

#endif
