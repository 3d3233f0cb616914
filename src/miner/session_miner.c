#include "miner/session_miner.h"

#include "base/hex.h"
#include "base/secret.h"

#include <string.h>

void pqi_session_miner_init(pqi_session_miner *s, pqi_miner_dialect dialect,
                            const pqi_session_miner_events *events, void *user)
{
    *s = (pqi_session_miner){.dialect = dialect, .events = events, .user = user};
}

/* Encodes and hands over one frame, which is wiped afterwards: a Ready holds the token. */
static pql_status send_message(pqi_session_miner *s, const pqi_miner_message *m, pql_error *err)
{
    uint8_t frame[PQI_FRAME_SIZE_MAX];
    pqi_writer w;
    pqi_writer_init(&w, frame, sizeof(frame));
    pql_status status = pqi_miner_encode(s->dialect, m, &w, err);
    if (status == PQL_OK && !s->events->write(s->user, w.data, w.len)) {
        status =
            pqi_fail(err, PQL_E_LIMIT, "The node does not read; there is no room for a frame.");
    }
    pqi_secret_wipe(frame, sizeof(frame));
    return status;
}

static pql_status check_hello(pqi_miner_dialect dialect, const char *token, const char *name,
                              const char *agent, pql_error *err)
{
    if (dialect == PQI_MINER_V2 && token == NULL) {
        return pqi_fail(err, PQL_E_USAGE, "A node of %s wants a token.", pqi_miner_alpn(dialect));
    }
    if (token != NULL && strlen(token) > PQI_MINER_TOKEN_MAX) {
        return pqi_fail(err, PQL_E_USAGE, "The token has %zu bytes; at most %d are allowed.",
                        strlen(token), PQI_MINER_TOKEN_MAX);
    }
    if (name != NULL && !pqi_miner_name_ok(name)) {
        return pqi_fail(err, PQL_E_USAGE,
                        "The miner's name must be 1 to %d characters of a-z A-Z 0-9 . _ -",
                        PQI_MINER_NAME_MAX);
    }
    if (agent != NULL && !pqi_miner_agent_ok(agent)) {
        return pqi_fail(err, PQL_E_USAGE,
                        "The agent text must be 1 to %d printable ASCII characters.",
                        PQI_MINER_AGENT_MAX);
    }
    return PQL_OK;
}

pql_status pqi_session_miner_open(pqi_session_miner *s, const char *token, const char *name,
                                  const char *agent, pql_error *err)
{
    if (s->state != PQI_MINER_IDLE) {
        return pqi_fail(err, PQL_E_STATE, "Ready was sent before.");
    }
    pql_status status = check_hello(s->dialect, token, name, agent, err);
    if (status != PQL_OK) {
        return status;
    }
    pqi_miner_message m = {
        .type = PQI_MINER_READY,
        .ready = {.token = token, .name = name, .agent = agent},
    };
    status = send_message(s, &m, err);
    if (status == PQL_OK) {
        s->state = PQI_MINER_WAIT_JOB;
    }
    return status;
}

/* Answers a job that cannot be used.  Lost when there is no room: the node need not know. */
static void send_failed(pqi_session_miner *s, const char *job_id)
{
    pqi_miner_message m = {
        .type = PQI_MINER_JOB_RESULT,
        .job_result = {.status = PQI_MINER_STATUS_FAILED,
                       .job_id = job_id,
                       .miner_id = PQI_MINER_NO_NUMBER},
    };
    send_message(s, &m, NULL);
}

static void on_new_job(pqi_session_miner *s, const pqi_miner_message *m)
{
    pqi_miner_job job;
    if (strlen(m->new_job.job_id) > PQI_MINER_JOB_ID_MAX) {
        pqi_session_miner_close(s, PQI_CLOSE_PROTOCOL);
        return;
    }
    if (pqi_miner_job_read(&job, m->new_job.job_id, m->new_job.mining_hash, m->new_job.difficulty,
                           NULL) != PQL_OK) {
        send_failed(s, m->new_job.job_id);
        return;
    }
    s->job = job;
    s->serial++;
    s->had_job = true;
    s->state = PQI_MINER_WORKING;
    s->events->job(s->user, &job, s->serial);
}

static void on_cancel(pqi_session_miner *s, const pqi_miner_message *m)
{
    const char *job_id = m->cancel.job_id;
    if (job_id != NULL && (s->state != PQI_MINER_WORKING || strcmp(job_id, s->job.id) != 0)) {
        return; /* for a job that was replaced already */
    }
    s->state = PQI_MINER_WAIT_JOB;
    s->events->cancel(s->user, m->cancel.reason);
}

static void on_job_ack(pqi_session_miner *s, const pqi_miner_message *m)
{
    if (s->unanswered == 0) {
        return; /* for nothing that we sent: it would count work that was never done */
    }
    s->unanswered--;
    const pqi_miner_ack ack = {
        .job_id = m->job_ack.job_id,
        .nonce = m->job_ack.nonce,
        .verdict = m->job_ack.verdict,
        .reason = m->job_ack.reason,
        .height = m->job_ack.height,
    };
    s->events->ack(s->user, &ack);
}

/* One that cannot be read is ignored: nothing of the work depends on it. */
static void on_rotation(pqi_session_miner *s, const pqi_miner_message *m)
{
    pqi_miner_rotation rotation;
    if (s->events->rotation != NULL && pqi_miner_rotation_read(&rotation, m)) {
        s->events->rotation(s->user, &rotation);
    }
}

static void on_frame(pqi_session_miner *s, const uint8_t *body, size_t len)
{
    char text[PQI_FRAME_BODY_MAX];
    pqi_miner_message m;
    if (pqi_miner_decode(s->dialect, body, len, &m, text, NULL) != PQL_OK) {
        pqi_session_miner_close(s, PQI_CLOSE_PROTOCOL);
        return;
    }
    switch (m.type) {
    case PQI_MINER_NEW_JOB:
        on_new_job(s, &m);
        break;
    case PQI_MINER_CANCEL:
        on_cancel(s, &m);
        break;
    case PQI_MINER_JOB_ACK:
        on_job_ack(s, &m);
        break;
    case PQI_MINER_ROTATION:
        on_rotation(s, &m);
        break;
    case PQI_MINER_READY:
    case PQI_MINER_JOB_RESULT:
    case PQI_MINER_STATS:
    case PQI_MINER_UNKNOWN:
        break; /* ours to send, or of a later version */
    }
}

static bool is_open(const pqi_session_miner *s)
{
    return s->state == PQI_MINER_WAIT_JOB || s->state == PQI_MINER_WORKING;
}

void pqi_session_miner_bytes(pqi_session_miner *s, const void *data, size_t len)
{
    pqi_reader in;
    pqi_reader_init(&in, data, len);
    const uint8_t *body = NULL;
    size_t body_len = 0;
    while (is_open(s)) {
        if (pqi_frame_read(&s->frames, &in, &body, &body_len, NULL) != PQL_OK) {
            pqi_session_miner_close(s, PQI_CLOSE_PROTOCOL);
        } else if (body == NULL) {
            return;
        } else {
            on_frame(s, body, body_len);
        }
    }
}

void pqi_session_miner_fin(pqi_session_miner *s)
{
    pqi_session_miner_close(s, PQI_CLOSE_DONE);
}

pql_status pqi_session_miner_solution(pqi_session_miner *s, uint64_t serial,
                                      const uint8_t work[PQI_MINER_WORK_SIZE], uint64_t hashes,
                                      uint64_t elapsed_ns, pql_error *err)
{
    if (s->state != PQI_MINER_WORKING || serial != s->serial) {
        return pqi_fail(err, PQL_E_STATE, "The solution is for a job that is over.");
    }
    if (pqi_miner_work_is_zero(work)) {
        return pqi_fail(err, PQL_E_USAGE, "The nonce zero is never valid.");
    }
    char nonce[PQI_MINER_NONCE_TEXT_SIZE];
    char digits[PQI_MINER_NONCE_TEXT_SIZE];
    pqi_miner_nonce_text(nonce, work);
    pqi_hex_encode(digits, work, PQI_MINER_WORK_SIZE);
    pqi_miner_message m = {
        .type = PQI_MINER_JOB_RESULT,
        .job_result = {.status = PQI_MINER_STATUS_COMPLETED,
                       .job_id = s->job.id,
                       .nonce = nonce,
                       .work = digits,
                       .hash_count = hashes,
                       .elapsed_ns = elapsed_ns,
                       .miner_id = PQI_MINER_NO_NUMBER},
    };
    const pql_status status = send_message(s, &m, err);
    s->unanswered += status == PQL_OK;
    return status;
}

pql_status pqi_session_miner_stats(pqi_session_miner *s, uint64_t hashes, uint64_t elapsed_ns,
                                   pql_error *err)
{
    if (!is_open(s)) {
        return pqi_fail(err, PQL_E_STATE, "The session with the node is not open.");
    }
    if (s->dialect != PQI_MINER_PQ1) {
        return PQL_OK;
    }
    pqi_miner_message m = {
        .type = PQI_MINER_STATS,
        .stats = {.hashes = hashes, .elapsed_ns = elapsed_ns},
    };
    return send_message(s, &m, err);
}

void pqi_session_miner_close(pqi_session_miner *s, pqi_miner_close why)
{
    if (s->state == PQI_MINER_CLOSED) {
        return;
    }
    s->state = PQI_MINER_CLOSED;
    s->closed_for = why;
    uint64_t code = 0;
    const char *reason = pqi_miner_close_wire(s->dialect, why, &code);
    s->events->close(s->user, code, reason);
}

pqi_miner_close pqi_session_miner_closed_for(const pqi_session_miner *s)
{
    return s->closed_for;
}

bool pqi_session_miner_had_job(const pqi_session_miner *s)
{
    return s->had_job;
}
