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

/* Reads the file again, without any effect yet.  The errors of pqi_cap_keyring_open; *out is then
 * empty, else the caller's (pqi_cap_keys_clear). */
pql_status pqi_cap_keyring_read(const pqi_cap_keyring *ring, pqi_cap_keys *out, pql_error *err);
/* True when |keys| are others than those in use, or have other revoked numbers. */
bool pqi_cap_keyring_differs(pqi_cap_keyring *ring, const pqi_cap_keys *keys);
/* |keys| are in use from now on; they are taken over. */
void pqi_cap_keyring_take(pqi_cap_keyring *ring, pqi_cap_keys *keys);
size_t pqi_cap_keyring_count(pqi_cap_keyring *ring);

/* As pqi_cap_verify and pqi_cap_recheck. */
bool pqi_cap_keyring_verify(pqi_cap_keyring *ring, const char *text, size_t len,
                            const pqi_cap_request *request, uint64_t now, pqi_cap_verdict *verdict);
pqi_cap_reason pqi_cap_keyring_recheck(pqi_cap_keyring *ring, const pqi_cap_grant *grant,
                                       uint64_t now);

#endif
