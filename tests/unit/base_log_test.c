/* Log lines: what a peer can put into them, and what happens when nobody reads them. */
#include "test.h"

#include "base/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A log that goes into a pipe. */
typedef struct fixture {
    int read_end;
    int write_end;
    char text[2 * PQI_LOG_LINE_SIZE];
} fixture;

static void open_log(fixture *f, pqi_log_format format)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    *f = (fixture){.read_end = ends[0], .write_end = ends[1]};
    pqi_log_setup(f->write_end, PQI_LOG_INFO, format);
}

static const char *read_log(fixture *f)
{
    const ssize_t len = read(f->read_end, f->text, sizeof(f->text) - 1);
    f->text[len > 0 ? len : 0] = '\0';
    return f->text;
}

static void close_log(fixture *f)
{
    (void)close(f->read_end);
    (void)close(f->write_end);
}

static const char *logged(fixture *f, pqi_log_format format, const char *value)
{
    open_log(f, format);
    pqi_log(PQI_LOG_INFO, "test", "event", PQI_STR("reason", value));
    const char *text = read_log(f);
    close_log(f);
    return text;
}

static void letters_of_other_languages_stay(void **state)
{
    (void)state;
    fixture f;
    assert_non_null(
        strstr(logged(&f, PQI_LOG_JSON, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x94\x92"),
               "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x94\x92\""));
}

static void a_line_feed_cannot_begin_a_line(void **state)
{
    (void)state;
    fixture f;
    assert_non_null(strstr(logged(&f, PQI_LOG_TEXT, "a\nb"), "reason=a\\u000ab\n"));
}

static void control_characters_of_both_sets_cannot_steer_a_terminal(void **state)
{
    (void)state;
    fixture f;
    assert_non_null(strstr(logged(&f, PQI_LOG_TEXT, "\x1b[2J"), "reason=\\u001b[2J\n"));
    assert_non_null(strstr(logged(&f, PQI_LOG_TEXT,
                                  "\xc2\x9b"
                                  "2J"),
                           "reason=\\u009b2J\n"));
}

static void the_direction_of_writing_cannot_be_turned(void **state)
{
    (void)state;
    fixture f;
    assert_non_null(strstr(logged(&f, PQI_LOG_TEXT,
                                  "a\xe2\x80\xae"
                                  "b"),
                           "reason=a\\u202eb\n"));
}

static void bytes_that_are_no_utf8_become_replacement_characters(void **state)
{
    static const char *const broken[] = {"\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80",
                                         "\xf5\x80\x80\x80"};
    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        fixture f;
        const char *text = logged(&f, PQI_LOG_JSON, broken[i]);
        assert_non_null(strstr(text, "\"reason\":\"\\ufffd"));
        assert_null(strchr(text, broken[i][0]));
    }
}

static void the_lines_of_a_link_share_a_name_that_has_the_process_in_it(void **state)
{
    (void)state;
    fixture f;
    char id[PQI_CORR_SIZE];
    char end[PQI_CORR_SIZE + 16];
    pqi_log_corr(id, 17);
    assert_int_equal(strspn(id, "0123456789abcdef"), 8);
    assert_string_equal(id + 8, "-17");

    open_log(&f, PQI_LOG_JSON);
    pqi_log(PQI_LOG_INFO, "test", "event", PQI_CORR(17));
    (void)snprintf(end, sizeof(end), ",\"corr_id\":\"%s\"}\n", id);
    assert_non_null(strstr(read_log(&f), end));
    close_log(&f);

    open_log(&f, PQI_LOG_TEXT);
    pqi_log(PQI_LOG_INFO, "test", "event", PQI_CORR(UINT64_MAX));
    assert_non_null(strstr(read_log(&f), "-18446744073709551615\n"));
    close_log(&f);
}

static void another_process_has_another_name_for_its_links(void **state)
{
    (void)state;
    char ours[PQI_CORR_SIZE];
    char theirs[PQI_CORR_SIZE] = "";
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    /* A child that has drawn nothing yet: this test runs before all others. */
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char id[PQI_CORR_SIZE] = "";
        pqi_log_corr(id, 1);
        _exit(write(ends[1], id, sizeof(id)) == (ssize_t)sizeof(id) ? 0 : 1);
    }
    pqi_log_corr(ours, 1);
    assert_int_equal(read(ends[0], theirs, sizeof(theirs)), sizeof(theirs));
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_string_not_equal(ours, theirs);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void only_text_on_a_terminal_has_colours(void **state)
{
    (void)state;
    fixture f;
    pqi_log_set_terminal(true, true);
    assert_non_null(strstr(logged(&f, PQI_LOG_TEXT, "a"), "\033[32minfo \033[0m test event"));
    assert_int_equal(strncmp(f.text, "\r\033[K", 4), 0);
    assert_null(strchr(logged(&f, PQI_LOG_JSON, "a"), '\033'));
    pqi_log_set_terminal(true, false); /* NO_COLOR */
    assert_null(strstr(logged(&f, PQI_LOG_TEXT, "a"), "\033[32m"));
    pqi_log_set_terminal(false, false);
    assert_null(strchr(logged(&f, PQI_LOG_TEXT, "a"), '\033'));
}

static void a_reader_that_does_not_read_loses_lines_and_is_told_how_many(void **state)
{
    (void)state;
    fixture f;
    open_log(&f, PQI_LOG_JSON);
    const uint64_t before = pqi_log_dropped();
    const int capacity = fcntl(f.write_end, F_SETPIPE_SZ, 4096);
    assert_true(capacity > 0);
    for (int i = 0; i < capacity / 32; i++) { /* more than fits: no line is so short */
        pqi_log(PQI_LOG_INFO, "test", "event", PQI_U64("number", (uint64_t)i));
    }
    assert_true(pqi_log_dropped() > before);

    while (strlen(read_log(&f)) == sizeof(f.text) - 1) {
        continue;
    }
    pqi_log(PQI_LOG_INFO, "test", "again", PQI_U64("number", 1));

    assert_non_null(strstr(read_log(&f), "\"event\":\"lines_lost\",\"lines\":"));
    assert_non_null(strstr(f.text, "\"event\":\"again\""));
    close_log(&f);
}

static void more_lines_than_a_second_may_have_are_left_out_and_counted(void **state)
{
    (void)state;
    pqi_log_quota quota = {0};
    uint64_t left_out = 9;
    assert_true(pqi_log_quota_take(&quota, 2, 7, &left_out));
    assert_int_equal(left_out, 0);
    assert_true(pqi_log_quota_take(&quota, 2, 7, &left_out));
    for (int i = 0; i < 5; i++) {
        assert_false(pqi_log_quota_take(&quota, 2, 7, &left_out));
    }
    assert_true(pqi_log_quota_take(&quota, 2, 8, &left_out));
    assert_int_equal(left_out, 5);
    assert_true(pqi_log_quota_take(&quota, 2, 8, &left_out));
    assert_int_equal(left_out, 0);
    assert_false(pqi_log_quota_take(&quota, 2, 8, &left_out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_process_has_another_name_for_its_links),
        cmocka_unit_test(the_lines_of_a_link_share_a_name_that_has_the_process_in_it),
        cmocka_unit_test(only_text_on_a_terminal_has_colours),
        cmocka_unit_test(letters_of_other_languages_stay),
        cmocka_unit_test(a_line_feed_cannot_begin_a_line),
        cmocka_unit_test(control_characters_of_both_sets_cannot_steer_a_terminal),
        cmocka_unit_test(the_direction_of_writing_cannot_be_turned),
        cmocka_unit_test(bytes_that_are_no_utf8_become_replacement_characters),
        cmocka_unit_test(a_reader_that_does_not_read_loses_lines_and_is_told_how_many),
        cmocka_unit_test(more_lines_than_a_second_may_have_are_left_out_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
