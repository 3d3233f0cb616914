/* pqlink keygen: makes the identity of this endpoint, once. */
#include "cmd/commands.h"
#include "cmd/fingerprint.h"
#include "cmd/passphrase_option.h"
#include "miner/auth_files.h"

#include <stdio.h>

typedef struct keygen_options {
    pqi_dir dir;
    unsigned sign;               /* index into sign_names, in the order of pql_sign */
    const char *import_quantus;  /* NULL: none */
    const char *passphrase_file; /* NULL: none */
    bool self_signed;
    bool json;
} keygen_options;

static const char *const sign_names[] = {"ml-dsa-87", "ml-dsa-65", "ml-dsa-44", NULL};

static const pqi_option keygen_table[] = {
    {.name = "dir",
     .kind = PQI_OPTION_DIR,
     .at = PQI_AT(keygen_options, dir, pqi_dir),
     .arg = "DIR",
     .help = "Directory of this endpoint's state; the identity goes to DIR/identity.",
     .env = "PQLINK_DIR"},
    {.name = "sign",
     .kind = PQI_OPTION_CHOICE,
     .at = PQI_AT(keygen_options, sign, unsigned),
     .arg = "ALGORITHM",
     .choices = sign_names,
     .help = "Signature algorithm of the post-quantum key.",
     .fallback = "ml-dsa-87"},
    {.name = "import-quantus",
     .kind = PQI_OPTION_FILE,
     .at = PQI_AT(keygen_options, import_quantus, const char *),
     .arg = "CHAIN-DIR",
     .help = "Take the classical certificate and its key from the chain directory of an official "
             "quantus-node (miner-tls-cert.der and miner-tls-key.der in BASE/chains/CHAIN), so "
             "that official miners go on with the fingerprint that they have pinned; and its token "
             "(miner-auth-token) where it has one.  The files stay where they are."},
    {.name = "self-signed",
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(keygen_options, self_signed, bool),
     .help = "Make a self-signed post-quantum certificate instead of the compact one.  It is more "
             "than twice as long, which costs peers other than pqlink a round trip in each first "
             "handshake, and keeps all datagrams of the node at 1200 bytes."},
    PQI_OPTION_PASSPHRASE(keygen_options, passphrase_file),
    {.name = "json",
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(keygen_options, json, bool),
     .help = "Print the fingerprints as one JSON object."},
};

/* The identity is there by now; the token is the other half of what official miners were given. */
static pql_status import_token(const keygen_options *o, pql_error *err)
{
    bool imported = false;
    if (o->import_quantus == NULL) {
        return PQL_OK;
    }
    const pql_status status = pqi_auth_token_import(o->dir.text, o->import_quantus, &imported, err);
    return status == PQL_OK
               ? PQL_OK
               : pqi_fail_context(err, status,
                                  "The identity was made, but the token was not taken over");
}

static pql_status keygen_run(const void *options, pql_error *err)
{
    const keygen_options *o = options;
    const pql_identity_opts how = {.sign = (pql_sign)o->sign,
                                   .must_create = true,
                                   .self_signed = o->self_signed,
                                   .classical_from = o->import_quantus,
                                   .passphrase_file = o->passphrase_file};
    pql_identity *id = NULL;
    const pql_status status = pql_identity_open(&id, o->dir.text, &how, err);
    if (status == PQL_E_EXISTS) {
        return pqi_fail(err, status,
                        "There is an identity in %.256s already, and keygen never overwrites one; "
                        "'%s fingerprint --dir DIR' shows it.",
                        o->dir.text, PQI_PROGRAM);
    }
    if (status != PQL_OK) {
        return status;
    }
    const pql_status printed = pqi_fingerprint_print_identity(id, o->json, err);
    pql_identity_free(id);
    return printed == PQL_OK ? import_token(o, err) : printed;
}

const pqi_command pqi_command_keygen = {
    .name = "keygen",
    .summary = "Make the keys and certificates of this endpoint",
    .description =
        "Makes the identity of this endpoint: an ML-DSA key with its certificate, and beside it an "
        "ECDSA P-256 one for classical peers.  Prints two fingerprints of each: sha256 (over the "
        "certificate) and spki-sha256 (over its public key).  Peers pin one of them.\n"
        "The identity stays the same after every restart, crash and upgrade.  An existing one is "
        "never overwritten: keygen then changes nothing and exits with status 6.  To change it "
        "with a "
        "time in which peers may have pinned either, use 'pqlink rotate'.\n"
        "With --passphrase-file the private keys are encrypted; see 'pqlink key'.",
    PQI_OPTIONS(keygen_table),
    .options_size = sizeof(keygen_options),
    .example = (const char *const[]){"pqlink keygen --dir /var/lib/pqlink",
                                     "pqlink keygen --import-quantus "
                                     "/var/lib/quantus/chains/quantus",
                                     NULL},
    .run = keygen_run,
};
