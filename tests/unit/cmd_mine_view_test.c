/* What pqlink mine logs of a node that talks too much, and what a terminal can do to it. */
#include "test.h"

#include "base/log.h"
#include "cmd/mine_view.h"
#include "cmd/runtime.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static unsigned count_lines(FILE *file)
{
    unsigned lines = 0;
    rewind(file);
    for (int c = getc(file); c != EOF; c = getc(file)) {
        lines += c == '\n';
    }
    return lines;
}

static void a_node_that_floods_the_miner_with_jobs_does_not_fill_its_disk(void **state)
{
    (void)state;
    const unsigned jobs = 100000;
    const pqi_mine_options options = {.log = {.level = PQI_LOG_ERROR}};
    const pqi_miner_job job = {.id = "1", .difficulty = pqi_u512_from_u64(1)};
    pqi_mine_view view;
    FILE *file = tmpfile();
    assert_non_null(file);
    pqi_mine_view_start(&view, &options);
    pqi_log_setup(fileno(file), PQI_LOG_INFO, PQI_LOG_JSON);

    for (unsigned i = 0; i < jobs; i++) {
        pqi_mine_view_events.job(&view, &job);
    }

    const unsigned lines = count_lines(file);
    assert_true(lines >= PQI_MINE_LINES_PER_SEC);
    assert_true(lines < jobs / 2);
    (void)fclose(file);
}

/* A terminal in the place of standard error. */
typedef struct terminal {
    int screen; /* what a person would see comes out here */
    int stderr_before;
} terminal;

static void terminal_open(terminal *t)
{
    t->screen = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(t->screen >= 0);
    assert_int_equal(grantpt(t->screen) + unlockpt(t->screen), 0);
    const int fd = open(ptsname(t->screen), O_RDWR | O_NOCTTY);
    assert_true(fd >= 0);
    t->stderr_before = dup(STDERR_FILENO);
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(fd), 0);
}

/* From here on assertions are seen again. */
static void terminal_close(terminal *t)
{
    (void)tcflow(STDERR_FILENO, TCOON);
    (void)dup2(t->stderr_before, STDERR_FILENO);
    (void)close(t->stderr_before);
}

/* Whether something comes out within |timeout_ms|; -1: waits for it. */
static bool shows(const terminal *t, int timeout_ms)
{
    struct pollfd fd = {.fd = t->screen, .events = POLLIN};
    return poll(&fd, 1, timeout_ms) == 1;
}

static void a_stopped_terminal_stops_nobody(void **state)
{
    (void)state;
    const pqi_mine_options options = {.log = {.level = PQI_LOG_ERROR}};
    const pqi_mine_status status = {.height = PQI_MINER_NO_NUMBER};
    const pqi_miner_job job = {.id = "1", .difficulty = pqi_u512_from_u64(1)};
    pqi_mine_view view;
    terminal t;
    terminal_open(&t);
    pqi_mine_view_start(&view, &options);
    const bool live = view.live;

    const int stopped = tcflow(STDERR_FILENO, TCOOFF); /* as Ctrl-S does */
    pqi_mine_view_tick(&view, &status, 0);             /* without the guard it never returns */
    pqi_mine_view_events.job(&view, &job);
    pqi_runtime_shout("mine", "insecure", "nobody is checked");
    const bool shown = shows(&t, 0);
    (void)tcflow(STDERR_FILENO, TCOON);
    pqi_mine_view_tick(&view, &status, 0);
    const bool shown_again = shows(&t, -1);

    terminal_close(&t);
    (void)close(t.screen);
    assert_int_equal(stopped, 0);
    assert_true(live);
    assert_false(shown);
    assert_true(shown_again);
}

/* What is said of a rotation that ends, having switched at |switch_at|, to a miner that pins the
 * certificate |pinned|; the new one is number 2. */
static void end_rotation(char *said, size_t size, uint64_t switch_at, uint8_t pinned)
{
    const pqi_mine_options options = {
        .log = {.level = PQI_LOG_ERROR},
        .login = {.count = 1, .pins = {{.sha256 = {pinned}}}, .pin_count = 1}};
    const pqi_miner_rotation announced = {.any = true,
                                          .next = {.sha256 = {2}},
                                          .next_spki = {.form = PQL_FINGERPRINT_SPKI},
                                          .switch_at = switch_at,
                                          .drop_at = switch_at};
    pqi_mine_view view;
    FILE *file = tmpfile();
    assert_non_null(file);
    pqi_mine_view_start(&view, &options);
    pqi_log_setup(fileno(file), PQI_LOG_INFO, PQI_LOG_JSON);
    pqi_mine_view_events.rotation(&view, 0, &announced);
    pqi_mine_view_events.rotation(&view, 0, &(pqi_miner_rotation){.any = false});
    rewind(file);
    assert_non_null(fgets(said, (int)size, file)); /* rotation_announced */
    assert_non_null(fgets(said, (int)size, file));
    assert_non_null(strstr(said, "rotation_over"));
    (void)fclose(file);
}

#define LONG_AGO 1
#define NEXT_PIN "--pin sha256:0200"
#define REASSURANCE "no other certificate"

static void a_miner_that_has_only_the_dropped_pin_is_told_the_new_one(void **state)
{
    (void)state;
    char said[PQI_LOG_LINE_SIZE + 2];
    end_rotation(said, sizeof(said), LONG_AGO, 1);
    assert_non_null(strstr(said, "no longer accepted"));
    assert_non_null(strstr(said, NEXT_PIN));
    end_rotation(said, sizeof(said), LONG_AGO, 2);
    assert_non_null(strstr(said, REASSURANCE));
}

static void a_rotation_that_was_dropped_before_its_switch_changes_no_pin(void **state)
{
    (void)state;
    char said[PQI_LOG_LINE_SIZE + 2];
    end_rotation(said, sizeof(said), UINT32_MAX, 1);
    assert_non_null(strstr(said, REASSURANCE));
    end_rotation(said, sizeof(said), 0, 1);
    assert_non_null(strstr(said, REASSURANCE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_that_floods_the_miner_with_jobs_does_not_fill_its_disk),
        cmocka_unit_test(a_stopped_terminal_stops_nobody),
        cmocka_unit_test(a_miner_that_has_only_the_dropped_pin_is_told_the_new_one),
        cmocka_unit_test(a_rotation_that_was_dropped_before_its_switch_changes_no_pin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
