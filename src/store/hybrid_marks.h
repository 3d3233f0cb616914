/* Which pinned peers had ML-KEM once: an empty file for each, named by the SHA-256 of what is
 * pinned, certificate or key, in a directory of its own.
 *
 * Files rather than rows of the store, because many programs share one directory: several miners of
 * a user, and 'pqlink forget' while they run.  A mark is there as a whole or not at all, and making
 * it twice changes nothing.  Any thread. */
#ifndef PQI_STORE_HYBRID_MARKS_H
#define PQI_STORE_HYBRID_MARKS_H

#include "base/error.h"

#include <pqlink/trust.h>

typedef struct pqi_hybrid_marks pqi_hybrid_marks;

/* Marks that are kept in memory when their files cannot be written; one more is not kept. */
#define PQI_HYBRID_MARKS_UNWRITTEN_MAX 1024

/* |directory| is made with the first mark, mode 0700; NULL keeps marks in memory only.  |failed|
 * (may be NULL) hears, with a sentence, of the first mark that could not be written, and of the
 * next one after some could.  *out is to be freed by the caller.  PQL_E_NOMEM, PQL_E_USAGE (a name
 * that is too long). */
pql_status pqi_hybrid_marks_open(pqi_hybrid_marks **out, const char *directory,
                                 void (*failed)(const char *sentence), pql_error *err);
void pqi_hybrid_marks_free(pqi_hybrid_marks *marks);

/* PQL_OK: marked.  PQL_E_NOT_FOUND: not.  PQL_E_IO: the directory cannot be read, or others than
 * its owner may write to it. */
pql_status pqi_hybrid_marks_has(pqi_hybrid_marks *marks, const uint8_t sha256[PQL_SHA256_SIZE],
                                pql_error *err);

/* Durable when it returns PQL_OK; PQL_E_IO: kept in memory. */
pql_status pqi_hybrid_marks_add(pqi_hybrid_marks *marks, const uint8_t sha256[PQL_SHA256_SIZE],
                                pql_error *err);

/* PQL_E_NOT_FOUND: there was none. */
pql_status pqi_hybrid_marks_forget(pqi_hybrid_marks *marks, const uint8_t sha256[PQL_SHA256_SIZE],
                                   pql_error *err);

/* As a context wants it; |marks| is borrowed. */
pql_hybrid_memory pqi_hybrid_marks_memory(pqi_hybrid_marks *marks);

#endif
