/* Members: the part of the metrics that comes and goes. */
#include "observe/metrics_inside.h"

#include <stdio.h>
#include <stdlib.h>

static bool member_char_valid(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
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

void pqi_member_free(pqi_member *member)
{
    if (member != NULL) {
        pqi_series_set_free(&member->set, member->family->series_count);
        free(member);
    }
}

pqi_member *pqi_member_new(pqi_family *f, const char *name)
{
    pqi_member *member = calloc(1, sizeof(*member));
    if (member == NULL) {
        return NULL;
    }
    member->family = f;
    (void)snprintf(member->name, sizeof(member->name), "%s", name);
    if (!pqi_series_set_make(f, &member->set, member->name)) {
        free(member);
        return NULL;
    }
    return member;
}

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
    if (!pqi_series_set_name(f, &member->set, name)) {
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
        pqi_member *fresh = pqi_member_new(f, name);
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
    member->users--;
    if (member->users == 0) {
        f->leavings++;
        member->left_at = f->leavings;
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
