/* A QUIC server endpoint under the datagrams of strangers.
 *
 * Input: records of a four-byte head and a body.  Head: action and port (one byte: low two bits the
 * action, the rest the port), time step (one byte, in eighths of a second squared), length of the
 * body (two bytes, big-endian).  Actions: the body is a datagram; the body is a datagram padded to
 * 1200 bytes; the last answer of the server comes back with the body laid over it; and an Initial
 * that is sealed as anybody can (RFC 9001, 5.2), the body being its connection ID (8 bytes), its
 * packet number (1) and its frames, or, with a shorter body, only time passes.
 *
 * Each port stands for an address that was never validated by a Retry or a finished handshake, so
 * to each at most three times the bytes that came from it may be sent (RFC 9000, 8.1). */
#include "base/clock.h"
#include "base/cursor.h"
#include "quic/endpoint.h"

#include <openssl/aead.h>
#include <openssl/aes.h>
#include <openssl/digest.h>
#include <openssl/hkdf.h>

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

#define CID_LEN 8
/* First byte, version, length and ID; no source ID, no token; two bytes of length; packet number.
 */
#define INITIAL_HEAD (6 + CID_LEN + 1 + 1 + 2 + 1)
#define LENGTH_AT (INITIAL_HEAD - 3)
#define SAMPLE_AT (INITIAL_HEAD - 1 + 4)
#define TAG_LEN 16
#define HASH_LEN 32
#define IV_LEN 12
#define KEY_LEN 16
#define FRAMES_MAX 4096

/* HKDF-Expand-Label of TLS 1.3 with SHA-256 and no context. */
static void expand(uint8_t *key, size_t len, const uint8_t secret[HASH_LEN], const char *label)
{
    uint8_t info[40] = {0,   (uint8_t)len, (uint8_t)(6 + strlen(label)), 't', 'l', 's', '1',
                        '3', ' '};
    memcpy(info + 9, label, strlen(label));
    require(HKDF_expand(key, len, EVP_sha256(), secret, HASH_LEN, info, 10 + strlen(label)) == 1);
}

static size_t seal(uint8_t *out, const uint8_t client[HASH_LEN], uint8_t number,
                   const uint8_t *plain, size_t len)
{
    uint8_t key[KEY_LEN], iv[IV_LEN];
    EVP_AEAD_CTX ctx;
    size_t sealed = 0;
    expand(key, sizeof(key), client, "quic key");
    expand(iv, sizeof(iv), client, "quic iv");
    iv[IV_LEN - 1] ^= number;
    require(EVP_AEAD_CTX_init(&ctx, EVP_aead_aes_128_gcm(), key, sizeof(key), TAG_LEN, NULL) == 1);
    require(EVP_AEAD_CTX_seal(&ctx, out + INITIAL_HEAD, &sealed, len + TAG_LEN, iv, sizeof(iv),
                              plain, len, out, INITIAL_HEAD) == 1);
    EVP_AEAD_CTX_cleanup(&ctx);
    return sealed;
}

static void protect_header(uint8_t *out, const uint8_t client[HASH_LEN])
{
    uint8_t hp[KEY_LEN], mask[16];
    AES_KEY key;
    expand(hp, sizeof(hp), client, "quic hp");
    require(AES_set_encrypt_key(hp, 8 * sizeof(hp), &key) == 0);
    AES_encrypt(out + SAMPLE_AT, mask, &key);
    out[0] ^= mask[0] & 0x0f;
    out[INITIAL_HEAD - 1] ^= mask[1];
}

/* Writes a client's Initial around |frames|, at least 1200 bytes; returns its length. */
static size_t seal_initial(uint8_t *out, const uint8_t id[CID_LEN], uint8_t number,
                           const uint8_t *frames, size_t len)
{
    /* RFC 9001, 5.2: the salt of version 1. */
    static const uint8_t salt[] = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
                                   0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a};
    static const uint8_t start[] = {0xc0, 0, 0, 0, 1, CID_LEN};
    static uint8_t plain[FRAMES_MAX];
    uint8_t secret[HASH_LEN], client[HASH_LEN];
    size_t secret_len = 0;
    const size_t least = INITIAL_MIN - INITIAL_HEAD - TAG_LEN;
    const size_t plain_len = len < least ? least : len;
    const size_t rest = 1 + plain_len + TAG_LEN;
    memset(plain, 0, sizeof(plain)); /* PADDING frames */
    memcpy(plain, frames, len);
    require(HKDF_extract(secret, &secret_len, EVP_sha256(), id, CID_LEN, salt, sizeof(salt)) == 1);
    expand(client, sizeof(client), secret, "client in");
    memset(out, 0, INITIAL_HEAD);
    memcpy(out, start, sizeof(start));
    memcpy(out + sizeof(start), id, CID_LEN);
    out[LENGTH_AT] = (uint8_t)(0x40 | (rest >> 8));
    out[LENGTH_AT + 1] = (uint8_t)rest;
    out[INITIAL_HEAD - 1] = number;
    const size_t sealed = seal(out, client, number, plain, plain_len);
    protect_header(out, client);
    return INITIAL_HEAD + sealed;
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
    if (head % 4 == 3 && total > CID_LEN + 1) {
        uint8_t id[CID_LEN];
        memcpy(id, body, sizeof(id));
        id[0] &= 0xfe; /* this worker's */
        const size_t frames = total - CID_LEN - 1;
        total = seal_initial(datagram, id, body[CID_LEN], body + CID_LEN + 1,
                             frames < FRAMES_MAX ? frames : FRAMES_MAX);
        give(server, port, datagram, total);
    } else if (head % 4 != 3) {
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
