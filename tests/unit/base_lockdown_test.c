/* Memory is locked and core dumps are off, or the caller is told what to set.  Each case is a child
 * process: the settings cannot be taken back. */
#include "test.h"

#include "base/lockdown.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534
#define PAGES ((size_t)1024 * 1024)
#define SKIPPED 77

/* The sanitizers make mlockall() an empty call: their shadow memory is beyond any limit. */
static void skip_under_sanitizers(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    print_message("SKIPPED: a sanitizer's build locks no memory.\n");
    skip();
#endif
}

/* The exit status of a child that runs |body|. */
static int in_a_child(int (*body)(void))
{
    (void)fflush(NULL);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(body());
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* The number of kilobytes behind |name| in /proc/self/status; -1 without it. */
static long status_kb(const char *name)
{
    char line[256];
    long value = -1;
    FILE *file = fopen("/proc/self/status", "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            value = strtol(line + strlen(name), NULL, 10);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return value;
}

static int lock_and_look(void)
{
    pql_error err = {0};
    if (geteuid() != 0) {
        const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
        if (setrlimit(RLIMIT_MEMLOCK, &all) != 0) {
            return SKIPPED;
        }
    }
    if (pqi_lockdown_memory(&err) != PQL_OK) {
        (void)fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const long before = status_kb("VmLck:");
    const long resident = status_kb("VmRSS:");
    void *later =
        mmap(NULL, 64 * PAGES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const bool locked = later != MAP_FAILED && status_kb("VmLck:") >= before + 64 * 1024;
    const bool untouched_is_free = status_kb("VmRSS:") < resident + 1024;
    return before > 0 && locked && untouched_is_free ? 0 : 2;
}

static void memory_that_is_mapped_later_is_locked_too_and_costs_nothing_untouched(void **state)
{
    (void)state;
    skip_under_sanitizers();
    const int status = in_a_child(lock_and_look);
    if (status == SKIPPED) {
        print_message("SKIPPED: this user may not lock memory without limit.\n");
        skip();
    }
    assert_int_equal(status, 0);
}

static int lock_with_a_low_limit(void)
{
    const struct rlimit low = {PAGES, PAGES};
    pql_error err = {0};
    if (setrlimit(RLIMIT_MEMLOCK, &low) != 0 || (geteuid() == 0 && setuid(NOBODY) != 0)) {
        return SKIPPED;
    }
    const bool said = pqi_lockdown_memory(&err) == PQL_E_STATE &&
                      strstr(err.message, "LimitMEMLOCK=infinity") != NULL &&
                      strstr(err.message, "ulimit -l") != NULL;
    return said && status_kb("VmLck:") == 0 ? 0 : 1;
}

static void a_limit_that_is_too_low_is_an_error_that_names_the_settings(void **state)
{
    (void)state;
    skip_under_sanitizers();
    assert_int_equal(in_a_child(lock_with_a_low_limit), 0);
}

/* Enough for what is there, not for what will come. */
static int lock_with_a_limit_for_today(void)
{
    const struct rlimit limit = {PQI_LOCKDOWN_ROOM, PQI_LOCKDOWN_ROOM};
    pql_error err = {0};
    if ((geteuid() != 0 && setrlimit(RLIMIT_MEMLOCK, &limit) != 0)) {
        return SKIPPED;
    }
    if (geteuid() == 0 && (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || setuid(NOBODY) != 0)) {
        return SKIPPED;
    }
    return pqi_lockdown_memory(&err) == PQL_E_STATE && status_kb("VmLck:") == 0 ? 0 : 1;
}

static void a_limit_that_holds_the_start_alone_is_an_error_at_start(void **state)
{
    (void)state;
    skip_under_sanitizers();
    const int status = in_a_child(lock_with_a_limit_for_today);
    if (status == SKIPPED) {
        print_message("SKIPPED: this user may not set such a limit.\n");
        skip();
    }
    assert_int_equal(status, 0);
}

static int switch_dumps_off(void)
{
    pql_error err = {0};
    struct rlimit limit = {1, 1};
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 1 || pqi_lockdown_dumps(&err) != PQL_OK ||
        getrlimit(RLIMIT_CORE, &limit) != 0) {
        return 1;
    }
    return limit.rlim_cur == 0 && limit.rlim_max == 0 && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0
               ? 0
               : 2;
}

static void core_dumps_and_debuggers_are_off(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(switch_dumps_off), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_that_is_mapped_later_is_locked_too_and_costs_nothing_untouched),
        cmocka_unit_test(a_limit_that_is_too_low_is_an_error_that_names_the_settings),
        cmocka_unit_test(a_limit_that_holds_the_start_alone_is_an_error_at_start),
        cmocka_unit_test(core_dumps_and_debuggers_are_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
