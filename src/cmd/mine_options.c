/* The options of pqlink mine. */
#include "base/clock.h"
#include "cmd/amnesia.h"
#include "cmd/mine.h"
#include "cmd/passphrase_option.h"

#define THREADS_MAX 1024
#define BENCH_SECONDS_MAX 3600
#define STATUS_INTERVAL_MAX (UINT64_C(24) * 3600 * PQI_NS_PER_SEC)

static pql_status node_parse(void *options, const char *value, pql_error *err)
{
    return pqi_login_list_add(&((pqi_mine_options *)options)->login, value, err);
}

static pql_status pin_parse(void *options, const char *value, pql_error *err)
{
    pqi_login_list *login = &((pqi_mine_options *)options)->login;
    return pqi_login_pins_parse(login->pins, &login->pin_count, value, err);
}

static pql_status name_parse(void *options, const char *value, pql_error *err)
{
    if (!pqi_miner_name_ok(value)) {
        return pqi_fail(err, PQL_E_USAGE, "A name is 1 to %d characters of a-z A-Z 0-9 . _ -",
                        PQI_MINER_NAME_MAX);
    }
    ((pqi_mine_options *)options)->name = value;
    return PQL_OK;
}

static const pqi_option mine_table[] = {
    {.name = "node",
     .kind = PQI_OPTION_CUSTOM,
     .parse = node_parse,
     .arg = "URL",
     .help = "The node to mine for, quic://HOST:PORT, or quantus://HOST:PORT for an official node; "
             "HOST is a name, an IPv4 address or an IPv6 address in brackets.  Give it several "
             "times to have others to fall back on, the preferred one first.  URL#PIN is a node "
             "with a pin of its own.",
     .env = "PQLINK_NODE",
     .repeatable = true},
    {.name = "pin",
     .kind = PQI_OPTION_CUSTOM,
     .parse = pin_parse,
     .arg = "FINGERPRINT",
     .help = "Fingerprint of the node, sha256:HEX or spki-sha256:HEX, as 'pqlink fingerprint' "
             "shows it there.  Several pins, of which any one suffices, help while a node changes "
             "its keys.  They hold for every node without one in its URL.",
     .env = "PQLINK_PIN",
     .repeatable = true},
    {.name = "pin-file",
     .kind = PQI_OPTION_FILE,
     .at = PQI_AT(pqi_mine_options, login.pin_file, const char *),
     .arg = "FILE",
     .help = "Read the pins from a file, such as the miner-tls-cert-sha256 of an official node, "
             "before each attempt to connect."},
    {.name = "tofu",
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(pqi_mine_options, login.tofu, bool),
     .help = "Trust the certificate that the node shows at the first contact, remember it, and "
             "refuse any other later."},
    {.name = "ca",
     .kind = PQI_OPTION_FILE,
     .at = PQI_AT(pqi_mine_options, login.ca_file, const char *),
     .arg = "FILE",
     .help = "Trust certificates for the node's name from the authorities in a PEM file."},
    {.name = "insecure",
     .typed_only = true,
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(pqi_mine_options, login.insecure, bool),
     .help = "Do not check who the node is.  Anybody on the way can then take your work."},
    {.name = "probe-interval",
     .kind = PQI_OPTION_DURATION,
     .at = PQI_AT(pqi_mine_options, login.probe_ns, uint64_t),
     .arg = "DURATION",
     .min = PQI_PROBE_MIN,
     .max = PQI_PROBE_MAX,
     .help = "How often a preferred node is looked at while another one is mined for.",
     .fallback = PQI_PROBE_DEFAULT},
    {.name = "token-file",
     .kind = PQI_OPTION_FILE,
     .at = PQI_AT(pqi_mine_options, login.token_file, const char *),
     .arg = "FILE",
     .help = "Log in with the token in a file, which nobody but its owner and group may read.  "
             "Official nodes want one: their miner-auth-token.  Every node that is named gets it.",
     .env = "PQLINK_TOKEN_FILE"},
    {.name = "name",
     .kind = PQI_OPTION_CUSTOM,
     .parse = name_parse,
     .arg = "NAME",
     .help = "What the node is to call this miner, where it has no name for its token: 1 to 32 of "
             "a-z A-Z 0-9 . _ - .  The host's name when it is not given."},
    {.name = "dir",
     .kind = PQI_OPTION_DIR,
     .at = PQI_AT(pqi_mine_options, dir, pqi_dir),
     .arg = "DIR",
     .help = "Directory where nodes are remembered (those of --tofu, and pinned ones that had "
             "ML-KEM), and of the identity of --identity.",
     .env = "PQLINK_DIR"},
    {.name = "identity",
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(pqi_mine_options, identity, bool),
     .help = "Show the identity in --dir to a node that asks for a certificate, and prove it; made "
             "there on first use.  Its fingerprint ('pqlink fingerprint') goes into the node's "
             "file of --clients."},
    PQI_OPTION_PASSPHRASE(pqi_mine_options, passphrase_file),
    {.name = "threads",
     .kind = PQI_OPTION_NUMBER,
     .at = PQI_AT(pqi_mine_options, threads, uint64_t),
     .arg = "N",
     .min = 0,
     .max = THREADS_MAX,
     .help = "Threads that compute hashes; 0 is one per processor.",
     .fallback = "0"},
    {.name = "max-blocks",
     .kind = PQI_OPTION_NUMBER,
     .at = PQI_AT(pqi_mine_options, max_blocks, uint64_t),
     .arg = "N",
     .min = 0,
     .max = UINT64_MAX,
     .help = "Exit with status 0 after so many accepted results; 0 goes on for ever.",
     .fallback = "0"},
    PQI_OPTION_POLICY(pqi_mine_options),
    PQI_OPTION_AUTHENTICATION(pqi_mine_options,
                              "Nodes of ours always use ML-DSA unless the policy is off; official "
                              "nodes cannot."),
    PQI_OPTION_AMNESIA(pqi_mine_options),
    {.name = "admin",
     .kind = PQI_OPTION_ENDPOINT,
     .at = PQI_AT(pqi_mine_options, admin, pqi_endpoint),
     .arg = "ADDRESS:PORT",
     .help = "Where /metrics, /healthz, /readyz and /version are served over HTTP; off serves "
             "them nowhere.  Two miners on one machine need different ports.",
     .fallback = "127.0.0.1:9900"},
    {.name = "bench",
     .typed_only = true,
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(pqi_mine_options, bench, bool),
     .help = "Measure the hash rate per thread and as a whole, without a node, then exit."},
    {.name = "bench-seconds",
     .typed_only = true,
     .kind = PQI_OPTION_NUMBER,
     .at = PQI_AT(pqi_mine_options, bench_seconds, uint64_t),
     .arg = "N",
     .min = 1,
     .max = BENCH_SECONDS_MAX,
     .help = "How long --bench measures.",
     .fallback = "10"},
    {.name = "status-interval",
     .kind = PQI_OPTION_DURATION,
     .at = PQI_AT(pqi_mine_options, status_interval_ns, uint64_t),
     .arg = "DURATION",
     .min = 0,
     .max = STATUS_INTERVAL_MAX,
     .help = "How often a status event with the hash rate is logged where there is no terminal for "
             "the live status line; 0 for never.",
     .fallback = "10s"},
    PQI_OPTION_LOG_FORMAT(pqi_mine_options),
    PQI_OPTION_LOG_LEVEL(pqi_mine_options),
    {.name = "keylog",
     .typed_only = true,
     .kind = PQI_OPTION_FILE,
     .at = PQI_AT(pqi_mine_options, keylog_file, const char *),
     .arg = "FILE",
     .help = "Append the secrets of every link to a file, for Wireshark.  Whoever has the file can "
             "read everything: for debugging only."},
    {.name = "qlog",
     .typed_only = true,
     .kind = PQI_OPTION_FILE,
     .at = PQI_AT(pqi_mine_options, qlog_dir, const char *),
     .arg = "DIR",
     .help = "Write a qlog trace of every link into a directory.  It tells who talked when and how "
             "much: for debugging only."},
};

static pql_status amnesia_check(const pqi_mine_options *o, pql_error *err)
{
    const pqi_amnesia_files files = {&o->dir, o->keylog_file, o->qlog_dir, o->passphrase_file};
    if (o->security.amnesia && o->login.tofu) {
        return pqi_fail(err, PQL_E_USAGE,
                        "--amnesia and --tofu contradict each other: nothing would be remembered, "
                        "and every start would trust whoever answers. Give --pin FINGERPRINT, "
                        "--pin-file FILE or --ca FILE instead of --tofu.");
    }
    return pqi_amnesia_check(&o->security, &files, err);
}

static pql_status mine_check(const void *options, pql_error *err)
{
    static const pqi_login_words words = {
        .node = "--node",
        .pin = "--pin",
        .pin_file = "--pin-file",
        .token_file = "--token-file",
        .trust = "--pin FINGERPRINT (shown by 'pqlink fingerprint' on the node), --pin-file FILE, "
                 "--tofu, --ca FILE, or --insecure"};
    const pqi_mine_options *o = options;
    if (o->bench) {
        return PQL_OK;
    }
    if (o->login.count == 0) {
        return pqi_fail(err, PQL_E_USAGE, "Option --node URL is required (or --bench).");
    }
    if (o->passphrase_file != NULL && !o->identity) {
        return pqi_fail(err, PQL_E_USAGE,
                        "--passphrase-file is about the keys of --identity: give that too, or "
                        "leave it out.");
    }
    pql_status status = amnesia_check(o, err);
    if (status == PQL_OK && o->security.pq_authentication) {
        status = pqi_login_list_check_ml_dsa(&o->login, err);
    }
    return status == PQL_OK ? pqi_login_list_check(&o->login, &words, err) : status;
}

static pql_status mine_run(const void *options, pql_error *err)
{
    return pqi_mine_run(options, err);
}

const pqi_command pqi_command_mine = {
    .name = "mine",
    .summary = "Mine for a node over a post-quantum link",
    .description =
        "Connects to a node, checks that it is the one that was meant, and computes proofs of work "
        "for its jobs.  A node that cannot be reached is tried again for ever, with growing "
        "pauses; with several nodes the next one takes its place, and it is looked at every 30 s "
        "whether a preferred one gives work again.  A node with another fingerprint than the "
        "pinned one, or one that refuses the token, is not tried again; when no other is left, the "
        "program ends with status 3 or 9.\n"
        "On a terminal, standard error shows a live status line; otherwise one JSON object per "
        "event.",
    PQI_OPTIONS(mine_table),
    .options_size = sizeof(pqi_mine_options),
    .example = (const char *const[]){"pqlink mine --node quic://node.example:9833 --pin "
                                     "sha256:0123...cdef",
                                     "pqlink mine --node quantus://node.example:9833 --pin-file "
                                     "miner-tls-cert-sha256 --token-file miner-auth-token",
                                     "pqlink mine --bench --threads 4", NULL},
    .check = mine_check,
    .run = mine_run,
};
