/* The file of the miners that may connect. */
#include "test.h"

#include "cmd/node_clients.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static pql_fingerprint *pins;
static size_t count;
static pql_error err;

static pql_status parse(const char *text)
{
    free(pins);
    return pqi_node_clients_parse("clients", text, strlen(text), &pins, &count, &err);
}

static int tear_down(void **state)
{
    (void)state;
    free(pins);
    pins = NULL;
    return 0;
}

static void both_forms_of_a_fingerprint_are_read(void **state)
{
    (void)state;
    assert_int_equal(parse("sha256:" A "\nspki-sha256:" B "\n"), PQL_OK);
    assert_int_equal(count, 2);
    assert_int_equal(pins[0].form, PQL_FINGERPRINT_CERT);
    assert_int_equal(pins[0].sha256[0], 0xaa);
    assert_int_equal(pins[1].form, PQL_FINGERPRINT_SPKI);
    assert_int_equal(pins[1].sha256[31], 0xbb);
}

static void comments_names_and_empty_lines_are_for_people(void **state)
{
    (void)state;
    assert_int_equal(parse("# the miners of the cellar\n\n  sha256:" A "\tleft rack # oldest\r\n"
                           "   \n\t# sha256:" A "\n" B " right rack"),
                     PQL_OK);
    assert_int_equal(count, 2);
    assert_int_equal(pins[1].sha256[0], 0xbb);
}

static void a_line_with_something_else_is_named(void **state)
{
    (void)state;
    assert_int_equal(parse("sha256:" A "\n\nrack-7 sha256:" B "\n"), PQL_E_USAGE);
    assert_non_null(strstr(err.message, "Line 3 of clients"));
    assert_null(pins);
    assert_int_equal(count, 0);
}

static void a_line_of_any_length_is_refused_and_not_believed(void **state)
{
    (void)state;
    enum { LONG = 5000 };
    char text[LONG + 1];
    memset(text, 'a', LONG);
    text[LONG] = '\0';
    assert_int_equal(parse(text), PQL_E_USAGE);
    assert_non_null(strstr(err.message, "Line 1 of clients"));
}

static void a_file_without_a_client_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(parse(""), PQL_E_USAGE);
    assert_int_equal(parse("# nobody\n"), PQL_E_USAGE);
    assert_non_null(strstr(err.message, "no client"));
}

static void more_clients_than_a_listener_takes_are_an_error(void **state)
{
    (void)state;
    const size_t line = strlen(A "\n");
    const size_t lines = PQL_CLIENT_PINS_MAX + 1;
    char *text = malloc(lines * line + 1);
    assert_non_null(text);
    for (size_t i = 0; i < lines; i++) {
        memcpy(text + i * line, A "\n", line);
    }
    text[lines * line] = '\0';
    assert_int_equal(parse(text), PQL_E_USAGE);
    text[(lines - 1) * line] = '\0';
    assert_int_equal(parse(text), PQL_OK);
    assert_int_equal(count, PQL_CLIENT_PINS_MAX);
    free(text);
}

static void a_list_that_others_can_change_is_refused_with_the_remedy(void **state)
{
    (void)state;
    static const mode_t refused[] = {0620, 0602, 0666};
    char path[] = "/tmp/pqlink-clients-XXXXXX";
    pqi_node_clients clients;
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "sha256:" A "\n") > 0);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        assert_int_equal(fchmod(fd, refused[i]), 0);
        assert_int_equal(pqi_node_clients_open(&clients, path, &err), PQL_E_IO);
        assert_non_null(strstr(err.message, "chmod go-w /tmp/pqlink-clients-"));
        assert_null(pqi_node_clients_peer(&clients)->pins);
    }
    assert_int_equal(fchmod(fd, 0644), 0);
    assert_int_equal(pqi_node_clients_open(&clients, path, &err), PQL_OK);
    assert_int_equal(pqi_node_clients_peer(&clients)->pin_count, 1);
    pqi_node_clients_close(&clients);
    assert_int_equal(close(fd), 0);
    (void)unlink(path);
}

static void no_file_asks_for_no_certificate(void **state)
{
    (void)state;
    pqi_node_clients clients;
    assert_int_equal(pqi_node_clients_open(&clients, NULL, &err), PQL_OK);
    assert_null(pqi_node_clients_peer(&clients));
    assert_int_equal(pqi_node_clients_open(&clients, "/nonexistent/clients", &err),
                     PQL_E_NOT_FOUND);
    pqi_node_clients_close(&clients);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_forms_of_a_fingerprint_are_read),
        cmocka_unit_test(comments_names_and_empty_lines_are_for_people),
        cmocka_unit_test(a_line_with_something_else_is_named),
        cmocka_unit_test(a_line_of_any_length_is_refused_and_not_believed),
        cmocka_unit_test(a_file_without_a_client_is_an_error),
        cmocka_unit_test(more_clients_than_a_listener_takes_are_an_error),
        cmocka_unit_test(a_list_that_others_can_change_is_refused_with_the_remedy),
        cmocka_unit_test(no_file_asks_for_no_certificate),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
