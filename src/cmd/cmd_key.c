/* pqlink key encrypt, decrypt, passphrase: how the private keys lie on the disk. */
#include "base/error.h"
#include "cmd/commands.h"
#include "cmd/passphrase_option.h"
#include "identity/recrypt.h"

#include <stdio.h>

typedef struct key_options {
    pqi_dir dir;
    const char *passphrase_file;
    const char *new_passphrase_file;
} key_options;

#define DIR_OPTION                                                                                 \
    {.name = "dir",                                                                                \
     .kind = PQI_OPTION_DIR,                                                                       \
     .at = PQI_AT(key_options, dir, pqi_dir),                                                      \
     .arg = "DIR",                                                                                 \
     .help = "Directory of this endpoint's state, as given to keygen and node.",                   \
     .env = "PQLINK_DIR"}
/* NAME, MEMBER and TEXT are the option's; the texts are string literals. */
#define FILE_OPTION(NAME, MEMBER, TEXT)                                                            \
    {.name = (NAME),                                                                               \
     .kind = PQI_OPTION_FILE,                                                                      \
     .at = PQI_AT(key_options, MEMBER, const char *),                                              \
     .arg = "FILE",                                                                                \
     .required = true,                                                                             \
     .help = (TEXT)}

static const pqi_option encrypt_table[] = {
    DIR_OPTION,
    FILE_OPTION("passphrase-file", passphrase_file,
                "A file with one line, the passphrase from now on.  Nobody but its owner (and "
                "group) may read it."),
};
static const pqi_option decrypt_table[] = {
    DIR_OPTION,
    FILE_OPTION("passphrase-file", passphrase_file, "A file with one line, the passphrase."),
};
static const pqi_option passphrase_table[] = {
    DIR_OPTION,
    FILE_OPTION("passphrase-file", passphrase_file,
                "A file with one line, the passphrase until now."),
    FILE_OPTION("new-passphrase-file", new_passphrase_file,
                "A file with one line, the passphrase from now on.  Nobody but its owner (and "
                "group) may read it."),
};

static pql_status change(const key_options *o, const char *from, const char *to, pql_error *err)
{
    unsigned changed = 0;
    const pql_status status = pqi_identity_recrypt(o->dir.text, from, to, &changed, err);
    if (status == PQL_OK) {
        printf(changed == 0 ? "All private keys in %s were %s already.\n"
                            : "All private keys in %s are %s now.\n",
               o->dir.text, to == NULL ? "in plain text" : "encrypted with this passphrase");
    } else if (changed > 0) {
        return pqi_fail_context(err, status,
                                "Some keys are changed and some are not; give the same command "
                                "again to complete it");
    }
    return status;
}

static pql_status encrypt_run(const void *options, pql_error *err)
{
    const key_options *o = options;
    return change(o, NULL, o->passphrase_file, err);
}

static pql_status decrypt_run(const void *options, pql_error *err)
{
    const key_options *o = options;
    return change(o, o->passphrase_file, NULL, err);
}

static pql_status passphrase_run(const void *options, pql_error *err)
{
    const key_options *o = options;
    return change(o, o->passphrase_file, o->new_passphrase_file, err);
}

const pqi_command pqi_command_key_encrypt = {
    .name = "key encrypt",
    .summary = "Encrypt the private keys of this endpoint",
    .description =
        "Encrypts the private keys of the identity in a directory, and of the next and the "
        "previous one where a rotation is under way.  The fingerprints stay.  From now on every "
        "command that opens the keys needs --passphrase-file: node, mine --identity, rotate "
        "prepare and rotate switch.\n"
        "The files are replaced one by one, each in one step; when that is cut short, the same "
        "command again completes it.  What lay on the disk before is unlinked, not overwritten, "
        "and is in your backups.",
    PQI_OPTIONS(encrypt_table),
    .options_size = sizeof(key_options),
    .example =
        (const char *const[]){
            "(umask 077; openssl rand -base64 24 >/etc/pqlink/passphrase)",
            "pqlink key encrypt --dir /var/lib/pqlink --passphrase-file /etc/pqlink/passphrase",
            NULL},
    .run = encrypt_run,
};

const pqi_command pqi_command_key_decrypt = {
    .name = "key decrypt",
    .summary = "Write the private keys in plain text again",
    .description = "Undoes 'pqlink key encrypt'.  The fingerprints stay.  From now on no command "
                   "takes --passphrase-file for this directory.",
    PQI_OPTIONS(decrypt_table),
    .options_size = sizeof(key_options),
    .example =
        (const char *const[]){"pqlink key decrypt --passphrase-file /etc/pqlink/passphrase", NULL},
    .run = decrypt_run,
};

const pqi_command pqi_command_key_passphrase = {
    .name = "key passphrase",
    .summary = "Encrypt the private keys with another passphrase",
    .description =
        "Changes the passphrase of all private keys in a directory.  A running node goes on, and "
        "needs the new one when it next reads its keys: at a rotation, SIGHUP or restart.  Put the "
        "new file in the place of the old one before that; with --key-process restart the node "
        "then.",
    PQI_OPTIONS(passphrase_table),
    .options_size = sizeof(key_options),
    .example = (const char *const[]){"pqlink key passphrase --passphrase-file old "
                                     "--new-passphrase-file new",
                                     NULL},
    .run = passphrase_run,
};
