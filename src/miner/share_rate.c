#include "miner/share_rate.h"

void pqi_share_rate_init(pqi_share_rate *r, uint64_t now)
{
    *r = (pqi_share_rate){.since = now};
}

/* |r| as it is when the window of |now| has begun. */
static pqi_share_rate advanced(const pqi_share_rate *r, uint64_t now)
{
    const uint64_t passed = now > r->since ? now - r->since : 0;
    const uint64_t window = passed / PQI_SHARE_RATE_WINDOW;
    pqi_share_rate next = *r;
    if (window > r->window) {
        next.before = window == r->window + 1 ? r->present : 0;
        next.present = 0;
        next.window = window;
    }
    return next;
}

void pqi_share_rate_add(pqi_share_rate *r, double difficulty, uint64_t now)
{
    *r = advanced(r, now);
    r->present += difficulty;
}

double pqi_share_rate_get(const pqi_share_rate *r, uint64_t now)
{
    const pqi_share_rate at = advanced(r, now);
    const uint64_t passed = now > r->since ? now - r->since : 0;
    if (passed < PQI_SHARE_RATE_LEAST) {
        return 0;
    }
    const double into = (double)(passed % PQI_SHARE_RATE_WINDOW) / (double)PQI_SHARE_RATE_WINDOW;
    const uint64_t time = passed < PQI_SHARE_RATE_WINDOW ? passed : PQI_SHARE_RATE_WINDOW;
    return (at.present + at.before * (1.0 - into)) * (double)PQI_NS_PER_SEC / (double)time;
}
