#include "store/db.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How long a call waits for another program (an SQLite shell, a backup) to let go. */
#define BUSY_TIMEOUT_MS 5000

pql_status pqi_db_damaged(const pqi_store *store, const char *what, pql_error *err)
{
    return pqi_fail(err, PQL_E_IO,
                    "The store in %s is damaged: %s.  Nothing was changed.  Move all files named "
                    "store.sqlite3* there away, then restore a backup, or begin with an empty "
                    "store; known peers, secrets and blocks are then forgotten.",
                    store->directory, what);
}

static pql_status fail_full(const pqi_store *store, pql_error *err)
{
    return pqi_fail(err, PQL_E_IO,
                    "The disk that holds the store in %s is full.  Nothing stored before is "
                    "lost; make room, and the store works again.",
                    store->directory);
}

/* SQLite calls only some of the ways in which room runs out by their name. */
static bool no_room(sqlite3 *db)
{
    const int cause = sqlite3_system_errno(db);
    return sqlite3_errcode(db) == SQLITE_FULL ||
           (sqlite3_errcode(db) == SQLITE_IOERR && (cause == ENOSPC || cause == EDQUOT));
}

pql_status pqi_db_fail(pqi_store *store, pql_error *err)
{
    const char *reason = sqlite3_errmsg(store->db);
    if (no_room(store->db)) {
        return fail_full(store, err);
    }
    switch (sqlite3_errcode(store->db)) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return pqi_db_damaged(store, reason, err);
    case SQLITE_BUSY:
        return pqi_fail(err, PQL_E_TIMEOUT,
                        "Another program holds the database in %s for over %d seconds.  Close it "
                        "and try again.",
                        store->directory, BUSY_TIMEOUT_MS / 1000);
    case SQLITE_NOMEM:
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory in the store in %s.", store->directory);
    default:
        return pqi_fail(
            err, PQL_E_IO,
            "The store in %s failed: %s.  Check that the disk works and has room, and the "
            "owner and mode of the files there.",
            store->directory, reason);
    }
}

pql_status pqi_db_exec(pqi_store *store, const char *sql, pql_error *err)
{
    if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        return pqi_db_fail(store, err);
    }
    return PQL_OK;
}

pql_status pqi_db_query(pqi_store *store, pqi_query query, sqlite3_stmt **out, pql_error *err)
{
    sqlite3_stmt **slot = &store->queries[query];
    if (*slot == NULL && sqlite3_prepare_v3(store->db, pqi_query_text(query), -1,
                                            SQLITE_PREPARE_PERSISTENT, slot, NULL) != SQLITE_OK) {
        *out = NULL;
        return pqi_db_fail(store, err);
    }
    *out = *slot;
    return PQL_OK;
}

void pqi_db_note(pqi_store *store, pql_status rc, const pql_error *err)
{
    const bool broken = rc == PQL_E_IO || rc == PQL_E_TIMEOUT;
    if (store->failing == broken || (!broken && (rc != PQL_OK || store->gone))) {
        return;
    }
    store->failing = broken;
    if (store->changed != NULL) {
        store->changed(store->changed_user, !broken, broken ? err->message : "");
    }
}

void pqi_db_release(sqlite3_stmt *statement)
{
    /* reset repeats the error of the last step, which its caller has seen already */
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
}

pql_status pqi_db_step(pqi_store *store, sqlite3_stmt *statement, bool *row, pql_error *err)
{
    const int rc = sqlite3_step(statement);
    *row = rc == SQLITE_ROW;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? PQL_OK : pqi_db_fail(store, err);
}

void pqi_db_bind_u64(sqlite3_stmt *statement, int index, uint64_t value)
{
    const uint64_t fitting = value > PQI_DB_INTEGER_MAX ? PQI_DB_INTEGER_MAX : value;
    (void)sqlite3_bind_int64(statement, index, (sqlite3_int64)fitting);
}

bool pqi_db_column_copy(sqlite3_stmt *statement, int column, void *out, size_t len)
{
    const void *blob = sqlite3_column_blob(statement, column);
    if (blob == NULL || (size_t)sqlite3_column_bytes(statement, column) != len) {
        memset(out, 0, len);
        return false;
    }
    memcpy(out, blob, len);
    return true;
}

/* The first column of the first row of |sql| as text, cut to |size|. */
static pql_status read_text(pqi_store *store, const char *sql, char *out, size_t size,
                            pql_error *err)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK) {
        return pqi_db_fail(store, err);
    }
    bool row = false;
    const pql_status rc = pqi_db_step(store, statement, &row, err);
    const char *text = row ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    (void)sqlite3_snprintf((int)size, out, "%s", text == NULL ? "" : text);
    (void)sqlite3_finalize(statement);
    return rc;
}

static pql_status read_int(pqi_store *store, const char *sql, int *out, pql_error *err)
{
    char text[32];
    const pql_status rc = read_text(store, sql, text, sizeof(text), err);
    *out = (int)strtol(text, NULL, 10);
    return rc;
}

/* Is this a file of ours that this program understands?  Changes nothing. */
static pql_status check_kind(pqi_store *store, const pqi_schema *schema, int *version,
                             pql_error *err)
{
    int application = 0;
    int objects = 0;
    pql_status rc = read_int(store, "PRAGMA application_id", &application, err);
    if (rc == PQL_OK) {
        rc = read_int(store, "PRAGMA user_version", version, err);
    }
    if (rc == PQL_OK) {
        rc = read_int(store, "SELECT count(*) FROM sqlite_schema", &objects, err);
    }
    if (rc != PQL_OK) {
        return rc;
    }
    if (application != PQI_SCHEMA_APPLICATION_ID && (application | *version | objects) != 0) {
        return pqi_fail(err, PQL_E_UNSUPPORTED,
                        "store.sqlite3 in %s is a database of another program.  Use another "
                        "directory for the store.",
                        store->directory);
    }
    if (*version > schema->version) {
        return pqi_fail(err, PQL_E_UNSUPPORTED,
                        "The store in %s was written by a newer pqlink (schema %d; this one knows "
                        "up to %d).  Nothing was changed; use the newer program.",
                        store->directory, *version, schema->version);
    }
    return PQL_OK;
}

static pql_status check_integrity(pqi_store *store, pql_error *err)
{
    char verdict[128];
    const pql_status rc = read_text(store, "PRAGMA quick_check(1)", verdict, sizeof(verdict), err);
    if (rc != PQL_OK) {
        return rc;
    }
    return strcmp(verdict, "ok") == 0 ? PQL_OK : pqi_db_damaged(store, verdict, err);
}

static pql_status configure(pqi_store *store, const char *path, pql_error *err)
{
    char mode[16];
    pql_status rc = read_text(store, "PRAGMA journal_mode=WAL", mode, sizeof(mode), err);
    if (rc != PQL_OK) {
        return rc;
    }
    if (strcmp(mode, "wal") != 0 && strcmp(path, PQI_STORE_MEMORY) != 0) {
        return pqi_fail(err, PQL_E_IO,
                        "The file system of %s cannot hold a write-ahead log.  Put the store on a "
                        "local disk.",
                        store->directory);
    }
    /* Sorting on the side must not make files either, least of all beside a store in memory. */
    return pqi_db_exec(
        store, "PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; PRAGMA temp_store=MEMORY", err);
}

/* One transaction: after a crash in the middle the old schema is still whole. */
static pql_status migrate(pqi_store *store, const pqi_schema *schema, int version, pql_error *err)
{
    if (version == schema->version) {
        return PQL_OK;
    }
    char seal[96];
    (void)sqlite3_snprintf(sizeof(seal), seal, "PRAGMA application_id=%d; PRAGMA user_version=%d",
                           PQI_SCHEMA_APPLICATION_ID, schema->version);
    pql_status rc = pqi_db_exec(store, "BEGIN IMMEDIATE", err);
    for (int i = version; rc == PQL_OK && i < schema->version; i++) {
        rc = pqi_db_exec(store, schema->steps[i], err);
    }
    if (rc == PQL_OK) {
        rc = pqi_db_exec(store, seal, err);
    }
    if (rc == PQL_OK) {
        rc = pqi_db_exec(store, "COMMIT", err);
    }
    if (rc != PQL_OK && sqlite3_get_autocommit(store->db) == 0) {
        (void)pqi_db_exec(store, "ROLLBACK", NULL);
    }
    return rc;
}

static pql_status prepare_database(pqi_store *store, const char *path, const pqi_schema *schema,
                                   pql_error *err)
{
    int version = 0;
    (void)sqlite3_busy_timeout(store->db, BUSY_TIMEOUT_MS);
    pql_status rc = pqi_db_exec(store, "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON", err);
    if (rc == PQL_OK) {
        rc = check_kind(store, schema, &version, err);
    }
    if (rc == PQL_OK) {
        rc = check_integrity(store, err);
    }
    if (rc == PQL_OK) {
        rc = configure(store, path, err);
    }
    if (rc == PQL_OK) {
        rc = migrate(store, schema, version, err);
    }
    return rc;
}

pql_status pqi_db_open(pqi_store *store, const char *path, const pqi_schema *schema, pql_error *err)
{
    /* NOMUTEX: store->lock already makes the calls take turns */
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    pql_status rc = PQL_OK;
    if (sqlite3_open_v2(path, &store->db, flags, NULL) != SQLITE_OK) {
        rc = store->db == NULL ? pqi_fail(err, PQL_E_NOMEM, "Out of memory opening the store.")
                               : pqi_db_fail(store, err);
    }
    if (rc == PQL_OK) {
        rc = prepare_database(store, path, schema, err);
    }
    if (rc != PQL_OK) {
        pqi_db_close(store);
    }
    return rc;
}

pql_status pqi_db_checkpoint(pqi_store *store, pql_error *err)
{
    const int rc =
        sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    return rc == SQLITE_OK ? PQL_OK : pqi_db_fail(store, err);
}

void pqi_db_close(pqi_store *store)
{
    for (int i = 0; i < PQI_QUERY_COUNT; i++) {
        (void)sqlite3_finalize(store->queries[i]);
        store->queries[i] = NULL;
    }
    (void)sqlite3_close(store->db);
    store->db = NULL;
}
