/* A QUIC server endpoint under the datagrams of strangers.
 *
 * Input: records of a four-byte head and a body.  Head: action and port (one byte: low two bits the
 * action, the rest the port), time step (one byte, in eighths of a second squared), length of the
 * body (two bytes, big-endian).  Actions: the body is a datagram; the body is a datagram padded to
 * 1200 bytes; the last answer of the server comes back with the body laid over it; only time
 * passes.
 *
 * Each port stands for an address that was never validated by a Retry or a finished handshake, so
 * to each at most three times the bytes that came from it may be sent (RFC 9000, 8.1). */
#include "base/clock.h"
#include "base/cursor.h"
#include "quic/endpoint.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PORTS 64
#define DATAGRAM_MAX 65507
#define INITIAL_MIN 1200
#define START (UINT64_C(1000) * PQI_NS_PER_SEC)
#define MAX_UNAUTHENTICATED 8
#define RETRY_THRESHOLD 3

static pql_identity *identity;
static pqi_quic_tls *tls;
static pqi_address server_address;

static struct {
    uint64_t random, now;
    size_t in[PORTS], out[PORTS];
    bool validated[PORTS]; /* a handshake with it was finished */
    size_t last_len;
    uint8_t last[DATAGRAM_MAX];
    unsigned accepted, closed;
} w;

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static bool send_out(void *user, const pqi_datagrams *run)
{
    (void)user;
    const unsigned port = pqi_address_port(&run->remote) - 1u;
    require(port < PORTS && run->len > 0 && run->segment > 0 && run->len <= DATAGRAM_MAX);
    w.out[port] += run->len;
    require(w.validated[port] || w.out[port] <= 3 * w.in[port]);
    w.last_len = run->len < run->segment ? run->len : run->segment;
    memcpy(w.last, run->data, w.last_len);
    return true;
}

static bool is_blocked(void *user)
{
    (void)user;
    return false;
}

static void random_bytes(void *user, uint8_t *bytes, size_t len)
{
    (void)user;
    for (size_t i = 0; i < len; i++) {
        w.random = w.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        bytes[i] = (uint8_t)(w.random >> 56);
    }
}

static void hand_over(void *user, unsigned worker, const pqi_datagrams *run)
{
    (void)user;
    (void)run;
    require(worker == 1);
}

static void rejected(void *user, const char *reason)
{
    (void)user;
    require(reason != NULL);
}

static void on_open(pqi_quic_conn *conn)
{
    w.validated[pqi_address_port(pqi_quic_conn_remote(conn)) - 1u] = true;
}

static void on_closed(pqi_quic_conn *conn, const pql_close *why)
{
    (void)conn;
    require(memchr(why->reason, '\0', sizeof(why->reason)) != NULL);
    w.closed++;
}

static void on_timer(pqi_quic_conn *conn, uint64_t now)
{
    (void)conn;
    (void)now;
}

static void on_stream(pqi_quic_stream *stream)
{
    (void)stream;
}

static void on_data(pqi_quic_stream *stream, const uint8_t *data, size_t len, bool fin)
{
    (void)pqi_quic_stream_write(stream, data, len, fin);
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
    w.accepted++;
    return &events;
}

static void make_once(void)
{
    static const pql_alpn alpn[] = {{"pqlink-miner/1", PQL_LEAF_PQ},
                                    {"quantus-miner/2", PQL_LEAF_CLASSICAL}};

    require(pql_identity_ephemeral(&identity, NULL, NULL) == PQL_OK);
    const pqi_quic_tls_opts opts = {
        .server = true, .identity = identity, .alpn = alpn, .alpn_count = 2};
    require(pqi_quic_tls_new(&tls, &opts, NULL) == PQL_OK);
    require(pqi_address_from_literal(&server_address, "192.0.2.1", 9833));
}

static pqi_quic_endpoint *new_server(void)
{
    pqi_quic_endpoint_opts opts = {.io = {.send = send_out,
                                          .blocked = is_blocked,
                                          .random = random_bytes,
                                          .hand_over = hand_over,
                                          .accept = on_accept,
                                          .rejected = rejected},
                                   .tls = tls,
                                   .server = true,
                                   .workers = 2,
                                   .wall_offset = UINT64_C(1700000000) * PQI_NS_PER_SEC,
                                   .max_links = 16,
                                   .max_unauthenticated = MAX_UNAUTHENTICATED,
                                   .retry_threshold = RETRY_THRESHOLD,
                                   .max_streams = 4,
                                   .idle_timeout = 60 * PQI_NS_PER_SEC,
                                   .handshake_timeout = 10 * PQI_NS_PER_SEC};
    memset(opts.secret, 7, sizeof(opts.secret));
    memset(&w, 0, sizeof(w));
    w.now = START;
    return pqi_quic_endpoint_new(&opts);
}

static void give(pqi_quic_endpoint *server, unsigned port, const uint8_t *data, size_t len)
{
    if (len == 0) {
        return;
    }
    /* A copy of its own, so that a read past its end is seen. */
    uint8_t *copy = malloc(len);
    require(copy != NULL);
    memcpy(copy, data, len);
    pqi_datagrams run = {.local = server_address, .data = copy, .len = len, .segment = len};
    require(pqi_address_from_literal(&run.remote, "198.51.100.7", (uint16_t)(port + 1)));
    w.in[port] += len;
    pqi_quic_endpoint_receive(server, &run, w.now);
    free(copy);
}

static void step(pqi_quic_endpoint *server, pqi_reader *script)
{
    static uint8_t datagram[DATAGRAM_MAX];
    const uint8_t head = pqi_read_u8(script);
    const uint64_t wait = pqi_read_u8(script);
    size_t len = pqi_read_u16(script);
    const unsigned port = head >> 2;
    len = len > pqi_reader_left(script) ? pqi_reader_left(script) : len;
    const uint8_t *body = pqi_read_bytes(script, len);
    size_t total = len > DATAGRAM_MAX ? DATAGRAM_MAX : len;
    w.now += wait * wait * (PQI_NS_PER_SEC / 64);
    memset(datagram, 0, INITIAL_MIN);
    if (head % 4 == 2) {
        memcpy(datagram, w.last, w.last_len);
    }
    if (total > 0) {
        memcpy(datagram, body, total);
    }
    if (head % 4 == 1 && total < INITIAL_MIN) {
        total = INITIAL_MIN;
    } else if (head % 4 == 2 && total < w.last_len) {
        total = w.last_len;
    }
    if (head % 4 != 3) {
        give(server, port, datagram, total);
    }
    pqi_quic_endpoint_flush(server, w.now);
    require(pqi_quic_endpoint_live(server) <= MAX_UNAUTHENTICATED + RETRY_THRESHOLD);
    require(pqi_quic_endpoint_deadline(server) > w.now ||
            pqi_quic_endpoint_live(server) + pqi_quic_endpoint_lingering(server) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (tls == NULL) {
        make_once();
    }
    pqi_quic_endpoint *server = new_server();
    pqi_reader script;
    require(server != NULL);
    pqi_reader_init(&script, data, size);
    while (pqi_reader_left(&script) > 0) {
        step(server, &script);
    }
    /* Whatever it was: it is over in the end, and nothing stays. */
    for (unsigned i = 0; i < 100 && !pqi_quic_endpoint_empty(server); i++) {
        w.now += 2 * PQI_NS_PER_SEC;
        pqi_quic_endpoint_flush(server, w.now);
    }
    require(pqi_quic_endpoint_empty(server));
    require(w.accepted == w.closed);
    pqi_quic_endpoint_free(server);
    return 0;
}
