/* Help texts, man pages and completions, all made from the tables of the subcommands. */
#ifndef PQI_CMD_HELP_H
#define PQI_CMD_HELP_H

#include "cmd/command.h"

#include <stdio.h>

/* Longest description of one option with its range, default and environment variable. */
#define PQI_DESCRIBE_SIZE 1024

/* The option's help followed by its choices or range, default, environment variable and
 * whether it may be repeated or must be given.  Cut when it does not fit (a test sees to it). */
void pqi_option_describe(const pqi_option *option, char out[PQI_DESCRIBE_SIZE]);

/* Writes the help of the program: all subcommands with their summaries. */
void pqi_help_program(FILE *out);
/* Writes the help of a family such as "pow": its subcommands with their summaries. */
void pqi_help_family(FILE *out, const char *family);
/* Writes the help of one subcommand. */
void pqi_help_command(FILE *out, const pqi_command *command);

/* Writes a page in mdoc(7): pqlink.1, pqlink-NAME.1 and pqlink.conf.5. */
void pqi_man_program(FILE *out);
void pqi_man_command(FILE *out, const pqi_command *command);
void pqi_man_config(FILE *out);

/* Writes docs/configuration-keys.md: all keys of pqlink.conf in Markdown. */
void pqi_config_markdown(FILE *out);

/* Shells that completions are made for: indices into pqi_completion_shells, which ends with NULL.
 */
typedef enum pqi_shell { PQI_SHELL_BASH, PQI_SHELL_ZSH, PQI_SHELL_FISH } pqi_shell;
extern const char *const pqi_completion_shells[];
/* Writes the completion script for |shell|. */
void pqi_completion(FILE *out, pqi_shell shell);

#endif
