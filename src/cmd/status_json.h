/* The JSON of /status, when several parts of the program have something to say in it. */
#ifndef PQI_CMD_STATUS_JSON_H
#define PQI_CMD_STATUS_JSON_H

#include "base/buf.h"

#include <pqlink/error.h>

#include <jansson.h>

/* Writes |value|, which it frees, as the last member |name| into the JSON object that |out| ends
 * with and that has a member already.  PQL_E_NOMEM: also when |value| is NULL, or |out| does not
 * end with an object. */
pql_status pqi_status_json_add(pqi_buf *out, const char *name, json_t *value, pql_error *err);

#endif
