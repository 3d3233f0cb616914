/* The table of all subcommands. */
#ifndef PQI_CMD_COMMANDS_H
#define PQI_CMD_COMMANDS_H

#include "cmd/command.h"

/* All subcommands in the order of the help; *count is how many. Static. */
const pqi_command *const *pqi_commands(size_t *count);

/* Finds the subcommand that the first one or two of |argc| words name; *used is how many words that
 * took.  PQL_E_USAGE with a sentence, and a suggestion where one is near, otherwise. */
pql_status pqi_command_find(const pqi_command **out, int argc, const char *const argv[], int *used,
                            pql_error *err);

/* True when |word| is the first word of subcommands of two words ("pow"), and no subcommand itself
 * (node is one, beside "node status"). */
bool pqi_command_is_family(const char *word);

/* True when |command| is of the family |word|. */
bool pqi_command_in_family(const pqi_command *command, const char *word);

/* Each defined in the file cmd_NAME.c. */
extern const pqi_command pqi_command_node_status;
extern const pqi_command pqi_command_key_decrypt;
extern const pqi_command pqi_command_key_encrypt;
extern const pqi_command pqi_command_key_passphrase;
extern const pqi_command pqi_command_keygen;
extern const pqi_command pqi_command_fingerprint;
extern const pqi_command pqi_command_rotate_prepare;
extern const pqi_command pqi_command_rotate_status;
extern const pqi_command pqi_command_rotate_switch;
extern const pqi_command pqi_command_rotate_cancel;
extern const pqi_command pqi_command_rotate_finish;
extern const pqi_command pqi_command_drill_classical_break;
extern const pqi_command pqi_command_forget;
extern const pqi_command pqi_command_config_check;
extern const pqi_command pqi_command_config_show;
extern const pqi_command pqi_command_pow_hash;
extern const pqi_command pqi_command_pow_check;
extern const pqi_command pqi_command_token_keygen;
extern const pqi_command pqi_command_token_mint;
extern const pqi_command pqi_command_token_attenuate;
extern const pqi_command pqi_command_token_inspect;
extern const pqi_command pqi_command_token_verify;
extern const pqi_command pqi_command_version;
extern const pqi_command pqi_command_help;

#endif
