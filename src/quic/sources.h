/* How many of something each source address has: a table with a secret key.
 *
 * A source is an IPv4 address, or the first 64 bits of an IPv6 address, which is what one network
 * is given.  An IPv4 address written as IPv6 is that IPv4 address.  Ports do not matter.
 *
 * There is an entry for each source that has at least one, and none for others: whoever is counted
 * is bounded elsewhere, so the table is.  All functions from any thread. */
#ifndef PQI_QUIC_SOURCES_H
#define PQI_QUIC_SOURCES_H

#include "net/address.h"

#include <stddef.h>

typedef struct pqi_sources pqi_sources;
typedef struct pqi_source pqi_source;

/* |key| is 16 random bytes.  NULL when memory could not be had. */
pqi_sources *pqi_sources_new(const uint8_t key[16]);
/* Frees entries that are left too.  NULL is a no-op. */
void pqi_sources_free(pqi_sources *sources);

/* How many |address| has; 0 for a NULL |sources|. */
size_t pqi_sources_count(pqi_sources *sources, const pqi_address *address);
/* One more, unless |address| has |limit| of them.  The entry is handed back to pqi_sources_remove.
 * NULL at the limit, for a NULL |sources|, or when memory could not be had. */
pqi_source *pqi_sources_add(pqi_sources *sources, const pqi_address *address, size_t limit);
/* One less.  A NULL |source| is a no-op. */
void pqi_sources_remove(pqi_sources *sources, pqi_source *source);

#endif
