/* A hash rate from results alone, for miners that report none.
 *
 * A result at difficulty D stands for D hashes on average, whatever the miner says.  What came in
 * the last PQI_SHARE_RATE_WINDOW, or since the start where that is shorter, divided by that time is
 * the estimate; with n results in the window it is off by a factor of about 1 +- 1/sqrt(n).  Two
 * numbers are kept: the sum of the present window and that of the one before, of which the part
 * counts that still lies within.  Pure; time is an argument (monotonic ns). */
#ifndef PQI_MINER_SHARE_RATE_H
#define PQI_MINER_SHARE_RATE_H

#include "base/clock.h"

#define PQI_SHARE_RATE_WINDOW (120 * PQI_NS_PER_SEC)
/* Before this much time has passed there is no estimate. */
#define PQI_SHARE_RATE_LEAST PQI_NS_PER_SEC

typedef struct pqi_share_rate {
    uint64_t since;
    uint64_t window; /* number of the present one, counted from |since| */
    double present, before;
} pqi_share_rate;

/* Begins at |now|. */
void pqi_share_rate_init(pqi_share_rate *r, uint64_t now);
/* One result of |difficulty|. */
void pqi_share_rate_add(pqi_share_rate *r, double difficulty, uint64_t now);
/* Hashes per second at |now|; 0 before PQI_SHARE_RATE_LEAST. */
double pqi_share_rate_get(const pqi_share_rate *r, uint64_t now);

#endif
