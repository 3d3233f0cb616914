/* The SQLite connection below the store's tables.  For src/store/ and its tests alone.
 *
 * Every function here wants store->lock held, except open and close. */
#ifndef PQI_STORE_DB_H
#define PQI_STORE_DB_H

#include "store/schema.h"
#include "store/store.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

/* SQLite's integers are signed; heights and times above this are refused. */
#define PQI_DB_INTEGER_MAX ((uint64_t)INT64_MAX)

struct pqi_store {
    pthread_mutex_t lock;                   /* guards all below */
    sqlite3 *db;                            /* owned */
    sqlite3_stmt *queries[PQI_QUERY_COUNT]; /* owned; prepared at first use */
    int lock_fd;     /* holds the flock on store.lock; -1 for a store in memory */
    char *directory; /* owned; for error sentences */
    bool failing;    /* the last block or probe could not be stored */
    bool gone;       /* the files were not where they were at the last look */
    void (*changed)(void *user, bool ok, const char *reason); /* NULL: nobody asks */
    void *changed_user;
};

/* Opens the database file |path| (or ":memory:"), which exists already, into store->db, checks it
 * and brings it to |schema|.  Errors as pqi_store_open; store->db is NULL after a failure. */
pql_status pqi_db_open(pqi_store *store, const char *path, const pqi_schema *schema,
                       pql_error *err);

/* Moves the write-ahead log into the database file, synced. */
pql_status pqi_db_checkpoint(pqi_store *store, pql_error *err);

/* Looks whether the files are where they were opened (pqi_store_look), and sets store->gone.  In
 * store.c. */
pql_status pqi_store_in_place(pqi_store *store, pql_error *err);

/* Notes whether something could be written, and tells who watches the store.  |err| has the reason
 * when |rc| is PQL_E_IO or PQL_E_TIMEOUT; other failures are not the disk's. */
void pqi_db_note(pqi_store *store, pql_status rc, const pql_error *err);

/* Finalizes all statements and closes.  A store without a database is a no-op. */
void pqi_db_close(pqi_store *store);

/* Runs statements without parameters and results. */
pql_status pqi_db_exec(pqi_store *store, const char *sql, pql_error *err);

/* Gives the statement of |query|, ready to be bound.  Borrowed; give it back with pqi_db_release
 * before what was bound to it goes away.  *out is NULL after a failure. */
pql_status pqi_db_query(pqi_store *store, pqi_query query, sqlite3_stmt **out, pql_error *err);
void pqi_db_release(sqlite3_stmt *statement);

/* Takes one step: *row says whether there is a row to read. */
pql_status pqi_db_step(pqi_store *store, sqlite3_stmt *statement, bool *row, pql_error *err);

/* Binds a time, height or count; above PQI_DB_INTEGER_MAX it becomes that. */
void pqi_db_bind_u64(sqlite3_stmt *statement, int index, uint64_t value);

/* Copies a blob column that must have exactly |len| bytes.  False (out zeroed): another length. */
bool pqi_db_column_copy(sqlite3_stmt *statement, int column, void *out, size_t len);

/* Fills |err| from the connection's last error; the code is chosen as store.h says. */
pql_status pqi_db_fail(pqi_store *store, pql_error *err);

/* The sentence for a file or row that cannot be what this program wrote: PQL_E_IO. */
pql_status pqi_db_damaged(const pqi_store *store, const char *what, pql_error *err);

#endif
