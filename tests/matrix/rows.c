#include "matrix/rows.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

static const char *const modes[] = {"full", "resumed", "0-rtt", "memory"};

/* Cuts |line| at its tabs; false unless there are as many as there have to be. */
static bool cut(row *r)
{
    char *at = r->line;
    for (size_t i = 0; i < ROW_COLUMNS; i++) {
        r->column[i] = at;
        char *end = strchr(at, i + 1 < ROW_COLUMNS ? '\t' : '\n');
        if (end == NULL || end == at) {
            return false;
        }
        *end = '\0';
        at = end + 1;
    }
    return *at == '\0';
}

/* "-", or the policies of both sides, "hybrid/pq-only". */
static bool parse_before(row *r)
{
    char client[ROW_TEXT_MAX];
    const char *slash = strchr(r->column[ROW_BEFORE], '/');
    r->with_before = strcmp(r->column[ROW_BEFORE], "-") != 0;
    if (!r->with_before) {
        return true;
    }
    if (slash == NULL) {
        return false;
    }
    (void)snprintf(client, sizeof(client), "%.*s", (int)(slash - r->column[ROW_BEFORE]),
                   r->column[ROW_BEFORE]);
    return pql_policy_parse(&r->client_before, client, NULL) == PQL_OK &&
           pql_policy_parse(&r->server_before, slash + 1, NULL) == PQL_OK;
}

static bool parse(row *r)
{
    bool known = false;
    if (!cut(r) || !parse_before(r) ||
        pql_policy_parse(&r->client, r->column[ROW_CLIENT], NULL) != PQL_OK ||
        pql_policy_parse(&r->server, r->column[ROW_SERVER], NULL) != PQL_OK) {
        return false;
    }
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        known = known || strcmp(r->column[ROW_MODE], modes[i]) == 0;
    }
    r->early_data = strcmp(r->column[ROW_MODE], "0-rtt") == 0;
    r->memory = strcmp(r->column[ROW_MODE], "memory") == 0;
    (void)snprintf(r->name, sizeof(r->name), "%s client, %s server, %s%s%s: %s",
                   r->column[ROW_CLIENT], r->column[ROW_SERVER], r->column[ROW_MODE],
                   r->with_before ? ", ticket of " : "",
                   r->with_before ? r->column[ROW_BEFORE] : "", r->column[ROW_RESULT]);
    return known;
}

pql_status rows_read(const char *path, row rows[ROWS_MAX], size_t *count, pql_error *err)
{
    char line[ROW_TEXT_MAX];
    pql_status status = PQL_OK;
    size_t number = 0;
    *count = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return pqi_fail(err, PQL_E_IO, "The table %s could not be opened.", path);
    }
    while (status == PQL_OK && fgets(line, sizeof(line), file) != NULL) {
        number++;
        if (line[0] == '#' || line[0] == '\n') {
            continue;
        }
        if (*count == ROWS_MAX) {
            status = pqi_fail(err, PQL_E_LIMIT, "%s has more than %zu rows.", path, ROWS_MAX);
            break;
        }
        row *r = &rows[*count];
        (void)snprintf(r->line, sizeof(r->line), "%s", line);
        (*count)++;
        if (!parse(r)) {
            status = pqi_fail(err, PQL_E_USAGE, "%s:%zu is no row of the matrix.", path, number);
        }
    }
    (void)fclose(file);
    return status;
}

static size_t append_offers(char *out, size_t at, size_t size, const char *kind, char *names)
{
    char *rest = NULL;
    for (char *name = strtok_r(names, " ", &rest); name != NULL;
         name = strtok_r(NULL, " ", &rest)) {
        at += (size_t)snprintf(out + at, at < size ? size - at : 0, "%spqlink_offered_total{%s,%s}",
                               at == 0 ? "" : " ", kind, name);
    }
    return at;
}

pql_status rows_offers(const char *path, const char *policy, char *out, size_t size)
{
    char line[ROW_TEXT_MAX];
    pql_status status = PQL_E_NOT_FOUND;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return PQL_E_IO;
    }
    while (status != PQL_OK && fgets(line, sizeof(line), file) != NULL) {
        char *rest = NULL;
        const char *name = strtok_r(line, "\t\n", &rest);
        char *groups = strtok_r(NULL, "\t\n", &rest);
        char *signatures = strtok_r(NULL, "\t\n", &rest);
        if (name != NULL && signatures != NULL && strcmp(name, policy) == 0) {
            const size_t len = append_offers(out, 0, size, "group", groups);
            status = append_offers(out, len, size, "signature", signatures) < size ? PQL_OK
                                                                                   : PQL_E_LIMIT;
        }
    }
    (void)fclose(file);
    return status;
}
