/* The two clocks.  Protocol code takes time as an argument; only programs, net/ and admin/ read it.
 */
#ifndef PQI_BASE_CLOCK_H
#define PQI_BASE_CLOCK_H

#include <stdint.h>

#define PQI_NS_PER_SEC UINT64_C(1000000000)
#define PQI_NS_PER_MS UINT64_C(1000000)
#define PQI_NS_PER_US UINT64_C(1000)
/* A deadline that never comes. */
#define PQI_TIME_NEVER UINT64_MAX

/* Nanoseconds of CLOCK_MONOTONIC: for deadlines and durations. */
uint64_t pqi_clock_monotonic(void);

/* Milliseconds since 1970-01-01 UTC of CLOCK_REALTIME: for logs, certificates and block times. */
uint64_t pqi_clock_unix_ms(void);

/* Nanoseconds to add to |monotonic|, which was read just now, for the time since 1970 (modulo
 * 2^64). */
uint64_t pqi_clock_unix_offset(uint64_t monotonic);

#endif
