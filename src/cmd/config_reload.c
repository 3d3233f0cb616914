#include "cmd/config_reload.h"

#include "base/log.h"
#include "cmd/config.h"
#include "cmd/config_show.h"
#include "cmd/option_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longest list of values of one option, and the longest value in it; the rest is cut. */
#define LIST_SIZE 512
#define VALUE_SHOWN 64

static struct {
    const pqi_command *command;
    pqi_sources from;
    pqi_settings *settings;
} started;

void pqi_config_started(const pqi_command *command, const pqi_sources *from, pqi_settings *settings)
{
    started.command = command;
    started.from = *from;
    started.settings = settings;
}

void pqi_config_started_place(char *out, size_t size, const char *option)
{
    out[0] = '\0';
    for (size_t i = 0; started.command != NULL && i < started.command->option_count; i++) {
        if (strcmp(started.command->options[i].name, option) == 0) {
            pqi_config_place(out, size, &started.settings->of[i], started.settings->file);
        }
    }
}

pqi_env pqi_config_started_env(void)
{
    return started.from.env;
}

static bool same_values(const pqi_setting *a, const pqi_setting *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; i < a->count && same; i++) {
        same = strcmp(a->values[i], b->values[i]) == 0;
    }
    return same;
}

static void add(char list[LIST_SIZE], const char *text)
{
    const size_t used = strlen(list);
    (void)snprintf(list + used, LIST_SIZE - used, "%s", text);
}

static void add_values(char list[LIST_SIZE], const pqi_option *o, const pqi_setting *s)
{
    char shown[VALUE_SHOWN + 1];
    if (o->secret) {
        add(list, "(hidden)");
        return;
    }
    add(list, s->count == 0 ? "(unset)" : "");
    for (size_t i = 0; i < s->count; i++) {
        (void)snprintf(shown, sizeof(shown), "%s", s->values[i]);
        add(list, i == 0 ? "" : ",");
        add(list, shown);
        add(list, strlen(s->values[i]) > VALUE_SHOWN ? "..." : "");
    }
}

/* "log_level: info -> debug". */
static void add_change(pqi_changes *changes, const pqi_option *o, const pqi_setting *before,
                       const pqi_setting *after)
{
    char key[PQI_CONFIG_NAME_SIZE];
    char old[LIST_SIZE] = "";
    char new[LIST_SIZE] = "";
    pqi_config_name(key, o->name);
    add_values(old, o, before);
    add_values(new, o, after);
    pqi_changes_add(changes, "%s: %s -> %s", key, old, new);
}

struct pqi_config_reload {
    const char *service;
    void *user;
    void *options; /* those of |fresh| */
    pqi_settings *fresh;
    bool any; /* there is a file */
};

typedef pqi_config_reload reloading;

static bool has_changed(const reloading *r, size_t i)
{
    return !same_values(&started.settings->of[i], &r->fresh->of[i]);
}

static bool is_live(const pqi_option *o)
{
    return o->apply != NULL || o->change != NULL;
}

/* Puts back what was changed before option number |end| refused. */
static void undo_changes(const reloading *r, size_t end)
{
    for (size_t i = end; i-- > 0;) {
        const pqi_option *o = &started.command->options[i];
        const pqi_setting *before = &started.settings->of[i];
        pql_error err = {0};
        if (o->change == NULL || !has_changed(r, i) || before->count == 0) {
            continue;
        }
        /* It was read from the same text before. */
        pql_status status = pqi_option_put(o, r->options, before->values[0], &err);
        if (status == PQL_OK) {
            status = o->change(r->user, (const char *)r->options + o->at, &err);
        }
        if (status != PQL_OK) {
            pqi_log(PQI_LOG_ERROR, r->service, "config_not_restored", PQI_STR("option", o->name),
                    PQI_STR("reason", err.message));
        }
    }
}

/* What can fail comes first, so that nothing has changed when it does. */
static pql_status make_changes(const reloading *r, pql_error *err)
{
    for (size_t i = 0; i < started.command->option_count; i++) {
        const pqi_option *o = &started.command->options[i];
        if (o->change == NULL || !has_changed(r, i)) {
            continue;
        }
        pql_status status = o->change(r->user, (const char *)r->options + o->at, err);
        if (status != PQL_OK) {
            status = pqi_fail_context(err, status, "The new %s cannot be taken over", o->name);
            undo_changes(r, i);
            return status;
        }
    }
    return PQL_OK;
}

/* The new setting replaces the old one in what is known of the running program; the old one goes
 * away with |fresh|. */
static void take_over(const reloading *r, size_t i)
{
    const pqi_option *o = &started.command->options[i];
    const pqi_setting old = started.settings->of[i];
    if (o->apply != NULL) {
        o->apply(r->user, (const char *)r->options + o->at);
    }
    started.settings->of[i] = r->fresh->of[i];
    r->fresh->of[i] = old;
}

/* There may be a file where there was none, to which the places of settings refer. */
static void take_over_file(const reloading *r)
{
    char *old = started.settings->file;
    started.settings->file = r->fresh->file;
    r->fresh->file = old;
}

static void free_reload(pqi_config_reload *r)
{
    if (r->fresh != NULL) {
        pqi_settings_free(r->fresh);
    }
    free(r->fresh);
    free(r->options);
    free(r);
}

static pqi_config_reload *new_reload(const char *service, void *user)
{
    pqi_config_reload *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        return NULL;
    }
    *r = (pqi_config_reload){.service = service,
                             .user = user,
                             .options = calloc(1, started.command->options_size),
                             .fresh = calloc(1, sizeof(*r->fresh))};
    if (r->fresh == NULL || r->options == NULL) {
        free_reload(r);
        return NULL;
    }
    return r;
}

/* Who replaces a file may take it away first.  Defaults in the place of all that it says could be
 * weaker, so its absence is a mistake and no wish. */
static pql_status check_file(const reloading *r, pql_error *err)
{
    return r->fresh->file != NULL || started.settings->file == NULL
               ? PQL_OK
               : pqi_fail(err, PQL_E_IO,
                          "%s is gone, and what was read from it stays in force. Put it back, or "
                          "restart without it.",
                          started.settings->file);
}

pql_status pqi_config_reload_begin(pqi_config_reload **out, const char *service, void *user,
                                   pql_error *err)
{
    bool help = false;
    *out = NULL;
    if (started.command == NULL) {
        return PQL_OK; /* a service that a test runs without the program */
    }
    pqi_config_reload *r = new_reload(service, user);
    if (r == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory reading the settings again.");
    }
    pql_status status =
        pqi_options_parse(started.command, &started.from, r->options, r->fresh, &help, err);
    r->any = r->fresh->file != NULL;
    if (status == PQL_OK) {
        status = check_file(r, err);
    }
    if (status == PQL_OK && r->any) {
        status = make_changes(r, err);
    }
    if (status != PQL_OK) {
        free_reload(r);
        return status;
    }
    *out = r;
    return PQL_OK;
}

void pqi_config_reload_undo(pqi_config_reload *r)
{
    if (r != NULL) {
        if (r->any) {
            undo_changes(r, started.command->option_count);
        }
        free_reload(r);
    }
}

static void take_all(const reloading *r, pqi_changes *changed)
{
    pqi_changes waiting = {.text = ""};
    for (size_t i = 0; i < started.command->option_count; i++) {
        const pqi_option *o = &started.command->options[i];
        if (!has_changed(r, i)) {
            continue;
        }
        add_change(is_live(o) ? changed : &waiting, o, &started.settings->of[i], &r->fresh->of[i]);
        if (is_live(o)) {
            take_over(r, i);
        }
    }
    take_over_file(r);
    if (waiting.text[0] != '\0') {
        pqi_log(
            PQI_LOG_WARN, r->service, "config_needs_restart", PQI_STR("changed", waiting.text),
            PQI_STR("reason", "these settings are read at a start only; the running ones stay"));
    }
}

void pqi_config_reload_finish(pqi_config_reload *r, pqi_changes *changed)
{
    if (r != NULL) {
        if (r->any) {
            take_all(r, changed);
        }
        free_reload(r);
    }
}

void pqi_config_reload_log(const char *service, pql_status status, const pql_error *err,
                           const pqi_changes *changed)
{
    if (status == PQL_OK) {
        pqi_log(PQI_LOG_INFO, service, "reloaded", PQI_STR("changed", changed->text));
    } else {
        pqi_log(PQI_LOG_ERROR, service, "reload_refused", PQI_STR("reason", err->message));
    }
}

bool pqi_config_reload_alone(const char *service, void *user)
{
    pql_error err = {0};
    pqi_changes changed = {.text = ""};
    pqi_config_reload *r = NULL;
    const pql_status status = pqi_config_reload_begin(&r, service, user, &err);
    pqi_config_reload_finish(r, &changed);
    pqi_config_reload_log(service, status, &err, &changed);
    return status == PQL_OK;
}
