/* A miner's client and the nodes that it has links to, over real sockets. */
#ifndef PQI_TESTS_MINER_CLIENT_SCENE_H
#define PQI_TESTS_MINER_CLIENT_SCENE_H

#include "test.h"

#include "seen.h"

#include "base/clock.h"
#include "miner/miner_client.h"
#include "miner/session_node.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NODES 3
#define URL_SIZE 64
#define ANY_PORT "quic://127.0.0.1:0"
#define TOKEN "address.worker"
#define MS PQI_NS_PER_MS

typedef struct scene scene;
typedef struct guest guest;

/* How a node treats its miners. */
typedef struct manners {
    bool refuse;         /* every token */
    bool no_job;         /* after Ready */
    bool slowly;         /* what it has to say goes out byte by byte */
    const char *close;   /* closes with code 0 and this text instead of a job */
    const char *garbage; /* sends this instead of a job */
} manners;

typedef struct node {
    scene *owner;
    pqi_miner_dialect dialect;
    manners manners;
    pql_context *ctx;
    char url[URL_SIZE];
    guest *guests;   /* its worker alone */
    unsigned number; /* of the job that a new guest gets; with the lock of the scene */
    unsigned ready, results, streams, gone;
    size_t first_bytes; /* that came with the first call of a stream */
    uint8_t nonce[PQI_MINER_WORK_SIZE];
} node;

/* One miner at a node. */
struct guest {
    node *home;
    guest *next;
    pql_stream *stream;
    pqi_session_node session;
    bool heard;
    uint8_t slow[2 * PQI_FRAME_SIZE_MAX];
    size_t slow_len, slow_at;
};

struct scene {
    pql_identity *identity;
    pql_fingerprint pin, pq_pin; /* of the classical leaf and the other */
    node nodes[NODES];
    pqi_login_opts logins[NODES];
    pqi_miner_client_opts opts;
    pqi_miner_client *client;
    char dir[64], token_file[128], pin_file[128];

    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t change;
    unsigned connected, jobs, cancelled, sent, answered, lost, moved, retries, given_up,
        pins_changed;
    unsigned in_use; /* the node of the last `connected` */
    pql_posture posture;
    pqi_miner_job job;
    uint64_t serial;
    bool presumed, ended;
    pql_status end_status, trouble_status;
    uint64_t trouble_code;
    unsigned trouble_node;
    char sentence[PQL_ERROR_MESSAGE_SIZE];
    char pins_text[2 * PQL_FINGERPRINT_SIZE + 8];
};

/* ---- Nodes ---- */

static inline bool guest_write(void *user, const uint8_t *frame, size_t len)
{
    guest *g = user;
    if (!g->home->manners.slowly) {
        return pql_stream_write(g->stream, frame, len, false) == PQL_OK;
    }
    assert_true(g->slow_len + len <= sizeof(g->slow));
    memcpy(g->slow + g->slow_len, frame, len);
    g->slow_len += len;
    pql_link_set_timer(pql_stream_link(g->stream), pqi_clock_monotonic());
    return true;
}

static inline void guest_close(void *user, uint64_t code, const char *reason)
{
    guest *g = user;
    pql_link_close(pql_stream_link(g->stream), code, reason);
}

static inline pqi_miner_job job_of(unsigned number)
{
    pqi_miner_job job = {.id = "1", .mining_hash = {(uint8_t)number}};
    job.difficulty = pqi_u512_from_u64(1);
    return job;
}

static inline void give_job(guest *g, unsigned number)
{
    const pqi_miner_job job = job_of(number);
    pqi_session_node_job(&g->session, &job, pqi_clock_monotonic());
}

/* After an authorised Ready. */
static inline void welcome(guest *g)
{
    const manners *m = &g->home->manners;
    if (m->close != NULL) {
        pql_link_close(pql_stream_link(g->stream), 0, m->close);
    } else if (m->garbage != NULL) {
        (void)pql_stream_write(g->stream, m->garbage, strlen(m->garbage), false);
    } else if (!m->no_job) {
        give_job(g, g->home->number);
    }
}

static inline bool guest_hello(void *user, const pqi_miner_hello *hello)
{
    guest *g = user;
    const char *token = hello->token != NULL ? hello->token : "";
    if (g->home->manners.refuse || (hello->dialect == PQI_MINER_V2 && strcmp(token, TOKEN) != 0)) {
        return false;
    }
    SEEN(g->home->owner, g->home->ready++);
    return true;
}

static inline void guest_result(void *user, const pqi_miner_result *result)
{
    guest *g = user;
    memcpy(g->home->nonce, result->work, sizeof(g->home->nonce));
    if (g->home->dialect == PQI_MINER_PQ1) { /* an official node says nothing, and does nothing */
        (void)pqi_session_node_verdict(&g->session, result->ticket, PQI_VERDICT_ACCEPTED, NULL,
                                       PQI_MINER_NO_NUMBER, pqi_clock_monotonic());
    }
    SEEN(g->home->owner, g->home->results++);
}

static const pqi_session_node_events guest_events = {guest_write, guest_close, guest_hello,
                                                     guest_result};

static inline void node_stream_open(pql_stream *stream, void *user)
{
    node *n = user;
    guest *g = calloc(1, sizeof(*g));
    assert_non_null(g);
    g->home = n;
    g->stream = stream;
    g->next = n->guests;
    n->guests = g;
    pql_stream_set_data(stream, g);
    pql_link_set_data(pql_stream_link(stream), g);
    pqi_session_node_init(&g->session, n->dialect, &guest_events, g, pqi_clock_monotonic());
    SEEN(n->owner, n->streams++);
}

static inline void node_stream_data(pql_stream *stream, const uint8_t *data, size_t len, bool fin,
                                    void *user)
{
    node *n = user;
    guest *g = pql_stream_data(stream);
    const bool before = pqi_session_node_active(&g->session);
    (void)fin;
    if (!g->heard) {
        g->heard = true;
        n->first_bytes = len;
    }
    pqi_session_node_bytes(&g->session, data, len, pqi_clock_monotonic());
    if (!before && pqi_session_node_active(&g->session)) {
        welcome(g);
    }
}

static inline void node_link_timer(pql_link *link, uint64_t now, void *user)
{
    guest *g = pql_link_data(link);
    (void)user;
    if (g != NULL && g->slow_at < g->slow_len) {
        (void)pql_stream_write(g->stream, g->slow + g->slow_at, 1, false);
        g->slow_at++;
        pql_link_set_timer(link, now + MS / 10);
    }
}

static inline void node_stream_close(pql_stream *stream, uint64_t code, void *user)
{
    node *n = user;
    guest *g = pql_stream_data(stream);
    guest **at = &n->guests;
    (void)code;
    while (*at != g) {
        at = &(*at)->next;
    }
    *at = g->next;
    pql_link_set_data(pql_stream_link(stream), NULL);
    free(g);
    SEEN(n->owner, n->gone++);
}

static const pql_handlers node_handlers = {.link_timer = node_link_timer,
                                           .stream_open = node_stream_open,
                                           .stream_data = node_stream_data,
                                           .stream_close = node_stream_close};

static inline void start_node_as(scene *s, unsigned index, pqi_miner_dialect dialect,
                                 pql_policy policy)
{
    node *n = &s->nodes[index];
    const pql_alpn alpn = {pqi_miner_alpn(dialect),
                           dialect == PQI_MINER_PQ1 ? PQL_LEAF_PQ : PQL_LEAF_CLASSICAL};
    const pql_listen_opts listen = {
        .alpn = &alpn, .alpn_count = 1, .handlers = &node_handlers, .user = n, .max_streams = 1};
    const pql_context_opts opts = {.identity = s->identity, .policy = policy, .workers = 1};
    pql_listener *listener = NULL;
    n->dialect = dialect;
    assert_int_equal(pql_context_new(&n->ctx, &opts, NULL), PQL_OK);
    assert_int_equal(pql_listen(n->ctx, n->url, &listen, &listener, NULL), PQL_OK);
    if (strcmp(n->url, ANY_PORT) == 0) { /* else it is where it was, and a client may read this */
        snprintf(n->url, sizeof(n->url), "quic://127.0.0.1:%u",
                 (unsigned)pql_listener_port(listener));
    }
    s->logins[index].dialect = dialect;
    s->logins[index].peer.pins = dialect == PQI_MINER_PQ1 ? &s->pq_pin : &s->pin;
}

/* An official node: no ML-KEM, an ECDSA certificate. */
static inline void start_node(scene *s, unsigned index)
{
    start_node_as(s, index, PQI_MINER_V2, PQL_POLICY_OFF);
}

static inline void stop_node(scene *s, unsigned index)
{
    pql_context_free(s->nodes[index].ctx);
    s->nodes[index].ctx = NULL;
}

static inline void push_job(void *arg)
{
    node *n = arg;
    for (guest *g = n->guests; g != NULL; g = g->next) {
        give_job(g, n->number);
    }
}

static inline void new_job(scene *s, unsigned index, unsigned number)
{
    SEEN(s, s->nodes[index].number = number);
    assert_int_equal(pql_context_run(s->nodes[index].ctx, 0, push_job, &s->nodes[index]), PQL_OK);
}

static inline void close_all(void *arg)
{
    node *n = arg;
    for (guest *g = n->guests; g != NULL; g = g->next) {
        pql_link_close(pql_stream_link(g->stream), 0, "");
    }
}

static inline void drop_miners(scene *s, unsigned index)
{
    assert_int_equal(pql_context_run(s->nodes[index].ctx, 0, close_all, &s->nodes[index]), PQL_OK);
}

/* ---- The client ---- */

static inline void on_connected(void *user, const pqi_client_connected *link)
{
    scene *s = user;
    SEEN(s, s->connected++; s->in_use = link->node; s->posture = link->posture);
}

static inline void on_job(void *user, const pqi_miner_job *job, uint64_t serial)
{
    scene *s = user;
    SEEN(s, s->jobs++; s->job = *job; s->serial = serial);
}

static inline void on_cancelled(void *user, const char *reason)
{
    scene *s = user;
    (void)reason;
    SEEN(s, s->cancelled++);
}

static inline void on_sent(void *user, const pqi_solution *solution)
{
    scene *s = user;
    (void)solution;
    SEEN(s, s->sent++);
}

static inline void on_answered(void *user, const pqi_miner_ack *ack)
{
    scene *s = user;
    SEEN(s, s->answered++; s->presumed = ack->presumed);
}

static inline void on_disconnected(void *user, const pql_close *why, bool moved)
{
    scene *s = user;
    (void)why;
    SEEN(s, s->lost += !moved; s->moved += moved);
}

static inline void note_trouble(scene *s, const pqi_client_trouble *what)
{
    s->trouble_node = what->node;
    s->trouble_status = what->status;
    s->trouble_code = what->why->code;
    snprintf(s->sentence, sizeof(s->sentence), "%s", what->sentence);
}

static inline void on_retrying(void *user, const pqi_client_trouble *what)
{
    scene *s = user;
    SEEN(s, s->retries++; note_trouble(s, what));
}

static inline void on_given_up(void *user, const pqi_client_trouble *what)
{
    scene *s = user;
    SEEN(s, s->given_up++; note_trouble(s, what));
}

static inline void on_pins_changed(void *user, const pqi_client_pins *pins)
{
    scene *s = user;
    SEEN(s, s->pins_changed++;
         snprintf(s->pins_text, sizeof(s->pins_text), "%s > %s", pins->before, pins->after));
}

static inline void on_ended(void *user, pql_status status, const char *sentence)
{
    scene *s = user;
    (void)sentence;
    SEEN(s, s->ended = true; s->end_status = status);
}

static inline void start_client(scene *s, unsigned nodes)
{
    s->opts.nodes = s->logins;
    s->opts.node_count = nodes;
    assert_int_equal(pqi_miner_client_start(&s->client, &s->opts, NULL), PQL_OK);
}

/* A nonce for the newest job; any but zero solves it. */
static inline pql_status submit(scene *s, uint8_t nonce)
{
    pqi_solution solution = {.nonce = {nonce}, .hashes = 1, .elapsed_ns = 1};
    pthread_mutex_lock(&s->lock);
    solution.serial = s->serial;
    pthread_mutex_unlock(&s->lock);
    return pqi_miner_client_submit(s->client, &solution);
}

static inline int setup(void **state)
{
    scene *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->change, NULL);
    assert_int_equal(pql_identity_ephemeral(&s->identity, NULL, NULL), PQL_OK);
    pql_identity_fingerprint(s->identity, PQL_LEAF_CLASSICAL, PQL_FINGERPRINT_CERT, &s->pin);
    pql_identity_fingerprint(s->identity, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &s->pq_pin);
    for (unsigned i = 0; i < NODES; i++) {
        s->nodes[i].owner = s;
        s->nodes[i].number = 1;
        snprintf(s->nodes[i].url, URL_SIZE, ANY_PORT);
        s->logins[i] = (pqi_login_opts){.url = s->nodes[i].url,
                                        .text = s->nodes[i].url,
                                        .dialect = PQI_MINER_V2,
                                        .token = TOKEN,
                                        .peer = {.pins = &s->pin, .pin_count = 1}};
    }
    s->opts = (pqi_miner_client_opts){
        .name = "rig",
        .presume_ns = 3600 * PQI_NS_PER_SEC, /* however slow the machine is */
        .timing = {.first = MS, .most = 4 * MS, .probe = 5 * MS, .patience = 2000 * MS},
        .events = {.connected = on_connected,
                   .job = on_job,
                   .cancelled = on_cancelled,
                   .sent = on_sent,
                   .answered = on_answered,
                   .disconnected = on_disconnected,
                   .retrying = on_retrying,
                   .given_up = on_given_up,
                   .pins_changed = on_pins_changed,
                   .ended = on_ended},
        .user = s};
    snprintf(s->dir, sizeof(s->dir), "/tmp/pqlink-client-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->token_file, sizeof(s->token_file), "%s/miner-auth-token", s->dir);
    snprintf(s->pin_file, sizeof(s->pin_file), "%s/miner-tls-cert-sha256", s->dir);
    *state = s;
    return 0;
}

static inline int teardown(void **state)
{
    scene *s = *state;
    pqi_miner_client_free(s->client);
    for (unsigned i = 0; i < NODES; i++) {
        stop_node(s, i);
    }
    pql_identity_free(s->identity);
    (void)unlink(s->token_file);
    (void)unlink(s->pin_file);
    (void)rmdir(s->dir);
    pthread_cond_destroy(&s->change);
    pthread_mutex_destroy(&s->lock);
    free(s);
    return 0;
}

/* Replaces the file in one step, as a node does that rotates. */
static inline void put(const char *path, const char *text)
{
    char temporary[160];
    snprintf(temporary, sizeof(temporary), "%s.new", path);
    FILE *file = fopen(temporary, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(temporary, 0600), 0);
    assert_int_equal(rename(temporary, path), 0);
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif
