#include "observe/miner_metrics.h"

#include <stdlib.h>

const char *const pqi_result_names[PQI_RESULT_COUNT] = {"accepted", "rejected",  "stale",
                                                        "invalid",  "duplicate", "flooded"};

static const char *const protocol_names[PQI_PROTOCOL_COUNT] = {"pqlink-miner/1", "quantus-miner/2",
                                                               "quantus-miner"};

/* The values of data_group in the official node's qpow_metrics. */
enum { CHAIN_HEIGHT, CHAIN_DIFFICULTY, CHAIN_BLOCK_TIME, CHAIN_BLOCK_DURATION, CHAIN_COUNT };
static const char *const chain_names[CHAIN_COUNT] = {"chain_height", "difficulty",
                                                     "last_block_time", "last_block_duration"};

/* In the order of IDENTITY_*. */
static const char *const change_names[] = {"switch", "drop_previous"};
enum { IDENTITY_SWITCH, IDENTITY_DROP, IDENTITY_CHANGES };

static pqi_family *plain(pqi_metrics *r, pqi_metric_type type, const char *name, const char *help)
{
    return pqi_metrics_register(r, &(pqi_metric_desc){.type = type, .name = name, .help = help});
}

/* ---- Node ---- */

struct pqi_node_metrics {
    pqi_family *results;
    pqi_family *hash_rate;
    pqi_family *shares;
    pqi_family *work;
    pqi_family *protocols;
    pqi_gauge *miners;
    pqi_counter *jobs;
    pqi_counter *jobs_sent;
    pqi_counter *blocks;
    pqi_family *chain;
    pqi_family *identity;
};

struct pqi_node_miner {
    pqi_node_metrics *metrics;
    pqi_member *results;
    pqi_member *hash_rate;
    pqi_member *shares;
    pqi_member *work;
    pqi_label_protocol protocol; /* PQI_PROTOCOL_COUNT: not said yet */
    uint64_t rate;               /* what this connection put into the gauge */
    pqi_counter own[PQI_RESULT_COUNT];
};

static void node_register_miners(pqi_node_metrics *m, pqi_metrics *r)
{
    m->results = pqi_metrics_register(
        r, &(pqi_metric_desc){.type = PQI_COUNTER,
                              .name = "pqlink_miner_results_total",
                              .help = "Results by miner and by what became of them.",
                              .labels = {{"result", pqi_result_names, PQI_RESULT_COUNT}},
                              .member_label = "miner",
                              .member_max = PQI_NODE_MINERS_MAX});
    m->hash_rate = pqi_metrics_register(
        r, &(pqi_metric_desc){.type = PQI_GAUGE,
                              .name = "pqlink_miner_hash_rate",
                              .help = "Present hash rate by miner in hashes per second.",
                              .member_label = "miner",
                              .member_max = PQI_NODE_MINERS_MAX});
    m->shares = pqi_metrics_register(
        r, &(pqi_metric_desc){.type = PQI_COUNTER,
                              .name = "pqlink_miner_shares_total",
                              .help = "Accepted results by miner that were too easy for a block.",
                              .member_label = "miner",
                              .member_max = PQI_NODE_MINERS_MAX});
    m->work = pqi_metrics_register(
        r, &(pqi_metric_desc){.type = PQI_COUNTER,
                              .name = "pqlink_miner_work_total",
                              .help = "Sum of the difficulties of accepted results by miner: the "
                                      "hashes that they stand for on average.",
                              .member_label = "miner",
                              .member_max = PQI_NODE_MINERS_MAX});
    m->protocols = pqi_metrics_register(
        r, &(pqi_metric_desc){.type = PQI_GAUGE,
                              .name = "pqlink_miners_by_protocol",
                              .help = "Miners that are connected by what they speak.",
                              .labels = {{"protocol", protocol_names, PQI_PROTOCOL_COUNT}}});
    m->miners = pqi_gauge_at(plain(r, PQI_GAUGE, "pqlink_miners", "Miners that are connected."), 0);
}

static void node_register_chain(pqi_node_metrics *m, pqi_metrics *r)
{
    m->jobs = pqi_counter_at(
        plain(r, PQI_COUNTER, "pqlink_jobs_total", "Mining jobs made; each replaces the last."), 0);
    m->jobs_sent = pqi_counter_at(
        plain(r, PQI_COUNTER, "pqlink_jobs_sent_total", "Mining jobs sent, each miner counted."),
        0);
    m->blocks = pqi_counter_at(plain(r, PQI_COUNTER, "pqlink_blocks_found_total",
                                     "Blocks that our miners found and the chain accepted."),
                               0);
    m->chain = pqi_metrics_register(
        r, &(pqi_metric_desc){.type = PQI_GAUGE,
                              .name = "qpow_metrics",
                              .help = "The best block, as the official node shows it; times in "
                                      "milliseconds.",
                              .labels = {{"data_group", chain_names, CHAIN_COUNT}}});
}

static void node_register_identity(pqi_node_metrics *m, pqi_metrics *r)
{
    m->identity = pqi_metrics_register(
        r, &(pqi_metric_desc){.type = PQI_GAUGE,
                              .name = "pqlink_identity_change_timestamp_seconds",
                              .help = "When a rotation changes the identity next, in Unix seconds; "
                                      "0: no such change is planned.",
                              .labels = {{"change", change_names, IDENTITY_CHANGES}}});
}

pql_status pqi_node_metrics_new(pqi_node_metrics **out, pqi_metrics *registry, pql_error *err)
{
    *out = NULL;
    pqi_node_metrics *m = calloc(1, sizeof(*m));
    if (m == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "No memory for the metrics of the node.");
    }
    node_register_miners(m, registry);
    node_register_chain(m, registry);
    node_register_identity(m, registry);
    const pql_status status = pqi_metrics_check(registry, err);
    if (status != PQL_OK) {
        free(m);
        return status;
    }
    *out = m;
    return PQL_OK;
}

void pqi_node_metrics_free(pqi_node_metrics *m)
{
    free(m);
}

pqi_node_miner *pqi_node_miner_join(pqi_node_metrics *m, const char *name)
{
    pqi_node_miner *miner = m == NULL ? NULL : calloc(1, sizeof(*miner));
    if (miner == NULL) {
        return NULL;
    }
    miner->metrics = m;
    miner->results = pqi_member_join(m->results, name);
    miner->hash_rate = pqi_member_join(m->hash_rate, name);
    miner->shares = pqi_member_join(m->shares, name);
    miner->work = pqi_member_join(m->work, name);
    miner->protocol = PQI_PROTOCOL_COUNT;
    pqi_gauge_add(m->miners, 1);
    return miner;
}

void pqi_node_miner_leave(pqi_node_miner *miner)
{
    if (miner == NULL) {
        return;
    }
    pqi_node_miner_hash_rate(miner, 0);
    pqi_member_leave(miner->results);
    pqi_member_leave(miner->hash_rate);
    pqi_member_leave(miner->shares);
    pqi_member_leave(miner->work);
    if (miner->protocol < PQI_PROTOCOL_COUNT) {
        pqi_gauge_add(pqi_gauge_at(miner->metrics->protocols, miner->protocol), -1);
    }
    pqi_gauge_add(miner->metrics->miners, -1);
    free(miner);
}

void pqi_node_miner_result(pqi_node_miner *miner, pqi_label_result result)
{
    if (miner != NULL && result < PQI_RESULT_COUNT) {
        pqi_counter_add(pqi_member_counter(miner->results, result), 1);
        pqi_counter_add(&miner->own[result], 1);
    }
}

void pqi_node_miner_protocol(pqi_node_miner *miner, pqi_label_protocol protocol)
{
    if (miner != NULL && protocol < PQI_PROTOCOL_COUNT) {
        miner->protocol = protocol;
        pqi_gauge_add(pqi_gauge_at(miner->metrics->protocols, protocol), 1);
    }
}

void pqi_node_miner_share(pqi_node_miner *miner, uint64_t work, bool block)
{
    if (miner != NULL) {
        pqi_counter_add(pqi_member_counter(miner->work, 0), work);
        if (!block) {
            pqi_counter_add(pqi_member_counter(miner->shares, 0), 1);
        }
    }
}

void pqi_node_miner_hash_rate(pqi_node_miner *miner, uint64_t hashes_per_second)
{
    if (miner != NULL) {
        const double change = (double)hashes_per_second - (double)miner->rate;
        pqi_gauge_add(pqi_member_gauge(miner->hash_rate, 0), change);
        miner->rate = hashes_per_second;
    }
}

uint64_t pqi_node_miner_results(const pqi_node_miner *miner, pqi_label_result result)
{
    const bool known = miner != NULL && result < PQI_RESULT_COUNT;
    return known ? pqi_counter_get(&miner->own[result]) : 0;
}

void pqi_node_metrics_job(pqi_node_metrics *m)
{
    if (m != NULL) {
        pqi_counter_add(m->jobs, 1);
    }
}

void pqi_node_metrics_jobs_sent(pqi_node_metrics *m, uint64_t count)
{
    if (m != NULL) {
        pqi_counter_add(m->jobs_sent, count);
    }
}

void pqi_node_metrics_block_found(pqi_node_metrics *m)
{
    if (m != NULL) {
        pqi_counter_add(m->blocks, 1);
    }
}

void pqi_node_metrics_chain(pqi_node_metrics *m, uint64_t height, double difficulty,
                            uint64_t block_time_ms, uint64_t block_duration_ms)
{
    if (m != NULL) {
        pqi_gauge_set(pqi_gauge_at(m->chain, CHAIN_HEIGHT), (double)height);
        pqi_gauge_set(pqi_gauge_at(m->chain, CHAIN_DIFFICULTY), difficulty);
        pqi_gauge_set(pqi_gauge_at(m->chain, CHAIN_BLOCK_TIME), (double)block_time_ms);
        pqi_gauge_set(pqi_gauge_at(m->chain, CHAIN_BLOCK_DURATION), (double)block_duration_ms);
    }
}

void pqi_node_metrics_rotation(pqi_node_metrics *m, uint64_t switch_at, uint64_t drop_at)
{
    if (m != NULL) {
        pqi_gauge_set(pqi_gauge_at(m->identity, IDENTITY_SWITCH), (double)switch_at);
        pqi_gauge_set(pqi_gauge_at(m->identity, IDENTITY_DROP), (double)drop_at);
    }
}

/* ---- Miner ---- */

struct pqi_mine_metrics {
    pqi_gauge *hash_rate;
    pqi_gauge *cpu_hash_rate;
    pqi_gauge *gpu_hash_rate;
    pqi_counter *hashes;
    pqi_gauge *active_jobs;
    pqi_gauge *workers;
    pqi_gauge *cpu_workers;
    pqi_gauge *gpu_devices;
    pqi_gauge *effective_cpus;
    pqi_family *results;
};

static void mine_register(pqi_mine_metrics *m, pqi_metrics *r)
{
    const struct {
        pqi_gauge **slot;
        const char *name;
        const char *help;
    } gauges[] = {
        {&m->hash_rate, "miner_hash_rate", "Present hash rate in hashes per second."},
        {&m->cpu_hash_rate, "miner_cpu_hash_rate", "The part of it that processors do."},
        {&m->gpu_hash_rate, "miner_gpu_hash_rate", "The part of it that graphics cards do."},
        {&m->active_jobs, "miner_active_jobs", "1 while there is a job to work on."},
        {&m->workers, "miner_workers", "Workers of all kinds."},
        {&m->cpu_workers, "miner_cpu_workers", "Worker threads on processors."},
        {&m->gpu_devices, "miner_gpu_devices", "Graphics cards at work."},
        {&m->effective_cpus, "miner_effective_cpus", "Processors that this process may use."},
    };
    for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++) {
        *gauges[i].slot = pqi_gauge_at(plain(r, PQI_GAUGE, gauges[i].name, gauges[i].help), 0);
    }
    m->hashes = pqi_counter_at(plain(r, PQI_COUNTER, "miner_hashes_total", "Hashes tried."), 0);
    m->results = pqi_metrics_register(
        r, &(pqi_metric_desc){.type = PQI_COUNTER,
                              .name = "miner_results_total",
                              .help = "Results found, by what the node said to them.",
                              .labels = {{"result", pqi_result_names, PQI_RESULT_COUNT}}});
}

pql_status pqi_mine_metrics_new(pqi_mine_metrics **out, pqi_metrics *registry, pql_error *err)
{
    *out = NULL;
    pqi_mine_metrics *m = calloc(1, sizeof(*m));
    if (m == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "No memory for the metrics of the miner.");
    }
    mine_register(m, registry);
    const pql_status status = pqi_metrics_check(registry, err);
    if (status != PQL_OK) {
        free(m);
        return status;
    }
    *out = m;
    return PQL_OK;
}

void pqi_mine_metrics_free(pqi_mine_metrics *m)
{
    free(m);
}

void pqi_mine_metrics_hashes(pqi_mine_metrics *m, uint64_t count)
{
    if (m != NULL) {
        pqi_counter_add(m->hashes, count);
    }
}

void pqi_mine_metrics_hash_rate(pqi_mine_metrics *m, double cpu, double gpu)
{
    if (m != NULL) {
        pqi_gauge_set(m->hash_rate, cpu + gpu);
        pqi_gauge_set(m->cpu_hash_rate, cpu);
        pqi_gauge_set(m->gpu_hash_rate, gpu);
    }
}

void pqi_mine_metrics_workers(pqi_mine_metrics *m, unsigned cpu_workers, unsigned gpu_devices,
                              unsigned effective_cpus)
{
    if (m != NULL) {
        pqi_gauge_set(m->workers, (double)cpu_workers + (double)gpu_devices);
        pqi_gauge_set(m->cpu_workers, cpu_workers);
        pqi_gauge_set(m->gpu_devices, gpu_devices);
        pqi_gauge_set(m->effective_cpus, effective_cpus);
    }
}

void pqi_mine_metrics_active_jobs(pqi_mine_metrics *m, unsigned jobs)
{
    if (m != NULL) {
        pqi_gauge_set(m->active_jobs, jobs);
    }
}

void pqi_mine_metrics_result(pqi_mine_metrics *m, pqi_label_result result)
{
    if (m != NULL) {
        pqi_counter_add(pqi_counter_at(m->results, result), 1);
    }
}
