/* Filling a pql_error.  See include/pqlink/error.h for the codes. */
#ifndef PQI_BASE_ERROR_H
#define PQI_BASE_ERROR_H

#include <pqlink/error.h>

/* Fills |err| (may be NULL) and returns |code|, so that `return pqi_fail(err, ...)` reads well. */
pql_status pqi_fail(pql_error *err, pql_status code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As pqi_fail, and appends ": <strerror(errno_value)>". */
pql_status pqi_fail_errno(pql_error *err, pql_status code, int errno_value, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "<context>: " before the message that |err| (may be NULL) holds; returns its code. */
pql_status pqi_fail_context(pql_error *err, pql_status code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Sets |err| (may be NULL) to PQL_OK and an empty message. */
void pqi_error_clear(pql_error *err);

#endif
