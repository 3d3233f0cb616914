/* Changing the policy of a context while links live and begin, over real sockets.
 * ctest labels: threads */
#include "test.h"

#include "echo.h"

#include "seen.h"

#include <pqlink/link.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ALPN "pqlink-test/1"
/* RFC 9001, 4.8: CRYPTO_ERROR and the alert. */
#define CODE_HANDSHAKE_FAILURE 0x128u
#define CODE_INSUFFICIENT_SECURITY 0x147u
#define TRIES 20
#define LINKS 60
#define CHANGES 30
#define HELD_MAX 64
#define DATAGRAM_MAX 2048

static pql_identity *identity, *weak, *second;
static pql_fingerprint pins[4];
static const uint8_t secret[32] = {7};

/* One end as its handlers see it: of a client for each link, of a server for all. */
typedef struct end {
    pthread_mutex_t lock;
    pthread_cond_t change;
    unsigned opened, closed, echoed, failed;
    pql_posture posture;
    pql_close why, failure;
    pql_link *link; /* of a client: a reference */
} end;

#define END {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER}

static void on_open(pql_link *link, void *user)
{
    end *e = user;
    SEEN(e, (e->opened++, e->posture = *pql_link_posture(link)));
}

static void on_close(pql_link *link, const pql_close *why, void *user)
{
    (void)link;
    end *e = user;
    SEEN(e, (e->closed++, e->why = *why));
}

static void client_data(pql_stream *stream, const uint8_t *data, size_t len, bool fin, void *user)
{
    (void)stream;
    (void)data;
    (void)len;
    end *e = user;
    if (fin) {
        SEEN(e, e->echoed++);
    }
}

static void on_handshake(const pql_link_info *info, const pql_close *failure, void *user)
{
    end *e = user;
    if (failure != NULL) {
        SEEN(e, e->failed++; e->failure = *failure; e->posture = *info->posture);
    }
}

static const pql_handlers server_handlers = {
    .link_open = on_open, .link_close = on_close, .stream_data = echo_data};
static const pql_handlers client_handlers = {
    .link_open = on_open, .link_close = on_close, .stream_data = client_data};

static int set_up(void **state)
{
    (void)state;
    const pql_identity_opts smaller = {.sign = PQL_ML_DSA_65};
    pql_identity **all[] = {&identity, &second, &weak};
    for (size_t i = 0; i < 3; i++) {
        if (pql_identity_ephemeral(all[i], i == 2 ? &smaller : NULL, NULL) != PQL_OK) {
            return -1;
        }
        pql_identity_fingerprint(*all[i], PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &pins[i]);
    }
    pql_identity_fingerprint(identity, PQL_LEAF_CLASSICAL, PQL_FINGERPRINT_CERT, &pins[3]);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pql_identity_free(identity);
    pql_identity_free(second);
    pql_identity_free(weak);
    return 0;
}

static pql_context *new_context(pql_identity *id, pql_policy policy, end *e)
{
    pql_context *ctx = NULL;
    const pql_context_opts opts = {
        .identity = id,
        .policy = policy,
        .workers = 2,
        .secret = secret,
        .observer = {.handshake = e != NULL ? on_handshake : NULL, .user = e}};
    assert_int_equal(pql_context_new(&ctx, &opts, NULL), PQL_OK);
    return ctx;
}

static uint16_t listen_as(pql_context *ctx, end *e, pql_leaf leaf)
{
    const pql_alpn alpn = {ALPN, leaf};
    const pql_listen_opts opts = {
        .alpn = &alpn, .alpn_count = 1, .handlers = &server_handlers, .user = e, .tickets = true};
    pql_listener *listener = NULL;
    assert_int_equal(pql_listen(ctx, "quic://127.0.0.1:0", &opts, &listener, NULL), PQL_OK);
    return pql_listener_port(listener);
}

static void dial(pql_context *ctx, uint16_t port, end *e, bool resume)
{
    char url[64];
    const pql_peer peer = {.pins = pins, .pin_count = 4};
    const pql_connect_opts opts = {
        .alpn = ALPN, .handlers = &client_handlers, .user = e, .resume = resume};
    (void)snprintf(url, sizeof(url), "quic://127.0.0.1:%u", (unsigned)port);
    assert_int_equal(pql_connect(ctx, url, &peer, &opts, &e->link, NULL), PQL_OK);
}

/* Waits for the outcome; true when it opened. */
static bool opens(pql_context *ctx, uint16_t port, end *e)
{
    dial(ctx, port, e, false);
    WAIT_UNTIL(e, e->opened > 0 || e->closed > 0);
    return e->opened > 0;
}

static void say(pql_link *link, void *arg)
{
    (void)arg;
    echo_ask(link);
}

static void hang_up(pql_link *link, void *arg)
{
    (void)arg;
    pql_link_close(link, 0, "done");
}

/* The link is alive when what it says comes back. */
static bool lives(end *e)
{
    const unsigned before = e->echoed;
    (void)pql_link_run(e->link, say, NULL);
    WAIT_UNTIL(e, e->echoed > before || e->closed > 0);
    return e->closed == 0;
}

static void assert_closed_by_policy(const end *client, const end *server)
{
    assert_true(client->why.by_peer);
    assert_int_equal(client->why.status, PQL_E_POLICY);
    assert_int_equal(client->why.code, CODE_INSUFFICIENT_SECURITY);
    assert_non_null(strstr(client->why.reason, "policy"));
    assert_int_equal(server->why.status, PQL_E_POLICY);
    assert_false(server->why.by_peer);
    assert_non_null(strstr(server->why.reason, "X25519"));
}

static void a_stronger_policy_ends_weaker_links_and_no_others(void **state)
{
    (void)state;
    end on_server = END;
    end classical = END;
    end hybrid = END;
    end late = END;
    pql_context *server = new_context(identity, PQL_POLICY_HYBRID, NULL);
    pql_context *off = new_context(NULL, PQL_POLICY_OFF, NULL);
    pql_context *ours = new_context(NULL, PQL_POLICY_HYBRID, NULL);
    const uint16_t port = listen_as(server, &on_server, PQL_LEAF_PQ);
    assert_true(opens(off, port, &classical));
    assert_true(opens(ours, port, &hybrid));
    WAIT_UNTIL(&on_server, on_server.opened == 2);

    assert_int_equal(pql_context_set_policy(server, PQL_POLICY_PQ_ONLY, NULL), PQL_OK);
    assert_int_equal(pql_context_policy(server), PQL_POLICY_PQ_ONLY);

    WAIT_UNTIL(&classical, classical.closed == 1);
    WAIT_UNTIL(&on_server, on_server.closed == 1);
    assert_closed_by_policy(&classical, &on_server);
    assert_non_null(strstr(on_server.why.reason, "pq-only"));
    assert_true(lives(&hybrid));
    assert_false(opens(off, port, &late));
    assert_int_equal(late.why.code, CODE_HANDSHAKE_FAILURE);
    assert_int_equal(on_server.closed, 1);
    pql_link_unref(classical.link);
    pql_link_unref(hybrid.link);
    pql_link_unref(late.link);
    pql_context_free(off);
    pql_context_free(ours);
    pql_context_free(server);
}

static void a_client_ends_its_weaker_links_too(void **state)
{
    (void)state;
    end on_off = END;
    end on_hybrid = END;
    end classical = END;
    end hybrid = END;
    end late = END;
    pql_context *off = new_context(identity, PQL_POLICY_OFF, NULL);
    pql_context *server = new_context(identity, PQL_POLICY_HYBRID, NULL);
    pql_context *client = new_context(NULL, PQL_POLICY_HYBRID, NULL);
    const uint16_t off_port = listen_as(off, &on_off, PQL_LEAF_PQ);
    const uint16_t port = listen_as(server, &on_hybrid, PQL_LEAF_PQ);
    assert_true(opens(client, off_port, &classical));
    assert_true(opens(client, port, &hybrid));
    WAIT_UNTIL(&on_off, on_off.opened == 1);

    assert_int_equal(pql_context_set_policy(client, PQL_POLICY_PQ_ONLY, NULL), PQL_OK);

    WAIT_UNTIL(&classical, classical.closed == 1);
    WAIT_UNTIL(&on_off, on_off.closed == 1);
    assert_closed_by_policy(&on_off, &classical);
    assert_true(lives(&hybrid));
    assert_false(opens(client, off_port, &late));
    assert_int_equal(late.why.status, PQL_E_POLICY);
    pql_link_unref(classical.link);
    pql_link_unref(hybrid.link);
    pql_link_unref(late.link);
    pql_context_free(client);
    pql_context_free(off);
    pql_context_free(server);
}

static void going_back_closes_nothing_and_lets_classical_peers_in_again(void **state)
{
    (void)state;
    static const pql_policy way_back[] = {PQL_POLICY_PQ_ONLY, PQL_POLICY_PQ_ONLY,
                                          PQL_POLICY_HYBRID_2026, PQL_POLICY_OFF,
                                          PQL_POLICY_HYBRID};
    end on_server = END;
    end strong = END;
    end classical = END;
    pql_context *server = new_context(identity, PQL_POLICY_CNSA_2_0, NULL);
    pql_context *cnsa = new_context(NULL, PQL_POLICY_CNSA_2_0, NULL);
    pql_context *off = new_context(NULL, PQL_POLICY_OFF, NULL);
    const uint16_t port = listen_as(server, &on_server, PQL_LEAF_PQ);
    assert_true(opens(cnsa, port, &strong));
    assert_int_equal(strong.posture.group, 0x0202); /* MLKEM1024, pure */
    assert_int_equal(strong.posture.cipher, 0x1302);
    for (size_t i = 0; i < sizeof(way_back) / sizeof(way_back[0]); i++) {
        assert_int_equal(pql_context_set_policy(server, way_back[i], NULL), PQL_OK);
        assert_true(lives(&strong));
    }
    assert_true(opens(off, port, &classical));
    assert_int_equal(on_server.closed, 0);
    pql_link_unref(strong.link);
    pql_link_unref(classical.link);
    pql_context_free(cnsa);
    pql_context_free(off);
    pql_context_free(server);
}

static void cnsa_ends_what_has_less_than_ml_kem_1024(void **state)
{
    (void)state;
    end on_server = END;
    end hybrid = END;
    end again = END;
    pql_context *server = new_context(identity, PQL_POLICY_HYBRID, NULL);
    pql_context *client = new_context(NULL, PQL_POLICY_PQ_ONLY, NULL);
    const uint16_t port = listen_as(server, &on_server, PQL_LEAF_PQ);
    assert_true(opens(client, port, &hybrid));
    assert_int_equal(pql_context_set_policy(server, PQL_POLICY_CNSA_2_0, NULL), PQL_OK);
    WAIT_UNTIL(&hybrid, hybrid.closed == 1);
    assert_int_equal(hybrid.why.code, CODE_INSUFFICIENT_SECURITY);
    assert_true(opens(client, port, &again));
    assert_int_equal(again.posture.group, 0x11ed); /* SecP384r1MLKEM1024, which both have */
    pql_link_unref(hybrid.link);
    pql_link_unref(again.link);
    pql_context_free(client);
    pql_context_free(server);
}

/* ---- what cannot be had ---- */

static void a_policy_that_one_listener_cannot_keep_changes_nothing(void **state)
{
    (void)state;
    pql_error err;
    end on_server = END;
    end classical = END;
    end late = END;
    pql_context *server = new_context(identity, PQL_POLICY_HYBRID, NULL);
    pql_context *off = new_context(NULL, PQL_POLICY_OFF, NULL);
    const uint16_t first = listen_as(server, &on_server, PQL_LEAF_CLASSICAL);
    const uint16_t port = listen_as(server, &on_server, PQL_LEAF_PQ);
    assert_true(opens(off, port, &classical));

    assert_int_equal(pql_context_set_policy(server, PQL_POLICY_CNSA_2_0, &err), PQL_E_POLICY);
    assert_non_null(strstr(err.message, "classical certificate"));
    assert_int_equal(pql_context_set_policy(server, (pql_policy)99, &err), PQL_E_USAGE);

    assert_int_equal(pql_context_policy(server), PQL_POLICY_HYBRID);
    assert_true(lives(&classical));
    assert_true(opens(off, first, &late));
    assert_int_equal(on_server.closed, 0);
    pql_link_unref(classical.link);
    pql_link_unref(late.link);
    pql_context_free(off);
    pql_context_free(server);
}

static void cnsa_wants_ml_dsa_87_of_every_identity(void **state)
{
    (void)state;
    pql_error err;
    pql_context *server = new_context(weak, PQL_POLICY_HYBRID, NULL);
    pql_context *strict = new_context(identity, PQL_POLICY_CNSA_2_0, NULL);
    end on_server = END;
    end mine = END;
    const pql_alpn alpn = {ALPN, PQL_LEAF_PQ};
    const pql_listen_opts listen = {.alpn = &alpn, .alpn_count = 1, .handlers = &server_handlers};
    const pql_peer peer = {.pins = pins, .pin_count = 1};
    const pql_peer authority = {.ca_file = "/etc/ssl/certs/ca-certificates.crt"};
    const pql_connect_opts opts = {.alpn = ALPN, .identity = weak, .handlers = &client_handlers};
    (void)listen_as(server, &on_server, PQL_LEAF_PQ);

    assert_int_equal(pql_context_set_policy(server, PQL_POLICY_CNSA_2_0, &err), PQL_E_POLICY);
    assert_non_null(strstr(err.message, "ML-DSA-65"));
    assert_int_equal(pql_context_set_identity(strict, weak, NULL, &err), PQL_OK); /* no listener */
    assert_int_equal(pql_listen(strict, "quic://127.0.0.1:0", &listen, NULL, &err), PQL_E_POLICY);
    assert_int_equal(pql_connect(strict, "quic://127.0.0.1:1", &peer, &opts, NULL, &err),
                     PQL_E_POLICY);
    const pql_connect_opts plain = {.alpn = ALPN, .handlers = &client_handlers, .user = &mine};
    assert_int_equal(pql_connect(strict, "quic://127.0.0.1:1", &authority, &plain, NULL, &err),
                     PQL_E_POLICY);
    pql_context_free(strict);
    pql_context_free(server);
}

/* ---- alerts, by what arrives ---- */

static void without_a_common_group_both_sides_read_what_to_change(void **state)
{
    (void)state;
    static const struct {
        pql_policy client, server;
        const char *for_client, *for_server;
    } table[] = {
        {PQL_POLICY_OFF, PQL_POLICY_PQ_ONLY, "set the policy to hybrid on this side",
         "policy pq-only takes"},
        {PQL_POLICY_PQ_ONLY, PQL_POLICY_OFF, "set the policy to hybrid on this side",
         "policy off takes"},
        {PQL_POLICY_HYBRID, PQL_POLICY_CNSA_2_0, "set the policy to cnsa-2.0 on this side",
         "policy cnsa-2.0 takes"},
        {PQL_POLICY_CNSA_2_0, PQL_POLICY_HYBRID, "set the policy to cnsa-2.0 on the server",
         "policy hybrid takes"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        end failures = END;
        end on_server = END;
        end e = END;
        pql_context *server = new_context(identity, table[i].server, &failures);
        pql_context *client = new_context(NULL, table[i].client, NULL);
        assert_false(opens(client, listen_as(server, &on_server, PQL_LEAF_PQ), &e));
        WAIT_UNTIL(&failures, failures.failed == 1);
        assert_int_equal(e.why.status, PQL_E_POLICY);
        assert_int_equal(e.why.code, CODE_HANDSHAKE_FAILURE);
        assert_non_null(strstr(e.why.reason, table[i].for_client));
        assert_int_equal(failures.failure.status, PQL_E_POLICY);
        assert_non_null(strstr(failures.failure.reason, table[i].for_server));
        assert_non_null(strstr(failures.failure.reason, "The client offers"));
        assert_int_not_equal(failures.posture.peer_groups, 0);
        pql_link_unref(e.link);
        pql_context_free(client);
        pql_context_free(server);
    }
}

static void without_a_common_signature_both_sides_read_what_to_change(void **state)
{
    (void)state;
    end failures = END;
    end on_server = END;
    end e = END;
    char url[64];
    pql_context *server = new_context(identity, PQL_POLICY_HYBRID, &failures);
    pql_context *client = new_context(NULL, PQL_POLICY_HYBRID, NULL);
    const pql_peer peer = {.pins = pins, .pin_count = 4};
    const pql_connect_opts opts = {
        .alpn = ALPN, .handlers = &client_handlers, .user = &e, .pq_authentication = true};
    (void)snprintf(url, sizeof(url), "quic://127.0.0.1:%u",
                   (unsigned)listen_as(server, &on_server, PQL_LEAF_CLASSICAL));
    assert_int_equal(pql_connect(client, url, &peer, &opts, NULL, NULL), PQL_OK);
    WAIT_UNTIL(&e, e.closed == 1);
    WAIT_UNTIL(&failures, failures.failed == 1);
    assert_int_equal(e.why.status, PQL_E_POLICY);
    assert_int_equal(e.why.code, CODE_HANDSHAKE_FAILURE);
    assert_non_null(strstr(e.why.reason, "signatures that this side can verify"));
    assert_int_equal(failures.failure.status, PQL_E_POLICY);
    assert_non_null(strstr(failures.failure.reason, "ecdsa_secp256r1_sha256"));
    assert_non_null(strstr(failures.failure.reason, "ML-DSA-87"));
    pql_context_free(client);
    pql_context_free(server);
}

static bool has_group(const pql_posture *posture, uint16_t group)
{
    for (unsigned i = 0; i < PQL_GROUP_COUNT; i++) {
        if (pql_group_at(i) == group) {
            return (posture->peer_groups & PQL_OFFER_BIT(i)) != 0;
        }
    }
    return false;
}

static void a_server_knows_what_was_supported_beside_what_was_negotiated(void **state)
{
    (void)state;
    end on_server = END;
    end e = END;
    pql_context *server = new_context(identity, PQL_POLICY_OFF, NULL);
    pql_context *client = new_context(NULL, PQL_POLICY_HYBRID, NULL);
    assert_true(opens(client, listen_as(server, &on_server, PQL_LEAF_PQ), &e));
    WAIT_UNTIL(&on_server, on_server.opened == 1);
    assert_int_equal(on_server.posture.group, 0x001d);
    assert_true(has_group(&on_server.posture, 0x001d));
    assert_true(has_group(&on_server.posture, 0x11ec)); /* it could have done better */
    assert_false(has_group(&on_server.posture, 0x0202));
    assert_int_not_equal(on_server.posture.peer_signatures, 0);
    assert_int_equal(e.posture.peer_groups, 0);
    assert_int_equal(e.posture.peer_signatures, 0);
    pql_link_unref(e.link);
    pql_context_free(client);
    pql_context_free(server);
}

/* ---- resumption ---- */

static bool resumes(pql_context *ctx, uint16_t port)
{
    end e = END;
    dial(ctx, port, &e, true);
    WAIT_UNTIL(&e, e.opened > 0 || e.closed > 0);
    assert_int_equal(e.opened, 1);
    (void)lives(&e); /* the ticket comes before the echo */
    (void)pql_link_run(e.link, hang_up, NULL);
    WAIT_UNTIL(&e, e.closed > 0);
    pql_link_unref(e.link);
    return e.posture.resumed;
}

static bool resumes_soon(pql_context *ctx, uint16_t port)
{
    bool resumed = false;
    for (unsigned i = 0; i < TRIES && !resumed; i++) {
        resumed = resumes(ctx, port);
    }
    return resumed;
}

static void sessions_of_a_weaker_policy_are_not_resumed_under_a_stronger_one(void **state)
{
    (void)state;
    static const pql_policy stronger[] = {PQL_POLICY_HYBRID, PQL_POLICY_PQ_ONLY,
                                          PQL_POLICY_CNSA_2_0};
    end on_server = END;
    pql_context *server = new_context(identity, PQL_POLICY_OFF, NULL);
    pql_context *client = new_context(NULL, PQL_POLICY_OFF, NULL);
    const uint16_t port = listen_as(server, &on_server, PQL_LEAF_PQ);
    assert_true(resumes_soon(client, port));
    for (size_t i = 0; i < sizeof(stronger) / sizeof(stronger[0]); i++) {
        assert_int_equal(pql_context_set_policy(server, stronger[i], NULL), PQL_OK);
        assert_int_equal(pql_context_set_policy(client, stronger[i], NULL), PQL_OK);
        assert_false(resumes(client, port)); /* although tickets are at hand */
        assert_true(resumes_soon(client, port));
    }
    pql_context_free(client);
    pql_context_free(server);
}

static void a_server_alone_refuses_tickets_of_its_weaker_time(void **state)
{
    (void)state;
    end on_server = END;
    pql_context *server = new_context(identity, PQL_POLICY_HYBRID, NULL);
    pql_context *client = new_context(NULL, PQL_POLICY_HYBRID, NULL);
    const uint16_t port = listen_as(server, &on_server, PQL_LEAF_PQ);
    assert_true(resumes_soon(client, port));
    assert_int_equal(pql_context_set_policy(server, PQL_POLICY_PQ_ONLY, NULL), PQL_OK);
    for (unsigned i = 0; i < 2; i++) {
        /* Both tickets of the link before, whichever the client shows. */
        if (!resumes(client, port)) {
            break;
        }
        assert_int_equal(i, 0);
    }
    assert_true(resumes_soon(client, port));
    assert_int_equal(pql_context_set_policy(server, PQL_POLICY_HYBRID, NULL), PQL_OK);
    assert_true(resumes_soon(client, port));
    pql_context_free(client);
    pql_context_free(server);
}

/* ---- during a handshake ---- */

/* Stands between client and server, and holds back what the server says until it is let go. */
typedef struct between {
    int front, back;
    struct sockaddr_in client;
    bool let_go;
    unsigned held, passed;
    size_t len[HELD_MAX];
    uint8_t data[HELD_MAX][DATAGRAM_MAX];
} between;

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static uint16_t between_open(between *b, uint16_t port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof(address);
    const struct sockaddr_in server = loopback(port);
    b->front = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    b->back = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(b->front, (struct sockaddr *)&address, len), 0);
    assert_int_equal(connect(b->back, (const struct sockaddr *)&server, sizeof(server)), 0);
    assert_int_equal(getsockname(b->front, (struct sockaddr *)&address, &len), 0);
    return ntohs(address.sin_port);
}

static void between_close(between *b)
{
    (void)close(b->front);
    (void)close(b->back);
}

static void pass_held(between *b)
{
    for (; b->passed < b->held; b->passed++) {
        (void)sendto(b->front, b->data[b->passed], b->len[b->passed], 0,
                     (const struct sockaddr *)&b->client, sizeof(b->client));
    }
}

/* Takes what is there, for a moment at most. */
static void between_turn(between *b)
{
    struct pollfd fds[2] = {{.fd = b->front, .events = POLLIN}, {.fd = b->back, .events = POLLIN}};
    uint8_t data[DATAGRAM_MAX];
    (void)poll(fds, 2, 10);
    socklen_t len = sizeof(b->client);
    ssize_t n = 0;
    while ((n = recvfrom(b->front, data, sizeof(data), 0, (struct sockaddr *)&b->client, &len)) >
           0) {
        (void)send(b->back, data, (size_t)n, 0);
    }
    while (b->held < HELD_MAX && (n = recv(b->back, b->data[b->held], DATAGRAM_MAX, 0)) > 0) {
        b->len[b->held++] = (size_t)n;
    }
    if (b->let_go) {
        pass_held(b);
        b->held = b->passed = 0;
    }
}

#define BETWEEN_UNTIL(b, e, condition)                                                             \
    do {                                                                                           \
        bool holds = false;                                                                        \
        while (!holds) {                                                                           \
            between_turn(b);                                                                       \
            pthread_mutex_lock(&(e)->lock);                                                        \
            holds = (condition);                                                                   \
            pthread_mutex_unlock(&(e)->lock);                                                      \
        }                                                                                          \
    } while (0)

static void a_handshake_under_way_does_not_slip_by_the_server(void **state)
{
    (void)state;
    end failures = END;
    end on_server = END;
    end e = END;
    between b = {0};
    pql_context *server = new_context(identity, PQL_POLICY_HYBRID, &failures);
    pql_context *off = new_context(NULL, PQL_POLICY_OFF, NULL);
    const uint16_t port = between_open(&b, listen_as(server, &on_server, PQL_LEAF_PQ));
    dial(off, port, &e, false);
    BETWEEN_UNTIL(&b, &e, b.held > 0); /* the server has agreed to X25519 */

    assert_int_equal(pql_context_set_policy(server, PQL_POLICY_PQ_ONLY, NULL), PQL_OK);
    b.let_go = true;

    BETWEEN_UNTIL(&b, &e, e.closed == 1);
    BETWEEN_UNTIL(&b, &failures, failures.failed == 1);
    assert_int_equal(on_server.opened, 0);
    assert_int_equal(failures.failure.status, PQL_E_POLICY);
    assert_non_null(strstr(failures.failure.reason, "pq-only"));
    assert_int_equal(e.why.code, CODE_INSUFFICIENT_SECURITY);
    assert_int_equal(e.why.status, PQL_E_POLICY);
    pql_link_unref(e.link);
    pql_context_free(off);
    pql_context_free(server);
    between_close(&b);
}

static void a_handshake_under_way_does_not_slip_by_the_client(void **state)
{
    (void)state;
    end failures = END;
    end on_server = END;
    end e = END;
    between b = {0};
    pql_context *off = new_context(identity, PQL_POLICY_OFF, &failures);
    pql_context *client = new_context(NULL, PQL_POLICY_HYBRID, NULL);
    const uint16_t port = between_open(&b, listen_as(off, &on_server, PQL_LEAF_PQ));
    dial(client, port, &e, false);
    BETWEEN_UNTIL(&b, &e, b.held > 0);

    assert_int_equal(pql_context_set_policy(client, PQL_POLICY_PQ_ONLY, NULL), PQL_OK);
    b.let_go = true;

    BETWEEN_UNTIL(&b, &e, e.closed == 1);
    BETWEEN_UNTIL(&b, &failures, failures.failed == 1);
    assert_int_equal(e.opened, 0);
    assert_int_equal(e.why.status, PQL_E_POLICY);
    assert_non_null(strstr(e.why.reason, "pq-only"));
    assert_int_equal(on_server.opened, 0);
    assert_int_equal(failures.failure.code, CODE_INSUFFICIENT_SECURITY);
    assert_true(failures.failure.by_peer);
    pql_link_unref(e.link);
    pql_context_free(client);
    pql_context_free(off);
    between_close(&b);
}

static void a_stronger_handshake_under_way_is_let_through(void **state)
{
    (void)state;
    end on_server = END;
    end e = END;
    between b = {0};
    pql_context *server = new_context(identity, PQL_POLICY_PQ_ONLY, NULL);
    pql_context *client = new_context(NULL, PQL_POLICY_PQ_ONLY, NULL);
    const uint16_t port = between_open(&b, listen_as(server, &on_server, PQL_LEAF_PQ));
    dial(client, port, &e, false);
    BETWEEN_UNTIL(&b, &e, b.held > 0);
    assert_int_equal(pql_context_set_policy(server, PQL_POLICY_OFF, NULL), PQL_OK);
    assert_int_equal(pql_context_set_policy(client, PQL_POLICY_OFF, NULL), PQL_OK);
    b.let_go = true;
    BETWEEN_UNTIL(&b, &e, e.opened == 1 || e.closed == 1);
    BETWEEN_UNTIL(&b, &on_server, on_server.opened == 1 || e.closed == 1);
    assert_int_equal(e.closed, 0);
    assert_true(e.posture.pq_key_exchange);
    pql_link_unref(e.link);
    pql_context_free(client);
    pql_context_free(server);
    between_close(&b);
}

/* ---- many at once ---- */

static void *change_policies(void *arg)
{
    static const pql_policy way[] = {PQL_POLICY_PQ_ONLY, PQL_POLICY_HYBRID, PQL_POLICY_CNSA_2_0,
                                     PQL_POLICY_OFF};
    for (unsigned i = 0; i < CHANGES; i++) {
        assert_int_equal(pql_context_set_policy(arg, way[i % 4], NULL), PQL_OK);
    }
    return NULL;
}

static void *change_identities(void *arg)
{
    for (unsigned i = 0; i < CHANGES; i++) {
        const bool even = i % 2 == 0;
        assert_int_equal(
            pql_context_set_identity(arg, even ? second : identity, even ? identity : second, NULL),
            PQL_OK);
    }
    return NULL;
}

/* Whatever order the changes and the links come in: once pq-only is set, no classical link is
 * left. */
static void after_many_changes_no_link_is_weaker_than_the_last_policy(void **state)
{
    (void)state;
    end on_server = END;
    end e = END;
    pthread_t threads[3];
    pql_context *server = new_context(identity, PQL_POLICY_HYBRID, NULL);
    pql_context *off = new_context(NULL, PQL_POLICY_OFF, NULL);
    const uint16_t port = listen_as(server, &on_server, PQL_LEAF_PQ);
    for (size_t i = 0; i < 3; i++) {
        void *(*const work)(void *) = i < 2 ? change_policies : change_identities;
        assert_int_equal(pthread_create(&threads[i], NULL, work, server), 0);
    }
    for (unsigned i = 0; i < LINKS; i++) {
        e.link = NULL;
        dial(off, port, &e, false);
        pql_link_unref(e.link);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(pql_context_set_policy(server, PQL_POLICY_PQ_ONLY, NULL), PQL_OK);
    WAIT_UNTIL(&e, e.closed == LINKS);
    WAIT_UNTIL(&on_server, on_server.closed == on_server.opened);
    pql_context_free(off);
    pql_context_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stronger_policy_ends_weaker_links_and_no_others),
        cmocka_unit_test(a_client_ends_its_weaker_links_too),
        cmocka_unit_test(going_back_closes_nothing_and_lets_classical_peers_in_again),
        cmocka_unit_test(cnsa_ends_what_has_less_than_ml_kem_1024),
        cmocka_unit_test(a_policy_that_one_listener_cannot_keep_changes_nothing),
        cmocka_unit_test(cnsa_wants_ml_dsa_87_of_every_identity),
        cmocka_unit_test(without_a_common_group_both_sides_read_what_to_change),
        cmocka_unit_test(without_a_common_signature_both_sides_read_what_to_change),
        cmocka_unit_test(a_server_knows_what_was_supported_beside_what_was_negotiated),
        cmocka_unit_test(sessions_of_a_weaker_policy_are_not_resumed_under_a_stronger_one),
        cmocka_unit_test(a_server_alone_refuses_tickets_of_its_weaker_time),
        cmocka_unit_test(a_handshake_under_way_does_not_slip_by_the_server),
        cmocka_unit_test(a_handshake_under_way_does_not_slip_by_the_client),
        cmocka_unit_test(a_stronger_handshake_under_way_is_let_through),
        cmocka_unit_test(after_many_changes_no_link_is_weaker_than_the_last_policy),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
