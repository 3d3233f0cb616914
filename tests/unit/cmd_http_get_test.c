/* One GET to an admin port, and servers that are none.  ctest labels: threads */
#include "test.h"

#include "base/clock.h"
#include "cmd/http_get.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LONG_TIME (60 * PQI_NS_PER_SEC)

/* Takes one connection, reads a request, answers with |answer| and closes; or waits for the other
 * side when |answer| is NULL. */
typedef struct server {
    int fd;
    pqi_endpoint at;
    const char *answer;
    char request[512];
    pthread_t thread;
} server;

static void *serve(void *arg)
{
    server *s = arg;
    char rest[64];
    const int fd = accept(s->fd, NULL, NULL);
    size_t len = 0;
    while (strstr(s->request, "\r\n\r\n") == NULL) {
        const ssize_t n = recv(fd, s->request + len, sizeof(s->request) - 1 - len, 0);
        if (n <= 0) {
            break;
        }
        len += (size_t)n;
    }
    if (s->answer != NULL) {
        (void)send(fd, s->answer, strlen(s->answer), MSG_NOSIGNAL);
    } else {
        (void)recv(fd, rest, sizeof(rest), 0); /* until the client gives up */
    }
    (void)close(fd);
    return NULL;
}

static void server_open(server *s, const char *answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    *s = (server){.answer = answer};
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(s->fd >= 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(s->fd, 1), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&address, &len), 0);
    s->at = (pqi_endpoint){
        .host_kind = PQI_HOST_IPV4, .host = "127.0.0.1", .port = ntohs(address.sin_port)};
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_close(server *s)
{
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    (void)close(s->fd);
}

/* What a GET to a server that says |answer| comes to. */
static pql_status get(const char *answer, uint64_t timeout, unsigned *status, pqi_buf *body,
                      char request[512])
{
    server s;
    server_open(&s, answer);
    const pql_status rc = pqi_http_get(&s.at, "/status", timeout, status, body, NULL);
    server_close(&s);
    if (request != NULL) {
        memcpy(request, s.request, sizeof(s.request));
    }
    return rc;
}

static void the_body_comes_without_its_header(void **state)
{
    (void)state;
    pqi_buf body = {.max = 4096};
    unsigned status = 0;
    char request[512];
    assert_int_equal(
        get("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", LONG_TIME, &status, &body, request),
        PQL_OK);
    assert_int_equal(status, 200);
    assert_int_equal(body.len, 2);
    assert_memory_equal(body.data, "{}", 2);
    assert_int_equal(strncmp(request, "GET /status HTTP/1.0\r\nHost: 127.0.0.1:", 38), 0);
    pqi_buf_free(&body);
}

static void another_status_is_handed_on(void **state)
{
    (void)state;
    pqi_buf body = {.max = 4096};
    unsigned status = 0;
    assert_int_equal(get("HTTP/1.0 404 Not Found\r\n\r\n", LONG_TIME, &status, &body, NULL),
                     PQL_OK);
    assert_int_equal(status, 404);
    assert_int_equal(body.len, 0);
    pqi_buf_free(&body);
}

static void what_is_no_http_is_refused(void **state)
{
    static const char *const answers[] = {"",
                                          "SSH-2.0-OpenSSH_9.2\r\n\r\n",
                                          "HTTP/1.1 200 OK\r\nno end",
                                          "HTTP/1.1 2x0 OK\r\n\r\n",
                                          "HTTP/1.1 099 OK\r\n\r\n",
                                          "HTTP/1.1\r\n\r\n"};
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        pqi_buf body = {.max = 4096};
        unsigned status = 0;
        assert_int_equal(get(answers[i], LONG_TIME, &status, &body, NULL), PQL_E_PROTOCOL);
        pqi_buf_free(&body);
    }
}

static void an_answer_over_the_bound_is_refused(void **state)
{
    (void)state;
    pqi_buf body = {.max = 20};
    unsigned status = 0;
    assert_int_equal(get("HTTP/1.1 200 OK\r\n\r\n0123456789", LONG_TIME, &status, &body, NULL),
                     PQL_E_LIMIT);
    pqi_buf_free(&body);
}

static void a_server_that_says_nothing_is_given_up(void **state)
{
    (void)state;
    pqi_buf body = {.max = 4096};
    unsigned status = 0;
    assert_int_equal(get(NULL, 20 * PQI_NS_PER_MS, &status, &body, NULL), PQL_E_TIMEOUT);
    pqi_buf_free(&body);
}

static void a_port_without_a_server_is_said_to_be_one(void **state)
{
    (void)state;
    server s;
    pqi_buf body = {.max = 4096};
    unsigned status = 0;
    pql_error err = {0};
    server_open(&s, "HTTP/1.0 200 OK\r\n\r\n");
    assert_int_equal(pqi_http_get(&s.at, "/", LONG_TIME, &status, &body, NULL), PQL_OK);
    server_close(&s); /* the port is free now */

    assert_int_equal(pqi_http_get(&s.at, "/", LONG_TIME, &status, &body, &err), PQL_E_NETWORK);
    assert_non_null(strstr(err.message, "127.0.0.1:"));
    pqi_buf_free(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_body_comes_without_its_header),
        cmocka_unit_test(another_status_is_handed_on),
        cmocka_unit_test(what_is_no_http_is_refused),
        cmocka_unit_test(an_answer_over_the_bound_is_refused),
        cmocka_unit_test(a_server_that_says_nothing_is_given_up),
        cmocka_unit_test(a_port_without_a_server_is_said_to_be_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
