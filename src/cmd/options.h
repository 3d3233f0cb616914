/* The option parser: fills a struct from command line, environment and pqlink.conf as a table says.
 *
 * --name value, --name=value, flags without a value (or with =true and =false), "--" before
 * operands, -h and --help, and --config FILE where the command reads pqlink.conf. */
#ifndef PQI_CMD_OPTIONS_H
#define PQI_CMD_OPTIONS_H

#include "base/conf.h"
#include "cmd/command.h"

/* Options that one table may hold. */
#define PQI_OPTIONS_MAX ((size_t)64)
/* Longest name of an environment variable, with a NUL. */
#define PQI_ENV_NAME_SIZE 96

/* Reads the value of an environment variable, NULL when it is not set; getenv in the program. */
typedef const char *(*pqi_env)(const char *name);

/* Reads the configuration file that is meant: |typed| is the value of --config, NULL without one.
 * *out is NULL where there is no file to read; the caller frees it.  See pqi_config_load. */
typedef pql_status (*pqi_config_loader)(pqi_conf **out, const char *typed, pqi_env env,
                                        pql_error *err);

/* Where the options come from.  All borrowed. */
typedef struct pqi_sources {
    int argc; /* without the names of program and subcommand */
    const char *const *argv;
    pqi_env env;
    pqi_config_loader load; /* NULL: no file is read */
    bool optional;          /* does not ask for required options */
    bool unchecked;         /* does not call command->check */
} pqi_sources;

/* What an option's value comes from; each replaces those before it as a whole. */
typedef enum pqi_layer {
    PQI_LAYER_UNSET, /* no value, no default */
    PQI_LAYER_DEFAULT,
    PQI_LAYER_FILE,
    PQI_LAYER_ENV,
    PQI_LAYER_TYPED
} pqi_layer;

/* One option as it was set. */
typedef struct pqi_setting {
    pqi_layer layer;
    char env[PQI_ENV_NAME_SIZE]; /* ENV: the variable */
    const char *alias;           /* FILE, ENV: the name in [security], or the variable, by which
                                    the value came to the option (cmd/security_alias.h); static;
                                    NULL: by its own */
    unsigned line;               /* FILE */
    unsigned column;             /* FILE */
    char **values;               /* owned texts; of a flag "true" or "false" */
    size_t count;                /* 0 when unset, and of an empty array; above 1 if repeatable */
} pqi_setting;

/* All options of a command, in the order of its table.  All zero is valid and empty. */
typedef struct pqi_settings {
    char *file; /* the configuration file that was read; NULL: none */
    pqi_setting of[PQI_OPTIONS_MAX];
} pqi_settings;

/* Wipes and frees all texts, and with them those that the options struct borrowed. */
void pqi_settings_free(pqi_settings *settings);

/* Fills |out|, a struct of command->options_size bytes, which it first zeroes, and |settings|,
 * which must be empty.  Order of precedence: command line, environment (first
 * PQLINK_COMMAND_OPTION, then option->env), the command's table of the file, its table [common],
 * default; and on the levels of environment and file the aliases of cmd/security_alias.h.  A value
 * of a higher layer replaces all those of the lower ones.  Then calls command->check.
 *
 * When --help or -h is among the options, *help is true, PQL_OK is returned, and |out| must not be
 * used.  Any error but of reading a file is PQL_E_USAGE with a sentence that names the option, and
 * the variable or file, line and column.  Texts in |out| are borrowed from |settings| (to be freed
 * also after an error), operands from |from|.  Pure but for |from| and, for a directory that nobody
 * named, the user id. */
pql_status pqi_options_parse(const pqi_command *command, const pqi_sources *from, void *out,
                             pqi_settings *settings, bool *help, pql_error *err);

/* The sentence about the default directory for help texts. */
#define PQI_DIR_DEFAULT "/var/lib/pqlink for root, ~/.local/state/pqlink for others"

#endif
