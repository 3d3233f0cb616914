/* How many of something each source address has. */
#include "test.h"

#include "quic/sources.h"

#include <stdio.h>

static const uint8_t key[16] = {1, 2, 3};

static pqi_address address_of(const char *host, uint16_t port)
{
    pqi_address address;
    assert_true(pqi_address_from_literal(&address, host, port));
    return address;
}

static void an_address_is_counted_whatever_its_port(void **state)
{
    (void)state;
    const pqi_address one = address_of("192.0.2.1", 1000);
    const pqi_address two = address_of("192.0.2.1", 2000);
    const pqi_address other = address_of("192.0.2.2", 1000);
    pqi_sources *sources = pqi_sources_new(key);
    pqi_source *a = pqi_sources_add(sources, &one, 10);
    pqi_source *b = pqi_sources_add(sources, &two, 10);
    assert_ptr_equal(a, b);
    assert_int_equal(pqi_sources_count(sources, &one), 2);
    assert_int_equal(pqi_sources_count(sources, &other), 0);
    pqi_sources_remove(sources, a);
    assert_int_equal(pqi_sources_count(sources, &two), 1);
    pqi_sources_remove(sources, b);
    assert_int_equal(pqi_sources_count(sources, &one), 0);
    pqi_sources_free(sources);
}

static void at_the_limit_no_more_are_added(void **state)
{
    (void)state;
    const pqi_address one = address_of("192.0.2.1", 1000);
    pqi_sources *sources = pqi_sources_new(key);
    assert_null(pqi_sources_add(sources, &one, 0));
    pqi_source *a = pqi_sources_add(sources, &one, 2);
    assert_non_null(pqi_sources_add(sources, &one, 2));
    assert_null(pqi_sources_add(sources, &one, 2));
    assert_int_equal(pqi_sources_count(sources, &one), 2);
    pqi_sources_remove(sources, a);
    assert_non_null(pqi_sources_add(sources, &one, 2));
    pqi_sources_free(sources); /* entries that are left go with it */
}

static void one_network_of_ipv6_is_one_source(void **state)
{
    (void)state;
    const pqi_address one = address_of("2001:db8:0:1::1", 1);
    const pqi_address same = address_of("2001:db8:0:1:ffff::9", 1);
    const pqi_address other = address_of("2001:db8:0:2::1", 1);
    pqi_sources *sources = pqi_sources_new(key);
    assert_non_null(pqi_sources_add(sources, &one, 10));
    assert_int_equal(pqi_sources_count(sources, &same), 1);
    assert_int_equal(pqi_sources_count(sources, &other), 0);
    pqi_sources_free(sources);
}

static void an_ipv4_address_written_as_ipv6_is_the_same_source(void **state)
{
    (void)state;
    const pqi_address plain = address_of("192.0.2.1", 1);
    const pqi_address mapped = address_of("::ffff:192.0.2.1", 1);
    const pqi_address neighbour = address_of("::ffff:192.0.2.2", 1);
    pqi_sources *sources = pqi_sources_new(key);
    assert_non_null(pqi_sources_add(sources, &plain, 10));
    assert_int_equal(pqi_sources_count(sources, &mapped), 1);
    assert_int_equal(pqi_sources_count(sources, &neighbour), 0);
    pqi_sources_free(sources);
}

static void thousands_of_sources_are_kept_apart(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    static pqi_source *added[COUNT];
    char host[32];
    pqi_sources *sources = pqi_sources_new(key);
    for (unsigned i = 0; i < COUNT; i++) {
        (void)snprintf(host, sizeof(host), "10.0.%u.%u", i >> 8, i & 0xff);
        const pqi_address address = address_of(host, 1);
        added[i] = pqi_sources_add(sources, &address, 1);
        assert_non_null(added[i]);
        assert_null(pqi_sources_add(sources, &address, 1));
    }
    for (unsigned i = 0; i < COUNT; i++) {
        pqi_sources_remove(sources, added[i]);
    }
    const pqi_address last = address_of("10.0.19.135", 1);
    assert_int_equal(pqi_sources_count(sources, &last), 0);
    pqi_sources_free(sources);
}

static void no_table_counts_nothing(void **state)
{
    (void)state;
    const pqi_address one = address_of("192.0.2.1", 1);
    assert_int_equal(pqi_sources_count(NULL, &one), 0);
    assert_null(pqi_sources_add(NULL, &one, 5));
    pqi_sources_remove(NULL, NULL);
    pqi_sources_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_counted_whatever_its_port),
        cmocka_unit_test(at_the_limit_no_more_are_added),
        cmocka_unit_test(one_network_of_ipv6_is_one_source),
        cmocka_unit_test(an_ipv4_address_written_as_ipv6_is_the_same_source),
        cmocka_unit_test(thousands_of_sources_are_kept_apart),
        cmocka_unit_test(no_table_counts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
