/* The control socket: requests, who may ask, and what is left when the asker is gone.
 * ctest labels: threads */
#include "test.h"

#include "admin/control.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* ---- lines ---- */

static pql_status parse(pqi_control_request *out, const char *line, pql_error *err)
{
    return pqi_control_parse(out, line, strlen(line), err);
}

static void the_three_requests_are_read(void **state)
{
    (void)state;
    pqi_control_request r;
    assert_int_equal(parse(&r, "{\"do\":\"status\"}", NULL), PQL_OK);
    assert_int_equal(r.kind, PQI_CONTROL_STATUS);
    assert_int_equal(parse(&r, "{\"do\":\"end\"}", NULL), PQL_OK);
    assert_int_equal(r.kind, PQI_CONTROL_END);
    assert_int_equal(
        parse(&r, "{\"do\":\"override\",\"policy\":\"pq-only\",\"seconds\":3600}", NULL), PQL_OK);
    assert_int_equal(r.kind, PQI_CONTROL_OVERRIDE);
    assert_int_equal(r.policy, PQL_POLICY_PQ_ONLY);
    assert_int_equal(r.seconds, 3600);
}

static void anything_else_is_refused_with_a_sentence(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "[]",
        "{}",
        "status",
        "{\"do\":\"reboot\"}",
        "{\"do\":1}",
        "{\"do\":\"status\",\"more\":1}",
        "{\"do\":\"status\",\"do\":\"end\"}",
        "{\"do\":\"end\"} {\"do\":\"end\"}",
        "{\"do\":\"override\"}",
        "{\"do\":\"override\",\"policy\":\"pq-only\"}",
        "{\"do\":\"override\",\"policy\":\"pq-only\",\"seconds\":0}",
        "{\"do\":\"override\",\"policy\":\"pq-only\",\"seconds\":3601}",
        "{\"do\":\"override\",\"policy\":\"pq-only\",\"seconds\":-1}",
        "{\"do\":\"override\",\"policy\":\"pq-only\",\"seconds\":1.5}",
        "{\"do\":\"override\",\"policy\":\"pq-only\",\"seconds\":\"60\"}",
        "{\"do\":\"override\",\"policy\":\"stronger\",\"seconds\":60}",
        "{\"do\":\"override\",\"policy\":\"pq-only\",\"seconds\":60,\"more\":1}",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        pqi_control_request r;
        pql_error err = {0};
        assert_int_equal(parse(&r, wrong[i], &err), PQL_E_USAGE);
        assert_true(strlen(err.message) > 0);
    }
}

static void every_truncation_of_a_request_is_refused(void **state)
{
    (void)state;
    static const char line[] = "{\"do\":\"override\",\"policy\":\"off\",\"seconds\":60}";
    for (size_t len = 0; len < sizeof(line) - 1; len++) {
        pqi_control_request r;
        assert_int_equal(pqi_control_parse(&r, line, len, NULL), PQL_E_USAGE);
    }
}

/* ---- a socket with a main thread ---- */

typedef struct world {
    char dir[64];
    char path[96];
    pqi_control *control;
    sem_t woken;
    pthread_t main;
    _Atomic bool ends;
    pqi_control_request last;
    unsigned taken, hung_up;
} world;

static void wake(void *user)
{
    (void)sem_post(&((world *)user)->woken);
}

/* Answers everything, but refuses the policy off. */
static void *main_loop(void *arg)
{
    world *w = arg;
    for (;;) {
        (void)sem_wait(&w->woken);
        pqi_control_request request;
        while (pqi_control_take(w->control, &request)) {
            const bool refuse =
                request.kind == PQI_CONTROL_OVERRIDE && request.policy == PQL_POLICY_OFF;
            const pql_error err = {.code = PQL_E_CRYPTO, .message = "not that one"};
            w->last = request;
            w->taken++;
            w->hung_up += request.kind == PQI_CONTROL_END && request.hung_up ? 1 : 0;
            pqi_control_answer(w->control, refuse ? PQL_E_CRYPTO : PQL_OK, &err,
                               json_pack("{s:i}", "kind", (int)request.kind));
        }
        if (w->ends) {
            return NULL;
        }
    }
}

static int setup(void **state)
{
    world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/pqlink-control-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(w->path, sizeof(w->path), "%s/control", w->dir);
    assert_int_equal(sem_init(&w->woken, 0, 0), 0);
    assert_int_equal(pqi_control_open(&w->control, w->path, wake, w, NULL), PQL_OK);
    assert_int_equal(pthread_create(&w->main, NULL, main_loop, w), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    w->ends = true;
    (void)sem_post(&w->woken);
    assert_int_equal(pthread_join(w->main, NULL), 0);
    pqi_control_close(w->control);
    assert_int_not_equal(access(w->path, F_OK), 0); /* the socket went with it */
    assert_int_equal(rmdir(w->dir), 0);
    (void)sem_destroy(&w->woken);
    free(w);
    return 0;
}

static int dial(const world *w)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", w->path);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* One line; "" when the other side hung up. */
static const char *hear(int fd)
{
    static char line[2048];
    size_t have = 0;
    while (have + 1 < sizeof(line) && (have == 0 || line[have - 1] != '\n')) {
        const ssize_t got = recv(fd, line + have, sizeof(line) - 1 - have, 0);
        if (got <= 0) {
            break;
        }
        have += (size_t)got;
    }
    line[have] = '\0';
    return line;
}

static const char *ask(int fd, const char *line)
{
    assert_int_equal(send(fd, line, strlen(line), MSG_NOSIGNAL), (ssize_t)strlen(line));
    return hear(fd);
}

#define OVERRIDE "{\"do\":\"override\",\"policy\":\"pq-only\",\"seconds\":60}\n"

static void requests_are_carried_out_and_answered_in_order(void **state)
{
    world *w = *state;
    const int fd = dial(w);
    assert_string_equal(ask(fd, "{\"do\":\"status\"}\n"), "{\"ok\":true,\"kind\":0}\n");
    assert_string_equal(ask(fd, OVERRIDE), "{\"ok\":true,\"kind\":1}\n");
    assert_int_equal(w->last.seconds, 60);
    assert_int_equal(w->last.uid, geteuid());
    assert_int_equal(w->last.pid, getpid());
    /* In pieces. */
    assert_int_equal(send(fd, "{\"do\":", 6, 0), 6);
    assert_string_equal(ask(fd, "\"end\"}\n"), "{\"ok\":true,\"kind\":2}\n");
    assert_false(w->last.hung_up);
    assert_int_equal(close(fd), 0);
}

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    assert_int_equal(clock_gettime(clock, &now), 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Who knocks then is let in later, and nobody spins until then. */
static void a_program_out_of_descriptors_waits_for_one(void **state)
{
    const world *w = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct rlimit before;
    const struct timespec pause = {.tv_nsec = 300 * 1000 * 1000};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", w->path);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    const int lowest = dup(fd);
    assert_true(fd >= 0 && lowest >= 0);
    assert_int_equal(close(lowest), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit none = {.rlim_cur = (rlim_t)lowest, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    const double real = seconds_of(CLOCK_MONOTONIC);
    const double busy = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    (void)nanosleep(&pause, NULL);
    const double share =
        (seconds_of(CLOCK_PROCESS_CPUTIME_ID) - busy) / (seconds_of(CLOCK_MONOTONIC) - real);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(share < 0.2);
    assert_string_equal(ask(fd, "{\"do\":\"status\"}\n"), "{\"ok\":true,\"kind\":0}\n");
    assert_int_equal(close(fd), 0);
}

static void a_refusal_is_a_sentence_and_the_connection_stays(void **state)
{
    world *w = *state;
    const int fd = dial(w);
    assert_non_null(strstr(ask(fd, "{\"do\":\"override\",\"policy\":\"off\",\"seconds\":1}\n"),
                           "\"error\":\"not that one\""));
    const unsigned taken = w->taken;
    assert_non_null(strstr(ask(fd, "{\"do\":\"reboot\"}\n"), "\"ok\":false"));
    assert_int_equal(w->taken, taken); /* what cannot be read never reaches the main thread */
    assert_non_null(strstr(ask(fd, "{\"do\":\"status\"}\n"), "\"ok\":true"));
    assert_int_equal(close(fd), 0);
}

static void an_override_ends_with_its_connection(void **state)
{
    world *w = *state;
    const int drill = dial(w);
    const int other = dial(w);
    assert_non_null(strstr(ask(drill, OVERRIDE), "\"ok\":true"));
    assert_int_equal(close(drill), 0);
    /* What is answered later comes after what the lost connection caused. */
    assert_non_null(strstr(ask(other, "{\"do\":\"status\"}\n"), "\"ok\":true"));
    assert_int_equal(w->hung_up, 1);
    assert_int_equal(w->taken, 3);
    assert_int_equal(close(other), 0);
}

static void a_connection_that_began_nothing_ends_nothing(void **state)
{
    world *w = *state;
    const int looker = dial(w);
    const int other = dial(w);
    assert_non_null(strstr(ask(looker, "{\"do\":\"status\"}\n"), "\"ok\":true"));
    assert_int_equal(close(looker), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_non_null(strstr(ask(other, "{\"do\":\"status\"}\n"), "\"ok\":true"));
    }
    assert_int_equal(w->taken, 4);
    assert_int_equal(close(other), 0);
}

static void a_line_that_is_too_long_ends_the_connection(void **state)
{
    world *w = *state;
    char line[PQI_CONTROL_LINE_MAX];
    memset(line, ' ', sizeof(line));
    const int fd = dial(w);
    assert_int_equal(send(fd, line, sizeof(line), MSG_NOSIGNAL), (ssize_t)sizeof(line));
    assert_non_null(strstr(hear(fd), "too long"));
    assert_string_equal(hear(fd), "");
    assert_int_equal(close(fd), 0);
    assert_int_equal(w->taken, 0);
}

static void one_connection_too_many_is_closed(void **state)
{
    world *w = *state;
    int fds[PQI_CONTROL_CONNECTIONS_MAX];
    for (unsigned i = 0; i < PQI_CONTROL_CONNECTIONS_MAX; i++) {
        fds[i] = dial(w);
        assert_non_null(strstr(ask(fds[i], "{\"do\":\"status\"}\n"), "\"ok\":true"));
    }
    const int more = dial(w);
    assert_string_equal(hear(more), "");
    assert_int_equal(close(more), 0);
    assert_non_null(strstr(ask(fds[0], "{\"do\":\"status\"}\n"), "\"ok\":true"));
    for (unsigned i = 0; i < PQI_CONTROL_CONNECTIONS_MAX; i++) {
        assert_int_equal(close(fds[i]), 0);
    }
}

static void only_the_user_may_reach_it_and_only_one_program_has_it(void **state)
{
    const world *w = *state;
    struct stat st;
    pqi_control *second = NULL;
    assert_int_equal(stat(w->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(pqi_control_open(&second, w->path, wake, NULL, NULL), PQL_E_EXISTS);
    assert_null(second);
    const int fd = dial(w); /* and the first one still has it */
    assert_non_null(strstr(ask(fd, "{\"do\":\"status\"}\n"), "\"ok\":true"));
    assert_int_equal(close(fd), 0);
}

static void a_socket_of_a_dead_program_is_replaced(void **state)
{
    (void)state;
    char dir[] = "/tmp/pqlink-control-XXXXXX";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    pqi_control *control = NULL;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/control", dir);
    const int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(dead, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(close(dead), 0);
    assert_int_equal(pqi_control_open(&control, address.sun_path, wake, NULL, NULL), PQL_OK);
    pqi_control_close(control);
    assert_int_equal(rmdir(dir), 0);
}

/* One that is stopped takes no connection, and is there all the same. */
static void a_program_that_takes_no_connection_keeps_its_socket(void **state)
{
    (void)state;
    char dir[] = "/tmp/pqlink-control-XXXXXX";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    pqi_control *control = NULL;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/control", dir);
    const int stopped = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(stopped, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(stopped, 0), 0);
    for (unsigned i = 0; i < 3; i++) { /* the first of these fill what it lets wait */
        assert_int_equal(pqi_control_open(&control, address.sun_path, wake, NULL, NULL),
                         PQL_E_EXISTS);
    }
    assert_int_equal(close(stopped), 0);
    assert_int_equal(unlink(address.sun_path), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void a_path_that_no_socket_can_have_is_an_error(void **state)
{
    (void)state;
    char path[200];
    pqi_control *control = NULL;
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(pqi_control_open(&control, path, wake, NULL, NULL), PQL_E_IO);
    assert_int_equal(pqi_control_open(&control, "/nonexistent/control", wake, NULL, NULL),
                     PQL_E_IO);
    assert_null(control);
}

#define world_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_three_requests_are_read),
        cmocka_unit_test(anything_else_is_refused_with_a_sentence),
        cmocka_unit_test(every_truncation_of_a_request_is_refused),
        world_test(requests_are_carried_out_and_answered_in_order),
        world_test(a_refusal_is_a_sentence_and_the_connection_stays),
        world_test(an_override_ends_with_its_connection),
        world_test(a_program_out_of_descriptors_waits_for_one),
        world_test(a_connection_that_began_nothing_ends_nothing),
        world_test(a_line_that_is_too_long_ends_the_connection),
        world_test(one_connection_too_many_is_closed),
        world_test(only_the_user_may_reach_it_and_only_one_program_has_it),
        cmocka_unit_test(a_socket_of_a_dead_program_is_replaced),
        cmocka_unit_test(a_program_that_takes_no_connection_keeps_its_socket),
        cmocka_unit_test(a_path_that_no_socket_can_have_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
