#include "cmd/options.h"

#include "base/values.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Longest part of a user's value that an error message repeats. */
#define SHOWN_MAX 80

/* One parse under way. */
typedef struct parse {
    const pqi_command *command;
    pqi_env env;
    void *out;
    uint64_t given; /* bit i: option i stood on the command line */
    pql_error *err;
} parse;

static void *member(const parse *p, size_t at)
{
    return (char *)p->out + at;
}

/* Where a value came from, for messages: "--listen" or "PQLINK_NODE". */
typedef struct source {
    const char *prefix;
    const char *name;
} source;

static pql_status put_text(const parse *p, const pqi_option *o, const char *value)
{
    if (value[0] == '\0') {
        return pqi_fail(p->err, PQL_E_USAGE, "It must not be empty.");
    }
    *(const char **)member(p, o->at) = value;
    return PQL_OK;
}

static pql_status put_dir(const parse *p, const pqi_option *o, const char *value)
{
    pqi_dir *dir = member(p, o->at);
    const size_t len = strlen(value);
    if (len == 0 || len >= sizeof(dir->text)) {
        return pqi_fail(p->err, PQL_E_USAGE, "It must have from 1 to %zu characters.",
                        sizeof(dir->text) - 1);
    }
    memcpy(dir->text, value, len + 1);
    return PQL_OK;
}

static pql_status put_choice(const parse *p, const pqi_option *o, const char *value)
{
    char list[SHOWN_MAX] = "";
    for (unsigned i = 0; o->choices[i] != NULL; i++) {
        if (strcmp(value, o->choices[i]) == 0) {
            memcpy(member(p, o->at), &i, sizeof(i));
            return PQL_OK;
        }
        const size_t used = strlen(list);
        (void)snprintf(list + used, sizeof(list) - used, "%s%s", i == 0 ? "" : ", ", o->choices[i]);
    }
    return pqi_fail(p->err, PQL_E_USAGE, "It must be one of: %s.", list);
}

static pql_status put_value(const parse *p, const pqi_option *o, const char *value)
{
    switch (o->kind) {
    case PQI_OPTION_FLAG:
        *(bool *)member(p, o->at) = true;
        return PQL_OK;
    case PQI_OPTION_TEXT:
    case PQI_OPTION_FILE:
        return put_text(p, o, value);
    case PQI_OPTION_DIR:
        return put_dir(p, o, value);
    case PQI_OPTION_NUMBER:
        return pqi_number_parse(member(p, o->at), value, o->min, o->max, p->err);
    case PQI_OPTION_DURATION:
        return pqi_duration_parse(member(p, o->at), value, o->min, o->max, p->err);
    case PQI_OPTION_CHOICE:
        return put_choice(p, o, value);
    case PQI_OPTION_URL:
        return pqi_url_parse(member(p, o->at), value, p->err);
    case PQI_OPTION_ENDPOINT:
        return pqi_endpoint_parse(member(p, o->at), value, p->err);
    case PQI_OPTION_CUSTOM:
        return o->parse(p->out, value, p->err);
    }
    return pqi_fail(p->err, PQL_E_STATE, "The option table is broken.");
}

static pql_status put(const parse *p, const pqi_option *o, const char *value, source from)
{
    const pql_status status = put_value(p, o, value);
    if (status == PQL_OK) {
        return PQL_OK;
    }
    return pqi_fail_context(p->err, PQL_E_USAGE, "The value '%.*s' of %s%s does not fit", SHOWN_MAX,
                            value, from.prefix, from.name);
}

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
    const char *names[PQI_OPTIONS_MAX + 1];
    char typed[SHOWN_MAX];
    size_t count = 0;
    for (size_t i = 0; i < p->command->option_count && count < PQI_OPTIONS_MAX; i++) {
        if (!p->command->options[i].hidden) {
            names[count++] = p->command->options[i].name;
        }
    }
    names[count++] = "help";
    (void)snprintf(typed, sizeof(typed), "%.*s", (int)(len < SHOWN_MAX ? len : SHOWN_MAX - 1),
                   name);
    const char *meant = pqi_suggest(typed, names, count);
    if (meant == NULL) {
        return pqi_fail(p->err, PQL_E_USAGE, "There is no option --%s.", typed);
    }
    return pqi_fail(p->err, PQL_E_USAGE, "There is no option --%s; did you mean --%s?", typed,
                    meant);
}

static pql_status note_given(parse *p, const pqi_option *o)
{
    const uint64_t bit = UINT64_C(1) << (size_t)(o - p->command->options);
    if ((p->given & bit) != 0 && !o->repeatable) {
        return pqi_fail(p->err, PQL_E_USAGE, "Option --%s is given twice.", o->name);
    }
    p->given |= bit;
    return PQL_OK;
}

/* Handles the option at argv[*i], and moves *i over a value that stands in the next word. */
static pql_status take_option(parse *p, int argc, char *const argv[], int *i)
{
    const char *name = argv[*i] + 2;
    const char *equals = strchr(name, '=');
    const size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const pqi_option *o = option_find(p->command, name, len);
    const char *value = equals != NULL ? equals + 1 : NULL;
    if (o == NULL) {
        return fail_unknown(p, name, len);
    }
    if (o->kind == PQI_OPTION_FLAG && value != NULL) {
        return pqi_fail(p->err, PQL_E_USAGE, "Option --%s takes no value.", o->name);
    }
    if (o->kind != PQI_OPTION_FLAG && value == NULL) {
        const char *next = *i + 1 < argc ? argv[*i + 1] : NULL;
        if (next == NULL || strncmp(next, "--", 2) == 0) {
            return pqi_fail(p->err, PQL_E_USAGE,
                            "Option --%s needs a value; write --%s %s (or --%s=%s when it begins "
                            "with two dashes).",
                            o->name, o->name, o->arg, o->name, o->arg);
        }
        value = next;
        ++*i;
    }
    const pql_status status = note_given(p, o);
    return status != PQL_OK ? status
                            : put(p, o, value != NULL ? value : "", (source){"--", o->name});
}

static pql_status take_operand(const parse *p, const char *word)
{
    if (p->command->operands == NULL) {
        return pqi_fail(p->err, PQL_E_USAGE,
                        "The word '%.*s' is not expected here; options begin with two dashes.",
                        SHOWN_MAX, word);
    }
    pqi_operands *operands = member(p, p->command->operands_at);
    if (operands->count == PQI_OPERANDS_MAX) {
        return pqi_fail(p->err, PQL_E_USAGE, "The word '%.*s' is one too many.", SHOWN_MAX, word);
    }
    operands->items[operands->count++] = word;
    return PQL_OK;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static pql_status take_words(parse *p, int argc, char *const argv[], bool *help)
{
    bool only_operands = false;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
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
                              "There is no option %.*s; options begin with two dashes.", SHOWN_MAX,
                              word);
        } else {
            status = take_option(p, argc, argv, &i);
        }
        if (status != PQL_OK) {
            return status;
        }
    }
    return PQL_OK;
}

static void fill_default_dir(const parse *p, pqi_dir *dir)
{
    const char *state = p->env("XDG_STATE_HOME");
    const char *home = p->env("HOME");
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

/* Gives a value to an option that did not stand on the command line. */
static pql_status fill_absent(const parse *p, const pqi_option *o)
{
    const char *value = o->env != NULL ? p->env(o->env) : NULL;
    if (value != NULL && value[0] != '\0') {
        return put(p, o, value, (source){"the environment variable ", o->env});
    }
    if (o->fallback != NULL) {
        return put(p, o, o->fallback, (source){"the default of --", o->name});
    }
    if (o->required) {
        return pqi_fail(p->err, PQL_E_USAGE, "Option --%s %s is required.", o->name, o->arg);
    }
    if (o->kind == PQI_OPTION_DIR) {
        fill_default_dir(p, member(p, o->at));
    }
    return PQL_OK;
}

static pql_status fill_rest(const parse *p)
{
    for (size_t i = 0; i < p->command->option_count; i++) {
        const pqi_option *o = &p->command->options[i];
        const bool given = (p->given & (UINT64_C(1) << i)) != 0;
        if (given && o->kind == PQI_OPTION_DIR) {
            ((pqi_dir *)member(p, o->at))->typed = true;
        }
        const pql_status status = given ? PQL_OK : fill_absent(p, o);
        if (status != PQL_OK) {
            return status;
        }
    }
    return PQL_OK;
}

pql_status pqi_options_parse(const pqi_command *command, int argc, char *const argv[], pqi_env env,
                             void *out, bool *help, pql_error *err)
{
    pql_error own = {0};
    parse p = {.command = command, .env = env, .out = out, .err = err != NULL ? err : &own};
    *help = false;
    memset(out, 0, command->options_size);
    pql_status status = take_words(&p, argc, argv, help);
    if (status != PQL_OK || *help) {
        return status;
    }
    status = fill_rest(&p);
    if (status == PQL_OK && command->check != NULL) {
        status = command->check(out, err);
    }
    return status;
}
