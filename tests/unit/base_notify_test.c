/* Messages reach a service manager's socket, and nothing happens where there is none. */
#include "test.h"

#include "base/clock.h"
#include "base/notify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A manager's socket at |name|, '@' for abstract. */
static int listen_at(const char *name)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const size_t len = strlen(name);
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    memcpy(at.sun_path, name, len);
    if (name[0] == '@') {
        at.sun_path[0] = '\0';
    }
    const socklen_t size =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (name[0] == '/'));
    assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
    return fd;
}

static void assert_received(int fd, const char *message)
{
    char text[2 * PQI_NOTIFY_SIZE] = "";
    const ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
    assert_true(n >= 0);
    assert_string_equal(text, message);
}

static void assert_sends_to(const char *name)
{
    pqi_notify n;
    const int fd = listen_at(name);
    assert_int_equal(pqi_notify_open(&n, name, NULL), PQL_OK);
    assert_true(pqi_notify_send(&n, "READY=1\nSTATUS=there"));
    assert_received(fd, "READY=1\nSTATUS=there");
    pqi_notify_close(&n);
    (void)close(fd);
}

static void a_message_is_one_datagram_to_a_path(void **state)
{
    (void)state;
    char dir[] = "/tmp/pqlink-notify-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/socket", dir);
    assert_sends_to(path);
    (void)unlink(path);
    (void)rmdir(dir);
}

static void a_message_is_one_datagram_to_an_abstract_name(void **state)
{
    (void)state;
    char name[64];
    (void)snprintf(name, sizeof(name), "@pqlink-notify-test-%d", (int)getpid());
    assert_sends_to(name);
}

static void without_a_manager_nothing_happens(void **state)
{
    (void)state;
    pqi_notify n;
    assert_int_equal(pqi_notify_open(&n, NULL, NULL), PQL_OK);
    assert_true(pqi_notify_send(&n, "READY=1"));
    assert_int_equal(pqi_notify_open(&n, "", NULL), PQL_OK);
    assert_true(pqi_notify_send(&n, "READY=1"));
    pqi_notify_close(&n);
}

static void other_names_are_refused(void **state)
{
    (void)state;
    char name[200];
    pqi_notify n;
    pql_error err = {0};
    memset(name, '/', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(pqi_notify_open(&n, "vsock:2:1234", &err), PQL_E_USAGE);
    assert_non_null(strstr(err.message, "vsock:2:1234"));
    assert_int_equal(pqi_notify_open(&n, "relative", NULL), PQL_E_USAGE);
    assert_int_equal(pqi_notify_open(&n, "@", NULL), PQL_E_USAGE);
    assert_int_equal(pqi_notify_open(&n, name, NULL), PQL_E_USAGE);
    assert_true(pqi_notify_send(&n, "READY=1"));
}

static void a_manager_that_is_gone_fails_the_send(void **state)
{
    (void)state;
    pqi_notify n;
    assert_int_equal(pqi_notify_open(&n, "/nonexistent/socket", NULL), PQL_OK);
    assert_false(pqi_notify_send(&n, "READY=1"));
    pqi_notify_close(&n);
}

static void a_message_that_is_too_long_loses_its_last_lines(void **state)
{
    (void)state;
    char name[64];
    char message[2 * PQI_NOTIFY_SIZE];
    pqi_notify n;
    (void)snprintf(name, sizeof(name), "@pqlink-notify-long-%d", (int)getpid());
    const int fd = listen_at(name);
    memset(message, 'x', sizeof(message));
    memcpy(message, "READY=1\nSTATUS=", 15);
    message[sizeof(message) - 1] = '\0';
    assert_int_equal(pqi_notify_open(&n, name, NULL), PQL_OK);
    assert_true(pqi_notify_send(&n, message));
    assert_received(fd, "READY=1");
    pqi_notify_close(&n);
    (void)close(fd);
}

static void the_watchdog_is_of_this_process_or_of_nobody_named(void **state)
{
    (void)state;
    assert_true(pqi_notify_watchdog("30000000", NULL, 7) == 30 * PQI_NS_PER_SEC);
    assert_true(pqi_notify_watchdog("30000000", "7", 7) == 30 * PQI_NS_PER_SEC);
    assert_true(pqi_notify_watchdog("30000000", "8", 7) == 0);
    assert_true(pqi_notify_watchdog(NULL, "7", 7) == 0);
    assert_true(pqi_notify_watchdog("0", NULL, 7) == 0);
    assert_true(pqi_notify_watchdog("soon", NULL, 7) == 0);
    assert_true(pqi_notify_watchdog("18446744073709551615", NULL, 7) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_one_datagram_to_a_path),
        cmocka_unit_test(a_message_is_one_datagram_to_an_abstract_name),
        cmocka_unit_test(without_a_manager_nothing_happens),
        cmocka_unit_test(other_names_are_refused),
        cmocka_unit_test(a_manager_that_is_gone_fails_the_send),
        cmocka_unit_test(a_message_that_is_too_long_loses_its_last_lines),
        cmocka_unit_test(the_watchdog_is_of_this_process_or_of_nobody_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
