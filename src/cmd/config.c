#include "cmd/config.h"

#include "base/file.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/values.h"
#include "cmd/commands.h"
#include "cmd/security_alias.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Longest part of a file's name that an error message repeats. */
#define FILE_SHOWN 200
/* All commands, with room for more. */
#define TABLES_MAX ((size_t)64)

/* Keys that mean the same for every command that has them. */
static const char *const common_keys[] = {"dir",   "policy",     "authentication", "amnesia",
                                          "admin", "log_format", "log_level",      NULL};
#define COMMON_COUNT (sizeof(common_keys) / sizeof(common_keys[0]) - 1)

const pqi_option pqi_config_option = {
    .name = "config",
    .kind = PQI_OPTION_FILE,
    .arg = "FILE",
    .help = "Configuration file, see pqlink.conf(5); none reads no file.  Default: " PQI_CONFIG_FILE
            " for root, ~/.config/pqlink/pqlink.conf for others, where there is one.",
    .env = PQI_CONFIG_ENV,
    .typed_only = true,
};

/* ---- Names ---- */

void pqi_config_name(char out[PQI_CONFIG_NAME_SIZE], const char *name)
{
    (void)snprintf(out, PQI_CONFIG_NAME_SIZE, "%s", name);
    for (char *c = out; *c != '\0'; c++) {
        *c = *c == '-' || *c == ' ' ? '_' : *c;
    }
}

static void env_prefix(char out[PQI_ENV_NAME_SIZE], const pqi_command *command)
{
    char table[PQI_CONFIG_NAME_SIZE];
    pqi_config_name(table, command->name);
    (void)snprintf(out, PQI_ENV_NAME_SIZE, "PQLINK_%s_", table);
    for (char *c = out; *c != '\0'; c++) {
        *c = (char)toupper((unsigned char)*c);
    }
}

void pqi_config_env_name(char out[PQI_ENV_NAME_SIZE], const pqi_command *command,
                         const pqi_option *option)
{
    char key[PQI_CONFIG_NAME_SIZE];
    env_prefix(out, command);
    pqi_config_name(key, option->name);
    size_t len = strlen(out);
    for (const char *c = key; *c != '\0' && len + 1 < PQI_ENV_NAME_SIZE; c++) {
        out[len++] = (char)toupper((unsigned char)*c);
    }
    out[len] = '\0';
}

bool pqi_config_has_key(const pqi_command *command, const pqi_option *option)
{
    return !command->no_config && !option->hidden && !option->typed_only;
}

const char *pqi_config_common_key(size_t i)
{
    return i < COMMON_COUNT ? common_keys[i] : NULL;
}

static bool is_common_key(const char *key)
{
    for (size_t i = 0; i < COMMON_COUNT; i++) {
        if (strcmp(key, common_keys[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool pqi_config_is_common(const pqi_option *option)
{
    char key[PQI_CONFIG_NAME_SIZE];
    pqi_config_name(key, option->name);
    return is_common_key(key);
}

bool pqi_config_has_table(const pqi_command *command)
{
    for (size_t i = 0; i < command->option_count; i++) {
        if (pqi_config_has_key(command, &command->options[i])) {
            return true;
        }
    }
    return false;
}

const pqi_command *pqi_config_command(const char *table)
{
    size_t count = 0;
    const pqi_command *const *commands = pqi_commands(&count);
    for (size_t i = 0; i < count; i++) {
        char name[PQI_CONFIG_NAME_SIZE];
        pqi_config_name(name, commands[i]->name);
        if (pqi_config_has_table(commands[i]) && strcmp(name, table) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

const pqi_conf_entry *pqi_config_entry(const pqi_conf *conf, const char *table, const char *key)
{
    for (size_t i = 0; i < conf->count; i++) {
        const pqi_conf_entry *e = &conf->entries[i];
        if (e->kind != PQI_CONF_TABLE && strcmp(e->table, table) == 0 && strcmp(e->key, key) == 0) {
            return e;
        }
    }
    return NULL;
}

const pqi_conf_entry *pqi_config_find(const pqi_conf *conf, const pqi_command *command,
                                      const pqi_option *option)
{
    char table[PQI_CONFIG_NAME_SIZE];
    char key[PQI_CONFIG_NAME_SIZE];
    if (!pqi_config_has_key(command, option)) {
        return NULL;
    }
    pqi_config_name(table, command->name);
    pqi_config_name(key, option->name);
    const pqi_conf_entry *entry = pqi_config_entry(conf, table, key);
    return entry == NULL && pqi_config_is_common(option)
               ? pqi_config_entry(conf, PQI_CONFIG_COMMON, key)
               : entry;
}

/* ---- Are the names known? ---- */

/* Fails at the key or table of |e|. */
static __attribute__((format(printf, 4, 5))) pql_status fail_at(const pqi_conf *conf,
                                                                const pqi_conf_entry *e,
                                                                pql_error *err, const char *fmt,
                                                                ...)
{
    char sentence[PQL_ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(sentence, sizeof(sentence), fmt, args);
    va_end(args);
    return pqi_fail(err, PQL_E_USAGE, "%.*s:%u:%u: %s", FILE_SHOWN, conf->file, e->line,
                    e->key_column, sentence);
}

static pql_status check_table(const pqi_conf *conf, const pqi_conf_entry *e, pql_error *err)
{
    char names[TABLES_MAX][PQI_CONFIG_NAME_SIZE];
    const char *words[TABLES_MAX + 2] = {PQI_CONFIG_COMMON, PQI_SECURITY_TABLE};
    size_t count = 0;
    size_t used = 2;
    if (strcmp(e->table, PQI_CONFIG_COMMON) == 0 || strcmp(e->table, PQI_SECURITY_TABLE) == 0 ||
        pqi_config_command(e->table) != NULL) {
        return PQL_OK;
    }
    const pqi_command *const *commands = pqi_commands(&count);
    for (size_t i = 0; i < count && i < TABLES_MAX; i++) {
        if (pqi_config_has_table(commands[i])) {
            pqi_config_name(names[i], commands[i]->name);
            words[used++] = names[i];
        }
    }
    const char *meant = pqi_suggest(e->table, words, used);
    return meant == NULL ? fail_at(conf, e, err, "There is no table [%s].", e->table)
                         : fail_at(conf, e, err, "There is no table [%s]; did you mean [%s]?",
                                   e->table, meant);
}

/* The option of |command| with the key; also one that may not stand in a file. */
static const pqi_option *option_of_key(const pqi_command *command, const char *key)
{
    for (size_t i = 0; i < command->option_count; i++) {
        char name[PQI_CONFIG_NAME_SIZE];
        pqi_config_name(name, command->options[i].name);
        if (!command->options[i].hidden && strcmp(name, key) == 0) {
            return &command->options[i];
        }
    }
    return NULL;
}

static pql_status fail_key(const pqi_conf *conf, const pqi_conf_entry *e, const char *const *known,
                           size_t count, pql_error *err)
{
    char typed[PQI_CONF_NAME_MAX + 1];
    (void)snprintf(typed, sizeof(typed), "%s", e->key);
    for (char *c = typed; *c != '\0'; c++) {
        *c = *c == '-' ? '_' : (char)tolower((unsigned char)*c); /* the likeliest slips */
    }
    const char *meant = pqi_suggest(typed, known, count);
    if (meant == NULL && pqi_security_alias_is_key(typed)) {
        return fail_at(conf, e, err, "The table [%s] has no key '%s'; it belongs to [%s].",
                       e->table, e->key, PQI_SECURITY_TABLE);
    }
    return meant == NULL
               ? fail_at(conf, e, err, "The table [%s] has no key '%s'.", e->table, e->key)
               : fail_at(conf, e, err, "The table [%s] has no key '%s'; did you mean '%s'?",
                         e->table, e->key, meant);
}

static pql_status check_common_key(const pqi_conf *conf, const pqi_conf_entry *e, pql_error *err)
{
    size_t count = 0;
    if (is_common_key(e->key)) {
        return PQL_OK;
    }
    const pqi_command *const *commands = pqi_commands(&count);
    for (size_t i = 0; i < count; i++) {
        char table[PQI_CONFIG_NAME_SIZE];
        const pqi_option *o = option_of_key(commands[i], e->key);
        pqi_config_name(table, commands[i]->name);
        if (o != NULL && pqi_config_has_key(commands[i], o)) {
            return fail_at(conf, e, err,
                           "The key '%s' is not for all commands; it belongs to [%s].", e->key,
                           table);
        }
    }
    return fail_key(conf, e, common_keys, COMMON_COUNT, err);
}

static pql_status check_security_key(const pqi_conf *conf, const pqi_conf_entry *e, pql_error *err)
{
    const char *known[TABLES_MAX];
    size_t count = 0;
    if (pqi_security_alias_is_key(e->key)) {
        return PQL_OK;
    }
    for (size_t i = 0; pqi_security_alias(i) != NULL && count < TABLES_MAX; i++) {
        const pqi_alias *alias = pqi_security_alias(i);
        known[count++] = pqi_security_alias_works(alias) ? alias->key : NULL;
    }
    return fail_key(conf, e, known, count, err);
}

static pql_status check_key(const pqi_conf *conf, const pqi_conf_entry *e, pql_error *err)
{
    char names[PQI_OPTIONS_MAX][PQI_CONFIG_NAME_SIZE];
    const char *known[PQI_OPTIONS_MAX];
    size_t count = 0;
    if (strcmp(e->table, PQI_CONFIG_COMMON) == 0) {
        return check_common_key(conf, e, err);
    }
    if (strcmp(e->table, PQI_SECURITY_TABLE) == 0) {
        return check_security_key(conf, e, err);
    }
    const pqi_command *command = pqi_config_command(e->table);
    if (command == NULL) {
        return fail_at(conf, e, err,
                       "The key '%s' stands before the first table; put it under [%s] or under the "
                       "table of its command, such as [node].",
                       e->key, PQI_CONFIG_COMMON);
    }
    const pqi_option *o = option_of_key(command, e->key);
    if (o != NULL && !pqi_config_has_key(command, o)) {
        return fail_at(conf, e, err,
                       "'%s' cannot be set in a file; it has to be typed as --%s on the command "
                       "line.",
                       e->key, o->name);
    }
    for (size_t i = 0; i < command->option_count && o == NULL; i++) {
        if (pqi_config_has_key(command, &command->options[i])) {
            pqi_config_name(names[count], command->options[i].name);
            known[count] = names[count];
            count++;
        }
    }
    return o != NULL ? PQL_OK : fail_key(conf, e, known, count, err);
}

pql_status pqi_config_check_names(const pqi_conf *conf, pql_error *err)
{
    for (size_t i = 0; i < conf->count; i++) {
        const pqi_conf_entry *e = &conf->entries[i];
        const pql_status status =
            e->kind == PQI_CONF_TABLE ? check_table(conf, e, err) : check_key(conf, e, err);
        if (status != PQL_OK) {
            return status;
        }
    }
    return PQL_OK;
}

/* ---- The file ---- */

/* The file that is read when nobody names one; "" when the user can have none. */
static pql_status default_path(char *out, pqi_env env, pql_error *err)
{
    const char *config = env("XDG_CONFIG_HOME");
    const char *home = env("HOME");
    int n = 0;
    out[0] = '\0';
    if (geteuid() == 0) {
        n = snprintf(out, PATH_MAX, "%s", PQI_CONFIG_FILE);
    } else if (config != NULL && config[0] == '/') {
        n = snprintf(out, PATH_MAX, "%s/pqlink/pqlink.conf", config);
    } else if (home != NULL && home[0] == '/') {
        n = snprintf(out, PATH_MAX, "%s/.config/pqlink/pqlink.conf", home);
    }
    return n < PATH_MAX
               ? PQL_OK
               : pqi_fail(err, PQL_E_USAGE, "The name of the configuration directory is too long.");
}

pql_status pqi_config_path(char *out, const char *typed, pqi_env env, pql_error *err)
{
    const char *named = typed != NULL ? typed : env(PQI_CONFIG_ENV);
    if (named == NULL || named[0] == '\0') {
        const pql_status status = default_path(out, env, err);
        if (status == PQL_OK && out[0] != '\0' && access(out, F_OK) != 0 &&
            (errno == ENOENT || errno == ENOTDIR)) {
            out[0] = '\0';
        }
        return status;
    }
    const int n = snprintf(out, PATH_MAX, "%s", strcmp(named, PQI_CONFIG_NONE) == 0 ? "" : named);
    return n < PATH_MAX
               ? PQL_OK
               : pqi_fail(err, PQL_E_USAGE, "The name of the configuration file is too long.");
}

pql_status pqi_config_read(pqi_conf **out, const char *path, pql_error *err)
{
    uint8_t *data = NULL;
    size_t len = 0;
    *out = NULL;
    pql_status status = pqi_file_check_writers(path, err);
    if (status != PQL_OK) {
        return status;
    }
    status = pqi_file_read(path, PQI_CONF_FILE_MAX, &data, &len, err);
    if (status != PQL_OK) {
        return pqi_fail_context(err, status == PQL_E_IO ? status : PQL_E_USAGE,
                                "The configuration cannot be read");
    }
    status = pqi_conf_parse(out, path, data, len, err);
    pqi_secret_free(data, len);
    if (status == PQL_OK) {
        status = pqi_config_check_names(*out, err);
    }
    if (status != PQL_OK) {
        pqi_conf_free(*out);
        *out = NULL;
    }
    return status;
}

pql_status pqi_config_load(pqi_conf **out, const char *typed, pqi_env env, pql_error *err)
{
    char path[PATH_MAX];
    *out = NULL;
    const pql_status status = pqi_config_path(path, typed, env, err);
    return status != PQL_OK || path[0] == '\0' ? status : pqi_config_read(out, path, err);
}

/* ---- Variables that mean nothing ---- */

/* True when |name| (|len| bytes) is a variable of some option of any command. */
static bool env_known(const char *name, size_t len)
{
    size_t count = 0;
    const pqi_command *const *commands = pqi_commands(&count);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < commands[i]->option_count; j++) {
            const pqi_option *o = &commands[i]->options[j];
            char known[PQI_ENV_NAME_SIZE];
            pqi_config_env_name(known, commands[i], o);
            const bool is_long = pqi_config_has_key(commands[i], o) && strlen(known) == len &&
                                 memcmp(known, name, len) == 0;
            const bool is_short =
                o->env != NULL && strlen(o->env) == len && memcmp(o->env, name, len) == 0;
            if (is_long || is_short) {
                return true;
            }
        }
    }
    return false;
}

static void suggest_env(const pqi_command *command, const char *name, size_t len,
                        char suggestion[PQI_ENV_NAME_SIZE])
{
    char names[PQI_OPTIONS_MAX][PQI_ENV_NAME_SIZE];
    const char *words[PQI_OPTIONS_MAX] = {NULL};
    char typed[PQI_ENV_NAME_SIZE];
    (void)snprintf(typed, sizeof(typed), "%.*s", (int)(len < sizeof(typed) ? len : 0), name);
    for (size_t i = 0; i < command->option_count; i++) {
        if (pqi_config_has_key(command, &command->options[i])) {
            pqi_config_env_name(names[i], command, &command->options[i]);
            words[i] = names[i];
        }
    }
    const char *meant = pqi_suggest(typed, words, command->option_count);
    (void)snprintf(suggestion, PQI_ENV_NAME_SIZE, "%s", meant != NULL ? meant : "");
}

const char *pqi_config_unknown_env(const pqi_command *command, char *const variables[], size_t *at,
                                   char suggestion[PQI_ENV_NAME_SIZE])
{
    char prefix[PQI_ENV_NAME_SIZE];
    env_prefix(prefix, command);
    while (!command->no_config && variables[*at] != NULL) {
        const char *variable = variables[(*at)++];
        const size_t len = strcspn(variable, "=");
        if (strncmp(variable, prefix, strlen(prefix)) == 0 && !env_known(variable, len)) {
            suggest_env(command, variable, len, suggestion);
            return variable;
        }
    }
    return NULL;
}

void pqi_config_warn_env(const pqi_command *command)
{
    char meant[PQI_ENV_NAME_SIZE];
    size_t at = 0;
    for (;;) {
        const char *variable = pqi_config_unknown_env(command, environ, &at, meant);
        if (variable == NULL) {
            return;
        }
        char line[PQL_ERROR_MESSAGE_SIZE];
        (void)snprintf(line, sizeof(line), "%.*s", (int)strcspn(variable, "="), variable);
        pqi_text_clean(line);
        fprintf(stderr, "%s: warning: the environment variable %s sets nothing%s%s%s\n",
                PQI_PROGRAM, line, meant[0] != '\0' ? "; did you mean " : ".", meant,
                meant[0] != '\0' ? "?" : "");
    }
}
