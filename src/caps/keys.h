/* The keys of capability tokens, and their file.  docs/capability-tokens.md, section 7.
 *
 * The file is written in the strict part of TOML that base/conf.h reads: one table per key, named
 * by its kid, and a table [revoked] of token numbers.  A key belongs to one tenant.  Of the keys of
 * one tenant one is current, with which tokens are minted; the others are previous, and still
 * accepted.  Pure but for memory and files. */
#ifndef PQI_CAPS_KEYS_H
#define PQI_CAPS_KEYS_H

#include "caps/slh_dsa.h"
#include "caps/token.h"
#include "crypto/signature.h"

#define PQI_CAP_ROOT_SIZE 32
#define PQI_CAP_KEYS_MAX 128
#define PQI_CAP_REVOKED_MAX 900 /* with the keys below PQI_CONF_ENTRIES_MAX */
#define PQI_CAP_NOTE_SIZE 65    /* what stands behind a revoked number, with a NUL */

typedef struct pqi_cap_key {
    char kid[PQI_CAP_NAME_MAX + 1]; /* of a-z A-Z 0-9 _ - */
    char tenant[PQI_CAP_NAME_MAX + 1];
    bool current;
    bool require_signature;
    uint8_t root[PQI_CAP_ROOT_SIZE]; /* secret */
    pqi_cap_algorithm algorithm;     /* PQI_CAP_UNSIGNED: the next five mean nothing */
    bool has_private;                /* it can sign, not only verify */
    uint8_t ed25519_public[PQI_ED25519_PUBLIC_SIZE];
    uint8_t pq_public[PQI_ML_DSA_65_PUBLIC_SIZE];
    uint8_t ed25519_private[PQI_ED25519_SEED_SIZE]; /* secret */
    uint8_t pq_private[PQI_SLH_DSA_PRIVATE_SIZE];   /* secret; the seed of ML-DSA */
} pqi_cap_key;

typedef struct pqi_cap_revoked {
    uint8_t nonce[PQI_CAP_NONCE_SIZE];
    char note[PQI_CAP_NOTE_SIZE];
} pqi_cap_revoked;

/* All zero is a valid empty one. */
typedef struct pqi_cap_keys {
    pqi_cap_key *keys; /* owned */
    size_t count;
    pqi_cap_revoked *revoked; /* owned; rising */
    size_t revoked_count;
} pqi_cap_keys;

/* Bytes of the public and of the private key of the post-quantum leg. */
size_t pqi_cap_pq_public_size(pqi_cap_algorithm algorithm);
size_t pqi_cap_pq_private_size(pqi_cap_algorithm algorithm);

/* Makes a key of |tenant|, current, with random secrets.  |kid| NULL: a random one.  PQL_E_USAGE: a
 * name that is none; PQL_E_UNSUPPORTED: SLH-DSA without an OpenSSL that has it; PQL_E_CRYPTO.  Wipe
 * *out. */
pql_status pqi_cap_key_make(pqi_cap_key *out, const char *kid, const char *tenant,
                            pqi_cap_algorithm algorithm, pql_error *err);

/* Puts |key| (copied) in: the current key of its tenant becomes previous, and the previous one
 * goes. PQL_E_EXISTS: its kid is taken; PQL_E_LIMIT, PQL_E_NOMEM.  Nothing has changed then. */
pql_status pqi_cap_keys_add(pqi_cap_keys *keys, const pqi_cap_key *key, pql_error *err);
/* Puts in every number that is revoked in |from| and not yet in |keys|.  PQL_E_LIMIT, PQL_E_NOMEM;
 * nothing has changed then. */
pql_status pqi_cap_keys_revoke_all(pqi_cap_keys *keys, const pqi_cap_keys *from, pql_error *err);
/* NULL when there is none. */
const pqi_cap_key *pqi_cap_keys_find(const pqi_cap_keys *keys, const void *kid, size_t len);
bool pqi_cap_keys_revoked(const pqi_cap_keys *keys, const uint8_t nonce[PQI_CAP_NONCE_SIZE]);
/* Wipes and frees. */
void pqi_cap_keys_clear(pqi_cap_keys *keys);

/* Reads the text of a file; |file| is its name for sentences, which never repeat a key.
 * PQL_E_USAGE, PQL_E_NOMEM; *out is then empty. */
pql_status pqi_cap_keys_parse(pqi_cap_keys *out, const char *file, const void *text, size_t len,
                              pql_error *err);
/* Reads |path|.  PQL_E_IDENTITY when others than the owner and a reading group could get at it;
 * PQL_E_UNSUPPORTED when a key needs SLH-DSA, which this machine has not; else as above and
 * PQL_E_NOT_FOUND, PQL_E_IO, PQL_E_LIMIT. */
pql_status pqi_cap_keys_load(pqi_cap_keys *out, const char *path, pql_error *err);
/* Writes |path| durably with mode 0600; comments of a former file are gone.  |with_private| false:
 * without the keys that sign, for those who only verify.  PQL_E_LIMIT: more than could be read
 * back, and nothing has changed; PQL_E_IO, PQL_E_NOMEM. */
pql_status pqi_cap_keys_save(const pqi_cap_keys *keys, const char *path, bool with_private,
                             pql_error *err);

#endif
