/* Writing the registry as Prometheus text 0.0.4 or OpenMetrics 1.0. */
#include "observe/metrics_inside.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Longest number: a double of 17 digits with sign, point and exponent. */
#define NUMBER_SIZE 32
/* Digits that always bring a double back; fewer are tried first. */
#define DOUBLE_DIGITS_MIN 15
#define DOUBLE_DIGITS_MAX 17
/* Whole numbers below this are exact, and are written without an exponent. */
#define DOUBLE_WHOLE_MAX 1e15

/* The text under way; once something did not fit it stays failed. */
typedef struct text {
    pqi_buf *out;
    pqi_metrics_format format;
    bool failed;
} text;

static void put_bytes(text *t, const char *data, size_t len)
{
    t->failed = t->failed || !pqi_buf_append(t->out, data, len);
}

static void put(text *t, const char *string)
{
    put_bytes(t, string, strlen(string));
}

static void put_u64(text *t, uint64_t value)
{
    char number[NUMBER_SIZE];
    const int len = snprintf(number, sizeof(number), "%" PRIu64, value);
    put_bytes(t, number, (size_t)len);
}

/* The shortest text that reads back as |value|. */
static void double_text(char number[NUMBER_SIZE], double value)
{
    if (isnan(value)) {
        (void)snprintf(number, NUMBER_SIZE, "NaN");
    } else if (isinf(value)) {
        (void)snprintf(number, NUMBER_SIZE, value > 0 ? "+Inf" : "-Inf");
    } else if (fabs(value) < DOUBLE_WHOLE_MAX && trunc(value) == value) {
        (void)snprintf(number, NUMBER_SIZE, "%" PRId64, (int64_t)value);
    } else {
        int digits = DOUBLE_DIGITS_MIN;
        do {
            (void)snprintf(number, NUMBER_SIZE, "%.*g", digits, value);
        } while (strtod(number, NULL) != value && ++digits <= DOUBLE_DIGITS_MAX);
    }
}

static void put_double(text *t, double value)
{
    char number[NUMBER_SIZE];
    double_text(number, value);
    put(t, number);
}

/* A bucket's bound is a label, and OpenMetrics wants a point in it: "1.0". */
static void put_bound(text *t, double value)
{
    char number[NUMBER_SIZE];
    double_text(number, value);
    put(t, number);
    if (t->format == PQI_METRICS_OPENMETRICS && strpbrk(number, ".eI") == NULL) {
        put(t, ".0");
    }
}

static void put_help(text *t, const char *help)
{
    for (const char *c = help; *c != '\0'; c++) {
        if (*c == '\\') {
            put(t, "\\\\");
        } else if (*c == '\n') {
            put(t, "\\n");
        } else if (*c == '"' && t->format == PQI_METRICS_OPENMETRICS) {
            put(t, "\\\"");
        } else {
            put_bytes(t, c, 1);
        }
    }
}

static void put_header(text *t, const pqi_family *f)
{
    static const char *const type_names[] = {"counter", "gauge", "histogram"};
    const size_t name_len = t->format == PQI_METRICS_OPENMETRICS ? f->base_len : strlen(f->name);
    put(t, "# HELP ");
    put_bytes(t, f->name, name_len);
    put(t, " ");
    put_help(t, f->help);
    put(t, "\n# TYPE ");
    put_bytes(t, f->name, name_len);
    put(t, " ");
    put(t, type_names[f->type]);
    put(t, "\n");
}

/* `name<suffix>{labels} `, ready for the value. */
static void put_sample_name(text *t, const pqi_family *f, const char *suffix, const char *labels)
{
    put(t, f->name);
    put(t, suffix);
    if (labels[0] != '\0') {
        put(t, "{");
        put(t, labels);
        put(t, "}");
    }
    put(t, " ");
}

static void put_bucket(text *t, const pqi_family *f, const char *labels, double bound, uint64_t n)
{
    put(t, f->name);
    put(t, "_bucket{");
    put(t, labels);
    put(t, labels[0] != '\0' ? ",le=\"" : "le=\"");
    put_bound(t, bound);
    put(t, "\"} ");
    put_u64(t, n);
    put(t, "\n");
}

static void put_histogram(text *t, const pqi_family *f, const char *labels, const pqi_histogram *h)
{
    const double scale = (double)f->scale;
    uint64_t seen = 0;
    for (unsigned i = 0; i <= h->bound_count; i++) {
        seen += atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
        const double bound = i < h->bound_count ? (double)h->bounds[i] / scale : (double)INFINITY;
        put_bucket(t, f, labels, bound, seen);
    }
    put_sample_name(t, f, "_sum", labels);
    put_double(t, (double)atomic_load_explicit(&h->sum, memory_order_relaxed) / scale);
    put(t, "\n");
    put_sample_name(t, f, "_count", labels);
    put_u64(t, seen);
    put(t, "\n");
}

static void put_series(text *t, const pqi_family *f, const pqi_series_set *set, unsigned series)
{
    const char *labels = set->labels[series];
    if (set->histograms != NULL) {
        put_histogram(t, f, labels, &set->histograms[series]);
        return;
    }
    put_sample_name(t, f, "", labels);
    if (set->counters != NULL) {
        put_u64(t, pqi_counter_get(&set->counters[series]));
    } else if (set->gauges != NULL) {
        put_double(t, pqi_gauge_get(&set->gauges[series]));
    } else if (f->compute == NULL) {
        put_double(t, f->kept == NULL ? 0 : f->kept[series]);
    } else {
        put_double(t, f->compute(f->user, series));
    }
    put(t, "\n");
}

static void put_set(text *t, const pqi_family *f, const pqi_series_set *set)
{
    for (unsigned i = 0; i < f->series_count; i++) {
        if (set->labels[i] != NULL) {
            put_series(t, f, set, i);
        }
    }
}

/* "other" shows once somebody had to use it. */
static bool member_shown(const pqi_family *f, const pqi_member *member)
{
    return member != NULL &&
           (member != f->members[f->member_max] || member->users > 0 || member->left_at > 0);
}

static void put_family(text *t, const pqi_family *f)
{
    put_header(t, f);
    if (f->members == NULL) {
        put_set(t, f, &f->set);
        return;
    }
    for (unsigned i = 0; i <= f->member_max; i++) {
        if (member_shown(f, f->members[i])) {
            put_set(t, f, &f->members[i]->set);
        }
    }
}

pql_status pqi_metrics_write(pqi_metrics *m, pqi_metrics_format format, pqi_buf *out,
                             pql_error *err)
{
    text t = {.out = out, .format = format};
    const locale_t callers = uselocale(m->c_locale);
    pthread_mutex_lock(&m->lock);
    for (unsigned i = 0; i < m->family_count && !t.failed; i++) {
        put_family(&t, m->families[i]);
    }
    pthread_mutex_unlock(&m->lock);
    (void)uselocale(callers);
    if (format == PQI_METRICS_OPENMETRICS) {
        put(&t, "# EOF\n");
    }
    return t.failed ? pqi_fail(err, PQL_E_NOMEM, "No memory to write the metrics.") : PQL_OK;
}
