/* The capability tokens that a node takes: of miners (--capability-keys) and on its admin port
 * (--admin-capabilities). */
#ifndef PQI_CMD_NODE_CAPS_H
#define PQI_CMD_NODE_CAPS_H

#include "admin/auth.h"
#include "cmd/changes.h"

typedef struct pqi_node_caps_opts {
    const char *miner_keys; /* file; NULL: miners have none */
    const char *admin_keys; /* file; NULL: the admin port asks for none */
    uint64_t skew_ns;
} pqi_node_caps_opts;

/* All zero: none are taken. */
typedef struct pqi_node_caps {
    pqi_cap_metrics *metrics;
    pqi_cap_keyring *miners; /* NULL: see above */
    pqi_admin_auth auth;
} pqi_node_caps;

/* Registers the series and reads the files.  PQL_E_USAGE also for keys that miners' tokens cannot
 * satisfy; the errors of pqi_cap_keyring_open and pqi_cap_metrics_new.  pqi_node_caps_close after a
 * failure too. */
pql_status pqi_node_caps_open(pqi_node_caps *caps, const pqi_node_caps_opts *opts,
                              pqi_metrics *registry, pql_error *err);
/* After the admin port and the miners' service; before the registry. */
void pqi_node_caps_close(pqi_node_caps *caps);

/* For pqi_runtime.auth: NULL when the admin port asks for no token. */
const pqi_admin_auth *pqi_node_caps_auth(const pqi_node_caps *caps);

/* Keys that were read again and are not in use yet. */
typedef struct pqi_node_caps_fresh {
    pqi_cap_keys miners, admin;
} pqi_node_caps_fresh;

/* Reads the files again, without any effect.  Errors as pqi_node_caps_open; *fresh is then empty.
 */
pql_status pqi_node_caps_read(const pqi_node_caps *caps, pqi_node_caps_fresh *fresh,
                              pql_error *err);
/* |fresh| is in use from now on, and taken over; |changes| gets what is different. */
void pqi_node_caps_take(pqi_node_caps *caps, pqi_node_caps_fresh *fresh, pqi_changes *changes);
void pqi_node_caps_discard(pqi_node_caps_fresh *fresh);

#endif
