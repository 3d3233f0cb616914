/* The values of series: updating them, their label texts, and the handles to them. */
#include "observe/metrics_inside.h"

#include <stdlib.h>

/* ---- Updates ---- */

void pqi_gauge_add(pqi_gauge *g, double delta)
{
    if (g == NULL) {
        return;
    }
    uint64_t old_bits = atomic_load_explicit(&g->bits, memory_order_relaxed);
    uint64_t new_bits;
    do {
        double value;
        memcpy(&value, &old_bits, sizeof(value));
        value += delta;
        memcpy(&new_bits, &value, sizeof(new_bits));
    } while (!atomic_compare_exchange_weak_explicit(&g->bits, &old_bits, new_bits,
                                                    memory_order_relaxed, memory_order_relaxed));
}

void pqi_histogram_observe(pqi_histogram *h, uint64_t value)
{
    if (h == NULL) {
        return;
    }
    unsigned i = 0;
    while (i < h->bound_count && value > h->bounds[i]) {
        i++;
    }
    atomic_fetch_add_explicit(&h->buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum, value, memory_order_relaxed);
}

/* ---- Series ---- */

/* `name="value"` with the escapes of both formats, after a comma unless it is the first. */
static bool label_write(pqi_buf *out, const char *name, const char *value)
{
    bool ok = pqi_buf_printf(out, "%s%s=\"", out->len == 0 ? "" : ",", name);
    for (const char *c = value; ok && *c != '\0'; c++) {
        if (*c == '\n') {
            ok = pqi_buf_append(out, "\\n", 2);
        } else if (*c == '"' || *c == '\\') {
            ok = pqi_buf_printf(out, "\\%c", *c);
        } else {
            ok = pqi_buf_append(out, c, 1);
        }
    }
    return ok && pqi_buf_append(out, "\"", 1);
}

static void series_index(const pqi_family *f, unsigned series, unsigned *index)
{
    for (unsigned i = f->label_count; i-- > 0;) {
        index[i] = series % f->labels[i].count;
        series /= f->labels[i].count;
    }
}

/* The label text of one series to *out, NULL where there is no such series; false without memory.
 */
static bool series_labels(const pqi_family *f, unsigned series, const char *member, char **out)
{
    unsigned index[PQI_METRICS_LABELS_MAX] = {0};
    pqi_buf text = {0};
    series_index(f, series, index);
    *out = NULL;
    if (f->exists != NULL && !f->exists(index)) {
        return true;
    }
    bool ok = member == NULL || label_write(&text, f->member_label, member);
    for (unsigned i = 0; ok && i < f->label_count; i++) {
        ok = label_write(&text, f->labels[i].name, f->labels[i].values[index[i]]);
    }
    if (!ok || !pqi_buf_append(&text, "", 1)) {
        pqi_buf_free(&text);
        return false;
    }
    *out = (char *)text.data;
    return true;
}

static void labels_free(char **labels, unsigned count)
{
    for (unsigned i = 0; labels != NULL && i < count; i++) {
        free(labels[i]);
    }
    free((void *)labels);
}

/* Writes the labels of all series anew; without memory the old ones stay. */
void pqi_series_set_unshow(pqi_series_set *set, unsigned series_count)
{
    for (unsigned format = 0; format < PQI_METRICS_FORMATS; format++) {
        for (unsigned i = 0; set->shown[format] != NULL && i < series_count; i++) {
            free(set->shown[format][i].values);
        }
        free(set->shown[format]);
        set->shown[format] = NULL;
    }
}

bool pqi_series_set_name(const pqi_family *f, pqi_series_set *set, const char *member)
{
    char **labels = (char **)calloc(f->series_count, sizeof(*labels));
    if (labels == NULL) {
        return false;
    }
    for (unsigned i = 0; i < f->series_count; i++) {
        if (!series_labels(f, i, member, &labels[i])) {
            labels_free(labels, f->series_count);
            return false;
        }
    }
    labels_free(set->labels, f->series_count);
    set->labels = labels;
    pqi_series_set_unshow(set, f->series_count);
    return true;
}

void pqi_series_set_free(pqi_series_set *set, unsigned series_count)
{
    pqi_series_set_unshow(set, series_count);
    labels_free(set->labels, series_count);
    free(set->counters);
    free(set->gauges);
    free(set->histograms);
    free(set->cells);
    *set = (pqi_series_set){0};
}

static bool set_make_histograms(const pqi_family *f, pqi_series_set *set)
{
    const size_t per_series = f->bound_count + 1U;
    set->histograms = calloc(f->series_count, sizeof(*set->histograms));
    set->cells = calloc(f->series_count * per_series, sizeof(*set->cells));
    if (set->histograms == NULL || set->cells == NULL) {
        return false;
    }
    for (unsigned i = 0; i < f->series_count; i++) {
        set->histograms[i].bounds = f->bounds;
        set->histograms[i].bound_count = f->bound_count;
        set->histograms[i].buckets = set->cells + i * per_series;
    }
    return true;
}

static bool set_make_values(const pqi_family *f, pqi_series_set *set)
{
    if (f->compute != NULL) {
        return true;
    }
    switch (f->type) {
    case PQI_COUNTER:
        set->counters = calloc(f->series_count, sizeof(*set->counters));
        return set->counters != NULL;
    case PQI_GAUGE:
        set->gauges = calloc(f->series_count, sizeof(*set->gauges));
        return set->gauges != NULL;
    case PQI_HISTOGRAM:
        return set_make_histograms(f, set);
    }
    return false;
}

/* On failure the set is empty. */
bool pqi_series_set_make(const pqi_family *f, pqi_series_set *set, const char *member)
{
    if (!set_make_values(f, set) || !pqi_series_set_name(f, set, member)) {
        pqi_series_set_free(set, f->series_count);
        return false;
    }
    return true;
}

/* ---- Handles ---- */

pqi_counter *pqi_counter_at(pqi_family *f, unsigned series)
{
    const bool there = f != NULL && f->set.counters != NULL && series < f->series_count;
    return there ? &f->set.counters[series] : NULL;
}

pqi_gauge *pqi_gauge_at(pqi_family *f, unsigned series)
{
    const bool there = f != NULL && f->set.gauges != NULL && series < f->series_count;
    return there ? &f->set.gauges[series] : NULL;
}

pqi_histogram *pqi_histogram_at(pqi_family *f, unsigned series)
{
    const bool there = f != NULL && f->set.histograms != NULL && series < f->series_count;
    return there ? &f->set.histograms[series] : NULL;
}
