/* The metrics registry: counters, gauges and histograms, written as Prometheus or OpenMetrics text.
 *
 * Families are registered once, at start, with closed sets of label values: every series exists
 * with value 0 from then on, and none can appear later.  The exception is a family with a member
 * label (one member per miner, say): its members come and go, at most member_max of them at once.
 *
 * Updating a series is one relaxed atomic operation on a handle: no lock, no look-up.  A handle is
 * valid until the registry is freed.  A NULL handle is accepted and ignored, so that code without
 * metrics needs no branches of its own.
 *
 * Threads: updates from any thread.  Registration, members and writing take the registry's lock.
 * Sources: Prometheus text format 0.0.4; OpenMetrics 1.0. */
#ifndef PQI_OBSERVE_METRICS_H
#define PQI_OBSERVE_METRICS_H

#include "base/buf.h"
#include "base/error.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

/* Bounds.  A registration over one of them fails. */
#define PQI_METRICS_FAMILIES_MAX 128
#define PQI_METRICS_LABELS_MAX 4    /* closed labels of one family */
#define PQI_METRICS_SERIES_MAX 1024 /* combinations of closed label values in one family */
#define PQI_METRICS_BOUNDS_MAX 32   /* buckets of a histogram, without +Inf */
#define PQI_METRICS_MEMBERS_MAX 1024
/* A member's name with its NUL: 1 to 32 characters of [a-z0-9._-]. */
#define PQI_METRICS_MEMBER_SIZE 33
/* The member that stands for all who found the family full. */
#define PQI_METRICS_MEMBER_OTHER "other"

typedef struct pqi_metrics pqi_metrics;
typedef struct pqi_family pqi_family;
typedef struct pqi_member pqi_member;

typedef enum pqi_metric_type { PQI_COUNTER, PQI_GAUGE, PQI_HISTOGRAM } pqi_metric_type;
typedef enum pqi_metrics_format {
    PQI_METRICS_PROMETHEUS,
    PQI_METRICS_OPENMETRICS
} pqi_metrics_format;

/* One label with the closed set of its values. */
typedef struct pqi_label {
    const char *name;
    const char *const *values;
    unsigned count;
} pqi_label;

/* What a family is.  Everything is copied at registration but |bounds|, which must be static. */
typedef struct pqi_metric_desc {
    pqi_metric_type type;
    const char *name; /* as exposed; a counter's ends in _total, no other's does */
    const char *help; /* one sentence */
    pqi_label labels[PQI_METRICS_LABELS_MAX]; /* up to the first without a name */
    /* Which combinations of label values are series; NULL: all of them.  |index| holds one value
     * index per label. */
    bool (*exists)(const unsigned *index);

    /* Gauges and counters whose value is worked out at each scrape.  Called with the registry's
     * lock held, on the scraping thread: quick, and no call into the registry.  |user| must outlive
     * the registry, or be taken out with pqi_metrics_detach.  |series| is the flat index of
     * pqi_counter_at. */
    double (*compute)(void *user, unsigned series);
    void *user;

    /* Families whose members come and go. */
    const char *member_label; /* written before the closed labels; NULL: a closed family */
    unsigned member_max;      /* 1 to PQI_METRICS_MEMBERS_MAX */

    /* Histograms record whole numbers and show value / |scale|: nanoseconds with a scale of 1e9 are
     * exposed as seconds. */
    unsigned bound_count;
    const uint64_t *bounds; /* upper bounds, inclusive, rising, in the unit recorded */
    uint64_t scale;         /* 0 stands for 1 */
} pqi_metric_desc;

typedef struct pqi_counter {
    _Atomic uint64_t value;
} pqi_counter;

typedef struct pqi_gauge {
    _Atomic uint64_t bits; /* of a double */
} pqi_gauge;

typedef struct pqi_histogram {
    const uint64_t *bounds;
    unsigned bound_count;
    _Atomic uint64_t *buckets; /* bound_count + 1, the last is +Inf; not cumulative */
    _Atomic uint64_t sum;
} pqi_histogram;

/* *out: a new empty registry, to be freed by the caller.  PQL_E_NOMEM leaves it NULL. */
pql_status pqi_metrics_new(pqi_metrics **out, pql_error *err);
/* Frees the registry and every handle into it. */
void pqi_metrics_free(pqi_metrics *m);

/* Registers a family, owned by the registry.  On failure returns NULL, and the registry remembers
 * the first failure: register everything, then ask pqi_metrics_check once. */
pqi_family *pqi_metrics_register(pqi_metrics *m, const pqi_metric_desc *desc);
/* PQL_OK, or the first registration that failed: PQL_E_USAGE (a name, label or bucket that the
 * format forbids), PQL_E_EXISTS (a name taken), PQL_E_LIMIT or PQL_E_NOMEM. */
pql_status pqi_metrics_check(pqi_metrics *m, pql_error *err);

/* All computed families of |user| keep the values that they have now: |user| may go.  It must still
 * be there during the call.  Any thread; ignores a NULL |m|. */
void pqi_metrics_detach(pqi_metrics *m, const void *user);

/* The handle of one series.  |series| counts combinations of label values with the last label
 * running fastest: for {algo, role} it is algo * role_count + role.  NULL when there is no such
 * series, |f| is NULL or of another type, is computed, or has members. */
pqi_counter *pqi_counter_at(pqi_family *f, unsigned series);
pqi_gauge *pqi_gauge_at(pqi_family *f, unsigned series);
pqi_histogram *pqi_histogram_at(pqi_family *f, unsigned series);

/* Joins the member |name| (cleaned with pqi_member_clean) of |f|; the first to join makes it, with
 * value 0.  When member_max are there, the one that everybody left longest ago makes room; when
 * none was left, or memory is short, the answer is the member "other".  NULL only for a NULL |f| or
 * one without members.  Each join needs one pqi_member_leave. */
pqi_member *pqi_member_join(pqi_family *f, const char *name);
/* A member that everybody left stays exposed with its values, so that a miner that reconnects goes
 * on counting, until its room is needed.  Its handles must not be used any more. */
void pqi_member_leave(pqi_member *member);
/* As pqi_counter_at, within one member. */
pqi_counter *pqi_member_counter(pqi_member *member, unsigned series);
pqi_gauge *pqi_member_gauge(pqi_member *member, unsigned series);
/* Makes a member's name out of any text: lower case, '-' for what is not allowed, cut at 32
 * characters, "unnamed" when empty.  Different texts may become one name. */
void pqi_member_clean(char out[PQI_METRICS_MEMBER_SIZE], const char *text);

/* Appends the whole exposition to |out|.  PQL_E_NOMEM when |out| cannot grow; it then holds a part.
 * A histogram's count is always the sum of its buckets; its _sum may
 * differ by observations that are under way. */
pql_status pqi_metrics_write(pqi_metrics *m, pqi_metrics_format format, pqi_buf *out,
                             pql_error *err);

static inline void pqi_counter_add(pqi_counter *c, uint64_t n)
{
    if (c != NULL) {
        atomic_fetch_add_explicit(&c->value, n, memory_order_relaxed);
    }
}

static inline uint64_t pqi_counter_get(const pqi_counter *c)
{
    return c == NULL ? 0 : atomic_load_explicit(&c->value, memory_order_relaxed);
}

static inline double pqi_gauge_get(const pqi_gauge *g)
{
    double value = 0;
    if (g != NULL) {
        const uint64_t bits = atomic_load_explicit(&g->bits, memory_order_relaxed);
        memcpy(&value, &bits, sizeof(value));
    }
    return value;
}

static inline void pqi_gauge_set(pqi_gauge *g, double value)
{
    if (g != NULL) {
        uint64_t bits;
        memcpy(&bits, &value, sizeof(bits));
        atomic_store_explicit(&g->bits, bits, memory_order_relaxed);
    }
}

/* Whole numbers below 2^53 add up exactly. */
void pqi_gauge_add(pqi_gauge *g, double delta);

/* Counts |value| (in the unit that the family records) in its bucket. */
void pqi_histogram_observe(pqi_histogram *h, uint64_t value);

#endif
