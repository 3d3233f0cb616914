#include "net/udp.h"

#include "base/buf.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Buffers of one recvmmsg call.  GRO hands over up to 64 KiB as one message. */
#define RECEIVE_SIZE 65536
#define RECEIVE_BATCH (PQI_UDP_SCRATCH / RECEIVE_SIZE)
#define CONTROL_SIZE 256
/* The kernel takes at most 64 segments and 65,507 bytes in one GSO call. */
#define GSO_SEGMENTS_MAX 64
#define GSO_BYTES_MAX 65507
/* The usual default of about 200 kB holds 30 ms at 50 Mbit/s: ask for more, take what we get. */
#define SOCKET_BUFFER (4 << 20)
#define ECN_MASK 3

struct pqi_udp {
    int fd;
    pqi_address local;
    bool connected;
    bool gso;
    bool refused;  /* the far port is closed: heard while sending, told while receiving */
    pqi_buf queue; /* records of queued_head + data */
    size_t queue_at;
};

typedef struct queued_head {
    pqi_address local;
    pqi_address remote;
    size_t len;
    size_t segment;
    uint8_t ecn;
} queued_head;

static void set_flag(int fd, int level, int option, int value)
{
    (void)setsockopt(fd, level, option, &value, sizeof(value));
}

static void set_options(int fd, int family)
{
    set_flag(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER);
    set_flag(fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER);
    set_flag(fd, SOL_UDP, UDP_GRO, 1);
    if (family == AF_INET6) {
        set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        set_flag(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
        set_flag(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
        set_flag(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    } else {
        set_flag(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
        set_flag(fd, IPPROTO_IP, IP_RECVTOS, 1);
        set_flag(fd, IPPROTO_IP, IP_PKTINFO, 1);
    }
}

static pql_status bind_socket(int fd, const pqi_udp_opts *opts, pql_error *err)
{
    char text[PQI_ADDRESS_TEXT_SIZE];
    /* A port that the kernel picks for a socket that may share is one that another program of the
     * same user may have: so this one may share only when it has its port. */
    const bool picked = pqi_address_port(&opts->bind) == 0;
    if (opts->reuse_port && !picked) {
        set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    pqi_address_format(&opts->bind, text);
    if (bind(fd, &opts->bind.sa.any, opts->bind.len) != 0) {
        const char *hint = errno == EADDRINUSE      ? " (is another program using that address?)"
                           : errno == EADDRNOTAVAIL ? " (this machine does not have that address)"
                           : errno == EACCES        ? " (ports below 1024 are for root)"
                                                    : "";
        return pqi_fail_errno(err, PQL_E_NETWORK, errno, "Cannot listen on %s%s", text, hint);
    }
    if (opts->reuse_port && picked) {
        set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    if (opts->connect.len != 0 && connect(fd, &opts->connect.sa.any, opts->connect.len) != 0) {
        pqi_address_format(&opts->connect, text);
        return pqi_fail_errno(err, PQL_E_NETWORK, errno, "Cannot reach %s", text);
    }
    return PQL_OK;
}

pql_status pqi_udp_open(pqi_udp **out, const pqi_udp_opts *opts, pql_error *err)
{
    const int family = opts->bind.sa.any.sa_family;
    pql_status status = PQL_E_NOMEM;
    *out = NULL;
    pqi_udp *udp = calloc(1, sizeof(*udp));
    if (udp == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory opening a socket.");
    }
    udp->queue.max = PQI_UDP_QUEUE_MAX;
    udp->fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (udp->fd < 0) {
        status = pqi_fail_errno(err, PQL_E_NETWORK, errno, "Cannot open a UDP socket");
        goto free_udp;
    }
    set_options(udp->fd, family);
    status = bind_socket(udp->fd, opts, err);
    if (status != PQL_OK) {
        goto close_fd;
    }
    udp->connected = opts->connect.len != 0;
    udp->local.len = sizeof(udp->local.sa);
    (void)getsockname(udp->fd, &udp->local.sa.any, &udp->local.len);
    int segment = 0;
    socklen_t segment_len = sizeof(segment);
    udp->gso = getsockopt(udp->fd, SOL_UDP, UDP_SEGMENT, &segment, &segment_len) == 0;
    *out = udp;
    return PQL_OK;

close_fd:
    (void)close(udp->fd);
free_udp:
    free(udp);
    return status;
}

void pqi_udp_close(pqi_udp *udp)
{
    if (udp == NULL) {
        return;
    }
    (void)close(udp->fd);
    pqi_buf_free(&udp->queue);
    free(udp);
}

bool pqi_udp_refused(const pqi_udp *udp)
{
    return udp->refused;
}

int pqi_udp_fd(const pqi_udp *udp)
{
    return udp->fd;
}

pqi_address pqi_udp_local(const pqi_udp *udp)
{
    return udp->local;
}

bool pqi_udp_steer(const pqi_udp *udp, unsigned workers)
{
    /* RFC 8999: a long header (top bit set) carries the connection ID at offset 6, a short one at
     * offset 1.  The program's result is the index of the socket in the group. */
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x80, 0, 2),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6), BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 1), BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, workers),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
    return setsockopt(udp->fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) ==
           0;
}

/* What the control messages of a received datagram say. */
static void read_control(struct msghdr *msg, pqi_datagrams *run, uint16_t port)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
            run->ecn = *CMSG_DATA(c) & ECN_MASK;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
            int value = 0;
            memcpy(&value, CMSG_DATA(c), sizeof(value));
            run->ecn = (uint8_t)(value & ECN_MASK);
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            run->local = (pqi_address){.sa.v4 = {.sin_family = AF_INET, .sin_port = htons(port)},
                                       .len = sizeof(struct sockaddr_in)};
            run->local.sa.v4.sin_addr = info.ipi_addr;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            run->local = (pqi_address){.sa.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)},
                                       .len = sizeof(struct sockaddr_in6)};
            run->local.sa.v6.sin6_addr = info.ipi6_addr;
            if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) {
                run->local.sa.v6.sin6_scope_id = info.ipi6_ifindex;
            }
        } else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            int segment = 0;
            memcpy(&segment, CMSG_DATA(c), sizeof(segment));
            if (segment > 0) {
                run->segment = (size_t)segment;
            }
        }
    }
}

int pqi_udp_receive(pqi_udp *udp, uint8_t *scratch, unsigned max_batches,
                    void (*receive)(void *user, const pqi_datagrams *run), void *user)
{
    struct mmsghdr messages[RECEIVE_BATCH];
    struct iovec vectors[RECEIVE_BATCH];
    pqi_address remotes[RECEIVE_BATCH];
    uint8_t control[RECEIVE_BATCH][CONTROL_SIZE] __attribute__((aligned(8)));
    const uint16_t port = pqi_address_port(&udp->local);

    if (udp->refused) {
        udp->refused = false;
        return ECONNREFUSED;
    }
    for (unsigned batch = 0; batch < max_batches; batch++) {
        memset(messages, 0, sizeof(messages));
        for (size_t i = 0; i < RECEIVE_BATCH; i++) {
            vectors[i] = (struct iovec){scratch + i * RECEIVE_SIZE, RECEIVE_SIZE};
            messages[i].msg_hdr = (struct msghdr){.msg_name = &remotes[i].sa,
                                                  .msg_namelen = sizeof(remotes[i].sa),
                                                  .msg_iov = &vectors[i],
                                                  .msg_iovlen = 1,
                                                  .msg_control = control[i],
                                                  .msg_controllen = CONTROL_SIZE};
        }
        const int n = recvmmsg(udp->fd, messages, RECEIVE_BATCH, 0, NULL);
        if (n < 0) {
            return errno == EAGAIN || errno == EINTR ? 0 : errno;
        }
        for (int i = 0; i < n; i++) {
            struct msghdr *msg = &messages[i].msg_hdr;
            pqi_datagrams run = {.local = udp->local,
                                 .remote = remotes[i],
                                 .data = vectors[i].iov_base,
                                 .len = messages[i].msg_len,
                                 .segment = messages[i].msg_len};
            run.remote.len = msg->msg_namelen;
            read_control(msg, &run, port);
            if ((msg->msg_flags & MSG_TRUNC) == 0 && run.len > 0) {
                receive(user, &run);
            }
        }
        if ((size_t)n < RECEIVE_BATCH) {
            break;
        }
    }
    return 0;
}

static void add_control(struct msghdr *msg, size_t *used, int level, int type, const void *value,
                        size_t len)
{
    struct cmsghdr *c = (struct cmsghdr *)((uint8_t *)msg->msg_control + *used);
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(len);
    memcpy(CMSG_DATA(c), value, len);
    *used += CMSG_SPACE(len);
}

/* Source address, ECN mark and segment size for one sendmsg call. */
static void write_control(struct msghdr *msg, const pqi_datagrams *run)
{
    size_t used = 0;
    const bool v6 = run->remote.sa.any.sa_family == AF_INET6;
    const int tos = run->ecn;
    add_control(msg, &used, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, &tos,
                sizeof(tos));
    if (run->local.len != 0 && !pqi_address_is_wildcard(&run->local)) {
        if (v6) {
            struct in6_pktinfo info = {.ipi6_addr = run->local.sa.v6.sin6_addr};
            info.ipi6_ifindex = run->local.sa.v6.sin6_scope_id;
            add_control(msg, &used, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
        } else {
            struct in_pktinfo info = {.ipi_spec_dst = run->local.sa.v4.sin_addr};
            add_control(msg, &used, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
        }
    }
    if (run->len > run->segment) {
        const uint16_t segment = (uint16_t)run->segment;
        add_control(msg, &used, SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment));
    }
    msg->msg_controllen = used;
}

/* One system call.  0, or an errno. */
static int send_now(const pqi_udp *udp, const pqi_datagrams *run)
{
    uint8_t control[CONTROL_SIZE] __attribute__((aligned(8))) = {0};
    pqi_address remote = run->remote;
    struct iovec vector = {(void *)(uintptr_t)run->data, run->len};
    struct msghdr msg = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control};
    if (!udp->connected) {
        msg.msg_name = &remote.sa;
        msg.msg_namelen = remote.len;
    }
    write_control(&msg, run);
    while (sendmsg(udp->fd, &msg, 0) < 0) {
        if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

/* Sends in pieces that one call may carry; returns the bytes that are done with.  Errors other
 * than EAGAIN count as sent: to QUIC they are loss. */
static size_t send_pieces(pqi_udp *udp, const pqi_datagrams *run)
{
    size_t done = 0;
    while (done < run->len) {
        size_t segments = udp->gso ? GSO_BYTES_MAX / run->segment : 1;
        if (segments > GSO_SEGMENTS_MAX) {
            segments = GSO_SEGMENTS_MAX;
        }
        pqi_datagrams piece = *run;
        piece.data = run->data + done;
        piece.len = run->len - done;
        if (piece.len > segments * run->segment) {
            piece.len = segments * run->segment;
        }
        const int failure = send_now(udp, &piece);
        if (failure == EAGAIN || failure == ENOBUFS) {
            break;
        }
        udp->refused = udp->refused || failure == ECONNREFUSED;
        if (failure == EIO && udp->gso && piece.len > piece.segment) {
            udp->gso = false; /* the device cannot segment: one datagram per call from now on */
            continue;
        }
        done += piece.len;
    }
    return done;
}

bool pqi_udp_send(pqi_udp *udp, const pqi_datagrams *run)
{
    size_t done = pqi_udp_blocked(udp) ? 0 : send_pieces(udp, run);
    if (done == run->len) {
        return true;
    }
    const queued_head head = {.local = run->local,
                              .remote = run->remote,
                              .len = run->len - done,
                              .segment = run->segment,
                              .ecn = run->ecn};
    const size_t before = udp->queue.len;
    if (!pqi_buf_append(&udp->queue, &head, sizeof(head)) ||
        !pqi_buf_append(&udp->queue, run->data + done, head.len)) {
        udp->queue.len = before;
        return false;
    }
    return true;
}

bool pqi_udp_blocked(const pqi_udp *udp)
{
    return udp->queue.len > udp->queue_at;
}

void pqi_udp_flush(pqi_udp *udp)
{
    while (pqi_udp_blocked(udp)) {
        queued_head head;
        memcpy(&head, udp->queue.data + udp->queue_at, sizeof(head));
        pqi_datagrams run = {.local = head.local,
                             .remote = head.remote,
                             .ecn = head.ecn,
                             .data = udp->queue.data + udp->queue_at + sizeof(head),
                             .len = head.len,
                             .segment = head.segment};
        if (send_pieces(udp, &run) < run.len) {
            return; /* what was sent of this record goes twice: QUIC drops duplicates */
        }
        udp->queue_at += sizeof(head) + head.len;
    }
    udp->queue.len = 0;
    udp->queue_at = 0;
}
