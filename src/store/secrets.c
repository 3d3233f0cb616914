#include "store/secrets.h"

#include "base/secret.h"
#include "store/db.h"

#include <string.h>

/* Columns of PQI_QUERY_SECRET_GET. */
enum { COLUMN_VALUE, COLUMN_PREVIOUS, COLUMN_MADE_MS };

static pql_status check_arguments(const char *name, uint8_t *out, size_t len, pql_error *err)
{
    if (len == 0 || len > PQI_STORE_SECRET_MAX) {
        return pqi_fail(err, PQL_E_USAGE, "A secret has 1 to %d bytes, not %zu.",
                        PQI_STORE_SECRET_MAX, len);
    }
    memset(out, 0, len);
    const size_t name_len = strlen(name);
    if (name_len == 0 || name_len > PQI_STORE_SECRET_NAME_MAX) {
        return pqi_fail(err, PQL_E_USAGE, "The name of a secret has 1 to %d characters, not %zu.",
                        PQI_STORE_SECRET_NAME_MAX, name_len);
    }
    return PQL_OK;
}

/* Copies one column of |name|'s row; *made_ms (may be NULL) is its birth. */
static pql_status read_secret(pqi_store *store, const char *name, int column, uint8_t *out,
                              size_t len, uint64_t *made_ms, pql_error *err)
{
    bool row = false;
    sqlite3_stmt *query = NULL;
    pql_status rc = pqi_db_query(store, PQI_QUERY_SECRET_GET, &query, err);
    if (rc != PQL_OK) {
        return rc;
    }
    (void)sqlite3_bind_text(query, 1, name, -1, SQLITE_STATIC);
    rc = pqi_db_step(store, query, &row, err);
    if (rc == PQL_OK && (!row || sqlite3_column_type(query, column) == SQLITE_NULL)) {
        rc = pqi_fail(err, PQL_E_NOT_FOUND, "The store in %s has no %s secret named %s.",
                      store->directory, column == COLUMN_PREVIOUS ? "previous" : "current", name);
    } else if (rc == PQL_OK && !pqi_db_column_copy(query, column, out, len)) {
        rc = pqi_fail(err, PQL_E_STATE,
                      "The secret %s in the store in %s has %d bytes where %zu are wanted.  It was "
                      "made by another version of the program; use that one.",
                      name, store->directory, sqlite3_column_bytes(query, column), len);
    } else if (rc == PQL_OK && made_ms != NULL) {
        *made_ms = (uint64_t)sqlite3_column_int64(query, COLUMN_MADE_MS);
    }
    pqi_db_release(query);
    return rc;
}

/* Fills |out| with a fresh secret and stores it by |which| (add or rotate); zeroes it on failure.
 */
static pql_status write_secret(pqi_store *store, pqi_query which, const char *name,
                               const pqi_store_random *random, uint64_t now_ms, uint8_t *out,
                               size_t len, pql_error *err)
{
    bool row = false;
    if (random->fill(random->user, out, len) != PQL_OK) {
        pqi_secret_wipe(out, len);
        return pqi_fail(err, PQL_E_CRYPTO, "No random bytes could be had for the secret %s.", name);
    }
    sqlite3_stmt *query = NULL;
    pql_status rc = pqi_db_query(store, which, &query, err);
    if (rc != PQL_OK) {
        pqi_secret_wipe(out, len);
        return rc;
    }
    (void)sqlite3_bind_text(query, 1, name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_blob(query, 2, out, (int)len, SQLITE_STATIC);
    pqi_db_bind_u64(query, 3, now_ms);
    rc = pqi_db_step(store, query, &row, err);
    pqi_db_release(query);
    if (rc != PQL_OK) {
        pqi_secret_wipe(out, len);
    }
    return rc;
}

pql_status pqi_store_secret(pqi_store *store, const char *name, const pqi_store_random *random,
                            uint64_t now_ms, uint8_t *out, size_t len, pql_error *err)
{
    pql_status rc = check_arguments(name, out, len, err);
    if (rc != PQL_OK) {
        return rc;
    }
    (void)pthread_mutex_lock(&store->lock);
    rc = read_secret(store, name, COLUMN_VALUE, out, len, NULL, err);
    if (rc == PQL_E_NOT_FOUND) {
        pqi_error_clear(err);
        rc = write_secret(store, PQI_QUERY_SECRET_ADD, name, random, now_ms, out, len, err);
    }
    (void)pthread_mutex_unlock(&store->lock);
    return rc;
}

pql_status pqi_store_secret_rotate(pqi_store *store, const char *name,
                                   const pqi_store_random *random, uint64_t now_ms,
                                   uint64_t least_age_ms, uint8_t *out, size_t len, pql_error *err)
{
    uint64_t made_ms = 0;
    pql_status rc = check_arguments(name, out, len, err);
    if (rc != PQL_OK) {
        return rc;
    }
    (void)pthread_mutex_lock(&store->lock);
    rc = read_secret(store, name, COLUMN_VALUE, out, len, &made_ms, err);
    const uint64_t age_ms = now_ms > made_ms ? now_ms - made_ms : 0;
    if (rc == PQL_OK && age_ms >= least_age_ms) {
        rc = write_secret(store, PQI_QUERY_SECRET_ROTATE, name, random, now_ms, out, len, err);
    }
    (void)pthread_mutex_unlock(&store->lock);
    return rc;
}

pql_status pqi_store_secret_previous(pqi_store *store, const char *name, uint8_t *out, size_t len,
                                     pql_error *err)
{
    pql_status rc = check_arguments(name, out, len, err);
    if (rc != PQL_OK) {
        return rc;
    }
    (void)pthread_mutex_lock(&store->lock);
    rc = read_secret(store, name, COLUMN_PREVIOUS, out, len, NULL, err);
    (void)pthread_mutex_unlock(&store->lock);
    return rc;
}
