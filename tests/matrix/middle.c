#include "matrix/middle.h"

#include "crypto/random.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define DATAGRAM_MAX 65536
#define SOCKET_BUFFER (1 << 20)
/* RFC 9000, 17.2: a long header is the first byte, four of the version, then two connection IDs,
 * each behind its length. */
#define VERSION_END 5
#define TYPE_MASK 0xf0
#define INITIAL 0xc0  /* long header, fixed bit, type 0 */
#define ZERO_RTT 0xd0 /* type 1 */
#define EARLY_PAYLOAD 200
#define TWO_BYTE_LENGTH 0x4000 /* RFC 9000, 16 */

struct middle {
    pthread_t thread;
    int to_client, to_server, end; /* |end| is an eventfd that ends the thread */
    uint16_t port;
    _Atomic uint16_t server;
    atomic_bool early_data;
    atomic_uint put_in;
    struct sockaddr_in client;
    uint8_t data[DATAGRAM_MAX];
};

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void send_to(int from, const struct sockaddr_in *to, const uint8_t *data, size_t len)
{
    (void)sendto(from, data, len, 0, (const struct sockaddr *)to, sizeof(*to));
}

/* A packet of early data of the connection that the ClientHello in |hello| begins; 0 when |hello|
 * is no Initial packet. */
static size_t early_packet(const uint8_t *hello, size_t len, uint8_t *out)
{
    if (len < VERSION_END + 1 || (hello[0] & TYPE_MASK) != INITIAL) {
        return 0;
    }
    const size_t source_id = VERSION_END + 1 + (size_t)hello[VERSION_END];
    if (source_id >= len || source_id + 1 + hello[source_id] > len) {
        return 0;
    }
    const size_t head = source_id + 1 + hello[source_id];
    memcpy(out, hello, head);
    out[0] = ZERO_RTT;
    const unsigned length = TWO_BYTE_LENGTH | EARLY_PAYLOAD;
    out[head] = (uint8_t)(length >> 8);
    out[head + 1] = (uint8_t)length;
    pqi_random(out + head + 2, EARLY_PAYLOAD);
    return head + 2 + EARLY_PAYLOAD;
}

static void pass_to_server(middle *m, size_t len)
{
    uint8_t early[DATAGRAM_MAX];
    const struct sockaddr_in server = loopback(atomic_load(&m->server));
    /* What still comes of the link before has no Initial packets. */
    const size_t early_len = atomic_load(&m->early_data) ? early_packet(m->data, len, early) : 0;
    if (early_len > 0) {
        atomic_store(&m->early_data, false);
        send_to(m->to_server, &server, early, early_len);
        send_to(m->to_server, &server, m->data, len);
        send_to(m->to_server, &server, early, early_len);
        (void)atomic_fetch_add(&m->put_in, EARLY_PACKETS);
        return;
    }
    send_to(m->to_server, &server, m->data, len);
}

static void *pass_on(void *arg)
{
    middle *m = arg;
    struct pollfd sockets[] = {{.fd = m->to_client, .events = POLLIN},
                               {.fd = m->to_server, .events = POLLIN},
                               {.fd = m->end, .events = POLLIN}};
    while (poll(sockets, 3, -1) >= 0 && sockets[2].revents == 0) {
        socklen_t from_len = sizeof(m->client);
        ssize_t len = 0;
        if (sockets[0].revents != 0) {
            len = recvfrom(m->to_client, m->data, sizeof(m->data), 0, (struct sockaddr *)&m->client,
                           &from_len);
            if (len > 0) {
                pass_to_server(m, (size_t)len);
            }
        }
        if (sockets[1].revents != 0) {
            len = recv(m->to_server, m->data, sizeof(m->data), 0);
            if (len > 0) {
                send_to(m->to_client, &m->client, m->data, (size_t)len);
            }
        }
    }
    return NULL;
}

static int loopback_socket(uint16_t *port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof(address);
    const int size = SOCKET_BUFFER;
    const int made = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (made < 0 || bind(made, (struct sockaddr *)&address, len) != 0 ||
        getsockname(made, (struct sockaddr *)&address, &len) != 0) {
        return -1;
    }
    (void)setsockopt(made, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    *port = ntohs(address.sin_port);
    return made;
}

middle *middle_new(void)
{
    uint16_t unused = 0;
    middle *m = calloc(1, sizeof(*m));
    if (m == NULL) {
        return NULL;
    }
    m->to_client = loopback_socket(&m->port);
    m->to_server = loopback_socket(&unused);
    m->end = eventfd(0, EFD_CLOEXEC);
    if (m->to_client < 0 || m->to_server < 0 || m->end < 0 ||
        pthread_create(&m->thread, NULL, pass_on, m) != 0) {
        free(m);
        return NULL;
    }
    return m;
}

void middle_free(middle *m)
{
    const uint64_t one = 1;
    if (m == NULL) {
        return;
    }
    if (write(m->end, &one, sizeof(one)) == (ssize_t)sizeof(one)) {
        (void)pthread_join(m->thread, NULL);
    }
    (void)close(m->to_client);
    (void)close(m->to_server);
    (void)close(m->end);
    free(m);
}

uint16_t middle_port(const middle *m)
{
    return m->port;
}

void middle_set(middle *m, uint16_t port, bool early_data)
{
    atomic_store(&m->server, port);
    atomic_store(&m->early_data, early_data);
}

unsigned middle_put_in(const middle *m)
{
    return atomic_load(&m->put_in);
}
