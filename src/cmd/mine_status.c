#include "cmd/mine_status.h"

#include "base/clock.h"
#include "base/error.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pqi_rate_format(char out[PQI_RATE_SIZE], double hashes_per_second)
{
    static const char *const units[] = {"H/s", "kH/s", "MH/s", "GH/s", "TH/s"};
    size_t unit = 0;
    while (hashes_per_second >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        hashes_per_second /= 1000;
        unit++;
    }
    (void)snprintf(out, PQI_RATE_SIZE, unit == 0 ? "%.0f %s" : "%.2f %s", hashes_per_second,
                   units[unit]);
}

const char *pqi_mine_state_name(const pqi_mine_status *status)
{
    return status->working ? "mining" : status->connected ? "waiting for a job" : "connecting";
}

uint64_t pqi_mine_rejected(const pqi_mine_status *status)
{
    uint64_t sum = 0;
    for (int i = 0; i < PQI_VERDICT_COUNT; i++) {
        sum += i == PQI_VERDICT_ACCEPTED || i == PQI_VERDICT_STALE ? 0 : status->verdicts[i];
    }
    return sum;
}

static json_t *posture_json(const pql_posture *p)
{
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:b, s:b, s:f, s:i}", "group", pql_group_name(p->group), "signature",
        pql_signature_name(p->peer_signature), "cipher", pql_cipher_name(p->cipher), "trust",
        pql_trust_name(p->trust), "pq_key_exchange", (int)p->pq_key_exchange, "pq_authentication",
        (int)p->pq_authentication, "handshake_ms", (double)p->handshake_ns / (double)PQI_NS_PER_MS,
        "round_trips", (int)p->round_trips);
}

static json_t *results_json(const pqi_mine_status *s)
{
    json_t *results = json_object();
    for (int i = 0; i < PQI_VERDICT_COUNT; i++) {
        (void)json_object_set_new(results, pqi_miner_verdict_name((pqi_miner_verdict)i),
                                  json_integer((json_int_t)s->verdicts[i]));
    }
    return results;
}

static json_t *job_json(const pqi_mine_status *s)
{
    char difficulty[PQI_U512_TEXT_SIZE];
    if (s->job.id[0] == '\0') {
        return json_null();
    }
    (void)pqi_u512_to_decimal(difficulty, &s->job.difficulty);
    return json_pack("{s:s, s:s}", "id", s->job.id, "difficulty", difficulty);
}

static json_t *status_object(const pqi_mine_status *s, const char *node, uint64_t now)
{
    return json_pack(
        "{s:s, s:s, s:b, s:s, s:o, s:o, s:o, s:o, s:f, s:I, s:I, s:I, s:I, s:i, s:s, s:f}", "node",
        node, "state", pqi_mine_state_name(s), "connected", (int)s->connected, "address",
        s->address, "link", s->connected ? posture_json(&s->posture) : json_null(), "job",
        job_json(s), "results", results_json(s), "height",
        s->height == PQI_MINER_NO_NUMBER ? json_null() : json_integer((json_int_t)s->height),
        "hash_rate", s->hash_rate, "hashes", (json_int_t)s->hashes, "found", (json_int_t)s->found,
        "jobs", (json_int_t)s->jobs, "links", (json_int_t)s->links, "threads", (int)s->threads,
        "backend", s->backend, "uptime_seconds",
        (double)(now - s->started_ns) / (double)PQI_NS_PER_SEC);
}

pql_status pqi_mine_status_json(const pqi_mine_status *status, const char *node, uint64_t now,
                                pqi_buf *out, pql_error *err)
{
    json_t *root = status_object(status, node, now);
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    const bool written = text != NULL && pqi_buf_append(out, text, strlen(text));
    free(text);
    json_decref(root);
    return written ? PQL_OK : pqi_fail(err, PQL_E_NOMEM, "The status could not be written.");
}
