#include "miner/session.h"

#include "base/hex.h"

#include <string.h>

static pql_status job_fields_read(pqi_miner_job *job, const char *id, const char *mining_hash,
                                  const char *difficulty, pql_error *err)
{
    size_t id_len = strlen(id);
    if (id_len > PQI_MINER_JOB_ID_MAX) {
        return pqi_fail(err, PQL_E_PROTOCOL, "The job's id has %zu bytes; at most %d are allowed.",
                        id_len, PQI_MINER_JOB_ID_MAX);
    }
    memcpy(job->id, id, id_len + 1);
    if (!pqi_hex_decode(job->mining_hash, PQI_MINER_HASH_SIZE, mining_hash, strlen(mining_hash))) {
        return pqi_fail(err, PQL_E_PROTOCOL, "The job's mining hash is not 64 hex digits.");
    }
    if (pqi_u512_from_decimal(&job->difficulty, difficulty, strlen(difficulty), NULL) != PQL_OK ||
        pqi_u512_is_zero(&job->difficulty)) {
        return pqi_fail(err, PQL_E_PROTOCOL,
                        "The job's difficulty is not a decimal number from 1 to 2^512 - 1.");
    }
    return PQL_OK;
}

pql_status pqi_miner_job_read(pqi_miner_job *job, const char *id, const char *mining_hash,
                              const char *difficulty, pql_error *err)
{
    memset(job, 0, sizeof(*job));
    pql_status status = job_fields_read(job, id, mining_hash, difficulty, err);
    if (status != PQL_OK) {
        memset(job, 0, sizeof(*job));
    }
    return status;
}

pql_status pqi_miner_job_write(const pqi_miner_job *job, pqi_miner_dialect dialect, pqi_writer *w,
                               pql_error *err)
{
    char mining_hash[2 * PQI_MINER_HASH_SIZE + 1];
    char difficulty[PQI_U512_TEXT_SIZE];
    pqi_hex_encode(mining_hash, job->mining_hash, PQI_MINER_HASH_SIZE);
    pqi_u512_to_decimal(difficulty, &job->difficulty);
    pqi_miner_message m = {
        .type = PQI_MINER_NEW_JOB,
        .new_job = {.job_id = job->id, .mining_hash = mining_hash, .difficulty = difficulty},
    };
    return pqi_miner_encode(dialect, &m, w, err);
}

pql_status pqi_miner_rotation_write(const pqi_miner_rotation *rotation, pqi_miner_dialect dialect,
                                    pqi_writer *w, pql_error *err)
{
    char next[PQL_FINGERPRINT_SIZE];
    char next_spki[PQL_FINGERPRINT_SIZE];
    pqi_miner_message m = {.type = PQI_MINER_ROTATION,
                           .rotation = {.drop_at = PQI_MINER_NO_NUMBER}};
    if (rotation->any) {
        pql_fingerprint_format(&rotation->next, next);
        pql_fingerprint_format(&rotation->next_spki, next_spki);
        m.rotation.next = next;
        m.rotation.next_spki = next_spki;
        m.rotation.switch_at = rotation->switch_at;
        m.rotation.drop_at = rotation->drop_at != 0 ? rotation->drop_at : PQI_MINER_NO_NUMBER;
    }
    return pqi_miner_encode(dialect, &m, w, err);
}

static bool fingerprint_read(pql_fingerprint *out, const char *text, pql_fingerprint_form form)
{
    return pql_fingerprint_parse(out, text, NULL) == PQL_OK && out->form == form;
}

bool pqi_miner_rotation_read(pqi_miner_rotation *out, const pqi_miner_message *m)
{
    pqi_miner_rotation r = {.any = m->rotation.next != NULL};
    *out = (pqi_miner_rotation){0};
    if (!r.any) {
        return m->rotation.next_spki == NULL;
    }
    if (m->rotation.next_spki == NULL ||
        !fingerprint_read(&r.next, m->rotation.next, PQL_FINGERPRINT_CERT) ||
        !fingerprint_read(&r.next_spki, m->rotation.next_spki, PQL_FINGERPRINT_SPKI)) {
        return false;
    }
    r.switch_at = m->rotation.switch_at;
    r.drop_at = m->rotation.drop_at != PQI_MINER_NO_NUMBER ? m->rotation.drop_at : 0;
    *out = r;
    return true;
}

bool pqi_miner_job_same(const pqi_miner_job *a, const pqi_miner_job *b)
{
    return strcmp(a->id, b->id) == 0 &&
           memcmp(a->mining_hash, b->mining_hash, PQI_MINER_HASH_SIZE) == 0 &&
           pqi_u512_compare(&a->difficulty, &b->difficulty) == 0;
}

void pqi_miner_nonce_text(char out[PQI_MINER_NONCE_TEXT_SIZE],
                          const uint8_t work[PQI_MINER_WORK_SIZE])
{
    char digits[PQI_MINER_NONCE_TEXT_SIZE];
    pqi_hex_encode(digits, work, PQI_MINER_WORK_SIZE);
    size_t zeros = strspn(digits, "0");
    if (zeros == PQI_MINER_NONCE_TEXT_SIZE - 1) {
        zeros--;
    }
    memcpy(out, digits + zeros, PQI_MINER_NONCE_TEXT_SIZE - zeros);
}

bool pqi_miner_work_is_zero(const uint8_t work[PQI_MINER_WORK_SIZE])
{
    static const uint8_t zero[PQI_MINER_WORK_SIZE];
    return memcmp(work, zero, PQI_MINER_WORK_SIZE) == 0;
}

bool pqi_miner_name_ok(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t len = strlen(name);
    return len >= 1 && len <= PQI_MINER_NAME_MAX && strspn(name, allowed) == len;
}

bool pqi_miner_agent_ok(const char *agent)
{
    size_t len = strlen(agent);
    for (size_t i = 0; i < len; i++) {
        if (agent[i] < ' ' || agent[i] > '~') {
            return false;
        }
    }
    return len >= 1 && len <= PQI_MINER_AGENT_MAX;
}

static const char *const close_reasons[PQI_CLOSE_COUNT] = {
    [PQI_CLOSE_DONE] = "",
    [PQI_CLOSE_HELLO_TIMEOUT] = "hello timeout",
    [PQI_CLOSE_REFUSED] = "token refused",
    [PQI_CLOSE_PROTOCOL] = "protocol error",
    [PQI_CLOSE_FLOOD] = "too many messages",
    [PQI_CLOSE_STALLED] = "not reading",
    [PQI_CLOSE_DRAINING] = "draining",
    [PQI_CLOSE_POLICY] = "pqlink-miner/1 needs an ML-KEM key exchange",
    [PQI_CLOSE_CROWDED] = "too many strangers",
};
static const char quantus_refusal[] = "auth failed";

const char *pqi_miner_close_wire(pqi_miner_dialect dialect, pqi_miner_close why, uint64_t *code)
{
    if (dialect == PQI_MINER_PQ1) {
        *code = (uint64_t)why;
        return close_reasons[why];
    }
    *code = 0;
    return why == PQI_CLOSE_REFUSED ? quantus_refusal : close_reasons[why];
}

bool pqi_miner_close_is_final(pqi_miner_dialect dialect, uint64_t code, const void *reason,
                              size_t len)
{
    switch (dialect) {
    case PQI_MINER_PQ1:
        return code == PQI_CLOSE_REFUSED || code == PQI_CLOSE_POLICY;
    case PQI_MINER_V2:
        return code == 0 && len == strlen(quantus_refusal) &&
               memcmp(reason, quantus_refusal, len) == 0;
    default:
        return false;
    }
}
