/* The asking side of the control socket (admin/control.h), for commands.  Blocks. */
#ifndef PQI_CMD_CONTROL_CLIENT_H
#define PQI_CMD_CONTROL_CLIENT_H

#include "base/error.h"

#include <jansson.h>
#include <stdint.h>

/* Connects to DIR/control; *fd is to be closed by the caller, which ends what it asked for.
 * PQL_E_NOT_FOUND: no program listens there.  PQL_E_IO: it cannot be reached. */
pql_status pqi_control_connect(int *fd, const char *dir, uint64_t timeout_ns, pql_error *err);

/* Sends |request| (taken over) as a line and reads the answer: *answer is a new reference on
 * PQL_OK.  The running program's own refusal has its sentence and PQL_E_REFUSED.  PQL_E_CLOSED: it
 * hung up; PQL_E_TIMEOUT; PQL_E_PROTOCOL; PQL_E_NOMEM. */
pql_status pqi_control_ask(int fd, json_t *request, json_t **answer, pql_error *err);

#endif
