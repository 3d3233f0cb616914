#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct status_entry {
    const char *name;
    const char *text;
    bool retryable;
} status_entry;

/* Indexed by the negated code. */
static const status_entry status_table[] = {
    {"PQL_OK", "Success.", false},
    {"PQL_E_FAILED", "The operation failed.", false},
    {"PQL_E_USAGE", "An argument or setting is wrong.", false},
    {"PQL_E_NOMEM", "Out of memory.", true},
    {"PQL_E_IO", "A file could not be read or written.", false},
    {"PQL_E_NETWORK", "The network failed.", true},
    {"PQL_E_TIMEOUT", "A deadline passed.", true},
    {"PQL_E_CANCELLED", "The operation was cancelled.", false},
    {"PQL_E_CLOSED", "The link or stream is closed.", true},
    {"PQL_E_TRUST", "The peer is not the one that was meant.", false},
    {"PQL_E_POLICY", "The link is weaker than the policy allows.", false},
    {"PQL_E_IDENTITY", "The identity is missing, unreadable or unfit.", false},
    {"PQL_E_PROTOCOL", "The peer broke the protocol.", true},
    {"PQL_E_LIMIT", "A limit was reached.", true},
    {"PQL_E_STATE", "The call does not fit the state of the object.", false},
    {"PQL_E_CRYPTO", "A cryptographic operation failed.", false},
    {"PQL_E_NOT_FOUND", "Not found.", false},
    {"PQL_E_EXISTS", "It exists already.", false},
    {"PQL_E_UNSUPPORTED", "This build or machine cannot do it.", false},
    {"PQL_E_REFUSED", "The peer refused.", true},
};

static const status_entry *status_find(pql_status code)
{
    const int index = -(int)code;
    const int count = (int)(sizeof(status_table) / sizeof(status_table[0]));
    return index >= 0 && index < count ? &status_table[index] : &status_table[1];
}

const char *pql_status_name(pql_status code)
{
    return status_find(code)->name;
}

const char *pql_status_text(pql_status code)
{
    return status_find(code)->text;
}

bool pql_status_retryable(pql_status code)
{
    return status_find(code)->retryable;
}

pql_status pqi_fail(pql_error *err, pql_status code, const char *fmt, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, fmt);
        err->code = code;
        (void)vsnprintf(err->message, sizeof(err->message), fmt, args);
        va_end(args);
    }
    return code;
}

pql_status pqi_fail_errno(pql_error *err, pql_status code, int errno_value, const char *fmt, ...)
{
    if (err != NULL) {
        char reason[128];
        va_list args;
        va_start(args, fmt);
        err->code = code;
        (void)vsnprintf(err->message, sizeof(err->message), fmt, args);
        va_end(args);
        const size_t used = strlen(err->message);
        (void)snprintf(err->message + used, sizeof(err->message) - used, ": %s",
                       strerror_r(errno_value, reason, sizeof(reason)));
    }
    return code;
}

pql_status pqi_fail_context(pql_error *err, pql_status code, const char *fmt, ...)
{
    if (err != NULL) {
        char text[PQL_ERROR_MESSAGE_SIZE];
        va_list args;
        va_start(args, fmt);
        const int head = vsnprintf(text, sizeof(text), fmt, args);
        va_end(args);
        if (head >= 0 && (size_t)head < sizeof(text)) {
            (void)snprintf(text + head, sizeof(text) - (size_t)head, ": %s", err->message);
        }
        err->code = code;
        memcpy(err->message, text, sizeof(err->message));
    }
    return code;
}

void pqi_error_clear(pql_error *err)
{
    if (err != NULL) {
        err->code = PQL_OK;
        err->message[0] = '\0';
    }
}
