/* --passphrase-file, the same for every command that opens private keys. */
#ifndef PQI_CMD_PASSPHRASE_OPTION_H
#define PQI_CMD_PASSPHRASE_OPTION_H

#include "cmd/command.h"

/* An entry of an option table for the member |m| (const char *, NULL: not given) of the options
 * struct |s|. */
#define PQI_OPTION_PASSPHRASE(s, m)                                                                \
    {.name = "passphrase-file",                                                                    \
     .kind = PQI_OPTION_FILE,                                                                      \
     .at = PQI_AT(s, m, const char *),                                                             \
     .arg = "FILE",                                                                                \
     .help = "The private keys are encrypted with the passphrase that is the one line of a file, " \
             "which nobody but its owner (and group) may read."}

#endif
