#include "cmd/mine_admin.h"

#include "base/clock.h"
#include "cmd/mine_view.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

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

static json_t *status_json(const pqi_mine_admin *a, const pqi_mine_status *s)
{
    const double uptime = (double)(pqi_clock_monotonic() - s->started_ns) / (double)PQI_NS_PER_SEC;
    return json_pack(
        "{s:s, s:s, s:b, s:s, s:o, s:o, s:o, s:o, s:f, s:I, s:I, s:I, s:I, s:i, s:s, s:f}", "node",
        a->options->node.text, "state", pqi_mine_state_name(s), "connected", (int)s->connected,
        "address", s->address, "link", s->connected ? posture_json(&s->posture) : json_null(),
        "job", job_json(s), "results", results_json(s), "height",
        s->height == PQI_MINER_NO_NUMBER ? json_null() : json_integer((json_int_t)s->height),
        "hash_rate", s->hash_rate, "hashes", (json_int_t)s->hashes, "found", (json_int_t)s->found,
        "jobs", (json_int_t)s->jobs, "links", (json_int_t)s->links, "threads", (int)s->threads,
        "backend", s->backend, "uptime_seconds", uptime);
}

static pql_status write_status(void *user, pqi_buf *out, pql_error *err)
{
    const pqi_mine_admin *a = user;
    pqi_mine_status status;
    pqi_mine_service_status(a->service, &status);
    json_t *root = status_json(a, &status);
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    const bool written = text != NULL && pqi_buf_append(out, text, strlen(text));
    free(text);
    json_decref(root);
    return written ? PQL_OK : pqi_fail(err, PQL_E_NOMEM, "The status could not be written.");
}

pql_status pqi_mine_admin_init(pqi_mine_admin *a, const pqi_mine_options *options, pql_error *err)
{
    a->options = options;
    pql_status status = pqi_metrics_new(&a->registry, err);
    if (status == PQL_OK) {
        status =
            pqi_pq_metrics_new(&a->pq, a->registry, "AWS-LC " AWSLC_VERSION_NUMBER_STRING, err);
    }
    if (status == PQL_OK) {
        status = pqi_mine_metrics_new(&a->mine, a->registry, err);
    }
    if (status == PQL_OK) {
        status = pqi_health_new(&a->health, err);
    }
    if (status == PQL_OK) {
        pqi_health_register(a->health, a->registry);
        status = pqi_health_add(a->health, "started", "The miner is starting or stopping.",
                                &a->started, err);
    }
    if (status == PQL_OK) {
        status = pqi_health_add(a->health, "hashing_threads", "No hashing thread runs.",
                                &a->hashing, err);
    }
    return status;
}

pql_status pqi_mine_admin_open(pqi_mine_admin *a, pqi_mine_service *service, pql_error *err)
{
    a->service = service;
    pqi_health_set_ok(a->health, a->hashing);
    pqi_health_set_ok(a->health, a->started);
    if (a->options->admin.off) {
        return PQL_OK;
    }
    const pqi_admin_opts opts = {.address = a->options->admin.host,
                                 .port = a->options->admin.port,
                                 .metrics = a->registry,
                                 .health = a->health,
                                 .status_json = write_status,
                                 .user = a};
    return pqi_admin_start(&a->admin, &opts, err);
}

void pqi_mine_admin_close(pqi_mine_admin *a)
{
    pqi_health_set_failed(a->health, a->started, "The miner is stopping.");
    pqi_admin_stop(a->admin);
    a->admin = NULL;
}

void pqi_mine_admin_free(pqi_mine_admin *a)
{
    pqi_admin_stop(a->admin);
    pqi_mine_metrics_free(a->mine);
    pqi_pq_metrics_free(a->pq);
    pqi_metrics_free(a->registry);
    pqi_health_free(a->health);
}
