/* The reader of pqlink.conf: a strict subset of TOML 1.0 (toml.io), as a flat list of settings.
 *
 *     # a comment
 *     [node]
 *     listen = ["quic://0.0.0.0:9833", "quic://[::]:9833"]
 *     block_time = "12s"
 *     workers = 4
 *     allow_v1 = false
 *
 * Taken are: tables of one name, bare keys, basic and literal strings, whole numbers from 0 on,
 * true and false, arrays on one line, comments.  Everything else of TOML (dotted and quoted keys,
 * inline tables, strings and arrays over several lines, fractions, dates) is refused with a
 * sentence that says so, as are a key or table that stands twice, bytes that are no UTF-8, and
 * control characters. */
#ifndef PQI_BASE_CONF_H
#define PQI_BASE_CONF_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Bounds: bytes of a file; bytes of a line; letters of a key or table; entries of the list.  Beyond
 * any of them: PQL_E_USAGE with the place. */
#define PQI_CONF_FILE_MAX ((size_t)256 * 1024)
#define PQI_CONF_LINE_MAX ((size_t)4096)
#define PQI_CONF_NAME_MAX ((size_t)64)
#define PQI_CONF_ENTRIES_MAX ((size_t)1024)

typedef enum pqi_conf_kind {
    PQI_CONF_TABLE,   /* a table begins; key is "" */
    PQI_CONF_STRING,  /* text is decoded */
    PQI_CONF_INTEGER, /* text is 1 to 20 digits */
    PQI_CONF_BOOLEAN, /* text is "true" or "false" */
    PQI_CONF_EMPTY,   /* an array with nothing in it; text is "" */
} pqi_conf_kind;

/* One value.  The elements of an array are neighbours with the same key. */
typedef struct pqi_conf_entry {
    const char *table; /* "" before the first table */
    const char *key;
    const char *text; /* NUL-terminated, without a NUL inside */
    pqi_conf_kind kind;
    bool in_array;
    unsigned line;       /* from 1 */
    unsigned key_column; /* of the key or table; from 1, in characters */
    unsigned column;     /* of the value */
} pqi_conf_entry;

/* All settings of a file in its order.  Owns its texts. */
typedef struct pqi_conf {
    char *file; /* its name for messages */
    pqi_conf_entry *entries;
    size_t count;
    char *texts;
    size_t texts_size;
} pqi_conf;

/* Reads |len| bytes at |data|; |file| is their name for messages and is copied.  Errors are
 * PQL_E_USAGE with "FILE:LINE:COLUMN: sentence", or PQL_E_NOMEM; *out is then NULL.  Takes time and
 * memory linear in |len| but for the search for doubles among PQI_CONF_ENTRIES_MAX.  Pure. */
pql_status pqi_conf_parse(pqi_conf **out, const char *file, const void *data, size_t len,
                          pql_error *err);

/* Wipes (a file may hold tokens) and frees.  NULL is a no-op. */
void pqi_conf_free(pqi_conf *conf);

#endif
