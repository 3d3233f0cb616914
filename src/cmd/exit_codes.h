/* The program's exit statuses.  They are kept for ever: a number never changes its meaning.
 * docs/exit-codes.md explains them to operators; a test compares the two. */
#ifndef PQI_CMD_EXIT_CODES_H
#define PQI_CMD_EXIT_CODES_H

#include <pqlink/error.h>

#include <stddef.h>

typedef enum pqi_exit {
    PQI_EXIT_OK = 0,
    PQI_EXIT_FAILURE = 1,
    PQI_EXIT_USAGE = 2,
    PQI_EXIT_TRUST = 3,
    PQI_EXIT_POLICY = 4,
    PQI_EXIT_NETWORK = 5,
    PQI_EXIT_IDENTITY = 6,
    PQI_EXIT_IO = 7,
    PQI_EXIT_PROTOCOL = 8,
    PQI_EXIT_REFUSED = 9,
} pqi_exit;

/* One exit status as documents show it. */
typedef struct pqi_exit_row {
    pqi_exit code;
    const char *name;    /* one word, for example "trust" */
    const char *meaning; /* a sentence */
} pqi_exit_row;

/* All exit statuses in ascending order; *count is how many. Static. */
const pqi_exit_row *pqi_exit_rows(size_t *count);

/* The exit status for what a subcommand returned.  A code that the table lacks (from a newer
 * library) is PQI_EXIT_FAILURE. */
pqi_exit pqi_exit_from_status(pql_status status);

/* True when the table of pqi_exit_from_status has an entry for |status|; for the test that it has
 * one for every code of pqlink/error.h. */
bool pqi_exit_has_status(pql_status status);

#endif
