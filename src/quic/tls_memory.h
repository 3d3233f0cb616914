/* Which of two leaves an address took last, for clients that cannot say which they expect.
 *
 * An official miner has one pin and sends no hint.  Where it ends a handshake that showed it one
 * leaf, its next handshake shows the other.  Bounded: PQI_LEAF_MEMORY_MAX addresses, then the one
 * that was not heard of for the longest time goes.  An address is an IPv4 address, or a /64 of
 * IPv6, so that one network has one place.  Only what a proven address did may be told, or whoever
 * forges addresses could fill all places.  Nothing is decided by it but which leaf is shown.  Any
 * thread.
 */
#ifndef PQI_QUIC_TLS_MEMORY_H
#define PQI_QUIC_TLS_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#define PQI_LEAF_MEMORY_MAX 1024
#define PQI_LEAF_ADDRESS_LEN 16 /* IPv6, or IPv4 mapped into it (RFC 4291, 2.5.5.2) */

typedef struct pqi_leaf_memory pqi_leaf_memory;

/* With one owner; NULL without memory. */
pqi_leaf_memory *pqi_leaf_memory_new(void);
/* One owner more; answers |memory|. */
pqi_leaf_memory *pqi_leaf_memory_ref(pqi_leaf_memory *memory);
/* One owner less; the last frees.  NULL is a no-op. */
void pqi_leaf_memory_free(pqi_leaf_memory *memory);

/* True when the address is to be shown the other leaf, not the current one. */
bool pqi_leaf_memory_wants_other(pqi_leaf_memory *memory,
                                 const uint8_t address[PQI_LEAF_ADDRESS_LEN]);
/* The address finished a handshake with the other (or the current) leaf. */
void pqi_leaf_memory_took(pqi_leaf_memory *memory, const uint8_t address[PQI_LEAF_ADDRESS_LEN],
                          bool other);
/* The address ended a handshake that showed it the other (or the current) leaf. */
void pqi_leaf_memory_refused(pqi_leaf_memory *memory, const uint8_t address[PQI_LEAF_ADDRESS_LEN],
                             bool other);

#endif
