#include "base/values.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX ((size_t)63)

typedef struct duration_unit {
    const char *name;
    uint64_t ns;
} duration_unit;

/* From the longest down, so that formatting finds the shortest text first. */
static const duration_unit units[] = {
    {"d", 24 * 3600 * PQI_NS_PER_SEC},
    {"h", 3600 * PQI_NS_PER_SEC},
    {"m", 60 * PQI_NS_PER_SEC},
    {"s", PQI_NS_PER_SEC},
    {"ms", PQI_NS_PER_MS},
};
#define UNIT_COUNT (sizeof(units) / sizeof(units[0]))

/* Reads |len| digits; false when there are none, others among them, or too many for 64 bits. */
static bool read_digits(uint64_t *out, const char *text, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value)) {
            return false;
        }
    }
    *out = value;
    return len > 0;
}

pql_status pqi_number_parse(uint64_t *out, const char *text, uint64_t min, uint64_t max,
                            pql_error *err)
{
    uint64_t value = 0;
    if (!read_digits(&value, text, strlen(text)) || value < min || value > max) {
        return pqi_fail(err, PQL_E_USAGE,
                        "It must be a whole number from %" PRIu64 " to %" PRIu64 ".", min, max);
    }
    *out = value;
    return PQL_OK;
}

static const duration_unit *unit_find(const char *name)
{
    const char *wanted = name[0] == '\0' ? "s" : name;
    for (size_t i = 0; i < UNIT_COUNT; i++) {
        if (strcmp(wanted, units[i].name) == 0) {
            return &units[i];
        }
    }
    return NULL;
}

pql_status pqi_duration_parse(uint64_t *out, const char *text, uint64_t min_ns, uint64_t max_ns,
                              pql_error *err)
{
    const size_t digits = strspn(text, "0123456789");
    const duration_unit *unit = unit_find(text + digits);
    uint64_t value = 0;
    if (digits == 0 || unit == NULL) {
        return pqi_fail(err, PQL_E_USAGE,
                        "It must be a whole number with a unit: ms, s, m, h or d, for example "
                        "500ms, 12s or 2m; a number alone is seconds.");
    }
    if (!read_digits(&value, text, digits) || __builtin_mul_overflow(value, unit->ns, &value) ||
        value < min_ns || value > max_ns) {
        char least[PQI_DURATION_SIZE];
        char most[PQI_DURATION_SIZE];
        pqi_duration_format(least, min_ns);
        pqi_duration_format(most, max_ns);
        return pqi_fail(err, PQL_E_USAGE, "It must lie between %s and %s.", least, most);
    }
    *out = value;
    return PQL_OK;
}

void pqi_duration_format(char out[PQI_DURATION_SIZE], uint64_t ns)
{
    for (size_t i = 0; i < UNIT_COUNT; i++) {
        if (ns >= units[i].ns && ns % units[i].ns == 0) {
            (void)snprintf(out, PQI_DURATION_SIZE, "%" PRIu64 "%s", ns / units[i].ns,
                           units[i].name);
            return;
        }
    }
    (void)snprintf(out, PQI_DURATION_SIZE, "%" PRIu64 "ms", ns / PQI_NS_PER_MS);
}

static size_t min2(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Wagner and Fischer's table with swaps ("optimal string alignment"), of which only the last three
 * rows are kept: rows[i % 3] is row i. */
size_t pqi_edit_distance(const char *a, const char *b)
{
    size_t rows[3][WORD_MAX + 1];
    const size_t a_len = strlen(a);
    const size_t b_len = strlen(b);
    if (a_len > WORD_MAX || b_len > WORD_MAX) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            const size_t replaced = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = min2(min2(above[j], row[j - 1]) + 1, replaced);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = min2(row[j], rows[(i - 2) % 3][j - 2] + 1);
            }
        }
    }
    return rows[a_len % 3][b_len];
}

static bool begins_with(const char *word, const char *head)
{
    return head[0] != '\0' && strncmp(word, head, strlen(head)) == 0;
}

const char *pqi_suggest(const char *typed, const char *const *words, size_t count)
{
    const size_t third = strlen(typed) / 3;
    size_t best_distance = third > 1 ? third : 1;
    const char *best = NULL;
    for (size_t i = 0; i < count; i++) {
        if (words[i] == NULL) {
            continue;
        }
        if (begins_with(words[i], typed)) {
            return words[i];
        }
        const size_t distance = pqi_edit_distance(typed, words[i]);
        if (distance <= best_distance && (best == NULL || distance < best_distance)) {
            best_distance = distance;
            best = words[i];
        }
    }
    return best;
}
