/* pqlink forget: takes a node out of the memory of trust on first use. */
#include "cmd/commands.h"
#include "cmd/known_peers.h"

#include "base/error.h"

#include <stdio.h>
#include <unistd.h>

typedef struct forget_options {
    pqi_url node; /* its text is empty when there is none */
    pql_fingerprint pin;
    bool has_pin;
    pqi_dir dir;
} forget_options;

static pql_status parse_pin(void *options, const char *value, pql_error *err)
{
    forget_options *o = options;
    o->has_pin = true;
    return pql_fingerprint_parse(&o->pin, value, err);
}

static pql_status forget_check(const void *options, pql_error *err)
{
    const forget_options *o = options;
    if (o->has_pin && o->node.text[0] != '\0') {
        return pqi_fail(err, PQL_E_USAGE, "Give one of --node and --pin at a time.");
    }
    return PQL_OK;
}

static const pqi_option forget_table[] = {
    {.name = "node",
     .kind = PQI_OPTION_URL,
     .at = PQI_AT(forget_options, node, pqi_url),
     .arg = "URL",
     .help = "A node that --tofu knows, as it was given to 'pqlink mine'."},
    {.name = "pin",
     .kind = PQI_OPTION_CUSTOM,
     .arg = "FINGERPRINT",
     .help = "A pinned peer that was downgraded on purpose: its fingerprint, as the refusal shows "
             "it.",
     .parse = parse_pin},
    {.name = "dir",
     .kind = PQI_OPTION_DIR,
     .at = PQI_AT(forget_options, dir, pqi_dir),
     .arg = "DIR",
     .help = "Directory that 'pqlink mine' or 'pqlink node' was given.",
     .env = "PQLINK_DIR"},
};

static pql_status forget_pin(const forget_options *o, pql_error *err)
{
    char shown[PQL_FINGERPRINT_SIZE];
    pqi_hybrid_marks *marks = NULL;
    pql_status status = pqi_hybrid_peers_open(&marks, &o->dir, "forget", err);
    if (status == PQL_OK) {
        status = pqi_hybrid_marks_forget(marks, o->pin.sha256, err);
    }
    pql_fingerprint_format(&o->pin, shown);
    if (status == PQL_E_NOT_FOUND) {
        pqi_fail(err, PQL_E_NOT_FOUND, "%s does not remember %s.", o->dir.text, shown);
    } else if (status == PQL_OK) {
        (void)printf("%s is forgotten; without ML-KEM it is accepted again where the policy "
                     "allows it.\n",
                     shown);
    }
    pqi_hybrid_marks_free(marks);
    return status;
}

static pql_status forget_node(const forget_options *o, pql_error *err)
{
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

static pql_status forget_run(const void *options, pql_error *err)
{
    const forget_options *o = options;
    if (!o->has_pin && o->node.text[0] == '\0') {
        return pqi_fail(err, PQL_E_USAGE,
                        "Say what to forget: --node URL (known by --tofu) or --pin FINGERPRINT.");
    }
    return o->has_pin ? forget_pin(o, err) : forget_node(o, err);
}

const pqi_command pqi_command_forget = {
    .name = "forget",
    .summary = "Forget what is remembered of a peer",
    .description =
        "After a node has changed its certificate on purpose, a miner that trusts on first use "
        "refuses it until the old certificate is forgotten.  Ask the node's operator for the new "
        "fingerprint first, and compare it with 'pqlink fingerprint --remote'.  The miner has to "
        "be stopped meanwhile.\n"
        "A pinned peer that had a post-quantum key exchange once is refused when it comes without "
        "one, by miners and nodes alike.  When its owner confirms that this is meant, --pin makes "
        "it a stranger again; programs that run need not be stopped.",
    PQI_OPTIONS(forget_table),
    .options_size = sizeof(forget_options),
    .example = (const char *const[]){"pqlink forget --node quic://node.example:9833",
                                     "pqlink forget --pin sha256:5f2c...", NULL},
    .check = forget_check,
    .run = forget_run,
};
