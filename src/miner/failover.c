#include "miner/failover.h"

#include "base/clock.h"

#define NONE PQI_FAILOVER_NONE

void pqi_failover_init(pqi_failover *f, unsigned count, const pqi_failover_timing *timing)
{
    *f = (pqi_failover){.timing = *timing, .count = count, .main = NONE, .second = NONE};
    for (unsigned i = 0; i < count; i++) {
        f->nodes[i].delay = timing->first;
    }
}

/* When |node| may be tried beside the main link; PQI_TIME_NEVER for not at all. */
static uint64_t trial_time(const pqi_failover *f, int node)
{
    const pqi_failover_node *n = &f->nodes[node];
    if (n->out || node == f->main) {
        return PQI_TIME_NEVER;
    }
    if (node < f->main) {
        return n->next;
    }
    if (f->main_gives) {
        return PQI_TIME_NEVER;
    }
    const uint64_t impatient = f->jobless_since + f->timing.patience;
    return n->next > impatient ? n->next : impatient;
}

/* When |node| may be tried at all. */
static uint64_t try_time(const pqi_failover *f, int node)
{
    if (f->main != NONE) {
        return f->second == NONE ? trial_time(f, node) : PQI_TIME_NEVER;
    }
    return f->nodes[node].out ? PQI_TIME_NEVER : f->nodes[node].next;
}

static void begin(pqi_failover *f, int node, uint64_t now)
{
    if (f->main == NONE) {
        f->main = node;
        f->main_gives = false;
        f->main_gave = false;
        f->jobless_since = now;
    } else {
        f->second = node;
        f->second_until = now + f->timing.trial;
    }
}

int pqi_failover_next(pqi_failover *f, uint64_t now)
{
    for (int i = 0; i < (int)f->count; i++) {
        const uint64_t when = try_time(f, i);
        if (when != PQI_TIME_NEVER && when <= now) {
            begin(f, i, now);
            return i;
        }
    }
    return NONE;
}

int pqi_failover_late(const pqi_failover *f, uint64_t now)
{
    return f->second != NONE && now >= f->second_until ? f->second : NONE;
}

uint64_t pqi_failover_deadline(const pqi_failover *f)
{
    uint64_t deadline = f->second != NONE ? f->second_until : PQI_TIME_NEVER;
    for (int i = 0; i < (int)f->count; i++) {
        const uint64_t when = try_time(f, i);
        deadline = when < deadline ? when : deadline;
    }
    return deadline;
}

int pqi_failover_main(const pqi_failover *f)
{
    return f->main;
}

/* The nodes before the main one rest for a probe's time. */
static void schedule_probes(pqi_failover *f, uint64_t now)
{
    for (int i = 0; i < f->main; i++) {
        const uint64_t next = now + f->timing.probe;
        f->nodes[i].next = f->nodes[i].next > next ? f->nodes[i].next : next;
    }
}

int pqi_failover_job(pqi_failover *f, int node, uint64_t now)
{
    int left = NONE;
    if (node == f->second) {
        left = f->main;
        f->main = node;
        f->second = NONE;
        f->main_gave = false;
        f->nodes[left].next = now + f->timing.probe;
    } else if (node != f->main) {
        return NONE;
    }
    if (!f->main_gave) {
        f->nodes[node].delay = f->timing.first;
        schedule_probes(f, now);
    }
    f->main_gives = true;
    f->main_gave = true;
    return left;
}

void pqi_failover_idle(pqi_failover *f, uint64_t now)
{
    if (f->main_gives) {
        f->main_gives = false;
        f->jobless_since = now;
    }
}

/* |base| and up to a quarter more or less, so that many miners do not come back as one. */
static uint64_t with_chance(uint64_t base, uint64_t chance)
{
    const uint64_t half = base / 2;
    return base - half / 2 + (half == 0 ? 0 : chance % half);
}

/* The main link is gone: what is on trial takes its place, and others need not rest because of a
 * link that had worked. */
static void lose_main(pqi_failover *f, uint64_t now)
{
    const bool worked = f->main_gave;
    for (int i = 0; i < (int)f->count && worked; i++) {
        if (i != f->main) {
            f->nodes[i].next = now;
            f->nodes[i].delay = f->timing.first;
        }
    }
    f->main = f->second;
    f->second = NONE;
    f->main_gives = false;
    f->main_gave = false;
    f->jobless_since = now;
}

static void leave_place(pqi_failover *f, int node, uint64_t now)
{
    if (node == f->main) {
        lose_main(f, now);
    } else if (node == f->second) {
        f->second = NONE;
    }
}

uint64_t pqi_failover_down(pqi_failover *f, int node, uint64_t now, uint64_t chance)
{
    pqi_failover_node *n = &f->nodes[node];
    const bool on_trial = node == f->second;
    uint64_t pause = with_chance(n->delay, chance);
    n->delay = n->delay * 2 < f->timing.most ? n->delay * 2 : f->timing.most;
    if (on_trial && pause < f->timing.probe) {
        pause = f->timing.probe; /* there is work: no hurry */
    }
    leave_place(f, node, now);
    n->next = now + pause;
    return pause;
}

void pqi_failover_out(pqi_failover *f, int node, uint64_t now)
{
    f->nodes[node].out = true;
    leave_place(f, node, now);
}

void pqi_failover_back(pqi_failover *f, int node, uint64_t now)
{
    f->nodes[node].out = false;
    f->nodes[node].delay = f->timing.first;
    f->nodes[node].next = now;
}

bool pqi_failover_is_out(const pqi_failover *f, int node)
{
    return f->nodes[node].out;
}

bool pqi_failover_all_out(const pqi_failover *f)
{
    for (unsigned i = 0; i < f->count; i++) {
        if (!f->nodes[i].out) {
            return false;
        }
    }
    return true;
}
