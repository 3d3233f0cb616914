/* The links of this process as an operator wants to see them: the newest open ones, the last
 * downgrades, and how long handshakes took.  Fed by what observers of a context hear.
 *
 * Everything is bounded, whoever connects: PQI_LINK_TABLE_MAX links are kept, the newest ones (all
 * of them are counted), and PQI_DOWNGRADES_KEPT downgrades.  A link costs its worker two short
 * critical sections in its life, one at its opening and one at its end, on one of
 * PQI_LINK_TABLE_STRIPES locks; a handshake one atomic add.
 *
 * Any thread. */
#ifndef PQI_OBSERVE_LINK_TABLE_H
#define PQI_OBSERVE_LINK_TABLE_H

#include "base/error.h"

#include <pqlink/link.h>

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define PQI_LINK_TABLE_STRIPES 16
#define PQI_LINK_TABLE_ROWS 16 /* of one stripe */
#define PQI_LINK_TABLE_MAX (PQI_LINK_TABLE_STRIPES * PQI_LINK_TABLE_ROWS)
#define PQI_DOWNGRADES_KEPT 16
/* With the NUL; an IPv6 address with its port has 47 characters. */
#define PQI_LINK_ADDRESS_SIZE 64
/* With the NUL; longer protocol names are cut.  Ours have at most 16 characters. */
#define PQI_LINK_ALPN_SIZE 32

typedef struct pqi_link_table pqi_link_table;

/* *out is to be freed by the caller.  PQL_E_NOMEM leaves it NULL. */
pql_status pqi_link_table_new(pqi_link_table **out, pql_error *err);
void pqi_link_table_free(pqi_link_table *table);

/* The two callbacks of pql_observer.  |now_ms| is the wall clock, milliseconds since 1970; what is
 * in |link| is copied.  A NULL |table| is a no-op. */
void pqi_link_table_handshake(pqi_link_table *table, const pql_link_info *link,
                              const pql_close *failure, uint64_t now_ms);
void pqi_link_table_change(pqi_link_table *table, const pql_link_info *link, const pql_close *why,
                           uint64_t now_ms);

/* The JSON values below are owned by the caller; NULL without memory. */

/* {"open":n,"opened":n,"hybrid":n,"pq":n,"classical":n,"list":[..]}: how many are open and were
 * ever opened, the open ones by the posture of their key exchange, and the newest of them, newest
 * first: id, role ("client" or "server", ours), address, protocol, opened_ms, group,
 * own_signature and peer_signature (null where there was none), cipher, trust, pq_key_exchange,
 * pq_authentication, resumed, early_data, downgrade (a word of pql_downgrade_name), handshake_ms,
 * round_trips (null on a server, which does not know). */
json_t *pqi_link_table_links_json(pqi_link_table *table);

/* {"count":n,"last":[..]}, newest first: time_ms, role, address, protocol, group (null where none
 * was negotiated), reason, refused. */
json_t *pqi_link_table_downgrades_json(pqi_link_table *table);

/* {"completed":n,"failed":n,"p50_ms":x,"p95_ms":x,"p99_ms":x}: since the start, of the handshakes
 * that were completed; null while there was none.  A quantile is right to PQI_LATENCY_STEP. */
json_t *pqi_link_table_handshakes_json(pqi_link_table *table);

/* Buckets of the latency rise by this factor from PQI_LATENCY_FIRST_NS. */
#define PQI_LATENCY_STEP 1.1
#define PQI_LATENCY_FIRST_NS 50000.0
#define PQI_LATENCY_BUCKETS 160 /* up to 190 s, which is over every time-out */

#endif
