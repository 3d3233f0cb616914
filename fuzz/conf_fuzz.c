/* The reader of pqlink.conf takes any bytes; what it accepts keeps the promises of its header, and
 * the names in it are checked without harm. */
#include "base/conf.h"
#include "base/text.h"
#include "cmd/commands.h"
#include "cmd/config.h"
#include "cmd/security_alias.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_entry(const pqi_conf_entry *e)
{
    const bool named = e->key[0] != '\0' || e->kind == PQI_CONF_TABLE;
    const bool digits = strspn(e->text, "0123456789") == strlen(e->text);
    for (const char *c = e->text; *c != '\0';) {
        uint32_t point = 0;
        const size_t len = pqi_utf8_read(c, &point);
        if (len == 0) {
            abort();
        }
        c += len;
    }
    if (!named || e->line == 0 || e->column == 0 || e->key_column == 0 ||
        (e->kind == PQI_CONF_INTEGER && !digits)) {
        abort();
    }
}

/* Some text of the file stands in the environment too: which one is told by the name. */
static const pqi_conf *env_conf;

static const char *text_env(const char *name)
{
    return env_conf->count == 0 ? NULL : env_conf->entries[strlen(name) % env_conf->count].text;
}

static const char *no_env(const char *name)
{
    (void)name;
    return NULL;
}

/* Whatever the aliases say: an answer, or a sentence. */
static void ask_aliases(const pqi_conf *conf, const pqi_command *command, const pqi_option *option,
                        pqi_env env)
{
    pql_error err = {0};
    pqi_alias_answer said;
    const pqi_alias_question question = {.command = command,
                                         .option = option,
                                         .conf = conf,
                                         .env = env,
                                         .own_entry = pqi_config_find(conf, command, option)};
    const pql_status status = pqi_security_alias_find(&said, &question, &err);
    if ((status != PQL_OK && (err.message[0] == '\0' || said.value != NULL)) ||
        (said.value != NULL && (said.name == NULL || said.layer < PQI_LAYER_FILE))) {
        abort();
    }
}

static void look_at_settings(const pqi_conf *conf)
{
    size_t count = 0;
    const pqi_command *const *commands = pqi_commands(&count);
    env_conf = conf;
    for (size_t c = 0; c < count; c++) {
        for (size_t i = 0; i < commands[c]->option_count; i++) {
            ask_aliases(conf, commands[c], &commands[c]->options[i], no_env);
            ask_aliases(conf, commands[c], &commands[c]->options[i], text_env);
        }
        (void)pqi_security_alias_check_links(commands[c], conf, text_env, NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pqi_conf *conf = NULL;
    pql_error err = {0};
    const pql_status status = pqi_conf_parse(&conf, "fuzz", data, size, &err);
    if ((status == PQL_OK) != (conf != NULL) || (status != PQL_OK && err.message[0] == '\0')) {
        abort();
    }
    if (conf != NULL) {
        for (size_t i = 0; i < conf->count; i++) {
            check_entry(&conf->entries[i]);
        }
        (void)pqi_config_check_names(conf, &err);
        look_at_settings(conf);
    }
    pqi_conf_free(conf);
    return 0;
}
