/* Names of settings in pqlink.conf and in the environment, and the file itself.
 *
 * All of them follow from the option tables: the table of a command is its name, the key of an
 * option is its name, each with underscores for dashes and spaces ("rotate prepare": table
 * [rotate_prepare]); the variable is PQLINK_TABLE_KEY in capitals.  Options that are hidden or
 * typed_only have none, commands that are no_config have no table.  In [common] stand the few keys
 * that mean the same for every command that has them. */
#ifndef PQI_CMD_CONFIG_H
#define PQI_CMD_CONFIG_H

#include "cmd/options.h"

/* Longest name of a table or key, with a NUL. */
#define PQI_CONFIG_NAME_SIZE 48
/* Where root's file is; others have it in $XDG_CONFIG_HOME/pqlink or ~/.config/pqlink. */
#define PQI_CONFIG_FILE "/etc/pqlink/pqlink.conf"
#define PQI_CONFIG_COMMON "common"
/* Names a file for all commands; the word "none" instead of a file reads none. */
#define PQI_CONFIG_ENV "PQLINK_CONFIG"
#define PQI_CONFIG_NONE "none"

/* --config, which every command with a table has beside those of its option table: for help texts.
 */
extern const pqi_option pqi_config_option;

/* The table or key for the name of a command or option. */
void pqi_config_name(char out[PQI_CONFIG_NAME_SIZE], const char *name);

/* The long environment variable of an option. */
void pqi_config_env_name(char out[PQI_ENV_NAME_SIZE], const pqi_command *command,
                         const pqi_option *option);

/* True when the option of |command| has a key and a variable. */
bool pqi_config_has_key(const pqi_command *command, const pqi_option *option);

/* What the value of the option's key looks like, in a few words such as "number". */
const char *pqi_config_type(const pqi_option *option);

/* What pqlink.conf is and what its form is: paragraphs, separated by a newline. */
extern const char pqi_config_about[];

/* The key number |i| of [common]; NULL behind the last. */
const char *pqi_config_common_key(size_t i);

/* True when the option's key may stand in [common]. */
bool pqi_config_is_common(const pqi_option *option);

/* True when |command| has a table: it has an option with a key. */
bool pqi_config_has_table(const pqi_command *command);

/* The command whose table is |table|; NULL: none. */
const pqi_command *pqi_config_command(const char *table);

/* The first entry of |conf| with the key of the table; NULL: none. */
const pqi_conf_entry *pqi_config_entry(const pqi_conf *conf, const char *table, const char *key);

/* The first entry of |conf| for the option, in the command's own table or else in [common]; NULL:
 * none.  Those that follow with the same key are the rest of its array. */
const pqi_conf_entry *pqi_config_find(const pqi_conf *conf, const pqi_command *command,
                                      const pqi_option *option);

/* Checks the name of every table and key: PQL_E_USAGE with file, line, column and the nearest known
 * name otherwise.  Values are not looked at.  Pure. */
pql_status pqi_config_check_names(const pqi_conf *conf, pql_error *err);

/* Which file is meant: |typed|, else $PQLINK_CONFIG, else the user's default file if it exists.
 * *out is "" for none.  A typed or named file need not exist.  |out| has PATH_MAX bytes. */
pql_status pqi_config_path(char *out, const char *typed, pqi_env env, pql_error *err);

/* Reads the file at |path| and checks its names. */
pql_status pqi_config_read(pqi_conf **out, const char *path, pql_error *err);

/* Both: the pqi_config_loader of the program. */
pql_status pqi_config_load(pqi_conf **out, const char *typed, pqi_env env, pql_error *err);

/* The first variable of |variables| (ends with NULL) from *at on whose name begins with the prefix
 * of |command| and belongs to no option of any command; *at moves behind it.  |suggestion| is then
 * a near name or "".  NULL when there is no more.  Borrowed: "NAME=VALUE". */
const char *pqi_config_unknown_env(const pqi_command *command, char *const variables[], size_t *at,
                                   char suggestion[PQI_ENV_NAME_SIZE]);

/* Says each of them on standard error: a mistyped variable would otherwise just not work.  Only a
 * warning, because whoever starts the program may set variables of the same beginning for others
 * (Kubernetes does). */
void pqi_config_warn_env(const pqi_command *command);

#endif
