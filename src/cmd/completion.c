/* Completion scripts for bash, zsh and fish. */
#include "cmd/commands.h"
#include "cmd/config.h"
#include "cmd/help.h"

#include <string.h>

const char *const pqi_completion_shells[] = {"bash", "zsh", "fish", NULL};

#define NOTICE "Made by 'pqlink help --completion'; changes belong in src/cmd/."

/* Calls |each| for every subcommand. */
static void for_each_command(FILE *out, void (*each)(FILE *out, const pqi_command *command))
{
    size_t count = 0;
    const pqi_command *const *commands = pqi_commands(&count);
    for (size_t i = 0; i < count; i++) {
        each(out, commands[i]);
    }
}

/* Calls |each| for every option of |command| that users see, also --config. */
static void for_each_option(FILE *out, const pqi_command *command,
                            void (*each)(FILE *out, const pqi_command *command,
                                         const pqi_option *option))
{
    for (size_t i = 0; i < command->option_count; i++) {
        if (!command->options[i].hidden) {
            each(out, command, &command->options[i]);
        }
    }
    if (pqi_config_has_table(command)) {
        each(out, command, &pqi_config_option);
    }
}

static size_t first_word(const char *name)
{
    return strcspn(name, " ");
}

/* True when an earlier subcommand of the table has the same first word. */
static bool family_seen(const pqi_command *command)
{
    size_t count = 0;
    const pqi_command *const *commands = pqi_commands(&count);
    const size_t len = first_word(command->name);
    for (size_t i = 0; i < count && commands[i] != command; i++) {
        if (first_word(commands[i]->name) == len &&
            memcmp(commands[i]->name, command->name, len) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_two_words(const pqi_command *command)
{
    return strchr(command->name, ' ') != NULL;
}

/* Calls |each| for every subcommand, those of two words first: the pattern of node fits "node
 * status" too, and the first that fits is taken. */
static void for_each_case(FILE *out, void (*each)(FILE *out, const pqi_command *command))
{
    size_t count = 0;
    const pqi_command *const *commands = pqi_commands(&count);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < count; i++) {
            if (has_two_words(commands[i]) == (pass == 0)) {
                each(out, commands[i]);
            }
        }
    }
}

/* Ends a case pattern over the first two words of the command line, begun with "'NAME". */
static const char *case_end(const pqi_command *command)
{
    return has_two_words(command) ? "'" : " '*";
}

/* Writes |text| inside single quotes up to the end of its first sentence (without the full stop);
 * |escape| names further characters that get a backslash. */
static void write_sentence(FILE *out, const char *text, const char *quote, const char *escape)
{
    const char *stop = strstr(text, ".  ");
    size_t len = stop != NULL ? (size_t)(stop - text) : strlen(text);
    if (stop == NULL && len > 0 && text[len - 1] == '.') {
        len--;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\'') {
            fputs(quote, out);
        } else {
            fprintf(out, "%s%c", strchr(escape, text[i]) != NULL ? "\\" : "", text[i]);
        }
    }
}

static void write_choices(FILE *out, const pqi_option *o)
{
    for (size_t i = 0; o->choices[i] != NULL; i++) {
        fprintf(out, "%s%s", i == 0 ? "" : " ", o->choices[i]);
    }
}

/* bash */

static void bash_name(FILE *out, const pqi_command *command)
{
    if (!family_seen(command)) {
        fprintf(out, "%.*s ", (int)first_word(command->name), command->name);
    }
}

static void bash_member(FILE *out, const pqi_command *command)
{
    if (has_two_words(command)) {
        const int len = (int)first_word(command->name);
        fprintf(out, "    '%.*s') words+=' %s' ;;&\n", len, command->name, command->name + len + 1);
    }
}

static void bash_option_name(FILE *out, const pqi_command *command, const pqi_option *o)
{
    (void)command;
    fprintf(out, "--%s ", o->name);
}

static void bash_value(FILE *out, const pqi_command *command, const pqi_option *o)
{
    (void)command;
    if (o->kind == PQI_OPTION_FLAG) {
        return;
    }
    fprintf(out, "        --%s) ", o->name);
    if (o->choices != NULL) {
        fputs("COMPREPLY=($(compgen -W '", out);
        write_choices(out, o);
        fputs("' -- \"$cur\")); ", out);
    } else if (o->kind == PQI_OPTION_DIR || o->kind == PQI_OPTION_FILE) {
        fprintf(out, "compopt -o filenames; COMPREPLY=($(compgen -%c -- \"$cur\")); ",
                o->kind == PQI_OPTION_DIR ? 'd' : 'f');
    }
    fputs("return ;;\n", out);
}

static void bash_command(FILE *out, const pqi_command *command)
{
    fprintf(out, "    '%s%s)\n        words+=' ", command->name, case_end(command));
    for_each_option(out, command, bash_option_name);
    fputs("--help'\n        case $prev in\n", out);
    for_each_option(out, command, bash_value);
    fputs("        esac\n        ;;\n", out);
}

static void bash_script(FILE *out)
{
    fputs("# bash completion for pqlink.  " NOTICE "\n"
          "_pqlink()\n{\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=\n"
          "    COMPREPLY=()\n"
          "    if ((COMP_CWORD == 1)); then\n"
          "        COMPREPLY=($(compgen -W '",
          out);
    for_each_command(out, bash_name);
    fputs("--help --version' -- \"$cur\"))\n        return\n    fi\n"
          "    ((COMP_CWORD == 2)) && case ${COMP_WORDS[1]} in\n",
          out);
    for_each_command(out, bash_member);
    fputs("    esac\n    case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n", out);
    for_each_case(out, bash_command);
    fputs("    esac\n    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\n"
          "complete -F _pqlink pqlink\n",
          out);
}

/* zsh: "_describe" takes 'word:text', "_arguments" takes '--name[text]:value:action'. */

static void zsh_name(FILE *out, const pqi_command *command)
{
    if (family_seen(command)) {
        return;
    }
    fprintf(out, "      '%.*s:", (int)first_word(command->name), command->name);
    write_sentence(out, has_two_words(command) ? "Commands of this family" : command->summary,
                   "'\\''", ":");
    fputs("'\n", out);
}

static void zsh_member(FILE *out, const pqi_command *command)
{
    if (has_two_words(command)) {
        const int len = (int)first_word(command->name);
        fprintf(out, "    [[ ${words[2]} == %.*s ]] && members+=('%s:", len, command->name,
                command->name + len + 1);
        write_sentence(out, command->summary, "'\\''", ":");
        fputs("')\n", out);
    }
}

static void zsh_option(FILE *out, const pqi_command *command, const pqi_option *o)
{
    (void)command;
    fprintf(out, "      '%s--%s[", o->repeatable ? "*" : "", o->name);
    write_sentence(out, o->help, "'\\''", "[]:");
    fputs("]", out);
    if (o->kind != PQI_OPTION_FLAG) {
        fputs(":", out);
        write_sentence(out, o->arg, "'\\''", ":");
        fputs(":", out);
    }
    if (o->choices != NULL) {
        fputs("(", out);
        write_choices(out, o);
        fputs(")", out);
    } else if (o->kind == PQI_OPTION_DIR || o->kind == PQI_OPTION_FILE) {
        fputs(o->kind == PQI_OPTION_DIR ? "_files -/" : "_files", out);
    }
    fputs("' \\\n", out);
}

static void zsh_command(FILE *out, const pqi_command *command)
{
    fprintf(out, "  '%s%s)\n    _arguments \\\n", command->name, case_end(command));
    for_each_option(out, command, zsh_option);
    fputs("      '--help[Show a summary of the options]'\n    ;;\n", out);
}

static void zsh_script(FILE *out)
{
    fputs("#compdef pqlink\n# " NOTICE "\n_pqlink() {\n  local -a commands members\n"
          "  if ((CURRENT == 2)); then\n    commands=(\n",
          out);
    for_each_command(out, zsh_name);
    fputs("    )\n    _describe command commands\n    return\n  fi\n"
          "  if ((CURRENT == 3)); then\n",
          out);
    for_each_command(out, zsh_member);
    fputs("    (($#members)) && _describe command members && return\n  fi\n"
          "  case \"${words[2]} ${words[3]}\" in\n",
          out);
    for_each_case(out, zsh_command);
    fputs("  esac\n}\n_pqlink \"$@\"\n", out);
}

/* fish */

static void fish_condition(FILE *out, const pqi_command *command)
{
    const int len = (int)first_word(command->name);
    size_t count = 0;
    const pqi_command *const *commands = pqi_commands(&count);
    fprintf(out, "'__fish_seen_subcommand_from %.*s", len, command->name);
    if (has_two_words(command)) {
        fprintf(out, "; and __fish_seen_subcommand_from %s", command->name + len + 1);
    }
    for (size_t i = 0; i < count; i++) {
        if (pqi_command_in_family(commands[i], command->name)) {
            fprintf(out, "; and not __fish_seen_subcommand_from %s", commands[i]->name + len + 1);
        }
    }
    fputs("'", out);
}

static void fish_option(FILE *out, const pqi_command *command, const pqi_option *o)
{
    fputs("complete -c pqlink -n ", out);
    fish_condition(out, command);
    fprintf(out, " -l %s", o->name);
    if (o->choices != NULL) {
        fputs(" -x -a '", out);
        write_choices(out, o);
        fputs("'", out);
    } else if (o->kind == PQI_OPTION_DIR) {
        fputs(" -x -a '(__fish_complete_directories)'", out);
    } else if (o->kind != PQI_OPTION_FLAG) {
        fputs(o->kind == PQI_OPTION_FILE ? " -r -F" : " -x", out);
    }
    fputs(" -d '", out);
    write_sentence(out, o->help, "\\'", "\\");
    fputs("'\n", out);
}

static void fish_command(FILE *out, const pqi_command *command)
{
    const int len = (int)first_word(command->name);
    if (has_two_words(command)) {
        if (!family_seen(command)) {
            fprintf(out, "complete -c pqlink -n '__fish_use_subcommand' -a %.*s\n", len,
                    command->name);
        }
        fprintf(out, "complete -c pqlink -n '__fish_seen_subcommand_from %.*s' -a %s -d '", len,
                command->name, command->name + len + 1);
    } else {
        fprintf(out, "complete -c pqlink -n '__fish_use_subcommand' -a %s -d '", command->name);
    }
    write_sentence(out, command->summary, "\\'", "\\");
    fputs("'\n", out);
    for_each_option(out, command, fish_option);
}

static void fish_script(FILE *out)
{
    fputs("# fish completion for pqlink.  " NOTICE "\ncomplete -c pqlink -f\n"
          "complete -c pqlink -l help -d 'Show a summary of the options'\n",
          out);
    for_each_command(out, fish_command);
}

void pqi_completion(FILE *out, pqi_shell shell)
{
    switch (shell) {
    case PQI_SHELL_BASH:
        bash_script(out);
        break;
    case PQI_SHELL_ZSH:
        zsh_script(out);
        break;
    case PQI_SHELL_FISH:
        fish_script(out);
        break;
    }
}
