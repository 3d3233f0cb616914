/* What a context remembers of servers. */
#include "test.h"

#include "link/servers.h"

#include <stdio.h>
#include <string.h>

static const uint8_t token_a[] = {1, 2, 3, 4};
static const uint8_t token_b[] = {5, 6, 7};

static void a_token_is_handed_out_once(void **state)
{
    (void)state;
    uint8_t out[PQI_QUIC_TOKEN_MAX];
    pqi_servers *servers = pqi_servers_new();
    assert_int_equal(pqi_servers_take_token(servers, "node.example:9833", out), 0);
    pqi_servers_keep_token(servers, "node.example:9833", token_a, sizeof(token_a));
    assert_int_equal(pqi_servers_take_token(servers, "node.example:9833", out), sizeof(token_a));
    assert_memory_equal(out, token_a, sizeof(token_a));
    assert_int_equal(pqi_servers_take_token(servers, "node.example:9833", out), 0);
    pqi_servers_free(servers);
}

static void the_newest_token_is_kept(void **state)
{
    (void)state;
    uint8_t out[PQI_QUIC_TOKEN_MAX];
    pqi_servers *servers = pqi_servers_new();
    pqi_servers_keep_token(servers, "node.example:9833", token_a, sizeof(token_a));
    pqi_servers_keep_token(servers, "node.example:9833", token_b, sizeof(token_b));
    assert_int_equal(pqi_servers_take_token(servers, "node.example:9833", out), sizeof(token_b));
    assert_memory_equal(out, token_b, sizeof(token_b));
    pqi_servers_free(servers);
}

static void a_token_is_shown_to_its_own_server_only(void **state)
{
    (void)state;
    uint8_t out[PQI_QUIC_TOKEN_MAX];
    pqi_servers *servers = pqi_servers_new();
    pqi_servers_keep_token(servers, "node.example:9833", token_a, sizeof(token_a));
    assert_int_equal(pqi_servers_take_token(servers, "node.example:9834", out), 0);
    assert_int_equal(pqi_servers_take_token(servers, "other.example:9833", out), 0);
    pqi_servers_free(servers);
}

static void a_token_that_is_too_long_is_not_kept(void **state)
{
    (void)state;
    static const uint8_t longer[PQI_QUIC_TOKEN_MAX + 1];
    uint8_t out[PQI_QUIC_TOKEN_MAX];
    pqi_servers *servers = pqi_servers_new();
    pqi_servers_keep_token(servers, "node.example:9833", longer, sizeof(longer));
    assert_int_equal(pqi_servers_take_token(servers, "node.example:9833", out), 0);
    pqi_servers_free(servers);
}

static void one_server_too_many_makes_the_longest_unasked_go(void **state)
{
    (void)state;
    char name[32];
    uint8_t out[PQI_QUIC_TOKEN_MAX];
    pqi_servers *servers = pqi_servers_new();
    for (unsigned i = 0; i < PQI_SERVERS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "n%u.example:1", i);
        pqi_servers_keep_token(servers, name, token_a, sizeof(token_a));
    }
    assert_int_equal(pqi_servers_copies(servers, "n0.example:1"), 0); /* asked for just now */
    pqi_servers_keep_token(servers, "one-more.example:1", token_b, sizeof(token_b));
    assert_int_equal(pqi_servers_take_token(servers, "n1.example:1", out), 0);
    assert_int_equal(pqi_servers_take_token(servers, "n0.example:1", out), sizeof(token_a));
    assert_int_equal(pqi_servers_take_token(servers, "n2.example:1", out), sizeof(token_a));
    assert_int_equal(pqi_servers_take_token(servers, "one-more.example:1", out), sizeof(token_b));
    pqi_servers_free(servers);
}

static void a_server_that_was_held_up_gets_one_copy_more_up_to_four(void **state)
{
    (void)state;
    pqi_servers *servers = pqi_servers_new();
    assert_int_equal(pqi_servers_copies(servers, "node.example:9833"), 0);
    pqi_servers_held_up(servers, "node.example:9833", 2);
    assert_int_equal(pqi_servers_copies(servers, "node.example:9833"), 3);
    pqi_servers_held_up(servers, "node.example:9833", 2); /* an older link, too late */
    assert_int_equal(pqi_servers_copies(servers, "node.example:9833"), 3);
    pqi_servers_held_up(servers, "node.example:9833", 3);
    pqi_servers_held_up(servers, "node.example:9833", 4);
    assert_int_equal(pqi_servers_copies(servers, "node.example:9833"), 4);
    assert_int_equal(pqi_servers_copies(servers, "other.example:9833"), 0);
    pqi_servers_free(servers);
}

static void without_memory_nothing_is_remembered(void **state)
{
    (void)state;
    uint8_t out[PQI_QUIC_TOKEN_MAX];
    pqi_servers_keep_token(NULL, "node.example:9833", token_a, sizeof(token_a));
    pqi_servers_held_up(NULL, "node.example:9833", 2);
    assert_int_equal(pqi_servers_take_token(NULL, "node.example:9833", out), 0);
    assert_int_equal(pqi_servers_copies(NULL, "node.example:9833"), 0);
    pqi_servers_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_handed_out_once),
        cmocka_unit_test(the_newest_token_is_kept),
        cmocka_unit_test(a_token_is_shown_to_its_own_server_only),
        cmocka_unit_test(a_token_that_is_too_long_is_not_kept),
        cmocka_unit_test(one_server_too_many_makes_the_longest_unasked_go),
        cmocka_unit_test(a_server_that_was_held_up_gets_one_copy_more_up_to_four),
        cmocka_unit_test(without_memory_nothing_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
