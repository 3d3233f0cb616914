#include "cmd/option_value.h"

#include "base/values.h"

#include <stdio.h>
#include <string.h>

static void *member(void *options, const pqi_option *o)
{
    return (char *)options + o->at;
}

static pql_status put_flag(const pqi_option *o, void *options, const char *value, pql_error *err)
{
    const bool on = strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
    if (!on && strcmp(value, "false") != 0 && strcmp(value, "0") != 0) {
        return pqi_fail(err, PQL_E_USAGE, "It must be true or false.");
    }
    *(bool *)member(options, o) = on;
    return PQL_OK;
}

static pql_status put_text(const pqi_option *o, void *options, const char *value, pql_error *err)
{
    if (value[0] == '\0') {
        return pqi_fail(err, PQL_E_USAGE, "It must not be empty.");
    }
    *(const char **)member(options, o) = value;
    return PQL_OK;
}

static pql_status put_dir(const pqi_option *o, void *options, const char *value, pql_error *err)
{
    pqi_dir *dir = member(options, o);
    const size_t len = strlen(value);
    if (len == 0 || len >= sizeof(dir->text)) {
        return pqi_fail(err, PQL_E_USAGE, "It must have from 1 to %zu characters.",
                        sizeof(dir->text) - 1);
    }
    memcpy(dir->text, value, len + 1);
    return PQL_OK;
}

/* All choices of an option fit: a list that ends in half a name would invite to type it. */
#define CHOICES_SHOWN 256

static pql_status put_choice(const pqi_option *o, void *options, const char *value, pql_error *err)
{
    char list[CHOICES_SHOWN] = "";
    for (unsigned i = 0; o->choices[i] != NULL; i++) {
        if (strcmp(value, o->choices[i]) == 0) {
            if (o->kind == PQI_OPTION_EITHER) {
                *(bool *)member(options, o) = i == 1;
            } else {
                memcpy(member(options, o), &i, sizeof(i));
            }
            return PQL_OK;
        }
        const size_t used = strlen(list);
        (void)snprintf(list + used, sizeof(list) - used, "%s%s", i == 0 ? "" : ", ", o->choices[i]);
    }
    return pqi_fail(err, PQL_E_USAGE, "It must be one of: %s.", list);
}

pql_status pqi_option_put(const pqi_option *option, void *options, const char *value,
                          pql_error *err)
{
    const pqi_option *o = option;
    switch (o->kind) {
    case PQI_OPTION_FLAG:
        return put_flag(o, options, value, err);
    case PQI_OPTION_TEXT:
    case PQI_OPTION_FILE:
        return put_text(o, options, value, err);
    case PQI_OPTION_DIR:
        return put_dir(o, options, value, err);
    case PQI_OPTION_NUMBER:
        return pqi_number_parse(member(options, o), value, o->min, o->max, err);
    case PQI_OPTION_DURATION:
        return pqi_duration_parse(member(options, o), value, o->min, o->max, err);
    case PQI_OPTION_CHOICE:
    case PQI_OPTION_EITHER:
        return put_choice(o, options, value, err);
    case PQI_OPTION_URL:
        return pqi_url_parse(member(options, o), value, err);
    case PQI_OPTION_ENDPOINT:
        return pqi_endpoint_parse(member(options, o), value, err);
    case PQI_OPTION_CUSTOM:
        return o->parse(options, value, err);
    }
    return pqi_fail(err, PQL_E_STATE, "The option table is broken.");
}
