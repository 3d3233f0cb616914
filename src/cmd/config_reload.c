#include "cmd/config_reload.h"

#include "base/log.h"
#include "cmd/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longest list of changes that an event carries, and the longest value in it; the rest is cut. */
#define LIST_SIZE 1024
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
    }
}

/* Appends "log_level: info -> debug". */
static void add_change(char list[LIST_SIZE], const pqi_option *o, const pqi_setting *before,
                       const pqi_setting *after)
{
    char key[PQI_CONFIG_NAME_SIZE];
    pqi_config_name(key, o->name);
    add(list, list[0] == '\0' ? "" : "; ");
    add(list, key);
    add(list, ": ");
    add_values(list, o, before);
    add(list, " -> ");
    add_values(list, o, after);
}

/* The new value replaces the old one in the running program and in what is known of it; the old
 * setting goes away with |fresh|. */
static void take_over(size_t i, const void *options, pqi_settings *fresh, void *user)
{
    const pqi_option *o = &started.command->options[i];
    const pqi_setting old = started.settings->of[i];
    o->apply(user, (const char *)options + o->at);
    started.settings->of[i] = fresh->of[i];
    fresh->of[i] = old;
}

static void compare(const char *service, void *user, const void *options, pqi_settings *fresh)
{
    char changed[LIST_SIZE] = "";
    char waiting[LIST_SIZE] = "";
    for (size_t i = 0; i < started.command->option_count; i++) {
        const pqi_option *o = &started.command->options[i];
        const pqi_setting *before = &started.settings->of[i];
        if (same_values(before, &fresh->of[i])) {
            continue;
        }
        add_change(o->apply != NULL ? changed : waiting, o, before, &fresh->of[i]);
        if (o->apply != NULL) {
            take_over(i, options, fresh, user);
        }
    }
    pqi_log(PQI_LOG_INFO, service, "config_reloaded",
            PQI_STR("file", fresh->file != NULL ? fresh->file : ""), PQI_STR("changed", changed));
    if (waiting[0] != '\0') {
        pqi_log(
            PQI_LOG_WARN, service, "config_needs_restart", PQI_STR("changed", waiting),
            PQI_STR("reason", "these settings are read at a start only; the running ones stay"));
    }
}

void pqi_config_reload(const char *service, void *user)
{
    pql_error err = {0};
    bool help = false;
    if (started.command == NULL) {
        return; /* a service that a test runs without the program */
    }
    pqi_settings *fresh = calloc(1, sizeof(*fresh));
    void *options = calloc(1, started.command->options_size);
    if (fresh == NULL || options == NULL) {
        pqi_log(PQI_LOG_ERROR, service, "config_refused", PQI_STR("reason", "Out of memory."));
    } else if (pqi_options_parse(started.command, &started.from, options, fresh, &help, &err) !=
               PQL_OK) {
        pqi_log(PQI_LOG_ERROR, service, "config_refused", PQI_STR("reason", err.message));
    } else if (fresh->file != NULL || started.settings->file != NULL) {
        compare(service, user, options, fresh);
    }
    if (fresh != NULL) {
        pqi_settings_free(fresh);
    }
    free(fresh);
    free(options);
}
