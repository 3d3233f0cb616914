/* What SIGHUP makes a node read again: settings, capability keys, tokens, clients, identity.  All
 * of it is read, and all that can fail is done, before anything changes; so it is all or nothing.
 */
#ifndef PQI_CMD_NODE_RELOAD_H
#define PQI_CMD_NODE_RELOAD_H

#include "cmd/node_caps.h"
#include "cmd/node_clients.h"
#include "cmd/node_control.h"
#include "cmd/node_rotation.h"
#include "link/change.h"
#include "miner/tokens.h"

/* The parts of a running node that can change.  All are borrowed. */
typedef struct pqi_node_live {
    pqi_node_caps *caps;
    pqi_tokens *tokens; /* NULL, or without a file: there is nothing to read */
    pqi_node_rotation *rotation;
    pqi_node_clients *clients;
    pqi_node_control *control;
    pql_context *ctx;
    /* Towards the sources; all or nothing, as pql_context_set_policy. */
    pql_status (*set_source_policy)(void *service, pql_policy policy, pql_error *err);
    /* |policy| holds now. */
    void (*policy_changed)(void *service, pql_policy policy);
    /* Whoever is connected has to be looked at again. */
    void (*check_grants)(void *service);
    void *service;
} pqi_node_live;

/* Changes what links are made with, towards miners and towards the sources: all or nothing, and no
 * link has been closed when it fails.  Errors as pqi_context_prepare, and those of
 * set_source_policy. */
pql_status pqi_node_change(const pqi_node_live *live, const pqi_context_change *change,
                           pql_error *err);

/* One SIGHUP.  Where anything is wrong nothing changes anywhere, the event reload_refused says in
 * which file and why, and the answer is false; else the event reloaded lists what changed.  The
 * thread that runs the command. */
bool pqi_node_reload(const pqi_node_live *live);

#endif
