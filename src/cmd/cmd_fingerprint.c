/* pqlink fingerprint: what peers pin. */
#include "cmd/commands.h"
#include "cmd/fingerprint.h"

typedef struct fingerprint_options {
    pqi_dir dir;
    bool json;
} fingerprint_options;

static const pqi_option fingerprint_table[] = {
    {.name = "dir",
     .kind = PQI_OPTION_DIR,
     .at = PQI_AT(fingerprint_options, dir, pqi_dir),
     .arg = "DIR",
     .help = "Directory of this endpoint's state, as given to keygen.",
     .env = "PQLINK_DIR"},
    {.name = "json",
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(fingerprint_options, json, bool),
     .help = "Print one JSON object."},
};

static pql_status print_local(const char *dir, bool json, pql_error *err)
{
    pql_identity *id = NULL;
    pql_status status = pql_identity_open(&id, dir, &(pql_identity_opts){.must_exist = true}, err);
    if (status == PQL_OK) {
        status = pqi_fingerprint_print_identity(id, json, err);
    }
    pql_identity_free(id);
    return status;
}

static pql_status fingerprint_run(const void *options, pql_error *err)
{
    const fingerprint_options *o = options;
    return print_local(o->dir.text, o->json, err);
}

const pqi_command pqi_command_fingerprint = {
    .name = "fingerprint",
    .summary = "Show the fingerprints that peers pin",
    .description =
        "Prints the fingerprints of the identity in a directory, one per line after the name of "
        "the key's algorithm: sha256 is over the whole certificate, spki-sha256 over its public "
        "key.  Give the first line to your miners.",
    PQI_OPTIONS(fingerprint_table),
    .options_size = sizeof(fingerprint_options),
    .example = (const char *const[]){"pqlink fingerprint --dir /var/lib/pqlink", NULL},
    .run = fingerprint_run,
};
