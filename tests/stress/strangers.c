/* Sends a QUIC server on loopback what strangers send, from addresses that nobody answers for, and
 * counts what comes back.
 *
 *     strangers KIND COUNT PORT
 *
 * KIND: hello     first flights (two Initial datagrams with a hybrid ClientHello), each from its
 *                 own address and never continued: spoofed handshakes
 *       bye       the same, each ended by its client with a CONNECTION_CLOSE
 *       version   long headers of a version that nobody speaks
 *       short     short headers with unknown connection IDs
 *       noise     random bytes
 * COUNT is the number of first flights or datagrams.  Source addresses are taken from 127.0.0.0/8,
 * which is all ours to send from.  Prints one JSON object: what was sent, what came back, and the
 * ratio of bytes, which RFC 9000 section 8.1 bounds by 3. */
#include "../quiet_quic.h"

#include "base/clock.h"
#include "crypto/random.h"
#include "quic/endpoint.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DATAGRAM 1200
#define DATAGRAM_MAX 65536
/* Strangers that take turns; each has its own address. */
#define SOURCES 60000
/* Datagrams in a row before the answers are read, so that no buffer of the kernel overflows. */
#define BURST 64
/* How long the server may be silent before what it had to say is over. */
#define QUIET_MS 300
/* RFC 8999, 5: the header form bit; RFC 9000, 17.2: the fixed bit. */
#define FORM_LONG 0x80
#define FIXED_BIT 0x40
/* A version reserved to force negotiation (RFC 9000, 15). */
#define UNKNOWN_VERSION "\x1a\x2a\x3a\x4a"

static void check(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "strangers: %s: %s\n", what, strerror(errno));
        exit(1);
    }
}

typedef struct crowd {
    int fd;
    struct sockaddr_in server;
    uint32_t turn; /* whose turn it is */
    uint64_t sent, sent_bytes, came, came_bytes;
} crowd;

/* 127.1.0.1 and up. */
static struct in_addr source_of(uint32_t turn)
{
    const uint32_t first = 0x7f010001;
    return (struct in_addr){.s_addr = htonl(first + turn % SOURCES)};
}

static void hear(crowd *c, int wait_ms)
{
    uint8_t buffer[DATAGRAM_MAX];
    struct pollfd wait = {.fd = c->fd, .events = POLLIN};
    while (poll(&wait, 1, wait_ms) > 0) {
        const ssize_t len = recv(c->fd, buffer, sizeof(buffer), MSG_DONTWAIT);
        if (len > 0) {
            c->came++;
            c->came_bytes += (uint64_t)len;
        }
    }
}

static void say(crowd *c, const uint8_t *data, size_t len)
{
    union {
        char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
        struct cmsghdr align;
    } control = {0};
    struct iovec piece = {(void *)(uintptr_t)data, len};
    struct msghdr message = {.msg_name = &c->server,
                             .msg_namelen = sizeof(c->server),
                             .msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    const struct in_pktinfo from = {.ipi_spec_dst = source_of(c->turn)};
    header->cmsg_level = IPPROTO_IP;
    header->cmsg_type = IP_PKTINFO;
    header->cmsg_len = CMSG_LEN(sizeof(from));
    memcpy(CMSG_DATA(header), &from, sizeof(from));
    check(sendmsg(c->fd, &message, 0) == (ssize_t)len || errno == ECONNREFUSED, "sendmsg");
    c->sent++;
    c->sent_bytes += len;
    if (c->sent % BURST == 0) {
        hear(c, 0);
    }
}

/* ---- First flights, from a client that is thrown away after it spoke ---- */

static bool send_flight(void *user, const pqi_datagrams *run)
{
    for (size_t at = 0; at < run->len; at += run->segment) {
        const size_t left = run->len - at;
        const size_t len = left < run->segment ? left : run->segment;
        uint8_t full[DATAGRAM_MAX] = {0};
        memcpy(full, run->data + at, len);
        say(user, full, len < DATAGRAM ? DATAGRAM : len); /* RFC 9000, 14.1: else not read */
    }
    return true;
}

static const pqi_quic_events *no_accept(void *user, pqi_quic_conn *conn, void **owner)
{
    (void)user;
    (void)conn;
    (void)owner;
    return NULL;
}

static void no_reject(void *user, const char *reason)
{
    (void)user;
    (void)reason;
}

static void on_conn(pqi_quic_conn *conn)
{
    (void)conn;
}

static const pqi_quic_events events = {.open = on_conn,
                                       .closed = quiet_closed,
                                       .timer = quiet_timer,
                                       .stream_open = quiet_stream,
                                       .stream_data = quiet_data,
                                       .stream_writable = quiet_stream,
                                       .stream_closed = quiet_stream_closed};

static void say_hello(crowd *c, const pqi_quic_tls *tls, bool bye)
{
    const pqi_quic_endpoint_opts opts = {.io = {.send = send_flight,
                                                .blocked = quiet_blocked,
                                                .random = quiet_random,
                                                .hand_over = quiet_hand_over,
                                                .accept = no_accept,
                                                .rejected = no_reject,
                                                .user = c},
                                         .tls = tls,
                                         .workers = 1,
                                         .max_links = 1,
                                         .max_unauthenticated = 1,
                                         .retry_threshold = 1,
                                         .max_streams = 1,
                                         .idle_timeout = PQI_NS_PER_SEC,
                                         .handshake_timeout = PQI_NS_PER_SEC};
    const uint64_t now = pqi_clock_monotonic();
    pqi_address local;
    pqi_address remote;
    pqi_quic_conn *conn = NULL;
    pqi_quic_endpoint *endpoint = pqi_quic_endpoint_new(&opts);
    check(endpoint != NULL, "memory");
    (void)pqi_address_from_literal(&local, "127.0.0.1", 1);
    (void)pqi_address_from_literal(&remote, "127.0.0.1", 2);
    check(pqi_quic_endpoint_connect(endpoint, &local, &remote, "localhost", "localhost", &events,
                                    NULL, now, &conn, NULL) == PQL_OK,
          "connect");
    pqi_quic_endpoint_flush(endpoint, now);
    if (bye) {
        pqi_quic_conn_close(conn, 0, NULL);
        pqi_quic_endpoint_flush(endpoint, now);
    }
    pqi_quic_endpoint_free(endpoint);
}

/* ---- Everything else ---- */

static void say_rubbish(crowd *c, const char *kind)
{
    uint8_t datagram[DATAGRAM];
    pqi_random(datagram, sizeof(datagram));
    if (strcmp(kind, "version") == 0) {
        datagram[0] |= FORM_LONG | FIXED_BIT;
        memcpy(datagram + 1, UNKNOWN_VERSION, 4);
        datagram[5] = 8; /* lengths of the two connection IDs */
        datagram[14] = 8;
    } else if (strcmp(kind, "short") == 0) {
        datagram[0] = (uint8_t)((datagram[0] & ~FORM_LONG) | FIXED_BIT);
    }
    say(c, datagram, sizeof(datagram));
}

int main(int argc, char **argv)
{
    static const pql_alpn alpn = {"pqlink-miner/1", PQL_LEAF_PQ};
    const pqi_quic_tls_opts tls_opts = {
        .alpn = &alpn, .alpn_count = 1, .peer = &(pql_peer){.insecure = true}};
    pqi_quic_tls *tls = NULL;
    crowd c = {.server = {.sin_family = AF_INET}};
    if (argc != 4) {
        (void)fprintf(stderr, "usage: strangers hello|bye|version|short|noise COUNT PORT\n");
        return 2;
    }
    const unsigned long count = strtoul(argv[2], NULL, 10);
    const struct sockaddr_in any = {.sin_family = AF_INET};
    c.server.sin_port = htons((uint16_t)strtoul(argv[3], NULL, 10));
    c.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c.fd = socket(AF_INET, SOCK_DGRAM, 0);
    check(c.fd >= 0 && bind(c.fd, (const struct sockaddr *)&any, sizeof(any)) == 0, "socket");
    check(pqi_quic_tls_new(&tls, &tls_opts, NULL) == PQL_OK, "TLS");
    for (unsigned long i = 0; i < count; i++) {
        c.turn++;
        const bool bye = strcmp(argv[1], "bye") == 0;
        if (bye || strcmp(argv[1], "hello") == 0) {
            say_hello(&c, tls, bye);
        } else {
            say_rubbish(&c, argv[1]);
        }
    }
    hear(&c, QUIET_MS);
    (void)printf("{\"kind\":\"%s\",\"sent\":%llu,\"sent_bytes\":%llu,\"came\":%llu,"
                 "\"came_bytes\":%llu,\"bytes_per_byte\":%.3f}\n",
                 argv[1], (unsigned long long)c.sent, (unsigned long long)c.sent_bytes,
                 (unsigned long long)c.came, (unsigned long long)c.came_bytes,
                 (double)c.came_bytes / (double)c.sent_bytes);
    pqi_quic_tls_free(tls);
    (void)close(c.fd);
    return 0;
}
