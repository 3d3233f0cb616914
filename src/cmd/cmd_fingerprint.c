/* pqlink fingerprint: what peers pin. */
#include "base/clock.h"
#include "base/error.h"
#include "cmd/commands.h"
#include "cmd/fingerprint.h"
#include "cmd/remote.h"
#include "cmd/rotation_view.h"

#include <stdio.h>

#define TIMEOUT_MIN (100 * PQI_NS_PER_MS)
#define TIMEOUT_MAX (600 * PQI_NS_PER_SEC)

typedef struct fingerprint_options {
    pqi_dir dir;
    pqi_url remote; /* host "": the identity in dir */
    const char *alpn;
    uint64_t timeout;
    bool json;
} fingerprint_options;

static const pqi_option fingerprint_table[] = {
    {.name = "dir",
     .kind = PQI_OPTION_DIR,
     .at = PQI_AT(fingerprint_options, dir, pqi_dir),
     .arg = "DIR",
     .help = "Directory of this endpoint's state, as given to keygen.",
     .env = "PQLINK_DIR"},
    {.name = "remote",
     .kind = PQI_OPTION_URL,
     .at = PQI_AT(fingerprint_options, remote, pqi_url),
     .arg = "URL",
     .help = "Show what the peer at quic://HOST:PORT shows, instead of an identity here.  Nobody "
             "checks that it is the right peer: compare with what its operator says before you "
             "pin it."},
    {.name = "alpn",
     .kind = PQI_OPTION_TEXT,
     .at = PQI_AT(fingerprint_options, alpn, const char *),
     .arg = "NAME",
     .help = "Protocol name to ask the remote peer for; it decides which certificate is shown.",
     .fallback = "pqlink-miner/1"},
    {.name = "timeout",
     .kind = PQI_OPTION_DURATION,
     .at = PQI_AT(fingerprint_options, timeout, uint64_t),
     .arg = "DURATION",
     .min = TIMEOUT_MIN,
     .max = TIMEOUT_MAX,
     .help = "How long to wait for the remote peer.",
     .fallback = "10s"},
    {.name = "json",
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(fingerprint_options, json, bool),
     .help = "Print one JSON object."},
};

/* The fingerprints, and the member "rotation" where one is under way. */
static json_t *with_rotation(const pqi_rotation *all)
{
    json_t *root = pqi_fingerprint_json(all->current);
    if (root != NULL && (all->next != NULL || all->previous != NULL)) {
        (void)json_object_set_new(root, "rotation", pqi_rotation_json(all));
    }
    return root;
}

static pql_status print_local(const char *dir, bool json, pql_error *err)
{
    pqi_rotation all;
    pql_status status = pqi_rotation_load(&all, dir, &(pqi_identity_keys){.left_out = true}, err);
    if (status != PQL_OK) {
        return status;
    }
    if (json) {
        status = pqi_fingerprint_print_json(with_rotation(&all), err);
    } else {
        status = pqi_fingerprint_print_identity(all.current, false, err);
        pqi_rotation_print(&all);
    }
    pqi_rotation_clear(&all);
    return status;
}

static pql_status print_remote(const fingerprint_options *o, pql_error *err)
{
    pqi_remote remote;
    const pql_status status = pqi_remote_look(&remote, &o->remote, o->alpn, o->timeout, err);
    if (status != PQL_OK) {
        return status;
    }
    fprintf(stderr,
            "%s: %s was NOT authenticated: this is what answered. Compare with what the peer's "
            "operator says before you pin it.\n",
            PQI_PROGRAM, o->remote.text);
    return pqi_fingerprint_print_remote(&remote, &o->remote, o->json, err);
}

static pql_status fingerprint_check(const void *options, pql_error *err)
{
    const fingerprint_options *o = options;
    const bool is_remote = o->remote.host[0] != '\0';
    if (is_remote && o->dir.typed) {
        return pqi_fail(err, PQL_E_USAGE, "Only one of --dir and --remote can be given.");
    }
    if (is_remote && o->remote.port == 0) {
        return pqi_fail(err, PQL_E_USAGE, "The port of --remote must not be 0.");
    }
    return PQL_OK;
}

static pql_status fingerprint_run(const void *options, pql_error *err)
{
    const fingerprint_options *o = options;
    return o->remote.host[0] != '\0' ? print_remote(o, err)
                                     : print_local(o->dir.text, o->json, err);
}

const pqi_command pqi_command_fingerprint = {
    .name = "fingerprint",
    .summary = "Show the fingerprints that peers pin",
    .description =
        "Prints the fingerprints of the identity in a directory, one per line after the name of "
        "the key's algorithm: sha256 is over the whole certificate, spki-sha256 over its public "
        "key.  Give the first line to your miners.  A next or a previous identity of 'pqlink "
        "rotate' "
        "follows, with the time at which it comes or goes.\n"
        "With --remote it connects to a peer and prints the fingerprints of the certificate that "
        "is shown there, whoever shows it; status 5 when nobody answers.",
    PQI_OPTIONS(fingerprint_table),
    .options_size = sizeof(fingerprint_options),
    .example = (const char *const[]){"pqlink fingerprint --dir /var/lib/pqlink",
                                     "pqlink fingerprint --remote quic://node.example:9833", NULL},
    .check = fingerprint_check,
    .run = fingerprint_run,
};
