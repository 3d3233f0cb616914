#include "store/peers.h"

#include "store/db.h"

#include <string.h>

static pql_status check_name(const char *name, pql_error *err)
{
    const size_t len = strlen(name);
    if (len == 0 || len > PQI_STORE_PEER_NAME_MAX) {
        return pqi_fail(err, PQL_E_USAGE, "The name of a peer has 1 to %d characters, not %zu.",
                        PQI_STORE_PEER_NAME_MAX, len);
    }
    return PQL_OK;
}

static pql_status put_locked(pqi_store *store, const char *name, const uint8_t *fingerprint,
                             bool hybrid, uint64_t now_ms, pql_error *err)
{
    bool row = false;
    sqlite3_stmt *query = NULL;
    pql_status rc = pqi_db_query(store, PQI_QUERY_PEER_PUT, &query, err);
    if (rc != PQL_OK) {
        return rc;
    }
    (void)sqlite3_bind_text(query, 1, name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_blob(query, 2, fingerprint, PQI_STORE_FINGERPRINT_SIZE, SQLITE_STATIC);
    (void)sqlite3_bind_int(query, 3, hybrid ? 1 : 0);
    pqi_db_bind_u64(query, 4, now_ms);
    pqi_db_bind_u64(query, 5, now_ms);
    rc = pqi_db_step(store, query, &row, err);
    if (rc == PQL_OK && sqlite3_changes(store->db) == 0) {
        rc = pqi_fail(err, PQL_E_EXISTS,
                      "%s is known with another fingerprint.  If its certificate was changed on "
                      "purpose, forget the peer first.",
                      name);
    }
    pqi_db_release(query);
    return rc;
}

pql_status pqi_store_peer_put(pqi_store *store, const char *name,
                              const uint8_t fingerprint[PQI_STORE_FINGERPRINT_SIZE], bool hybrid,
                              uint64_t now_ms, pql_error *err)
{
    pql_status rc = check_name(name, err);
    if (rc != PQL_OK) {
        return rc;
    }
    (void)pthread_mutex_lock(&store->lock);
    rc = put_locked(store, name, fingerprint, hybrid, now_ms, err);
    (void)pthread_mutex_unlock(&store->lock);
    return rc;
}

static pql_status get_locked(pqi_store *store, const char *name, pqi_store_peer *out,
                             pql_error *err)
{
    bool row = false;
    sqlite3_stmt *query = NULL;
    pql_status rc = pqi_db_query(store, PQI_QUERY_PEER_GET, &query, err);
    if (rc != PQL_OK) {
        return rc;
    }
    (void)sqlite3_bind_text(query, 1, name, -1, SQLITE_STATIC);
    rc = pqi_db_step(store, query, &row, err);
    if (rc == PQL_OK && !row) {
        rc = pqi_fail(err, PQL_E_NOT_FOUND, "%s was never seen before.", name);
    } else if (rc == PQL_OK &&
               !pqi_db_column_copy(query, 0, out->fingerprint, sizeof(out->fingerprint))) {
        rc = pqi_db_damaged(store, "a fingerprint has the wrong length", err);
    } else if (rc == PQL_OK) {
        out->was_hybrid = sqlite3_column_int(query, 1) != 0;
        out->first_seen_ms = (uint64_t)sqlite3_column_int64(query, 2);
        out->last_seen_ms = (uint64_t)sqlite3_column_int64(query, 3);
    }
    pqi_db_release(query);
    return rc;
}

pql_status pqi_store_peer_get(pqi_store *store, const char *name, pqi_store_peer *out,
                              pql_error *err)
{
    memset(out, 0, sizeof(*out));
    pql_status rc = check_name(name, err);
    if (rc != PQL_OK) {
        return rc;
    }
    (void)pthread_mutex_lock(&store->lock);
    rc = get_locked(store, name, out, err);
    (void)pthread_mutex_unlock(&store->lock);
    return rc;
}

static pql_status forget_locked(pqi_store *store, const char *name, pql_error *err)
{
    bool row = false;
    sqlite3_stmt *query = NULL;
    pql_status rc = pqi_db_query(store, PQI_QUERY_PEER_FORGET, &query, err);
    if (rc != PQL_OK) {
        return rc;
    }
    (void)sqlite3_bind_text(query, 1, name, -1, SQLITE_STATIC);
    rc = pqi_db_step(store, query, &row, err);
    if (rc == PQL_OK && sqlite3_changes(store->db) == 0) {
        rc = pqi_fail(err, PQL_E_NOT_FOUND, "%s was never seen before.", name);
    }
    pqi_db_release(query);
    return rc;
}

pql_status pqi_store_peer_forget(pqi_store *store, const char *name, pql_error *err)
{
    pql_status rc = check_name(name, err);
    if (rc != PQL_OK) {
        return rc;
    }
    (void)pthread_mutex_lock(&store->lock);
    rc = forget_locked(store, name, err);
    (void)pthread_mutex_unlock(&store->lock);
    return rc;
}
