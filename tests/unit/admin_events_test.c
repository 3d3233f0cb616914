/* The stream of the status page, and the page itself, over real loopback sockets. */
#include "test.h"

#include "admin/admin.h"
#include "admin/events.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* ctest labels: threads */

/* So that a broken server fails the test instead of hanging it. */
#define SOCKET_TIMEOUT_SECONDS 60
#define REPLY_MAX 65536
/* More than the kernel takes for a reader that does not read. */
#define LARGE ((size_t)8 << 20)
#define SMALL_BUFFER 4096

typedef struct world {
    pqi_metrics *metrics;
    pqi_health *health;
    pqi_admin *admin;
    atomic_uint made;
    atomic_bool large;
    char reply[REPLY_MAX];
} world;

static pql_status snapshot_json(void *user, pqi_buf *out, pql_error *err)
{
    world *w = user;
    bool ok = pqi_buf_printf(out, "{\"n\":%u", atomic_fetch_add(&w->made, 1) + 1);
    if (atomic_load(&w->large)) {
        char *filler = malloc(LARGE);
        assert_non_null(filler);
        memset(filler, 'x', LARGE);
        ok = ok && pqi_buf_printf(out, ",\"filler\":\"") && pqi_buf_append(out, filler, LARGE) &&
             pqi_buf_printf(out, "\"");
        free(filler);
    }
    return ok && pqi_buf_printf(out, "}") ? PQL_OK : pqi_fail(err, PQL_E_NOMEM, "No memory.");
}

static int setup(void **state)
{
    world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    assert_int_equal(pqi_metrics_new(&w->metrics, NULL), PQL_OK);
    assert_int_equal(pqi_health_new(&w->health, NULL), PQL_OK);
    const pqi_admin_opts opts = {
        .metrics = w->metrics, .health = w->health, .snapshot_json = snapshot_json, .user = w};
    assert_int_equal(pqi_admin_start(&w->admin, &opts, NULL), PQL_OK);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    pqi_admin_stop(w->admin);
    pqi_health_free(w->health);
    pqi_metrics_free(w->metrics);
    free(w);
    return 0;
}

/* A connection on which |path| was asked for. */
static int ask(world *w, const char *path, const char *host, const char *more, int buffer)
{
    char request[512];
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    const struct timeval limit = {.tv_sec = SOCKET_TIMEOUT_SECONDS};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    if (buffer != 0) {
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer)), 0);
    }
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(pqi_admin_port(w->admin))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    const int len = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n",
                             path, host, more);
    assert_int_equal(send(fd, request, (size_t)len, MSG_NOSIGNAL), len);
    return fd;
}

static int listen_to(world *w)
{
    return ask(w, "/events", "localhost", "Connection: close\r\n", 0);
}

/* Reads until |text| has come |count| times, or the server closes: then false. */
static bool read_until(world *w, int fd, const char *text, int count)
{
    size_t len = 0;
    for (;;) {
        w->reply[len] = '\0';
        int seen = 0;
        for (const char *at = w->reply; (at = strstr(at, text)) != NULL; at++) {
            seen++;
        }
        if (seen >= count) {
            return true;
        }
        assert_true(len < REPLY_MAX - 1);
        const ssize_t got = recv(fd, w->reply + len, REPLY_MAX - 1 - len, 0);
        if (got <= 0) {
            return false;
        }
        len += (size_t)got;
    }
}

static const char *whole(world *w, const char *path, const char *more)
{
    char headers[256];
    (void)snprintf(headers, sizeof(headers), "Connection: close\r\n%s", more);
    const int fd = ask(w, path, "localhost", headers, 0);
    (void)read_until(w, fd, "\1", 1); /* which never comes: all until the close */
    (void)close(fd);
    return w->reply;
}

static void a_listener_gets_one_snapshot_after_the_other(void **state)
{
    world *w = *state;
    const int fd = listen_to(w);

    assert_true(read_until(w, fd, "}\n\n", 3));

    assert_memory_equal(w->reply, "HTTP/1.1 200 ", 13);
    assert_non_null(strstr(w->reply, "\r\nContent-Type: text/event-stream\r\n"));
    assert_non_null(strstr(w->reply, "\r\nCache-Control: no-store\r\n"));
    const char *first = strstr(w->reply, "data: {\"n\":");
    assert_non_null(first);
    assert_non_null(strstr(first + 1, "data: {\"n\":"));
    (void)close(fd);
}

static void nobody_listens_and_nothing_is_made(void **state)
{
    world *w = *state;
    (void)whole(w, "/healthz", "");
    (void)whole(w, "/", "");
    assert_int_equal(atomic_load(&w->made), 0);
}

static void a_snapshot_is_made_once_for_all_listeners(void **state)
{
    world *w = *state;
    int fds[PQI_EVENTS_LISTENERS_MAX];
    const uint64_t start = pqi_clock_monotonic();
    for (size_t i = 0; i < PQI_EVENTS_LISTENERS_MAX; i++) {
        fds[i] = listen_to(w);
    }
    for (size_t i = 0; i < PQI_EVENTS_LISTENERS_MAX; i++) {
        assert_true(read_until(w, fds[i], "}\n\n", 3));
    }

    /* One at the start, then at most one a second, however long it took. */
    const unsigned made = atomic_load(&w->made);
    const uint64_t seconds = (pqi_clock_monotonic() - start) / PQI_NS_PER_SEC;
    assert_in_range(made, 3, 1 + seconds);
    for (size_t i = 0; i < PQI_EVENTS_LISTENERS_MAX; i++) {
        (void)close(fds[i]);
    }
}

static void a_listener_too_many_is_told_to_come_again(void **state)
{
    world *w = *state;
    int fds[PQI_EVENTS_LISTENERS_MAX];
    for (size_t i = 0; i < PQI_EVENTS_LISTENERS_MAX; i++) {
        fds[i] = listen_to(w);
        assert_true(read_until(w, fds[i], "\r\n\r\n", 1));
    }

    const char *reply = whole(w, "/events", "");
    assert_memory_equal(reply, "HTTP/1.1 503 ", 13);
    assert_non_null(strstr(reply, "\r\nRetry-After: 10\r\n"));
    /* The rest of the port goes on, the page's own way out too. */
    assert_memory_equal(whole(w, "/snapshot", ""), "HTTP/1.1 200 ", 13);

    (void)close(fds[0]);
    bool in = false;
    while (!in) {
        const int fd = listen_to(w);
        in = read_until(w, fd, "data: ", 1);
        (void)close(fd);
    }
    for (size_t i = 1; i < PQI_EVENTS_LISTENERS_MAX; i++) {
        (void)close(fds[i]);
    }
}

static void who_does_not_read_is_dropped(void **state)
{
    world *w = *state;
    int fds[PQI_EVENTS_LISTENERS_MAX];
    atomic_store(&w->large, true);
    for (size_t i = 0; i < PQI_EVENTS_LISTENERS_MAX; i++) {
        fds[i] = ask(w, "/events", "localhost", "", SMALL_BUFFER);
        assert_true(read_until(w, fds[i], "data: ", 1)); /* and no more from now on */
    }

    /* Nobody left by himself: there is room because the server took it. */
    bool in = false;
    while (!in) {
        const int fd = listen_to(w);
        in = read_until(w, fd, "data: ", 1);
        (void)close(fd);
    }
    for (size_t i = 0; i < PQI_EVENTS_LISTENERS_MAX; i++) {
        (void)close(fds[i]);
    }
}

static void a_stop_ends_the_listeners_in_order(void **state)
{
    world *w = *state;
    int fds[PQI_EVENTS_LISTENERS_MAX];
    for (size_t i = 0; i < PQI_EVENTS_LISTENERS_MAX; i++) {
        fds[i] = listen_to(w);
        assert_true(read_until(w, fds[i], "}\n\n", 1));
    }

    pqi_admin_stop(w->admin);
    w->admin = NULL;

    for (size_t i = 0; i < PQI_EVENTS_LISTENERS_MAX; i++) {
        /* The last chunk has no bytes (RFC 9112, section 7.1): nothing was cut off. */
        assert_true(read_until(w, fds[i], "\r\n0\r\n\r\n", 1) ||
                    strncmp(w->reply, "0\r\n\r\n", 5) == 0);
        (void)close(fds[i]);
    }
}

static void what_foreign_pages_ask_is_refused_here_too(void **state)
{
    world *w = *state;
    static const char *const paths[] = {"/events", "/snapshot", "/", "/page.js", "/page.css"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        int fd = ask(w, paths[i], "rebound.evil.example", "", 0);
        (void)read_until(w, fd, "\r\n\r\n", 1);
        assert_memory_equal(w->reply, "HTTP/1.1 421 ", 13);
        (void)close(fd);
        fd = ask(w, paths[i], "localhost",
                 "Origin: http://evil.example\r\nSec-Fetch-Site: cross-site\r\n"
                 "Sec-Fetch-Mode: cors\r\n",
                 0);
        (void)read_until(w, fd, "\r\n\r\n", 1);
        assert_memory_equal(w->reply, "HTTP/1.1 403 ", 13);
        (void)close(fd);
    }
    assert_int_equal(atomic_load(&w->made), 0);
}

static void
a_link_of_a_foreign_page_leads_to_the_page_but_takes_no_place_at_the_stream(void **state)
{
    world *w = *state;
    static const char link[] = "Accept: text/html\r\nSec-Fetch-Site: cross-site\r\n"
                               "Sec-Fetch-Mode: navigate\r\n";
    for (unsigned i = 0; i <= PQI_EVENTS_LISTENERS_MAX; i++) {
        const int fd = ask(w, "/events", "localhost", link, 0);
        (void)read_until(w, fd, "\r\n\r\n", 1);
        assert_memory_equal(w->reply, "HTTP/1.1 403 ", 13);
        (void)close(fd);
    }
    assert_int_equal(atomic_load(&w->made), 0);
    assert_non_null(strstr(whole(w, "/", link), "text/html"));
}

static void a_browser_gets_the_page_and_others_the_list(void **state)
{
    world *w = *state;
    assert_non_null(strstr(whole(w, "/", "Accept: */*\r\n"), "text/plain"));

    const char *reply = whole(w, "/", "Accept: text/html,application/xml;q=0.9\r\n");

    assert_non_null(strstr(reply, "\r\nContent-Type: text/html; charset=utf-8\r\n"));
    assert_non_null(strstr(reply, "Content-Security-Policy: default-src 'none'; script-src 'self'; "
                                  "style-src 'self'; connect-src 'self';"));
    assert_null(strstr(reply, "unsafe"));
    assert_non_null(strstr(reply, "<noscript>"));
    assert_non_null(strstr(whole(w, "/page.js", ""), "text/javascript"));
    assert_non_null(strstr(whole(w, "/page.css", ""), "text/css"));
}

/* The policy above would block it; it must not be there at all. */
static void the_page_names_nothing_outside_and_sets_no_html(void **state)
{
    world *w = *state;
    static const char *const paths[] = {"/", "/page.js", "/page.css"};
    static const char *const words[] = {"http:",     "https:",   "//",
                                        "@import",   "url(",     "innerHTML",
                                        "outerHTML", "eval(",    "insertAdjacentHTML",
                                        " style=",   " onclick", "document.write"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        const char *body = strstr(whole(w, paths[i], "Accept: text/html\r\n"), "\r\n\r\n");
        assert_non_null(body);
        for (size_t j = 0; j < sizeof(words) / sizeof(words[0]); j++) {
            if (strstr(body, words[j]) != NULL) {
                fail_msg("%s has \"%s\"", paths[i], words[j]);
            }
        }
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_listener_gets_one_snapshot_after_the_other),
        TEST(nobody_listens_and_nothing_is_made),
        TEST(a_snapshot_is_made_once_for_all_listeners),
        TEST(a_listener_too_many_is_told_to_come_again),
        TEST(who_does_not_read_is_dropped),
        TEST(a_stop_ends_the_listeners_in_order),
        TEST(what_foreign_pages_ask_is_refused_here_too),
        TEST(a_link_of_a_foreign_page_leads_to_the_page_but_takes_no_place_at_the_stream),
        TEST(a_browser_gets_the_page_and_others_the_list),
        TEST(the_page_names_nothing_outside_and_sets_no_html),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
