/* The JSON of /status. */
#include "base/log.h"
#include "miner/node_inside.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *miner_json(const pqi_node_link *miner)
{
    const pql_posture *p = &miner->posture;
    char corr_id[PQI_CORR_SIZE];
    pqi_log_corr(corr_id, pql_link_id(miner->link));
    json_t *row =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:s, s:b}", "name", miner->name,
                  "token", miner->grant.token, "agent", miner->agent, "address", miner->address,
                  "protocol", pqi_miner_alpn(miner->dialect), "corr_id", corr_id, "connected_ms",
                  number(miner->connected_ms), "group", pql_group_name(p->group), "signature",
                  pql_signature_name(p->own_signature), "pq", (int)p->pq_key_exchange);
    const struct {
        const char *name;
        uint64_t value;
    } counters[] = {
        {"hash_rate", atomic_load(&miner->hash_rate)},
        {"share_rate", atomic_load(&miner->share_rate)},
        {"jobs", atomic_load(&miner->jobs_sent)},
        {"shares", atomic_load(&miner->shares)},
        {"blocks", atomic_load(&miner->blocks)},
    };
    for (size_t i = 0; row != NULL && i < sizeof(counters) / sizeof(counters[0]); i++) {
        (void)json_object_set_new(row, counters[i].name, number(counters[i].value));
    }
    for (int v = 0; row != NULL && v < PQI_VERDICT_COUNT; v++) {
        (void)json_object_set_new(row, pqi_miner_verdict_name((pqi_miner_verdict)v),
                                  number(atomic_load(&miner->verdicts[v])));
    }
    return row;
}

typedef struct miner_list {
    json_t *rows;
    uint64_t count;
    uint64_t hash_rate;
} miner_list;

/* What the miner says, or what its shares say where it says nothing. */
static uint64_t rate_of(const pqi_node_link *miner)
{
    const uint64_t said = atomic_load(&miner->hash_rate);
    return said != 0 ? said : atomic_load(&miner->share_rate);
}

/* All of them are counted, the newest |max| listed. */
static miner_list list_miners(pqi_node_service *s, uint64_t max)
{
    miner_list list = {.rows = json_array()};
    pthread_mutex_lock(&s->miners_lock);
    for (const pqi_node_link *miner = s->all; miner != NULL; miner = miner->all_next) {
        if (list.count++ < max) {
            (void)json_array_append_new(list.rows, miner_json(miner));
        }
        list.hash_rate += rate_of(miner);
    }
    pthread_mutex_unlock(&s->miners_lock);
    return list;
}

static pql_status write_status(pqi_node_service *s, uint64_t max_miners, pqi_buf *out,
                               pql_error *err)
{
    const miner_list miners = list_miners(s, max_miners);
    pthread_mutex_lock(&s->job_lock);
    const pqi_job job = s->job;
    const bool has_job = s->has_job;
    pthread_mutex_unlock(&s->job_lock);
    char difficulty[PQI_U512_TEXT_SIZE];
    pqi_u512_to_decimal(difficulty, &job.difficulty);
    json_t *root = json_pack("{s:I, s:I, s:b, s:s, s:I, s:s, s:I, s:I, s:o}", "blocks_accepted",
                             (json_int_t)s->blocks, "height", (json_int_t)s->height, "has_job",
                             (int)has_job, "job_id", job.id, "job_height", (json_int_t)job.height,
                             "difficulty", difficulty, "miner_count", (json_int_t)miners.count,
                             "hash_rate", (json_int_t)miners.hash_rate, "miners", miners.rows);
    char *text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);
    json_decref(root);
    const bool ok = text != NULL && pqi_buf_append(out, text, strlen(text));
    free(text);
    return ok ? PQL_OK : pqi_fail(err, PQL_E_NOMEM, "Out of memory writing the status.");
}

pql_status pqi_node_service_status(void *service, pqi_buf *out, pql_error *err)
{
    return write_status(service, UINT64_MAX, out, err);
}

pql_status pqi_node_service_overview(pqi_node_service *service, pqi_buf *out, pql_error *err)
{
    return write_status(service, PQI_NODE_OVERVIEW_MINERS, out, err);
}
