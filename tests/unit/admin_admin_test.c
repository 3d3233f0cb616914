/* The admin port over real loopback sockets, with requests written by hand. */
#include "test.h"

#include "admin/admin.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* So that a broken server fails the test instead of hanging it. */
#define SOCKET_TIMEOUT_SECONDS 60
#define REPLY_MAX 65536

typedef struct world {
    pqi_metrics *metrics;
    pqi_counter *counter;
    pqi_health *health;
    unsigned listener;
    pqi_admin *admin;
    pql_status provider_status;
    char reply[REPLY_MAX];
} world;

static pql_status status_json(void *user, pqi_buf *out, pql_error *err)
{
    const world *w = user;
    (void)pqi_buf_printf(out, "{\"links\":3}");
    return w->provider_status == PQL_OK
               ? PQL_OK
               : pqi_fail(err, w->provider_status, "The status is not at hand.");
}

static pqi_admin_opts opts_of(world *w)
{
    return (pqi_admin_opts){
        .metrics = w->metrics, .health = w->health, .status_json = status_json, .user = w};
}

static int setup(void **state)
{
    world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    assert_int_equal(pqi_metrics_new(&w->metrics, NULL), PQL_OK);
    w->counter =
        pqi_counter_at(pqi_metrics_register(w->metrics, &(pqi_metric_desc){.type = PQI_COUNTER,
                                                                           .name = "ticks_total",
                                                                           .help = "Ticks."}),
                       0);
    assert_int_equal(pqi_health_new(&w->health, NULL), PQL_OK);
    assert_int_equal(
        pqi_health_add(w->health, "listener", "It is not bound yet.", &w->listener, NULL), PQL_OK);
    const pqi_admin_opts opts = opts_of(w);
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

static int connect_to(uint16_t port)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    const struct timeval limit = {.tv_sec = SOCKET_TIMEOUT_SECONDS};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static void send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        const ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* the server may have refused and closed before it read everything */
        }
        data += sent;
        len -= (size_t)sent;
    }
}

/* Everything until the server closes. */
static void read_all(int fd, char *out)
{
    size_t len = 0;
    ssize_t got;
    while (len < REPLY_MAX - 1 && (got = recv(fd, out + len, REPLY_MAX - 1 - len, 0)) > 0) {
        len += (size_t)got;
    }
    out[len] = '\0';
}

static const char *exchange_on(world *w, uint16_t port, const char *request)
{
    const int fd = connect_to(port);
    send_all(fd, request, strlen(request));
    read_all(fd, w->reply);
    (void)close(fd);
    return w->reply;
}

static const char *exchange(world *w, const char *request)
{
    return exchange_on(w, pqi_admin_port(w->admin), request);
}

static const char *get(world *w, const char *path, const char *more_headers)
{
    char request[2048];
    (void)snprintf(request, sizeof(request),
                   "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", path,
                   more_headers);
    return exchange(w, request);
}

static void assert_status(const char *reply, unsigned status)
{
    char line[32];
    (void)snprintf(line, sizeof(line), "HTTP/1.1 %u ", status);
    assert_memory_equal(reply, line, strlen(line));
}

static const char *body_of(const char *reply)
{
    const char *end = strstr(reply, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

static void metrics_are_served_as_prometheus_text(void **state)
{
    world *w = *state;
    pqi_counter_add(w->counter, 5);

    const char *reply = get(w, "/metrics", "");

    assert_status(reply, 200);
    assert_non_null(
        strstr(reply, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert_string_equal(body_of(reply), "# HELP ticks_total Ticks.\n"
                                        "# TYPE ticks_total counter\n"
                                        "ticks_total 5\n");
}

static void metrics_are_served_as_openmetrics_when_asked_for(void **state)
{
    world *w = *state;

    const char *reply =
        get(w, "/metrics", "Accept: application/openmetrics-text;version=1.0.0\r\n");

    assert_status(reply, 200);
    assert_non_null(strstr(
        reply, "\r\nContent-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"));
    assert_non_null(strstr(body_of(reply), "ticks_total 0\n# EOF\n"));
}

static void healthz_answers_while_the_process_lives(void **state)
{
    world *w = *state;

    const char *reply = get(w, "/healthz", "");

    assert_status(reply, 200);
    assert_string_equal(body_of(reply), "{\"ok\":true}\n");
}

static void readyz_says_what_is_missing_and_when_to_come_again(void **state)
{
    world *w = *state;

    const char *reply = get(w, "/readyz", "");

    assert_status(reply, 503);
    assert_non_null(strstr(reply, "\r\nRetry-After: 5\r\n"));
    assert_non_null(strstr(reply, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(body_of(reply), "\"reason\":\"It is not bound yet.\""));
}

static void readyz_is_200_once_everything_is_there(void **state)
{
    world *w = *state;
    pqi_health_set_ok(w->health, w->listener);

    const char *reply = get(w, "/readyz", "");

    assert_status(reply, 200);
    assert_null(strstr(reply, "Retry-After"));
}

static void version_names_the_program(void **state)
{
    world *w = *state;

    const char *reply = get(w, "/version", "");

    assert_status(reply, 200);
    assert_string_equal(body_of(reply),
                        "{\"name\":\"pqlink\",\"version\":\"" PQLINK_VERSION "\"}\n");
}

static void status_is_what_the_service_provides(void **state)
{
    world *w = *state;

    const char *reply = get(w, "/status", "");

    assert_status(reply, 200);
    assert_string_equal(body_of(reply), "{\"links\":3}");
}

static void a_provider_that_fails_is_a_500_with_its_sentence(void **state)
{
    world *w = *state;
    w->provider_status = PQL_E_FAILED;

    const char *reply = get(w, "/status", "");

    assert_status(reply, 500);
    assert_string_equal(body_of(reply), "The status is not at hand.\n");
}

static void status_without_a_provider_is_404(void **state)
{
    world *w = *state;
    pqi_admin *bare;
    pqi_admin_opts opts = opts_of(w);
    opts.status_json = NULL;
    assert_int_equal(pqi_admin_start(&bare, &opts, NULL), PQL_OK);

    assert_status(exchange_on(w, pqi_admin_port(bare),
                              "GET /status HTTP/1.1\r\nHost: localhost\r\n"
                              "Connection: close\r\n\r\n"),
                  404);

    pqi_admin_stop(bare);
}

static void the_index_lists_the_paths(void **state)
{
    world *w = *state;

    const char *reply = get(w, "/", "");

    assert_status(reply, 200);
    assert_non_null(strstr(body_of(reply), "/readyz"));
}

static void an_unknown_path_is_404(void **state)
{
    world *w = *state;

    assert_status(get(w, "/metrics/x", ""), 404);
    assert_status(get(w, "//metrics", ""), 404);
    assert_status(get(w, "/../etc/passwd", ""), 404);
}

static void head_has_the_headers_without_the_body(void **state)
{
    world *w = *state;

    const char *reply = exchange(w, "HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n"
                                    "Connection: close\r\n\r\n");

    assert_status(reply, 200);
    assert_non_null(strstr(reply, "\r\nContent-Length: 12\r\n"));
    assert_string_equal(body_of(reply), "");
}

static void other_methods_are_405_and_say_which_work(void **state)
{
    world *w = *state;
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "NONSENSE"};

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        char request[256];
        (void)snprintf(request, sizeof(request),
                       "%s /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc",
                       methods[i]);
        const char *reply = exchange(w, request);
        assert_status(reply, 405);
        assert_non_null(strstr(reply, "\r\nAllow: GET, HEAD\r\n"));
    }
}

static void a_get_with_a_body_is_refused_and_the_body_is_no_second_request(void **state)
{
    world *w = *state;

    const char *reply = exchange(w, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
                                    "Content-Length: 46\r\n\r\n"
                                    "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\nabc");

    assert_status(reply, 413);
    assert_null(strstr(reply, "ticks_total"));
}

static void a_foreign_host_is_421(void **state)
{
    world *w = *state;

    const char *reply = exchange(w, "GET /metrics HTTP/1.1\r\nHost: rebound.evil.example\r\n\r\n");

    assert_status(reply, 421);
    assert_null(strstr(reply, "ticks_total"));
    assert_null(strstr(reply, "configuration")); /* no setting allows a name */
}

static void a_host_from_the_list_is_answered(void **state)
{
    world *w = *state;
    static const char *const names[] = {"node.example"};
    pqi_admin *named;
    pqi_admin_opts opts = opts_of(w);
    opts.host_names = names;
    opts.host_name_count = 1;
    assert_int_equal(pqi_admin_start(&named, &opts, NULL), PQL_OK);

    assert_status(exchange_on(w, pqi_admin_port(named),
                              "GET /healthz HTTP/1.1\r\nHost: node.example\r\n"
                              "Connection: close\r\n\r\n"),
                  200);

    pqi_admin_stop(named);
}

static void two_hosts_or_none_are_400(void **state)
{
    world *w = *state;

    assert_status(exchange(w, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
                              "Host: evil.example\r\n\r\n"),
                  400);
    assert_status(exchange(w, "GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n"), 400);
}

static void http_1_0_without_a_host_is_answered(void **state)
{
    world *w = *state;

    const char *reply = exchange(w, "GET /healthz HTTP/1.0\r\n\r\n");

    assert_non_null(strstr(reply, " 200 OK\r\n"));
}

static void pages_of_other_sites_get_403(void **state)
{
    world *w = *state;
    static const char *const headers[] = {
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: http://localhost:3000\r\n",
        "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n",
    };

    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        const char *reply = get(w, "/metrics", headers[i]);
        assert_status(reply, 403);
        assert_null(strstr(reply, "ticks_total"));
    }
    assert_status(get(w, "/metrics", "Origin: http://localhost\r\n"), 200);
}

static void every_answer_forbids_caching_sniffing_and_framing(void **state)
{
    world *w = *state;
    static const char *const paths[] = {"/", "/metrics", "/healthz", "/readyz", "/nothing"};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        const char *reply = get(w, paths[i], "");
        assert_non_null(strstr(reply, "\r\nCache-Control: no-store\r\n"));
        assert_non_null(strstr(reply, "\r\nX-Content-Type-Options: nosniff\r\n"));
        assert_non_null(strstr(reply, "\r\nX-Frame-Options: DENY\r\n"));
        assert_null(strstr(reply, "Access-Control-Allow"));
    }
}

static void headers_over_the_bound_are_refused_and_the_server_lives(void **state)
{
    world *w = *state;
    const size_t size = (size_t)2 * PQI_ADMIN_REQUEST_MAX;
    char *request = malloc(size);
    assert_non_null(request);
    const int head =
        snprintf(request, size, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Long: ");
    memset(request + head, 'a', size - 1 - (size_t)head);
    request[size - 1] = '\0';

    const char *reply = exchange(w, request);

    assert_null(strstr(reply, " 200 "));
    free(request);
    assert_status(get(w, "/healthz", ""), 200);
}

static void a_connection_takes_one_request_after_the_other(void **state)
{
    world *w = *state;

    const char *reply = exchange(w, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
                                    "GET /version HTTP/1.1\r\nHost: localhost\r\n"
                                    "Connection: close\r\n\r\n");

    assert_non_null(strstr(reply, "{\"ok\":true}"));
    assert_non_null(strstr(reply, "\"version\":"));
}

static void one_address_cannot_have_more_connections_than_its_share(void **state)
{
    world *w = *state;
    int idle[PQI_ADMIN_PER_ADDRESS_MAX];
    for (int i = 0; i < PQI_ADMIN_PER_ADDRESS_MAX; i++) {
        idle[i] = connect_to(pqi_admin_port(w->admin));
        send_all(idle[i], "GET", 3);
    }

    assert_string_equal(get(w, "/healthz", ""), "");

    for (int i = 0; i < PQI_ADMIN_PER_ADDRESS_MAX; i++) {
        (void)close(idle[i]);
    }
}

static void a_port_in_use_is_a_clear_sentence(void **state)
{
    world *w = *state;
    pqi_admin *second;
    pql_error err;
    pqi_admin_opts opts = opts_of(w);
    opts.port = pqi_admin_port(w->admin);

    assert_int_equal(pqi_admin_start(&second, &opts, &err), PQL_E_NETWORK);

    assert_null(second);
    assert_non_null(strstr(err.message, "is in use by another program"));
}

static void the_port_is_free_again_after_a_stop(void **state)
{
    world *w = *state;
    assert_status(get(w, "/healthz", ""), 200);
    pqi_admin_opts opts = opts_of(w);
    opts.port = pqi_admin_port(w->admin);
    pqi_admin_stop(w->admin);
    w->admin = NULL;

    assert_int_equal(pqi_admin_start(&w->admin, &opts, NULL), PQL_OK);

    assert_int_equal(pqi_admin_port(w->admin), opts.port);
    assert_status(get(w, "/healthz", ""), 200);
}

static void an_address_that_is_none_or_not_ours_is_refused(void **state)
{
    world *w = *state;
    pqi_admin *other;
    pql_error err;
    pqi_admin_opts opts = opts_of(w);

    opts.address = "example.com";
    assert_int_equal(pqi_admin_start(&other, &opts, &err), PQL_E_USAGE);
    opts.address = "[127.0.0.1]";
    assert_int_equal(pqi_admin_start(&other, &opts, &err), PQL_E_USAGE);
    opts.address = "192.0.2.1"; /* RFC 5737: nobody has it */
    assert_int_equal(pqi_admin_start(&other, &opts, &err), PQL_E_NETWORK);

    assert_null(other);
    assert_non_null(strstr(err.message, "no network interface of this machine has that address"));
}

static void ipv6_loopback_works_where_the_machine_has_it(void **state)
{
    world *w = *state;
    pqi_admin *six;
    pqi_admin_opts opts = opts_of(w);
    opts.address = "[::1]";
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const int probe = socket(AF_INET6, SOCK_STREAM, 0);
    if (probe < 0 || bind(probe, (const struct sockaddr *)&to, sizeof(to)) != 0) {
        print_message("SKIPPED: this machine has no IPv6 loopback address, so that the admin port "
                      "on [::1] was not tested\n");
        skip();
    }
    (void)close(probe);
    assert_int_equal(pqi_admin_start(&six, &opts, NULL), PQL_OK);
    to.sin6_port = htons(pqi_admin_port(six));
    const int fd = socket(AF_INET6, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    static const char request[] =
        "GET /healthz HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n";

    send_all(fd, request, strlen(request));
    read_all(fd, w->reply);

    assert_status(w->reply, 200);
    (void)close(fd);
    pqi_admin_stop(six);
}

#define SCRAPERS 4
#define SCRAPES 25

typedef struct scraper {
    uint16_t port;
    unsigned good;
    pthread_t thread;
} scraper;

static void *scrape(void *user)
{
    scraper *s = user;
    char *reply = malloc(REPLY_MAX);
    static const char request[] =
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    for (int i = 0; reply != NULL && i < SCRAPES; i++) {
        const int fd = connect_to(s->port);
        send_all(fd, request, strlen(request));
        read_all(fd, reply);
        (void)close(fd);
        s->good += strstr(reply, " 200 OK") != NULL && strstr(reply, "\nticks_total ") != NULL;
    }
    free(reply);
    return NULL;
}

typedef struct ticker {
    pqi_counter *counter;
    atomic_bool stop;
} ticker;

static void *tick(void *user)
{
    ticker *t = user;
    while (!atomic_load(&t->stop)) {
        pqi_counter_add(t->counter, 1);
    }
    return NULL;
}

static void scrapes_at_once_all_succeed_while_counters_move(void **state)
{
    world *w = *state;
    ticker t = {.counter = w->counter};
    scraper scrapers[SCRAPERS] = {0};
    pthread_t ticking;
    assert_int_equal(pthread_create(&ticking, NULL, tick, &t), 0);

    for (int i = 0; i < SCRAPERS; i++) {
        scrapers[i].port = pqi_admin_port(w->admin);
        assert_int_equal(pthread_create(&scrapers[i].thread, NULL, scrape, &scrapers[i]), 0);
    }
    for (int i = 0; i < SCRAPERS; i++) {
        pthread_join(scrapers[i].thread, NULL);
    }
    atomic_store(&t.stop, true);
    pthread_join(ticking, NULL);

    for (int i = 0; i < SCRAPERS; i++) {
        assert_int_equal(scrapers[i].good, SCRAPES);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(metrics_are_served_as_prometheus_text),
        TEST(metrics_are_served_as_openmetrics_when_asked_for),
        TEST(healthz_answers_while_the_process_lives),
        TEST(readyz_says_what_is_missing_and_when_to_come_again),
        TEST(readyz_is_200_once_everything_is_there),
        TEST(version_names_the_program),
        TEST(status_is_what_the_service_provides),
        TEST(a_provider_that_fails_is_a_500_with_its_sentence),
        TEST(status_without_a_provider_is_404),
        TEST(the_index_lists_the_paths),
        TEST(an_unknown_path_is_404),
        TEST(head_has_the_headers_without_the_body),
        TEST(other_methods_are_405_and_say_which_work),
        TEST(a_get_with_a_body_is_refused_and_the_body_is_no_second_request),
        TEST(a_foreign_host_is_421),
        TEST(a_host_from_the_list_is_answered),
        TEST(two_hosts_or_none_are_400),
        TEST(http_1_0_without_a_host_is_answered),
        TEST(pages_of_other_sites_get_403),
        TEST(every_answer_forbids_caching_sniffing_and_framing),
        TEST(headers_over_the_bound_are_refused_and_the_server_lives),
        TEST(a_connection_takes_one_request_after_the_other),
        TEST(one_address_cannot_have_more_connections_than_its_share),
        TEST(a_port_in_use_is_a_clear_sentence),
        TEST(the_port_is_free_again_after_a_stop),
        TEST(an_address_that_is_none_or_not_ours_is_refused),
        TEST(ipv6_loopback_works_where_the_machine_has_it),
        TEST(scrapes_at_once_all_succeed_while_counters_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
