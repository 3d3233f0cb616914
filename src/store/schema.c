#include "store/schema.h"

#include <stddef.h>

/* Lengths are checked by the database too, so that a wrong row cannot be stored by any road. */
static const char step_1[] =
    "CREATE TABLE secret ("
    "  name     TEXT PRIMARY KEY,"
    "  value    BLOB NOT NULL,"
    "  previous BLOB," /* what |value| was before the last rotation */
    "  made_ms  INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE peer ("
    "  name          TEXT PRIMARY KEY,"
    "  fingerprint   BLOB NOT NULL CHECK (length(fingerprint) = 32),"
    "  was_hybrid    INTEGER NOT NULL CHECK (was_hybrid IN (0, 1)),"
    "  first_seen_ms INTEGER NOT NULL,"
    "  last_seen_ms  INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE block ("
    "  height      INTEGER PRIMARY KEY,"
    "  hash        BLOB NOT NULL CHECK (length(hash) = 32),"
    "  parent      BLOB NOT NULL CHECK (length(parent) = 32),"
    "  time_ms     INTEGER NOT NULL,"
    "  difficulty  BLOB NOT NULL CHECK (length(difficulty) = 64)," /* big-endian */
    "  nonce       BLOB NOT NULL CHECK (length(nonce) = 64),"
    "  mining_hash BLOB NOT NULL CHECK (length(mining_hash) = 32),"
    "  miner       TEXT NOT NULL"
    ") STRICT;";

static const char *const steps[] = {step_1};

const pqi_schema pqi_schema_current = {
    .steps = steps,
    .version = (int)(sizeof(steps) / sizeof(steps[0])),
};

static const char *const query_texts[PQI_QUERY_COUNT] = {
    [PQI_QUERY_SECRET_ADD] = "INSERT INTO secret (name, value, made_ms) VALUES (?1, ?2, ?3)",
    [PQI_QUERY_SECRET_GET] = "SELECT value, previous, made_ms FROM secret WHERE name = ?1",
    [PQI_QUERY_SECRET_ROTATE] =
        "UPDATE secret SET previous = value, value = ?2, made_ms = ?3 WHERE name = ?1",
    /* A known peer keeps its fingerprint, its first sight, and that it was hybrid once. */
    [PQI_QUERY_PEER_PUT] =
        "INSERT INTO peer (name, fingerprint, was_hybrid, first_seen_ms, last_seen_ms)"
        " VALUES (?1, ?2, ?3, ?4, ?5)"
        " ON CONFLICT (name) DO UPDATE SET"
        "  was_hybrid = max(was_hybrid, excluded.was_hybrid),"
        "  first_seen_ms = min(first_seen_ms, excluded.first_seen_ms),"
        "  last_seen_ms = max(last_seen_ms, excluded.last_seen_ms)"
        " WHERE fingerprint = excluded.fingerprint",
    [PQI_QUERY_PEER_GET] = "SELECT fingerprint, was_hybrid, first_seen_ms, last_seen_ms"
                           " FROM peer WHERE name = ?1",
    [PQI_QUERY_PEER_FORGET] = "DELETE FROM peer WHERE name = ?1",
    [PQI_QUERY_BLOCK_APPEND] = "INSERT INTO block"
                               " (height, hash, parent, time_ms, difficulty, nonce, mining_hash,"
                               " miner) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [PQI_QUERY_BLOCK_LIST] = "SELECT height, hash, parent, time_ms, difficulty, nonce,"
                             " mining_hash, miner FROM block WHERE height >= ?1"
                             " ORDER BY height LIMIT ?2",
    /* Two subqueries, each one look-up in the tree; min and max together would read every row. */
    [PQI_QUERY_BLOCK_RANGE] =
        "SELECT (SELECT min(height) FROM block), (SELECT max(height) FROM block)",
};

const char *pqi_query_text(pqi_query query)
{
    return query_texts[query];
}
