#include "cmd/rotation_age.h"

#include "base/clock.h"

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t pqi_age_notice(uint64_t days)
{
    return smaller(PQI_AGE_NOTICE_MAX, days * PQI_SECONDS_PER_DAY / 4);
}

uint64_t pqi_age_keep(uint64_t days)
{
    return smaller(PQI_AGE_KEEP_MAX, days * PQI_SECONDS_PER_DAY / 2);
}

/* ---- The clocks ---- */

bool pqi_age_clock_look(pqi_age_clock *clock, uint64_t now_unix, uint64_t now)
{
    const bool first = clock->last == 0;
    const uint64_t went = (now - clock->last) / PQI_NS_PER_SEC;
    const uint64_t expected = clock->last_unix + went;
    const uint64_t off = now_unix > expected ? now_unix - expected : expected - now_unix;
    const bool jumped = !first && off > PQI_AGE_JUMP;
    if (first || jumped) {
        clock->since_unix = now_unix;
        clock->since = now;
    }
    clock->last_unix = now_unix;
    clock->last = now;
    return jumped;
}

/* ---- What comes next ---- */

/* True when |when| is further away than anything that was planned by this clock. */
static bool is_from_another_clock(uint64_t when, uint64_t span, uint64_t now_unix)
{
    return when > now_unix + span + PQI_AGE_JUMP;
}

/* The moment from which on this clock is believed. */
static uint64_t believed_at(const pqi_age_clock *clock)
{
    return clock->since_unix + PQI_AGE_HOLD;
}

/* True when |when| went by, and not in front of us. */
static bool went_by_unseen(uint64_t when, const pqi_age_clock *clock)
{
    return when <= clock->since_unix;
}

static pqi_age_step step_at(pqi_age_action action, uint64_t when, const pqi_age_clock *clock)
{
    return (pqi_age_step){.action = action,
                          .when = went_by_unseen(when, clock) ? believed_at(clock) : when};
}

static pqi_age_step step_under_way(const pqi_rotation *all, const pqi_age_clock *clock)
{
    const pqi_rotation_plan *plan = &all->plan;
    const bool next = all->next != NULL;
    const uint64_t when = next ? plan->switch_at : plan->drop_at;
    const uint64_t span = next ? pqi_age_notice(plan->by_age) : plan->keep;
    if (plan->by_age == 0 || when == 0) {
        return (pqi_age_step){.action = PQI_AGE_NOTHING};
    }
    if (is_from_another_clock(when, span, clock->last_unix) ||
        (!next && went_by_unseen(when, clock))) {
        return step_at(PQI_AGE_REPLAN, 0, clock);
    }
    return step_at(next ? PQI_AGE_SWITCH : PQI_AGE_DROP, when, clock);
}

pqi_age_step pqi_age_next(const pqi_rotation *all, uint64_t days, const pqi_age_clock *clock)
{
    if (all->next != NULL || all->previous != NULL) {
        return step_under_way(all, clock);
    }
    if (days == 0) {
        return (pqi_age_step){.action = PQI_AGE_NOTHING};
    }
    if (all->since == 0) {
        return (pqi_age_step){.action = PQI_AGE_NOTE, .when = clock->last_unix};
    }
    if (is_from_another_clock(all->since, 0, clock->last_unix)) {
        return step_at(PQI_AGE_NOTE, 0, clock);
    }
    const uint64_t due = all->since + days * PQI_SECONDS_PER_DAY - pqi_age_notice(days);
    return step_at(PQI_AGE_PREPARE, due, clock);
}

pqi_rotation_plan pqi_age_plan(const pqi_rotation *all, uint64_t days, uint64_t now_unix)
{
    pqi_rotation_plan plan = all->plan;
    if (all->next == NULL && all->previous == NULL) {
        plan = (pqi_rotation_plan){.by_age = days, .keep = pqi_age_keep(days)};
    }
    if (all->previous != NULL) {
        plan.drop_at = now_unix + plan.keep;
    } else {
        plan.switch_at = now_unix + pqi_age_notice(plan.by_age);
    }
    return plan;
}
