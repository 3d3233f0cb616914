#include "miner/session_node.h"

#include "base/hex.h"
#include "base/secret.h"

#include <string.h>

void pqi_session_node_init(pqi_session_node *s, pqi_miner_dialect dialect,
                           const pqi_session_node_events *events, void *user, uint64_t now)
{
    *s = (pqi_session_node){
        .dialect = dialect,
        .events = events,
        .user = user,
        .hello_deadline = now + PQI_NODE_HELLO_NS,
        .idle_reason = "idle",
        .again_at = PQI_TIME_NEVER,
    };
}

/* A rate limit in one number: the time at which the allowance will be whole again.  Takes one from
 * an allowance of |burst| that grows by |per_second|; false, and nothing taken, when it is empty.
 */
static bool rate_take(uint64_t *whole_at, uint64_t now, uint64_t burst, uint64_t per_second)
{
    uint64_t each = PQI_NS_PER_SEC / per_second;
    uint64_t from = *whole_at > now ? *whole_at : now;
    if (from - now > (burst - 1) * each) {
        return false;
    }
    *whole_at = from + each;
    return true;
}

/* One message over its rate: tolerated for a while. */
static void count_excess(pqi_session_node *s, uint64_t now)
{
    if (!rate_take(&s->excess_rate, now, PQI_NODE_EXCESS_BURST, PQI_NODE_EXCESS_PER_SEC)) {
        pqi_session_node_close(s, PQI_CLOSE_FLOOD);
    }
}

/* Hands over one frame; false when there is no room for it. */
static bool send_frame(pqi_session_node *s, const pqi_writer *w, uint64_t now)
{
    if (s->blocked) {
        return false;
    }
    s->blocked = !s->events->write(s->user, w->data, w->len);
    if (s->blocked) {
        s->stall_deadline = now + PQI_NODE_STALL_NS;
    }
    return !s->blocked;
}

/* Writes the NewJob, or the Cancel that stands for having none, to |w|; false when there is nothing
 * to be said in this dialect. */
static bool write_current(const pqi_session_node *s, pqi_writer *w)
{
    if (s->has_job) {
        return pqi_miner_job_write(&s->job, s->dialect, w, NULL) == PQL_OK;
    }
    if (s->dialect != PQI_MINER_PQ1) {
        return false;
    }
    pqi_miner_message m = {.type = PQI_MINER_CANCEL, .cancel = {.reason = s->idle_reason}};
    return pqi_miner_encode(s->dialect, &m, w, NULL) == PQL_OK;
}

static void send_current(pqi_session_node *s, uint64_t now)
{
    uint8_t frame[PQI_FRAME_SIZE_MAX];
    pqi_writer w;
    pqi_writer_init(&w, frame, sizeof(frame));
    s->unsent = false;
    s->again_at = PQI_TIME_NEVER;
    if (s->state != PQI_NODE_ACTIVE || !write_current(s, &w)) {
        return;
    }
    if (!send_frame(s, &w, now)) {
        s->unsent = true;
    } else if (s->has_job) {
        s->counters.jobs_sent++;
    }
}

static void send_rotation(pqi_session_node *s, uint64_t now)
{
    uint8_t frame[PQI_FRAME_SIZE_MAX];
    pqi_writer w;
    pqi_writer_init(&w, frame, sizeof(frame));
    if (s->state == PQI_NODE_ACTIVE && s->rotation_unsent &&
        pqi_miner_rotation_write(&s->rotation, s->dialect, &w, NULL) == PQL_OK) {
        s->rotation_unsent = !send_frame(s, &w, now);
    }
}

static void send_ack(pqi_session_node *s, const pqi_node_claim *claim, pqi_miner_verdict verdict,
                     const char *reason, uint64_t height, uint64_t now)
{
    char nonce[PQI_MINER_NONCE_TEXT_SIZE];
    pqi_miner_nonce_text(nonce, claim->work);
    pqi_miner_message m = {
        .type = PQI_MINER_JOB_ACK,
        .job_ack = {.job_id = claim->job_id,
                    .nonce = claim->has_work ? nonce : NULL,
                    .verdict = verdict,
                    .reason = reason,
                    .height = height},
    };
    uint8_t frame[PQI_FRAME_SIZE_MAX];
    pqi_writer w;
    pqi_writer_init(&w, frame, sizeof(frame));
    if (reason == NULL || strlen(reason) > PQI_MINER_REASON_MAX ||
        pqi_miner_encode(s->dialect, &m, &w, NULL) != PQL_OK) {
        m.job_ack.reason = pqi_miner_verdict_name(verdict);
        pqi_writer_init(&w, frame, sizeof(frame));
        pqi_miner_encode(s->dialect, &m, &w, NULL);
    }
    if (!pqi_writer_ok(&w) || !send_frame(s, &w, now)) {
        s->counters.acks_dropped++;
    }
}

/* Official miners stop at their first hit and idle until the next NewJob (quantus.md 4.2).  An
 * accepted result of a job that stays the current one is a share. */
static bool should_send_again(const pqi_session_node *s, const pqi_node_claim *claim,
                              pqi_miner_verdict verdict)
{
    return s->dialect != PQI_MINER_PQ1 && verdict != PQI_VERDICT_STALE && s->has_job &&
           strcmp(s->job.id, claim->job_id) == 0;
}

static void settle(pqi_session_node *s, const pqi_node_claim *claim, pqi_miner_verdict verdict,
                   const char *reason, uint64_t height, uint64_t now)
{
    s->counters.verdicts[verdict]++;
    if (s->state != PQI_NODE_ACTIVE) {
        return;
    }
    if (s->dialect == PQI_MINER_PQ1) {
        send_ack(s, claim, verdict, reason, height, now);
    } else if (!should_send_again(s, claim, verdict)) {
        return;
    } else if (verdict == PQI_VERDICT_FLOOD) {
        s->again_at = now + PQI_NODE_FLOOD_PAUSE_NS; /* at once, it would only flood again */
    } else {
        send_current(s, now);
    }
}

/* FNV-1a over |work|, never 0.  Not a secret hash and need not be: whoever makes two of its own
 * results collide only loses the second one. */
static uint64_t work_digest(const uint8_t work[PQI_MINER_WORK_SIZE])
{
    uint64_t digest = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < PQI_MINER_WORK_SIZE; i++) {
        digest = (digest ^ work[i]) * UINT64_C(0x100000001b3);
    }
    return digest != 0 ? digest : 1;
}

/* The place of |digest| among those seen, or NULL. */
static uint64_t *find_seen(pqi_session_node *s, uint64_t digest)
{
    for (size_t i = 0; i < PQI_NODE_SEEN_MAX; i++) {
        if (s->seen[i] == digest) {
            return &s->seen[i];
        }
    }
    return NULL;
}

static void remember(pqi_session_node *s, uint64_t digest)
{
    s->seen[s->seen_next] = digest;
    s->seen_next = (s->seen_next + 1) % PQI_NODE_SEEN_MAX;
}

static pqi_node_claim *find_pending(pqi_session_node *s, uint64_t ticket)
{
    for (size_t i = 0; i < PQI_NODE_PENDING_MAX; i++) {
        if (s->pending[i].ticket == ticket) {
            return &s->pending[i];
        }
    }
    return NULL;
}

bool pqi_session_node_verdict(pqi_session_node *s, uint64_t ticket, pqi_miner_verdict verdict,
                              const char *reason, uint64_t height, uint64_t now)
{
    pqi_node_claim *place = ticket != 0 ? find_pending(s, ticket) : NULL;
    if (place == NULL) {
        return false;
    }
    pqi_node_claim claim = *place;
    place->ticket = 0;
    if (verdict == PQI_VERDICT_UNAVAILABLE) {
        uint64_t *seen = find_seen(s, work_digest(claim.work));
        if (seen != NULL) {
            *seen = 0; /* it was not judged, so it may come again */
        }
    }
    settle(s, &claim, verdict, reason, height, now);
    return true;
}

/* Hands a result that passed all cheap checks to the caller, under |place|. */
static void claim_submit(pqi_session_node *s, pqi_node_claim *place, const pqi_node_claim *claim,
                         const pqi_miner_message *m)
{
    *place = *claim;
    place->ticket = ++s->last_ticket;
    remember(s, work_digest(claim->work));
    pqi_miner_result result = {
        .ticket = place->ticket,
        .job = s->job,
        .hashes = m->job_result.hash_count,
        .elapsed_ns = m->job_result.elapsed_ns,
    };
    memcpy(result.work, claim->work, sizeof(result.work));
    s->events->result(s->user, &result);
}

/* The cheap checks of a completed result, cheapest and most damning first. */
static void on_completed(pqi_session_node *s, const pqi_node_claim *claim,
                         const pqi_miner_message *m, uint64_t now)
{
    pqi_node_claim *place = find_pending(s, 0);
    pqi_miner_verdict verdict;
    const char *reason;
    if (!s->has_job || strcmp(s->job.id, claim->job_id) != 0) {
        verdict = PQI_VERDICT_STALE;
        reason = "this job is not the current one";
    } else if (!claim->has_work) {
        verdict = PQI_VERDICT_INVALID;
        reason = "work is not 128 hex digits";
    } else if (pqi_miner_work_is_zero(claim->work)) {
        verdict = PQI_VERDICT_INVALID;
        reason = "the nonce zero is never valid";
    } else if (find_seen(s, work_digest(claim->work)) != NULL) {
        verdict = PQI_VERDICT_DUPLICATE;
        reason = "this work was sent before";
    } else if (place == NULL) {
        verdict = PQI_VERDICT_UNAVAILABLE;
        reason = "too many results wait for their verdict";
    } else {
        claim_submit(s, place, claim, m);
        return;
    }
    settle(s, claim, verdict, reason, PQI_MINER_NO_NUMBER, now);
}

static void on_job_result(pqi_session_node *s, const pqi_miner_message *m, uint64_t now)
{
    pqi_node_claim claim = {0};
    size_t id_len = strlen(m->job_result.job_id);
    if (id_len > PQI_MINER_JOB_ID_MAX) {
        pqi_session_node_close(s, PQI_CLOSE_PROTOCOL);
        return;
    }
    memcpy(claim.job_id, m->job_result.job_id, id_len + 1);
    const char *work = m->job_result.work;
    claim.has_work =
        work != NULL && pqi_hex_decode(claim.work, sizeof(claim.work), work, strlen(work));
    bool completed = m->job_result.status == PQI_MINER_STATUS_COMPLETED;
    if (!completed) {
        s->counters.failed++;
    }
    if (!rate_take(&s->result_rate, now, PQI_NODE_RESULT_BURST, PQI_NODE_RESULTS_PER_SEC)) {
        if (completed) {
            settle(s, &claim, PQI_VERDICT_FLOOD, "too many results", PQI_MINER_NO_NUMBER, now);
        }
        count_excess(s, now);
    } else if (completed) {
        on_completed(s, &claim, m, now);
    }
}

static void on_stats(pqi_session_node *s, const pqi_miner_message *m, uint64_t now)
{
    if (m->stats.elapsed_ns < PQI_NODE_STATS_MIN_NS) {
        s->counters.ignored++;
        return;
    }
    uint64_t sum = s->counters.hashes + m->stats.hashes;
    s->counters.hashes = sum < m->stats.hashes ? UINT64_MAX : sum;
    s->counters.hash_rate =
        (double)m->stats.hashes * (double)PQI_NS_PER_SEC / (double)m->stats.elapsed_ns;
    s->counters.hash_rate_at = now;
}

/* Cuts ASCII white space off both ends of |text|, in place. */
static char *trim(char *text)
{
    static const char space[] = " \t\n\v\f\r";
    char *start = text + strspn(text, space);
    size_t len = strlen(start);
    while (len > 0 && strchr(space, start[len - 1]) != NULL) {
        len--;
    }
    start[len] = '\0';
    return start;
}

/* The state wait_ready: a Ready, or nothing. */
static void on_hello(pqi_session_node *s, const pqi_miner_message *m, uint64_t now)
{
    const char *name = m->ready.name;
    const char *agent = m->ready.agent;
    if (m->type != PQI_MINER_READY || (name != NULL && !pqi_miner_name_ok(name)) ||
        (agent != NULL && !pqi_miner_agent_ok(agent))) {
        pqi_session_node_close(s, PQI_CLOSE_PROTOCOL);
        return;
    }
    char text[PQI_FRAME_BODY_MAX];
    pqi_miner_hello hello = {.dialect = s->dialect, .name = name, .agent = agent};
    bool welcome = true;
    if (m->ready.token != NULL) {
        memcpy(text, m->ready.token, strlen(m->ready.token) + 1);
        hello.token = trim(text);
        welcome = strlen(hello.token) <= PQI_MINER_TOKEN_MAX;
    }
    welcome = welcome && s->events->hello(s->user, &hello);
    pqi_secret_wipe(text, sizeof(text));
    if (s->state != PQI_NODE_WAIT_READY) {
        return;
    }
    if (!welcome) {
        pqi_session_node_close(s, PQI_CLOSE_REFUSED);
        return;
    }
    s->state = PQI_NODE_ACTIVE;
    send_current(s, now);
    send_rotation(s, now);
}

/* The state active. */
static void on_active(pqi_session_node *s, const pqi_miner_message *m, uint64_t now)
{
    if (m->type == PQI_MINER_JOB_RESULT) {
        on_job_result(s, m, now);
        return;
    }
    if (!rate_take(&s->other_rate, now, PQI_NODE_OTHER_BURST, PQI_NODE_OTHERS_PER_SEC)) {
        s->counters.ignored++;
        count_excess(s, now);
    } else if (m->type == PQI_MINER_STATS) {
        on_stats(s, m, now);
    } else {
        s->counters.ignored++; /* a second Ready, a NewJob from a miner, or a later version */
    }
}

static void on_frame(pqi_session_node *s, const uint8_t *body, size_t len, uint64_t now)
{
    static void (*const handlers[])(pqi_session_node *, const pqi_miner_message *, uint64_t) = {
        [PQI_NODE_WAIT_READY] = on_hello,
        [PQI_NODE_ACTIVE] = on_active,
    };
    char text[PQI_FRAME_BODY_MAX];
    pqi_miner_message m;
    if (pqi_miner_decode(s->dialect, body, len, &m, text, NULL) != PQL_OK) {
        pqi_session_node_close(s, PQI_CLOSE_PROTOCOL);
    } else {
        handlers[s->state](s, &m, now);
    }
    if (m.type == PQI_MINER_READY) { /* also what a failed decoding leaves */
        pqi_secret_wipe(text, sizeof(text));
        pqi_secret_wipe(s->frames.bytes, sizeof(s->frames.bytes));
    }
}

void pqi_session_node_bytes(pqi_session_node *s, const void *data, size_t len, uint64_t now)
{
    pqi_reader in;
    pqi_reader_init(&in, data, len);
    const uint8_t *body = NULL;
    size_t body_len = 0;
    while (s->state != PQI_NODE_CLOSED) {
        if (pqi_frame_read(&s->frames, &in, &body, &body_len, NULL) != PQL_OK) {
            pqi_session_node_close(s, PQI_CLOSE_PROTOCOL);
        } else if (body == NULL) {
            return;
        } else {
            on_frame(s, body, body_len, now);
        }
    }
}

void pqi_session_node_fin(pqi_session_node *s)
{
    pqi_session_node_close(s, PQI_CLOSE_DONE);
}

void pqi_session_node_writable(pqi_session_node *s, uint64_t now)
{
    s->blocked = false;
    if (s->unsent) {
        send_current(s, now);
    }
    send_rotation(s, now);
}

uint64_t pqi_session_node_deadline(const pqi_session_node *s)
{
    if (s->state == PQI_NODE_WAIT_READY) {
        return s->hello_deadline;
    }
    if (s->state != PQI_NODE_ACTIVE) {
        return PQI_TIME_NEVER;
    }
    return s->blocked && s->stall_deadline < s->again_at ? s->stall_deadline : s->again_at;
}

void pqi_session_node_expire(pqi_session_node *s, uint64_t now)
{
    if (now < pqi_session_node_deadline(s)) {
        return;
    }
    if (s->state == PQI_NODE_WAIT_READY) {
        pqi_session_node_close(s, PQI_CLOSE_HELLO_TIMEOUT);
    } else if (s->blocked && now >= s->stall_deadline) {
        pqi_session_node_close(s, PQI_CLOSE_STALLED);
    } else {
        send_current(s, now);
    }
}

void pqi_session_node_job(pqi_session_node *s, const pqi_miner_job *job, uint64_t now)
{
    if (!pqi_miner_job_same(&s->job, job)) {
        memset(s->seen, 0, sizeof(s->seen));
    }
    s->job = *job;
    s->has_job = true;
    send_current(s, now);
}

void pqi_session_node_cancel(pqi_session_node *s, const char *reason, uint64_t now)
{
    s->has_job = false;
    s->idle_reason = reason;
    send_current(s, now);
}

void pqi_session_node_rotation(pqi_session_node *s, const pqi_miner_rotation *rotation,
                               uint64_t now)
{
    s->rotation_unsent = s->dialect == PQI_MINER_PQ1 && (rotation->any || s->rotation.any);
    s->rotation = *rotation;
    send_rotation(s, now);
}

void pqi_session_node_close(pqi_session_node *s, pqi_miner_close why)
{
    if (s->state == PQI_NODE_CLOSED) {
        return;
    }
    s->state = PQI_NODE_CLOSED;
    s->why = why;
    uint64_t code = 0;
    const char *reason = pqi_miner_close_wire(s->dialect, why, &code);
    s->events->close(s->user, code, reason);
}

pqi_miner_close pqi_session_node_why(const pqi_session_node *s)
{
    return s->why;
}

bool pqi_session_node_active(const pqi_session_node *s)
{
    return s->state == PQI_NODE_ACTIVE;
}

const pqi_session_node_counters *pqi_session_node_counters_get(const pqi_session_node *s)
{
    return &s->counters;
}
