/* Nodes to log in to as a miner, as options name them: --node and --pin of pqlink mine, --source
 * and --source-pin of pqlink node. */
#ifndef PQI_CMD_LOGIN_LIST_H
#define PQI_CMD_LOGIN_LIST_H

#include "miner/failover.h"
#include "miner/login.h"
#include "net/url.h"

#include <pqlink/trust.h>

typedef struct pqi_login_node {
    pqi_node_url url;
    pql_fingerprint pins[PQI_LOGIN_PINS_MAX]; /* those of its fragment */
    size_t pin_count;
} pqi_login_node;

/* Texts are borrowed from the command line. */
typedef struct pqi_login_list {
    pqi_login_node nodes[PQI_FAILOVER_NODES_MAX]; /* the preferred one first */
    unsigned count;
    /* What follows holds for every node that has no pins in its URL. */
    pql_fingerprint pins[PQI_LOGIN_PINS_MAX];
    size_t pin_count;
    const char *pin_file; /* NULL: none, as the next three */
    const char *ca_file;
    const char *dir; /* of an official node; with it there is one node */
    const char *token_file;
    bool tofu, insecure;
    uint64_t probe_ns; /* between looks at preferred nodes, while another one is in use */
} pqi_login_list;

/* Of the option that sets |probe_ns|. */
#define PQI_PROBE_MIN (UINT64_C(100) * 1000 * 1000)
#define PQI_PROBE_MAX (UINT64_C(24) * 3600 * 1000 * 1000 * 1000)
#define PQI_PROBE_DEFAULT "30s"

/* The options' names, for sentences: "--node", "--pin", ...  NULL: there is no such option. */
typedef struct pqi_login_words {
    const char *node, *pin, *pin_file, *token_file, *dir;
    const char *trust; /* how a node can be recognised, as the end of a sentence */
} pqi_login_words;

/* Adds the node |url|, which may end with #PIN or #PIN,PIN.  PQL_E_USAGE. */
pql_status pqi_login_list_add(pqi_login_list *list, const char *url, pql_error *err);
/* PQL_E_USAGE when something is missing or does not go together; the sentence names the option. */
pql_status pqi_login_list_check(const pqi_login_list *list, const pqi_login_words *words,
                                pql_error *err);
/* PQL_E_USAGE when a node of the list cannot prove its key with ML-DSA: official ones. */
pql_status pqi_login_list_check_ml_dsa(const pqi_login_list *list, pql_error *err);
/* Fills |out| with list->count entries, which borrow from |list|.  |tofu| is the memory of trust on
 * first use, meant when list->tofu. */
void pqi_login_list_fill(const pqi_login_list *list, const pql_tofu *tofu,
                         pqi_login_opts out[PQI_FAILOVER_NODES_MAX]);

#endif
