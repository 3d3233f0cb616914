#include "base/log.h"

#include "base/clock.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
    int fd;
    pqi_log_level least;
    pqi_log_format format;
    atomic_uint_fast64_t dropped;
} log_state = {.fd = STDERR_FILENO, .least = PQI_LOG_INFO, .format = PQI_LOG_TEXT};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* What closes a line that had to be cut, with its line feed. */
static const char cut_json[] = ",\"cut\":true}\n";
static const char cut_text[] = " cut=true\n";

/* A line being built.  Text past |limit| is refused as a whole piece, see line_field. */
typedef struct line {
    char text[PQI_LOG_LINE_SIZE];
    size_t len;
    size_t limit;
    bool full;
} line;

static void line_char(line *l, char c)
{
    if (l->len >= l->limit) {
        l->full = true;
        return;
    }
    l->text[l->len++] = c;
}

static void line_raw(line *l, const char *text)
{
    for (; *text != '\0'; text++) {
        line_char(l, *text);
    }
}

/* JSON string escapes; the text format uses the same ones, so that no peer can forge a line. */
static void line_escaped(line *l, const char *text)
{
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            line_char(l, '\\');
            line_char(l, (char)c);
        } else if (c < 0x20 || c == 0x7f) {
            char escape[8];
            (void)snprintf(escape, sizeof(escape), "\\u%04x", c);
            line_raw(l, escape);
        } else {
            line_char(l, (char)c);
        }
    }
}

static void line_value(line *l, const pqi_log_field *field, bool quote)
{
    char number[32];
    switch (field->type) {
    case PQI_FIELD_STR:
        if (quote) {
            line_char(l, '"');
        }
        line_escaped(l, field->value.str != NULL ? field->value.str : "");
        if (quote) {
            line_char(l, '"');
        }
        return;
    case PQI_FIELD_U64:
        (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)field->value.u64);
        break;
    case PQI_FIELD_F64:
        /* JSON has no word for infinity or not-a-number. */
        (void)snprintf(number, sizeof(number), "%.6g",
                       isfinite(field->value.f64) ? field->value.f64 : 0.0);
        break;
    case PQI_FIELD_BOOL:
        (void)snprintf(number, sizeof(number), "%s", field->value.boolean ? "true" : "false");
        break;
    }
    line_raw(l, number);
}

/* Adds the field whole or not at all. */
static void line_field(line *l, pqi_log_format format, const pqi_log_field *field)
{
    const size_t before = l->len;
    if (format == PQI_LOG_JSON) {
        line_raw(l, ",\"");
        line_escaped(l, field->key);
        line_raw(l, "\":");
        line_value(l, field, true);
    } else {
        const bool spaced = field->type == PQI_FIELD_STR && field->value.str != NULL &&
                            strpbrk(field->value.str, " \"") != NULL;
        line_char(l, ' ');
        line_raw(l, field->key);
        line_char(l, '=');
        line_value(l, field, spaced);
    }
    if (l->full) {
        l->len = before;
    }
}

static void line_start(line *l, pqi_log_format format, pqi_log_level level, const char *service,
                       const char *event)
{
    const uint64_t now_ms = pqi_clock_unix_ms();
    const time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    char when[32];
    (void)gmtime_r(&seconds, &utc);
    const size_t n = strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(when + n, sizeof(when) - n, ".%03uZ", (unsigned)(now_ms % 1000));
    char head[192];
    if (format == PQI_LOG_JSON) {
        (void)snprintf(head, sizeof(head),
                       "{\"ts\":\"%s\",\"level\":\"%s\",\"service\":\"%s\",\"event\":\"%s\"", when,
                       level_names[level], service, event);
    } else {
        (void)snprintf(head, sizeof(head), "%s %-5s %s %s", when, level_names[level], service,
                       event);
    }
    line_raw(l, head);
}

void pqi_log_setup(int fd, pqi_log_level least, pqi_log_format format)
{
    log_state.fd = fd;
    log_state.least = least;
    log_state.format = format;
}

bool pqi_log_enabled(pqi_log_level level)
{
    return level >= log_state.least;
}

void pqi_log_event(pqi_log_level level, const char *service, const char *event,
                   const pqi_log_field *fields, unsigned count)
{
    if (!pqi_log_enabled(level)) {
        return;
    }
    const pqi_log_format format = log_state.format;
    line l = {.limit = PQI_LOG_LINE_SIZE - sizeof(cut_json)};
    line_start(&l, format, level, service, event);
    for (unsigned i = 0; i < count && !l.full; i++) {
        line_field(&l, format, &fields[i]);
    }
    const bool cut = l.full;
    l.limit = PQI_LOG_LINE_SIZE;
    if (format == PQI_LOG_JSON) {
        line_raw(&l, cut ? cut_json : "}\n");
    } else {
        line_raw(&l, cut ? cut_text : "\n");
    }
    if (write(log_state.fd, l.text, l.len) != (ssize_t)l.len) {
        atomic_fetch_add_explicit(&log_state.dropped, 1, memory_order_relaxed);
    }
}

uint64_t pqi_log_dropped(void)
{
    return atomic_load_explicit(&log_state.dropped, memory_order_relaxed);
}
