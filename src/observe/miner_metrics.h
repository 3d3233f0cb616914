/* The series of the mining job: what a node counts per miner and for its chain, and what a miner
 * counts, with the names that the official programs use (protocols/quantus.md 6.1 and 6.3).
 *
 * Counting functions may be called from any thread, take no lock, and ignore a NULL object and
 * values out of range.  pqi_node_miner_join and _leave take the registry's lock. */
#ifndef PQI_OBSERVE_MINER_METRICS_H
#define PQI_OBSERVE_MINER_METRICS_H

#include "observe/metrics.h"

/* Miners with series of their own; later ones share those of "other". */
#define PQI_NODE_MINERS_MAX 1024

/* What became of a result. */
typedef enum pqi_label_result {
    PQI_RESULT_ACCEPTED,  /* it made a block or counted as work */
    PQI_RESULT_REJECTED,  /* the proof is good, the job source refused it */
    PQI_RESULT_STALE,     /* for a job that was replaced */
    PQI_RESULT_INVALID,   /* the proof does not hold, or the message is malformed */
    PQI_RESULT_DUPLICATE, /* sent before */
    PQI_RESULT_FLOODED,   /* dropped unread: too many at once */
    PQI_RESULT_COUNT
} pqi_label_result;

extern const char *const pqi_result_names[PQI_RESULT_COUNT];

/* What a miner speaks; the names are those of ALPN. */
typedef enum pqi_label_protocol {
    PQI_PROTOCOL_PQLINK_1,
    PQI_PROTOCOL_QUANTUS_2,
    PQI_PROTOCOL_QUANTUS_1,
    PQI_PROTOCOL_COUNT
} pqi_label_protocol;

/* ---- Node ---- */

typedef struct pqi_node_metrics pqi_node_metrics;
typedef struct pqi_node_miner pqi_node_miner;

/* Registers the node's series in |registry|.  *out is to be freed by the caller before the
 * registry, after the last miner left.  Errors: those of pqi_metrics_check, PQL_E_NOMEM; *out is
 * then NULL. */
pql_status pqi_node_metrics_new(pqi_node_metrics **out, pqi_metrics *registry, pql_error *err);
void pqi_node_metrics_free(pqi_node_metrics *m);

/* One connected miner, for each connection one.  |name| is the operator's name for it (cleaned with
 * pqi_member_clean); miners of one name count together and their hash rates add up.  NULL for a
 * NULL |m| or without memory: the functions below accept that and count nothing. */
pqi_node_miner *pqi_node_miner_join(pqi_node_metrics *m, const char *name);
/* Takes its hash rate out of the sum and frees |miner|.  Its results stay exposed. */
void pqi_node_miner_leave(pqi_node_miner *miner);
void pqi_node_miner_result(pqi_node_miner *miner, pqi_label_result result);
/* What it speaks; to be said once, after it joined. */
void pqi_node_miner_protocol(pqi_node_miner *miner, pqi_label_protocol protocol);
/* An accepted result that stands for |work| hashes on average; |block|: it made one. */
void pqi_node_miner_share(pqi_node_miner *miner, uint64_t work, bool block);
/* The miner's present rate in whole hashes per second.  Calls for one |miner| from one thread at a
 * time. */
void pqi_node_miner_hash_rate(pqi_node_miner *miner, uint64_t hashes_per_second);
/* What this connection added since it joined, for the node's own status lists. */
uint64_t pqi_node_miner_results(const pqi_node_miner *miner, pqi_label_result result);

void pqi_node_metrics_job(pqi_node_metrics *m);                       /* a new job was made */
void pqi_node_metrics_jobs_sent(pqi_node_metrics *m, uint64_t count); /* to so many miners */
void pqi_node_metrics_block_found(pqi_node_metrics *m);
/* The best block: its height, difficulty, time since 1970 and time since its parent, both in
 * milliseconds. */
void pqi_node_metrics_chain(pqi_node_metrics *m, uint64_t height, double difficulty,
                            uint64_t block_time_ms, uint64_t block_duration_ms);

/* When the node's identity changes and when the previous one goes, in Unix seconds; 0: not. */
void pqi_node_metrics_rotation(pqi_node_metrics *m, uint64_t switch_at, uint64_t drop_at);

/* ---- Miner ---- */

typedef struct pqi_mine_metrics pqi_mine_metrics;

/* As pqi_node_metrics_new, for the miner's series. */
pql_status pqi_mine_metrics_new(pqi_mine_metrics **out, pqi_metrics *registry, pql_error *err);
void pqi_mine_metrics_free(pqi_mine_metrics *m);

void pqi_mine_metrics_hashes(pqi_mine_metrics *m, uint64_t count);
/* In hashes per second; the sum is exposed as well. */
void pqi_mine_metrics_hash_rate(pqi_mine_metrics *m, double cpu, double gpu);
void pqi_mine_metrics_workers(pqi_mine_metrics *m, unsigned cpu_workers, unsigned gpu_devices,
                              unsigned effective_cpus);
/* 1 while there is a job to work on, else 0. */
void pqi_mine_metrics_active_jobs(pqi_mine_metrics *m, unsigned jobs);
/* What the node answered, or what we found to be stale before sending. */
void pqi_mine_metrics_result(pqi_mine_metrics *m, pqi_label_result result);

#endif
