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
    char *at = number + sizeof(number);
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    put_bytes(t, at, (size_t)(number + sizeof(number) - at));
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

static double as_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static unsigned values_of(const pqi_family *f)
{
    return f->type == PQI_HISTOGRAM ? f->bound_count + 2U : 1U;
}

/* The present values of a series: of a histogram its buckets and its sum. */
static void take_values(const pqi_family *f, const pqi_series_set *set, unsigned series,
                        uint64_t values[PQI_SERIES_VALUES_MAX])
{
    if (set->histograms != NULL) {
        const pqi_histogram *h = &set->histograms[series];
        for (unsigned i = 0; i <= h->bound_count; i++) {
            values[i] = atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
        }
        values[h->bound_count + 1] = atomic_load_explicit(&h->sum, memory_order_relaxed);
    } else if (set->counters != NULL) {
        values[0] = pqi_counter_get(&set->counters[series]);
    } else if (set->gauges != NULL) {
        values[0] = bits_of(pqi_gauge_get(&set->gauges[series]));
    } else if (f->compute != NULL) {
        values[0] = bits_of(f->compute(f->user, series));
    } else {
        values[0] = bits_of(f->kept == NULL ? 0 : f->kept[series]);
    }
}

static void put_histogram(text *t, const pqi_family *f, const char *labels, const uint64_t *values)
{
    const double scale = (double)f->scale;
    uint64_t seen = 0;
    for (unsigned i = 0; i <= f->bound_count; i++) {
        seen += values[i];
        const double bound = i < f->bound_count ? (double)f->bounds[i] / scale : (double)INFINITY;
        put_bucket(t, f, labels, bound, seen);
    }
    put_sample_name(t, f, "_sum", labels);
    put_double(t, (double)values[f->bound_count + 1] / scale);
    put(t, "\n");
    put_sample_name(t, f, "_count", labels);
    put_u64(t, seen);
    put(t, "\n");
}

static void put_values(text *t, const pqi_family *f, const pqi_series_set *set, unsigned series,
                       const uint64_t *values)
{
    if (set->histograms != NULL) {
        put_histogram(t, f, set->labels[series], values);
        return;
    }
    put_sample_name(t, f, "", set->labels[series]);
    if (set->counters != NULL) {
        put_u64(t, values[0]);
    } else {
        put_double(t, as_double(values[0]));
    }
    put(t, "\n");
}

/* Without memory the series is written anew each time. */
static void remember(pqi_shown *shown, const uint64_t *values, size_t values_len, const void *lines,
                     size_t len)
{
    free(shown->values);
    shown->values = malloc(values_len + len);
    if (shown->values != NULL) {
        shown->text = (char *)shown->values + values_len;
        shown->len = len;
        memcpy(shown->values, values, values_len);
        memcpy(shown->text, lines, len);
    }
}

static void put_series(text *t, const pqi_family *f, pqi_series_set *set, unsigned series)
{
    uint64_t values[PQI_SERIES_VALUES_MAX];
    const size_t values_len = values_of(f) * sizeof(values[0]);
    pqi_shown *shown = set->shown[t->format] == NULL ? NULL : &set->shown[t->format][series];
    take_values(f, set, series, values);
    if (shown != NULL && shown->values != NULL && memcmp(shown->values, values, values_len) == 0) {
        put_bytes(t, shown->text, shown->len);
        return;
    }
    const size_t start = t->out->len;
    put_values(t, f, set, series, values);
    if (shown != NULL && !t->failed) {
        remember(shown, values, values_len, t->out->data + start, t->out->len - start);
    }
}

static void put_set(text *t, const pqi_family *f, pqi_series_set *set)
{
    if (set->shown[t->format] == NULL) {
        set->shown[t->format] = calloc(f->series_count, sizeof(pqi_shown));
    }
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

static void put_family(text *t, pqi_family *f)
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
    const size_t before = out->len;
    const locale_t callers = uselocale(m->c_locale);
    bool more = pqi_buf_reserve(out, atomic_load(&m->written[format]));
    /* The lock is for a family at a time: a worker that lets a miner join must not wait for all. */
    t.failed = !more;
    for (unsigned i = 0; more && !t.failed; i++) {
        pthread_mutex_lock(&m->lock);
        more = i < m->family_count;
        if (more) {
            put_family(&t, m->families[i]);
        }
        pthread_mutex_unlock(&m->lock);
    }
    (void)uselocale(callers);
    if (format == PQI_METRICS_OPENMETRICS) {
        put(&t, "# EOF\n");
    }
    atomic_store(&m->written[format], out->len - before);
    return t.failed ? pqi_fail(err, PQL_E_NOMEM, "No memory to write the metrics.") : PQL_OK;
}
