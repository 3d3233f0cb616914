/* Connection IDs: they name the worker that owns the connection, and nothing else can be read from
 * them.  Bytes: one whose value modulo the number of workers is the worker's index, seven random.
 */
#ifndef PQI_QUIC_CID_H
#define PQI_QUIC_CID_H

#include <ngtcp2/ngtcp2.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PQI_CID_LEN 8

/* Makes a connection ID from |random|.  |workers| is 1 to 256 and |worker| below it. */
void pqi_cid_make(ngtcp2_cid *out, const uint8_t random[PQI_CID_LEN], unsigned worker,
                  unsigned workers);

/* The worker that a datagram belongs to, from its first bytes (RFC 8999); worker 0 for runts. */
unsigned pqi_cid_worker_of_datagram(const uint8_t *data, size_t len, unsigned workers);

/* A map from connection IDs, or other short keys, to owners.  Keyed, so that strangers cannot make
 * collisions. */
typedef struct pqi_cid_map pqi_cid_map;

/* |key| is 16 random bytes.  NULL when memory could not be had. */
pqi_cid_map *pqi_cid_map_new(const uint8_t key[16]);
void pqi_cid_map_free(pqi_cid_map *map);
/* The same, with every owner given to |free_owner|; for maps in which each has one entry. */
void pqi_cid_map_free_with(pqi_cid_map *map, void (*free_owner)(void *owner));
/* False when memory could not be had, or when the ID is there already. */
bool pqi_cid_map_add(pqi_cid_map *map, const uint8_t *cid, size_t len, void *owner);
/* Removes the ID; one that is not there is left alone. */
void pqi_cid_map_remove(pqi_cid_map *map, const uint8_t *cid, size_t len);
/* Removes all IDs of |owner| by looking at every entry: for the rare case that they are not known.
 */
void pqi_cid_map_remove_owner(pqi_cid_map *map, const void *owner);
/* The owner, or NULL. */
void *pqi_cid_map_find(const pqi_cid_map *map, const uint8_t *cid, size_t len);
size_t pqi_cid_map_count(const pqi_cid_map *map);

#endif
