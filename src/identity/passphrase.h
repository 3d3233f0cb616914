/* The passphrase of encrypted keys: one line of a file, held for as long as it is used. */
#ifndef PQI_IDENTITY_PASSPHRASE_H
#define PQI_IDENTITY_PASSPHRASE_H

#include "base/error.h"

#include <stddef.h>

/* Bytes of the longest one, without its NUL. */
#define PQI_PASSPHRASE_MAX 1024

typedef struct pqi_passphrase {
    char text[PQI_PASSPHRASE_MAX + 1];
    size_t len;
} pqi_passphrase;

/* How the keys of an identity are to be read and written. */
typedef struct pqi_identity_keys {
    const char *passphrase_file; /* NULL: they are not encrypted */
    bool left_out; /* certificates alone are read: no key and no passphrase is needed */
} pqi_identity_keys;

/* Reads the first and only line of |file|, without its end.  PQL_E_IDENTITY: others may read it or
 * its group may write it, it is no file, it is empty, too long, has a NUL or a second line;
 * PQL_E_IO: it is not there or cannot be read.  After a failure *out is wiped; after success the
 * caller does that with pqi_passphrase_wipe. */
pql_status pqi_passphrase_read(pqi_passphrase *out, const char *file, pql_error *err);

void pqi_passphrase_wipe(pqi_passphrase *passphrase);

#endif
