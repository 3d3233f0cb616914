/* pqlink node: what the parser hands to the function that runs the node. */
#ifndef PQI_CMD_NODE_H
#define PQI_CMD_NODE_H

#include "cmd/log_options.h"
#include "cmd/login_list.h"
#include "cmd/security_options.h"

/* Addresses that one node listens on. */
#define PQI_NODE_LISTEN_MAX 8

typedef struct pqi_node_options {
    pqi_url listen[PQI_NODE_LISTEN_MAX];
    size_t listen_count; /* at least 1 */
    pqi_dir dir;
    bool source_dev;                /* jobs come from the embedded development chain, */
    pqi_login_list sources;         /* or else from these nodes: at least one then */
    uint64_t block_time_ns;         /* target between blocks of the development chain */
    uint64_t difficulty;            /* of its first block; at least 1 */
    const char *passphrase_file;    /* NULL: the keys are not encrypted */
    const char *capability_keys;    /* of miners' capability tokens; NULL: none are taken */
    const char *admin_capabilities; /* keys for the admin port; NULL: it asks for no token */
    uint64_t capability_skew_ns;
    const char *tokens_file;   /* NULL: none */
    bool allow_v1;             /* serve quantus-miner too, which has no authentication */
    uint64_t share_difficulty; /* 0: the block's */
    pqi_security_options security;
    pqi_endpoint admin;
    uint64_t workers;               /* 0: one per processor */
    uint64_t max_links_per_address; /* 0: no limit */
    const char *clients_file;       /* NULL: everybody may connect */
    bool key_process;               /* private keys in a process of their own */
    pqi_log_options log;
    const char *keylog_file; /* NULL: none */
    const char *qlog_dir;    /* NULL: none */
} pqi_node_options;

/* Runs a node until SIGINT or SIGTERM (PQL_OK after an orderly drain) or a failure.  |options| is
 * complete and checked; it and the texts in it live until the return.  Main thread. */
pql_status pqi_node_run(const pqi_node_options *options, pql_error *err);

extern const pqi_command pqi_command_node;

#endif
