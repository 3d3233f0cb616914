/* Man pages in mdoc(7). */
#include "base/values.h"
#include "cmd/commands.h"
#include "cmd/config.h"
#include "cmd/exit_codes.h"
#include "cmd/help.h"
#include "cmd/security_alias.h"

#include <ctype.h>
#include <string.h>

/* Goes with the text of the tables: set it when they change. */
#define MAN_DATE "November 21, 2026"
#define NAME_SIZE 64
#define LINE_WIDTH ((size_t)72)

/* Writes one word so that roff takes nothing in it for an escape. */
static void write_word(FILE *out, const char *word, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (word[i] == '\\') {
            fputs("\\e", out);
        } else if (word[i] == '-') {
            fputs("\\-", out);
        } else {
            fputc(word[i], out);
        }
    }
}

/* Writes |len| characters of running text, a new line after each sentence (two spaces) as mdoc
 * wants it, and where a line grows long. */
static void write_text(FILE *out, const char *text, size_t len)
{
    size_t column = 0;
    size_t i = 0;
    while (i < len) {
        const size_t gap = strspn(text + i, " ");
        const size_t word = strcspn(text + i + gap, " \n");
        const bool fresh = column == 0 || gap > 1 || column + word >= LINE_WIDTH;
        fputs(column == 0 ? "" : (fresh ? "\n" : " "), out);
        column = fresh ? 0 : column;
        i += gap;
        if (fresh && (text[i] == '.' || text[i] == '\'')) {
            fputs("\\&", out);
        }
        write_word(out, text + i, word);
        column += word + 1;
        i += word;
    }
    fputc('\n', out);
}

static void write_string(FILE *out, const char *text)
{
    write_text(out, text, strlen(text));
}

/* "pqlink-pow-hash" for "pow hash". */
static void page_name(char out[NAME_SIZE], const pqi_command *command, bool upper)
{
    (void)snprintf(out, NAME_SIZE, "%s-%s", PQI_PROGRAM, command->name);
    for (char *c = out; *c != '\0'; c++) {
        *c = *c == ' ' ? '-' : *c;
        *c = upper ? (char)toupper((unsigned char)*c) : *c;
    }
}

static void write_paragraphs(FILE *out, const char *text)
{
    bool first = true;
    while (*text != '\0') {
        const size_t len = strcspn(text, "\n");
        fputs(first ? "" : ".Pp\n", out);
        first = false;
        write_text(out, text, len);
        text += len + (text[len] == '\n' ? 1 : 0);
    }
}

static void write_option(FILE *out, const pqi_option *o)
{
    char text[PQI_DESCRIBE_SIZE];
    pqi_option_describe(o, text);
    fprintf(out, ".It Fl \\-%s%s%s\n", o->name, o->arg != NULL ? " Ar " : "",
            o->arg != NULL ? o->arg : "");
    write_string(out, text);
}

static void write_options(FILE *out, const pqi_command *command)
{
    fputs(".Pp\nThe options are:\n.Bl -tag -width Ds\n", out);
    for (size_t i = 0; i < command->option_count; i++) {
        if (!command->options[i].hidden) {
            write_option(out, &command->options[i]);
        }
    }
    if (pqi_config_has_table(command)) {
        write_option(out, &pqi_config_option);
    }
    fputs(".It Fl \\-help\nShow a summary of the options.\n.El\n", out);
}

/* The variables that stand in for the option; false when there is none. */
static bool write_variables(FILE *out, const pqi_command *command, const pqi_option *o)
{
    char name[PQI_ENV_NAME_SIZE];
    const bool has_key = pqi_config_has_key(command, o);
    if (!has_key && o->env == NULL) {
        return false;
    }
    pqi_config_env_name(name, command, o);
    fprintf(out, ".It Ev %s%s%s\n", has_key ? name : "", has_key && o->env != NULL ? " , " : "",
            o->env != NULL ? o->env : "");
    return true;
}

static void write_environment(FILE *out, const pqi_command *command)
{
    const bool config = pqi_config_has_table(command);
    bool any = config;
    for (size_t i = 0; i < command->option_count; i++) {
        any = any || command->options[i].env != NULL;
    }
    if (!any) {
        return;
    }
    fputs(".Sh ENVIRONMENT\nEach variable stands in for an option that is not given.\n"
          "Of two, the first counts.\n.Bl -tag -width Ds\n",
          out);
    for (size_t i = 0; i < command->option_count; i++) {
        const pqi_option *o = &command->options[i];
        if (!o->hidden && write_variables(out, command, o)) {
            fprintf(out, "Stands in for\n.Fl \\-%s .\n", o->name);
        }
    }
    if (config) {
        fprintf(out, ".It Ev %s\nStands in for\n.Fl \\-%s .\n", pqi_config_option.env,
                pqi_config_option.name);
    }
    fputs(".El\n", out);
}

static void write_exit_status(FILE *out)
{
    size_t count = 0;
    const pqi_exit_row *rows = pqi_exit_rows(&count);
    fputs(".Sh EXIT STATUS\nThe numbers are kept for ever.\n.Bl -tag -width Ds\n", out);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, ".It %d Pq %s\n", (int)rows[i].code, rows[i].name);
        write_string(out, rows[i].meaning);
    }
    fputs(".El\n", out);
}

void pqi_man_command(FILE *out, const pqi_command *command)
{
    char name[NAME_SIZE];
    page_name(name, command, true);
    fprintf(out, ".Dd %s\n.Dt %s 1\n.Os\n", MAN_DATE, name);
    page_name(name, command, false);
    fprintf(out, ".Sh NAME\n.Nm %s\n.Nd %s\n", name, command->summary);
    fprintf(out, ".Sh SYNOPSIS\n.Nm %s %s\n.Op Ar OPTION ...\n", PQI_PROGRAM, command->name);
    if (command->operands != NULL) {
        fprintf(out, ".Ar %s\n", command->operands);
    }
    fputs(".Sh DESCRIPTION\n", out);
    write_paragraphs(out, command->description);
    write_options(out, command);
    write_environment(out, command);
    fputs(".Sh EXIT STATUS\n0 on success; the other numbers are explained in\n.Xr pqlink 1 .\n",
          out);
    for (size_t i = 0; command->example != NULL && command->example[i] != NULL; i++) {
        fputs(i == 0 ? ".Sh EXAMPLES\n" : "", out);
        fputs(".Dl ", out);
        write_word(out, command->example[i], strlen(command->example[i]));
        fputc('\n', out);
    }
    fprintf(out, ".Sh SEE ALSO\n.Xr pqlink 1%s\n",
            pqi_config_has_table(command) ? " ,\n.Xr pqlink.conf 5" : "");
}

void pqi_man_program(FILE *out)
{
    size_t count = 0;
    const pqi_command *const *commands = pqi_commands(&count);
    fprintf(out, ".Dd %s\n.Dt PQLINK 1\n.Os\n.Sh NAME\n.Nm %s\n", MAN_DATE, PQI_PROGRAM);
    fputs(".Nd post-quantum links for node networks\n.Sh SYNOPSIS\n.Nm\n.Ar COMMAND\n"
          ".Op Ar OPTION ...\n.Sh DESCRIPTION\nEach job is a command with a page of its own:\n"
          ".Bl -tag -width Ds\n",
          out);
    for (size_t i = 0; i < count; i++) {
        char name[NAME_SIZE];
        page_name(name, commands[i], false);
        fprintf(out, ".It Xr %s 1\n", name);
        write_string(out, commands[i]->summary);
    }
    fputs(".El\n", out);
    write_exit_status(out);
}

/* ---- pqlink.conf(5) ---- */

static void write_key(FILE *out, const pqi_option *o)
{
    char key[PQI_CONFIG_NAME_SIZE];
    char text[PQI_DESCRIBE_SIZE];
    pqi_config_name(key, o->name);
    pqi_option_describe(o, text);
    fprintf(out, ".It Ic %s No = Ar %s\n", key, pqi_config_type(o));
    write_string(out, text);
}

static void write_table(FILE *out, const pqi_command *command)
{
    char table[PQI_CONFIG_NAME_SIZE];
    pqi_config_name(table, command->name);
    fprintf(out, ".Ss The table [%s]\nFor\n.Ic %s %s .\n.Bl -tag -width Ds\n", table, PQI_PROGRAM,
            command->name);
    for (size_t i = 0; i < command->option_count; i++) {
        if (pqi_config_has_key(command, &command->options[i])) {
            write_key(out, &command->options[i]);
        }
    }
    fputs(".El\n", out);
}

static void write_aliases(FILE *out)
{
    fputs(".Ss The table [" PQI_SECURITY_TABLE "]\nSecond names, for every command that has the "
          "option.\n.Bl -tag -width Ds\n",
          out);
    for (size_t i = 0; pqi_security_alias(i) != NULL; i++) {
        const pqi_alias *a = pqi_security_alias(i);
        if (!pqi_security_alias_works(a)) {
            continue;
        }
        if (a->key != NULL) {
            fprintf(out, ".It Ic %s No = Ar %s , Ev %s\n", a->key, a->type, a->variable);
        } else {
            fprintf(out, ".It Ev %s No = Ar %s\n", a->variable, a->type);
        }
        write_string(out, a->help);
    }
    fputs(".El\n", out);
}

void pqi_man_config(FILE *out)
{
    size_t count = 0;
    const pqi_command *const *commands = pqi_commands(&count);
    fprintf(out, ".Dd %s\n.Dt PQLINK.CONF 5\n.Os\n.Sh NAME\n.Nm pqlink.conf\n", MAN_DATE);
    fputs(".Nd settings of pqlink\n.Sh DESCRIPTION\n", out);
    write_paragraphs(out, pqi_config_about);
    fputs(".Ss The table [" PQI_CONFIG_COMMON "]\nFor every command that has the option.\n", out);
    for (size_t i = 0; pqi_config_common_key(i) != NULL; i++) {
        fprintf(out, "%s.Ic %s", i == 0 ? "The keys are\n" : " ,\n", pqi_config_common_key(i));
    }
    fputs(" .\n", out);
    write_aliases(out);
    for (size_t i = 0; i < count; i++) {
        if (pqi_config_has_table(commands[i])) {
            write_table(out, commands[i]);
        }
    }
    fputs(".Sh FILES\n.Bl -tag -width Ds\n.It Pa " PQI_CONFIG_FILE "\nThat of root.\n"
          ".It Pa ~/.config/pqlink/pqlink.conf\nThat of others.\n.El\n"
          ".Sh EXAMPLES\n.Bd -literal -offset indent\n[common]\ndir = \"/var/lib/pqlink\"\n\n"
          "[node]\nlisten = [\"quic://0.0.0.0:9833\", \"quic://[::]:9833\"]\nworkers = 4\n.Ed\n"
          ".Sh SEE ALSO\n.Xr pqlink 1 ,\n.Xr pqlink-config-check 1 ,\n"
          ".Xr pqlink-config-show 1\n",
          out);
}
