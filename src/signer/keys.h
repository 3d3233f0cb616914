/* The keys of the key process, and what it answers.  All identities of DIR are there: the one in
 * use, a next and a previous one; found by their certificates. */
#ifndef PQI_SIGNER_KEYS_H
#define PQI_SIGNER_KEYS_H

#include "base/error.h"
#include "signer/wire.h"

typedef struct pqi_signer_keys pqi_signer_keys;

/* Reads the identities in |dir|, and never writes there; with |passphrase_file| (NULL: they are not
 * encrypted) each time that it does.  Both are borrowed.  |roles|: whose
 * CertificateVerify may be signed, pqi_signer_role or-ed together.  The errors of
 * pqi_rotation_load, PQL_E_NOMEM; *out is then NULL. */
pql_status pqi_signer_keys_open(pqi_signer_keys **out, const char *dir, const char *passphrase_file,
                                unsigned roles, pql_error *err);
/* Wipes the keys.  NULL is a no-op. */
void pqi_signer_keys_free(pqi_signer_keys *keys);

/* Reads them again if 'pqlink rotate' or the node changed anything in DIR; one thread at a time
 * does.  A failure leaves the keys as they were, is logged, and tried again by a call that comes
 * ten seconds later.  Any thread. */
void pqi_signer_keys_follow(pqi_signer_keys *keys);

/* Answers one packet of |len| bytes; returns the length of the answer, always more than 0.  |out|
 * has room for PQI_SIGNER_ANSWER_MAX.  What is refused is logged, ten times a second at most.  Any
 * thread. */
size_t pqi_signer_keys_answer(pqi_signer_keys *keys, const uint8_t *data, size_t len, uint8_t *out);

#endif
