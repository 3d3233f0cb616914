#include "base/clock.h"

#include <time.h>

uint64_t pqi_clock_monotonic(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * PQI_NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t pqi_clock_unix_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / PQI_NS_PER_MS;
}

uint64_t pqi_clock_unix_offset(uint64_t monotonic)
{
    return pqi_clock_unix_ms() * PQI_NS_PER_MS - monotonic;
}
