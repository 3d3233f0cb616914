#include "matrix/counters.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OFFERS "pqlink_offered_total{"

static void must(bool holds, const char *sentence)
{
    if (!holds) {
        (void)fprintf(stderr, "counters: %s\n", sentence);
        abort();
    }
}

static bool not_compared(const char *name)
{
    static const char *const families[] = {
        "pqlink_bytes_total",       "pqlink_datagrams_total",       "crypto_latency_seconds",
        "pqlink_handshake_seconds", "pqlink_handshake_round_trips", "pqlink_streams_",
    };
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        if (strncmp(name, families[i], strlen(families[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* 'name{algo="x25519",role="client"}' becomes "name{x25519,client}". */
static void shorten(char *out, size_t size, const char *text, size_t len)
{
    bool in_value = false;
    bool in_labels = false;
    size_t n = 0;
    for (size_t i = 0; i < len && n + 1 < size; i++) {
        const char c = text[i];
        if (c == '"') {
            in_value = !in_value;
        } else if (!in_labels || in_value || c == ',' || c == '}') {
            out[n++] = c;
        }
        in_labels = in_labels || c == '{';
    }
    out[n] = '\0';
}

void counters_take(counters *out, pqi_metrics *registry)
{
    pqi_buf text = {0};
    char *rest = NULL;
    out->count = 0;
    must(pqi_metrics_write(registry, PQI_METRICS_PROMETHEUS, &text, NULL) == PQL_OK &&
             pqi_buf_append(&text, "", 1),
         "the series could not be written");
    for (char *line = strtok_r((char *)text.data, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        const char *value = strrchr(line, ' ');
        if (line[0] == '#' || value == NULL || not_compared(line)) {
            continue;
        }
        must(out->count < COUNTERS_MAX, "there are more series than COUNTERS_MAX");
        shorten(out->series[out->count].name, sizeof(out->series[0].name), line,
                (size_t)(value - line));
        out->series[out->count++].value = strtoll(value + 1, NULL, 10);
    }
    pqi_buf_free(&text);
}

static bool is_offer(const char *name)
{
    return strncmp(name, OFFERS, sizeof(OFFERS) - 1) == 0;
}

static void write_moved(const counters *before, const counters *after, bool offers, char *out,
                        size_t size)
{
    size_t n = 0;
    (void)snprintf(out, size, "-");
    must(before->count == after->count, "not of one registry");
    for (size_t i = 0; i < after->count; i++) {
        const char *name = after->series[i].name;
        const long long moved = after->series[i].value - before->series[i].value;
        if (moved != 0 && is_offer(name) == offers) {
            n += (size_t)snprintf(out + n, size - n, "%s%s", n == 0 ? "" : " ", name);
            n += (size_t)(moved == 1 ? 0 : snprintf(out + n, size - n, "%+lld", moved));
            must(n < size, "more moved than there is room for");
        }
    }
}

void counters_moved(const counters *before, const counters *after, char *out, size_t size)
{
    write_moved(before, after, false, out, size);
}

void counters_offered(const counters *before, const counters *after, char *out, size_t size)
{
    write_moved(before, after, true, out, size);
}
