#include "cmd/options.h"

#include "base/secret.h"
#include "base/values.h"
#include "cmd/config.h"
#include "cmd/option_value.h"
#include "cmd/security_alias.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The option of every command that reads pqlink.conf. */
#define CONFIG "config"
/* Longest part of a file's name that an error message repeats. */
#define FILE_SHOWN 200
/* Where a value stands, for messages. */
#define PLACE_SIZE (FILE_SHOWN + 32)
/* Separate several values in one environment variable. */
#define SEPARATORS " \t\n"

/* One parse under way. */
typedef struct parse {
    const pqi_command *command;
    const pqi_sources *from;
    void *out;
    pqi_settings *settings;
    const char *config; /* value of --config; NULL: not given */
    pql_error *err;
} parse;

/* ---- Settings ---- */

static pqi_setting *setting_of(const parse *p, const pqi_option *o)
{
    return &p->settings->of[o - p->command->options];
}

static void values_free(pqi_setting *s)
{
    for (size_t i = 0; i < s->count; i++) {
        pqi_secret_free(s->values[i], strlen(s->values[i]));
    }
    free(s->values);
    s->values = NULL;
    s->count = 0;
}

void pqi_settings_free(pqi_settings *settings)
{
    for (size_t i = 0; i < PQI_OPTIONS_MAX; i++) {
        values_free(&settings->of[i]);
    }
    free(settings->file);
    *settings = (pqi_settings){0};
}

static pql_status fail_memory(const parse *p)
{
    return pqi_fail(p->err, PQL_E_NOMEM, "Out of memory reading the options.");
}

/* Notes |len| bytes at |text| as one more value; *kept is the copy. */
static pql_status keep_value(const parse *p, pqi_setting *s, const char *text, size_t len,
                             const char **kept)
{
    char **values = realloc(s->values, (s->count + 1) * sizeof(*values));
    if (values == NULL) {
        return fail_memory(p);
    }
    s->values = values;
    s->values[s->count] = strndup(text, len);
    if (s->values[s->count] == NULL) {
        return fail_memory(p);
    }
    *kept = s->values[s->count++];
    return PQL_OK;
}

/* Where the value of |o| comes from: "--listen", "the environment variable PQLINK_NODE". */
static void describe_place(const parse *p, const pqi_option *o, char out[PLACE_SIZE])
{
    char key[PQI_CONFIG_NAME_SIZE];
    const pqi_setting *s = setting_of(p, o);
    switch (s->layer) {
    case PQI_LAYER_FILE:
        pqi_config_name(key, o->name);
        (void)snprintf(out, PLACE_SIZE, "%s", s->alias != NULL ? s->alias : key);
        break;
    case PQI_LAYER_ENV:
        (void)snprintf(out, PLACE_SIZE, "the environment variable %s", s->env);
        break;
    default:
        (void)snprintf(out, PLACE_SIZE, "%s--%s",
                       s->layer == PQI_LAYER_DEFAULT ? "the default of " : "", o->name);
        break;
    }
}

/* Puts "FILE:LINE:COLUMN" before the message when that is where the setting stands. */
static pql_status fail_in_place(const parse *p, const pqi_setting *s, pql_status status)
{
    return s->layer != PQI_LAYER_FILE ? status
                                      : pqi_fail_context(p->err, status, "%.*s:%u:%u", FILE_SHOWN,
                                                         p->settings->file, s->line, s->column);
}

/* Reads one value of the option, |len| bytes at |text|, into the struct. */
static pql_status put(const parse *p, const pqi_option *o, const char *text, size_t len)
{
    char place[PLACE_SIZE];
    pqi_setting *s = setting_of(p, o);
    const char *value = NULL;
    pql_status status = keep_value(p, s, text, len, &value);
    if (status != PQL_OK) {
        return status;
    }
    if (pqi_option_put(o, p->out, value, p->err) == PQL_OK) {
        return PQL_OK;
    }
    describe_place(p, o, place);
    status = o->secret
                 ? pqi_fail_context(p->err, PQL_E_USAGE, "The value of %s does not fit", place)
                 : pqi_fail_context(p->err, PQL_E_USAGE, "The value '%.*s' of %s does not fit",
                                    PQI_VALUE_SHOWN, value, place);
    return fail_in_place(p, s, status);
}

/* ---- Words of the command line ---- */

static const pqi_option *option_find(const pqi_command *command, const char *name, size_t len)
{
    for (size_t i = 0; i < command->option_count; i++) {
        const pqi_option *o = &command->options[i];
        if (strlen(o->name) == len && memcmp(o->name, name, len) == 0) {
            return o;
        }
    }
    return NULL;
}

static pql_status fail_unknown(const parse *p, const char *name, size_t len)
{
    const char *names[PQI_OPTIONS_MAX + 2];
    char typed[PQI_VALUE_SHOWN];
    size_t count = 0;
    for (size_t i = 0; i < p->command->option_count && count < PQI_OPTIONS_MAX; i++) {
        if (!p->command->options[i].hidden) {
            names[count++] = p->command->options[i].name;
        }
    }
    names[count++] = "help";
    names[count++] = p->command->no_config ? NULL : CONFIG;
    (void)snprintf(typed, sizeof(typed), "%.*s",
                   (int)(len < sizeof(typed) ? len : sizeof(typed) - 1), name);
    const char *meant = pqi_suggest(typed, names, count);
    if (meant == NULL) {
        return pqi_fail(p->err, PQL_E_USAGE, "There is no option --%s.", typed);
    }
    return pqi_fail(p->err, PQL_E_USAGE, "There is no option --%s; did you mean --%s?", typed,
                    meant);
}

static pql_status fail_twice(const parse *p, const char *name)
{
    return pqi_fail(p->err, PQL_E_USAGE, "Option --%s is given twice.", name);
}

/* The value of an option that takes one: |equals|, or the next word, over which *i moves. */
static pql_status take_value(const parse *p, int *i, const char *equals, const char *name,
                             const char *arg, const char **value)
{
    *value = equals;
    if (equals != NULL) {
        return PQL_OK;
    }
    const char *next = *i + 1 < p->from->argc ? p->from->argv[*i + 1] : NULL;
    if (next == NULL || strncmp(next, "--", 2) == 0) {
        return pqi_fail(p->err, PQL_E_USAGE,
                        "Option --%s needs a value; write --%s %s (or --%s=%s when it begins "
                        "with two dashes).",
                        name, name, arg, name, arg);
    }
    *value = next;
    ++*i;
    return PQL_OK;
}

static pql_status take_config(parse *p, int *i, const char *equals)
{
    if (p->config != NULL) {
        return fail_twice(p, CONFIG);
    }
    const pql_status status = take_value(p, i, equals, CONFIG, "FILE", &p->config);
    return status != PQL_OK || p->config[0] != '\0'
               ? status
               : pqi_fail(p->err, PQL_E_USAGE, "The value of --config must not be empty.");
}

/* Handles the option at argv[*i], and moves *i over a value that stands in the next word. */
static pql_status take_option(parse *p, int *i)
{
    const char *name = p->from->argv[*i] + 2;
    const size_t len = strcspn(name, "=");
    const char *equals = name[len] == '=' ? name + len + 1 : NULL;
    const pqi_option *o = option_find(p->command, name, len);
    if (o == NULL && !p->command->no_config && len == strlen(CONFIG) &&
        memcmp(name, CONFIG, len) == 0) {
        return take_config(p, i, equals);
    }
    if (o == NULL) {
        return fail_unknown(p, name, len);
    }
    const char *value = equals != NULL ? equals : "true";
    if (o->kind != PQI_OPTION_FLAG) {
        const pql_status status = take_value(p, i, equals, o->name, o->arg, &value);
        if (status != PQL_OK || value == NULL) {
            return status;
        }
    }
    pqi_setting *s = setting_of(p, o);
    if (s->layer == PQI_LAYER_TYPED && !o->repeatable) {
        return fail_twice(p, o->name);
    }
    s->layer = PQI_LAYER_TYPED;
    return put(p, o, value, strlen(value));
}

static pql_status take_operand(const parse *p, const char *word)
{
    if (p->command->operands == NULL) {
        return pqi_fail(p->err, PQL_E_USAGE,
                        "The word '%.*s' is not expected here; options begin with two dashes.",
                        PQI_VALUE_SHOWN, word);
    }
    pqi_operands *operands = (pqi_operands *)((char *)p->out + p->command->operands_at);
    const size_t most = p->command->operands_max != 0 ? p->command->operands_max : PQI_OPERANDS_MAX;
    if (operands->count == most) {
        return pqi_fail(p->err, PQL_E_USAGE, "The word '%.*s' is one too many.", PQI_VALUE_SHOWN,
                        word);
    }
    operands->items[operands->count++] = word;
    return PQL_OK;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static pql_status take_words(parse *p, bool *help)
{
    bool only_operands = false;
    for (int i = 0; i < p->from->argc; i++) {
        const char *word = p->from->argv[i];
        pql_status status = PQL_OK;
        if (only_operands || word[0] != '-') {
            status = take_operand(p, word);
        } else if (strcmp(word, "--") == 0) {
            only_operands = true;
        } else if (is_help(word)) {
            *help = true;
            return PQL_OK;
        } else if (word[1] != '-') {
            status = pqi_fail(p->err, PQL_E_USAGE,
                              "There is no option %.*s; options begin with two dashes.",
                              PQI_VALUE_SHOWN, word);
        } else {
            status = take_option(p, &i);
        }
        if (status != PQL_OK) {
            return status;
        }
    }
    return PQL_OK;
}

/* ---- The layers below ---- */

static void fill_default_dir(const parse *p, pqi_dir *dir)
{
    const char *state = p->from->env("XDG_STATE_HOME");
    const char *home = p->from->env("HOME");
    int n = -1;
    if (geteuid() != 0 && state != NULL && state[0] == '/') {
        n = snprintf(dir->text, sizeof(dir->text), "%s/pqlink", state);
    } else if (geteuid() != 0 && home != NULL && home[0] == '/') {
        n = snprintf(dir->text, sizeof(dir->text), "%s/.local/state/pqlink", home);
    }
    if (n < 0 || (size_t)n >= sizeof(dir->text)) {
        (void)snprintf(dir->text, sizeof(dir->text), "/var/lib/pqlink");
    }
}

/* The value of the variable that sets the option, whose name goes into |name|; NULL: none does.  An
 * empty variable counts as none. */
static const char *env_value(const parse *p, const pqi_option *o, char name[PQI_ENV_NAME_SIZE])
{
    const char *value = NULL;
    if (pqi_config_has_key(p->command, o)) {
        pqi_config_env_name(name, p->command, o);
        value = p->from->env(name);
    }
    if ((value == NULL || value[0] == '\0') && o->env != NULL) {
        (void)snprintf(name, PQI_ENV_NAME_SIZE, "%s", o->env);
        value = p->from->env(name);
    }
    return value == NULL || value[0] == '\0' ? NULL : value;
}

/* Several values of a repeatable option stand in one variable. */
static pql_status put_env(const parse *p, const pqi_option *o, const char *value)
{
    pql_status status = PQL_OK;
    setting_of(p, o)->layer = PQI_LAYER_ENV;
    if (!o->repeatable) {
        return put(p, o, value, strlen(value));
    }
    const char *at = value + strspn(value, SEPARATORS);
    while (status == PQL_OK && *at != '\0') {
        const size_t len = strcspn(at, SEPARATORS);
        status = put(p, o, at, len);
        at += len;
        at += strspn(at, SEPARATORS);
    }
    return status;
}

/* What the kind of the option takes as a value in the file, when |entry| is something else. */
static const char *kind_mismatch(const pqi_option *o, const pqi_conf_entry *entry)
{
    switch (o->kind) {
    case PQI_OPTION_FLAG:
        return entry->kind == PQI_CONF_BOOLEAN ? NULL : "true or false, without quotes";
    case PQI_OPTION_NUMBER:
        return entry->kind == PQI_CONF_INTEGER ? NULL : "a whole number without quotes";
    case PQI_OPTION_DURATION:
        return entry->kind == PQI_CONF_STRING ? NULL : "a text with a unit, such as \"12s\"";
    case PQI_OPTION_CUSTOM:
        return entry->kind != PQI_CONF_BOOLEAN ? NULL : "a text in quotes";
    default:
        return entry->kind == PQI_CONF_STRING ? NULL : "a text in quotes";
    }
}

static pql_status put_entry(const parse *p, const pqi_option *o, const pqi_conf_entry *entry)
{
    char key[PQI_CONFIG_NAME_SIZE];
    pqi_setting *s = setting_of(p, o);
    pqi_config_name(key, o->name);
    s->layer = PQI_LAYER_FILE;
    s->line = entry->line;
    s->column = entry->column;
    if (entry->in_array && !o->repeatable) {
        (void)pqi_fail(p->err, PQL_E_USAGE, "The key %s takes one value, not an array.", key);
        return fail_in_place(p, s, PQL_E_USAGE);
    }
    const char *wanted = entry->kind == PQI_CONF_EMPTY ? NULL : kind_mismatch(o, entry);
    if (wanted != NULL) {
        (void)pqi_fail(p->err, PQL_E_USAGE, "The value of %s must be %s.", key, wanted);
        return fail_in_place(p, s, PQL_E_USAGE);
    }
    return entry->kind == PQI_CONF_EMPTY ? PQL_OK : put(p, o, entry->text, strlen(entry->text));
}

static pql_status put_file(const parse *p, const pqi_option *o, const pqi_conf *conf,
                           const pqi_conf_entry *first)
{
    pql_status status = PQL_OK;
    for (const pqi_conf_entry *e = first;
         status == PQL_OK && e < conf->entries + conf->count && e->key == first->key; e++) {
        status = put_entry(p, o, e);
    }
    return status;
}

/* The value comes from another name of the option. */
static pql_status put_alias(const parse *p, const pqi_option *o, const pqi_alias_answer *said)
{
    pqi_setting *s = setting_of(p, o);
    s->layer = said->layer;
    s->alias = said->name;
    s->line = said->line;
    s->column = said->column;
    (void)snprintf(s->env, sizeof(s->env), "%s", said->layer == PQI_LAYER_ENV ? said->name : "");
    return put(p, o, said->value, strlen(said->value));
}

/* The value that nobody gave. */
static pql_status put_default(const parse *p, const pqi_option *o)
{
    pqi_setting *s = setting_of(p, o);
    if (o->required && !p->from->optional) {
        return pqi_fail(p->err, PQL_E_USAGE, "Option --%s %s is required.", o->name, o->arg);
    }
    if (o->fallback != NULL) {
        s->layer = PQI_LAYER_DEFAULT;
        return put(p, o, o->fallback, strlen(o->fallback));
    }
    if (o->kind == PQI_OPTION_DIR) {
        pqi_dir dir;
        fill_default_dir(p, &dir);
        s->layer = PQI_LAYER_DEFAULT;
        return put(p, o, dir.text, strlen(dir.text));
    }
    return PQL_OK;
}

/* Gives a value to an option that did not stand on the command line; and looks at every name of
 * one that did, because names that contradict each other are a mistake wherever they stand. */
static pql_status fill_option(const parse *p, const pqi_option *o, const pqi_conf *conf, bool typed)
{
    char variable[PQI_ENV_NAME_SIZE] = "";
    pqi_alias_answer said;
    const char *value = env_value(p, o, variable);
    const pqi_conf_entry *entry = conf != NULL ? pqi_config_find(conf, p->command, o) : NULL;
    const pqi_alias_question question = {.command = p->command,
                                         .option = o,
                                         .conf = conf,
                                         .env = p->from->env,
                                         .typed = typed,
                                         .own_variable = variable,
                                         .own_env = value,
                                         .own_entry = entry};
    const pql_status status = pqi_security_alias_find(&said, &question, p->err);
    if (status != PQL_OK || typed) {
        return status;
    }
    if (said.value != NULL) {
        return put_alias(p, o, &said);
    }
    if (value != NULL) {
        memcpy(setting_of(p, o)->env, variable, sizeof(variable));
        return put_env(p, o, value);
    }
    return entry != NULL ? put_file(p, o, conf, entry) : put_default(p, o);
}

static pql_status fill_rest(const parse *p, const pqi_conf *conf)
{
    for (size_t i = 0; i < p->command->option_count; i++) {
        const pqi_option *o = &p->command->options[i];
        const bool typed = setting_of(p, o)->layer == PQI_LAYER_TYPED;
        if (typed && o->kind == PQI_OPTION_DIR) {
            ((pqi_dir *)((char *)p->out + o->at))->typed = true;
        }
        const pql_status status = fill_option(p, o, conf, typed);
        if (status != PQL_OK) {
            return status;
        }
    }
    return PQL_OK;
}

static pql_status fill_from_layers(const parse *p)
{
    pqi_conf *conf = NULL;
    pql_status status = PQL_OK;
    if (p->from->load != NULL && !p->command->no_config) {
        status = p->from->load(&conf, p->config, p->from->env, p->err);
    }
    if (status == PQL_OK && conf != NULL) {
        p->settings->file = strdup(conf->file);
        status = p->settings->file != NULL ? PQL_OK : fail_memory(p);
    }
    if (status == PQL_OK) {
        status = fill_rest(p, conf);
    }
    if (status == PQL_OK && !p->from->unchecked && !p->command->no_config) {
        status = pqi_security_alias_check_links(p->command, conf, p->from->env, p->err);
    }
    pqi_conf_free(conf);
    return status;
}

/* ---- What no single option can tell ---- */

/* True when |message| names the option as "--name". */
static bool names_option(const char *message, const pqi_option *o)
{
    const size_t len = strlen(o->name);
    for (const char *at = strstr(message, "--"); at != NULL; at = strstr(at + 2, "--")) {
        if (strncmp(at + 2, o->name, len) != 0) {
            continue;
        }
        const char after = at[2 + len];
        if (after != '-' && isalnum((unsigned char)after) == 0) {
            return true;
        }
    }
    return false;
}

/* A sentence that speaks of options as they are typed says where those stand that are not. */
static void tell_places(const parse *p, pql_error *err)
{
    char message[PQL_ERROR_MESSAGE_SIZE];
    memcpy(message, err->message, sizeof(message));
    for (size_t i = 0; i < p->command->option_count; i++) {
        const pqi_option *o = &p->command->options[i];
        const pqi_setting *s = setting_of(p, o);
        char *end = err->message + strlen(err->message);
        const size_t room = sizeof(err->message) - (size_t)(end - err->message);
        if (!names_option(message, o)) {
            continue;
        }
        if (s->layer == PQI_LAYER_FILE) {
            (void)snprintf(end, room, "  --%s stands in %s:%u:%u%s%s.", o->name, p->settings->file,
                           s->line, s->column, s->alias != NULL ? " as " : "",
                           s->alias != NULL ? s->alias : "");
        } else if (s->layer == PQI_LAYER_ENV) {
            (void)snprintf(end, room, "  --%s comes from the environment variable %s.", o->name,
                           s->env);
        }
    }
}

static pql_status check_whole(const parse *p)
{
    if (p->from->unchecked || p->command->check == NULL) {
        return PQL_OK;
    }
    const pql_status status = p->command->check(p->out, p->err);
    if (status != PQL_OK) {
        tell_places(p, p->err);
    }
    return status;
}

pql_status pqi_options_parse(const pqi_command *command, const pqi_sources *from, void *out,
                             pqi_settings *settings, bool *help, pql_error *err)
{
    pql_error own = {0};
    parse p = {.command = command,
               .from = from,
               .out = out,
               .settings = settings,
               .err = err != NULL ? err : &own};
    *help = false;
    memset(out, 0, command->options_size);
    pql_status status = take_words(&p, help);
    if (status != PQL_OK || *help) {
        return status;
    }
    status = fill_from_layers(&p);
    return status == PQL_OK ? check_whole(&p) : status;
}
