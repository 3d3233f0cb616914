/* Capability tokens as commands take them: from a file or standard input, never from the command
 * line, where everybody on the machine could read them. */
#ifndef PQI_CMD_TOKEN_INPUT_H
#define PQI_CMD_TOKEN_INPUT_H

#include "caps/keys.h"

/* Reads one token from |path|, or from standard input when that is NULL or "-"; white space around
 * it is cut off.  *text is to be freed with pqi_secret_free(*text, strlen(*text)).  PQL_E_USAGE:
 * what is there does not begin like a token; PQL_E_IO: it cannot be read, is too long, or is a file
 * that everybody on the machine may read. */
pql_status pqi_token_input(char **text, const char *path, pql_error *err);

/* Restrictions as they were typed; NULL and 0: not given. */
typedef struct pqi_token_rules {
    const char *audience;
    const char *methods;
    const char *path;
    const char *bytes;
    const char *address;
    const char *not_before;
    uint64_t expires_in; /* ns */
} pqi_token_rules;

/* The rules that they come to. */
typedef struct pqi_token_rule_list {
    pqi_cap_rule items[PQI_CAP_RULE_COUNT];
    size_t count;
    uint8_t address[16];
} pqi_token_rule_list;

/* Fills |out| at |now| (Unix seconds), which borrows the texts of |typed| and points into itself.
 * PQL_E_USAGE with a sentence that names the option.  Pure. */
pql_status pqi_token_rules_parse(pqi_token_rule_list *out, const pqi_token_rules *typed,
                                 uint64_t now, pql_error *err);

#endif
