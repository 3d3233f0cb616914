#include "miner/message.h"

#include "miner/json.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Sets of dialects. */
enum { IN_PQ1 = 1 << PQI_MINER_PQ1, IN_V2 = 1 << PQI_MINER_V2, IN_V1 = 1 << PQI_MINER_V1 };
#define IN_QUANTUS (IN_V2 | IN_V1)
#define IN_ALL (IN_PQ1 | IN_QUANTUS)

typedef enum member_kind {
    TEXT,
    TEXT_OR_NULL,  /* always written, null for NULL; may be missing when read */
    TEXT_IF_ANY,   /* left out for NULL */
    NUMBER,        /* uint64_t */
    NUMBER_IF_ANY, /* uint64_t, left out for PQI_MINER_NO_NUMBER */
    SECONDS,       /* uint64_t nanoseconds */
    STATUS,
    VERDICT
} member_kind;

typedef struct member_spec {
    const char *name;
    member_kind kind;
    unsigned dialects; /* where it is known; elsewhere it is skipped like any unknown member */
    size_t offset;     /* in pqi_miner_message */
} member_spec;

#define MEMBER(field) offsetof(pqi_miner_message, field)

/* The schemas.  Order is the order on the wire. */
static const member_spec ready_members[] = {
    {"token", TEXT, IN_V2, MEMBER(ready.token)},
    {"token", TEXT_IF_ANY, IN_PQ1, MEMBER(ready.token)},
    {"name", TEXT_IF_ANY, IN_PQ1, MEMBER(ready.name)},
    {"agent", TEXT_IF_ANY, IN_PQ1, MEMBER(ready.agent)},
};
/* V1 miners up to v3.1.0 know the difficulty by its old name, later ones by the new; both skip the
 * one they do not know, so V1 is written with both and read with either. */
static const member_spec new_job_members[] = {
    {"job_id", TEXT, IN_ALL, MEMBER(new_job.job_id)},
    {"mining_hash", TEXT, IN_ALL, MEMBER(new_job.mining_hash)},
    {"difficulty", TEXT, IN_ALL, MEMBER(new_job.difficulty)},
    {"distance_threshold", TEXT, IN_V1, MEMBER(new_job.difficulty)},
};
static const member_spec job_result_members[] = {
    {"status", STATUS, IN_ALL, MEMBER(job_result.status)},
    {"job_id", TEXT, IN_ALL, MEMBER(job_result.job_id)},
    {"nonce", TEXT_OR_NULL, IN_ALL, MEMBER(job_result.nonce)},
    {"work", TEXT_OR_NULL, IN_ALL, MEMBER(job_result.work)},
    {"hash_count", NUMBER, IN_ALL, MEMBER(job_result.hash_count)},
    {"elapsed_time", SECONDS, IN_ALL, MEMBER(job_result.elapsed_ns)},
    {"miner_id", NUMBER_IF_ANY, IN_ALL, MEMBER(job_result.miner_id)},
};
static const member_spec job_ack_members[] = {
    {"job_id", TEXT, IN_PQ1, MEMBER(job_ack.job_id)},
    {"nonce", TEXT_OR_NULL, IN_PQ1, MEMBER(job_ack.nonce)},
    {"verdict", VERDICT, IN_PQ1, MEMBER(job_ack.verdict)},
    {"reason", TEXT, IN_PQ1, MEMBER(job_ack.reason)},
    {"height", NUMBER_IF_ANY, IN_PQ1, MEMBER(job_ack.height)},
};
static const member_spec cancel_members[] = {
    {"job_id", TEXT_OR_NULL, IN_PQ1, MEMBER(cancel.job_id)},
    {"reason", TEXT, IN_PQ1, MEMBER(cancel.reason)},
};
static const member_spec stats_members[] = {
    {"hashes", NUMBER, IN_PQ1, MEMBER(stats.hashes)},
    {"seconds", SECONDS, IN_PQ1, MEMBER(stats.elapsed_ns)},
};
static const member_spec rotation_members[] = {
    {"next", TEXT_OR_NULL, IN_PQ1, MEMBER(rotation.next)},
    {"next_spki", TEXT_OR_NULL, IN_PQ1, MEMBER(rotation.next_spki)},
    {"switch_at", NUMBER, IN_PQ1, MEMBER(rotation.switch_at)},
    {"drop_at", NUMBER_IF_ANY, IN_PQ1, MEMBER(rotation.drop_at)},
};

typedef struct schema {
    const char *name;
    unsigned dialects;
    const member_spec *members;
    size_t count;
} schema;

/* Indexed by pqi_miner_message_type. */
static const schema schemas[] = {
    [PQI_MINER_READY] = {"Ready", IN_ALL, ready_members, COUNT(ready_members)},
    [PQI_MINER_NEW_JOB] = {"NewJob", IN_ALL, new_job_members, COUNT(new_job_members)},
    [PQI_MINER_JOB_RESULT] = {"JobResult", IN_ALL, job_result_members, COUNT(job_result_members)},
    [PQI_MINER_JOB_ACK] = {"JobAck", IN_PQ1, job_ack_members, COUNT(job_ack_members)},
    [PQI_MINER_CANCEL] = {"Cancel", IN_PQ1, cancel_members, COUNT(cancel_members)},
    [PQI_MINER_STATS] = {"Stats", IN_PQ1, stats_members, COUNT(stats_members)},
    [PQI_MINER_ROTATION] = {"Rotation", IN_PQ1, rotation_members, COUNT(rotation_members)},
};

static const char *const status_names[] = {"accepted",  "running",   "completed", "failed",
                                           "cancelled", "not_found", "error"};
static const char *const verdict_names[PQI_VERDICT_COUNT] = {
    "accepted", "stale", "invalid", "duplicate", "flood", "unavailable", "rejected"};

static const char *const alpn_names[PQI_MINER_DIALECTS] = {
    [PQI_MINER_PQ1] = "pqlink-miner/1",
    [PQI_MINER_V2] = "quantus-miner/2",
    [PQI_MINER_V1] = "quantus-miner",
};

const char *pqi_miner_alpn(pqi_miner_dialect dialect)
{
    return alpn_names[dialect];
}

bool pqi_miner_dialect_find(const void *alpn, size_t len, pqi_miner_dialect *out)
{
    for (size_t i = 0; i < COUNT(alpn_names); i++) {
        if (strlen(alpn_names[i]) == len && memcmp(alpn_names[i], alpn, len) == 0) {
            *out = (pqi_miner_dialect)i;
            return true;
        }
    }
    return false;
}

const char *pqi_miner_verdict_name(pqi_miner_verdict verdict)
{
    return verdict_names[verdict];
}

static unsigned in_set(pqi_miner_dialect dialect)
{
    return 1U << dialect;
}

static void *field_of(pqi_miner_message *m, const member_spec *member)
{
    return (char *)m + member->offset;
}

static const void *const_field_of(const pqi_miner_message *m, const member_spec *member)
{
    return (const char *)m + member->offset;
}

/* A zeroed message whose numbers that may be left out are marked so. */
static void message_clear(pqi_miner_message *m, pqi_miner_message_type type)
{
    memset(m, 0, sizeof(*m));
    m->type = type;
    if (type == PQI_MINER_JOB_RESULT) {
        m->job_result.miner_id = PQI_MINER_NO_NUMBER;
    } else if (type == PQI_MINER_JOB_ACK) {
        m->job_ack.height = PQI_MINER_NO_NUMBER;
    } else if (type == PQI_MINER_ROTATION) {
        m->rotation.drop_at = PQI_MINER_NO_NUMBER;
    }
}

/* Index of the word that comes next among |count| |names|; a fault when it is none of them. */
static size_t read_word(pqi_json *j, const char *const *names, size_t count)
{
    const char *word = pqi_json_string(j);
    for (size_t i = 0; word != NULL && i < count; i++) {
        if (strcmp(word, names[i]) == 0) {
            return i;
        }
    }
    pqi_json_fail(j);
    return 0;
}

static void read_field(pqi_json *j, member_kind kind, void *field)
{
    switch (kind) {
    case TEXT:
    case TEXT_OR_NULL:
    case TEXT_IF_ANY:
        *(const char **)field = pqi_json_string(j);
        break;
    case NUMBER:
    case NUMBER_IF_ANY:
        *(uint64_t *)field = pqi_json_u64(j);
        break;
    case SECONDS:
        *(uint64_t *)field = pqi_json_seconds(j);
        break;
    case STATUS:
        *(pqi_miner_status *)field =
            (pqi_miner_status)read_word(j, status_names, COUNT(status_names));
        break;
    case VERDICT:
        *(pqi_miner_verdict *)field =
            (pqi_miner_verdict)read_word(j, verdict_names, COUNT(verdict_names));
        break;
    }
}

static bool may_be_missing(member_kind kind)
{
    return kind == TEXT_OR_NULL || kind == TEXT_IF_ANY || kind == NUMBER_IF_ANY;
}

static void read_member(pqi_json *j, const member_spec *member, pqi_miner_message *out)
{
    if (may_be_missing(member->kind) && pqi_json_peek(j) == PQI_JSON_NULL) {
        pqi_json_null(j);
    } else {
        read_field(j, member->kind, field_of(out, member));
    }
}

/* Index of the member called |name| in |dialect|, or s->count. */
static size_t find_member(const schema *s, pqi_miner_dialect dialect, const char *name)
{
    size_t i = 0;
    while (i < s->count &&
           (!(s->members[i].dialects & in_set(dialect)) || strcmp(s->members[i].name, name) != 0)) {
        i++;
    }
    return i;
}

static bool field_was_seen(const schema *s, size_t offset, unsigned seen)
{
    for (size_t i = 0; i < s->count; i++) {
        if ((seen & (1U << i)) != 0 && s->members[i].offset == offset) {
            return true;
        }
    }
    return false;
}

/* Makes the reader fail unless each member that |dialect| asks for is in the set |seen|. */
static void require_members(pqi_json *j, const schema *s, pqi_miner_dialect dialect, unsigned seen)
{
    for (size_t i = 0; i < s->count; i++) {
        const member_spec *member = &s->members[i];
        if ((member->dialects & in_set(dialect)) != 0 && !may_be_missing(member->kind) &&
            !field_was_seen(s, member->offset, seen)) {
            pqi_json_fail(j);
        }
    }
}

static void read_object(pqi_json *j, const schema *s, pqi_miner_dialect dialect,
                        pqi_miner_message *out)
{
    unsigned seen = 0;
    pqi_json_open(j, '{');
    for (bool first = true; pqi_json_more(j, '}', &first);) {
        const char *name = pqi_json_key(j);
        if (name == NULL) {
            return;
        }
        size_t i = find_member(s, dialect, name);
        if (i == s->count) {
            pqi_json_skip(j);
        } else if ((seen & (1U << i)) != 0) {
            pqi_json_fail(j);
        } else {
            seen |= 1U << i;
            read_member(j, &s->members[i], out);
        }
    }
    require_members(j, s, dialect, seen);
}

/* The official parser also takes an array of all members in order; the last may be left out when it
 * may be missing.  For V1 only the new form of NewJob. */
static void read_array(pqi_json *j, const schema *s, pqi_miner_dialect dialect,
                       pqi_miner_message *out)
{
    unsigned seen = 0;
    size_t i = 0;
    pqi_json_open(j, '[');
    for (bool first = true; pqi_json_more(j, ']', &first); i++) {
        while (i < s->count && !(s->members[i].dialects & in_set(dialect))) {
            i++;
        }
        if (i == s->count) {
            pqi_json_fail(j);
            return;
        }
        seen |= 1U << i;
        read_member(j, &s->members[i], out);
    }
    require_members(j, s, dialect, seen);
}

static void read_body(pqi_json *j, pqi_miner_dialect dialect, pqi_miner_message *out)
{
    const schema *s = &schemas[out->type];
    bool bare = out->type == PQI_MINER_READY && dialect == PQI_MINER_V1;
    if (bare) {
        pqi_json_null(j); /* {"Ready":null} is the long form of "Ready" */
    } else if (pqi_json_peek(j) == PQI_JSON_ARRAY && dialect != PQI_MINER_PQ1) {
        read_array(j, s, dialect, out);
    } else {
        read_object(j, s, dialect, out);
    }
}

static pqi_miner_message_type find_type(pqi_miner_dialect dialect, const char *name)
{
    for (size_t i = 0; i < COUNT(schemas); i++) {
        if ((schemas[i].dialects & in_set(dialect)) != 0 && strcmp(schemas[i].name, name) == 0) {
            return (pqi_miner_message_type)i;
        }
    }
    return PQI_MINER_UNKNOWN;
}

/* The outer object: exactly one member, named like the message. */
static void read_tagged(pqi_json *j, pqi_miner_dialect dialect, pqi_miner_message *out)
{
    bool first = true;
    pqi_json_open(j, '{');
    const char *name = pqi_json_more(j, '}', &first) ? pqi_json_key(j) : NULL;
    if (name == NULL) {
        pqi_json_fail(j);
        return;
    }
    message_clear(out, find_type(dialect, name));
    if (out->type != PQI_MINER_UNKNOWN) {
        read_body(j, dialect, out);
    } else if (dialect == PQI_MINER_PQ1) {
        pqi_json_skip(j);
    } else {
        pqi_json_fail(j);
    }
    if (pqi_json_more(j, '}', &first)) {
        pqi_json_fail(j);
    }
}

pql_status pqi_miner_decode(pqi_miner_dialect dialect, const void *body, size_t len,
                            pqi_miner_message *out, char text[PQI_FRAME_BODY_MAX], pql_error *err)
{
    pqi_json j;
    pqi_json_init(&j, body, len, text, PQI_FRAME_BODY_MAX);
    if (dialect == PQI_MINER_V1 && pqi_json_peek(&j) == PQI_JSON_STRING) {
        message_clear(out, PQI_MINER_READY);
        const char *word = pqi_json_string(&j);
        if (word == NULL || strcmp(word, schemas[PQI_MINER_READY].name) != 0) {
            pqi_json_fail(&j);
        }
    } else {
        read_tagged(&j, dialect, out);
    }
    if (!pqi_json_done(&j)) {
        memset(out, 0, sizeof(*out));
        return pqi_fail(err, PQL_E_PROTOCOL,
                        "The peer sent a frame that is no message of %s (fault at byte %zu of "
                        "%zu).",
                        alpn_names[dialect], j.in.pos, len);
    }
    return PQL_OK;
}

static const char *text_of(const void *field)
{
    return *(const char *const *)field;
}

static uint64_t number_of(const void *field)
{
    return *(const uint64_t *)field;
}

static bool is_left_out(const member_spec *member, const void *field)
{
    return (member->kind == TEXT_IF_ANY && text_of(field) == NULL) ||
           (member->kind == NUMBER_IF_ANY && number_of(field) == PQI_MINER_NO_NUMBER);
}

static void write_field(pqi_writer *w, member_kind kind, const void *field)
{
    switch (kind) {
    case TEXT:
    case TEXT_OR_NULL:
    case TEXT_IF_ANY:
        if (text_of(field) != NULL) {
            pqi_json_write_string(w, text_of(field));
        } else {
            pqi_json_write_raw(w, "null");
        }
        break;
    case NUMBER:
    case NUMBER_IF_ANY:
        pqi_json_write_u64(w, number_of(field));
        break;
    case SECONDS:
        pqi_json_write_seconds(w, number_of(field));
        break;
    case STATUS:
        pqi_json_write_string(w, status_names[*(const pqi_miner_status *)field]);
        break;
    case VERDICT:
        pqi_json_write_string(w, verdict_names[*(const pqi_miner_verdict *)field]);
        break;
    }
}

static pql_status write_members(pqi_writer *w, const schema *s, pqi_miner_dialect dialect,
                                const pqi_miner_message *m, pql_error *err)
{
    const char *separator = "{\"";
    for (size_t i = 0; i < s->count; i++) {
        const member_spec *member = &s->members[i];
        const void *field = const_field_of(m, member);
        if ((member->dialects & in_set(dialect)) == 0 || is_left_out(member, field)) {
            continue;
        }
        if (member->kind == TEXT && text_of(field) == NULL) {
            return pqi_fail(err, PQL_E_USAGE, "The message %s needs the member %s.", s->name,
                            member->name);
        }
        pqi_json_write_raw(w, separator);
        pqi_json_write_raw(w, member->name);
        pqi_json_write_raw(w, "\":");
        write_field(w, member->kind, field);
        separator = ",\"";
    }
    /* A message all of whose members were left out still has its opening bracket to come. */
    pqi_json_write_raw(w, separator[0] == '{' ? "{}" : "}");
    return PQL_OK;
}

pql_status pqi_miner_encode(pqi_miner_dialect dialect, const pqi_miner_message *m, pqi_writer *w,
                            pql_error *err)
{
    if (m->type >= PQI_MINER_UNKNOWN || !(schemas[m->type].dialects & in_set(dialect))) {
        return pqi_fail(err, PQL_E_USAGE, "%s has no such message.", alpn_names[dialect]);
    }
    const schema *s = &schemas[m->type];
    pqi_frame_begin(w);
    if (m->type == PQI_MINER_READY && dialect == PQI_MINER_V1) {
        pqi_json_write_string(w, s->name);
        return pqi_frame_end(w, err);
    }
    pqi_json_write_raw(w, "{");
    pqi_json_write_string(w, s->name);
    pqi_json_write_raw(w, ":");
    pql_status status = write_members(w, s, dialect, m, err);
    pqi_json_write_raw(w, "}");
    return status == PQL_OK ? pqi_frame_end(w, err) : status;
}
