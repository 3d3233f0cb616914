/* link_peer: our links without the miner service, for what it turns off on purpose (resumption,
 * client certificates) and for the matrix of policies.  It says one JSON object for each thing that
 * happens, and at its end which counters have moved.
 *
 *     link_peer serve POLICY plain|tickets|mutual
 *     link_peer connect POLICY URL sha256:PIN ALPN SESSIONS [mutual]
 *
 * The server answers as a miner expects it, without reading what the miner says. */
#include "base/log.h"
#include "matrix/counters.h"
#include "observe/link_observer.h"

#include <pqlink/link.h>

#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OWN_ALPN "pqlink-miner/1"
#define OFFICIAL_ALPN "quantus-miner/2"
#define FRAME_MAX 512

static void die(const pql_error *err)
{
    printf("{\"event\":\"failed\",\"text\":\"%s\"}\n", err->message);
    exit(1);
}

static void say_open(const pql_link *link)
{
    const pql_posture *p = pql_link_posture(link);
    pql_fingerprint peer;
    char text[PQL_FINGERPRINT_SIZE] = "";
    if (pql_link_peer_fingerprint(link, PQL_FINGERPRINT_CERT, &peer)) {
        pql_fingerprint_format(&peer, text);
    }
    printf("{\"event\":\"open\",\"alpn\":\"%s\",\"group\":\"%s\",\"peer_signature\":\"%s\","
           "\"resumed\":%s,\"peer\":\"%s\"}\n",
           pql_link_alpn(link), pql_group_name(p->group), pql_signature_name(p->peer_signature),
           p->resumed ? "true" : "false", text);
}

static void say_close(const pql_close *why)
{
    printf("{\"event\":\"closed\",\"status\":\"%s\",\"code\":%llu,\"by_peer\":%s}\n",
           pql_status_name(why->status), (unsigned long long)why->code,
           why->by_peer ? "true" : "false");
}

/* ---- what is counted ---- */

static pqi_metrics *registry;
static pqi_pq_metrics *metrics;
static counters at_first, at_last;

static void start_counting(void)
{
    pql_error err = {0};
    if (pqi_metrics_new(&registry, &err) != PQL_OK ||
        pqi_pq_metrics_new(&metrics, registry, NULL, &err) != PQL_OK) {
        die(&err);
    }
    counters_take(&at_first, registry);
}

/* After the end of the context: nothing moves any more. */
static void say_counters(void)
{
    char moved[2048];
    counters_take(&at_last, registry);
    counters_moved(&at_first, &at_last, moved, sizeof(moved));
    printf("{\"event\":\"counters\",\"moved\":\"%s\"}\n", moved);
    pqi_pq_metrics_free(metrics);
    pqi_metrics_free(registry);
}

/* ---- server ---- */

static void answer(pql_stream *stream, const char *body)
{
    uint8_t frame[FRAME_MAX];
    const size_t len = strlen(body);
    memcpy(frame, (uint8_t[]){0, 0, (uint8_t)(len >> 8), (uint8_t)len}, 4);
    memcpy(frame + 4, body, len);
    (void)pql_stream_write(stream, frame, len + 4, false);
}

static void give_job(pql_stream *stream, uintptr_t number)
{
    char body[FRAME_MAX - 4];
    (void)snprintf(
        body, sizeof(body),
        "{\"NewJob\":{\"job_id\":\"%llu\",\"mining_hash\":\"%064llx\",\"difficulty\":\"1\"}}",
        (unsigned long long)number, (unsigned long long)number);
    answer(stream, body);
}

/* A miner waits for an answer before it speaks again, so whatever comes is one message. */
static void on_miner_data(pql_stream *stream, const uint8_t *data, size_t len, bool fin, void *user)
{
    (void)data;
    (void)fin;
    (void)user;
    if (len == 0) {
        return;
    }
    const uintptr_t seen = (uintptr_t)pql_stream_data(stream);
    pql_stream_set_data(stream, (void *)(seen + 1));
    if (seen > 0 && strcmp(pql_link_alpn(pql_stream_link(stream)), OWN_ALPN) == 0) {
        answer(stream, "{\"JobAck\":{\"job_id\":\"1\",\"nonce\":null,\"verdict\":\"accepted\","
                       "\"reason\":\"taken\",\"height\":1}}");
    }
    give_job(stream, seen + 1);
}

static void on_server_open(pql_link *link, void *user)
{
    (void)user;
    say_open(link);
}

static void on_server_close(pql_link *link, const pql_close *why, void *user)
{
    (void)link;
    (void)user;
    say_close(why);
}

static int serve(pql_policy policy, const char *mode)
{
    static const pql_handlers handlers = {
        .link_open = on_server_open, .link_close = on_server_close, .stream_data = on_miner_data};
    static const pql_alpn names[] = {{OWN_ALPN, PQL_LEAF_PQ}, {OFFICIAL_ALPN, PQL_LEAF_CLASSICAL}};
    /* A policy that wants ML-DSA does not go with the protocol that has the classical leaf. */
    const size_t protocols = pql_policy_needs_pq_authentication(policy) ? 1 : 2;
    const pql_peer anybody = {.insecure = true};
    pql_identity *id = NULL;
    pql_context *ctx = NULL;
    pql_listener *listener = NULL;
    pql_error err = {0};
    if (pql_identity_ephemeral(&id, &(pql_identity_opts){0}, &err) != PQL_OK) {
        die(&err);
    }
    const pql_context_opts context = {
        .identity = id, .policy = policy, .workers = 1, .observer = pqi_link_observer(metrics)};
    const pql_listen_opts listen = {.alpn = names,
                                    .alpn_count = protocols,
                                    .tickets = strcmp(mode, "tickets") == 0,
                                    .clients = strcmp(mode, "mutual") == 0 ? &anybody : NULL,
                                    .handlers = &handlers};
    if (pql_context_new(&ctx, &context, &err) != PQL_OK ||
        pql_listen(ctx, "quic://127.0.0.1:0", &listen, &listener, &err) != PQL_OK) {
        die(&err);
    }
    pql_fingerprint pq, classical;
    char pq_text[PQL_FINGERPRINT_SIZE], classical_text[PQL_FINGERPRINT_SIZE];
    pql_identity_fingerprint(id, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &pq);
    pql_identity_fingerprint(id, PQL_LEAF_CLASSICAL, PQL_FINGERPRINT_CERT, &classical);
    pql_fingerprint_format(&pq, pq_text);
    pql_fingerprint_format(&classical, classical_text);
    printf("{\"event\":\"listening\",\"port\":%u,\"pq\":\"%s\",\"classical\":\"%s\"}\n",
           pql_listener_port(listener), pq_text, classical_text);
    sigset_t ends;
    int which = 0;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    (void)sigwait(&ends, &which);
    pql_context_free(ctx);
    pql_identity_free(id);
    say_counters();
    return 0;
}

/* ---- client ---- */

typedef struct session {
    sem_t over;
    bool answered;
} session;

static void on_client_open(pql_link *link, void *user)
{
    (void)user;
    static const uint8_t ready[] = "\0\0\0\x2c{\"Ready\":{\"token\":\"interop-token-of-rig-1\"}}";
    pql_stream *stream = NULL;
    say_open(link);
    if (pql_stream_open(link, &stream, NULL) == PQL_OK) {
        (void)pql_stream_write(stream, ready, sizeof(ready) - 1, false);
    }
}

/* The first job: what the server sends after the handshake, its tickets too, has come before it. */
static void on_job(pql_stream *stream, const uint8_t *data, size_t len, bool fin, void *user)
{
    (void)data;
    (void)fin;
    if (len > 0) {
        ((session *)user)->answered = true;
        pql_link_close(pql_stream_link(stream), 0, "");
    }
}

static void on_client_close(pql_link *link, const pql_close *why, void *user)
{
    (void)link;
    say_close(why);
    (void)sem_post(&((session *)user)->over);
}

/* |id| (NULL: none) is shown to the server; sessions are resumed without it only. */
static int connect_to(pql_policy policy, char **words, const pql_identity *id)
{
    static const pql_handlers handlers = {
        .link_open = on_client_open, .link_close = on_client_close, .stream_data = on_job};
    pql_fingerprint pin;
    pql_context *ctx = NULL;
    pql_error err = {0};
    const pql_context_opts context = {
        .policy = policy, .workers = 1, .observer = pqi_link_observer(metrics)};
    if (pql_fingerprint_parse(&pin, words[1], &err) != PQL_OK ||
        pql_context_new(&ctx, &context, &err) != PQL_OK) {
        die(&err);
    }
    const pql_peer peer = {.pins = &pin, .pin_count = 1};
    const unsigned long sessions = strtoul(words[3], NULL, 10);
    unsigned long answered = 0;
    for (unsigned long i = 0; i < sessions; i++) {
        session s = {.answered = false};
        (void)sem_init(&s.over, 0, 0);
        const pql_connect_opts connect = {.alpn = words[2],
                                          .resume = id == NULL,
                                          .identity = id,
                                          .handlers = &handlers,
                                          .user = &s};
        if (pql_connect(ctx, words[0], &peer, &connect, NULL, &err) != PQL_OK) {
            die(&err);
        }
        while (sem_wait(&s.over) != 0) {
        }
        answered += s.answered;
        (void)sem_destroy(&s.over);
    }
    pql_context_free(ctx);
    say_counters();
    printf("{\"event\":\"done\",\"answered\":%lu}\n", answered);
    return answered == sessions ? 0 : 1;
}

static int connect_as_somebody(pql_policy policy, char **words)
{
    pql_identity *id = NULL;
    pql_error err = {0};
    pql_fingerprint shown;
    char text[PQL_FINGERPRINT_SIZE];
    if (pql_identity_ephemeral(&id, &(pql_identity_opts){0}, &err) != PQL_OK) {
        die(&err);
    }
    pql_identity_fingerprint(id, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &shown);
    pql_fingerprint_format(&shown, text);
    printf("{\"event\":\"identity\",\"pq\":\"%s\"}\n", text);
    const int status = connect_to(policy, words, id);
    pql_identity_free(id);
    return status;
}

int main(int argc, char **argv)
{
    pql_policy policy;
    pql_error err = {0};
    sigset_t ends;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &ends, NULL);
    if (argc < 4 || pql_policy_parse(&policy, argv[2], &err) != PQL_OK) {
        (void)fprintf(stderr,
                      "usage: link_peer serve POLICY plain|tickets|mutual\n"
                      "       link_peer connect POLICY URL sha256:PIN ALPN SESSIONS [mutual]\n");
        return 2;
    }
    pqi_log_setup(STDERR_FILENO, PQI_LOG_INFO, PQI_LOG_JSON);
    start_counting();
    if (strcmp(argv[1], "serve") == 0) {
        return serve(policy, argv[3]);
    }
    if (argc == 8) {
        return connect_as_somebody(policy, argv + 3);
    }
    return argc == 7 ? connect_to(policy, argv + 3, NULL) : 2;
}
