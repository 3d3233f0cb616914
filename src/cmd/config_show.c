#include "cmd/config_show.h"

#include "base/buf.h"
#include "base/text.h"
#include "cmd/config.h"
#include "cmd/security_alias.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Column at which the places of values begin, where they fit before it. */
#define PLACE_COLUMN 44
#define HIDDEN "(hidden)"

/* Appends a basic string of TOML. */
static void add_string(pqi_buf *line, const char *text)
{
    (void)pqi_buf_append(line, "\"", 1);
    while (*text != '\0') {
        uint32_t point = 0;
        const size_t len = pqi_utf8_read(text, &point);
        if (len == 0 || pqi_char_is_control(point)) {
            (void)pqi_buf_printf(line, "\\u%04X", len == 0 ? 0xfffdU : (unsigned)point);
        } else {
            (void)pqi_buf_printf(line, "%s%.*s", point == '"' || point == '\\' ? "\\" : "",
                                 (int)len, text);
        }
        text += len == 0 ? 1 : len;
    }
    (void)pqi_buf_append(line, "\"", 1);
}

static bool flag_is_on(const char *text)
{
    return strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
}

static void add_value(pqi_buf *line, const pqi_option *o, const char *text)
{
    if (o->kind == PQI_OPTION_FLAG) {
        (void)pqi_buf_printf(line, "%s", flag_is_on(text) ? "true" : "false");
    } else if (o->kind == PQI_OPTION_NUMBER) {
        (void)pqi_buf_printf(line, "%llu", strtoull(text, NULL, 10));
    } else {
        add_string(line, text);
    }
}

static void add_setting(pqi_buf *line, const pqi_option *o, const pqi_setting *s)
{
    if (o->secret) {
        (void)pqi_buf_printf(line, HIDDEN);
        return;
    }
    (void)pqi_buf_printf(line, "%s", o->repeatable ? "[" : "");
    for (size_t i = 0; i < s->count; i++) {
        (void)pqi_buf_printf(line, "%s", i == 0 ? "" : ", ");
        add_value(line, o, s->values[i]);
    }
    (void)pqi_buf_printf(line, "%s", o->repeatable ? "]" : "");
}

void pqi_config_place(char *out, size_t size, const pqi_setting *setting, const char *file)
{
    const pqi_setting *s = setting;
    switch (s->layer) {
    case PQI_LAYER_UNSET:
        (void)snprintf(out, size, "unset");
        break;
    case PQI_LAYER_DEFAULT:
        (void)snprintf(out, size, "default");
        break;
    case PQI_LAYER_FILE:
        (void)snprintf(out, size, "%s:%u%s%s", file, s->line,
                       s->alias != NULL ? " [" PQI_SECURITY_TABLE "] " : "",
                       s->alias != NULL ? s->alias : "");
        break;
    case PQI_LAYER_ENV:
        (void)snprintf(out, size, "environment %s", s->env);
        break;
    case PQI_LAYER_TYPED:
        (void)snprintf(out, size, "command line");
        break;
    }
}

static void show_option(FILE *out, const pqi_command *command, const pqi_option *o,
                        const pqi_setting *s, const char *file)
{
    char key[PQI_CONFIG_NAME_SIZE];
    char place[PATH_MAX + PQI_ENV_NAME_SIZE];
    pqi_buf line = {0};
    const bool unset = s->layer == PQI_LAYER_UNSET;
    const bool comment =
        (unset && o->kind != PQI_OPTION_FLAG) || o->secret || !pqi_config_has_key(command, o);
    pqi_config_name(key, o->name);
    (void)pqi_buf_printf(&line, "%s%s = ", comment ? "# " : "", key);
    if (unset) {
        (void)pqi_buf_printf(&line, "%s", o->kind == PQI_OPTION_FLAG ? "false" : "");
    } else {
        add_setting(&line, o, s);
    }
    const int pad = (int)line.len < PLACE_COLUMN ? PLACE_COLUMN - (int)line.len : 0;
    (void)pqi_buf_printf(&line, "%*s  # ", pad, "");
    pqi_config_place(place, sizeof(place), s, file);
    fprintf(out, "%s%s%s\n", line.data != NULL ? (const char *)line.data : "", place,
            o->typed_only ? "; only on the command line" : "");
    pqi_buf_free(&line);
}

void pqi_config_show_text(FILE *out, const pqi_command *command, const pqi_settings *settings)
{
    char table[PQI_CONFIG_NAME_SIZE];
    pqi_config_name(table, command->name);
    fprintf(out, "[%s]\n", table);
    for (size_t i = 0; i < command->option_count; i++) {
        if (!command->options[i].hidden) {
            show_option(out, command, &command->options[i], &settings->of[i], settings->file);
        }
    }
}

static json_t *value_json(const pqi_option *o, const char *text)
{
    if (o->secret) {
        return json_string(HIDDEN);
    }
    if (o->kind == PQI_OPTION_FLAG) {
        return json_boolean(flag_is_on(text));
    }
    /* As a text: a JSON number of many readers has 53 bits only. */
    return json_string(text);
}

static json_t *values_json(const pqi_option *o, const pqi_setting *s)
{
    if (!o->repeatable) {
        return s->count == 0 ? json_null() : value_json(o, s->values[0]);
    }
    json_t *list = json_array();
    for (size_t i = 0; i < s->count; i++) {
        (void)json_array_append_new(list, value_json(o, s->values[i]));
    }
    return list;
}

static json_t *setting_json(const pqi_option *o, const pqi_setting *s, const char *file)
{
    static const char *const layers[] = {"unset", "default", "file", "environment", "command line"};
    json_t *object = json_pack("{s:o?, s:s}", "value", values_json(o, s), "from", layers[s->layer]);
    if (object != NULL && s->layer == PQI_LAYER_FILE) {
        (void)json_object_set_new(object, "file", json_string(file));
        (void)json_object_set_new(object, "line", json_integer((json_int_t)s->line));
        (void)json_object_set_new(object, "column", json_integer((json_int_t)s->column));
        if (s->alias != NULL) {
            (void)json_object_set_new(object, "alias", json_string(s->alias));
        }
    } else if (object != NULL && s->layer == PQI_LAYER_ENV) {
        (void)json_object_set_new(object, "variable", json_string(s->env));
    }
    return object;
}

json_t *pqi_config_show_json(const pqi_command *command, const pqi_settings *settings)
{
    json_t *table = json_object();
    for (size_t i = 0; i < command->option_count; i++) {
        const pqi_option *o = &command->options[i];
        char key[PQI_CONFIG_NAME_SIZE];
        pqi_config_name(key, o->name);
        if (!o->hidden) {
            (void)json_object_set_new(table, key,
                                      setting_json(o, &settings->of[i], settings->file));
        }
    }
    return table;
}
