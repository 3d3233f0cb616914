/* What is remembered of peers: by --tofu which certificate a node showed first, and of pinned peers
 * that they had ML-KEM. */
#ifndef PQI_CMD_KNOWN_PEERS_H
#define PQI_CMD_KNOWN_PEERS_H

#include "cmd/command.h"
#include "store/hybrid_marks.h"
#include "store/peers.h"

#include <pqlink/trust.h>

/* Opens the memory in DIR/peers, beside what a node keeps in DIR, so that both can use one
 * directory at a time.  Errors as pqi_store_open. */
pql_status pqi_known_peers_open(pqi_store **out, const pqi_dir *dir, pql_error *err);

/* The memory as trust wants it; |store| is borrowed. */
pql_tofu pqi_known_peers_tofu(pqi_store *store);

/* Pinned peers that had ML-KEM, in DIR/hybrid; |dir| NULL: in memory only.  What cannot be written
 * is said in the log as the event downgrade_memory_failing of |service| (a static text; one for the
 * process). */
pql_status pqi_hybrid_peers_open(pqi_hybrid_marks **out, const pqi_dir *dir, const char *service,
                                 pql_error *err);

#endif
