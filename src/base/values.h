/* Values as users type them: numbers, durations, and the nearest word to a mistyped one. */
#ifndef PQI_BASE_VALUES_H
#define PQI_BASE_VALUES_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* Reads decimal digits only (no sign, space, point or 0x) of a number from |min| to |max|.
 * PQL_E_USAGE with a sentence otherwise, *out untouched.  Pure. */
pql_status pqi_number_parse(uint64_t *out, const char *text, uint64_t min, uint64_t max,
                            pql_error *err);

/* Reads a whole number with the unit ms, s, m, h or d right after it ("500ms", "12s", "2m");
 * without a unit it is seconds.  *out is in nanoseconds and lies in |min_ns| to |max_ns|.
 * PQL_E_USAGE with a sentence otherwise, *out untouched.  Pure. */
pql_status pqi_duration_parse(uint64_t *out, const char *text, uint64_t min_ns, uint64_t max_ns,
                              pql_error *err);

/* "500ms", "12s", "2m": the shortest text that pqi_duration_parse reads as |ns| (a whole number of
 * milliseconds). */
#define PQI_DURATION_SIZE 24
void pqi_duration_format(char out[PQI_DURATION_SIZE], uint64_t ns);

/* Number of single-character insertions, deletions, replacements and swaps of neighbours that turn
 * |a| into |b|; words over 63 characters are infinitely far (SIZE_MAX). */
size_t pqi_edit_distance(const char *a, const char *b);

/* The word of |words| (count of them, entries may be NULL) that a user who typed |typed| most
 * likely meant: one that begins with it, or else the nearest at a distance of at most a third of
 * its length, at least one.  NULL when there is none.  Borrowed from |words|. */
const char *pqi_suggest(const char *typed, const char *const *words, size_t count);

#endif
