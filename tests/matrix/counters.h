/* Which series of a registry have moved, as matrix.tsv writes it.  What goes wrong here is a fault
 * of the test, and ends it. */
#ifndef PQI_TESTS_MATRIX_COUNTERS_H
#define PQI_TESTS_MATRIX_COUNTERS_H

#include "observe/metrics.h"

#define COUNTERS_MAX 4096

/* All series with their values at one time. */
typedef struct counters {
    size_t count;
    struct {
        char name[128]; /* "pq_handshake_total{x25519,client}" */
        long long value;
    } series[COUNTERS_MAX];
} counters;

/* Takes down what |registry| has, but bytes, datagrams, streams and times: these differ from run to
 * run, or tell of what links are used for. */
void counters_take(counters *out, pqi_metrics *registry);

/* Writes what differs between the two, which are of one registry: "NAME" for a series that grew by
 * one, "NAME+2" or "NAME-1" for others, with a space between them; "-" when nothing moved.  What
 * clients offer (pqlink_offered_total) is left out. */
void counters_moved(const counters *before, const counters *after, char *out, size_t size);

/* The same for what clients offer, and nothing else. */
void counters_offered(const counters *before, const counters *after, char *out, size_t size);

#endif
