/* One HTTP GET to an admin port, for commands that ask a running process.
 *
 * A socket and an HTTP/1.0 request of our own: the answer of our own admin port is all that it has
 * to read, which is not worth a dependency on an HTTP library.  HTTP/1.0 means that the answer ends
 * with the connection, so that there are no chunks to put together. */
#ifndef PQI_CMD_HTTP_GET_H
#define PQI_CMD_HTTP_GET_H

#include "base/buf.h"
#include "net/url.h"

#include <stdint.h>

/* Fetches |path| from |at| (not off) and appends the body to the empty |body|, whose bound is that
 * of the whole answer with its headers; *status is the number that the server answered with.
 * |timeout_ns| is for all of it.  PQL_E_NETWORK: nobody is there, or the connection broke;
 * PQL_E_TIMEOUT; PQL_E_PROTOCOL: what is there speaks no HTTP; PQL_E_LIMIT: the answer is longer
 * than the bound; PQL_E_NOMEM.  Blocks. */
pql_status pqi_http_get(const pqi_endpoint *at, const char *path, uint64_t timeout_ns,
                        unsigned *status, pqi_buf *body, pql_error *err);

/* The same with a capability |token| (text, not longer than PQI_CAP_TEXT_MAX) for a port that asks
 * for one; NULL: without.  PQL_E_LIMIT also for a longer one. */
pql_status pqi_http_get_as(const pqi_endpoint *at, const char *path, const char *token,
                           uint64_t timeout_ns, unsigned *status, pqi_buf *body, pql_error *err);

#endif
