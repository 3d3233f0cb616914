/* The service manager hears of every state, and of life only while every worker answers.
 *
 * ctest labels: threads */
#include "test.h"

#include "base/clock.h"
#include "cmd/manager.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PERIOD_US "40000000"
#define STEP (10 * PQI_NS_PER_SEC)
#define WORKERS 2

static int heard; /* the manager's end */

static int setup(void **state)
{
    (void)state;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char name[64];
    const int len = snprintf(name, sizeof(name), "@pqlink-manager-test-%d", (int)getpid());
    heard = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memcpy(at.sun_path + 1, name + 1, (size_t)len - 1);
    (void)setenv("NOTIFY_SOCKET", name, 1);
    (void)setenv("WATCHDOG_USEC", PERIOD_US, 1);
    (void)unsetenv("WATCHDOG_PID");
    return bind(heard, (struct sockaddr *)&at,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len));
}

static int teardown(void **state)
{
    (void)state;
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    return close(heard);
}

/* The next message, "" when there is none. */
static const char *hear(void)
{
    static char text[PQI_NOTIFY_SIZE];
    const ssize_t n = recv(heard, text, sizeof(text) - 1, MSG_DONTWAIT);
    text[n < 0 ? 0 : n] = '\0';
    return text;
}

static void every_state_is_told(void **state)
{
    (void)state;
    pqi_manager m;
    pqi_manager_open(&m, "test");
    pqi_manager_ready(&m, NULL, "Serving.");
    assert_string_equal(hear(), "READY=1\nSTATUS=Serving.");
    pqi_manager_status(&m, "Serving.");
    assert_string_equal(hear(), "");
    pqi_manager_status(&m, "Busy.\nREADY=1");
    assert_string_equal(hear(), "STATUS=Busy.?READY=1");
    pqi_manager_reloading(&m, 5 * PQI_NS_PER_SEC);
    assert_string_equal(hear(), "RELOADING=1\nMONOTONIC_USEC=5000000");
    pqi_manager_stopping(&m, "Bye.");
    assert_string_equal(hear(), "STOPPING=1\nSTATUS=Bye.");
    pqi_manager_close(&m);
}

static void the_main_loop_alone_is_alive_at_every_second_look(void **state)
{
    (void)state;
    pqi_manager m;
    pqi_manager_open(&m, "test");
    assert_true(pqi_manager_tick(&m, 100) == 100 + STEP);
    assert_string_equal(hear(), "");
    assert_true(pqi_manager_tick(&m, 99 + STEP) == 100 + STEP);
    assert_string_equal(hear(), "");
    (void)pqi_manager_tick(&m, 100 + STEP);
    assert_string_equal(hear(), "WATCHDOG=1");
    pqi_manager_close(&m);
}

static void without_a_watchdog_nothing_is_due(void **state)
{
    (void)state;
    pqi_manager m;
    (void)unsetenv("WATCHDOG_USEC");
    pqi_manager_open(&m, "test");
    assert_true(pqi_manager_tick(&m, 100) == PQI_TIME_NEVER);
    assert_string_equal(hear(), "");
    pqi_manager_close(&m);
}

static void wait_for_it(void *arg)
{
    (void)sem_wait(arg);
}

static void say_done(void *arg)
{
    (void)sem_post(arg);
}

/* Until worker |index| has run all that was put into its queue so far. */
static void drain_worker(pql_context *ctx, unsigned index)
{
    sem_t done;
    (void)sem_init(&done, 0, 0);
    assert_int_equal(pql_context_run(ctx, index, say_done, &done), PQL_OK);
    (void)sem_wait(&done);
    (void)sem_destroy(&done);
}

static void a_worker_that_hangs_ends_the_pings_until_it_answers(void **state)
{
    (void)state;
    pqi_manager m;
    pql_context *ctx = NULL;
    sem_t hold;
    (void)sem_init(&hold, 0, 0);
    assert_int_equal(pql_context_new(&ctx, &(pql_context_opts){.workers = WORKERS}, NULL), PQL_OK);
    pqi_manager_open(&m, "test");
    pqi_manager_ready(&m, ctx, "");
    (void)hear();

    assert_int_equal(pql_context_run(ctx, 1, wait_for_it, &hold), PQL_OK);
    (void)pqi_manager_tick(&m, 0);
    drain_worker(ctx, 0);
    for (uint64_t look = 1; look < 9; look++) {
        (void)pqi_manager_tick(&m, look * STEP);
        assert_string_equal(hear(), "");
    }
    (void)sem_post(&hold);
    drain_worker(ctx, 1);
    (void)pqi_manager_tick(&m, 9 * STEP);
    assert_string_equal(hear(), "WATCHDOG=1");

    drain_worker(ctx, 0);
    drain_worker(ctx, 1);
    (void)pqi_manager_tick(&m, 10 * STEP);
    assert_string_equal(hear(), "WATCHDOG=1");
    pql_context_free(ctx);
    pqi_manager_close(&m);
    (void)sem_destroy(&hold);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_state_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(the_main_loop_alone_is_alive_at_every_second_look, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(without_a_watchdog_nothing_is_due, setup, teardown),
        cmocka_unit_test_setup_teardown(a_worker_that_hangs_ends_the_pings_until_it_answers, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
