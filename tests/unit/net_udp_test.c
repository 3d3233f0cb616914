/* UDP sockets over loopback: batches, marks, addresses and the bound of the queue. */
#include "test.h"

#include "net/udp.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEGMENT 1200
#define SEGMENTS 40
#define ECT0 2

static uint8_t scratch[PQI_UDP_SCRATCH];

/* What has arrived. */
static struct {
    size_t runs, bytes, datagrams;
    bool in_order;
    pqi_datagrams last;
} got;

static void on_run(void *user, const pqi_datagrams *run)
{
    (void)user;
    for (size_t at = 0; at < run->len; at += run->segment) {
        /* The first byte of each datagram is its number. */
        got.in_order = got.in_order && run->data[at] == (uint8_t)got.datagrams;
        got.datagrams++;
    }
    got.runs++;
    got.bytes += run->len;
    got.last = *run;
}

static pqi_udp *open_on(const char *host)
{
    pqi_udp_opts opts = {0};
    pqi_udp *udp = NULL;
    pql_error err;
    assert_true(pqi_address_from_literal(&opts.bind, host, 0));
    assert_int_equal(pqi_udp_open(&udp, &opts, &err), PQL_OK);
    memset(&got, 0, sizeof(got));
    got.in_order = true;
    return udp;
}

static void wait_for(pqi_udp *udp, size_t bytes)
{
    struct pollfd fd = {.fd = pqi_udp_fd(udp), .events = POLLIN};
    while (got.bytes < bytes) {
        assert_int_equal(poll(&fd, 1, 10000), 1);
        assert_int_equal(pqi_udp_receive(udp, scratch, 4, on_run, NULL), 0);
    }
}

static void send_numbered(pqi_udp *from, const pqi_address *to, size_t count, size_t last_len)
{
    static uint8_t data[SEGMENTS * SEGMENT];
    const size_t len = (count - 1) * SEGMENT + last_len;
    for (size_t i = 0; i < count; i++) {
        data[i * SEGMENT] = (uint8_t)i;
    }
    const pqi_datagrams run = {.remote = *to,
                               .ecn = ECT0,
                               .data = data,
                               .len = len,
                               .segment = count == 1 ? len : SEGMENT};
    assert_true(pqi_udp_send(from, &run));
}

static void a_run_arrives_as_its_datagrams(void **state)
{
    (void)state;
    pqi_udp *a = open_on("127.0.0.1");
    pqi_udp *b = open_on("127.0.0.1");
    const pqi_address to = pqi_udp_local(b);
    send_numbered(a, &to, SEGMENTS, 7);
    wait_for(b, (SEGMENTS - 1) * SEGMENT + 7);
    assert_int_equal(got.datagrams, SEGMENTS);
    assert_true(got.in_order);
    assert_int_equal((got.bytes - 7) % SEGMENT, 0);
    pqi_udp_close(a);
    pqi_udp_close(b);
}

static void marks_and_both_addresses_are_reported(const char *host, const char *any)
{
    pqi_udp *a = open_on(host);
    pqi_udp *b = open_on(any);
    const pqi_address bound = pqi_udp_local(b);
    pqi_address to;
    assert_true(pqi_address_from_literal(&to, host, pqi_address_port(&bound)));
    send_numbered(a, &to, 1, 100);
    wait_for(b, 100);
    const pqi_address from = pqi_udp_local(a);
    assert_int_equal(got.last.ecn, ECT0);
    assert_true(pqi_address_equal(&got.last.remote, &from));
    assert_true(pqi_address_equal(&got.last.local, &to));
    /* And back from just that address. */
    const pqi_datagrams back = {.local = got.last.local,
                                .remote = got.last.remote,
                                .ecn = 1,
                                .data = (const uint8_t *)"",
                                .len = 1,
                                .segment = 1};
    assert_true(pqi_udp_send(b, &back));
    memset(&got, 0, sizeof(got));
    wait_for(a, 1);
    assert_true(pqi_address_equal(&got.last.remote, &to));
    assert_int_equal(got.last.ecn, 1);
    pqi_udp_close(a);
    pqi_udp_close(b);
}

static void ipv4_marks_and_addresses_are_reported(void **state)
{
    (void)state;
    marks_and_both_addresses_are_reported("127.0.0.1", "0.0.0.0");
    marks_and_both_addresses_are_reported("127.0.0.2", "0.0.0.0");
}

static void ipv6_marks_and_addresses_are_reported(void **state)
{
    (void)state;
    marks_and_both_addresses_are_reported("::1", "::");
}

/* A socket pair's far end that nobody reads fills up; a UDP socket's does not, so one is put in the
 * place of the socket's descriptor. */
static void what_the_kernel_does_not_take_waits_up_to_a_bound(void **state)
{
    (void)state;
    static uint8_t data[60000];
    int pair[2];
    int small = 4096;
    pqi_udp *udp = open_on("127.0.0.1");
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair), 0);
    (void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    assert_true(dup2(pair[0], pqi_udp_fd(udp)) >= 0);
    pqi_datagrams run = {.data = data, .len = 1000, .segment = 1000};
    size_t sent = 0;
    while (!pqi_udp_blocked(udp)) {
        assert_true(pqi_udp_send(udp, &run));
        assert_true(++sent < 10000);
    }
    size_t waiting = 1000;
    while (pqi_udp_send(udp, &run)) {
        waiting += run.len;
        assert_true(waiting <= PQI_UDP_QUEUE_MAX);
    }
    assert_true(waiting > PQI_UDP_QUEUE_MAX / 2);
    /* Once there is room all of it leaves, and nothing of what was refused. */
    size_t arrived = 0;
    while (pqi_udp_blocked(udp)) {
        while (recv(pair[1], data, sizeof(data), 0) > 0) {
            arrived += 1000;
        }
        pqi_udp_flush(udp);
    }
    while (recv(pair[1], data, sizeof(data), 0) > 0) {
        arrived += 1000;
    }
    assert_int_equal(arrived, (sent - 1) * 1000 + waiting);
    pqi_udp_close(udp);
    close(pair[0]);
    close(pair[1]);
}

static void a_closed_port_is_reported_to_a_connected_socket(void **state)
{
    (void)state;
    pqi_udp *gone = open_on("127.0.0.1");
    pqi_udp_opts opts = {.connect = pqi_udp_local(gone)};
    pqi_udp *udp = NULL;
    pqi_udp_close(gone);
    assert_true(pqi_address_from_literal(&opts.bind, "0.0.0.0", 0));
    assert_int_equal(pqi_udp_open(&udp, &opts, NULL), PQL_OK);
    send_numbered(udp, &opts.connect, 1, 10);
    /* The answer of the first must not get lost in the sending of the second. */
    send_numbered(udp, &opts.connect, 1, 10);
    assert_int_equal(pqi_udp_receive(udp, scratch, 1, on_run, NULL), ECONNREFUSED);
    assert_int_equal(pqi_udp_receive(udp, scratch, 1, on_run, NULL), 0);
    pqi_udp_close(udp);
}

/* Among so many picked at random out of some 28,000, several would be alike. */
#define SHARED_SOCKETS 700

static void two_nodes_never_share_a_port_that_the_kernel_picked(void **state)
{
    (void)state;
    static pqi_udp *sockets[SHARED_SOCKETS];
    static bool taken[UINT16_MAX + 1];
    pqi_udp_opts opts = {.reuse_port = true};
    bool shared = false;
    assert_true(pqi_address_from_literal(&opts.bind, "127.0.0.1", 0));
    for (unsigned i = 0; i < SHARED_SOCKETS; i++) {
        assert_int_equal(pqi_udp_open(&sockets[i], &opts, NULL), PQL_OK);
        const pqi_address bound = pqi_udp_local(sockets[i]);
        shared = shared || taken[pqi_address_port(&bound)];
        taken[pqi_address_port(&bound)] = true;
    }
    for (unsigned i = 0; i < SHARED_SOCKETS; i++) {
        pqi_udp_close(sockets[i]);
    }
    assert_false(shared);
}

static void an_address_in_use_is_refused_with_a_sentence(void **state)
{
    (void)state;
    pqi_udp *first = open_on("127.0.0.1");
    const pqi_udp_opts opts = {.bind = pqi_udp_local(first)};
    pqi_udp *second = NULL;
    pql_error err;
    assert_int_equal(pqi_udp_open(&second, &opts, &err), PQL_E_NETWORK);
    assert_null(second);
    assert_non_null(strstr(err.message, "another program"));
    pqi_udp_close(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_arrives_as_its_datagrams),
        cmocka_unit_test(ipv4_marks_and_addresses_are_reported),
        cmocka_unit_test(ipv6_marks_and_addresses_are_reported),
        cmocka_unit_test(what_the_kernel_does_not_take_waits_up_to_a_bound),
        cmocka_unit_test(a_closed_port_is_reported_to_a_connected_socket),
        cmocka_unit_test(two_nodes_never_share_a_port_that_the_kernel_picked),
        cmocka_unit_test(an_address_in_use_is_refused_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
