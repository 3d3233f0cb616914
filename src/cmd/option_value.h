/* One value of one option, from its text into the options struct. */
#ifndef PQI_CMD_OPTION_VALUE_H
#define PQI_CMD_OPTION_VALUE_H

#include "cmd/command.h"

/* Longest part of a user's value that an error message repeats. */
#define PQI_VALUE_SHOWN 80

/* Reads |value| into the member of |options| that is |option|'s.  A flag takes true, false, 1 and
 * 0. |value| is borrowed by members that are texts.  PQL_E_USAGE with a sentence that begins with
 * "It" or speaks for itself, and does not name the option.  Pure. */
pql_status pqi_option_put(const pqi_option *option, void *options, const char *value,
                          pql_error *err);

#endif
