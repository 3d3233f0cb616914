/* The registry: checking and keeping families. */
#include "observe/metrics_inside.h"

#include <stdlib.h>

#define COUNTER_SUFFIX "_total"

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

static void label_free(pqi_own_label *label)
{
    for (unsigned i = 0; i < label->count; i++) {
        free(label->values[i]);
    }
    free((void *)label->values);
    free(label->name);
}

static bool label_copy(pqi_own_label *out, const pqi_label *in)
{
    out->name = strdup(in->name);
    out->values = (char **)calloc(in->count, sizeof(*out->values));
    if (out->name == NULL || out->values == NULL) {
        return false;
    }
    for (; out->count < in->count; out->count++) {
        out->values[out->count] = strdup(in->values[out->count]);
        if (out->values[out->count] == NULL) {
            return false;
        }
    }
    return true;
}

static void family_free(pqi_family *f)
{
    if (f == NULL) {
        return;
    }
    pqi_series_set_free(&f->set, f->series_count);
    for (unsigned i = 0; f->members != NULL && i <= f->member_max; i++) {
        pqi_member_free(f->members[i]);
    }
    free((void *)f->members);
    for (unsigned i = 0; i < PQI_METRICS_LABELS_MAX; i++) {
        label_free(&f->labels[i]);
    }
    free(f->member_label);
    free(f->help);
    free(f->kept);
    free(f->name);
    free(f);
}

/* The member "other" is made now, so that joining never fails. */
static bool family_make_members(pqi_family *f, const pqi_metric_desc *d)
{
    f->member_label = strdup(d->member_label);
    f->members = (pqi_member **)calloc(d->member_max + 1U, sizeof(*f->members));
    if (f->member_label == NULL || f->members == NULL) {
        return false;
    }
    f->member_max = d->member_max;
    f->members[f->member_max] = pqi_member_new(f, PQI_METRICS_MEMBER_OTHER);
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
    return d->member_label != NULL ? family_make_members(f, d)
                                   : pqi_series_set_make(f, &f->set, NULL);
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

/* Without memory the values are 0 from now on. */
static void family_detach(pqi_family *f)
{
    f->kept = calloc(f->series_count, sizeof(*f->kept));
    for (unsigned i = 0; f->kept != NULL && i < f->series_count; i++) {
        f->kept[i] = f->compute(f->user, i);
    }
    f->compute = NULL;
    f->user = NULL;
}

void pqi_metrics_detach(pqi_metrics *m, const void *user)
{
    if (m == NULL) {
        return;
    }
    pthread_mutex_lock(&m->lock);
    for (unsigned i = 0; i < m->family_count; i++) {
        if (m->families[i]->compute != NULL && m->families[i]->user == user) {
            family_detach(m->families[i]);
        }
    }
    pthread_mutex_unlock(&m->lock);
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
