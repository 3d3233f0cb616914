/* A passphrase is the one line of a file that nobody else may read. */
#include "test.h"

#include "identity/passphrase.h"
#include "identity_directory.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *write_bytes(const char *dir, const void *bytes, size_t len, mode_t mode)
{
    const char *path = in_dir(dir, "passphrase");
    (void)unlink(path);
    const int fd = open(path, O_CREAT | O_WRONLY | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
    return path;
}

static const char *write_text(const char *dir, const char *text)
{
    return write_bytes(dir, text, strlen(text), 0600);
}

static void assert_line(const char *file, const char *wanted)
{
    pqi_passphrase p;
    pql_error err = {0};
    if (pqi_passphrase_read(&p, file, &err) != PQL_OK) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(p.len, strlen(wanted));
    assert_string_equal(p.text, wanted);
}

static void assert_refused(const char *file, pql_status status, const char *words)
{
    static const pqi_passphrase empty;
    pqi_passphrase p;
    pql_error err = {0};
    memset(&p, 'x', sizeof(p));
    assert_int_equal(pqi_passphrase_read(&p, file, &err), status);
    assert_memory_equal(&p, &empty, sizeof(p));
    assert_non_null(strstr(err.message, file));
    if (strstr(err.message, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.message, words);
    }
}

static void the_line_is_read_without_its_end(void **state)
{
    assert_line(write_text(*state, "secret"), "secret");
    assert_line(write_text(*state, "secret\n"), "secret");
    assert_line(write_text(*state, "secret\r\n"), "secret");
    assert_line(write_text(*state, " a secret \n"), " a secret ");
}

static void the_longest_line_is_read_and_one_byte_more_is_not(void **state)
{
    char text[PQI_PASSPHRASE_MAX + 4];
    memset(text, 'a', sizeof(text));
    text[PQI_PASSPHRASE_MAX] = '\0';
    char longest[PQI_PASSPHRASE_MAX + 1];
    memcpy(longest, text, sizeof(longest));
    assert_line(write_text(*state, text), longest);
    memcpy(text + PQI_PASSPHRASE_MAX, "\r\n", 3);
    assert_line(write_text(*state, text), longest);
    memcpy(text + PQI_PASSPHRASE_MAX, "a", 2);
    assert_refused(write_text(*state, text), PQL_E_IDENTITY, "longer");
    memcpy(text + PQI_PASSPHRASE_MAX, "a\r\n", 4);
    assert_refused(write_bytes(*state, text, sizeof(text) - 1, 0600), PQL_E_IDENTITY, "longer");
}

static void what_is_not_one_line_is_refused(void **state)
{
    assert_refused(write_text(*state, ""), PQL_E_IDENTITY, "empty");
    assert_refused(write_text(*state, "\n"), PQL_E_IDENTITY, "empty");
    assert_refused(write_text(*state, "one\ntwo\n"), PQL_E_IDENTITY, "more than one line");
    assert_refused(write_text(*state, "one\n\n"), PQL_E_IDENTITY, "more than one line");
    assert_refused(write_bytes(*state, "a\0b", 3, 0600), PQL_E_IDENTITY, "zero byte");
}

static void a_file_that_others_can_read_is_refused(void **state)
{
    static const mode_t open_modes[] = {0604, 0644, 0620, 0602, 0601, 0666};
    for (size_t i = 0; i < sizeof(open_modes) / sizeof(open_modes[0]); i++) {
        assert_refused(write_bytes(*state, "a", 1, open_modes[i]), PQL_E_IDENTITY, "chmod 600");
    }
}

static void a_file_of_a_service_manager_is_read(void **state)
{
    assert_line(write_bytes(*state, "a", 1, 0400), "a");
    assert_line(write_bytes(*state, "a", 1, 0440), "a");
}

static void what_is_no_file_is_refused_without_waiting(void **state)
{
    assert_refused(in_dir(*state, "none"), PQL_E_IO, "passphrase file");
    assert_refused(*state, PQL_E_IDENTITY, "is none");
    const char *pipe = in_dir(*state, "pipe");
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_refused(pipe, PQL_E_IDENTITY, "is none");
}

#define DIR_TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIR_TEST(the_line_is_read_without_its_end),
        DIR_TEST(the_longest_line_is_read_and_one_byte_more_is_not),
        DIR_TEST(what_is_not_one_line_is_refused),
        DIR_TEST(a_file_that_others_can_read_is_refused),
        DIR_TEST(a_file_of_a_service_manager_is_read),
        DIR_TEST(what_is_no_file_is_refused_without_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
