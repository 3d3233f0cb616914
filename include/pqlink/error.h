/* Errors: one enum, one struct, one way to fail.
 *
 * Every public function that can fail returns PQL_OK (0) or a negative PQL_E_* code and, when the
 * caller passed a pql_error, fills it with a sentence that says what happened and what to do.
 * No function of the library prints.  Compare codes, never text: the text may change. */
#ifndef PQLINK_ERROR_H
#define PQLINK_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef PQL_API
#define PQL_API __attribute__((visibility("default")))
#endif

/* Stable for ever: a number is never reused.  The class of each is what the program's exit status
 * is made from (docs/exit-codes.md). */
typedef enum pql_status {
    PQL_OK = 0,
    PQL_E_FAILED = -1,       /* something broke that fits no other code */
    PQL_E_USAGE = -2,        /* an argument, option or setting is wrong; nothing was done */
    PQL_E_NOMEM = -3,        /* memory could not be had */
    PQL_E_IO = -4,           /* a file could not be read, written or synced */
    PQL_E_NETWORK = -5,      /* a socket call, name look-up or route failed */
    PQL_E_TIMEOUT = -6,      /* a deadline passed */
    PQL_E_CANCELLED = -7,    /* the caller cancelled the operation */
    PQL_E_CLOSED = -8,       /* the link or stream was closed */
    PQL_E_TRUST = -9,        /* the peer is not the one that was meant */
    PQL_E_POLICY = -10,      /* what was negotiated is weaker than the policy allows */
    PQL_E_IDENTITY = -11,    /* our own keys or certificates are missing, unreadable or unfit */
    PQL_E_PROTOCOL = -12,    /* the peer sent bytes that the protocol forbids */
    PQL_E_LIMIT = -13,       /* a bound that the header states was reached */
    PQL_E_STATE = -14,       /* the call does not fit the object's state */
    PQL_E_CRYPTO = -15,      /* a cryptographic operation failed */
    PQL_E_NOT_FOUND = -16,   /* the thing asked for does not exist */
    PQL_E_EXISTS = -17,      /* the thing to be made exists already */
    PQL_E_UNSUPPORTED = -18, /* this build or machine cannot do it */
    PQL_E_REFUSED = -19,     /* the peer refused us (authentication, capacity) */
} pql_status;

/* Longest sentence that a pql_error carries, with the final NUL.  Longer ones are cut. */
#define PQL_ERROR_MESSAGE_SIZE 512

/* An error as the caller sees it.  Plain data: lives where the caller puts it, owns nothing. */
typedef struct pql_error {
    pql_status code;
    char message[PQL_ERROR_MESSAGE_SIZE]; /* a sentence for a person; empty when code is PQL_OK */
} pql_error;

/* The code's name, for example "PQL_E_TRUST".  Static string; never NULL. */
PQL_API const char *pql_status_name(pql_status code);

/* A short sentence for the code alone, for use where no pql_error was at hand.  Never NULL. */
PQL_API const char *pql_status_text(pql_status code);

/* True when doing the same again later can help (network, time-out, capacity). */
PQL_API bool pql_status_retryable(pql_status code);

#ifdef __cplusplus
}
#endif
#endif
