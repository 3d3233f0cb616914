#include "cmd/help.h"

#include "base/values.h"
#include "cmd/commands.h"
#include "cmd/config.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

/* Width of a help text, and the columns at which its parts begin. */
#define LINE_WIDTH ((size_t)79)
#define OPTION_INDENT ((size_t)6)
#define SUMMARY_COLUMN 22

/* Appends to a text of PQI_DESCRIBE_SIZE bytes. */
static __attribute__((format(printf, 2, 3))) void add(char *out, const char *fmt, ...)
{
    const size_t used = strlen(out);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(out + used, PQI_DESCRIBE_SIZE - used, fmt, args);
    va_end(args);
}

static void add_choices(const pqi_option *o, char *out)
{
    for (size_t i = 0; o->choices[i] != NULL; i++) {
        add(out, "%s%s", i == 0 ? "  One of: " : ", ", o->choices[i]);
    }
    add(out, ".");
}

static void add_range(const pqi_option *o, char *out)
{
    if (o->kind == PQI_OPTION_DURATION) {
        char least[PQI_DURATION_SIZE];
        char most[PQI_DURATION_SIZE];
        pqi_duration_format(least, o->min);
        pqi_duration_format(most, o->max);
        add(out, "  From %s to %s.", least, most);
    } else if (o->max != UINT64_MAX) {
        add(out, "  From %" PRIu64 " to %" PRIu64 ".", o->min, o->max);
    } else if (o->min > 0) {
        add(out, "  At least %" PRIu64 ".", o->min);
    }
}

void pqi_option_describe(const pqi_option *option, char out[PQI_DESCRIBE_SIZE])
{
    const char *fallback = option->fallback;
    if (fallback == NULL && option->kind == PQI_OPTION_DIR) {
        fallback = PQI_DIR_DEFAULT;
    }
    out[0] = '\0';
    add(out, "%s", option->help);
    if (option->choices != NULL) {
        add_choices(option, out);
    }
    if (option->kind == PQI_OPTION_NUMBER || option->kind == PQI_OPTION_DURATION) {
        add_range(option, out);
    }
    if (option->required) {
        add(out, "  Required.");
    }
    if (option->repeatable) {
        add(out, "  May be given several times.");
    }
    if (fallback != NULL) {
        add(out, "  Default: %s.", fallback);
    }
    if (option->typed_only && option->env == NULL) {
        add(out, "  Only on the command line.");
    }
    if (option->env != NULL) {
        add(out, "  Environment: %s.", option->env);
    }
}

/* Writes one paragraph |len| characters long, broken between words and indented. */
static void write_wrapped(FILE *out, const char *text, size_t len, size_t indent)
{
    size_t column = 0;
    size_t i = 0;
    while (i < len) {
        const size_t gap = strspn(text + i, " ");
        const size_t word = strcspn(text + i + gap, " \n");
        if (column == 0 || column + gap + word > LINE_WIDTH) {
            fprintf(out, "%s%*s", column == 0 ? "" : "\n", (int)indent, "");
            column = indent;
        } else {
            fprintf(out, "%*s", (int)gap, "");
            column += gap;
        }
        fprintf(out, "%.*s", (int)word, text + i + gap);
        column += word;
        i += gap + word;
    }
    fprintf(out, "\n");
}

static void write_paragraphs(FILE *out, const char *text)
{
    while (*text != '\0') {
        const size_t len = strcspn(text, "\n");
        fprintf(out, "\n");
        write_wrapped(out, text, len, 0);
        text += len + (text[len] == '\n' ? 1 : 0);
    }
}

static void write_option(FILE *out, const pqi_option *o)
{
    char text[PQI_DESCRIBE_SIZE];
    pqi_option_describe(o, text);
    fprintf(out, "  --%s%s%s\n", o->name, o->arg != NULL ? " " : "", o->arg != NULL ? o->arg : "");
    write_wrapped(out, text, strlen(text), OPTION_INDENT);
}

/* Where else the options may stand, with the first of them as the example. */
static void write_config(FILE *out, const pqi_command *command)
{
    char table[PQI_CONFIG_NAME_SIZE];
    char key[PQI_CONFIG_NAME_SIZE];
    char variable[PQI_ENV_NAME_SIZE];
    char text[PQI_DESCRIBE_SIZE];
    size_t first = 0;
    while (!pqi_config_has_key(command, &command->options[first])) {
        first++;
    }
    pqi_config_name(table, command->name);
    pqi_config_name(key, command->options[first].name);
    pqi_config_env_name(variable, command, &command->options[first]);
    (void)snprintf(
        text, sizeof(text),
        "Options can also stand in the table [%s] of pqlink.conf(5) and in the "
        "environment: --%s as the key %s and as the variable %s.  The command line comes "
        "first, then the environment, then the file.",
        table, command->options[first].name, key, variable);
    fputs("\n", out);
    write_wrapped(out, text, strlen(text), 0);
}

void pqi_help_command(FILE *out, const pqi_command *command)
{
    fprintf(out, "Usage: %s %s [OPTION]...%s%s\n\n%s.\n", PQI_PROGRAM, command->name,
            command->operands != NULL ? " " : "",
            command->operands != NULL ? command->operands : "", command->summary);
    write_paragraphs(out, command->description);
    fprintf(out, "\nOptions:\n");
    for (size_t i = 0; i < command->option_count; i++) {
        if (!command->options[i].hidden) {
            write_option(out, &command->options[i]);
        }
    }
    if (pqi_config_has_table(command)) {
        write_option(out, &pqi_config_option);
    }
    fprintf(out, "  --help\n%*sShow this text.\n", (int)OPTION_INDENT, "");
    if (pqi_config_has_table(command)) {
        write_config(out, command);
    }
    for (size_t i = 0; command->example != NULL && command->example[i] != NULL; i++) {
        fprintf(out, "%s  %s\n", i == 0 ? "\nExamples:\n" : "", command->example[i]);
    }
}

static void write_summaries(FILE *out, const char *family)
{
    size_t count = 0;
    const pqi_command *const *commands = pqi_commands(&count);
    for (size_t i = 0; i < count; i++) {
        if (family == NULL || pqi_command_in_family(commands[i], family)) {
            fprintf(out, "  %-*s %s\n", SUMMARY_COLUMN - 1, commands[i]->name,
                    commands[i]->summary);
        }
    }
}

void pqi_help_program(FILE *out)
{
    fprintf(out,
            "Usage: %s COMMAND [OPTION]...\n\nPost-quantum links for node networks.\n\n"
            "Commands:\n",
            PQI_PROGRAM);
    write_summaries(out, NULL);
    fprintf(out, "\n'%s COMMAND --help' explains one command.\n'%s --version' shows the version.\n",
            PQI_PROGRAM, PQI_PROGRAM);
}

void pqi_help_family(FILE *out, const char *family)
{
    fprintf(out, "Usage: %s %s COMMAND [OPTION]...\n\nCommands:\n", PQI_PROGRAM, family);
    write_summaries(out, family);
    fprintf(out, "\n'%s %s COMMAND --help' explains one command.\n", PQI_PROGRAM, family);
}
