/* pqlink help: help texts; and, hidden, the man pages and completions that packages ship. */
#include "cmd/commands.h"
#include "cmd/help.h"

#include <string.h>

typedef struct help_options {
    pqi_operands words;
    bool man;
    bool man_config;
    bool config_keys;
    bool list;
    unsigned completion; /* 0: none, else 1 + pqi_shell */
} help_options;

static pql_status completion_parse(void *options, const char *value, pql_error *err)
{
    help_options *o = options;
    for (unsigned i = 0; pqi_completion_shells[i] != NULL; i++) {
        if (strcmp(value, pqi_completion_shells[i]) == 0) {
            o->completion = i + 1;
            return PQL_OK;
        }
    }
    return pqi_fail(err, PQL_E_USAGE, "It must be one of: bash, zsh, fish.");
}

static const pqi_option help_table[] = {
    {.name = "man",
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(help_options, man, bool),
     .help = "Write the man page in mdoc.",
     .hidden = true},
    {.name = "man-config",
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(help_options, man_config, bool),
     .help = "Write the man page of pqlink.conf in mdoc.",
     .hidden = true},
    {.name = "config-keys",
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(help_options, config_keys, bool),
     .help = "Write all keys of pqlink.conf in Markdown.",
     .hidden = true},
    {.name = "list",
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(help_options, list, bool),
     .help = "Write the names of all commands, one per line.",
     .hidden = true},
    {.name = "completion",
     .kind = PQI_OPTION_CUSTOM,
     .parse = completion_parse,
     .arg = "SHELL",
     .help = "Write the completion script for a shell.",
     .hidden = true},
};

static pql_status help_one(const help_options *o, pql_error *err)
{
    const pqi_command *command = NULL;
    int used = 0;
    const int count = (int)o->words.count;
    if (count == 1 && !o->man && pqi_command_is_family(o->words.items[0])) {
        pqi_help_family(stdout, o->words.items[0]);
        return PQL_OK;
    }
    const pql_status status = pqi_command_find(&command, count, o->words.items, &used, err);
    if (status != PQL_OK) {
        return status;
    }
    if (used < count) {
        return pqi_fail(err, PQL_E_USAGE, "The command '%s' has no command '%.64s'.", command->name,
                        o->words.items[used]);
    }
    (o->man ? pqi_man_command : pqi_help_command)(stdout, command);
    return PQL_OK;
}

static void list_names(void)
{
    size_t count = 0;
    const pqi_command *const *commands = pqi_commands(&count);
    for (size_t i = 0; i < count; i++) {
        puts(commands[i]->name);
    }
}

static pql_status help_run(const void *options, pql_error *err)
{
    const help_options *o = options;
    if (o->completion != 0) {
        pqi_completion(stdout, (pqi_shell)(o->completion - 1));
    } else if (o->man_config) {
        pqi_man_config(stdout);
    } else if (o->config_keys) {
        pqi_config_markdown(stdout);
    } else if (o->list) {
        list_names();
    } else if (o->words.count > 0) {
        return help_one(o, err);
    } else {
        (o->man ? pqi_man_program : pqi_help_program)(stdout);
    }
    return PQL_OK;
}

const pqi_command pqi_command_help = {
    .name = "help",
    .summary = "Explain the program or one command",
    .description = "Without a command, lists all commands.  With one, explains it and its options.",
    PQI_OPTIONS(help_table),
    .options_size = sizeof(help_options),
    .no_config = true,
    .operands = "[COMMAND]",
    .operands_at = PQI_AT(help_options, words, pqi_operands),
    .example = (const char *const[]){"pqlink help", "pqlink help version", NULL},
    .run = help_run,
};
