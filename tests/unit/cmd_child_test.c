/* A short-lived process is looked after without waiting, has nothing of ours, and is gone in the
 * end, whatever it does. */
#include "test.h"

#include "base/clock.h"
#include "cmd/child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NOW UINT64_C(5000)
#define LIMIT UINT64_C(100)

static void start(pqi_child *child, const char *script, const char *word)
{
    const char *const argv[] = {"sh", "-c", script, "sh", word, NULL};
    pql_error err = {0};
    if (pqi_child_start(child, "/bin/sh", argv, NOW, LIMIT, &err) != PQL_OK) {
        fail_msg("%s", err.message);
    }
}

/* Looks at |now| until it has ended. */
static pqi_child_state end_of(pqi_child *child, uint64_t now, pql_error *err)
{
    pqi_child_state state = PQI_CHILD_RUNS;
    while ((state = pqi_child_look(child, now, err)) == PQI_CHILD_RUNS) {
        (void)sched_yield();
    }
    return state;
}

static void success_is_told_once(void **state)
{
    (void)state;
    pqi_child child = {0};
    pql_error err = {0};
    assert_int_equal(pqi_child_look(&child, NOW, &err), PQI_CHILD_NONE);
    start(&child, "exit 0", NULL);
    assert_true(pqi_child_runs(&child));
    assert_int_equal(end_of(&child, NOW, &err), PQI_CHILD_DONE);
    assert_int_equal(err.code, PQL_OK);
    assert_false(pqi_child_runs(&child));
    assert_int_equal(pqi_child_look(&child, NOW, &err), PQI_CHILD_NONE);
}

static void a_failure_says_what_the_process_said(void **state)
{
    (void)state;
    pqi_child child = {0};
    pql_error err = {0};
    start(&child, "echo 'pqlink: The disk is full.' >&2; echo more >&2; echo out; exit 7", NULL);
    assert_int_equal(end_of(&child, NOW, &err), PQI_CHILD_FAILED);
    assert_string_equal(err.message, "status 7. The disk is full.");
    start(&child, "kill -9 $$", NULL);
    assert_int_equal(end_of(&child, NOW, &err), PQI_CHILD_FAILED);
    assert_string_equal(err.message, "signal 9. It said nothing.");
}

static void what_it_says_cannot_steer_a_terminal(void **state)
{
    (void)state;
    pqi_child child = {0};
    pql_error err = {0};
    start(&child, "printf '\\033[2J red\\n' >&2; exit 1", NULL);
    assert_int_equal(end_of(&child, NOW, &err), PQI_CHILD_FAILED);
    assert_string_equal(err.message, "status 1. ?[2J red");
}

static void one_that_says_too_much_is_not_held_up_by_us(void **state)
{
    (void)state;
    pqi_child child = {0};
    pql_error err = {0};
    /* 200,000 bytes: more than any pipe takes by itself. */
    start(&child, "i=0; while [ $i -lt 2000 ]; do printf '%0100d' 0 >&2; i=$((i+1)); done; exit 4",
          NULL);
    assert_int_equal(end_of(&child, NOW, &err), PQI_CHILD_FAILED);
    assert_non_null(strstr(err.message, "status 4. 0000"));
}

static void one_that_hangs_is_killed_when_its_time_is_over(void **state)
{
    (void)state;
    pqi_child child = {0};
    pql_error err = {0};
    start(&child, "exec sleep 1000", NULL);
    assert_int_equal(pqi_child_look(&child, NOW + LIMIT - 1, &err), PQI_CHILD_RUNS);
    assert_int_equal(end_of(&child, NOW + LIMIT, &err), PQI_CHILD_FAILED);
    assert_int_equal(err.code, PQL_E_TIMEOUT);
    assert_non_null(strstr(err.message, "took too long"));
}

static void it_has_no_environment_no_signal_settings_and_no_files_of_ours(void **state)
{
    (void)state;
    pqi_child child = {0};
    pql_error err = {0};
    char number[16];
    sigset_t set;
    sigset_t before;
    const int leak = open("/dev/null", O_RDONLY);
    assert_true(leak > 2);
    (void)snprintf(number, sizeof(number), "%d", leak);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, &before);
    void (*handler)(int) = signal(SIGPIPE, SIG_IGN);
    start(&child,
          "r=ok; [ ! -e /proc/$$/fd/$1 ] || r='a file'\n"
          "x=; read -r x </proc/$$/environ; [ -z \"$x\" ] || r=environment\n"
          "while read -r k v; do case $k in SigBlk:)\n"
          "[ $v = 0000000000000000 ] || r=\"$k $v\";; esac; done </proc/$$/status\n"
          "echo \"$r\" >&2; kill -PIPE $$; exit 1",
          number);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)signal(SIGPIPE, handler);
    (void)close(leak);
    assert_int_equal(end_of(&child, NOW, &err), PQI_CHILD_FAILED);
    assert_string_equal(err.message, "signal 13. ok"); /* which we ignored */
}

static void there_are_never_two(void **state)
{
    (void)state;
    pqi_child child = {0};
    const char *const argv[] = {"sh", "-c", "exit 0", NULL};
    start(&child, "exec sleep 1000", NULL);
    const pid_t first = child.pid;
    assert_int_equal(pqi_child_start(&child, "/bin/sh", argv, NOW, LIMIT, NULL), PQL_E_STATE);
    assert_int_equal(child.pid, first);
    pqi_child_stop(&child);
    assert_false(pqi_child_runs(&child));
    assert_int_equal(kill(first, 0), -1);
    assert_int_equal(errno, ESRCH);
    pqi_child_stop(&child);
}

static void a_program_that_is_not_there_is_an_error_and_no_process(void **state)
{
    (void)state;
    pqi_child child = {0};
    const char *const argv[] = {"x", NULL};
    assert_int_equal(pqi_child_start(&child, "/no/such/program", argv, NOW, LIMIT, NULL), PQL_E_IO);
    assert_false(pqi_child_runs(&child));
}

static void where_sigchld_is_ignored_its_end_is_a_failure_and_not_waited_for(void **state)
{
    (void)state;
    pqi_child child = {0};
    pql_error err = {0};
    void (*handler)(int) = signal(SIGCHLD, SIG_IGN);
    start(&child, "exit 0", NULL);
    assert_int_equal(end_of(&child, NOW, &err), PQI_CHILD_FAILED);
    assert_non_null(strstr(err.message, "could not be found out"));
    start(&child, "exec sleep 1000", NULL);
    pqi_child_stop(&child);
    assert_false(pqi_child_runs(&child));
    (void)signal(SIGCHLD, handler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(success_is_told_once),
        cmocka_unit_test(a_failure_says_what_the_process_said),
        cmocka_unit_test(what_it_says_cannot_steer_a_terminal),
        cmocka_unit_test(one_that_says_too_much_is_not_held_up_by_us),
        cmocka_unit_test(one_that_hangs_is_killed_when_its_time_is_over),
        cmocka_unit_test(it_has_no_environment_no_signal_settings_and_no_files_of_ours),
        cmocka_unit_test(there_are_never_two),
        cmocka_unit_test(where_sigchld_is_ignored_its_end_is_a_failure_and_not_waited_for),
        cmocka_unit_test(a_program_that_is_not_there_is_an_error_and_no_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
