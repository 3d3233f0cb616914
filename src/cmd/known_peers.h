/* The memory of --tofu: which certificate a node showed first. */
#ifndef PQI_CMD_KNOWN_PEERS_H
#define PQI_CMD_KNOWN_PEERS_H

#include "cmd/command.h"
#include "store/peers.h"

#include <pqlink/trust.h>

/* Opens the memory in DIR/peers, beside what a node keeps in DIR, so that both can use one
 * directory at a time.  Errors as pqi_store_open. */
pql_status pqi_known_peers_open(pqi_store **out, const pqi_dir *dir, pql_error *err);

/* The memory as trust wants it; |store| is borrowed. */
pql_tofu pqi_known_peers_tofu(pqi_store *store);

#endif
