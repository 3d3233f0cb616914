/* The options of pqlink mine. */
#include "base/clock.h"
#include "cmd/mine.h"

#define THREADS_MAX 1024
#define BENCH_SECONDS_MAX 3600
#define STATUS_INTERVAL_MAX (UINT64_C(24) * 3600 * PQI_NS_PER_SEC)

static pql_status pin_parse(void *options, const char *value, pql_error *err)
{
    pqi_mine_options *o = options;
    if (o->pin_count == PQI_MINE_PINS_MAX) {
        return pqi_fail(err, PQL_E_USAGE, "There may be at most %zu pins.", PQI_MINE_PINS_MAX);
    }
    const pql_status status = pql_fingerprint_parse(&o->pins[o->pin_count], value, err);
    if (status == PQL_OK) {
        o->pin_count++;
    }
    return status;
}

static const pqi_option mine_table[] = {
    {.name = "node",
     .kind = PQI_OPTION_URL,
     .at = PQI_AT(pqi_mine_options, node, pqi_url),
     .arg = "URL",
     .help = "The node to mine for, quic://HOST:PORT; HOST is a name, an IPv4 address or an IPv6 "
             "address in brackets.",
     .env = "PQLINK_NODE"},
    {.name = "pin",
     .kind = PQI_OPTION_CUSTOM,
     .parse = pin_parse,
     .arg = "FINGERPRINT",
     .help = "Fingerprint of the node, sha256:HEX or spki-sha256:HEX, as 'pqlink fingerprint' "
             "shows it there.  Several pins, of which any one suffices, help while a node changes "
             "its keys.",
     .env = "PQLINK_PIN",
     .repeatable = true},
    {.name = "tofu",
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(pqi_mine_options, tofu, bool),
     .help = "Trust the certificate that the node shows at the first contact, remember it, and "
             "refuse any other later."},
    {.name = "ca",
     .kind = PQI_OPTION_FILE,
     .at = PQI_AT(pqi_mine_options, ca_file, const char *),
     .arg = "FILE",
     .help = "Trust certificates for the node's name from the authorities in a PEM file."},
    {.name = "insecure",
     .typed_only = true,
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(pqi_mine_options, insecure, bool),
     .help = "Do not check who the node is.  Anybody on the way can then take your work."},
    {.name = "dir",
     .kind = PQI_OPTION_DIR,
     .at = PQI_AT(pqi_mine_options, dir, pqi_dir),
     .arg = "DIR",
     .help = "Directory where --tofu remembers nodes.",
     .env = "PQLINK_DIR"},
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

static pql_status trust_check(const pqi_mine_options *o, pql_error *err)
{
    const int ways = (o->pin_count > 0) + o->tofu + (o->ca_file != NULL) + o->insecure;
    if (ways == 0) {
        return pqi_fail(err, PQL_E_USAGE,
                        "Say how the node is recognised: --pin FINGERPRINT (shown by 'pqlink "
                        "fingerprint' on the node), --tofu, --ca FILE, or --insecure.");
    }
    if (ways > 1) {
        return pqi_fail(err, PQL_E_USAGE,
                        "Only one of --pin, --tofu, --ca and --insecure can be given.");
    }
    return PQL_OK;
}

static pql_status mine_check(const void *options, pql_error *err)
{
    const pqi_mine_options *o = options;
    const bool node_given = o->node.host[0] != '\0';
    if (o->bench) {
        return PQL_OK;
    }
    if (!node_given) {
        return pqi_fail(err, PQL_E_USAGE, "Option --node URL is required (or --bench).");
    }
    if (o->node.port == 0) {
        return pqi_fail(err, PQL_E_USAGE, "The port of --node must not be 0.");
    }
    return trust_check(o, err);
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
        "pauses; a node with another fingerprint than the pinned one ends the program with status "
        "3.\n"
        "On a terminal, standard error shows a live status line; otherwise one JSON object per "
        "event.",
    PQI_OPTIONS(mine_table),
    .options_size = sizeof(pqi_mine_options),
    .example = (const char *const[]){"pqlink mine --node quic://node.example:9833 --pin "
                                     "sha256:0123...cdef",
                                     "pqlink mine --bench --threads 4", NULL},
    .check = mine_check,
    .run = mine_run,
};
