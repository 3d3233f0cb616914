#include "test.h"

#include "admin/access.h"

#include <string.h>

static const char *const allowed_names[] = {"node.example"};

static pqi_access bound_to(const char *address)
{
    pqi_access access = {.names = allowed_names, .name_count = 1};
    assert_true(pqi_address_parse(&access.bound, address));
    return access;
}

static void hosts_that_are_ours_are_allowed(void **state)
{
    (void)state;
    const pqi_access access = bound_to("192.0.2.7");
    static const char *const hosts[] = {
        "localhost",        "localhost:9100",     "LocalHost",    "localhost.",
        "127.0.0.1",        "127.0.0.1:9100",     "127.8.9.10",   "[::1]",
        "[::1]:9100",       "[::ffff:127.0.0.1]", "192.0.2.7:80", "node.example",
        "Node.Example:443",
    };

    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        assert_true(pqi_access_host(&access, hosts[i]));
    }
}

static void hosts_of_others_and_malformed_ones_are_refused(void **state)
{
    (void)state;
    const pqi_access access = bound_to("127.0.0.1");
    static const char *const hosts[] = {
        "",
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.0.2.7",
        "evil@localhost",
        "localhost:80:80",
        "localhost:http",
        "::1",
        "[::1",
        "[::1]x",
        "[evil.example]",
        "0.0.0.0",
        "node.example.evil",
        "localhost/",
        " localhost",
        "2130706433",
        "127.1",
        "sub.node.example",
        ":9100",
    };

    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        assert_false(pqi_access_host(&access, hosts[i]));
    }
}

static void a_host_longer_than_any_name_is_refused(void **state)
{
    (void)state;
    const pqi_access access = bound_to("127.0.0.1");
    char host[1000];
    memset(host, 'a', sizeof(host));
    host[sizeof(host) - 1] = '\0';

    assert_false(pqi_access_host(&access, host));
}

static void bound_to_every_address_any_literal_is_ours_but_no_name(void **state)
{
    (void)state;
    static const char *const every[] = {"0.0.0.0", "::"};

    for (size_t i = 0; i < sizeof(every) / sizeof(every[0]); i++) {
        const pqi_access access = bound_to(every[i]);
        assert_true(pqi_access_host(&access, "192.0.2.7:9100"));
        assert_true(pqi_access_host(&access, "[2001:db8::1]"));
        assert_false(pqi_access_host(&access, "evil.example"));
    }
}

static void an_origin_must_be_the_host_itself(void **state)
{
    (void)state;
    assert_true(pqi_access_origin(NULL, "localhost:9100"));
    assert_true(pqi_access_origin("http://localhost:9100", "localhost:9100"));
    assert_true(pqi_access_origin("https://node.example", "node.example"));
    assert_false(pqi_access_origin("http://localhost:3000", "localhost:9100"));
    assert_false(pqi_access_origin("http://evil.example", "localhost:9100"));
    assert_false(pqi_access_origin("null", "localhost:9100"));
    assert_false(pqi_access_origin("", "localhost:9100"));
    assert_false(pqi_access_origin("http://localhost", NULL));
}

static void what_other_pages_fetch_is_refused_but_links_to_us_work(void **state)
{
    (void)state;
    assert_true(pqi_access_fetch(NULL, NULL));
    assert_true(pqi_access_fetch("same-origin", "cors"));
    assert_true(pqi_access_fetch("none", "navigate"));
    assert_true(pqi_access_fetch("cross-site", "navigate"));
    assert_false(pqi_access_fetch("cross-site", "no-cors"));
    assert_false(pqi_access_fetch("same-site", "cors"));
    assert_false(pqi_access_fetch("cross-site", NULL));
}

static void openmetrics_is_sent_only_when_asked_for(void **state)
{
    (void)state;
    assert_true(pqi_accepts_openmetrics("application/openmetrics-text"));
    assert_true(pqi_accepts_openmetrics(
        "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4"));
    assert_true(pqi_accepts_openmetrics("text/plain, Application/OpenMetrics-Text; q=0.01"));
    assert_false(pqi_accepts_openmetrics(NULL));
    assert_false(pqi_accepts_openmetrics(""));
    assert_false(pqi_accepts_openmetrics("*/*"));
    assert_false(pqi_accepts_openmetrics("text/plain;x=application/openmetrics-text"));
    assert_false(pqi_accepts_openmetrics("application/openmetrics-text2"));
    assert_false(pqi_accepts_openmetrics("application/openmetrics-text; version=1.0.0; q=0"));
    assert_false(pqi_accepts_openmetrics("application/openmetrics-text;q=0.000,text/plain"));
}

static void loopback_and_any_are_known_in_both_families(void **state)
{
    (void)state;
    struct in6_addr a;
    assert_true(pqi_address_parse(&a, "127.0.0.1") && pqi_address_loopback(&a));
    assert_true(pqi_address_parse(&a, "::1") && pqi_address_loopback(&a));
    assert_true(pqi_address_parse(&a, "10.0.0.1") && !pqi_address_loopback(&a));
    assert_true(pqi_address_parse(&a, "0.0.0.0") && pqi_address_any(&a));
    assert_true(pqi_address_parse(&a, "::") && pqi_address_any(&a));
    assert_true(pqi_address_parse(&a, "::1") && !pqi_address_any(&a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_that_are_ours_are_allowed),
        cmocka_unit_test(hosts_of_others_and_malformed_ones_are_refused),
        cmocka_unit_test(a_host_longer_than_any_name_is_refused),
        cmocka_unit_test(bound_to_every_address_any_literal_is_ours_but_no_name),
        cmocka_unit_test(an_origin_must_be_the_host_itself),
        cmocka_unit_test(what_other_pages_fetch_is_refused_but_links_to_us_work),
        cmocka_unit_test(openmetrics_is_sent_only_when_asked_for),
        cmocka_unit_test(loopback_and_any_are_known_in_both_families),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
