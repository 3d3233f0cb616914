/* pqlink config: looks at the settings before they are used. */
#include "cmd/commands.h"
#include "cmd/config.h"
#include "cmd/config_reload.h"
#include "cmd/config_show.h"
#include "cmd/security_alias.h"

#include <stdlib.h>
#include <string.h>

/* Words after "config show": a command of two words, and its options. */
#define SHOW_WORDS_MAX PQI_OPERANDS_ROOM

/* Calls |look| with the settings that |from| gives to |command|, which live for the call only. */
typedef pql_status (*look_fn)(void *user, const pqi_command *command, const pqi_settings *settings);
static pql_status with_settings(const pqi_command *command, const pqi_sources *from, look_fn look,
                                void *user, pql_error *err)
{
    bool help = false;
    pqi_settings *settings = calloc(1, sizeof(*settings));
    void *options = calloc(1, command->options_size);
    pql_status status = PQL_E_NOMEM;
    if (settings == NULL || options == NULL) {
        (void)pqi_fail(err, status, "Out of memory.");
    } else {
        status = pqi_options_parse(command, from, options, settings, &help, err);
        if (status == PQL_OK && help) {
            status = pqi_fail(err, PQL_E_USAGE, "--help cannot stand after the two dashes.");
        }
        if (status == PQL_OK && look != NULL) {
            status = look(user, command, settings);
        }
        pqi_settings_free(settings);
    }
    free(options);
    free(settings);
    return status;
}

/* ---- check ---- */

typedef struct check_options {
    pqi_operands file;
} check_options;

/* The environment without any variable of pqlink, for a look at the file alone. */
static const char *bare_env(const char *name)
{
    bool ours = strncmp(name, "PQLINK_", strlen("PQLINK_")) == 0;
    for (size_t i = 0; pqi_security_alias(i) != NULL; i++) {
        ours = ours || strcmp(name, pqi_security_alias(i)->variable) == 0;
    }
    return ours ? NULL : pqi_config_started_env()(name);
}

static bool has_table(const pqi_conf *conf, const char *table)
{
    for (size_t i = 0; i < conf->count; i++) {
        if (strcmp(conf->entries[i].table, table) == 0) {
            return true;
        }
    }
    return false;
}

/* First every value that stands in the file, then, where the command has a table, the whole as the
 * command would see it, but for options that have to be given each time.  With [security] in the
 * file at least its values are looked at together with the environment. */
static pql_status check_command(const pqi_command *command, const pqi_conf *conf, pql_error *err)
{
    const char *const argv[] = {"--config", conf->file};
    pqi_sources from = {.argc = 2,
                        .argv = argv,
                        .env = bare_env,
                        .load = pqi_config_load,
                        .optional = true,
                        .unchecked = true};
    char table[PQI_CONFIG_NAME_SIZE];
    pqi_config_name(table, command->name);
    pql_status status = with_settings(command, &from, NULL, NULL, err);
    if (status != PQL_OK || (!has_table(conf, table) && !has_table(conf, PQI_SECURITY_TABLE))) {
        return status;
    }
    from.env = pqi_config_started_env();
    from.unchecked = !has_table(conf, table);
    status = with_settings(command, &from, NULL, NULL, err);
    return status == PQL_OK ? status
                            : pqi_fail_context(err, status, "For 'pqlink %s'", command->name);
}

static pql_status check_file(const pqi_conf *conf, pql_error *err)
{
    size_t count = 0;
    size_t tables = 0;
    const pqi_command *const *commands = pqi_commands(&count);
    for (size_t i = 0; i < count; i++) {
        const pql_status status =
            pqi_config_has_table(commands[i]) ? check_command(commands[i], conf, err) : PQL_OK;
        if (status != PQL_OK) {
            return status;
        }
    }
    for (size_t i = 0; i < conf->count; i++) {
        tables += conf->entries[i].kind == PQI_CONF_TABLE;
    }
    printf("%s is good: %zu %s in %zu %s.\n", conf->file, conf->count - tables,
           conf->count - tables == 1 ? "value" : "values", tables,
           tables == 1 ? "table" : "tables");
    return PQL_OK;
}

static pql_status check_run(const void *options, pql_error *err)
{
    const check_options *o = options;
    char path[PATH_MAX];
    pqi_conf *conf = NULL;
    pql_status status = pqi_config_path(path, o->file.count > 0 ? o->file.items[0] : NULL,
                                        pqi_config_started_env(), err);
    if (status == PQL_OK && path[0] == '\0') {
        status = pqi_fail(err, PQL_E_USAGE,
                          "There is no configuration file; name one: pqlink config check FILE.");
    }
    if (status == PQL_OK) {
        status = pqi_config_read(&conf, path, err);
    }
    if (status == PQL_OK) {
        status = check_file(conf, err);
    }
    pqi_conf_free(conf);
    return status;
}

const pqi_command pqi_command_config_check = {
    .name = "config check",
    .summary = "Check a configuration file",
    .description =
        "Reads a configuration file, that of PQLINK_CONFIG or the default place where none is "
        "named, and checks every table, key and value, also those of other commands.  For "
        "each command whose table is there it checks the settings as a whole too, together with "
        "the environment.  The first thing that is wrong is said with file, line and column, and "
        "the exit status is 2.",
    .options_size = sizeof(check_options),
    .operands = "[FILE]",
    .operands_at = PQI_AT(check_options, file, pqi_operands),
    .operands_max = 1,
    .no_config = true,
    .example = (const char *const[]){"pqlink config check /etc/pqlink/pqlink.conf", NULL},
    .run = check_run,
};

/* ---- show ---- */

typedef struct show_options {
    pqi_operands words;
    const char *config; /* NULL: not named */
    bool json;
} show_options;

static const pqi_option show_table[] = {
    {.name = "config",
     .kind = PQI_OPTION_FILE,
     .at = PQI_AT(show_options, config, const char *),
     .arg = "FILE",
     .help = "Configuration file; none reads no file.",
     .env = PQI_CONFIG_ENV},
    {.name = "json",
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(show_options, json, bool),
     .help = "Print one JSON object."},
};

/* What is shown goes either to standard output or into |root|. */
typedef struct show {
    const show_options *options;
    json_t *root; /* NULL: text */
    bool any;
} show;

static pql_status show_settings(void *user, const pqi_command *command,
                                const pqi_settings *settings)
{
    show *s = user;
    char table[PQI_CONFIG_NAME_SIZE];
    if (s->root != NULL) {
        pqi_config_name(table, command->name);
        (void)json_object_set_new(s->root, table, pqi_config_show_json(command, settings));
        return PQL_OK;
    }
    fputs(s->any ? "\n" : "", stdout);
    s->any = true;
    pqi_config_show_text(stdout, command, settings);
    return PQL_OK;
}

/* The file that "config show" was told, unless the words after the dashes name another. */
static const char *named_config;

static pql_status load_named(pqi_conf **out, const char *typed, pqi_env env, pql_error *err)
{
    return pqi_config_load(out, typed != NULL ? typed : named_config, env, err);
}

/* Shows one command with |argc| words of its own command line. */
static pql_status show_command(show *s, const pqi_command *command, int argc,
                               const char *const argv[], pql_error *err)
{
    const pqi_sources from = {.argc = argc,
                              .argv = argv,
                              .env = pqi_config_started_env(),
                              .load = load_named,
                              .optional = true,
                              .unchecked = true};
    pqi_config_warn_env(command);
    return with_settings(command, &from, show_settings, s, err);
}

static pql_status show_all(show *s, pql_error *err)
{
    size_t count = 0;
    const pqi_command *const *commands = pqi_commands(&count);
    pql_status status = PQL_OK;
    for (size_t i = 0; i < count && status == PQL_OK; i++) {
        if (pqi_config_has_table(commands[i])) {
            status = show_command(s, commands[i], 0, NULL, err);
        }
    }
    return status;
}

/* "node", "rotate prepare", and after them options of that command. */
static pql_status show_one(show *s, pql_error *err)
{
    const pqi_operands *words = &s->options->words;
    const pqi_command *command = NULL;
    int used = 0;
    const pql_status status =
        pqi_command_find(&command, (int)words->count, words->items, &used, err);
    if (status != PQL_OK) {
        return status;
    }
    if (!pqi_config_has_table(command)) {
        return pqi_fail(err, PQL_E_USAGE, "The command '%s' reads no settings.", command->name);
    }
    return show_command(s, command, (int)words->count - used, words->items + used, err);
}

static pql_status show_run(const void *options, pql_error *err)
{
    const show_options *o = options;
    show s = {.options = o, .root = o->json ? json_object() : NULL};
    named_config = o->config;
    const pql_status status = o->words.count > 0 ? show_one(&s, err) : show_all(&s, err);
    if (status == PQL_OK && s.root != NULL) {
        (void)json_dumpf(s.root, stdout, JSON_INDENT(2));
        fputs("\n", stdout);
    }
    json_decref(s.root);
    return status;
}

const pqi_command pqi_command_config_show = {
    .name = "config show",
    .summary = "Show every setting and where it comes from",
    .description =
        "Prints the settings that a command would use, in the form of a configuration file, and "
        "behind each where it comes from: default, file and line, environment variable, or command "
        "line.  Without COMMAND, all commands that read settings.  Secrets are hidden.\n"
        "Options of COMMAND stand after two dashes, as in the example.",
    PQI_OPTIONS(show_table),
    .options_size = sizeof(show_options),
    .operands = "[COMMAND [-- OPTION...]]",
    .operands_at = PQI_AT(show_options, words, pqi_operands),
    .operands_max = SHOW_WORDS_MAX,
    .no_config = true,
    .example =
        (const char *const[]){"pqlink config show node",
                              "pqlink config show node -- --listen quic://0.0.0.0:9833", NULL},
    .run = show_run,
};
