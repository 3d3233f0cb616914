#include "base/log.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* How long a line waits for a reader that does not read; the lines after it wait no more. */
#define STALL_MS 100

static struct {
    int fd; /* under |lock| */
    _Atomic(pqi_log_level) least;
    _Atomic(pqi_log_format) format;
    atomic_bool terminal, colour;
    atomic_uint_fast64_t dropped;
    pthread_mutex_t
        lock; /* guards fd and the two below, and the room in the pipe between poll and write */
    bool stalled;
    uint64_t told; /* of |dropped|: what a lines_lost event has said already */
} log_state = {.fd = STDERR_FILENO,
               .least = PQI_LOG_INFO,
               .format = PQI_LOG_TEXT,
               .lock = PTHREAD_MUTEX_INITIALIZER};

static const char *const level_names[] = {"debug", "info", "warn", "error"};
/* ECMA-48, select graphic rendition: grey, green, yellow, red. */
static const char *const level_colours[] = {"\033[90m", "\033[32m", "\033[33m", "\033[1;31m"};
static const char colour_end[] = "\033[0m";
static const char clear_line[] = "\r\033[K";

/* What closes a line that had to be cut, with its line feed. */
static const char cut_json[] = ",\"cut\":true}\n";
static const char cut_text[] = " cut=true\n";

static uint32_t process_tag;
static pthread_once_t process_tag_once = PTHREAD_ONCE_INIT;

/* No secret: where the system has no random numbers yet, the time tells processes apart. */
static void draw_process_tag(void)
{
    if (getrandom(&process_tag, sizeof(process_tag), GRND_NONBLOCK) !=
        (ssize_t)sizeof(process_tag)) {
        process_tag = (uint32_t)(pqi_clock_unix_ms() ^ ((uint64_t)getpid() << 16));
    }
}

void pqi_log_corr(char out[PQI_CORR_SIZE], uint64_t link_id)
{
    (void)pthread_once(&process_tag_once, draw_process_tag);
    (void)snprintf(out, PQI_CORR_SIZE, "%08x-%llu", (unsigned)process_tag,
                   (unsigned long long)link_id);
}

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

/* JSON string escapes; the text format uses the same ones, so that no peer can forge a line.  What
 * is no UTF-8 becomes U+FFFD, byte by byte: a JSON text has nothing else. */
static void line_escaped(line *l, const char *text)
{
    while (*text != '\0') {
        uint32_t point = 0;
        const size_t len = pqi_utf8_read(text, &point);
        if (len == 0 || pqi_char_is_control(point)) {
            char escape[8];
            (void)snprintf(escape, sizeof(escape), "\\u%04x", len == 0 ? 0xfffdU : (unsigned)point);
            line_raw(l, escape);
        } else {
            if (point == '"' || point == '\\') {
                line_char(l, '\\');
            }
            for (size_t i = 0; i < len; i++) {
                line_char(l, text[i]);
            }
        }
        text += len == 0 ? 1 : len;
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
    case PQI_FIELD_CORR:
        pqi_log_corr(number, field->value.u64);
        if (quote) {
            line_char(l, '"');
            line_raw(l, number);
            line_char(l, '"');
            return;
        }
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
        const bool colour = atomic_load_explicit(&log_state.colour, memory_order_relaxed);
        const bool terminal = atomic_load_explicit(&log_state.terminal, memory_order_relaxed);
        (void)snprintf(head, sizeof(head), "%s%s %s%-5s%s %s %s", terminal ? clear_line : "", when,
                       colour ? level_colours[level] : "", level_names[level],
                       colour ? colour_end : "", service, event);
    }
    line_raw(l, head);
}

void pqi_log_setup(int fd, pqi_log_level least, pqi_log_format format)
{
    pthread_mutex_lock(&log_state.lock);
    log_state.fd = fd;
    pthread_mutex_unlock(&log_state.lock);
    atomic_store_explicit(&log_state.format, format, memory_order_relaxed);
    pqi_log_set_level(least);
}

void pqi_log_set_terminal(bool terminal, bool colour)
{
    atomic_store_explicit(&log_state.terminal, terminal, memory_order_relaxed);
    atomic_store_explicit(&log_state.colour, colour, memory_order_relaxed);
}

void pqi_log_set_level(pqi_log_level least)
{
    atomic_store_explicit(&log_state.least, least, memory_order_relaxed);
}

bool pqi_log_enabled(pqi_log_level level)
{
    return level >= atomic_load_explicit(&log_state.least, memory_order_relaxed);
}

static void line_make(line *l, pqi_log_level level, const char *service, const char *event,
                      const pqi_log_field *fields, unsigned count)
{
    const pqi_log_format format = atomic_load_explicit(&log_state.format, memory_order_relaxed);
    l->len = 0;
    l->full = false;
    l->limit = PQI_LOG_LINE_SIZE - sizeof(cut_json);
    line_start(l, format, level, service, event);
    for (unsigned i = 0; i < count && !l->full; i++) {
        line_field(l, format, &fields[i]);
    }
    const bool cut = l->full;
    l->limit = PQI_LOG_LINE_SIZE;
    if (format == PQI_LOG_JSON) {
        line_raw(l, cut ? cut_json : "}\n");
    } else {
        line_raw(l, cut ? cut_text : "\n");
    }
}

/* With the lock held: waits a moment for room.  A pipe that is writable has room for PIPE_BUF
 * bytes, two of our lines, so the write after it does not block. */
static bool wait_for_room(void)
{
    struct pollfd fd = {.fd = log_state.fd, .events = POLLOUT};
    int ready;
    do {
        ready = poll(&fd, 1, log_state.stalled ? 0 : STALL_MS);
    } while (ready < 0 && errno == EINTR);
    log_state.stalled = ready == 0;
    return ready == 1 && (fd.revents & (POLLERR | POLLNVAL)) == 0;
}

static bool line_write(const line *l)
{
    const bool written = write(log_state.fd, l->text, l->len) == (ssize_t)l->len;
    if (!written) {
        atomic_fetch_add_explicit(&log_state.dropped, 1, memory_order_relaxed);
    }
    return written;
}

/* With the lock held: says how many lines are missing above this place. */
static void tell_lost(void)
{
    const uint64_t dropped = pqi_log_dropped();
    if (dropped == log_state.told) {
        return;
    }
    line l;
    const pqi_log_field field = PQI_U64("lines", dropped - log_state.told);
    line_make(&l, PQI_LOG_WARN, "log", "lines_lost", &field, 1);
    if (line_write(&l)) {
        log_state.told = dropped;
    }
}

void pqi_log_event(pqi_log_level level, const char *service, const char *event,
                   const pqi_log_field *fields, unsigned count)
{
    if (!pqi_log_enabled(level)) {
        return;
    }
    line l;
    line_make(&l, level, service, event, fields, count);
    pthread_mutex_lock(&log_state.lock);
    if (wait_for_room()) {
        tell_lost();
        (void)line_write(&l);
    } else {
        atomic_fetch_add_explicit(&log_state.dropped, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&log_state.lock);
}

uint64_t pqi_log_dropped(void)
{
    return atomic_load_explicit(&log_state.dropped, memory_order_relaxed);
}

bool pqi_log_quota_take(pqi_log_quota *quota, unsigned per_second, uint64_t second,
                        uint64_t *left_out)
{
    if (second != quota->second) {
        quota->second = second;
        quota->said = 0;
    }
    if (quota->said >= per_second) {
        quota->left_out++;
        return false;
    }
    quota->said++;
    *left_out = quota->left_out;
    quota->left_out = 0;
    return true;
}
