/* Reading and writing the JSON of the miner protocol: one value of at most a kilobyte, no memory.
 *
 * Why not jansson, which the rest of the project uses: its integers are int64 (hash_count goes to
 * 2^64 - 1; asking for reals instead loses digits and the difference between 1 and 1.0), it
 * allocates an object per value for bytes of a peer that nobody has authenticated yet, and it reads
 * a random seed at first use.  The tests and the fuzzer hold the two against each other.
 *
 * The reader is a cursor that is told what to expect (pull parsing).  It stops for good at the
 * first fault: read the whole value, then ask pqi_json_done() once.  RFC 8259 with these bounds:
 * valid UTF-8 only, no U+0000 in a string, at most PQI_JSON_DEPTH nested arrays and objects. */
#ifndef PQI_MINER_JSON_H
#define PQI_MINER_JSON_H

#include "base/cursor.h"

#define PQI_JSON_DEPTH 127

typedef enum pqi_json_kind {
    PQI_JSON_BAD, /* no value starts here, or the reader has failed */
    PQI_JSON_OBJECT,
    PQI_JSON_ARRAY,
    PQI_JSON_STRING,
    PQI_JSON_NUMBER,
    PQI_JSON_BOOL,
    PQI_JSON_NULL
} pqi_json_kind;

typedef struct pqi_json {
    pqi_reader in;
    pqi_writer text; /* decoded strings, each with its NUL */
} pqi_json;

/* |data| and |text| are borrowed for as long as the reader and the strings it gave out are used.
 * |text_size| >= |len| is always enough: a string is never longer than its quoted form. */
void pqi_json_init(pqi_json *j, const void *data, size_t len, char *text, size_t text_size);

/* Skips white space and tells what comes next, without taking it. */
pqi_json_kind pqi_json_peek(pqi_json *j);

/* Takes the opening bracket '{' or '['.  Walk with:
 *   pqi_json_open(j, '{');
 *   for (bool first = true; pqi_json_more(j, '}', &first);) { key = pqi_json_key(j); value... }
 * pqi_json_more takes the comma between members, or the closing bracket and then returns false; it
 * also returns false after a fault. */
void pqi_json_open(pqi_json *j, char bracket);
bool pqi_json_more(pqi_json *j, char bracket, bool *first);
/* A member's name and its colon; NULL after a fault. */
const char *pqi_json_key(pqi_json *j);

/* A string, decoded and NUL-terminated in the text buffer; NULL after a fault. */
const char *pqi_json_string(pqi_json *j);
/* A whole number 0 to 2^64 - 1, written without sign, fraction or exponent; 0 after a fault. */
uint64_t pqi_json_u64(pqi_json *j);
/* A number of seconds in any form, as nanoseconds: cut to whole ones, below zero = 0, too large =
 * UINT64_MAX.  Numbers of 10^309 and more are a fault, as for readers that use doubles. */
uint64_t pqi_json_seconds(pqi_json *j);
/* The word null. */
void pqi_json_null(pqi_json *j);
/* Any one value, checked and thrown away. */
void pqi_json_skip(pqi_json *j);

/* Makes the reader fail: the value is well-formed, but not what the caller can take. */
void pqi_json_fail(pqi_json *j);
bool pqi_json_ok(const pqi_json *j);
/* True when no fault was met and only white space is left. */
bool pqi_json_done(pqi_json *j);

/* Text as it stands, for brackets, commas and names that need no escape. */
void pqi_json_write_raw(pqi_writer *w, const char *text);
/* A string with its quotes.  Escapes what must be and nothing else, as serde_json does (\b \t \n \f
 * \r, other controls \u00xx).  Text that is not UTF-8 makes |w| fail. */
void pqi_json_write_string(pqi_writer *w, const char *text);
void pqi_json_write_u64(pqi_writer *w, uint64_t value);
/* Nanoseconds as seconds: 0.0, 0.194, 123456.789012345. */
void pqi_json_write_seconds(pqi_writer *w, uint64_t ns);

#endif
