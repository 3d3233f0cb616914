#include "cmd/status_json.h"

#include "base/error.h"

#include <stdlib.h>

pql_status pqi_status_json_add(pqi_buf *out, const char *name, json_t *value, pql_error *err)
{
    char *text = value == NULL ? NULL : json_dumps(value, JSON_COMPACT);
    json_decref(value);
    const bool object = out->len > 0 && out->data[out->len - 1] == '}';
    if (object) {
        out->len--;
    }
    const bool ok = text != NULL && object && pqi_buf_printf(out, ",\"%s\":%s}", name, text);
    free(text);
    return ok ? PQL_OK : pqi_fail(err, PQL_E_NOMEM, "Out of memory writing the status.");
}
