/* The reader of pqlink.conf takes any bytes; what it accepts keeps the promises of its header, and
 * the names in it are checked without harm. */
#include "base/conf.h"
#include "base/text.h"
#include "cmd/config.h"

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
    }
    pqi_conf_free(conf);
    return 0;
}
