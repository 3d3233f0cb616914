/* What the benchmark programs share. */
#ifndef PQI_BENCH_BENCH_H
#define PQI_BENCH_BENCH_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Ends the program unless |ok|: a benchmark that breaks has no figures. */
static inline void check(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "the benchmark broke: %s\n", what);
        exit(1);
    }
}

/* CPU nanoseconds of this thread. */
static inline uint64_t cpu_now(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * PQI_NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

static inline int by_size(const void *a, const void *b)
{
    const double left = *(const double *)a;
    const double right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Sorts |values| and gives the one below which |share| of them are (0.5: the median). */
static inline double quantile(double *values, size_t count, double share)
{
    qsort(values, count, sizeof(double), by_size);
    return values[(size_t)((double)(count - 1) * share + 0.5)];
}

#endif
