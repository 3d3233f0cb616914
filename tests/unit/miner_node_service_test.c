/* The node's miner service over real links on loopback, with miners that behave and miners that do
 * not.  ctest labels: threads */
#include "test.h"

#include "base/clock.h"
#include "miner/devchain.h"
#include "miner/node_service.h"
#include "miner/pow.h"
#include "miner/session.h"
#include "store/store.h"

#include <jansson.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define URL_SIZE 64
#define NODE_WORKERS 2
#define CROWD 200

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

static void fake_give_job(fake_source *f)
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

static pql_status fake_start(pqi_source *source, const pqi_source_events *events, pqi_instant now,
                             pql_error *err)
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

static pqi_source_verdict fake_submit(pqi_source *source, const char *job_id, const uint8_t *nonce,
                                      const char *miner, pqi_instant now, pqi_source_block *block)
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

static void fake_tick(pqi_source *source, pqi_instant now)
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

static uint64_t fake_deadline(const pqi_source *source)
{
    (void)source;
    return PQI_TIME_NEVER;
}

static void fake_destroy(pqi_source *source)
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
    pqi_miner_job job;
} client;

struct scene {
    pql_identity *identity;
    pql_fingerprint pin;
    fake_source fake;
    pqi_store *store;
    pqi_source *chain; /* NULL: the fake one is used */
    pqi_metrics *registry;
    pqi_node_metrics *metrics;
    pqi_pq_metrics *links;
    pqi_node_service *service;
    pql_context *node;
    pql_context *clients;
    pql_context *others; /* made when a test needs it */
    client *first;
    char url[URL_SIZE];
    pqi_buf text;

    pthread_mutex_t lock;
    pthread_cond_t change;
};

#define SEEN(s, statement)                                                                         \
    do {                                                                                           \
        pthread_mutex_lock(&(s)->lock);                                                            \
        statement;                                                                                 \
        pthread_cond_broadcast(&(s)->change);                                                      \
        pthread_mutex_unlock(&(s)->lock);                                                          \
    } while (0)

#define WAIT_UNTIL(s, condition)                                                                   \
    do {                                                                                           \
        pthread_mutex_lock(&(s)->lock);                                                            \
        while (!(condition)) {                                                                     \
            pthread_cond_wait(&(s)->change, &(s)->lock);                                           \
        }                                                                                          \
        pthread_mutex_unlock(&(s)->lock);                                                          \
    } while (0)

static void note_message(client *c, const uint8_t *body, size_t len)
{
    char text[PQI_FRAME_BODY_MAX];
    pqi_miner_message m;
    if (pqi_miner_decode(PQI_MINER_PQ1, body, len, &m, text, NULL) != PQL_OK) {
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
    } else if (m.type == PQI_MINER_CANCEL) {
        c->cancels++;
        (void)snprintf(c->cancel_reason, sizeof(c->cancel_reason), "%s", m.cancel.reason);
    }
}

static void client_open(pql_link *link, void *user)
{
    client *c = user;
    if (c->first_bytes != NULL && pql_stream_open(link, &c->stream, NULL) == PQL_OK) {
        (void)pql_stream_write(c->stream, c->first_bytes, c->first_len, false);
    }
    SEEN(c->owner, c->opened = true);
}

static void client_close(pql_link *link, const pql_close *why, void *user)
{
    client *c = user;
    (void)link;
    SEEN(c->owner, c->closed = true; c->why = *why);
}

static void client_data(pql_stream *stream, const uint8_t *data, size_t len, bool fin, void *user)
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

static void client_stream_close(pql_stream *stream, uint64_t code, void *user)
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

static void obey(pql_link *link, void *arg)
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

static void give_order(client *c, order model, const void *bytes, size_t len)
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

static void send_bytes(client *c, const void *bytes, size_t len)
{
    give_order(c, (order){0}, bytes, len);
}

static void leave(client *c)
{
    give_order(c, (order){.leave = true}, NULL, 0);
}

static size_t encode(const pqi_miner_message *m, uint8_t frame[PQI_FRAME_SIZE_MAX])
{
    pqi_writer w;
    pqi_writer_init(&w, frame, PQI_FRAME_SIZE_MAX);
    assert_int_equal(pqi_miner_encode(PQI_MINER_PQ1, m, &w, NULL), PQL_OK);
    return w.len;
}

/* A result for |job_id| whose nonce is |nonce|. */
static size_t encode_result(const char *job_id, uint64_t nonce, uint8_t frame[PQI_FRAME_SIZE_MAX])
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

static void send_result(client *c, const char *job_id, uint64_t nonce)
{
    uint8_t frame[PQI_FRAME_SIZE_MAX];
    const size_t len = encode_result(job_id, nonce, frame);
    send_bytes(c, frame, len);
}

static void send_stats(client *c, uint64_t hashes, uint64_t elapsed_ns)
{
    uint8_t frame[PQI_FRAME_SIZE_MAX];
    const pqi_miner_message m = {.type = PQI_MINER_STATS,
                                 .stats = {.hashes = hashes, .elapsed_ns = elapsed_ns}};
    const size_t len = encode(&m, frame);
    send_bytes(c, frame, len);
}

static client *connect_with(scene *s, pql_context *ctx, const void *first_bytes, size_t first_len)
{
    const pql_peer peer = {.pins = &s->pin, .pin_count = 1};
    client *c = calloc(1, sizeof(*c));
    assert_non_null(c);
    c->owner = s;
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
    const pql_connect_opts opts = {
        .alpn = "pqlink-miner/1", .handlers = &client_handlers, .user = c};
    assert_int_equal(pql_connect(ctx, s->url, &peer, &opts, &c->link, NULL), PQL_OK);
    return c;
}

static client *connect_named(scene *s, pql_context *ctx, const char *name)
{
    uint8_t frame[PQI_FRAME_SIZE_MAX];
    const pqi_miner_message m = {.type = PQI_MINER_READY,
                                 .ready = {.name = name, .agent = "test/1"}};
    const size_t len = encode(&m, frame);
    return connect_with(s, ctx, frame, len);
}

/* A miner that has got its first job. */
static client *join(scene *s, const char *name)
{
    client *c = connect_named(s, s->clients, name);
    WAIT_UNTIL(s, c->jobs > 0);
    return c;
}

static client *stranger(scene *s, const char *bytes, size_t len)
{
    return connect_with(s, s->clients, bytes, len);
}

static unsigned acks(client *c, pqi_miner_verdict verdict)
{
    pthread_mutex_lock(&c->owner->lock);
    const unsigned count = c->acks[verdict];
    pthread_mutex_unlock(&c->owner->lock);
    return count;
}

static void new_job(scene *s)
{
    atomic_store(&s->fake.push, true);
    (void)pqi_node_service_tick(s->service);
}

static void start_node(scene *s, pql_policy policy, unsigned workers)
{
    const pqi_node_service_opts opts = {
        .source = s->chain != NULL ? s->chain : &s->fake.head,
        .metrics = s->metrics,
        .links = s->links,
        .policy = policy,
    };
    const pql_context_opts node = {.identity = s->identity, .policy = policy, .workers = workers};
    pql_listener *listener = NULL;
    assert_int_equal(pqi_node_service_new(&s->service, &opts, NULL), PQL_OK);
    assert_int_equal(pql_context_new(&s->node, &node, NULL), PQL_OK);
    assert_int_equal(
        pqi_node_service_listen(s->service, s->node, "quic://127.0.0.1:0", &listener, NULL),
        PQL_OK);
    (void)snprintf(s->url, sizeof(s->url), "quic://127.0.0.1:%u",
                   (unsigned)pql_listener_port(listener));
}

static void start(scene *s)
{
    start_node(s, PQL_POLICY_HYBRID, NODE_WORKERS);
}

static int setup(void **state)
{
    scene *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->change, NULL);
    s->fake.head.kind = &fake_kind;
    assert_int_equal(pql_identity_ephemeral(&s->identity, NULL, NULL), PQL_OK);
    pql_identity_fingerprint(s->identity, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &s->pin);
    assert_int_equal(pqi_metrics_new(&s->registry, NULL), PQL_OK);
    assert_int_equal(pqi_node_metrics_new(&s->metrics, s->registry, NULL), PQL_OK);
    assert_int_equal(pqi_pq_metrics_new(&s->links, s->registry, "test", NULL), PQL_OK);
    assert_int_equal(pql_context_new(&s->clients, &(pql_context_opts){.workers = 1}, NULL), PQL_OK);
    *state = s;
    return 0;
}

static int teardown(void **state)
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
    pqi_node_metrics_free(s->metrics);
    pqi_pq_metrics_free(s->links);
    pqi_metrics_free(s->registry);
    pqi_source_destroy(s->chain);
    pqi_store_close(s->store);
    pql_identity_free(s->identity);
    pqi_buf_free(&s->text);
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

static json_t *status_of(scene *s)
{
    pqi_buf out = {0};
    assert_int_equal(pqi_node_service_status(s->service, &out, NULL), PQL_OK);
    json_t *root = json_loadb((const char *)out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
    pqi_buf_free(&out);
    assert_non_null(root);
    return root;
}

static size_t miners_listed(scene *s)
{
    json_t *root = status_of(s);
    const size_t count = json_array_size(json_object_get(root, "miners"));
    json_decref(root);
    return count;
}

/* What the status says of the only miner called |name|. */
static json_int_t status_number(scene *s, const char *name, const char *key)
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

static void note_done(void *arg)
{
    sem_post(arg);
}

/* Returns when each worker of the node has done what was in its queue. */
static void wait_for_workers(scene *s)
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
static void assert_served(client *c, uint64_t nonce)
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

/* ---- Jobs ---- */

static void every_miner_gets_each_new_job(void **state)
{
    scene *s = *state;
    start(s);
    client *a = join(s, "a");
    client *b = join(s, "b");
    client *c = join(s, "c");

    new_job(s);
    WAIT_UNTIL(s, a->jobs == 2 && b->jobs == 2 && c->jobs == 2);

    assert_string_equal(a->job_id, "job-2");
    assert_string_equal(b->job_id, "job-2");
    assert_string_equal(c->job_id, "job-2");
    wait_for_workers(s);
    assert_exposed(s, "\npqlink_miners 3\n");
    assert_exposed(s, "\npqlink_jobs_total 2\n");
    assert_exposed(s, "\npqlink_jobs_sent_total 6\n");
}

static void a_node_without_a_job_says_so_and_gives_the_next_one(void **state)
{
    scene *s = *state;
    atomic_store(&s->fake.silent, true);
    start(s);
    client *c = connect_named(s, s->clients, "early");
    WAIT_UNTIL(s, c->cancels == 1);

    new_job(s);
    WAIT_UNTIL(s, c->jobs == 1);

    assert_string_equal(c->cancel_reason, "idle");
}

static void a_source_that_falls_idle_cancels_the_job_of_every_miner(void **state)
{
    scene *s = *state;
    start(s);
    client *a = join(s, "a");
    client *b = join(s, "b");

    atomic_store(&s->fake.idle, true);
    (void)pqi_node_service_tick(s->service);
    WAIT_UNTIL(s, a->cancels == 1 && b->cancels == 1);

    json_t *root = status_of(s);
    assert_false(json_boolean_value(json_object_get(root, "has_job")));
    json_decref(root);
}

static void a_crowd_that_comes_at_once_is_served(void **state)
{
    scene *s = *state;
    char name[16];
    start(s);
    for (unsigned i = 0; i < CROWD; i++) {
        (void)snprintf(name, sizeof(name), "crowd-%u", i);
        (void)connect_named(s, s->clients, name);
    }
    for (client *c = s->first; c != NULL; c = c->next) {
        WAIT_UNTIL(s, c->jobs == 1);
    }

    new_job(s);
    for (client *c = s->first; c != NULL; c = c->next) {
        WAIT_UNTIL(s, c->jobs == 2);
        assert_string_equal(c->job_id, "job-2");
    }

    assert_int_equal(miners_listed(s), CROWD);
}

static void block_worker(void *arg)
{
    sem_t *gates = arg;
    sem_post(&gates[0]);
    while (sem_wait(&gates[1]) != 0) {
        continue;
    }
}

static void do_nothing(void *arg)
{
    (void)arg;
}

static void a_job_that_found_the_queue_of_a_worker_full_comes_with_the_next_tick(void **state)
{
    scene *s = *state;
    sem_t gates[2];
    sem_init(&gates[0], 0, 0);
    sem_init(&gates[1], 0, 0);
    start_node(s, PQL_POLICY_HYBRID, 1);
    client *c = join(s, "c");
    assert_int_equal(pql_context_run(s->node, 0, block_worker, gates), PQL_OK);
    while (sem_wait(&gates[0]) != 0) {
        continue;
    }
    while (pql_context_run(s->node, 0, do_nothing, NULL) == PQL_OK) {
        continue;
    }

    atomic_store(&s->fake.push, true);
    const uint64_t again = pqi_node_service_tick(s->service);
    sem_post(&gates[1]);
    while (pqi_node_service_tick(s->service) != PQI_TIME_NEVER) {
        continue;
    }
    WAIT_UNTIL(s, c->jobs == 2);

    assert_true(again != PQI_TIME_NEVER);
    assert_string_equal(c->job_id, "job-2");
    sem_destroy(&gates[0]);
    sem_destroy(&gates[1]);
}

/* ---- Results ---- */

static void the_first_result_wins_and_the_second_is_stale(void **state)
{
    scene *s = *state;
    start(s);
    client *fast = join(s, "fast");
    client *slow = join(s, "slow");

    send_result(fast, "job-1", 7);
    WAIT_UNTIL(s, fast->acks[PQI_VERDICT_ACCEPTED] == 1);
    send_result(slow, "job-1", 8);
    WAIT_UNTIL(s, slow->acks[PQI_VERDICT_STALE] == 1 && slow->jobs == 2 && fast->jobs == 2);

    assert_int_equal(slow->acks[PQI_VERDICT_ACCEPTED], 0);
    assert_int_equal(pqi_node_service_blocks(s->service), 1);
    wait_for_workers(s);
    assert_exposed(s, "pqlink_miner_results_total{miner=\"fast\",result=\"accepted\"} 1\n");
    assert_exposed(s, "pqlink_miner_results_total{miner=\"fast\",result=\"stale\"} 0\n");
    assert_exposed(s, "pqlink_miner_results_total{miner=\"slow\",result=\"accepted\"} 0\n");
    assert_exposed(s, "pqlink_miner_results_total{miner=\"slow\",result=\"stale\"} 1\n");
    assert_exposed(s, "pqlink_blocks_found_total 1\n");
}

static void many_results_at_the_same_time_make_one_block_for_each_job(void **state)
{
    enum { MINERS = 16, ROUNDS = 5 };
    scene *s = *state;
    client *miners[MINERS];
    char name[16];
    char job_id[16];
    unsigned accepted = 0;
    start(s);
    for (unsigned i = 0; i < MINERS; i++) {
        (void)snprintf(name, sizeof(name), "m%u", i);
        miners[i] = join(s, name);
    }

    for (unsigned round = 1; round <= ROUNDS; round++) {
        (void)snprintf(job_id, sizeof(job_id), "job-%u", round);
        for (unsigned i = 0; i < MINERS; i++) {
            send_result(miners[i], job_id, i + 1);
        }
        for (unsigned i = 0; i < MINERS; i++) {
            WAIT_UNTIL(s,
                       miners[i]->jobs == round + 1 && miners[i]->acks[PQI_VERDICT_ACCEPTED] +
                                                               miners[i]->acks[PQI_VERDICT_STALE] ==
                                                           round);
        }
    }

    for (unsigned i = 0; i < MINERS; i++) {
        accepted += miners[i]->acks[PQI_VERDICT_ACCEPTED];
    }
    assert_int_equal(accepted, ROUNDS);
    assert_int_equal(pqi_node_service_blocks(s->service), ROUNDS);
}

static void a_proof_that_does_not_hold_is_invalid_and_again_a_duplicate(void **state)
{
    scene *s = *state;
    atomic_store(&s->fake.hard, true);
    start(s);
    client *wrong = join(s, "wrong");
    client *right = join(s, "right");

    send_result(wrong, "job-1", 7);
    send_result(wrong, "job-1", 7);
    WAIT_UNTIL(s, wrong->acks[PQI_VERDICT_DUPLICATE] == 1);
    atomic_store(&s->fake.hard, false);
    new_job(s);
    WAIT_UNTIL(s, right->jobs == 2);
    assert_served(right, 1);

    assert_int_equal(wrong->acks[PQI_VERDICT_INVALID], 1);
    assert_false(wrong->closed);
    wait_for_workers(s);
    assert_exposed(s, "pqlink_miner_results_total{miner=\"wrong\",result=\"invalid\"} 1\n");
    assert_exposed(s, "pqlink_miner_results_total{miner=\"wrong\",result=\"duplicate\"} 1\n");
    assert_exposed(s, "pqlink_miner_results_total{miner=\"right\",result=\"invalid\"} 0\n");
    assert_exposed(s, "pqlink_miner_results_total{miner=\"right\",result=\"duplicate\"} 0\n");
}

static void a_flood_is_counted_and_closed_and_harms_no_other(void **state)
{
    enum { RESULTS = 2000 };
    scene *s = *state;
    uint8_t frame[PQI_FRAME_SIZE_MAX];
    pqi_buf flood = {0};
    start(s);
    client *bad = join(s, "bad");
    client *good = join(s, "good");
    const size_t len = encode_result("no-such-job", 1, frame);
    for (unsigned i = 0; i < RESULTS; i++) {
        assert_true(pqi_buf_append(&flood, frame, len));
    }

    send_bytes(bad, flood.data, flood.len);
    WAIT_UNTIL(s, bad->closed);
    assert_served(good, 1);

    assert_int_equal(bad->why.code, PQI_CLOSE_FLOOD);
    assert_int_equal(good->acks[PQI_VERDICT_FLOOD], 0);
    wait_for_workers(s);
    assert_exposed(s, "pqlink_miner_results_total{miner=\"good\",result=\"flooded\"} 0\n");
    assert_exposed(s, "pqlink_rejects_total{reason=\"flood\"} 1\n");
    assert_null(
        strstr(exposed(s), "pqlink_miner_results_total{miner=\"bad\",result=\"flooded\"} 0\n"));
    pqi_buf_free(&flood);
}

static void a_source_that_cannot_store_keeps_the_job_and_takes_the_result_later(void **state)
{
    scene *s = *state;
    atomic_store(&s->fake.verdict, PQI_SOURCE_UNAVAILABLE);
    start(s);
    client *c = join(s, "c");

    send_result(c, "job-1", 7);
    WAIT_UNTIL(s, c->acks[PQI_VERDICT_UNAVAILABLE] == 1);
    atomic_store(&s->fake.verdict, PQI_SOURCE_ACCEPTED);
    send_result(c, "job-1", 7);
    WAIT_UNTIL(s, c->acks[PQI_VERDICT_ACCEPTED] == 1);

    assert_int_equal(c->height, 1);
    assert_int_equal(pqi_node_service_blocks(s->service), 1);
}

static void blocks_of_several_miners_make_a_real_chain(void **state)
{
    enum { BLOCKS = 6 };
    scene *s = *state;
    const pqi_devchain_opts opts = {
        .rules = {.block_time_ms = 1000, .minimum = pqi_u512_from_u64(1)},
        .difficulty = pqi_u512_from_u64(4)};
    pqi_devchain_opts chain = opts;
    assert_int_equal(pqi_store_open(&s->store, PQI_STORE_MEMORY, NULL), PQL_OK);
    chain.store = s->store;
    assert_int_equal(pqi_devchain_new(&s->chain, &chain, NULL), PQL_OK);
    start(s);
    client *miners[] = {join(s, "one"), join(s, "two")};

    for (unsigned block = 0; block < BLOCKS; block++) {
        client *c = miners[block % 2];
        uint8_t work[PQI_MINER_WORK_SIZE] = {0};
        pqi_u512 target;
        WAIT_UNTIL(s, c->jobs == block + 1);
        assert_true(pqi_pow_target(&target, &c->job.difficulty));
        do {
            work[PQI_MINER_WORK_SIZE - 1]++;
        } while (!pqi_pow_verify(c->job.mining_hash, work, &target));
        send_result(c, c->job_id, work[PQI_MINER_WORK_SIZE - 1]);
        WAIT_UNTIL(s, c->height == block + 1);
    }

    assert_int_equal(pqi_node_service_blocks(s->service), BLOCKS);
    json_t *root = status_of(s);
    assert_int_equal(json_integer_value(json_object_get(root, "height")), BLOCKS);
    json_decref(root);
}

/* ---- Miners that misbehave ---- */

/* |bytes| on a fresh stream close the link with |code|, and another miner notices nothing. */
static void assert_turned_away(scene *s, const char *bytes, size_t len, uint64_t code)
{
    client *good = join(s, "good");
    client *bad = stranger(s, bytes, len);
    WAIT_UNTIL(s, bad->closed);

    assert_true(bad->why.application);
    assert_int_equal(bad->why.code, code);
    assert_int_equal(bad->jobs, 0);
    assert_served(good, 1);
    assert_int_equal(miners_listed(s), 1);
}

static void bytes_that_are_no_frame_close_the_link(void **state)
{
    scene *s = *state;
    start(s);
    assert_turned_away(s, "\0\0\0\5hello", 9, PQI_CLOSE_PROTOCOL);
    assert_exposed(s, "pqlink_rejects_total{reason=\"protocol\"} 1\n");
}

static void a_frame_over_the_limit_closes_the_link_at_its_length(void **state)
{
    scene *s = *state;
    start(s);
    assert_turned_away(s, "\0\0\4\1", 4, PQI_CLOSE_PROTOCOL);
}

static void a_result_before_ready_closes_the_link(void **state)
{
    scene *s = *state;
    uint8_t frame[PQI_FRAME_SIZE_MAX];
    start(s);
    const size_t len = encode_result("job-1", 1, frame);
    assert_turned_away(s, (const char *)frame, len, PQI_CLOSE_PROTOCOL);
    assert_int_equal(pqi_node_service_blocks(s->service), 1); /* the good miner's */
}

static void a_name_that_is_no_name_closes_the_link(void **state)
{
    static const char body[] = "{\"Ready\":{\"token\":null,\"name\":\"a\\\"},{\\\"\"}}";
    char frame[sizeof(body) + PQI_FRAME_PREFIX_SIZE] = {0};
    scene *s = *state;
    start(s);
    frame[3] = (char)(sizeof(body) - 1);
    memcpy(frame + PQI_FRAME_PREFIX_SIZE, body, sizeof(body) - 1);
    assert_turned_away(s, frame, sizeof(body) - 1 + PQI_FRAME_PREFIX_SIZE, PQI_CLOSE_PROTOCOL);
}

static void a_link_that_ends_half_way_through_a_frame_is_forgotten(void **state)
{
    scene *s = *state;
    start(s);
    client *good = join(s, "good");
    client *bad = join(s, "bad");

    send_bytes(bad, "\0\0\0\x40{\"Stats", 11);
    leave(bad);
    WAIT_UNTIL(s, bad->closed);
    assert_served(good, 1);
    while (miners_listed(s) != 1) { /* the node hears of it in its own time */
        continue;
    }

    assert_exposed(s, "\npqlink_miners 1\n");
}

static void a_stream_that_ends_half_way_through_a_frame_ends_the_link(void **state)
{
    scene *s = *state;
    start(s);
    client *c = join(s, "c");

    give_order(c, (order){.fin = true}, "\0\0\0\x40{", 5);
    WAIT_UNTIL(s, c->closed);

    assert_true(c->why.by_peer);
    assert_int_equal(c->why.code, PQI_CLOSE_DONE);
}

static void a_second_stream_is_not_allowed_and_the_first_goes_on(void **state)
{
    scene *s = *state;
    start(s);
    client *c = join(s, "c");

    give_order(c, (order){.second_stream = true}, NULL, 0);
    WAIT_UNTIL(s, c->second_stream != 1);

    assert_int_equal(c->second_stream, PQL_E_LIMIT);
    assert_served(c, 1);
}

static void a_link_that_says_nothing_is_no_miner(void **state)
{
    scene *s = *state;
    start(s);
    client *mute = stranger(s, NULL, 0);
    WAIT_UNTIL(s, mute->opened);
    client *good = join(s, "good");

    new_job(s);
    WAIT_UNTIL(s, good->jobs == 2);

    assert_int_equal(mute->jobs, 0);
    assert_int_equal(miners_listed(s), 1);
    assert_exposed(s, "\npqlink_miners 1\n");
}

static void a_miner_that_does_not_read_misses_jobs_and_gets_the_newest(void **state)
{
    enum { JOBS = 6000 };
    scene *s = *state;
    sem_t gates[2];
    sem_init(&gates[0], 0, 0);
    sem_init(&gates[1], 0, 0);
    assert_int_equal(pql_context_new(&s->others, &(pql_context_opts){.workers = 1}, NULL), PQL_OK);
    start_node(s, PQL_POLICY_HYBRID, 1);
    client *reader = join(s, "reader");
    client *sleeper = connect_named(s, s->others, "sleeper");
    WAIT_UNTIL(s, sleeper->jobs == 1);
    assert_int_equal(pql_context_run(s->others, 0, block_worker, gates), PQL_OK);
    while (sem_wait(&gates[0]) != 0) {
        continue;
    }

    for (unsigned i = 0; i < JOBS; i++) {
        new_job(s);
        wait_for_workers(s);
    }
    WAIT_UNTIL(s, strcmp(reader->job_id, "job-6001") == 0);
    sem_post(&gates[1]);
    WAIT_UNTIL(s, strcmp(sleeper->job_id, "job-6001") == 0);

    assert_true(sleeper->jobs < JOBS); /* what it did not read was not kept for it */
    assert_false(sleeper->broken);
    assert_served(sleeper, 1);
    sem_destroy(&gates[0]);
    sem_destroy(&gates[1]);
}

static void a_classical_client_is_refused_with_a_reason(void **state)
{
    scene *s = *state;
    start(s);
    const pql_context_opts classical = {.policy = PQL_POLICY_OFF, .workers = 1};
    assert_int_equal(pql_context_new(&s->others, &classical, NULL), PQL_OK);

    client *c = connect_named(s, s->others, "classical");
    WAIT_UNTIL(s, c->closed);

    assert_int_equal(c->why.code, PQI_CLOSE_REFUSED);
    assert_non_null(strstr(c->why.reason, "ML-KEM"));
    assert_int_equal(c->jobs, 0);
    assert_int_equal(miners_listed(s), 0);
    assert_exposed(s, "pqlink_rejects_total{reason=\"policy\"} 1\n");
}

static void a_node_without_a_policy_serves_a_classical_client(void **state)
{
    scene *s = *state;
    start_node(s, PQL_POLICY_OFF, 1);

    client *c = join(s, "c");

    assert_served(c, 1);
}

/* ---- The end ---- */

static void a_drain_tells_every_miner_why_and_closes(void **state)
{
    scene *s = *state;
    start(s);
    client *miners[] = {join(s, "a"), join(s, "b"), stranger(s, NULL, 0)};
    WAIT_UNTIL(s, miners[2]->opened);

    pqi_node_service_drain(s->service);
    pql_context_drain(s->node, 60000);

    for (unsigned i = 0; i < 3; i++) {
        WAIT_UNTIL(s, miners[i]->closed);
        assert_int_equal(miners[i]->why.code, PQI_CLOSE_DRAINING);
    }
    assert_int_equal(miners[0]->cancels, 1);
    assert_string_equal(miners[0]->cancel_reason, "draining");
    assert_int_equal(miners[1]->cancels, 1);
    assert_int_equal(miners_listed(s), 0);
}

static void a_miner_that_comes_during_the_drain_is_sent_away(void **state)
{
    scene *s = *state;
    start(s);

    pqi_node_service_drain(s->service);
    client *late = connect_named(s, s->clients, "late");
    WAIT_UNTIL(s, late->closed);

    assert_int_equal(late->why.code, PQI_CLOSE_DRAINING);
    assert_int_equal(late->jobs, 0);
}

static void a_node_that_is_freed_with_miners_on_it_leaves_nothing(void **state)
{
    scene *s = *state;
    start(s);
    client *a = join(s, "a");
    client *b = join(s, "b");

    pql_context_free(s->node);
    s->node = NULL;
    WAIT_UNTIL(s, a->closed && b->closed);

    assert_int_equal(miners_listed(s), 0);
    assert_exposed(s, "\npqlink_miners 0\n");
}

/* ---- What is shown of miners ---- */

static void two_miners_of_one_name_are_two_in_the_status_and_one_in_the_metrics(void **state)
{
    scene *s = *state;
    start(s);
    client *a = join(s, "twin");
    client *b = join(s, "twin");

    send_stats(a, 5000, PQI_NS_PER_SEC);
    send_stats(b, 7000, PQI_NS_PER_SEC);
    assert_served(a, 1);
    WAIT_UNTIL(s, b->jobs == 2);
    assert_served(b, 2);

    wait_for_workers(s);
    assert_int_equal(miners_listed(s), 2);
    assert_exposed(s, "pqlink_miner_hash_rate{miner=\"twin\"} 12000\n");
    assert_exposed(s, "pqlink_miner_results_total{miner=\"twin\",result=\"accepted\"} 2\n");
}

static void the_hash_rate_of_a_miner_that_left_is_taken_away(void **state)
{
    scene *s = *state;
    start(s);
    client *stays = join(s, "twin");
    client *goes = join(s, "twin");
    send_stats(stays, 5000, PQI_NS_PER_SEC);
    send_stats(goes, 7000, PQI_NS_PER_SEC);
    assert_served(stays, 1);
    WAIT_UNTIL(s, goes->jobs == 2);
    assert_served(goes, 2);

    leave(goes);
    while (miners_listed(s) != 1) {
        continue;
    }

    assert_exposed(s, "pqlink_miner_hash_rate{miner=\"twin\"} 5000\n");
}

static void a_boast_does_not_spoil_the_hash_rate_of_others(void **state)
{
    scene *s = *state;
    start(s);
    client *honest = join(s, "twin");
    client *boaster = join(s, "twin");
    send_stats(boaster, UINT64_MAX, PQI_NS_PER_MS);
    assert_served(boaster, 1);
    WAIT_UNTIL(s, honest->jobs == 2);
    send_stats(honest, 5000, PQI_NS_PER_SEC);
    assert_served(honest, 2);

    leave(boaster);
    while (miners_listed(s) != 1) {
        continue;
    }

    assert_exposed(s, "pqlink_miner_hash_rate{miner=\"twin\"} 5000\n");
    assert_int_equal(status_number(s, "twin", "hash_rate"), 5000);
}

static void odd_names_stay_apart_in_the_status(void **state)
{
    scene *s = *state;
    start(s);
    (void)join(s, "..-_");
    (void)join(s, "UPPER.lower_01234567890123456789");
    (void)join(s, NULL);

    assert_int_equal(miners_listed(s), 3);
    assert_int_equal(status_number(s, "..-_", "accepted"), 0);
    assert_int_equal(status_number(s, "UPPER.lower_01234567890123456789", "accepted"), 0);
    assert_int_equal(status_number(s, "unnamed", "accepted"), 0);
    assert_exposed(s, "pqlink_miner_hash_rate{miner=\"unnamed\"} 0\n");
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(every_miner_gets_each_new_job),
        SCENE(a_node_without_a_job_says_so_and_gives_the_next_one),
        SCENE(a_source_that_falls_idle_cancels_the_job_of_every_miner),
        SCENE(a_crowd_that_comes_at_once_is_served),
        SCENE(a_job_that_found_the_queue_of_a_worker_full_comes_with_the_next_tick),
        SCENE(the_first_result_wins_and_the_second_is_stale),
        SCENE(many_results_at_the_same_time_make_one_block_for_each_job),
        SCENE(a_proof_that_does_not_hold_is_invalid_and_again_a_duplicate),
        SCENE(a_flood_is_counted_and_closed_and_harms_no_other),
        SCENE(a_source_that_cannot_store_keeps_the_job_and_takes_the_result_later),
        SCENE(blocks_of_several_miners_make_a_real_chain),
        SCENE(bytes_that_are_no_frame_close_the_link),
        SCENE(a_frame_over_the_limit_closes_the_link_at_its_length),
        SCENE(a_result_before_ready_closes_the_link),
        SCENE(a_name_that_is_no_name_closes_the_link),
        SCENE(a_link_that_ends_half_way_through_a_frame_is_forgotten),
        SCENE(a_stream_that_ends_half_way_through_a_frame_ends_the_link),
        SCENE(a_second_stream_is_not_allowed_and_the_first_goes_on),
        SCENE(a_link_that_says_nothing_is_no_miner),
        SCENE(a_miner_that_does_not_read_misses_jobs_and_gets_the_newest),
        SCENE(a_classical_client_is_refused_with_a_reason),
        SCENE(a_node_without_a_policy_serves_a_classical_client),
        SCENE(a_drain_tells_every_miner_why_and_closes),
        SCENE(a_miner_that_comes_during_the_drain_is_sent_away),
        SCENE(a_node_that_is_freed_with_miners_on_it_leaves_nothing),
        SCENE(two_miners_of_one_name_are_two_in_the_status_and_one_in_the_metrics),
        SCENE(the_hash_rate_of_a_miner_that_left_is_taken_away),
        SCENE(a_boast_does_not_spoil_the_hash_rate_of_others),
        SCENE(odd_names_stay_apart_in_the_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
