/* DIR/identity on disk: all four files or none.
 *
 *   pq-key.pem         0600  PKCS#8 private key, ML-DSA (seed form)
 *   pq-cert.pem        0644  X.509 leaf certificate
 *   classical-key.pem  0600  PKCS#8 private key, ECDSA P-256
 *   classical-cert.pem 0644  X.509 leaf certificate */
#ifndef PQI_IDENTITY_DIRECTORY_H
#define PQI_IDENTITY_DIRECTORY_H

#include "identity/leaf.h"

/* Reads DIR/identity into two empty leaves (PQL_LEAF_PQ, PQL_LEAF_CLASSICAL), which stay empty on
 * failure.  PQL_E_NOT_FOUND: there is no such directory, or it is empty; PQL_E_IDENTITY: it is not
 * whole, not ours alone, or not fit for use; PQL_E_IO. */
pql_status pqi_identity_load(const char *dir, pqi_leaf leaves[2], pql_error *err);

/* Writes the leaves to a temporary directory in DIR, syncs, and renames it to DIR/identity: a crash
 * leaves all or nothing.  PQL_E_EXISTS when another process was first (nothing was changed);
 * PQL_E_IO, PQL_E_USAGE. */
pql_status pqi_identity_store(const char *dir, const pqi_leaf leaves[2], pql_error *err);

/* Removes temporary directories that a crash left in DIR.  Those of processes that are still at
 * work hold a lock and stay.  Failures are ignored: the next start tries again. */
void pqi_identity_sweep(const char *dir);

#endif
