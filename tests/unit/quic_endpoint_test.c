/* What a server endpoint does with the datagrams of strangers, one by one. */
#include "test.h"

#include "base/clock.h"
#include "quic/cid.h"
#include "quic/endpoint.h"

#include <ngtcp2/ngtcp2_crypto.h>
#include <stdio.h>
#include <string.h>

#define START (UINT64_C(1000) * PQI_NS_PER_SEC)
#define HELLO_DATAGRAMS 8
#define FLIGHT_DATAGRAMS 32
#define RETRY_THRESHOLD 128
#define DATAGRAM 1500
#define INITIAL_MIN 1200

static pql_identity *identity;
static pqi_quic_tls *server_tls, *client_tls;

/* What left the endpoint under test. */
static struct {
    bool blocked, fills; /* fills: one run is all that the socket takes */
    size_t bytes, count, last_len;
    uint8_t last[DATAGRAM];
    uint64_t random;
    unsigned accepted, closed, opened, handed_over, handed_to;
    const char *rejected;
} out;

/* The same for a client that reads it. */
static struct {
    size_t count;
    size_t len[FLIGHT_DATAGRAMS];
    uint8_t data[FLIGHT_DATAGRAMS][DATAGRAM];
} flight;

/* A real client's first flight. */
static struct {
    size_t count;
    size_t len[HELLO_DATAGRAMS];
    uint8_t data[HELLO_DATAGRAMS][DATAGRAM];
} hello;

static bool send_out(void *user, const pqi_datagrams *run)
{
    (void)user;
    out.bytes += run->len;
    out.count++;
    out.last_len = run->len < sizeof(out.last) ? run->len : sizeof(out.last);
    memcpy(out.last, run->data, out.last_len);
    out.blocked = out.fills;
    for (size_t at = 0; at < run->len && flight.count < FLIGHT_DATAGRAMS; at += run->segment) {
        const size_t left = run->len - at;
        flight.len[flight.count] = left < run->segment ? left : run->segment;
        memcpy(flight.data[flight.count], run->data + at, flight.len[flight.count]);
        flight.count++;
    }
    return true;
}

static bool keep_hello(void *user, const pqi_datagrams *run)
{
    (void)user;
    for (size_t at = 0; at < run->len && hello.count < HELLO_DATAGRAMS; at += run->segment) {
        const size_t left = run->len - at;
        hello.len[hello.count] = left < run->segment ? left : run->segment;
        memcpy(hello.data[hello.count], run->data + at, hello.len[hello.count]);
        hello.count++;
    }
    return true;
}

static bool is_blocked(void *user)
{
    (void)user;
    return out.blocked;
}

static void random_bytes(void *user, uint8_t *bytes, size_t len)
{
    (void)user;
    for (size_t i = 0; i < len; i++) {
        out.random = out.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        bytes[i] = (uint8_t)(out.random >> 56);
    }
}

static void hand_over(void *user, unsigned worker, const pqi_datagrams *run)
{
    (void)user;
    (void)run;
    out.handed_over++;
    out.handed_to = worker;
}

static void rejected(void *user, const char *reason)
{
    (void)user;
    out.rejected = reason;
}

static void on_open(pqi_quic_conn *conn)
{
    out.opened += pqi_quic_conn_is_server(conn) ? 1 : 0;
}

static void on_closed(pqi_quic_conn *conn, const pql_close *why)
{
    (void)why;
    out.closed += pqi_quic_conn_is_server(conn) ? 1 : 0;
}

static void on_timer(pqi_quic_conn *conn, uint64_t now)
{
    pqi_quic_conn_set_timer(conn, now); /* always due: must not hold the endpoint for ever */
}

static void on_stream(pqi_quic_stream *stream)
{
    (void)stream;
}

static void on_data(pqi_quic_stream *stream, const uint8_t *data, size_t len, bool fin)
{
    (void)stream;
    (void)data;
    (void)len;
    (void)fin;
}

static void on_stream_closed(pqi_quic_stream *stream, uint64_t code)
{
    (void)stream;
    (void)code;
}

static const pqi_quic_events events = {on_open, on_closed, on_timer,        on_stream,
                                       on_data, on_stream, on_stream_closed};

static const pqi_quic_events *on_accept(void *user, pqi_quic_conn *conn, void **owner)
{
    (void)user;
    (void)conn;
    (void)owner;
    out.accepted++;
    return &events;
}

static pqi_quic_endpoint_opts options(bool server)
{
    return (pqi_quic_endpoint_opts){.io = {.send = server ? send_out : keep_hello,
                                           .blocked = is_blocked,
                                           .random = random_bytes,
                                           .hand_over = hand_over,
                                           .accept = on_accept,
                                           .rejected = rejected},
                                    .tls = server ? server_tls : client_tls,
                                    .server = server,
                                    .workers = 1,
                                    .wall_offset = UINT64_C(1700000000) * PQI_NS_PER_SEC,
                                    .max_links = 10000,
                                    .max_unauthenticated = 1024,
                                    .retry_threshold = RETRY_THRESHOLD,
                                    .max_streams = 16,
                                    .idle_timeout = 60 * PQI_NS_PER_SEC,
                                    .handshake_timeout = 10 * PQI_NS_PER_SEC};
}

static pqi_quic_endpoint *new_server(void)
{
    const pqi_quic_endpoint_opts opts = options(true);
    memset(&out, 0, sizeof(out));
    return pqi_quic_endpoint_new(&opts);
}

static pqi_address address_of(const char *host, uint16_t port)
{
    pqi_address address;
    assert_true(pqi_address_from_literal(&address, host, port));
    return address;
}

static void give_from(pqi_quic_endpoint *server, const char *host, uint16_t port,
                      const uint8_t *data, size_t len, uint64_t now)
{
    const pqi_datagrams run = {.local = address_of("192.0.2.1", 9833),
                               .remote = address_of(host, port),
                               .data = data,
                               .len = len,
                               .segment = len};
    pqi_quic_endpoint_receive(server, &run, now);
    pqi_quic_endpoint_flush(server, now);
}

static void give(pqi_quic_endpoint *server, const uint8_t *data, size_t len, uint16_t port,
                 uint64_t now)
{
    give_from(server, "198.51.100.7", port, data, len, now);
}

/* Each datagram as full as an Initial has to be. */
static void fill_up_hello(void)
{
    for (size_t i = 0; i < hello.count; i++) {
        if (hello.len[i] < INITIAL_MIN) {
            memset(hello.data[i] + hello.len[i], 0, INITIAL_MIN - hello.len[i]);
            hello.len[i] = INITIAL_MIN;
        }
    }
}

/* A different client each time: random connection IDs make a different first flight.  With |bye| it
 * closes the connection behind it. */
static void hello_of(const pqi_quic_endpoint_opts *opts, bool bye)
{
    const pqi_address local = address_of("198.51.100.7", 1);
    const pqi_address remote = address_of("192.0.2.1", 9833);
    pqi_quic_conn *conn = NULL;
    hello.count = 0;
    pqi_quic_endpoint *client = pqi_quic_endpoint_new(opts);
    assert_int_equal(pqi_quic_endpoint_connect(client, &local, &remote, "h.example",
                                               "h.example:9833", &events, NULL, START, &conn, NULL),
                     PQL_OK);
    pqi_quic_endpoint_flush(client, START);
    assert_true(hello.count >= 2);
    if (bye) {
        const size_t before = hello.count;
        pqi_quic_conn_close(conn, 0, NULL);
        pqi_quic_endpoint_flush(client, START);
        assert_true(hello.count > before);
        fill_up_hello();
    }
    pqi_quic_endpoint_free(client);
}

static void new_hello(void)
{
    const pqi_quic_endpoint_opts opts = options(false);
    hello_of(&opts, false);
}

/* Spoofed in the name of |host|: a first flight and its end. */
static void hello_and_bye(pqi_quic_endpoint *server, const char *host, uint64_t now)
{
    const pqi_quic_endpoint_opts opts = options(false);
    hello_of(&opts, true);
    for (size_t i = 0; i < hello.count; i++) {
        give_from(server, host, 1, hello.data[i], hello.len[i], now);
    }
    assert_int_equal(pqi_quic_endpoint_live(server), 0);
}

/* An honest client of |host| talks to |server| until their link is open on both sides, and is gone.
 */
static void meet(pqi_quic_endpoint *server, const char *host, uint64_t now)
{
    const pqi_quic_endpoint_opts opts = options(false);
    const pqi_address local = address_of(host, 1);
    const pqi_address remote = address_of("192.0.2.1", 9833);
    pqi_quic_conn *conn = NULL;
    hello.count = 0;
    pqi_quic_endpoint *client = pqi_quic_endpoint_new(&opts);
    assert_int_equal(pqi_quic_endpoint_connect(client, &local, &remote, "h.example",
                                               "h.example:9833", &events, NULL, now, &conn, NULL),
                     PQL_OK);
    pqi_quic_endpoint_flush(client, now);
    const unsigned before = out.opened;
    for (const uint64_t end = now + PQI_NS_PER_SEC; out.opened == before && now < end;
         now += PQI_NS_PER_MS) {
        flight.count = 0;
        for (size_t i = 0; i < hello.count; i++) {
            give_from(server, host, 1, hello.data[i], hello.len[i], now);
        }
        pqi_quic_endpoint_flush(server, now);
        hello.count = 0;
        for (size_t i = 0; i < flight.count; i++) {
            const pqi_datagrams run = {.local = local,
                                       .remote = remote,
                                       .data = flight.data[i],
                                       .len = flight.len[i],
                                       .segment = flight.len[i]};
            pqi_quic_endpoint_receive(client, &run, now);
        }
        pqi_quic_endpoint_flush(client, now);
    }
    pqi_quic_endpoint_free(client);
}

/* The first flight of a client that was here before, with the token that |server| gave it. */
static void hello_with_token(const pqi_quic_endpoint_opts *server, const char *host)
{
    uint8_t token[NGTCP2_CRYPTO_MAX_REGULAR_TOKENLEN];
    pqi_quic_endpoint_opts opts = options(false);
    const pqi_address remote = address_of(host, 1);
    const ngtcp2_ssize len = ngtcp2_crypto_generate_regular_token(
        token, server->secret, sizeof(server->secret), (const ngtcp2_sockaddr *)&remote.sa.any,
        remote.len, START + server->wall_offset);
    assert_true(len > 0);
    opts.token = token;
    opts.token_len = (size_t)len;
    hello_of(&opts, false);
}

static int set_up(void **state)
{
    static const pql_alpn alpn = {"test/1", PQL_LEAF_PQ};
    static const pql_peer anybody = {.insecure = true};
    (void)state;
    if (pql_identity_ephemeral(&identity, NULL, NULL) != PQL_OK) {
        return -1;
    }
    const pqi_quic_tls_opts server = {
        .server = true, .identity = identity, .alpn = &alpn, .alpn_count = 1};
    const pqi_quic_tls_opts client = {.alpn = &alpn, .alpn_count = 1, .peer = &anybody};
    return pqi_quic_tls_new(&server_tls, &server, NULL) == PQL_OK &&
                   pqi_quic_tls_new(&client_tls, &client, NULL) == PQL_OK
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    pqi_quic_tls_free(server_tls);
    pqi_quic_tls_free(client_tls);
    pql_identity_free(identity);
    return 0;
}

static void an_initial_with_a_short_destination_id_leaves_nothing_behind(void **state)
{
    (void)state;
    pqi_quic_endpoint *server = new_server();
    for (uint8_t id_len = 0; id_len < 8; id_len++) {
        uint8_t packet[INITIAL_MIN] = {0xc0, 0, 0, 0, 1, id_len};
        size_t at = 6 + (size_t)id_len;
        packet[at++] = 0; /* no source ID */
        packet[at++] = 1; /* a token of one byte */
        packet[at++] = 0x7f;
        packet[at++] = 0x44; /* length 1024 in two bytes */
        packet[at++] = 0x00;
        give(server, packet, sizeof(packet), 1000, START);
        give(server, packet, sizeof(packet), 1000, START + 1);
    }
    assert_int_equal(out.accepted, 0);
    assert_int_equal(out.count, 0);
    assert_true(pqi_quic_endpoint_empty(server));
    pqi_quic_endpoint_free(server);
}

static void a_reset_is_shorter_than_what_it_answers(void **state)
{
    (void)state;
    pqi_quic_endpoint *server = new_server();
    uint8_t packet[100] = {0x40};
    uint64_t now = START;
    for (size_t len = 1; len <= sizeof(packet); len++) {
        const size_t before = out.bytes;
        now += PQI_NS_PER_SEC;
        give(server, packet, len, 1000, now);
        assert_true(out.bytes == before || out.last_len < len);
        assert_true((out.bytes > before) == (len > 21));
    }
    pqi_quic_endpoint_free(server);
}

static void two_servers_do_not_answer_each_other_for_ever(void **state)
{
    (void)state;
    pqi_quic_endpoint *server = new_server();
    uint8_t packet[DATAGRAM] = {0x40};
    size_t len = sizeof(packet);
    unsigned answers = 0;
    for (size_t before = 0;; before = out.count) {
        give(server, packet, len, 1000, START + answers * PQI_NS_PER_SEC);
        if (out.count == before) {
            break;
        }
        answers++;
        assert_true(answers < 50);
        len = out.last_len;
        memcpy(packet, out.last, len);
    }
    assert_true(answers > 0);
    pqi_quic_endpoint_free(server);
}

static void a_version_negotiation_packet_is_not_answered(void **state)
{
    (void)state;
    pqi_quic_endpoint *server = new_server();
    uint8_t packet[60] = {0x80, 0, 0, 0, 0, 8};
    give(server, packet, sizeof(packet), 1000, START + PQI_NS_PER_SEC);
    assert_int_equal(out.count, 0);
    pqi_quic_endpoint_free(server);
}

static void an_unknown_version_is_negotiated_only_when_the_datagram_is_full(void **state)
{
    (void)state;
    pqi_quic_endpoint *server = new_server();
    uint8_t packet[INITIAL_MIN] = {0xc0, 0xfa, 0xfa, 0xfa, 0xfa, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0};
    give(server, packet, sizeof(packet) - 1, 1000, START);
    assert_int_equal(out.count, 0);
    give(server, packet, sizeof(packet), 1000, START);
    assert_int_equal(out.count, 1);
    assert_true(out.bytes < 100);
    pqi_quic_endpoint_free(server);
}

static void version_2_is_negotiated_down_although_the_library_knows_it(void **state)
{
    (void)state;
    static const uint8_t version_2[] = {0x6b, 0x33, 0x43, 0xcf}; /* RFC 9369, 3.1 */
    pqi_quic_endpoint *server = new_server();
    new_hello();
    memcpy(hello.data[0] + 1, version_2, sizeof(version_2));
    hello.data[0][0] = 0xd0; /* RFC 9369, 3.2: an Initial of version 2 */
    give(server, hello.data[0], hello.len[0], 1000, START);
    assert_int_equal(out.accepted, 0);
    assert_int_equal(out.count, 1);
    assert_int_equal(pqi_quic_endpoint_counters(server).version_negotiations, 1);
    /* The version of the answer is 0, and all that it offers is version 1. */
    assert_memory_equal(out.last + 1, "\0\0\0\0", 4);
    assert_memory_equal(out.last + out.last_len - 4, "\0\0\0\1", 4);
    pqi_quic_endpoint_free(server);
}

static void an_unknown_version_may_have_connection_ids_of_255_bytes(void **state)
{
    (void)state;
    pqi_quic_endpoint *server = new_server();
    uint8_t packet[INITIAL_MIN] = {0xc0, 0xfa, 0xfa, 0xfa, 0xfa, 255};
    packet[6 + 255] = 255; /* behind the destination ID: length of the source ID */
    give(server, packet, sizeof(packet), 1000, START);
    assert_int_equal(out.count, 1);
    assert_int_equal(out.last_len, 1 + 4 + 2 * (1 + 255) + 4);
    pqi_quic_endpoint_free(server);
}

static void a_flood_of_spoofed_addresses_is_bounded_in_state_and_bytes(void **state)
{
    (void)state;
    pqi_quic_endpoint *server = new_server();
    size_t in = 0;
    new_hello();
    for (unsigned i = 0; i < 100000; i++) {
        /* Nobody can tell two IDs that differ from two clients: the keys do not matter to Retry. */
        if (i < 200) {
            new_hello();
        } else {
            memcpy(hello.data[0] + 6, &i, sizeof(i));
        }
        in += hello.len[0];
        char host[32];
        (void)snprintf(host, sizeof(host), "198.%u.%u.%u", i >> 16, (i >> 8) & 0xff, i & 0xff);
        give_from(server, host, (uint16_t)(1 + i % 60000), hello.data[0], hello.len[0], START + i);
        assert_true(pqi_quic_endpoint_live(server) <= 128);
    }
    assert_int_equal(pqi_quic_endpoint_live(server), 128);
    const pqi_quic_counters counters = pqi_quic_endpoint_counters(server);
    assert_int_equal(counters.accepted, 128);
    assert_int_equal(counters.retries, 100000 - 128);
    assert_true(out.bytes < in);
    /* Those that never answer are given up, and nothing of them stays. */
    pqi_quic_endpoint_flush(server, START + 11 * PQI_NS_PER_SEC);
    assert_int_equal(out.closed, 128);
    pqi_quic_endpoint_flush(server, START + 12 * PQI_NS_PER_SEC);
    assert_true(pqi_quic_endpoint_empty(server));
    assert_true(out.bytes <= 3 * in);
    pqi_quic_endpoint_free(server);
}

static void one_address_must_prove_itself_from_64_half_open_handshakes(void **state)
{
    (void)state;
    pqi_quic_endpoint *server = new_server();
    for (uint16_t i = 0; i < PQI_QUIC_UNPROVEN_MAX + 20; i++) {
        new_hello();
        give(server, hello.data[0], hello.len[0], (uint16_t)(1 + i), START);
    }
    assert_int_equal(pqi_quic_endpoint_live(server), PQI_QUIC_UNPROVEN_MAX);
    assert_int_equal(pqi_quic_endpoint_counters(server).retries, 20);
    /* Others are not asked. */
    new_hello();
    give_from(server, "198.51.100.8", 1, hello.data[0], hello.len[0], START);
    assert_int_equal(pqi_quic_endpoint_live(server), PQI_QUIC_UNPROVEN_MAX + 1);
    /* Nor is it once its handshakes are given up. */
    pqi_quic_endpoint_flush(server, START + 11 * PQI_NS_PER_SEC);
    new_hello();
    give(server, hello.data[0], hello.len[0], 1, START + 11 * PQI_NS_PER_SEC);
    assert_int_equal(pqi_quic_endpoint_counters(server).retries, 20);
    pqi_quic_endpoint_free(server);
}

static void strangers_who_end_their_handshakes_meet_retry_all_the_same(void **state)
{
    (void)state;
    pqi_quic_endpoint *server = new_server();
    char host[32];
    for (unsigned i = 0; i < 2 * RETRY_THRESHOLD; i++) {
        (void)snprintf(host, sizeof(host), "198.18.%u.%u", i >> 8, i & 0xff);
        hello_and_bye(server, host, START + i);
        assert_int_equal(out.accepted, i < RETRY_THRESHOLD ? i + 1 : RETRY_THRESHOLD);
        assert_true((pqi_quic_endpoint_counters(server).retries > 0) == (i >= RETRY_THRESHOLD));
    }
    assert_int_equal(out.closed, RETRY_THRESHOLD);
    /* Who is where he says he is gets in. */
    const uint64_t retries = pqi_quic_endpoint_counters(server).retries;
    meet(server, "198.51.100.7", START + PQI_NS_PER_SEC);
    assert_int_equal(out.opened, 1);
    assert_true(pqi_quic_endpoint_counters(server).retries > retries);
    pqi_quic_endpoint_close_all(server, 0, "enough");
    pqi_quic_endpoint_flush(server, START + 2 * PQI_NS_PER_SEC);
    /* As many again once their time is over, and not before. */
    hello_and_bye(server, "198.18.2.1", START + 9 * PQI_NS_PER_SEC);
    assert_int_equal(out.accepted, RETRY_THRESHOLD + 1);
    for (unsigned i = 0; i < 2 * RETRY_THRESHOLD; i++) {
        (void)snprintf(host, sizeof(host), "198.19.%u.%u", i >> 8, i & 0xff);
        hello_and_bye(server, host, START + 11 * PQI_NS_PER_SEC);
    }
    assert_int_equal(out.accepted, 2 * RETRY_THRESHOLD + 1);
    pqi_quic_endpoint_free(server);
}

static void one_address_that_ends_its_handshakes_must_prove_itself_too(void **state)
{
    (void)state;
    pqi_quic_endpoint *server = new_server();
    for (unsigned i = 0; i < PQI_QUIC_UNPROVEN_MAX + 20; i++) {
        hello_and_bye(server, "198.51.100.7", START);
    }
    assert_int_equal(out.accepted, PQI_QUIC_UNPROVEN_MAX);
    hello_and_bye(server, "198.51.100.8", START);
    assert_int_equal(out.accepted, PQI_QUIC_UNPROVEN_MAX + 1);
    hello_and_bye(server, "198.51.100.7", START + 11 * PQI_NS_PER_SEC);
    assert_int_equal(out.accepted, PQI_QUIC_UNPROVEN_MAX + 2);
    pqi_quic_endpoint_free(server);
}

static void rubbish_that_looks_like_a_first_flight_counts_as_one(void **state)
{
    (void)state;
    pqi_quic_endpoint *server = new_server();
    for (unsigned i = 0; i < PQI_QUIC_UNPROVEN_MAX + 1; i++) {
        new_hello();
        hello.data[0][hello.len[0] - 1] ^= 1;
        give(server, hello.data[0], hello.len[0], 1, START);
    }
    assert_int_equal(out.accepted, 0);
    assert_int_equal(pqi_quic_endpoint_counters(server).retries, 1);
    pqi_quic_endpoint_free(server);
}

static void what_is_counted_has_a_bound_where_the_threshold_has_none(void **state)
{
    (void)state;
    pqi_quic_endpoint_opts opts = options(true);
    opts.retry_threshold = SIZE_MAX;
    memset(&out, 0, sizeof(out));
    pqi_quic_endpoint *server = pqi_quic_endpoint_new(&opts);
    new_hello();
    for (unsigned i = 0; i < PQI_QUIC_STARTS_MAX + 10; i++) {
        char host[32];
        (void)snprintf(host, sizeof(host), "198.18.%u.%u", i >> 8, i & 0xff);
        memcpy(hello.data[0] + 6, &i, sizeof(i)); /* another client's ID: the keys are wrong */
        give_from(server, host, 1, hello.data[0], hello.len[0], START);
    }
    assert_int_equal(pqi_quic_endpoint_counters(server).retries, 10);
    pqi_quic_endpoint_free(server);
}

static void clients_that_complete_one_after_the_other_meet_no_retry(void **state)
{
    (void)state;
    enum { THRESHOLD = 16, CLIENTS = 10 * THRESHOLD };
    pqi_quic_endpoint_opts opts = options(true);
    opts.retry_threshold = THRESHOLD;
    memset(&out, 0, sizeof(out));
    pqi_quic_endpoint *server = pqi_quic_endpoint_new(&opts);
    hello_and_bye(server, "198.18.0.1", START); /* stays counted before the others */
    for (unsigned i = 1; i <= CLIENTS; i++) {
        meet(server, "198.51.100.7", START + i * 20 * PQI_NS_PER_MS);
        assert_int_equal(out.opened, i);
    }
    assert_int_equal(pqi_quic_endpoint_counters(server).retries, 0);
    pqi_quic_endpoint_free(server);
}

static void a_proven_address_gets_its_share_of_the_places_and_no_more(void **state)
{
    (void)state;
    pqi_quic_endpoint_opts opts = options(true);
    opts.max_unauthenticated = 200;
    memset(&out, 0, sizeof(out));
    pqi_quic_endpoint *server = pqi_quic_endpoint_new(&opts);
    for (unsigned i = 0; i < 150; i++) {
        hello_with_token(&opts, "198.51.100.7");
        give(server, hello.data[0], hello.len[0], (uint16_t)(1 + i), START);
    }
    assert_int_equal(pqi_quic_endpoint_live(server), 100); /* as many as there are free */
    const size_t answers = out.count;
    hello_with_token(&opts, "198.51.100.7");
    give(server, hello.data[0], hello.len[0], 999, START);
    assert_int_equal(out.count, answers); /* silence */
    assert_string_equal(out.rejected, "address");
    hello_with_token(&opts, "198.51.100.8");
    give_from(server, "198.51.100.8", 1, hello.data[0], hello.len[0], START);
    assert_int_equal(pqi_quic_endpoint_live(server), 101);
    pqi_quic_endpoint_free(server);
}

static void an_address_with_all_its_links_is_refused(void **state)
{
    (void)state;
    static const uint8_t key[16];
    const pqi_address crowded = address_of("198.51.100.7", 5);
    pqi_quic_endpoint_opts opts = options(true);
    opts.link_sources = pqi_sources_new(key);
    opts.max_links_per_address = 2;
    memset(&out, 0, sizeof(out));
    pqi_quic_endpoint *server = pqi_quic_endpoint_new(&opts);
    pqi_source *one = pqi_sources_add(opts.link_sources, &crowded, 2);
    pqi_source *two = pqi_sources_add(opts.link_sources, &crowded, 2);
    new_hello();
    give(server, hello.data[0], hello.len[0], 1, START);
    assert_int_equal(out.accepted, 0);
    assert_string_equal(out.rejected, "address");
    assert_true(out.bytes < 100); /* CONNECTION_REFUSED */
    give_from(server, "198.51.100.8", 1, hello.data[0], hello.len[0], START);
    assert_int_equal(out.accepted, 1);
    pqi_sources_remove(opts.link_sources, one);
    new_hello();
    give(server, hello.data[0], hello.len[0], 1, START);
    assert_int_equal(out.accepted, 2);
    pqi_sources_remove(opts.link_sources, two);
    pqi_quic_endpoint_free(server);
    pqi_sources_free(opts.link_sources);
}

static void a_stale_or_foreign_retry_token_is_no_proof(void **state)
{
    (void)state;
    pqi_quic_endpoint_opts opts = options(true);
    opts.retry_threshold = 0;
    memset(&out, 0, sizeof(out));
    pqi_quic_endpoint *server = pqi_quic_endpoint_new(&opts);
    new_hello();
    give(server, hello.data[0], hello.len[0], 1000, START);
    assert_int_equal(pqi_quic_endpoint_counters(server).retries, 1);
    /* Build an Initial with the token of that Retry, from another port. */
    const size_t scid_at = 6 + (size_t)out.last[5] + 1;
    const size_t token_at = scid_at + out.last[scid_at - 1];
    const size_t token_len = out.last_len - token_at - 16;
    uint8_t packet[INITIAL_MIN] = {0xc0, 0, 0, 0, 1, 8};
    size_t at = 6;
    memcpy(packet + at, out.last + scid_at, 8);
    at += 8;
    packet[at++] = 0;
    packet[at++] = (uint8_t)(0x40 | (token_len >> 8));
    packet[at++] = (uint8_t)token_len;
    memcpy(packet + at, out.last + token_at, token_len);
    at += token_len;
    packet[at++] = 0x44;
    packet[at++] = 0x00;
    give(server, packet, sizeof(packet), 2000, START + 1);
    assert_int_equal(out.accepted, 0);
    assert_string_equal(out.rejected, "token");
    give(server, packet, sizeof(packet), 1000, START + 11 * PQI_NS_PER_SEC);
    assert_int_equal(out.accepted, 0);
    assert_int_equal(pqi_quic_endpoint_counters(server).refused, 2);
    pqi_quic_endpoint_free(server);
}

static void lingering_connections_are_bounded(void **state)
{
    (void)state;
    pqi_quic_endpoint_opts opts = options(true);
    opts.retry_threshold = SIZE_MAX;
    opts.max_unauthenticated = SIZE_MAX;
    memset(&out, 0, sizeof(out));
    pqi_quic_endpoint *server = pqi_quic_endpoint_new(&opts);
    const unsigned count = PQI_QUIC_LINGERING_MAX + 50;
    for (unsigned i = 0; i < count; i++) {
        char host[32];
        (void)snprintf(host, sizeof(host), "198.51.%u.%u", i >> 8, i & 0xff);
        new_hello();
        give_from(server, host, 1000, hello.data[0], hello.len[0], START);
        pqi_quic_endpoint_close_all(server, 7, "enough");
        pqi_quic_endpoint_flush(server, START);
        assert_int_equal(pqi_quic_endpoint_live(server), 0);
    }
    assert_int_equal(out.closed, count);
    assert_int_equal(pqi_quic_endpoint_lingering(server), PQI_QUIC_LINGERING_MAX);
    pqi_quic_endpoint_flush(server, START + 11 * PQI_NS_PER_SEC);
    assert_true(pqi_quic_endpoint_empty(server));
    pqi_quic_endpoint_free(server);
}

static void connections_that_found_the_socket_full_write_when_it_has_room(void **state)
{
    (void)state;
    pqi_quic_endpoint *server = new_server();
    for (uint16_t i = 0; i < 3; i++) {
        out.blocked = false; /* the client of new_hello shares the flag */
        new_hello();
        out.blocked = true;
        give(server, hello.data[0], hello.len[0], (uint16_t)(1000 + i), START);
    }
    assert_int_equal(out.count, 0);
    out.fills = true;
    for (size_t i = 1; i <= 3; i++) {
        out.blocked = false;
        assert_int_equal(pqi_quic_endpoint_deadline(server), 0);
        pqi_quic_endpoint_flush(server, START);
        assert_int_equal(out.count, i);
    }
    pqi_quic_endpoint_free(server);
}

static void a_timer_that_is_always_due_does_not_hold_the_endpoint(void **state)
{
    (void)state;
    const pqi_quic_endpoint_opts opts = options(false);
    const pqi_address address = address_of("192.0.2.1", 9833);
    pqi_quic_conn *conn = NULL;
    hello.count = 0;
    out.blocked = false;
    pqi_quic_endpoint *client = pqi_quic_endpoint_new(&opts);
    assert_int_equal(pqi_quic_endpoint_connect(client, &address, &address, "h.example",
                                               "h.example:9833", &events, NULL, START, &conn, NULL),
                     PQL_OK);
    pqi_quic_conn_set_timer(conn, START);
    pqi_quic_endpoint_flush(client, START);
    assert_true(pqi_quic_endpoint_deadline(client) <= START);
    assert_true(hello.count >= 2);
    pqi_quic_endpoint_free(client);
}

static void a_time_that_goes_back_stands_still(void **state)
{
    (void)state;
    const pqi_address local = address_of("198.51.100.7", 1);
    const pqi_address remote = address_of("192.0.2.1", 9833);
    const pqi_quic_endpoint_opts opts = options(false);
    pqi_quic_conn *conn = NULL;
    pqi_quic_endpoint *client = pqi_quic_endpoint_new(&opts);
    hello.count = 0;
    assert_int_equal(pqi_quic_endpoint_connect(client, &local, &remote, "h.example",
                                               "h.example:9833", &events, NULL, START, &conn, NULL),
                     PQL_OK);
    pqi_quic_endpoint_flush(client, START - PQI_NS_PER_SEC); /* ngtcp2 would abort */
    assert_true(hello.count >= 2);
    assert_true(pqi_quic_endpoint_deadline(client) > START);
    pqi_quic_endpoint_free(client);
}

static void a_datagram_of_another_worker_is_handed_over(void **state)
{
    (void)state;
    pqi_quic_endpoint_opts opts = options(true);
    opts.workers = 4;
    opts.worker = 1;
    memset(&out, 0, sizeof(out));
    pqi_quic_endpoint *server = pqi_quic_endpoint_new(&opts);
    uint8_t packet[60] = {0x40, 7};
    give(server, packet, sizeof(packet), 1000, START + PQI_NS_PER_SEC);
    assert_int_equal(out.handed_over, 1);
    assert_int_equal(out.handed_to, 3);
    assert_int_equal(out.count, 0);
    packet[1] = 5;
    give(server, packet, sizeof(packet), 1000, START + 2 * PQI_NS_PER_SEC);
    assert_int_equal(out.handed_over, 1);
    assert_int_equal(out.count, 1);
    pqi_quic_endpoint_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_initial_with_a_short_destination_id_leaves_nothing_behind),
        cmocka_unit_test(a_reset_is_shorter_than_what_it_answers),
        cmocka_unit_test(two_servers_do_not_answer_each_other_for_ever),
        cmocka_unit_test(a_version_negotiation_packet_is_not_answered),
        cmocka_unit_test(an_unknown_version_is_negotiated_only_when_the_datagram_is_full),
        cmocka_unit_test(version_2_is_negotiated_down_although_the_library_knows_it),
        cmocka_unit_test(an_unknown_version_may_have_connection_ids_of_255_bytes),
        cmocka_unit_test(a_flood_of_spoofed_addresses_is_bounded_in_state_and_bytes),
        cmocka_unit_test(one_address_must_prove_itself_from_64_half_open_handshakes),
        cmocka_unit_test(strangers_who_end_their_handshakes_meet_retry_all_the_same),
        cmocka_unit_test(one_address_that_ends_its_handshakes_must_prove_itself_too),
        cmocka_unit_test(rubbish_that_looks_like_a_first_flight_counts_as_one),
        cmocka_unit_test(what_is_counted_has_a_bound_where_the_threshold_has_none),
        cmocka_unit_test(clients_that_complete_one_after_the_other_meet_no_retry),
        cmocka_unit_test(a_proven_address_gets_its_share_of_the_places_and_no_more),
        cmocka_unit_test(an_address_with_all_its_links_is_refused),
        cmocka_unit_test(a_stale_or_foreign_retry_token_is_no_proof),
        cmocka_unit_test(lingering_connections_are_bounded),
        cmocka_unit_test(connections_that_found_the_socket_full_write_when_it_has_room),
        cmocka_unit_test(a_timer_that_is_always_due_does_not_hold_the_endpoint),
        cmocka_unit_test(a_time_that_goes_back_stands_still),
        cmocka_unit_test(a_datagram_of_another_worker_is_handed_over),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
