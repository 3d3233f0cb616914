/* The rows of matrix.tsv. */
#ifndef PQI_TESTS_MATRIX_ROWS_H
#define PQI_TESTS_MATRIX_ROWS_H

#include <pqlink/policy.h>

#include <stddef.h>

#define ROWS_MAX ((size_t)256)
#define ROW_TEXT_MAX 2048

/* The columns, in the order of the file; the head of the file says what they mean. */
typedef enum row_column {
    ROW_CLIENT,
    ROW_SERVER,
    ROW_MODE,
    ROW_BEFORE,
    ROW_RESULT,
    ROW_GROUP,
    ROW_ALERT,
    ROW_BY,
    ROW_CLIENT_STATUS,
    ROW_SERVER_STATUS,
    ROW_CLIENT_DOWNGRADE,
    ROW_SERVER_DOWNGRADE,
    ROW_CLIENT_COUNTERS,
    ROW_SERVER_COUNTERS,
    ROW_COLUMNS
} row_column;

/* One link that is made, and what has to come of it. */
typedef struct row {
    char line[ROW_TEXT_MAX]; /* cut into the columns */
    const char *column[ROW_COLUMNS];
    pql_policy client, server;               /* of the link that is looked at */
    pql_policy client_before, server_before; /* of a link before it, which may bring a ticket */
    bool with_before;
    bool early_data; /* a foreign packet of early data stands before and behind the ClientHello */
    bool memory;     /* the client remembers which servers had ML-KEM, and resumes nothing */
    char name[160];  /* of the test case */
} row;

/* Reads the file at |path| into |rows|; *count is how many there are.  A line that is no row is an
 * error with its number: PQL_E_USAGE; PQL_E_IO when the file cannot be read. */
pql_status rows_read(const char *path, row rows[ROWS_MAX], size_t *count, pql_error *err);

/* Reads from the file at |path| what a client under |policy| offers, and writes it as
 * counters_offered does.  PQL_E_NOT_FOUND, PQL_E_IO. */
pql_status rows_offers(const char *path, const char *policy, char *out, size_t size);

#endif
