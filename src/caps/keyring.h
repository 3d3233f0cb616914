/* The keys in use of a running service, which can be read again while requests are verified.
 *
 * Locks: its own, around keys that are replaced and never changed.  Any thread. */
#ifndef PQI_CAPS_KEYRING_H
#define PQI_CAPS_KEYRING_H

#include "caps/verify.h"

typedef struct pqi_cap_keyring pqi_cap_keyring;

/* A further condition of a file, here and when it is read again; the sentence goes to |err|. */
typedef pql_status (*pqi_cap_keyring_check)(const pqi_cap_keys *keys, const char *path,
                                            pql_error *err);

/* Reads |path| (copied).  Errors are those of pqi_cap_keys_load and |check| (NULL: none), and
 * PQL_E_USAGE for a file without a key, which would lock everybody out.  The caller frees *out. */
pql_status pqi_cap_keyring_open(pqi_cap_keyring **out, const char *path,
                                const pqi_cap_policy *policy, pqi_cap_keyring_check check,
                                pql_error *err);
/* NULL is a no-op. */
void pqi_cap_keyring_free(pqi_cap_keyring *ring);

/* Reads the file again.  After a failure the old keys stay in use. */
pql_status pqi_cap_keyring_reload(pqi_cap_keyring *ring, pql_error *err);
size_t pqi_cap_keyring_count(pqi_cap_keyring *ring);

/* As pqi_cap_verify and pqi_cap_recheck. */
bool pqi_cap_keyring_verify(pqi_cap_keyring *ring, const char *text, size_t len,
                            const pqi_cap_request *request, uint64_t now, pqi_cap_verdict *verdict);
pqi_cap_reason pqi_cap_keyring_recheck(pqi_cap_keyring *ring, const pqi_cap_grant *grant,
                                       uint64_t now);

#endif
