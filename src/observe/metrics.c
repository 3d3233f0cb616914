#include "observe/metrics_inside.h"

#include <stdio.h>
#include <stdlib.h>

#define COUNTER_SUFFIX "_total"

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

/* ---- Names ---- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* [a-zA-Z_][a-zA-Z0-9_]*; colons are for recording rules, not for us. */
static bool name_valid(const char *name)
{
    if (name == NULL || !is_letter(name[0])) {
        return false;
    }
    for (const char *c = name; *c != '\0'; c++) {
        if (!is_letter(*c) && !is_digit(*c)) {
            return false;
        }
    }
    return true;
}

static bool ends_in_total(const char *name)
{
    const size_t len = strlen(name);
    const size_t tail = strlen(COUNTER_SUFFIX);
    return len > tail && strcmp(name + len - tail, COUNTER_SUFFIX) == 0;
}

static bool member_char_valid(char c)
{
    return (c >= 'a' && c <= 'z') || is_digit(c) || c == '.' || c == '_' || c == '-';
}

void pqi_member_clean(char out[PQI_METRICS_MEMBER_SIZE], const char *text)
{
    size_t len = 0;
    for (; text != NULL && text[len] != '\0' && len < PQI_METRICS_MEMBER_SIZE - 1; len++) {
        char c = text[len];
        if (c >= 'A' && c <= 'Z') {
            c = (char)(c - 'A' + 'a');
        }
        out[len] = member_char_valid(c) ? c : '-';
    }
    out[len] = '\0';
    if (len == 0) {
        (void)snprintf(out, PQI_METRICS_MEMBER_SIZE, "unnamed");
    }
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
    free(labels);
}

/* Writes the labels of all series anew; without memory the old ones stay. */
static bool set_name(const pqi_family *f, pqi_series_set *set, const char *member)
{
    char **labels = calloc(f->series_count, sizeof(*labels));
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
    return true;
}

static void set_free(pqi_series_set *set, unsigned series_count)
{
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
static bool set_make(const pqi_family *f, pqi_series_set *set, const char *member)
{
    if (!set_make_values(f, set) || !set_name(f, set, member)) {
        set_free(set, f->series_count);
        return false;
    }
    return true;
}

/* ---- Registration ---- */

static pql_status bounds_check(const pqi_metric_desc *d, pql_error *err)
{
    if (d->bounds == NULL || d->bound_count == 0 || d->bound_count > PQI_METRICS_BOUNDS_MAX) {
        return pqi_fail(err, PQL_E_USAGE, "Histogram %s needs 1 to %d buckets.", d->name,
                        PQI_METRICS_BOUNDS_MAX);
    }
    for (unsigned i = 1; i < d->bound_count; i++) {
        if (d->bounds[i] <= d->bounds[i - 1]) {
            return pqi_fail(err, PQL_E_USAGE, "The buckets of histogram %s do not rise.", d->name);
        }
    }
    return PQL_OK;
}

static pql_status labels_check(const pqi_metric_desc *d, pql_error *err)
{
    unsigned series = 1;
    for (unsigned i = 0; i < PQI_METRICS_LABELS_MAX && d->labels[i].name != NULL; i++) {
        const pqi_label *label = &d->labels[i];
        if (!name_valid(label->name) || strcmp(label->name, "le") == 0 || label->count == 0) {
            return pqi_fail(err, PQL_E_USAGE, "Metric %s has a label that cannot be: %s.", d->name,
                            label->name);
        }
        if (label->count > PQI_METRICS_SERIES_MAX / series) {
            return pqi_fail(err, PQL_E_LIMIT, "Metric %s would have more than %d series.", d->name,
                            PQI_METRICS_SERIES_MAX);
        }
        series *= label->count;
    }
    return PQL_OK;
}

static pql_status members_check(const pqi_metric_desc *d, pql_error *err)
{
    const bool fits = name_valid(d->member_label) && d->member_max > 0 &&
                      d->member_max <= PQI_METRICS_MEMBERS_MAX && d->compute == NULL &&
                      d->type != PQI_HISTOGRAM;
    if (!fits) {
        return pqi_fail(err, PQL_E_USAGE, "Metric %s: only counters and gauges of 1 to %d members.",
                        d->name, PQI_METRICS_MEMBERS_MAX);
    }
    return PQL_OK;
}

static pql_status desc_check(const pqi_metric_desc *d, pql_error *err)
{
    if (!name_valid(d->name) || d->help == NULL) {
        return pqi_fail(err, PQL_E_USAGE, "Metric \"%s\" has no valid name or no help text.",
                        d->name == NULL ? "" : d->name);
    }
    if ((d->type == PQI_COUNTER) != ends_in_total(d->name)) {
        return pqi_fail(err, PQL_E_USAGE, "Metric %s: counters, and only they, end in %s.", d->name,
                        COUNTER_SUFFIX);
    }
    if (d->type == PQI_HISTOGRAM && d->compute != NULL) {
        return pqi_fail(err, PQL_E_USAGE, "Histogram %s cannot be computed.", d->name);
    }
    pql_status status = labels_check(d, err);
    if (status == PQL_OK && d->type == PQI_HISTOGRAM) {
        status = bounds_check(d, err);
    }
    if (status == PQL_OK && d->member_label != NULL) {
        status = members_check(d, err);
    }
    return status;
}

static void label_free(pqi_label *label)
{
    char **values = (char **)(uintptr_t)label->values;
    for (unsigned i = 0; values != NULL && i < label->count; i++) {
        free(values[i]);
    }
    free(values);
    free((char *)(uintptr_t)label->name);
    *label = (pqi_label){0};
}

static bool label_copy(pqi_label *out, const pqi_label *in)
{
    char **values = calloc(in->count, sizeof(*values));
    out->name = strdup(in->name);
    out->values = (const char *const *)values;
    if (values == NULL || out->name == NULL) {
        return false;
    }
    for (; out->count < in->count; out->count++) {
        values[out->count] = strdup(in->values[out->count]);
        if (values[out->count] == NULL) {
            return false;
        }
    }
    return true;
}

static void member_free(pqi_member *member)
{
    if (member != NULL) {
        set_free(&member->set, member->family->series_count);
        free(member);
    }
}

static void family_free(pqi_family *f)
{
    if (f == NULL) {
        return;
    }
    set_free(&f->set, f->series_count);
    for (unsigned i = 0; f->members != NULL && i <= f->member_max; i++) {
        member_free(f->members[i]);
    }
    free(f->members);
    for (unsigned i = 0; i < PQI_METRICS_LABELS_MAX; i++) {
        label_free(&f->labels[i]);
    }
    free(f->member_label);
    free(f->help);
    free(f->name);
    free(f);
}

static pqi_member *member_new(pqi_family *f, const char *name)
{
    pqi_member *member = calloc(1, sizeof(*member));
    if (member == NULL) {
        return NULL;
    }
    member->family = f;
    (void)snprintf(member->name, sizeof(member->name), "%s", name);
    if (!set_make(f, &member->set, member->name)) {
        free(member);
        return NULL;
    }
    return member;
}

/* The member "other" is made now, so that joining never fails. */
static bool family_make_members(pqi_family *f, const pqi_metric_desc *d)
{
    f->member_label = strdup(d->member_label);
    f->members = calloc(d->member_max + 1U, sizeof(*f->members));
    if (f->member_label == NULL || f->members == NULL) {
        return false;
    }
    f->member_max = d->member_max;
    f->members[f->member_max] = member_new(f, PQI_METRICS_MEMBER_OTHER);
    return f->members[f->member_max] != NULL;
}

static bool family_fill(pqi_family *f, const pqi_metric_desc *d)
{
    f->type = d->type;
    f->exists = d->exists;
    f->compute = d->compute;
    f->user = d->user;
    f->bounds = d->bounds;
    f->bound_count = d->bound_count;
    f->scale = d->scale == 0 ? 1 : d->scale;
    f->name = strdup(d->name);
    f->help = strdup(d->help);
    if (f->name == NULL || f->help == NULL) {
        return false;
    }
    f->base_len = strlen(d->name) - (d->type == PQI_COUNTER ? strlen(COUNTER_SUFFIX) : 0);
    f->series_count = 1;
    for (; f->label_count < PQI_METRICS_LABELS_MAX && d->labels[f->label_count].name != NULL;
         f->label_count++) {
        if (!label_copy(&f->labels[f->label_count], &d->labels[f->label_count])) {
            return false;
        }
        f->series_count *= d->labels[f->label_count].count;
    }
    return d->member_label != NULL ? family_make_members(f, d) : set_make(f, &f->set, NULL);
}

/* OpenMetrics names a counter's family without _total, so that is what must differ. */
static bool name_taken(const pqi_metrics *m, const pqi_family *f)
{
    for (unsigned i = 0; i < m->family_count; i++) {
        const pqi_family *other = m->families[i];
        if (other->base_len == f->base_len && strncmp(other->name, f->name, f->base_len) == 0) {
            return true;
        }
    }
    return false;
}

static pql_status family_add(pqi_metrics *m, pqi_family *f, pql_error *err)
{
    if (m->family_count == PQI_METRICS_FAMILIES_MAX) {
        return pqi_fail(err, PQL_E_LIMIT, "There are %d metrics already; %s does not fit.",
                        PQI_METRICS_FAMILIES_MAX, f->name);
    }
    if (name_taken(m, f)) {
        return pqi_fail(err, PQL_E_EXISTS, "Metric %s is registered already.", f->name);
    }
    f->registry = m;
    m->families[m->family_count++] = f;
    return PQL_OK;
}

static pqi_family *family_new(pqi_metrics *m, const pqi_metric_desc *d, pql_error *err)
{
    if (desc_check(d, err) != PQL_OK) {
        return NULL;
    }
    pqi_family *f = calloc(1, sizeof(*f));
    if (f == NULL || !family_fill(f, d)) {
        (void)pqi_fail(err, PQL_E_NOMEM, "No memory for metric %s.", d->name);
        family_free(f);
        return NULL;
    }
    if (family_add(m, f, err) != PQL_OK) {
        family_free(f);
        return NULL;
    }
    return f;
}

pqi_family *pqi_metrics_register(pqi_metrics *m, const pqi_metric_desc *desc)
{
    pql_error failure = {0};
    pthread_mutex_lock(&m->lock);
    pqi_family *f = family_new(m, desc, &failure);
    if (f == NULL && m->first_error.code == PQL_OK) {
        m->first_error = failure;
    }
    pthread_mutex_unlock(&m->lock);
    return f;
}

pql_status pqi_metrics_check(pqi_metrics *m, pql_error *err)
{
    pthread_mutex_lock(&m->lock);
    const pql_error first = m->first_error;
    pthread_mutex_unlock(&m->lock);
    return first.code == PQL_OK ? PQL_OK : pqi_fail(err, first.code, "%s", first.message);
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

/* ---- Members ---- */

static pqi_member *member_find(pqi_family *f, const char *name)
{
    for (unsigned i = 0; i < f->member_count; i++) {
        if (strcmp(f->members[i]->name, name) == 0) {
            return f->members[i];
        }
    }
    return NULL;
}

/* The one that everybody left longest ago, or NULL. */
static pqi_member *member_longest_left(pqi_family *f)
{
    pqi_member *found = NULL;
    for (unsigned i = 0; i < f->member_count; i++) {
        pqi_member *candidate = f->members[i];
        if (candidate->users == 0 && (found == NULL || candidate->left_at < found->left_at)) {
            found = candidate;
        }
    }
    return found;
}

/* Gives a left member to another name, at 0; without memory it stays as it is. */
static bool member_reuse(pqi_member *member, const char *name)
{
    pqi_family *f = member->family;
    if (!set_name(f, &member->set, name)) {
        return false;
    }
    (void)snprintf(member->name, sizeof(member->name), "%s", name);
    for (unsigned i = 0; i < f->series_count; i++) {
        if (member->set.counters != NULL) {
            atomic_store_explicit(&member->set.counters[i].value, 0, memory_order_relaxed);
        } else {
            pqi_gauge_set(&member->set.gauges[i], 0);
        }
    }
    return true;
}

static pqi_member *member_place(pqi_family *f, const char *name)
{
    if (f->member_count < f->member_max) {
        pqi_member *fresh = member_new(f, name);
        if (fresh != NULL) {
            f->members[f->member_count++] = fresh;
        }
        return fresh;
    }
    pqi_member *left = member_longest_left(f);
    return left != NULL && member_reuse(left, name) ? left : NULL;
}

pqi_member *pqi_member_join(pqi_family *f, const char *name)
{
    if (f == NULL || f->members == NULL) {
        return NULL;
    }
    char clean[PQI_METRICS_MEMBER_SIZE];
    pqi_member_clean(clean, name);
    pthread_mutex_lock(&f->registry->lock);
    pqi_member *member = NULL;
    if (strcmp(clean, PQI_METRICS_MEMBER_OTHER) != 0) {
        member = member_find(f, clean);
        if (member == NULL) {
            member = member_place(f, clean);
        }
    }
    if (member == NULL) {
        member = f->members[f->member_max];
    }
    member->users++;
    pthread_mutex_unlock(&f->registry->lock);
    return member;
}

void pqi_member_leave(pqi_member *member)
{
    if (member == NULL) {
        return;
    }
    pqi_family *f = member->family;
    pthread_mutex_lock(&f->registry->lock);
    if (member->users > 0 && --member->users == 0) {
        member->left_at = ++f->leavings;
    }
    pthread_mutex_unlock(&f->registry->lock);
}

pqi_counter *pqi_member_counter(pqi_member *member, unsigned series)
{
    const bool there =
        member != NULL && member->set.counters != NULL && series < member->family->series_count;
    return there ? &member->set.counters[series] : NULL;
}

pqi_gauge *pqi_member_gauge(pqi_member *member, unsigned series)
{
    const bool there =
        member != NULL && member->set.gauges != NULL && series < member->family->series_count;
    return there ? &member->set.gauges[series] : NULL;
}

/* ---- The registry ---- */

pql_status pqi_metrics_new(pqi_metrics **out, pql_error *err)
{
    *out = NULL;
    pqi_metrics *m = calloc(1, sizeof(*m));
    if (m == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "No memory for the metrics.");
    }
    m->c_locale = newlocale(LC_NUMERIC_MASK, "C", NULL);
    if (m->c_locale == (locale_t)0) {
        free(m);
        return pqi_fail(err, PQL_E_NOMEM, "No memory for the metrics.");
    }
    pthread_mutex_init(&m->lock, NULL);
    *out = m;
    return PQL_OK;
}

void pqi_metrics_free(pqi_metrics *m)
{
    if (m == NULL) {
        return;
    }
    for (unsigned i = 0; i < m->family_count; i++) {
        family_free(m->families[i]);
    }
    freelocale(m->c_locale);
    pthread_mutex_destroy(&m->lock);
    free(m);
}
