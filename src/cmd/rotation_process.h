/* The next identity, made by a process of its own: 'pqlink rotate prepare'.  For a node whose
 * network process is to have no private key in its memory (--key-process). */
#ifndef PQI_CMD_ROTATION_PROCESS_H
#define PQI_CMD_ROTATION_PROCESS_H

#include "cmd/child.h"
#include "cmd/rotation_view.h"
#include "identity/rotation.h"

#include <limits.h>

#define PQI_ROTATION_PROCESS_LIMIT (60 * PQI_NS_PER_SEC)
#define PQI_ROTATION_PROCESS_WORDS 20

/* The words of its command line.  They point into the struct itself: it is not copied. */
typedef struct pqi_rotation_words {
    const char *argv[PQI_ROTATION_PROCESS_WORDS]; /* ends with NULL */
    char dir[PATH_MAX + 8];
    char passphrase_file[PATH_MAX + 24];
    char switch_at[PQI_TIME_TEXT_SIZE];
    char keep[32];
    char by_age[24];
    char current[PQL_FINGERPRINT_SIZE];
} pqi_rotation_words;

/* Those of a rotation by age, which changes the post-quantum leaf: of |opts| are used self_signed,
 * plan, and the current identity of |expected|, which must not be NULL.  PQL_E_USAGE: a path is too
 * long.  Pure. */
pql_status pqi_rotation_words_make(pqi_rotation_words *out, const char *dir,
                                   const pqi_identity_keys *keys, const pqi_rotation_opts *opts,
                                   pql_error *err);

/* Starts it as |program|; it may take PQI_ROTATION_PROCESS_LIMIT from |now| (monotonic ns) on.
 * Errors as above and of pqi_child_start. */
pql_status pqi_rotation_process_start(pqi_child *child, const char *program, const char *dir,
                                      const pqi_identity_keys *keys, const pqi_rotation_opts *opts,
                                      uint64_t now, pql_error *err);

#endif
