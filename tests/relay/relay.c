#include "relay.h"

#include "base/clock.h"
#include "base/error.h"
#include "net/heap.h"
#include "quic_view.h"

#include <errno.h>
#include <netinet/ip.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define DATAGRAM_MAX 65536
#define SOCKET_BUFFER (4 << 20)
/* Datagrams read from one socket before the others have their turn. */
#define READ_MAX 64
#define EVENTS_MAX 64
/* RFC 9000, 8.1. */
#define AMPLIFICATION_LIMIT 3
#define LISTEN_SLOT UINT64_MAX
/* Datagrams of a first flight that are compared with each other. */
#define COMPARED 16

enum { TO_SERVER, TO_CLIENT };

typedef struct client {
    pqi_address address;
    int fd; /* towards the server */
    uint64_t generation;
    uint64_t first_at, last_at;
    uint64_t last_due[2];
    unsigned first_flight;     /* datagrams of the client before the server answered */
    uint64_t hashes[COMPARED]; /* of those */
    bool heard, rebound;
    bool validated, done; /* towards the server: what it has been given */
    bool said_done;       /* towards the relay: what has come */
    uint64_t before[2];   /* bytes each way before validation */
} client;

typedef struct parcel {
    pqi_heap_node due; /* first member */
    int way;
    size_t slot;
    uint64_t generation;
    int tos;
    quic_view view;
    size_t len;
    uint8_t data[];
} parcel;

typedef struct traffic {
    uint64_t datagrams, bytes, lost;
} traffic;

struct relay {
    relay_opts opts;
    uint64_t random;
    int listen_fd, epoll_fd;
    uint16_t port;
    client *clients; /* RELAY_CLIENTS; fd -1: free */
    pqi_heap parcels;
    traffic traffic[2];
    uint64_t seen_clients, rebound, over_limit;
    uint64_t worst[2]; /* client's bytes each way before validation with the largest share */
    size_t largest[2]; /* before the handshake was done */
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

/* SplitMix64: good enough for coins, and the same on every machine. */
static uint64_t next_random(relay *r)
{
    uint64_t z = r->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static bool chance(relay *r, double probability)
{
    return probability > 0 && (double)(next_random(r) >> 11) * 0x1p-53 < probability;
}

/* ---- Sockets ---- */

static int open_socket(int family)
{
    const int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    const int size = SOCKET_BUFFER;
    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
    (void)setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on));
    if (family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof(on));
    }
    return fd;
}

static bool watch(const relay *r, int fd, uint64_t slot)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = slot};
    return epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* The socket of a client towards the server; -1 on failure. */
static int open_upstream(const relay *r, size_t slot)
{
    const int fd = open_socket(r->opts.server.sa.any.sa_family);
    if (fd >= 0 &&
        (connect(fd, &r->opts.server.sa.any, r->opts.server.len) != 0 || !watch(r, fd, slot))) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static int tos_of(struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        int value = 0;
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
            return *CMSG_DATA(c);
        }
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
            memcpy(&value, CMSG_DATA(c), sizeof(value));
            return value;
        }
    }
    return 0;
}

/* One datagram; its length, or -1 when there is none. */
static ssize_t receive(int fd, uint8_t *data, pqi_address *from, int *tos)
{
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))];
    struct iovec piece = {data, DATAGRAM_MAX};
    struct msghdr message = {.msg_name = from == NULL ? NULL : &from->sa,
                             .msg_namelen = from == NULL ? 0 : sizeof(from->sa),
                             .msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    const ssize_t n = recvmsg(fd, &message, 0);
    if (n >= 0) {
        *tos = tos_of(&message);
        if (from != NULL) {
            from->len = message.msg_namelen;
        }
    }
    return n;
}

/* |to| NULL: the socket is connected. */
static bool transmit(int fd, const parcel *p, const pqi_address *to, int family)
{
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec piece = {(void *)(uintptr_t)p->data, p->len};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (to != NULL) {
        message.msg_name = (void *)(uintptr_t)&to->sa;
        message.msg_namelen = to->len;
    }
    if (p->tos != 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof(control);
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
        c->cmsg_type = family == AF_INET6 ? IPV6_TCLASS : IP_TOS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &p->tos, sizeof(int));
    }
    return sendmsg(fd, &message, 0) >= 0;
}

/* ---- Clients ---- */

static void close_client(client *c)
{
    if (c->fd >= 0) {
        (void)close(c->fd);
        c->fd = -1;
    }
}

/* The slot of an address; a new client's when it was not known.  RELAY_CLIENTS without one. */
static size_t slot_of(relay *r, const pqi_address *from, uint64_t now)
{
    size_t best = 0;
    for (size_t i = 0; i < RELAY_CLIENTS; i++) {
        const client *c = &r->clients[i];
        const client *worst = &r->clients[best];
        if (c->fd >= 0 && pqi_address_equal(&c->address, from)) {
            return i;
        }
        if (worst->fd >= 0 && (c->fd < 0 || c->last_at < worst->last_at)) {
            best = i;
        }
    }
    client *c = &r->clients[best];
    close_client(c);
    *c = (client){.address = *from, .generation = ++r->seen_clients, .first_at = now};
    c->fd = open_upstream(r, best);
    return c->fd < 0 ? RELAY_CLIENTS : best;
}

static void rebind(relay *r, size_t slot)
{
    client *c = &r->clients[slot];
    const int fd = open_upstream(r, slot);
    if (fd >= 0) {
        close_client(c);
        c->fd = fd;
        r->rebound++;
    }
    c->rebound = true;
}

/* ---- What the limits of a handshake are judged by ---- */

static void note_from_server(relay *r, client *c, size_t len)
{
    c->heard = true;
    if (!c->done && len > r->largest[TO_CLIENT]) {
        r->largest[TO_CLIENT] = len;
    }
    if (c->validated) {
        return;
    }
    c->before[TO_CLIENT] += len;
    if (c->before[TO_CLIENT] > AMPLIFICATION_LIMIT * c->before[TO_SERVER]) {
        r->over_limit++;
    }
    if (c->before[TO_CLIENT] * r->worst[TO_SERVER] >= r->worst[TO_CLIENT] * c->before[TO_SERVER]) {
        memcpy(r->worst, c->before, sizeof(r->worst));
    }
}

/* FNV-1a. */
static uint64_t hash(const uint8_t *data, size_t len)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < len; i++) {
        h = (h ^ data[i]) * UINT64_C(0x100000001b3);
    }
    return h;
}

/* A datagram of the first flight, which note_from_client has counted: did its like come before? */
static bool is_repeat(client *c, const uint8_t *data, size_t len)
{
    const uint64_t h = hash(data, len);
    if (c->heard || c->first_flight > COMPARED) {
        return false;
    }
    c->hashes[c->first_flight - 1] = h;
    for (unsigned i = 0; i + 1 < c->first_flight; i++) {
        if (c->hashes[i] == h) {
            return true;
        }
    }
    return false;
}

static void note_from_client(relay *r, client *c, const quic_view *view, size_t len)
{
    if (!c->heard) {
        c->first_flight++;
    }
    if (!c->said_done && len > r->largest[TO_SERVER]) {
        r->largest[TO_SERVER] = len;
    }
    c->said_done = c->said_done || view->one_rtt;
}

/* The server is about to get this. */
static void note_to_server(client *c, const parcel *p)
{
    c->validated = c->validated || p->view.handshake || p->view.token;
    c->done = c->done || p->view.one_rtt;
    if (!c->validated) {
        c->before[TO_SERVER] += p->len;
    }
}

/* ---- Datagrams under way ---- */

static bool is_lost(relay *r, const client *c, size_t len, uint64_t now)
{
    const relay_opts *o = &r->opts;
    const uint64_t age = now - c->first_at;
    const bool dark = o->blackhole && age >= o->blackhole_after &&
                      (o->blackhole_for == 0 || age - o->blackhole_after < o->blackhole_for);
    return dark || (o->mtu != 0 && len > o->mtu) || chance(r, o->loss);
}

static uint64_t due_at(const relay *r, client *c, int way, uint64_t now)
{
    uint64_t due = now + r->opts.delay;
    if (way == TO_SERVER && !c->heard && c->first_flight > 1) {
        due += (c->first_flight - 1) * r->opts.split_first;
    }
    if (due <= c->last_due[way]) {
        due = c->last_due[way] + 1; /* never before the one ahead of it */
    }
    c->last_due[way] = due;
    return due;
}

static void enqueue(relay *r, size_t slot, int way, const parcel *what, const uint8_t *data,
                    uint64_t now)
{
    client *c = &r->clients[slot];
    parcel *p = r->parcels.len < RELAY_PARCELS ? malloc(sizeof(*p) + what->len) : NULL;
    if (p == NULL) {
        r->traffic[way].lost++;
        return;
    }
    *p = *what;
    p->way = way;
    p->slot = slot;
    p->generation = c->generation;
    memcpy(p->data, data, p->len);
    if (p->len > 0 && chance(r, r->opts.corrupt)) {
        const uint64_t bit = next_random(r) % (p->len * 8);
        p->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    if (!pqi_heap_set(&r->parcels, &p->due, due_at(r, c, way, now))) {
        r->traffic[way].lost++;
        free(p);
    }
}

static void take(relay *r, size_t slot, int way, const uint8_t *data, size_t len, int tos)
{
    const uint64_t now = pqi_clock_monotonic();
    client *c = &r->clients[slot];
    const parcel what = {.tos = tos, .view = quic_look(data, len), .len = len};
    unsigned copies = 1;
    c->last_at = now;
    if (way == TO_SERVER) {
        note_from_client(r, c, &what.view, len);
        copies = !c->heard && r->opts.duplicate > 1 ? r->opts.duplicate : 1;
    } else {
        note_from_server(r, c, len);
    }
    const bool repeat = way == TO_SERVER && r->opts.once && is_repeat(c, data, len);
    if (repeat || is_lost(r, c, len, now)) {
        r->traffic[way].lost++;
        return;
    }
    for (unsigned i = 0; i < copies; i++) {
        enqueue(r, slot, way, &what, data, now);
    }
}

static void deliver(relay *r, const parcel *p, uint64_t now)
{
    client *c = &r->clients[p->slot];
    bool sent = false;
    if (c->fd < 0 || c->generation != p->generation) {
        return; /* the client made room for another meanwhile */
    }
    if (p->way == TO_SERVER) {
        if (r->opts.rebind_after != 0 && !c->rebound && now - c->first_at >= r->opts.rebind_after) {
            rebind(r, p->slot);
        }
        note_to_server(c, p);
        sent = transmit(c->fd, p, NULL, r->opts.server.sa.any.sa_family);
    } else {
        sent = transmit(r->listen_fd, p, &c->address, r->opts.listen.sa.any.sa_family);
    }
    traffic *t = &r->traffic[p->way];
    t->datagrams += sent ? 1 : 0;
    t->bytes += sent ? p->len : 0;
    t->lost += sent ? 0 : 1;
}

static void deliver_due(relay *r)
{
    for (;;) {
        pqi_heap_node *first = pqi_heap_first(&r->parcels);
        const uint64_t now = pqi_clock_monotonic();
        if (first == NULL || first->key > now) {
            return;
        }
        pqi_heap_remove(&r->parcels, first);
        deliver(r, (parcel *)first, now);
        free(first);
    }
}

/* ---- The loop ---- */

static void read_listen(relay *r, uint8_t *buffer)
{
    for (unsigned i = 0; i < READ_MAX; i++) {
        pqi_address from = {0};
        int tos = 0;
        const ssize_t n = receive(r->listen_fd, buffer, &from, &tos);
        if (n < 0) {
            return;
        }
        const size_t slot = slot_of(r, &from, pqi_clock_monotonic());
        if (slot < RELAY_CLIENTS) {
            take(r, slot, TO_SERVER, buffer, (size_t)n, tos);
        }
    }
}

static void read_upstream(relay *r, size_t slot, uint8_t *buffer)
{
    for (unsigned i = 0; i < READ_MAX; i++) {
        int tos = 0;
        const ssize_t n = receive(r->clients[slot].fd, buffer, NULL, &tos);
        if (n < 0) {
            return; /* also when nobody listens at the server's port: the client will find out */
        }
        take(r, slot, TO_CLIENT, buffer, (size_t)n, tos);
    }
}

static void wait_and_read(relay *r, uint8_t *buffer, const sigset_t *open_signals)
{
    struct epoll_event events[EVENTS_MAX];
    struct timespec wait = {0};
    const pqi_heap_node *first = pqi_heap_first(&r->parcels);
    const uint64_t now = pqi_clock_monotonic();
    if (first != NULL && first->key > now) {
        wait.tv_sec = (time_t)((first->key - now) / PQI_NS_PER_SEC);
        wait.tv_nsec = (long)((first->key - now) % PQI_NS_PER_SEC);
    }
    const int count =
        epoll_pwait2(r->epoll_fd, events, EVENTS_MAX, first == NULL ? NULL : &wait, open_signals);
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 == LISTEN_SLOT) {
            read_listen(r, buffer);
        } else {
            read_upstream(r, (size_t)events[i].data.u64, buffer);
        }
    }
}

void relay_run(relay *r)
{
    static uint8_t buffer[DATAGRAM_MAX];
    const struct sigaction action = {.sa_handler = on_signal};
    sigset_t blocked;
    sigset_t before;
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGTERM);
    (void)sigaddset(&blocked, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &blocked, &before);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    while (stopped == 0) {
        deliver_due(r);
        wait_and_read(r, buffer, &before);
    }
}

static bool bind_listen(relay *r)
{
    pqi_address bound = {.len = sizeof(bound.sa)};
    r->listen_fd = open_socket(r->opts.listen.sa.any.sa_family);
    if (r->listen_fd < 0 || bind(r->listen_fd, &r->opts.listen.sa.any, r->opts.listen.len) != 0 ||
        getsockname(r->listen_fd, &bound.sa.any, &bound.len) != 0) {
        return false;
    }
    r->port = pqi_address_port(&bound);
    return watch(r, r->listen_fd, LISTEN_SLOT);
}

pql_status relay_new(relay **out, const relay_opts *opts, pql_error *err)
{
    relay *r = calloc(1, sizeof(*r));
    *out = NULL;
    if (r == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory.");
    }
    r->opts = *opts;
    r->random = opts->seed;
    r->listen_fd = -1;
    r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    r->clients = calloc(RELAY_CLIENTS, sizeof(client));
    for (size_t i = 0; r->clients != NULL && i < RELAY_CLIENTS; i++) {
        r->clients[i].fd = -1;
    }
    if (r->clients == NULL || r->epoll_fd < 0 || !bind_listen(r)) {
        const int failure = errno;
        relay_free(r);
        return pqi_fail(err, PQL_E_NETWORK, "The relay cannot listen: %s.", strerror(failure));
    }
    *out = r;
    return PQL_OK;
}

uint16_t relay_port(const relay *r)
{
    return r->port;
}

static void write_way(const relay *r, int way, const char *name, FILE *out)
{
    const traffic *t = &r->traffic[way];
    (void)fprintf(out, "\"%s\":{\"datagrams\":%llu,\"bytes\":%llu,\"lost\":%llu},", name,
                  (unsigned long long)t->datagrams, (unsigned long long)t->bytes,
                  (unsigned long long)t->lost);
}

void relay_write_stats(const relay *r, FILE *out)
{
    (void)fprintf(out, "{\"clients\":%llu,\"rebound\":%llu,", (unsigned long long)r->seen_clients,
                  (unsigned long long)r->rebound);
    write_way(r, TO_SERVER, "to_server", out);
    write_way(r, TO_CLIENT, "to_client", out);
    (void)fprintf(out,
                  "\"before_validation\":{\"from_server\":%llu,\"to_server\":%llu,"
                  "\"over_three_times\":%llu},"
                  "\"before_done\":{\"largest_to_server\":%zu,\"largest_to_client\":%zu}}\n",
                  (unsigned long long)r->worst[TO_CLIENT], (unsigned long long)r->worst[TO_SERVER],
                  (unsigned long long)r->over_limit, r->largest[TO_SERVER], r->largest[TO_CLIENT]);
}

void relay_free(relay *r)
{
    if (r == NULL) {
        return;
    }
    for (pqi_heap_node *node = NULL; (node = pqi_heap_first(&r->parcels)) != NULL;) {
        pqi_heap_remove(&r->parcels, node);
        free(node);
    }
    for (size_t i = 0; r->clients != NULL && i < RELAY_CLIENTS; i++) {
        close_client(&r->clients[i]);
    }
    if (r->listen_fd >= 0) {
        (void)close(r->listen_fd);
    }
    if (r->epoll_fd >= 0) {
        (void)close(r->epoll_fd);
    }
    pqi_heap_free(&r->parcels);
    free(r->clients);
    free(r);
}
