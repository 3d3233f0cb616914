/* Peers that were seen before: the memory behind trust on first use and behind the rule that a peer
 * which once was hybrid may not come back classical.  Threads and common errors: store.h. */
#ifndef PQI_STORE_PEERS_H
#define PQI_STORE_PEERS_H

#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

#define PQI_STORE_PEER_NAME_MAX 255 /* characters of "host:port", at least 1 */
#define PQI_STORE_FINGERPRINT_SIZE 32

typedef struct pqi_store_peer {
    uint8_t fingerprint[PQI_STORE_FINGERPRINT_SIZE]; /* SHA-256 over the leaf's DER */
    bool was_hybrid;                                 /* it negotiated ML-KEM at least once */
    uint64_t first_seen_ms;                          /* unix time of the first and last put */
    uint64_t last_seen_ms;
} pqi_store_peer;

/* Remembers that |name| was seen at |now_ms| (unix time) with |fingerprint|.  A known peer stays
 * hybrid once it was, whatever |hybrid| says now.  Known with another fingerprint: PQL_E_EXISTS,
 * and nothing changes: only pqi_store_peer_forget makes room for a new certificate, so two first
 * contacts at once cannot both win.  Durable when it returns PQL_OK. */
pql_status pqi_store_peer_put(pqi_store *store, const char *name,
                              const uint8_t fingerprint[PQI_STORE_FINGERPRINT_SIZE], bool hybrid,
                              uint64_t now_ms, pql_error *err);

/* Fills *out; a stranger: PQL_E_NOT_FOUND.  *out is all zero after a failure. */
pql_status pqi_store_peer_get(pqi_store *store, const char *name, pqi_store_peer *out,
                              pql_error *err);

/* Forgets all about |name|; a stranger: PQL_E_NOT_FOUND. */
pql_status pqi_store_peer_forget(pqi_store *store, const char *name, pql_error *err);

#endif
