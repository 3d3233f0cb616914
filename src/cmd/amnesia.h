/* --amnesia: a process that leaves nothing behind.  Identity, chain, link secret and tokens are in
 * memory alone, memory stays out of swap and core dumps, and nothing is written to a file. */
#ifndef PQI_CMD_AMNESIA_H
#define PQI_CMD_AMNESIA_H

#include "cmd/runtime.h"
#include "cmd/security_options.h"

#include <pqlink/identity.h>

/* Options that write files, or that speak of files of ours. */
typedef struct pqi_amnesia_files {
    const pqi_dir *dir;
    const char *keylog_file, *qlog_dir, *passphrase_file; /* NULL: none */
} pqi_amnesia_files;

/* PQL_E_USAGE with a sentence when |security| asks for amnesia and something contradicts it; a
 * directory does only when it was typed, since units and images name one for every start. */
pql_status pqi_amnesia_check(const pqi_security_options *security, const pqi_amnesia_files *files,
                             pql_error *err);

/* Locks memory and switches core dumps off (base/lockdown.h) when |security| asks for amnesia, and
 * says so loudly; does nothing otherwise.  Before any secret exists, and before any thread. */
pql_status pqi_amnesia_begin(const char *service, const pqi_security_options *security,
                             pql_error *err);

/* A new identity in memory, with its fingerprints in the log: nobody can look them up in a file.
 * Owned by the caller. */
pql_status pqi_amnesia_identity(const char *service, pql_identity **out, pql_error *err);

#endif
