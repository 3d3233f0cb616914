/* Opens a post-quantum link to a node, says what was negotiated, and closes it again.
 *
 *     connect quic://HOST:PORT sha256:FINGERPRINT
 *
 * It stands in README.md and is built and run by the tests.  With an installed pqlink:
 *
 *     cc connect.c -o connect $(pkg-config --cflags --libs pqlink) */
#include <pqlink/link.h>

#include <semaphore.h>
#include <stdio.h>

/* What the handlers leave for main.  They run on a worker's thread. */
typedef struct outcome {
    sem_t over;
    pql_close why;
} outcome;

static void on_open(pql_link *link, void *user)
{
    (void)user;
    const pql_posture *p = pql_link_posture(link);
    printf("%s %s %s, %u round trip(s)\n", pql_group_name(p->group),
           pql_signature_name(p->peer_signature), pql_cipher_name(p->cipher), p->round_trips);
    pql_link_close(link, 0, "that was all");
}

static void on_close(pql_link *link, const pql_close *why, void *user)
{
    (void)link;
    outcome *result = user;
    result->why = *why;
    sem_post(&result->over);
}

int main(int argc, char **argv)
{
    static const pql_handlers handlers = {.link_open = on_open, .link_close = on_close};
    outcome result = {.why.status = PQL_OK};
    pql_fingerprint pin;
    pql_context *ctx = NULL;
    pql_error err = {0};

    if (argc != 3) {
        fprintf(stderr, "usage: connect quic://HOST:PORT sha256:FINGERPRINT\n");
        return 2;
    }
    sem_init(&result.over, 0, 0);
    /* README: begin */
    pql_peer peer = {.pins = &pin, .pin_count = 1};
    pql_context_opts context = {.policy = PQL_POLICY_PQ_ONLY, .workers = 1};
    pql_connect_opts connect = {.alpn = "pqlink-miner/1", .handlers = &handlers, .user = &result};

    if (pql_fingerprint_parse(&pin, argv[2], &err) == PQL_OK &&
        pql_context_new(&ctx, &context, &err) == PQL_OK &&
        pql_connect(ctx, argv[1], &peer, &connect, NULL, &err) == PQL_OK) {
        sem_wait(&result.over); /* link_close is called once, whatever happens */
    }
    pql_context_free(ctx);
    /* README: end */
    if (err.code == PQL_OK && result.why.status != PQL_OK) {
        err.code = result.why.status;
        (void)snprintf(err.message, sizeof(err.message), "%s", result.why.reason);
    }
    if (err.code != PQL_OK) {
        fprintf(stderr, "connect: %s (%s)\n", err.message, pql_status_name(err.code));
    }
    sem_destroy(&result.over);
    return err.code == PQL_OK ? 0 : 1;
}
