/* Rotation by age: what a node does by itself, and when.
 *
 * With --key-rotation-days N the post-quantum key is replaced when it is N days in use:
 *
 *   N days - notice    the next identity is prepared and announced
 *   N days             switch
 *   N days + keep      the previous one is dropped
 *
 * Before N is reached again all of that is over.  A key that is older already gets its whole notice
 * from the moment at which the node finds out.
 *
 * The wall clock decides, but it is not believed blindly.  What is due because the clock jumped or
 * because the node was not running, instead of because the time went by in front of its eyes,
 * waits until the clock has gone on evenly for an hour.  And an overlap never ends like that: it is
 * granted anew, so that no clock takes a key away that somebody has pinned. */
#ifndef PQI_CMD_ROTATION_AGE_H
#define PQI_CMD_ROTATION_AGE_H

#include "identity/rotation.h"

#define PQI_SECONDS_PER_DAY (UINT64_C(24) * 3600)
/* The longest notice before a switch, and the longest time that the old identity is kept. */
#define PQI_AGE_NOTICE_MAX (7 * PQI_SECONDS_PER_DAY)
#define PQI_AGE_KEEP_MAX (30 * PQI_SECONDS_PER_DAY)
/* How long a clock has to go on evenly before it is believed that time went by unseen. */
#define PQI_AGE_HOLD (UINT64_C(3600))
/* A clock that moves so much more or less than the monotonic one has jumped. */
#define PQI_AGE_JUMP (UINT64_C(300))

/* Seconds between prepare and switch: 7 days, of less than 28 days the fourth part. */
uint64_t pqi_age_notice(uint64_t days);
/* Seconds between switch and drop: 30 days, of less than 60 days the half. */
uint64_t pqi_age_keep(uint64_t days);

/* The clocks as a node saw them.  All zero before the first look. */
typedef struct pqi_age_clock {
    uint64_t since_unix; /* when the wall clock last jumped, or the first look; seconds */
    uint64_t since;      /* the same, monotonic ns */
    uint64_t last_unix;  /* the last look */
    uint64_t last;
} pqi_age_clock;

/* Looks at the clocks.  True when the wall clock jumped since the last look (PQI_AGE_JUMP). */
bool pqi_age_clock_look(pqi_age_clock *clock, uint64_t now_unix, uint64_t now);

typedef enum pqi_age_action {
    PQI_AGE_NOTHING,
    PQI_AGE_NOTE,    /* write down that the key is in use since now: nobody did, or a clock that was
                        ahead did */
    PQI_AGE_PREPARE, /* make the next identity */
    PQI_AGE_REPLAN,  /* give the plan a new time: another clock made it, or an overlap ended unseen
                      */
    PQI_AGE_SWITCH,
    PQI_AGE_DROP
} pqi_age_action;

typedef struct pqi_age_step {
    pqi_age_action action;
    uint64_t when; /* seconds since 1970, as far as the clock does not jump */
} pqi_age_step;

/* What comes next by itself, with |days| of --key-rotation-days (0: nothing new is begun), as of
 * the last look at |clock|.  A rotation that somebody typed is left alone: PQI_AGE_NOTHING.  Pure.
 */
pqi_age_step pqi_age_next(const pqi_rotation *all, uint64_t days, const pqi_age_clock *clock);

/* The plan that goes with PQI_AGE_PREPARE or PQI_AGE_REPLAN at |now_unix|.  Pure. */
pqi_rotation_plan pqi_age_plan(const pqi_rotation *all, uint64_t days, uint64_t now_unix);

#endif
