#include "store/blocks.h"

#include "store/db.h"

#include <limits.h>
#include <string.h>

/* Columns of PQI_QUERY_BLOCK_LIST. */
enum {
    COLUMN_HEIGHT,
    COLUMN_HASH,
    COLUMN_PARENT,
    COLUMN_TIME_MS,
    COLUMN_DIFFICULTY,
    COLUMN_NONCE,
    COLUMN_MINING_HASH,
    COLUMN_MINER
};

/* First and last height; |any| is false for an empty table. */
typedef struct block_range {
    bool any;
    uint64_t first;
    uint64_t last;
} block_range;

static pql_status read_range(pqi_store *store, block_range *range, pql_error *err)
{
    bool row = false;
    *range = (block_range){0};
    sqlite3_stmt *query = NULL;
    pql_status rc = pqi_db_query(store, PQI_QUERY_BLOCK_RANGE, &query, err);
    if (rc != PQL_OK) {
        return rc;
    }
    rc = pqi_db_step(store, query, &row, err);
    if (rc == PQL_OK && row && sqlite3_column_type(query, 0) != SQLITE_NULL) {
        range->any = true;
        range->first = (uint64_t)sqlite3_column_int64(query, 0);
        range->last = (uint64_t)sqlite3_column_int64(query, 1);
    }
    pqi_db_release(query);
    return rc;
}

static void bind_block(sqlite3_stmt *query, const pqi_store_block *block)
{
    pqi_db_bind_u64(query, 1, block->height);
    (void)sqlite3_bind_blob(query, 2, block->hash, sizeof(block->hash), SQLITE_STATIC);
    (void)sqlite3_bind_blob(query, 3, block->parent, sizeof(block->parent), SQLITE_STATIC);
    pqi_db_bind_u64(query, 4, block->time_ms);
    (void)sqlite3_bind_blob(query, 5, block->difficulty, sizeof(block->difficulty), SQLITE_STATIC);
    (void)sqlite3_bind_blob(query, 6, block->nonce, sizeof(block->nonce), SQLITE_STATIC);
    (void)sqlite3_bind_blob(query, 7, block->mining_hash, sizeof(block->mining_hash),
                            SQLITE_STATIC);
    (void)sqlite3_bind_text(query, 8, block->miner, -1, SQLITE_STATIC);
}

static pql_status append_locked(pqi_store *store, const pqi_store_block *block, pql_error *err)
{
    block_range range;
    bool row = false;
    pql_status rc = read_range(store, &range, err);
    if (rc != PQL_OK) {
        return rc;
    }
    if (range.any && block->height <= range.last) {
        return pqi_fail(err, PQL_E_EXISTS,
                        "There is a block at height %llu already; the last one is %llu.",
                        (unsigned long long)block->height, (unsigned long long)range.last);
    }
    if (range.any && block->height != range.last + 1) {
        return pqi_fail(err, PQL_E_STATE, "A block at height %llu does not follow the last, %llu.",
                        (unsigned long long)block->height, (unsigned long long)range.last);
    }
    sqlite3_stmt *query = NULL;
    rc = pqi_db_query(store, PQI_QUERY_BLOCK_APPEND, &query, err);
    if (rc != PQL_OK) {
        return rc;
    }
    bind_block(query, block);
    rc = pqi_db_step(store, query, &row, err);
    pqi_db_release(query);
    return rc;
}

pql_status pqi_store_block_append(pqi_store *store, const pqi_store_block *block, pql_error *err)
{
    if (block->height > PQI_DB_INTEGER_MAX || block->time_ms > PQI_DB_INTEGER_MAX ||
        memchr(block->miner, '\0', sizeof(block->miner)) == NULL) {
        return pqi_fail(err, PQL_E_USAGE,
                        "A block's height and time are below 2^63, and its miner's name has at "
                        "most %d characters.",
                        PQI_STORE_MINER_MAX);
    }
    pql_error own = {0};
    pql_error *why = err != NULL ? err : &own;
    (void)pthread_mutex_lock(&store->lock);
    pql_status rc = pqi_store_in_place(store, why);
    if (rc == PQL_OK) {
        rc = append_locked(store, block, why);
    }
    pqi_db_note(store, rc, why);
    (void)pthread_mutex_unlock(&store->lock);
    return rc;
}

/* The current row as a block; false when it cannot be one. */
static bool read_block(sqlite3_stmt *query, pqi_store_block *out)
{
    const char *miner = (const char *)sqlite3_column_text(query, COLUMN_MINER);
    const size_t miner_len = miner == NULL ? sizeof(out->miner) : strlen(miner);
    memset(out, 0, sizeof(*out));
    out->height = (uint64_t)sqlite3_column_int64(query, COLUMN_HEIGHT);
    out->time_ms = (uint64_t)sqlite3_column_int64(query, COLUMN_TIME_MS);
    if (miner_len >= sizeof(out->miner)) {
        return false;
    }
    memcpy(out->miner, miner, miner_len);
    return pqi_db_column_copy(query, COLUMN_HASH, out->hash, sizeof(out->hash)) &&
           pqi_db_column_copy(query, COLUMN_PARENT, out->parent, sizeof(out->parent)) &&
           pqi_db_column_copy(query, COLUMN_DIFFICULTY, out->difficulty, sizeof(out->difficulty)) &&
           pqi_db_column_copy(query, COLUMN_NONCE, out->nonce, sizeof(out->nonce)) &&
           pqi_db_column_copy(query, COLUMN_MINING_HASH, out->mining_hash,
                              sizeof(out->mining_hash));
}

static pql_status list_locked(pqi_store *store, uint64_t from, pqi_store_block *out, size_t max,
                              size_t *count, pql_error *err)
{
    bool row = true;
    pql_status rc = PQL_OK;
    sqlite3_stmt *query = NULL;
    rc = pqi_db_query(store, PQI_QUERY_BLOCK_LIST, &query, err);
    if (rc != PQL_OK) {
        return rc;
    }
    pqi_db_bind_u64(query, 1, from);
    (void)sqlite3_bind_int(query, 2, max > INT_MAX ? INT_MAX : (int)max);
    while (rc == PQL_OK && row && *count < max) {
        rc = pqi_db_step(store, query, &row, err);
        if (rc == PQL_OK && row && !read_block(query, &out[*count])) {
            rc = pqi_db_damaged(store, "a block has a field of the wrong length", err);
        } else if (rc == PQL_OK && row) {
            *count += 1;
        }
    }
    pqi_db_release(query);
    if (rc != PQL_OK) {
        *count = 0;
    }
    return rc;
}

pql_status pqi_store_block_list(pqi_store *store, uint64_t from, pqi_store_block *out, size_t max,
                                size_t *count, pql_error *err)
{
    *count = 0;
    if (from > PQI_DB_INTEGER_MAX) {
        return PQL_OK; /* no block can be there */
    }
    (void)pthread_mutex_lock(&store->lock);
    const pql_status rc = list_locked(store, from, out, max, count, err);
    (void)pthread_mutex_unlock(&store->lock);
    return rc;
}

pql_status pqi_store_block_get(pqi_store *store, uint64_t height, pqi_store_block *out,
                               pql_error *err)
{
    size_t count = 0;
    pql_status rc = pqi_store_block_list(store, height, out, 1, &count, err);
    if (rc == PQL_OK && (count == 0 || out->height != height)) {
        rc = pqi_fail(err, PQL_E_NOT_FOUND, "There is no block at height %llu.",
                      (unsigned long long)height);
    }
    if (rc != PQL_OK) {
        memset(out, 0, sizeof(*out));
    }
    return rc;
}

static pql_status last_locked(pqi_store *store, pqi_store_block *out, pql_error *err)
{
    block_range range;
    size_t count = 0;
    pql_status rc = read_range(store, &range, err);
    if (rc == PQL_OK && !range.any) {
        return pqi_fail(err, PQL_E_NOT_FOUND, "There is no block yet.");
    }
    return rc == PQL_OK ? list_locked(store, range.last, out, 1, &count, err) : rc;
}

pql_status pqi_store_block_last(pqi_store *store, pqi_store_block *out, pql_error *err)
{
    memset(out, 0, sizeof(*out));
    (void)pthread_mutex_lock(&store->lock);
    const pql_status rc = last_locked(store, out, err);
    (void)pthread_mutex_unlock(&store->lock);
    if (rc != PQL_OK) {
        memset(out, 0, sizeof(*out));
    }
    return rc;
}

pql_status pqi_store_block_count(pqi_store *store, uint64_t *count, pql_error *err)
{
    block_range range;
    *count = 0;
    (void)pthread_mutex_lock(&store->lock);
    const pql_status rc = read_range(store, &range, err);
    (void)pthread_mutex_unlock(&store->lock);
    if (rc == PQL_OK && range.any) {
        *count = range.last - range.first + 1; /* heights have no gaps */
    }
    return rc;
}
