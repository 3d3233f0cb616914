/* The options of pqlink node. */
#include "base/clock.h"
#include "caps/rules.h"
#include "cmd/amnesia.h"
#include "cmd/node.h"
#include "cmd/passphrase_option.h"

#include <string.h>

#define BLOCK_TIME_MIN (UINT64_C(100) * PQI_NS_PER_MS)
#define BLOCK_TIME_MAX (UINT64_C(24) * 3600 * PQI_NS_PER_SEC)
#define LINKS_PER_ADDRESS_MAX 1000000
#define WORKERS_MAX 64 /* pql_context_opts.workers */

static const char source_dev[] = "dev";

static pql_status source_parse(void *options, const char *value, pql_error *err)
{
    pqi_node_options *o = options;
    if (strcmp(value, source_dev) == 0) {
        o->source_dev = true;
        return PQL_OK;
    }
    return pqi_login_list_add(&o->sources, value, err);
}

static pql_status source_pin_parse(void *options, const char *value, pql_error *err)
{
    pqi_login_list *sources = &((pqi_node_options *)options)->sources;
    return pqi_login_pins_parse(sources->pins, &sources->pin_count, value, err);
}

static pql_status listen_parse(void *options, const char *value, pql_error *err)
{
    pqi_node_options *o = options;
    if (o->listen_count == PQI_NODE_LISTEN_MAX) {
        return pqi_fail(err, PQL_E_USAGE, "A node listens on at most %d addresses.",
                        PQI_NODE_LISTEN_MAX);
    }
    const pql_status status = pqi_url_parse(&o->listen[o->listen_count], value, err);
    if (status == PQL_OK) {
        o->listen_count++;
    }
    return status;
}

static const pqi_option node_table[] = {
    {.name = "listen",
     .kind = PQI_OPTION_CUSTOM,
     .parse = listen_parse,
     .arg = "URL",
     .help = "Address that miners connect to, quic://ADDRESS:PORT.  The default is reachable from "
             "this machine only; type quic://0.0.0.0:9833 to serve others over IPv4, and "
             "quic://[::]:9833 to serve them over IPv6.",
     .repeatable = true,
     .fallback = "quic://127.0.0.1:9833"},
    {.name = "dir",
     .kind = PQI_OPTION_DIR,
     .at = PQI_AT(pqi_node_options, dir, pqi_dir),
     .arg = "DIR",
     .help = "Directory of identity and state; made, with a new identity, where there is none.",
     .env = "PQLINK_DIR"},
    {.name = "source",
     .kind = PQI_OPTION_CUSTOM,
     .parse = source_parse,
     .arg = "SOURCE",
     .help = "Where jobs come from: dev is the embedded development chain; quantus://HOST:PORT is "
             "an official node, which is logged in to as one miner; quic://HOST:PORT another "
             "pqlink node.  Give it several times to have others to fall back on, the preferred "
             "one first.  URL#PIN is a node with a pin of its own.",
     .fallback = source_dev,
     .repeatable = true},
    {.name = "source-pin",
     .kind = PQI_OPTION_CUSTOM,
     .parse = source_pin_parse,
     .arg = "FINGERPRINT",
     .help = "Fingerprint of the source: 64 hexadecimal digits, sha256:HEX or spki-sha256:HEX.  Of "
             "several pins any one suffices.",
     .repeatable = true},
    {.name = "source-pin-file",
     .kind = PQI_OPTION_FILE,
     .at = PQI_AT(pqi_node_options, sources.pin_file, const char *),
     .arg = "FILE",
     .help = "Read the pins of the source from a file, such as the miner-tls-cert-sha256 of an "
             "official node, before each attempt to connect."},
    {.name = "source-token-file",
     .kind = PQI_OPTION_FILE,
     .at = PQI_AT(pqi_node_options, sources.token_file, const char *),
     .arg = "FILE",
     .help = "Log in to the source with the token in a file, which nobody but its owner and group "
             "may read.  Every source that is named gets it."},
    {.name = "source-probe-interval",
     .kind = PQI_OPTION_DURATION,
     .at = PQI_AT(pqi_node_options, sources.probe_ns, uint64_t),
     .arg = "DURATION",
     .min = PQI_PROBE_MIN,
     .max = PQI_PROBE_MAX,
     .help = "How often a preferred source is looked at while another one is in use.",
     .fallback = PQI_PROBE_DEFAULT},
    {.name = "source-dir",
     .kind = PQI_OPTION_FILE,
     .at = PQI_AT(pqi_node_options, sources.dir, const char *),
     .arg = "DIR",
     .help = "Read miner-auth-token and miner-tls-cert-sha256 in the directory of an official node "
             "on this machine, BASE-PATH/chains/CHAIN, before each attempt to connect."},
    {.name = "block-time",
     .kind = PQI_OPTION_DURATION,
     .at = PQI_AT(pqi_node_options, block_time_ns, uint64_t),
     .arg = "DURATION",
     .min = BLOCK_TIME_MIN,
     .max = BLOCK_TIME_MAX,
     .help = "Time between blocks that the development chain steers towards, such as 500ms, 12s "
             "or 2m.",
     .fallback = "12s"},
    {.name = "difficulty",
     .kind = PQI_OPTION_NUMBER,
     .at = PQI_AT(pqi_node_options, difficulty, uint64_t),
     .arg = "N",
     .min = 1,
     .max = UINT64_MAX,
     .help = "Difficulty that a new development chain begins with: the hashes that a block takes "
             "on average.",
     .fallback = "4000000"},
    {.name = "share-difficulty",
     .kind = PQI_OPTION_NUMBER,
     .at = PQI_AT(pqi_node_options, share_difficulty, uint64_t),
     .arg = "N",
     .min = 1,
     .max = UINT64_MAX,
     .help = "Give miners this difficulty where it is below the block's.  Results that make no "
             "block then count as shares, from which the node knows how fast each miner is."},
    {.name = "tokens",
     .kind = PQI_OPTION_FILE,
     .at = PQI_AT(pqi_node_options, tokens_file, const char *),
     .arg = "FILE",
     .help = "Let in only miners with a token of this file, which has one NAME:TOKEN a line; "
             "TOKEN.* takes any TOKEN.WORKER.  A change of the file is taken over by itself, and "
             "miners whose token is gone are sent away.  Without it, official miners need the "
             "token in DIR/miner-auth-token, and our own need none."},
    {.name = "capability-keys",
     .kind = PQI_OPTION_FILE,
     .at = PQI_AT(pqi_node_options, capability_keys, const char *),
     .arg = "FILE",
     .help = "Let in only miners with a capability token for the audience miner, of a key in this "
             "file ('pqlink token keygen'), or with a token of --tokens beside it.  The tenant of "
             "the token names the miner.  A link ends when its token expires or is revoked.  "
             "SIGHUP reads the file again."},
    {.name = "admin-capabilities",
     .kind = PQI_OPTION_FILE,
     .at = PQI_AT(pqi_node_options, admin_capabilities, const char *),
     .arg = "FILE",
     .help = "Have the admin port ask for a capability token for the audience admin, of a key in "
             "this file, on every path but /healthz and /readyz.  SIGHUP reads the file again."},
    {.name = "capability-skew",
     .kind = PQI_OPTION_DURATION,
     .at = PQI_AT(pqi_node_options, capability_skew_ns, uint64_t),
     .arg = "DURATION",
     .min = 0,
     .max = PQI_CAP_SKEW_MAX * PQI_NS_PER_SEC,
     .help = "How far the clocks of this machine and of those that mint capability tokens may be "
             "apart: a token is taken so long before and after its times.",
     .fallback = "60s"},
    {.name = "allow-v1",
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(pqi_node_options, allow_v1, bool),
     .help = "Serve official miners before v4 too.  They send no token and check no certificate: "
             "whoever reaches the port may then mine."},
    PQI_OPTION_POLICY(pqi_node_options),
    PQI_OPTION_AUTHENTICATION(pqi_node_options,
                              "The certificates of --clients have to be ML-DSA then, official "
                              "miners are not served, and sources cannot be official nodes."),
    PQI_OPTION_KEY_ROTATION_DAYS(pqi_node_options),
    PQI_OPTION_PASSPHRASE(pqi_node_options, passphrase_file),
    PQI_OPTION_AMNESIA(pqi_node_options),
    {.name = "key-process",
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(pqi_node_options, key_process, bool),
     .help = "Keep the private keys in a process of their own, which signs handshakes and nothing "
             "else: what leaks from the memory of the process that talks to the network is no "
             "key.  The node stops when that process ends."},
    {.name = "admin",
     .kind = PQI_OPTION_ENDPOINT,
     .at = PQI_AT(pqi_node_options, admin, pqi_endpoint),
     .arg = "ADDRESS:PORT",
     .help = "Where /metrics, /healthz, /readyz and /version are served over HTTP; off serves "
             "them nowhere.",
     .fallback = "127.0.0.1:9834"},
    {.name = "workers",
     .kind = PQI_OPTION_NUMBER,
     .at = PQI_AT(pqi_node_options, workers, uint64_t),
     .arg = "N",
     .min = 0,
     .max = WORKERS_MAX,
     .help = "Threads that serve links; 0 is one per processor.",
     .fallback = "0"},
    {.name = "max-links-per-address",
     .kind = PQI_OPTION_NUMBER,
     .at = PQI_AT(pqi_node_options, max_links_per_address, uint64_t),
     .arg = "N",
     .min = 0,
     .max = LINKS_PER_ADDRESS_MAX,
     .help = "Miners that may be connected from one IPv4 address, or one /64 of IPv6, to each "
             "address of --listen; more are refused.  Miners behind one NAT have one address.  0 "
             "is no limit.",
     .fallback = "0"},
    {.name = "clients",
     .kind = PQI_OPTION_FILE,
     .at = PQI_AT(pqi_node_options, clients_file, const char *),
     .arg = "FILE",
     .help = "Let in only miners whose certificate is listed in a file: one fingerprint a line, as "
             "'pqlink fingerprint' prints it on the miner, and after it a name for people; '#' "
             "starts a comment.  The miner has to run with --identity.  Official miners have no "
             "certificate; they are served with --tokens only.  SIGHUP reads the file again.  "
             "Only its owner may be able to write to it."},
    PQI_OPTION_LOG_FORMAT(pqi_node_options),
    PQI_OPTION_LOG_LEVEL(pqi_node_options),
    {.name = "keylog",
     .typed_only = true,
     .kind = PQI_OPTION_FILE,
     .at = PQI_AT(pqi_node_options, keylog_file, const char *),
     .arg = "FILE",
     .help = "Append the secrets of every link to a file, for Wireshark.  Whoever has the file can "
             "read everything: for debugging only."},
    {.name = "qlog",
     .typed_only = true,
     .kind = PQI_OPTION_FILE,
     .at = PQI_AT(pqi_node_options, qlog_dir, const char *),
     .arg = "DIR",
     .help = "Write a qlog trace of every link into a directory.  It tells who talked when and how "
             "much: for debugging only."},
};

static pql_status source_check(const pqi_node_options *o, pql_error *err)
{
    static const pqi_login_words words = {
        .node = "--source",
        .pin = "--source-pin",
        .pin_file = "--source-pin-file",
        .token_file = "--source-token-file",
        .dir = "--source-dir",
        .trust = "--source-pin FINGERPRINT, --source-pin-file FILE, or --source-dir DIR"};
    const pqi_login_list *s = &o->sources;
    if (s->count == 0 && !o->source_dev) {
        return pqi_fail(err, PQL_E_USAGE,
                        "There is no source of jobs: give --source dev or --source URL, or leave "
                        "out the empty list.");
    }
    if (s->count > 0 && o->source_dev) {
        return pqi_fail(err, PQL_E_USAGE, "--source dev does not go together with other sources.");
    }
    if (s->count == 0 &&
        (s->pin_count > 0 || s->pin_file != NULL || s->token_file != NULL || s->dir != NULL)) {
        return pqi_fail(err, PQL_E_USAGE,
                        "The options --source-... are about a node: give --source "
                        "quantus://HOST:PORT or --source quic://HOST:PORT too.");
    }
    return s->count > 0 ? pqi_login_list_check(s, &words, err) : PQL_OK;
}

/* Miners prove a key only where a certificate is asked for; without one the option would promise
 * what nobody checks. */
static pql_status authentication_check(const pqi_node_options *o, pql_error *err)
{
    if (!o->security.pq_authentication) {
        return PQL_OK;
    }
    if (o->allow_v1) {
        return pqi_fail(err, PQL_E_USAGE,
                        "--allow-v1 and --authentication ml-dsa contradict each other: those "
                        "official miners can prove nothing.  Leave one of them out.");
    }
    if (o->clients_file == NULL) {
        return pqi_fail(err, PQL_E_USAGE,
                        "--authentication ml-dsa says how miners prove their key, and no miner is "
                        "asked for one: give --clients FILE too, or leave it out.  The node itself "
                        "shows ML-DSA to every miner of ours without it.");
    }
    return pqi_login_list_check_ml_dsa(&o->sources, err);
}

static pql_status key_process_check(const pqi_node_options *o, pql_error *err)
{
    if (o->key_process && o->security.amnesia) {
        return pqi_fail(err, PQL_E_USAGE,
                        "--key-process and --amnesia contradict each other: the key process reads "
                        "its keys from files. Leave one of them out.");
    }
    return PQL_OK;
}

static pql_status node_check(const void *options, pql_error *err)
{
    const pqi_node_options *o = options;
    if (o->listen_count == 0) {
        return pqi_fail(err, PQL_E_USAGE,
                        "A node needs an address to listen on: give --listen quic://ADDRESS:PORT, "
                        "or leave out the empty list.");
    }
    for (size_t i = 0; i < o->listen_count; i++) {
        if (o->listen[i].host_kind == PQI_HOST_NAME) {
            return pqi_fail(err, PQL_E_USAGE,
                            "The host of --listen must be an IP address, such as 127.0.0.1, "
                            "0.0.0.0 or [::]; names are for those who connect.");
        }
    }
    if (o->allow_v1 && pql_policy_needs_pq(o->security.policy)) {
        return pqi_fail(err, PQL_E_USAGE,
                        "--allow-v1 and --policy %s contradict each other: official miners "
                        "have no ML-KEM.  Leave one of them out.",
                        pql_policy_name(o->security.policy));
    }
    if (o->admin_capabilities != NULL && o->admin.off) {
        return pqi_fail(err, PQL_E_USAGE,
                        "--admin-capabilities and --admin off contradict each other: there is no "
                        "port to protect.  Leave one of them out.");
    }
    if (o->allow_v1 && o->capability_keys != NULL) {
        return pqi_fail(err, PQL_E_USAGE,
                        "--capability-keys and --allow-v1 contradict each other: those official "
                        "miners send no token, so everybody would get in.  Leave one of them out.");
    }
    if (o->allow_v1 && o->clients_file != NULL) {
        return pqi_fail(err, PQL_E_USAGE,
                        "--clients and --allow-v1 contradict each other: those official miners can "
                        "prove nothing, so everybody would get in.  Leave one of them out.");
    }
    const pqi_amnesia_files files = {&o->dir, o->keylog_file, o->qlog_dir, o->passphrase_file};
    pql_status status = pqi_amnesia_check(&o->security, &files, err);
    if (status == PQL_OK) {
        status = key_process_check(o, err);
    }
    if (status == PQL_OK) {
        status = authentication_check(o, err);
    }
    return status == PQL_OK ? source_check(o, err) : status;
}

static pql_status node_run(const void *options, pql_error *err)
{
    return pqi_node_run(options, err);
}

const pqi_command pqi_command_node = {
    .name = "node",
    .summary = "Serve mining jobs to miners over post-quantum links",
    .description =
        "Listens for miners over QUIC, sends them jobs, verifies every result, and answers each "
        "with a reason.  Miners know the node by its fingerprint ('pqlink fingerprint'), which "
        "stays the same after every restart.\n"
        "Official miners (quantus-miner v4) are served on the same port, unless the policy is "
        "pq-only.  They are started with two files that the node writes, DIR/miner-auth-token and "
        "DIR/miner-tls-cert-sha256.\n"
        "SIGTERM and SIGINT stop it in order: no new miners, live ones are told, then it exits "
        "with status 0.\n"
        "SIGHUP makes it read its files again without dropping a link: pqlink.conf (what can "
        "change in a running node does, the rest is named in the log), the files of --tokens and "
        "--clients, and its identity.  A file with a mistake changes nothing, and the log says "
        "what is wrong.  An identity that 'pqlink rotate' switched to is taken; any other is not "
        "taken without a restart, because miners have pinned the first.  Tokens and rotations are "
        "taken over without SIGHUP too, a little later.",
    PQI_OPTIONS(node_table),
    .options_size = sizeof(pqi_node_options),
    .example = (const char *const[]){"pqlink node --source dev --block-time 2s",
                                     "pqlink node --source quantus://127.0.0.1:9833 --source-dir "
                                     "/var/lib/quantus/chains/CHAIN --listen quic://0.0.0.0:9843",
                                     "pqlink node --listen quic://0.0.0.0:9833 --listen "
                                     "quic://[::]:9833 --tokens /etc/pqlink/tokens",
                                     NULL},
    .check = node_check,
    .run = node_run,
};
