/* The capability tokens that a node takes: of miners (--capability-keys) and on its admin port
 * (--admin-capabilities). */
#ifndef PQI_CMD_NODE_CAPS_H
#define PQI_CMD_NODE_CAPS_H

#include "admin/auth.h"

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

/* Reads the files again; a file that cannot be used changes nothing.  Said in the log. */
void pqi_node_caps_reload(pqi_node_caps *caps);

#endif
