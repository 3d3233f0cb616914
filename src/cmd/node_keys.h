/* The key process of a node (--key-process): its start, its condition of readiness, its end. */
#ifndef PQI_CMD_NODE_KEYS_H
#define PQI_CMD_NODE_KEYS_H

#include "cmd/node.h"
#include "cmd/runtime.h"
#include "signer/signer.h"

/* All zero: keys are in this process. */
typedef struct pqi_node_keys {
    pqi_signer *signer;
    pqi_health *health; /* borrowed */
    unsigned condition;
} pqi_node_keys;

/* Starts the key process on the directory of |options|, where it opens or makes the identity;
 * |must_exist|: makes none.  Adds the condition key_process.  Before any other thread.
 * pqi_node_keys_close undoes it, also after a failure. */
pql_status pqi_node_keys_open(pqi_node_keys *keys, const pqi_node_options *options, bool must_exist,
                              pqi_runtime *rt, pql_error *err);

/* Looks after it, without one too.  PQL_E_STATE when it has ended: the node is then not ready, and
 * has to stop.  *next: when to call again (monotonic ns).  The thread that opened it. */
pql_status pqi_node_keys_tick(pqi_node_keys *keys, uint64_t now, uint64_t *next, pql_error *err);

/* After the last handshake. */
void pqi_node_keys_close(pqi_node_keys *keys);

#endif
