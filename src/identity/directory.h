/* Identities on disk, each in a directory of its own: all four files or none.
 *
 *   pq-key.pem         0600  PKCS#8 private key, ML-DSA (seed form), encrypted or not: key_file.h
 *   pq-cert.pem        0644  X.509 leaf certificate
 *   classical-key.pem  0600  PKCS#8 private key, ECDSA P-256 (or what was imported: see key.h)
 *   classical-cert.pem 0644  X.509 leaf certificate
 *   rotation           0644  only where a rotation brought it: rotation.h
 *   since              0644  when its post-quantum key came into use: rotation.h */
#ifndef PQI_IDENTITY_DIRECTORY_H
#define PQI_IDENTITY_DIRECTORY_H

#include "identity/leaf.h"

/* The directories in DIR.  What is in which of them, and when: rotation.h. */
#define PQI_IDENTITY_CURRENT "identity"
#define PQI_IDENTITY_NEXT "identity-next"
#define PQI_IDENTITY_PREVIOUS "identity-previous"
/* The notes beside the keys: the plan of a rotation, and since when the identity is in use.  The
 * longest one with its NUL. */
#define PQI_IDENTITY_PLAN "rotation"
#define PQI_IDENTITY_SINCE "since"
#define PQI_IDENTITY_NOTE_MAX 512

/* Reads DIR/|name| into two empty leaves (PQL_LEAF_PQ, PQL_LEAF_CLASSICAL), which stay empty on
 * failure.  |keys| here and below: NULL, they are not encrypted.  PQL_E_NOT_FOUND: there is no such
 * directory, or it is empty; PQL_E_IDENTITY: it is not whole, not ours alone, or not fit for use;
 * also the errors of pqi_passphrase_read; PQL_E_IO. */
pql_status pqi_identity_load(const char *dir, const char *name, const pqi_identity_keys *keys,
                             pqi_leaf leaves[2], pql_error *err);

/* The file of a key, such as "pq-key.pem"; a static string. */
const char *pqi_identity_key_name(pql_leaf leaf);

/* Writes the file of a key in DIR/|name| anew, durably and in one step, with the mode of keys. */
pql_status pqi_identity_key_write(const char *dir, const char *name, pql_leaf leaf,
                                  const uint8_t *pem, size_t len, pql_error *err);

/* Reads the file of a key in DIR/|name| as it is; others must not be able to read it.  *pem is the
 * caller's: pqi_secret_free(*pem, *len).  Errors as of pqi_identity_load. */
pql_status pqi_identity_key_read(const char *dir, const char *name, pql_leaf leaf, uint8_t **pem,
                                 size_t *len, pql_error *err);

/* A note and the file that it is in. */
typedef struct pqi_identity_note {
    const char *file; /* PQI_IDENTITY_PLAN or PQI_IDENTITY_SINCE */
    const char *text;
} pqi_identity_note;

/* Writes the leaves, and |note| unless it is NULL, to a temporary directory in DIR, syncs, and
 * renames it to DIR/|name|: a crash leaves all or nothing.  PQL_E_EXISTS when another process was
 * first (nothing was changed); PQL_E_IO, PQL_E_USAGE. */
pql_status pqi_identity_store(const char *dir, const char *name, const pqi_identity_keys *keys,
                              const pqi_leaf leaves[2], const pqi_identity_note *note,
                              pql_error *err);

/* Removes temporary directories that a crash left in DIR.  Those of processes that are still at
 * work hold a lock and stay.  Failures are ignored: the next start tries again. */
void pqi_identity_sweep(const char *dir);

/* Removes what a crash left of private keys that were being replaced in |dir|/|name|, which may be
 * missing.  To be called alone under the lock of DIR.  PQL_E_IO: something could not be removed. */
pql_status pqi_identity_sweep_keys(const char *dir, const char *name, pql_error *err);

/* Takes the lock of DIR: shared to read, |alone| to change what is in place there.  Released by
 * close(*fd).  Waits up to 10 s for others.  PQL_E_NOT_FOUND: there is no DIR; PQL_E_IO; *fd is
 * then -1. */
pql_status pqi_identity_lock(const char *dir, bool alone, int *fd, pql_error *err);

/* True when DIR/|name| exists and is not an empty directory. */
bool pqi_identity_is_there(const char *dir, const char *name);

/* Renames DIR/|from| to DIR/|to|, which must not be there, and syncs DIR.  PQL_E_IO, PQL_E_USAGE.
 */
pql_status pqi_identity_move(const char *dir, const char *from, const char *to, pql_error *err);

/* Takes DIR/|name| away in one step, then removes its files; what a crash leaves of them is for
 * pqi_identity_sweep.  The keys are unlinked, not overwritten.  PQL_E_IO, PQL_E_USAGE. */
pql_status pqi_identity_remove(const char *dir, const char *name, pql_error *err);

/* The note DIR/|name|/|file| as text.  PQL_E_NOT_FOUND: there is none; PQL_E_IDENTITY: too long;
 * PQL_E_IO. */
pql_status pqi_identity_note_read(const char *dir, const char *name, const char *file,
                                  char text[PQI_IDENTITY_NOTE_MAX], pql_error *err);
/* Replaces it, durably and in one step. */
pql_status pqi_identity_note_write(const char *dir, const char *name, const pqi_identity_note *note,
                                   pql_error *err);

#endif
