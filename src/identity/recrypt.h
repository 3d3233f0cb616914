/* Another passphrase for the keys that are there, in place. */
#ifndef PQI_IDENTITY_RECRYPT_H
#define PQI_IDENTITY_RECRYPT_H

#include "identity/passphrase.h"

/* Makes every private key in |dir|, of the current, next and previous identity, encrypted with the
 * passphrase in |new_file| (NULL: not encrypted).  |old_file| has the present one (NULL: they are
 * not encrypted).  Nothing is changed before all keys were read; then each file is replaced in one
 * durable step.  Cut short, some are changed and some are not: the same call again, which takes
 * those that are changed already as they are, completes it; what a crash left half written is
 * removed.  *changed is how many were changed.
 * PQL_E_IDENTITY: there is no identity, or a key fits neither passphrase (nothing has changed);
 * also the errors of pqi_passphrase_read; PQL_E_IO, PQL_E_CRYPTO. */
pql_status pqi_identity_recrypt(const char *dir, const char *old_file, const char *new_file,
                                unsigned *changed, pql_error *err);

#endif
