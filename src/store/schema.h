/* What the database looks like, and every statement that is run on it.  For src/store/ alone. */
#ifndef PQI_STORE_SCHEMA_H
#define PQI_STORE_SCHEMA_H

/* "pqlk" in the database header tells our files from other programs' databases. */
#define PQI_SCHEMA_APPLICATION_ID 0x70716c6b

/* One step of migration: SQL that turns schema version i into i + 1, where i is its place in the
 * list.  A step that was released is never edited. */
typedef struct pqi_schema {
    const char *const *steps;
    int version; /* how many steps there are */
} pqi_schema;

extern const pqi_schema pqi_schema_current;

typedef enum pqi_query {
    PQI_QUERY_SECRET_ADD,
    PQI_QUERY_SECRET_GET,
    PQI_QUERY_SECRET_ROTATE,
    PQI_QUERY_PEER_PUT,
    PQI_QUERY_PEER_GET,
    PQI_QUERY_PEER_FORGET,
    PQI_QUERY_BLOCK_APPEND,
    PQI_QUERY_BLOCK_LIST,
    PQI_QUERY_BLOCK_RANGE,
    PQI_QUERY_COUNT
} pqi_query;

/* The SQL of |query|.  Static string. */
const char *pqi_query_text(pqi_query query);

#endif
