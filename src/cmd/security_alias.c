#include "cmd/security_alias.h"

#include "base/error.h"
#include "base/values.h"
#include "cmd/commands.h"
#include "cmd/config.h"

#include <pqlink/policy.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Longest part of a value, and of a file's name, that a sentence repeats. */
#define TEXT_SHOWN 40
#define FILE_SHOWN 160
/* "pq_hybrid = false in FILE:LINE:COLUMN" */
#define PLACE_SIZE (FILE_SHOWN + TEXT_SHOWN + 128)

typedef enum alias_id { HYBRID, ONLY, SIGN_ALGO, ROTATION_DAYS, PERSIST, ALIASES } alias_id;
typedef enum level { FROM_FILE, FROM_ENV, LEVELS } level;

static const char policy_option[] = "policy";
static const char sign_ours[] = "ml-dsa";
static const char sign_tokens_only[] = "slh-dsa";

static const pqi_alias aliases[ALIASES] = {
    [HYBRID] = {.key = "pq_hybrid",
                .variable = "PQ_HYBRID",
                .option = policy_option,
                .type = "true|false",
                .help = "true: the policy is hybrid, or a stricter one that is set elsewhere.  "
                        "false: it is off."},
    [ONLY] = {.key = "pq_only",
              .variable = "PQ_ONLY",
              .option = policy_option,
              .type = "true|false",
              .help = "true: the policy is pq-only.  false: it is hybrid, or off where that is set "
                      "elsewhere."},
    [SIGN_ALGO] = {.key = "pq_sign_algo",
                   .variable = "PQ_SIGN_ALGO",
                   .option = policy_option,
                   .type = "string",
                   .help = "ml-dsa is what links are signed with.  slh-dsa is refused by every "
                           "command with links: TLS does not have it.  It works for capability "
                           "tokens."},
    [ROTATION_DAYS] = {.key = "key_rotation_days",
                       .variable = "KEY_ROTATION_DAYS",
                       .option = "key-rotation-days",
                       .type = "number",
                       .help = "The same as --key-rotation-days."},
    [PERSIST] = {.variable = "MICRO_PERSIST",
                 .option = "amnesia",
                 .type = "true|false",
                 .help = "0 is --amnesia, 1 is --amnesia=false."},
};

const pqi_alias *pqi_security_alias(size_t i)
{
    return i < ALIASES ? &aliases[i] : NULL;
}

static const pqi_option *option_of(const pqi_command *command, const char *name)
{
    for (size_t i = 0; i < command->option_count; i++) {
        const pqi_option *o = &command->options[i];
        if (strcmp(o->name, name) == 0 && pqi_config_has_key(command, o)) {
            return o;
        }
    }
    return NULL;
}

bool pqi_security_alias_works(const pqi_alias *alias)
{
    size_t count = 0;
    const pqi_command *const *commands = pqi_commands(&count);
    for (size_t i = 0; i < count; i++) {
        if (option_of(commands[i], alias->option) != NULL) {
            return true;
        }
    }
    return false;
}

bool pqi_security_alias_is_key(const char *key)
{
    for (size_t i = 0; i < ALIASES; i++) {
        if (aliases[i].key != NULL && strcmp(aliases[i].key, key) == 0) {
            return pqi_security_alias_works(&aliases[i]);
        }
    }
    return false;
}

/* ---- What somebody said, and where ---- */

typedef struct word {
    const char *text;            /* NULL: nobody said anything */
    const char *name;            /* key or variable */
    const pqi_conf_entry *entry; /* NULL: the environment */
    bool on;                     /* of a boolean */
} word;

/* All that is said about one option. */
typedef struct words {
    const pqi_alias_question *q;
    word aliases[ALIASES][LEVELS];
    word own[LEVELS];
    pql_error *err;
} words;

/* "pq_only = true", and where it stands unless it is the place that the message begins with. */
static void describe(const words *w, const word *said, bool begins, char out[PLACE_SIZE])
{
    const pqi_conf_entry *e = said->entry;
    if (e == NULL) {
        (void)snprintf(out, PLACE_SIZE, "%s=%.*s in the environment", said->name, TEXT_SHOWN,
                       said->text);
        return;
    }
    const char *quote = e->kind == PQI_CONF_STRING ? "\"" : "";
    const int n = snprintf(out, PLACE_SIZE, "%s = %s%.*s%s", said->name, quote, TEXT_SHOWN,
                           said->text, quote);
    if (!begins) {
        (void)snprintf(out + n, PLACE_SIZE - (size_t)n, " in %.*s:%u:%u", FILE_SHOWN,
                       w->q->conf->file, e->line, e->column);
    }
}

/* Puts "FILE:LINE:COLUMN" before the message when the word stands in the file. */
static pql_status fail_in_place(const words *w, const word *said)
{
    return said->entry == NULL
               ? PQL_E_USAGE
               : pqi_fail_context(w->err, PQL_E_USAGE, "%.*s:%u:%u", FILE_SHOWN, w->q->conf->file,
                                  said->entry->line, said->entry->column);
}

static pql_status fail_pair(const words *w, const word *a, const word *b, const char *why)
{
    char first[PLACE_SIZE];
    char second[PLACE_SIZE];
    const bool swap = a->entry == NULL && b->entry != NULL;
    const word *begins = swap ? b : a;
    describe(w, begins, true, first);
    describe(w, swap ? a : b, false, second);
    (void)pqi_fail(w->err, PQL_E_USAGE,
                   "%s and %s contradict each other: %s  Leave one of them "
                   "out.",
                   first, second, why);
    return fail_in_place(w, begins);
}

static pql_status fail_word(const words *w, const word *said, const char *wanted)
{
    char text[PLACE_SIZE];
    describe(w, said, true, text);
    (void)pqi_fail(w->err, PQL_E_USAGE, "%s: it must be %s.", text, wanted);
    return fail_in_place(w, said);
}

/* ---- Reading ---- */

static bool is_one_of(const char *text, const char *const *list)
{
    for (; *list != NULL; list++) {
        if (strcasecmp(text, *list) == 0) {
            return true;
        }
    }
    return false;
}

/* The words of the family of programs that these names come from, but none of theirs that turns
 * what it does not know into false. */
static pql_status read_boolean(const words *w, word *said)
{
    static const char *const on[] = {"1", "true", "yes", "on", NULL};
    static const char *const off[] = {"0", "false", "no", "off", NULL};
    said->on = is_one_of(said->text, on);
    return said->on || is_one_of(said->text, off)
               ? PQL_OK
               : fail_word(w, said, "1, true, yes or on, or 0, false, no or off");
}

static pql_status read_number(const words *w, const word *said)
{
    const pqi_option *o = w->q->option;
    const bool quoted = said->entry != NULL && said->entry->kind != PQI_CONF_INTEGER;
    char wanted[TEXT_SHOWN * 2];
    uint64_t value = 0;
    if (!quoted && pqi_number_parse(&value, said->text, o->min, o->max, NULL) == PQL_OK) {
        return PQL_OK;
    }
    (void)snprintf(wanted, sizeof(wanted), "a whole number from %" PRIu64 " to %" PRIu64 "%s",
                   o->min, o->max, quoted ? ", without quotes" : "");
    return fail_word(w, said, wanted);
}

static pql_status read_algorithm(const words *w, const word *said)
{
    return strcmp(said->text, sign_ours) == 0 || strcmp(said->text, sign_tokens_only) == 0
               ? PQL_OK
               : fail_word(w, said, "ml-dsa or slh-dsa");
}

static pql_status read_word(const words *w, alias_id id, word *said)
{
    const pqi_conf_entry *e = said->entry;
    if (e != NULL && (e->in_array || e->kind == PQI_CONF_EMPTY)) {
        return fail_word(w, said, "one value, not an array");
    }
    switch (id) {
    case SIGN_ALGO:
        return read_algorithm(w, said);
    case ROTATION_DAYS:
        return read_number(w, said);
    default:
        return read_boolean(w, said);
    }
}

static pql_status read_alias(words *w, alias_id id)
{
    const pqi_alias *alias = &aliases[id];
    const pqi_conf_entry *entry = NULL;
    const char *env = w->q->env(alias->variable);
    if (alias->key != NULL && w->q->conf != NULL) {
        entry = pqi_config_entry(w->q->conf, PQI_SECURITY_TABLE, alias->key);
    }
    if (entry != NULL) {
        w->aliases[id][FROM_FILE] = (word){.text = entry->text, .name = alias->key, .entry = entry};
    }
    if (env != NULL && env[0] != '\0') {
        w->aliases[id][FROM_ENV] = (word){.text = env, .name = alias->variable};
    }
    for (level l = FROM_FILE; l < LEVELS; l++) {
        word *said = &w->aliases[id][l];
        const pql_status status = said->text == NULL ? PQL_OK : read_word(w, id, said);
        if (status != PQL_OK) {
            return status;
        }
    }
    return PQL_OK;
}

/* True when the alias is about the option that is asked about. */
static bool concerns(const words *w, alias_id id)
{
    return strcmp(aliases[id].option, w->q->option->name) == 0;
}

static pql_status read_all(words *w, char key[PQI_CONFIG_NAME_SIZE])
{
    const pqi_alias_question *q = w->q;
    pqi_config_name(key, q->option->name);
    if (q->own_entry != NULL) {
        w->own[FROM_FILE] = (word){.text = q->own_entry->text, .name = key, .entry = q->own_entry};
    }
    if (q->own_env != NULL) {
        w->own[FROM_ENV] = (word){.text = q->own_env, .name = q->own_variable};
    }
    pql_status status = PQL_OK;
    for (alias_id id = 0; id < ALIASES && status == PQL_OK; id++) {
        status = concerns(w, id) ? read_alias(w, id) : PQL_OK;
    }
    return status;
}

/* ---- Meaning ---- */

/* The alias as it stands on the highest level where it does; NULL: nowhere. */
static const word *in_force(const words *w, alias_id id)
{
    const word *said = w->aliases[id];
    return said[FROM_ENV].text != NULL    ? &said[FROM_ENV]
           : said[FROM_FILE].text != NULL ? &said[FROM_FILE]
                                          : NULL;
}

static bool policy_fits(alias_id id, bool on, const char *value)
{
    pql_policy policy = PQL_POLICY_HYBRID;
    if (pql_policy_parse(&policy, value, NULL) != PQL_OK) {
        return true; /* whoever reads the option says what is wrong */
    }
    return on == (id == ONLY ? pql_policy_needs_pq(policy) : pql_policy_wants_pq(policy));
}

/* True when a |value| of the option does what the alias says. */
static bool fits(alias_id id, const word *said, const char *value)
{
    uint64_t a = 0;
    uint64_t b = 0;
    switch (id) {
    case HYBRID:
    case ONLY:
        return policy_fits(id, said->on, value);
    case PERSIST:
        return said->on != (strcmp(value, "true") == 0 || strcmp(value, "1") == 0);
    case ROTATION_DAYS:
        (void)pqi_number_parse(&a, said->text, 0, UINT64_MAX, NULL); /* read_number had a look */
        return pqi_number_parse(&b, value, 0, UINT64_MAX, NULL) != PQL_OK || a == b;
    default:
        return true;
    }
}

/* The value of the option that does what the alias says. */
static const char *meaning(alias_id id, const word *said)
{
    switch (id) {
    case ONLY:
        return said->on ? "pq-only" : "hybrid";
    case HYBRID:
        return said->on ? "hybrid" : "off";
    case PERSIST:
        return said->on ? "false" : "true";
    default:
        return said->text;
    }
}

static pql_status check_pair(const words *w, const word *only, const word *hybrid)
{
    if (only == NULL || hybrid == NULL || only->text == NULL || hybrid->text == NULL || !only->on ||
        hybrid->on) {
        return PQL_OK;
    }
    return fail_pair(w, only, hybrid, "without ML-KEM nothing is left to be had.");
}

static pql_status check_aliases(const words *w)
{
    pql_status status = PQL_OK;
    for (level l = FROM_FILE; l < LEVELS && status == PQL_OK; l++) {
        status = check_pair(w, &w->aliases[ONLY][l], &w->aliases[HYBRID][l]);
    }
    return status == PQL_OK ? check_pair(w, in_force(w, ONLY), in_force(w, HYBRID)) : status;
}

static pql_status check_own(const words *w, level l)
{
    for (alias_id id = 0; id < ALIASES && w->own[l].text != NULL; id++) {
        const word *said = &w->aliases[id][l];
        if (said->text != NULL && !fits(id, said, w->own[l].text)) {
            return fail_pair(w, said, &w->own[l], "they are two names of one setting.");
        }
    }
    return PQL_OK;
}

static level level_of(const word *said)
{
    return said->entry != NULL ? FROM_FILE : FROM_ENV;
}

/* The aliases that stand above the option's own names, of which |base| is the value: the one that
 * the value has to follow; NULL: none, |base| stays. */
static const word *follow(const words *w, const char *base, bool above_file, alias_id *which)
{
    /* What leaves no choice comes before what only rules a value out. */
    static const alias_id order[] = {ONLY, HYBRID, ROTATION_DAYS, PERSIST};
    const word *found = NULL;
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        const alias_id id = order[i];
        const word *said = in_force(w, id);
        if (said == NULL || (above_file && level_of(said) == FROM_FILE) || fits(id, said, base)) {
            continue;
        }
        const bool firm = id != ONLY || said->on;
        if (found == NULL || firm) {
            found = said;
            *which = id;
        }
        if (firm) {
            break;
        }
    }
    return found;
}

/* With nothing but the default below: the alias that says the same, for those who ask where the
 * value comes from. */
static const word *confirm(const words *w, alias_id *which)
{
    const word *found = NULL;
    for (alias_id id = 0; id < ALIASES; id++) {
        const word *said = id == SIGN_ALGO ? NULL : in_force(w, id);
        if (said != NULL && (found == NULL || level_of(said) > level_of(found))) {
            found = said;
            *which = id;
        }
    }
    return found;
}

static void answer(const words *w, pqi_alias_answer *out)
{
    const bool file = w->own[FROM_FILE].text != NULL;
    const char *fallback = w->q->option->fallback;
    const char *base = file ? w->own[FROM_FILE].text : fallback != NULL ? fallback : "false";
    alias_id id = ALIASES;
    if (w->q->typed || w->own[FROM_ENV].text != NULL) {
        return; /* nothing stands above */
    }
    const word *said = follow(w, base, file, &id);
    const char *value = said != NULL ? meaning(id, said) : base;
    if (said == NULL && !file) {
        said = confirm(w, &id);
    }
    if (said == NULL) {
        return;
    }
    *out = (pqi_alias_answer){.value = value,
                              .name = said->name,
                              .layer = said->entry != NULL ? PQI_LAYER_FILE : PQI_LAYER_ENV,
                              .line = said->entry != NULL ? said->entry->line : 0,
                              .column = said->entry != NULL ? said->entry->column : 0};
}

pql_status pqi_security_alias_find(pqi_alias_answer *out, const pqi_alias_question *question,
                                   pql_error *err)
{
    pql_error own = {0};
    char key[PQI_CONFIG_NAME_SIZE];
    words w = {.q = question, .err = err != NULL ? err : &own};
    *out = (pqi_alias_answer){0};
    if (!pqi_config_has_key(question->command, question->option)) {
        return PQL_OK;
    }
    pql_status status = read_all(&w, key);
    if (status == PQL_OK) {
        status = check_aliases(&w);
    }
    for (level l = FROM_FILE; l < LEVELS && status == PQL_OK; l++) {
        status = check_own(&w, l);
    }
    if (status == PQL_OK) {
        answer(&w, out);
    }
    return status;
}

pql_status pqi_security_alias_check_links(const pqi_command *command, const pqi_conf *conf,
                                          pqi_env env, pql_error *err)
{
    const pqi_option *policy = option_of(command, policy_option);
    const pqi_alias_question question = {
        .command = command, .option = policy, .conf = conf, .env = env};
    pql_error own = {0};
    words w = {.q = &question, .err = err != NULL ? err : &own};
    if (policy == NULL) {
        return PQL_OK;
    }
    const pql_status status = read_alias(&w, SIGN_ALGO);
    const word *said = in_force(&w, SIGN_ALGO);
    if (status != PQL_OK || said == NULL || strcmp(said->text, sign_ours) == 0) {
        return status;
    }
    char text[PLACE_SIZE];
    describe(&w, said, true, text);
    (void)pqi_fail(w.err, PQL_E_USAGE,
                   "%s: no TLS has SLH-DSA certificates, so no link can be signed with it.  It "
                   "works for capability tokens (pqlink token).  Write ml-dsa, or leave it out.",
                   text);
    return fail_in_place(&w, said);
}
