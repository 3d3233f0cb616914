/* pqlink forget: takes a node out of the memory of trust on first use. */
#include "cmd/commands.h"
#include "cmd/known_peers.h"

#include "base/error.h"

#include <stdio.h>
#include <unistd.h>

typedef struct forget_options {
    pqi_url node;
    pqi_dir dir;
} forget_options;

static const pqi_option forget_table[] = {
    {.name = "node",
     .kind = PQI_OPTION_URL,
     .at = PQI_AT(forget_options, node, pqi_url),
     .arg = "URL",
     .help = "The node to forget, as it was given to 'pqlink mine'.",
     .required = true},
    {.name = "dir",
     .kind = PQI_OPTION_DIR,
     .at = PQI_AT(forget_options, dir, pqi_dir),
     .arg = "DIR",
     .help = "Directory that 'pqlink mine --tofu' was given.",
     .env = "PQLINK_DIR"},
};

static pql_status forget_run(const void *options, pql_error *err)
{
    const forget_options *o = options;
    pqi_store *store = NULL;
    char name[PQI_HOST_SIZE + sizeof(":65535")];
    char shown[sizeof(name) + sizeof("[]")];
    char path[PATH_MAX + sizeof("/peers")];
    (void)snprintf(path, sizeof(path), "%s/peers", o->dir.text);
    (void)snprintf(name, sizeof(name), "%s:%u", o->node.host, (unsigned)o->node.port);
    (void)snprintf(shown, sizeof(shown), o->node.host_kind == PQI_HOST_IPV6 ? "[%s]:%u" : "%s:%u",
                   o->node.host, (unsigned)o->node.port);
    if (access(path, F_OK) != 0) {
        return pqi_fail(err, PQL_E_NOT_FOUND,
                        "%s remembers no nodes: 'pqlink mine --tofu' has not used it.",
                        o->dir.text);
    }
    pql_status status = pqi_known_peers_open(&store, &o->dir, err);
    if (status == PQL_OK) {
        status = pqi_store_peer_forget(store, name, err);
    }
    if (status == PQL_E_NOT_FOUND) {
        pqi_fail(err, PQL_E_NOT_FOUND, "%s remembers no node %s.", o->dir.text, shown);
    } else if (status == PQL_OK) {
        (void)printf("%s is forgotten; the next 'pqlink mine --tofu' trusts what it shows.\n",
                     shown);
    }
    pqi_store_close(store);
    return status;
}

const pqi_command pqi_command_forget = {
    .name = "forget",
    .summary = "Forget what --tofu remembers of a node",
    .description =
        "After a node has changed its certificate on purpose, a miner that trusts on first use "
        "refuses it until the old certificate is forgotten.  Ask the node's operator for the new "
        "fingerprint first, and compare it with 'pqlink fingerprint --remote'.  The miner has to "
        "be stopped meanwhile.",
    PQI_OPTIONS(forget_table),
    .options_size = sizeof(forget_options),
    .example = (const char *const[]){"pqlink forget --node quic://node.example:9833", NULL},
    .run = forget_run,
};
