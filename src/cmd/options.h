/* The option parser: fills a struct from a command line as a table says.
 *
 * --name value, --name=value, flags without a value, "--" before operands, -h and --help. */
#ifndef PQI_CMD_OPTIONS_H
#define PQI_CMD_OPTIONS_H

#include "cmd/command.h"

/* Options that one table may hold. */
#define PQI_OPTIONS_MAX ((size_t)64)

/* Reads the value of an environment variable, NULL when it is not set; getenv in the program. */
typedef const char *(*pqi_env)(const char *name);

/* Parses |argc| words at |argv| (without the names of program and subcommand) into |out|, a struct
 * of command->options_size bytes, which it first zeroes.  Order of precedence: command line,
 * environment, default.  Then calls command->check.
 *
 * When --help or -h is among the options, *help is true, PQL_OK is returned, and |out| must not be
 * used.  Any error is PQL_E_USAGE with a sentence that names the option.  Texts in |out| are
 * borrowed from |argv|, the environment and the table.  Pure but for |env| and, for a directory
 * that nobody named, the user id. */
pql_status pqi_options_parse(const pqi_command *command, int argc, char *const argv[], pqi_env env,
                             void *out, bool *help, pql_error *err);

/* The sentence about the default directory for help texts. */
#define PQI_DIR_DEFAULT "/var/lib/pqlink for root, ~/.local/state/pqlink for others"

#endif
