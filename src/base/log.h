/* Structured log events: one line per event, JSON or text, written to a file descriptor.
 *
 * The line is built on the stack and leaves in one write(2), so lines of several threads never mix.
 * Never pass a secret, token or payload.  Field values are escaped; a line over
 * PQI_LOG_LINE_SIZE bytes loses its last fields and gains "cut":true. */
#ifndef PQI_BASE_LOG_H
#define PQI_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#define PQI_LOG_LINE_SIZE 2048

typedef enum pqi_log_level {
    PQI_LOG_DEBUG,
    PQI_LOG_INFO,
    PQI_LOG_WARN,
    PQI_LOG_ERROR
} pqi_log_level;
typedef enum pqi_log_format { PQI_LOG_TEXT, PQI_LOG_JSON } pqi_log_format;

/* One field.  Make them with the macros below. */
typedef struct pqi_log_field {
    const char *key;
    enum { PQI_FIELD_STR, PQI_FIELD_U64, PQI_FIELD_F64, PQI_FIELD_BOOL, PQI_FIELD_CORR } type;
    union {
        const char *str;
        uint64_t u64;
        double f64;
        bool boolean;
    } value;
} pqi_log_field;

#define PQI_STR(k, v) ((pqi_log_field){.key = (k), .type = PQI_FIELD_STR, .value.str = (v)})
#define PQI_U64(k, v) ((pqi_log_field){.key = (k), .type = PQI_FIELD_U64, .value.u64 = (v)})
#define PQI_F64(k, v) ((pqi_log_field){.key = (k), .type = PQI_FIELD_F64, .value.f64 = (v)})
#define PQI_BOOL(k, v) ((pqi_log_field){.key = (k), .type = PQI_FIELD_BOOL, .value.boolean = (v)})
/* The field corr_id: the same in all lines about one link.  |link_id| is its pql_link_id. */
#define PQI_CORR(link_id)                                                                          \
    ((pqi_log_field){.key = "corr_id", .type = PQI_FIELD_CORR, .value.u64 = (link_id)})

/* A correlation id with its NUL: 8 hexadecimal digits that were drawn when the process wrote its
 * first one, '-', and the link's number.  Two processes, and so two runs of one service, share the
 * digits once in 4,000,000,000 pairs. */
#define PQI_CORR_SIZE 30
void pqi_log_corr(char out[PQI_CORR_SIZE], uint64_t link_id);

/* Process-wide settings.  Any thread; when it returns, nobody writes to the descriptor before any
 * more.  Default: descriptor 2, INFO, TEXT. */
void pqi_log_setup(int fd, pqi_log_level least, pqi_log_format format);
/* How the text format is written on a terminal: each line first clears the one that it is written
 * on (a status line may stand there), and shows its level in colour if |colour|.  Not at first. */
void pqi_log_set_terminal(bool terminal, bool colour);
/* Another least level from now on.  Any thread, at any time. */
void pqi_log_set_level(pqi_log_level least);
bool pqi_log_enabled(pqi_log_level level);

/* Writes one line: ts, level, service, event, then |fields|.  Thread-safe.  A line that cannot be
 * written is counted (pqi_log_dropped) and gone, and an event lines_lost says how many are missing
 * as soon as there is room again: logging never blocks a link for ever or fails it.  A reader that
 * does not read (a pager, Ctrl-S, a service manager that hangs) holds up one line for 100 ms, and
 * none of those that follow. */
void pqi_log_event(pqi_log_level level, const char *service, const char *event,
                   const pqi_log_field *fields, unsigned count);
uint64_t pqi_log_dropped(void);

/* A bound for lines that somebody else can cause as often as he likes.  Zero at first; the caller
 * has the lock. */
typedef struct pqi_log_quota {
    uint64_t second;   /* the one in which |said| counts */
    unsigned said;     /* lines in it */
    uint64_t left_out; /* lines that were too many, since the last one */
} pqi_log_quota;

/* True when a line may be written in |second|, of any clock, and |per_second| is not reached;
 * *left_out is then how many were left out before it. */
bool pqi_log_quota_take(pqi_log_quota *quota, unsigned per_second, uint64_t second,
                        uint64_t *left_out);

/* pqi_log(PQI_LOG_INFO, "node", "listening", PQI_STR("address", text), PQI_U64("port", 9833)); */
#define pqi_log(level, service, event, ...)                                                        \
    pqi_log_event(                                                                                 \
        (level), (service), (event), (const pqi_log_field[]){__VA_ARGS__},                         \
        (unsigned)(sizeof((const pqi_log_field[]){__VA_ARGS__}) / sizeof(pqi_log_field)))

#endif
