/* The registry from inside: shared by metrics.c (what there is), metrics_series.c and
 * metrics_members.c (the values) and metrics_text.c (how it is written), and nobody else. */
#ifndef PQI_OBSERVE_METRICS_INSIDE_H
#define PQI_OBSERVE_METRICS_INSIDE_H

#include "observe/metrics.h"

#include <locale.h>
#include <pthread.h>

/* Values of one series at most: the buckets of a histogram, +Inf among them, and its sum. */
#define PQI_SERIES_VALUES_MAX (PQI_METRICS_BOUNDS_MAX + 2U)
#define PQI_METRICS_FORMATS (PQI_METRICS_OPENMETRICS + 1)

/* What a series looked like when it was last written, so that it need not be written anew while its
 * values are the same: most series of a process never change. */
typedef struct pqi_shown {
    uint64_t *values; /* of pqi_family_values; NULL: never written */
    char *text;       /* behind the values, in the same memory */
    size_t len;
} pqi_shown;

/* The series of a closed family, or of one member. */
typedef struct pqi_series_set {
    char **labels; /* `algo="x",role="y"` per series; NULL where the combination is no series */
    pqi_counter *counters;
    pqi_gauge *gauges;
    pqi_histogram *histograms;             /* exactly one of the three, or none when computed */
    _Atomic uint64_t *cells;               /* the buckets of all histograms */
    pqi_shown *shown[PQI_METRICS_FORMATS]; /* per series; NULL until somebody scrapes so */
} pqi_series_set;

/* A pqi_label of our own. */
typedef struct pqi_own_label {
    char *name;
    char **values;
    unsigned count;
} pqi_own_label;

struct pqi_member {
    pqi_family *family;
    char name[PQI_METRICS_MEMBER_SIZE];
    unsigned users;
    uint64_t left_at; /* the family's count of leavings when the last user left */
    pqi_series_set set;
};

struct pqi_family {
    pqi_metrics *registry;
    pqi_metric_type type;
    char *name;
    size_t base_len; /* of the name without _total */
    char *help;
    pqi_own_label labels[PQI_METRICS_LABELS_MAX];
    unsigned label_count;
    bool (*exists)(const unsigned *index);
    double (*compute)(void *user, unsigned series);
    void *user;
    double *kept; /* values after pqi_metrics_detach; one per series */
    const uint64_t *bounds;
    unsigned bound_count;
    uint64_t scale;
    unsigned series_count; /* of each set */

    pqi_series_set set; /* of a closed family */
    char *member_label; /* NULL: closed */
    unsigned member_max;
    unsigned member_count;
    uint64_t leavings;
    pqi_member **members; /* member_max + 1; the last is "other" */
};

struct pqi_metrics {
    pthread_mutex_t lock;
    locale_t c_locale; /* numbers have a point, whatever the program's locale */
    pqi_family *families[PQI_METRICS_FAMILIES_MAX];
    unsigned family_count;
    atomic_size_t written[PQI_METRICS_FORMATS]; /* bytes, the last time: room for the next one */
    pql_error first_error;
};

/* Makes the series of |f|, with value 0, labelled for |member| (NULL in a closed family).  False
 * without memory; the set is then empty. */
bool pqi_series_set_make(const pqi_family *f, pqi_series_set *set, const char *member);
/* Writes all label texts anew; without memory the old ones stay. */
bool pqi_series_set_name(const pqi_family *f, pqi_series_set *set, const char *member);
/* Forgets what was written. */
void pqi_series_set_unshow(pqi_series_set *set, unsigned series_count);
void pqi_series_set_free(pqi_series_set *set, unsigned series_count);

/* A member of |f| that is in no list yet; NULL without memory. */
pqi_member *pqi_member_new(pqi_family *f, const char *name);
void pqi_member_free(pqi_member *member);

#endif
