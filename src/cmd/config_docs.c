/* What documents say about pqlink.conf, made from the option tables. */
#include "base/values.h"
#include "cmd/commands.h"
#include "cmd/config.h"
#include "cmd/help.h"
#include "cmd/security_alias.h"

#include <stdio.h>
#include <string.h>

const char pqi_config_about[] =
    "The file has one table per command, and in it one key per option of that command: the name of "
    "the option, with underscores for dashes.  A table [" PQI_CONFIG_COMMON
    "] holds the keys that are for all commands; the command's own table comes before it.  A table "
    "or key that is not known is an error with file, line and column, and nothing starts.\n"
    "The form is a strict part of TOML 1.0: tables of one name, bare keys, strings in double or "
    "single quotes, whole numbers, true and false, arrays on one line, and comments that begin "
    "with a hash sign.  Dotted and quoted keys, inline tables, and strings or arrays over several "
    "lines are refused.  A file has 256 KiB, a line 4096 bytes, and all of it 1024 values at most. "
    " "
    "Durations are strings with a unit: ms, s, m, h or d.  An option that may be given several "
    "times takes an array.\n"
    "A value in the environment replaces that of the file, and one on the command line replaces "
    "both; the values of an array are replaced as a whole.  The variable of an option is PQLINK, "
    "its table and its key in capitals, with underscores between them: PQLINK_NODE_BLOCK_TIME.  "
    "Several values in one variable are separated by spaces.  A flag that is true in the file is "
    "turned off with --flag=false.\n"
    "The table [" PQI_SECURITY_TABLE
    "] and the variables that belong to it are second names of the security options, for every "
    "command that has them.  They count on the level where they stand; names that contradict each "
    "other are an error with both places.\n"
    "--insecure, --keylog, --qlog, --bench and --bench-seconds are not keys: they have to be "
    "typed. "
    " Everything else can be set, also what weakens a link, such as policy and allow_v1: see to it "
    "that nobody else can change the file.  One that its group or others may write to is refused.\n"
    "On SIGHUP a running node or miner reads the file again.  What can change in a running "
    "program, today log_level and policy, does; what else has changed is listed in the log and "
    "needs a restart.  When "
    "anything in the file is wrong, nothing changes, and the log says what.";

const char *pqi_config_type(const pqi_option *option)
{
    switch (option->kind) {
    case PQI_OPTION_FLAG:
        return "true|false";
    case PQI_OPTION_NUMBER:
        return "number";
    case PQI_OPTION_DURATION:
        return "duration";
    default:
        return option->repeatable ? "string|array" : "string";
    }
}

/* Writes a cell of a Markdown table. */
static void write_cell(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        fputs(strchr("|<>*_`\\", *text) != NULL ? "\\" : "", out);
        fputc(*text, out);
        text += text[0] == ' ' && text[1] == ' '; /* between sentences */
    }
}

static void write_row(FILE *out, const pqi_option *o)
{
    char key[PQI_CONFIG_NAME_SIZE];
    char text[PQI_DESCRIBE_SIZE];
    pqi_config_name(key, o->name);
    pqi_option_describe(o, text);
    fprintf(out, "| `%s` | ", key);
    write_cell(out, pqi_config_type(o));
    fputs(" | ", out);
    write_cell(out, text);
    fputs(" |\n", out);
}

static void write_table(FILE *out, const pqi_command *command)
{
    char table[PQI_CONFIG_NAME_SIZE];
    char variable[PQI_ENV_NAME_SIZE] = "";
    pqi_config_name(table, command->name);
    for (size_t i = 0; variable[0] == '\0'; i++) {
        if (pqi_config_has_key(command, &command->options[i])) {
            pqi_config_env_name(variable, command, &command->options[i]);
        }
    }
    fprintf(out,
            "\n## `[%s]`\n\nFor `%s %s`. Variables are named like `%s`.\n\n"
            "| key | value | meaning |\n| --- | --- | --- |\n",
            table, PQI_PROGRAM, command->name, variable);
    for (size_t i = 0; i < command->option_count; i++) {
        if (pqi_config_has_key(command, &command->options[i])) {
            write_row(out, &command->options[i]);
        }
    }
}

static void write_aliases(FILE *out)
{
    fputs("\n## `[" PQI_SECURITY_TABLE "]`\n\nSecond names, for every command that has the option: "
          "see [configuration.md](configuration.md).\n\n"
          "| key | variable | value | meaning |\n| --- | --- | --- | --- |\n",
          out);
    for (size_t i = 0; pqi_security_alias(i) != NULL; i++) {
        const pqi_alias *a = pqi_security_alias(i);
        if (!pqi_security_alias_works(a)) {
            continue;
        }
        fprintf(out, "| %s%s%s | `%s` | ", a->key != NULL ? "`" : "", a->key != NULL ? a->key : "",
                a->key != NULL ? "`" : "", a->variable);
        write_cell(out, a->type);
        fputs(" | ", out);
        write_cell(out, a->help);
        fputs(" |\n", out);
    }
}

void pqi_config_markdown(FILE *out)
{
    size_t count = 0;
    const pqi_command *const *commands = pqi_commands(&count);
    fputs("# All keys of pqlink.conf\n\n"
          "Written by the program from its option tables (`ninja -C build/release generated`); do "
          "not edit.\n[configuration.md](configuration.md) explains the file.\n\n"
          "## `[" PQI_CONFIG_COMMON "]`\n\nFor every command that has the option:",
          out);
    for (size_t i = 0; pqi_config_common_key(i) != NULL; i++) {
        fprintf(out, "%s `%s`", i == 0 ? "" : ",", pqi_config_common_key(i));
    }
    fputs(".\n", out);
    write_aliases(out);
    for (size_t i = 0; i < count; i++) {
        if (pqi_config_has_table(commands[i])) {
            write_table(out, commands[i]);
        }
    }
}
