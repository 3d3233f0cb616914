/* A node's miner service on loopback with a source and with clients that do what a test says. */
#ifndef PQI_TESTS_MINER_NODE_SCENE_H
#define PQI_TESTS_MINER_NODE_SCENE_H

#include "test.h"

#include "seen.h"

#include "base/clock.h"
#include "base/file.h"
#include "miner/node_service.h"
#include "miner/session.h"
#include "store/store.h"

#include <jansson.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define URL_SIZE 64
#define NODE_WORKERS 2

/* ---- A source that does what the test says ---- */

typedef struct fake_source {
    pqi_source head; /* first member */
    pqi_source_events events;
    atomic_bool push, idle, hard;       /* what the next tick does */
    atomic_bool silent;                 /* has no job at the start */
    _Atomic pqi_source_verdict verdict; /* for every result of the current job */
    pqi_job job;
    unsigned number;
} fake_source;

static inline void fake_give_job(fake_source *f)
{
    /* Any nonce solves 1, and none that anybody can find solves 2^511. */
    pqi_u512 difficulty = pqi_u512_from_u64(1);
    if (atomic_load(&f->hard)) {
        uint8_t bytes[PQI_MINER_WORK_SIZE] = {0x80};
        difficulty = pqi_u512_from_bytes(bytes);
    }
    f->number++;
    f->job = (pqi_job){.difficulty = difficulty, .height = f->number};
    f->job.mining_hash[0] = (uint8_t)f->number;
    (void)snprintf(f->job.id, sizeof(f->job.id), "job-%u", f->number);
    f->events.on_job(f->events.user, &f->job);
}

static inline pql_status fake_start(pqi_source *source, const pqi_source_events *events,
                                    pqi_instant now, pql_error *err)
{
    fake_source *f = (fake_source *)source;
    (void)now;
    (void)err;
    f->events = *events;
    if (!atomic_load(&f->silent)) {
        fake_give_job(f);
    }
    return PQL_OK;
}

static inline pqi_source_verdict fake_submit(pqi_source *source, const char *job_id,
                                             const uint8_t *nonce, const char *miner,
                                             pqi_instant now, pqi_source_block *block)
{
    fake_source *f = (fake_source *)source;
    (void)nonce;
    (void)miner;
    (void)now;
    if (strcmp(job_id, f->job.id) != 0) {
        return PQI_SOURCE_STALE;
    }
    const pqi_source_verdict verdict = atomic_load(&f->verdict);
    if (verdict == PQI_SOURCE_ACCEPTED) {
        block->height = f->number;
        fake_give_job(f);
    }
    return verdict;
}

static inline void fake_tick(pqi_source *source, pqi_instant now)
{
    fake_source *f = (fake_source *)source;
    (void)now;
    if (atomic_exchange(&f->push, false)) {
        fake_give_job(f);
    }
    if (atomic_exchange(&f->idle, false)) {
        f->events.on_idle(f->events.user);
    }
}

static inline uint64_t fake_deadline(const pqi_source *source)
{
    (void)source;
    return PQI_TIME_NEVER;
}

static inline void fake_destroy(pqi_source *source)
{
    (void)source;
}

static const pqi_source_kind fake_kind = {fake_start, fake_submit, fake_tick, fake_deadline,
                                          fake_destroy};

/* ---- The scene: one node, any number of clients ---- */

typedef struct scene scene;

/* A client that speaks the protocol by hand.  All but |link| and |stream| is under the lock. */
typedef struct client {
    scene *owner;
    struct client *next;
    pqi_miner_dialect dialect;
    const char *first_bytes; /* sent on a fresh stream; NULL: no stream is opened */
    size_t first_len;
    pql_link *link;
    pql_stream *stream;
    pqi_frame_reader frames;
    bool opened, closed, broken;
    pql_close why;
    unsigned jobs, cancels;
    unsigned acks[PQI_VERDICT_COUNT];
    pql_status second_stream; /* what a second stream was answered; 1 before */
    uint64_t height;
    char job_id[PQI_MINER_JOB_ID_MAX + 1];
    char cancel_reason[64];
    char ack_reason[PQI_MINER_REASON_MAX + 1];
    pqi_miner_job job;
} client;

struct scene {
    pql_identity *identity;
    pql_fingerprint pin, classical_pin;
    fake_source fake;
    pqi_store *store;
    pqi_source *chain; /* NULL: the fake one is used */
    pqi_metrics *registry;
    pqi_node_metrics *metrics;
    pqi_pq_metrics *links;
    pqi_tokens *tokens;         /* made by a test, or NULL */
    pqi_node_service_opts more; /* what a test adds to the options of the service */
    pqi_node_service *service;
    pql_context *node;
    pql_context *clients;
    pql_context *others; /* made when a test needs it */
    client *first;
    char url[URL_SIZE];
    char refused[PQL_ERROR_MESSAGE_SIZE]; /* why the last handshake failed; under the lock */
    char dir[64];                         /* made by a test, or empty: files of tokens */
    pqi_buf text;

    pthread_mutex_t lock;
    pthread_cond_t change;
};

static inline void note_message(client *c, const uint8_t *body, size_t len)
{
    char text[PQI_FRAME_BODY_MAX];
    pqi_miner_message m;
    if (pqi_miner_decode(c->dialect, body, len, &m, text, NULL) != PQL_OK) {
        c->broken = true;
    } else if (m.type == PQI_MINER_NEW_JOB) {
        c->jobs++;
        c->broken =
            c->broken || pqi_miner_job_read(&c->job, m.new_job.job_id, m.new_job.mining_hash,
                                            m.new_job.difficulty, NULL) != PQL_OK;
        (void)snprintf(c->job_id, sizeof(c->job_id), "%s", m.new_job.job_id);
    } else if (m.type == PQI_MINER_JOB_ACK) {
        c->acks[m.job_ack.verdict]++;
        c->height = m.job_ack.height;
        (void)snprintf(c->ack_reason, sizeof(c->ack_reason), "%s", m.job_ack.reason);
    } else if (m.type == PQI_MINER_CANCEL) {
        c->cancels++;
        (void)snprintf(c->cancel_reason, sizeof(c->cancel_reason), "%s", m.cancel.reason);
    }
}

static inline void client_open(pql_link *link, void *user)
{
    client *c = user;
    if (c->first_bytes != NULL && pql_stream_open(link, &c->stream, NULL) == PQL_OK) {
        (void)pql_stream_write(c->stream, c->first_bytes, c->first_len, false);
    }
    SEEN(c->owner, c->opened = true);
}

static inline void client_close(pql_link *link, const pql_close *why, void *user)
{
    client *c = user;
    (void)link;
    SEEN(c->owner, c->closed = true; c->why = *why);
}

static inline void client_data(pql_stream *stream, const uint8_t *data, size_t len, bool fin,
                               void *user)
{
    client *c = user;
    pqi_reader in;
    const uint8_t *body = NULL;
    size_t body_len = 0;
    (void)stream;
    (void)fin;
    pthread_mutex_lock(&c->owner->lock);
    pqi_reader_init(&in, data, len);
    do {
        if (pqi_frame_read(&c->frames, &in, &body, &body_len, NULL) != PQL_OK) {
            c->broken = true;
            body = NULL;
        } else if (body != NULL) {
            note_message(c, body, body_len);
        }
    } while (body != NULL);
    pthread_cond_broadcast(&c->owner->change);
    pthread_mutex_unlock(&c->owner->lock);
}

static inline void client_stream_close(pql_stream *stream, uint64_t code, void *user)
{
    client *c = user;
    (void)code;
    if (c->stream == stream) {
        c->stream = NULL;
    }
}

static const pql_handlers client_handlers = {.link_open = client_open,
                                             .link_close = client_close,
                                             .stream_data = client_data,
                                             .stream_close = client_stream_close};

/* What a client is told to send, on its worker. */
typedef struct order {
    client *c;
    size_t len;
    bool fin, leave, second_stream;
    uint8_t bytes[];
} order;

static inline void obey(pql_link *link, void *arg)
{
    order *o = arg;
    client *c = o->c;
    if (o->second_stream) {
        pql_stream *extra = NULL;
        SEEN(c->owner, c->second_stream = pql_stream_open(link, &extra, NULL));
    }
    if (c->stream != NULL && (o->len > 0 || o->fin)) {
        (void)pql_stream_write(c->stream, o->bytes, o->len, o->fin);
    }
    if (o->leave) {
        pql_link_close(link, 0, "bye");
    }
    free(o);
}

static inline void give_order(client *c, order model, const void *bytes, size_t len)
{
    order *o = malloc(sizeof(*o) + len);
    assert_non_null(o);
    *o = model;
    o->c = c;
    o->len = len;
    if (len > 0) {
        memcpy(o->bytes, bytes, len);
    }
    assert_int_equal(pql_link_run(c->link, obey, o), PQL_OK);
}

static inline void send_bytes(client *c, const void *bytes, size_t len)
{
    give_order(c, (order){0}, bytes, len);
}

static inline void leave(client *c)
{
    give_order(c, (order){.leave = true}, NULL, 0);
}

static inline size_t encode_as(pqi_miner_dialect dialect, const pqi_miner_message *m,
                               uint8_t frame[PQI_FRAME_SIZE_MAX])
{
    pqi_writer w;
    pqi_writer_init(&w, frame, PQI_FRAME_SIZE_MAX);
    assert_int_equal(pqi_miner_encode(dialect, m, &w, NULL), PQL_OK);
    return w.len;
}

static inline size_t encode(const pqi_miner_message *m, uint8_t frame[PQI_FRAME_SIZE_MAX])
{
    return encode_as(PQI_MINER_PQ1, m, frame);
}

/* A result for |job_id| whose nonce is |nonce|. */
static inline size_t encode_result(const char *job_id, uint64_t nonce,
                                   uint8_t frame[PQI_FRAME_SIZE_MAX])
{
    char short_text[17];
    char work[2 * PQI_MINER_WORK_SIZE + 1];
    (void)snprintf(short_text, sizeof(short_text), "%llx", (unsigned long long)nonce);
    (void)snprintf(work, sizeof(work), "%0112d%016llx", 0, (unsigned long long)nonce);
    const pqi_miner_message m = {.type = PQI_MINER_JOB_RESULT,
                                 .job_result = {.status = PQI_MINER_STATUS_COMPLETED,
                                                .job_id = job_id,
                                                .nonce = short_text,
                                                .work = work,
                                                .miner_id = PQI_MINER_NO_NUMBER}};
    return encode(&m, frame);
}

static inline void send_result(client *c, const char *job_id, uint64_t nonce)
{
    uint8_t frame[PQI_FRAME_SIZE_MAX];
    const size_t len = encode_result(job_id, nonce, frame);
    send_bytes(c, frame, len);
}

static inline void send_stats(client *c, uint64_t hashes, uint64_t elapsed_ns)
{
    uint8_t frame[PQI_FRAME_SIZE_MAX];
    const pqi_miner_message m = {.type = PQI_MINER_STATS,
                                 .stats = {.hashes = hashes, .elapsed_ns = elapsed_ns}};
    const size_t len = encode(&m, frame);
    send_bytes(c, frame, len);
}

static inline client *connect_as(scene *s, pql_context *ctx, pqi_miner_dialect dialect,
                                 const void *first_bytes, size_t first_len)
{
    const bool classical = dialect != PQI_MINER_PQ1;
    const pql_peer peer = {.pins = classical ? &s->classical_pin : &s->pin, .pin_count = 1};
    client *c = calloc(1, sizeof(*c));
    assert_non_null(c);
    c->owner = s;
    c->dialect = dialect;
    c->next = s->first;
    s->first = c;
    c->second_stream = 1;
    if (first_bytes != NULL) {
        char *copy = malloc(first_len);
        assert_non_null(copy);
        memcpy(copy, first_bytes, first_len);
        c->first_bytes = copy;
        c->first_len = first_len;
    }
    const pql_connect_opts opts = {.alpn = pqi_miner_alpn(dialect),
                                   .handlers = &client_handlers,
                                   .user = c,
                                   .keep_alive_ms = 10000};
    assert_int_equal(pql_connect(ctx, s->url, &peer, &opts, &c->link, NULL), PQL_OK);
    return c;
}

static inline client *connect_with(scene *s, pql_context *ctx, const void *first_bytes,
                                   size_t first_len)
{
    return connect_as(s, ctx, PQI_MINER_PQ1, first_bytes, first_len);
}

/* Classical cryptography only, as official programs have it. */
static inline pql_context *classical_context(scene *s)
{
    const pql_context_opts classical = {.policy = PQL_POLICY_OFF, .workers = 1};
    if (s->others == NULL) {
        assert_int_equal(pql_context_new(&s->others, &classical, NULL), PQL_OK);
    }
    return s->others;
}

/* An official miner; |token| is NULL for one of v1. */
static inline client *official(scene *s, const char *token)
{
    uint8_t frame[PQI_FRAME_SIZE_MAX];
    const pqi_miner_dialect dialect = token == NULL ? PQI_MINER_V1 : PQI_MINER_V2;
    const pqi_miner_message m = {.type = PQI_MINER_READY, .ready = {.token = token}};
    const size_t len = encode_as(dialect, &m, frame);
    return connect_as(s, classical_context(s), dialect, frame, len);
}

static inline client *connect_named(scene *s, pql_context *ctx, const char *name)
{
    uint8_t frame[PQI_FRAME_SIZE_MAX];
    const pqi_miner_message m = {.type = PQI_MINER_READY,
                                 .ready = {.name = name, .agent = "test/1"}};
    const size_t len = encode(&m, frame);
    return connect_with(s, ctx, frame, len);
}

/* A miner that has got its first job. */
static inline client *join(scene *s, const char *name)
{
    client *c = connect_named(s, s->clients, name);
    WAIT_UNTIL(s, c->closed || c->jobs > 0);
    assert_string_equal(c->why.reason, "");
    return c;
}

static inline client *stranger(scene *s, const char *bytes, size_t len)
{
    return connect_with(s, s->clients, bytes, len);
}

static inline unsigned acks(client *c, pqi_miner_verdict verdict)
{
    pthread_mutex_lock(&c->owner->lock);
    const unsigned count = c->acks[verdict];
    pthread_mutex_unlock(&c->owner->lock);
    return count;
}

static inline void new_job(scene *s)
{
    atomic_store(&s->fake.push, true);
    (void)pqi_node_service_tick(s->service);
}

static inline void note_handshake(const pql_link_info *link, const pql_close *failure, void *user)
{
    scene *s = user;
    (void)link;
    if (failure != NULL) {
        SEEN(s, (void)snprintf(s->refused, sizeof(s->refused), "%s", failure->reason));
    }
}

static inline void start_node(scene *s, pql_policy policy, unsigned workers)
{
    pqi_node_service_opts opts = s->more;
    opts.source = s->chain != NULL ? s->chain : &s->fake.head;
    opts.metrics = s->metrics;
    opts.links = s->links;
    opts.policy = policy;
    opts.tokens = s->tokens;
    const pql_context_opts node = {.identity = s->identity,
                                   .policy = policy,
                                   .workers = workers,
                                   .observer = {.handshake = note_handshake, .user = s}};
    pql_listener *listener = NULL;
    assert_int_equal(pqi_node_service_new(&s->service, &opts, NULL), PQL_OK);
    assert_int_equal(pql_context_new(&s->node, &node, NULL), PQL_OK);
    assert_int_equal(
        pqi_node_service_listen(s->service, s->node, "quic://127.0.0.1:0", &listener, NULL),
        PQL_OK);
    (void)snprintf(s->url, sizeof(s->url), "quic://127.0.0.1:%u",
                   (unsigned)pql_listener_port(listener));
}

/* The file of tokens of the scene, with |text| in it. */
static inline const char *write_tokens(scene *s, const char *text)
{
    static char path[96];
    if (s->dir[0] == '\0') {
        (void)snprintf(s->dir, sizeof(s->dir), "/tmp/pqlink-node-XXXXXX");
        assert_non_null(mkdtemp(s->dir));
    }
    (void)snprintf(path, sizeof(path), "%s/tokens", s->dir);
    assert_int_equal(pqi_file_write_atomic(path, text, strlen(text), 0600, NULL), PQL_OK);
    return path;
}

static inline void start_with_tokens(scene *s, const char *text)
{
    assert_int_equal(pqi_tokens_open(&s->tokens, write_tokens(s, text), NULL), PQL_OK);
    s->more.token_required = true;
    start_node(s, PQL_POLICY_HYBRID, NODE_WORKERS);
}

static inline void start(scene *s)
{
    start_node(s, PQL_POLICY_HYBRID, NODE_WORKERS);
}

static inline int setup(void **state)
{
    scene *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->change, NULL);
    s->fake.head.kind = &fake_kind;
    assert_int_equal(pql_identity_ephemeral(&s->identity, NULL, NULL), PQL_OK);
    pql_identity_fingerprint(s->identity, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &s->pin);
    pql_identity_fingerprint(s->identity, PQL_LEAF_CLASSICAL, PQL_FINGERPRINT_CERT,
                             &s->classical_pin);
    assert_int_equal(pqi_metrics_new(&s->registry, NULL), PQL_OK);
    assert_int_equal(pqi_node_metrics_new(&s->metrics, s->registry, NULL), PQL_OK);
    assert_int_equal(pqi_pq_metrics_new(&s->links, s->registry, "test", NULL), PQL_OK);
    assert_int_equal(pql_context_new(&s->clients, &(pql_context_opts){.workers = 1}, NULL), PQL_OK);
    *state = s;
    return 0;
}

static inline int teardown(void **state)
{
    scene *s = *state;
    pql_context_free(s->node);
    pql_context_free(s->clients);
    pql_context_free(s->others);
    while (s->first != NULL) {
        client *c = s->first;
        s->first = c->next;
        pql_link_unref(c->link);
        free((void *)(uintptr_t)c->first_bytes);
        free(c);
    }
    pqi_node_service_free(s->service);
    pqi_tokens_free(s->tokens);
    pqi_node_metrics_free(s->metrics);
    pqi_pq_metrics_free(s->links);
    pqi_metrics_free(s->registry);
    pqi_source_destroy(s->chain);
    pqi_store_close(s->store);
    pql_identity_free(s->identity);
    pqi_buf_free(&s->text);
    if (s->dir[0] != '\0') {
        char path[96];
        (void)snprintf(path, sizeof(path), "%s/tokens", s->dir);
        (void)unlink(path);
        (void)rmdir(s->dir);
    }
    pthread_cond_destroy(&s->change);
    pthread_mutex_destroy(&s->lock);
    free(s);
    return 0;
}

/* ---- What the node shows ---- */

static const char *exposed(scene *s)
{
    s->text.len = 0;
    assert_int_equal(pqi_metrics_write(s->registry, PQI_METRICS_PROMETHEUS, &s->text, NULL),
                     PQL_OK);
    assert_true(pqi_buf_append(&s->text, "", 1));
    return (const char *)s->text.data;
}

#define assert_exposed(s, line) assert_non_null(strstr(exposed(s), line))

static inline json_t *status_of(scene *s)
{
    pqi_buf out = {0};
    assert_int_equal(pqi_node_service_status(s->service, &out, NULL), PQL_OK);
    json_t *root = json_loadb((const char *)out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
    pqi_buf_free(&out);
    assert_non_null(root);
    return root;
}

static inline size_t miners_listed(scene *s)
{
    json_t *root = status_of(s);
    const size_t count = json_array_size(json_object_get(root, "miners"));
    json_decref(root);
    return count;
}

/* What the status says of the only miner called |name|. */
static inline json_int_t status_number(scene *s, const char *name, const char *key)
{
    json_t *root = status_of(s);
    json_t *row;
    size_t index;
    json_int_t value = -1;
    json_array_foreach(json_object_get(root, "miners"), index, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "name")), name) == 0) {
            value = json_integer_value(json_object_get(row, key));
        }
    }
    json_decref(root);
    return value;
}

static inline void note_done(void *arg)
{
    sem_post(arg);
}

/* Returns when each worker of the node has done what was in its queue. */
static inline void wait_for_workers(scene *s)
{
    sem_t done;
    sem_init(&done, 0, 0);
    for (unsigned i = 0; i < pql_context_workers(s->node); i++) {
        assert_int_equal(pql_context_run(s->node, i, note_done, &done), PQL_OK);
        while (sem_wait(&done) != 0) {
            continue;
        }
    }
    sem_destroy(&done);
}

/* True when the node still serves |c|: a fresh result of its is accepted. */
static inline void assert_served(client *c, uint64_t nonce)
{
    scene *s = c->owner;
    char job_id[PQI_MINER_JOB_ID_MAX + 1];
    const unsigned before = acks(c, PQI_VERDICT_ACCEPTED);
    pthread_mutex_lock(&s->lock);
    (void)snprintf(job_id, sizeof(job_id), "%s", c->job_id);
    pthread_mutex_unlock(&s->lock);
    send_result(c, job_id, nonce);
    WAIT_UNTIL(s, c->closed || c->acks[PQI_VERDICT_ACCEPTED] > before);
    assert_false(c->closed);
}

#endif
