/* Named secrets that survive restarts and rotate: Retry and address tokens, stateless reset,
 * session tickets.  Threads and common errors: store.h. */
#ifndef PQI_STORE_SECRETS_H
#define PQI_STORE_SECRETS_H

#include "store/store.h"

#include <stddef.h>
#include <stdint.h>

#define PQI_STORE_SECRET_NAME_MAX 64 /* characters of a name, at least 1 */
#define PQI_STORE_SECRET_MAX 256     /* bytes of a secret, at least 1 */

/* Where random bytes come from.  |fill| writes |len| secret random bytes to |out|; a negative code
 * means that it could not.  Called with the store locked: it must not call the store. */
typedef struct pqi_store_random {
    pql_status (*fill)(void *user, uint8_t *out, size_t len);
    void *user;
} pqi_store_random;

/* Copies the secret |name| of |len| bytes to |out|; makes it from |random| when there is none yet,
 * stored before it is given out.  |now_ms|: unix time, remembered as its birth.
 * A stored secret of another length: PQL_E_STATE.  |out| is all zero after a failure; the caller
 * wipes it after use. */
pql_status pqi_store_secret(pqi_store *store, const char *name, const pqi_store_random *random,
                            uint64_t now_ms, uint8_t *out, size_t len, pql_error *err);

/* Replaces the secret |name|, if it is at least |least_age_ms| old at |now_ms| (0: always), by a
 * fresh one; the one that was is then the previous one, and the one before that is gone.  Copies
 * the current one, fresh or not, to |out|.  A clock that jumped back counts as age 0.  Missing:
 * PQL_E_NOT_FOUND.  Otherwise as pqi_store_secret. */
pql_status pqi_store_secret_rotate(pqi_store *store, const char *name,
                                   const pqi_store_random *random, uint64_t now_ms,
                                   uint64_t least_age_ms, uint8_t *out, size_t len, pql_error *err);

/* Copies what |name| was before its last rotation, so that tokens made with it can still be read.
 * Never rotated, or missing: PQL_E_NOT_FOUND.  Otherwise as pqi_store_secret. */
pql_status pqi_store_secret_previous(pqi_store *store, const char *name, uint8_t *out, size_t len,
                                     pql_error *err);

#endif
