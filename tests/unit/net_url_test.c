/* URLs are taken apart as RFC 3986 says, and whatever is doubtful is refused with a reason. */
#include "test.h"

#include "net/url.h"

#include <stdio.h>
#include <string.h>

static void assert_url(const char *text, pqi_host_kind kind, const char *host, uint16_t port)
{
    pqi_url url;
    pql_error err = {0};
    assert_int_equal(pqi_url_parse(&url, text, &err), PQL_OK);
    assert_int_equal(url.transport, PQL_TRANSPORT_QUIC);
    assert_int_equal(url.host_kind, kind);
    assert_string_equal(url.host, host);
    assert_int_equal(url.port, port);
}

/* The URL is refused with a sentence that contains |word|, and nothing of it is left. */
static void assert_refused(const char *text, const char *word)
{
    const pqi_url nothing = {0};
    pqi_url url;
    pql_error err = {0};
    memset(&url, 0x55, sizeof(url));
    assert_int_equal(pqi_url_parse(&url, text, &err), PQL_E_USAGE);
    assert_int_equal(err.code, PQL_E_USAGE);
    assert_non_null(strstr(err.message, word));
    assert_memory_equal(&url, &nothing, sizeof(url));
}

static void names_and_addresses_are_told_apart(void **state)
{
    (void)state;
    assert_url("quic://node.example:9833", PQI_HOST_NAME, "node.example", 9833);
    assert_url("quic://my_node-1:1", PQI_HOST_NAME, "my_node-1", 1);
    assert_url("quic://127.0.0.1:65535", PQI_HOST_IPV4, "127.0.0.1", 65535);
    assert_url("quic://[::1]:9833", PQI_HOST_IPV6, "::1", 9833);
    assert_url("quic://[2001:db8::192.0.2.1]:9833", PQI_HOST_IPV6, "2001:db8::192.0.2.1", 9833);
}

static void port_zero_is_left_to_the_caller(void **state)
{
    (void)state;
    assert_url("quic://127.0.0.1:0", PQI_HOST_IPV4, "127.0.0.1", 0);
}

static void scheme_and_host_are_lowered_in_the_normal_form(void **state)
{
    (void)state;
    pqi_url url;
    assert_int_equal(pqi_url_parse(&url, "QUIC://Node.Example:09833", NULL), PQL_OK);
    assert_string_equal(url.text, "quic://node.example:9833");
    assert_int_equal(pqi_url_parse(&url, "quic://[2001:DB8::1]:9833", NULL), PQL_OK);
    assert_string_equal(url.text, "quic://[2001:db8::1]:9833");
}

static void the_normal_form_parses_to_itself(void **state)
{
    (void)state;
    const char *const texts[] = {"quic://a:1", "quic://192.0.2.1:0", "quic://[fe80::1]:65535"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        pqi_url url;
        assert_int_equal(pqi_url_parse(&url, texts[i], NULL), PQL_OK);
        assert_string_equal(url.text, texts[i]);
    }
}

static void a_missing_or_foreign_scheme_is_refused(void **state)
{
    (void)state;
    assert_refused("", "quic://");
    assert_refused("node.example:9833", "quic://");
    assert_refused("https://node.example:9833", "quic://");
    assert_refused("quic:/node.example:9833", "quic://");
}

static void an_empty_host_is_refused(void **state)
{
    (void)state;
    assert_refused("quic://:9833", "empty");
    assert_refused("quic://[]:9833", "empty");
}

static void a_bad_port_is_refused(void **state)
{
    (void)state;
    assert_refused("quic://node.example", "port is missing");
    assert_refused("quic://node.example:", "port must be");
    assert_refused("quic://node.example:65536", "port must be");
    assert_refused("quic://node.example:99999999999999999999999", "port must be");
    assert_refused("quic://node.example:+1", "port must be");
    assert_refused("quic://node.example: 1", "port must be");
    assert_refused("quic://node.example:0x10", "port must be");
    assert_refused("quic://[::1]", "After the bracket");
    assert_refused("quic://[::1]9833", "After the bracket");
}

static void a_bad_ipv6_address_is_refused(void **state)
{
    (void)state;
    assert_refused("quic://[::1:9833", "not closed");
    assert_refused("quic://[fe80::1%eth0]:9833", "zone");
    assert_refused("quic://[:::1]:9833", "no IPv6 address");
    assert_refused("quic://[127.0.0.1]:9833", "no IPv6 address");
    assert_refused("quic://::1:9833", "brackets");
}

static void a_bad_name_is_refused(void **state)
{
    (void)state;
    assert_refused("quic://node..example:1", "neither a name");
    assert_refused("quic://.example:1", "neither a name");
    assert_refused("quic://node.:1", "neither a name");
    assert_refused("quic://no de:1", "neither a name");
    assert_refused("quic://n\xc3\xb6"
                   "de:1",
                   "neither a name");
}

static void a_name_that_could_be_an_address_is_refused(void **state)
{
    (void)state;
    assert_refused("quic://256.0.0.1:1", "IPv4");
    assert_refused("quic://127.1:1", "IPv4");
    assert_refused("quic://2130706433:1", "IPv4");
    assert_refused("quic://node.1:1", "IPv4");
}

static void what_does_not_belong_is_refused(void **state)
{
    (void)state;
    assert_refused("quic://node.example:9833/", "follow the port");
    assert_refused("quic://node.example:9833?a=b", "follow the port");
    assert_refused("quic://node.example:9833#a", "follow the port");
    assert_refused("quic://me@node.example:9833", "user name");
}

static void lengths_are_bounded_as_in_dns(void **state)
{
    (void)state;
    char text[400];
    pqi_url url;
    (void)snprintf(text, sizeof(text), "quic://%063d.example:1", 0);
    assert_int_equal(pqi_url_parse(&url, text, NULL), PQL_OK);
    (void)snprintf(text, sizeof(text), "quic://%064d.example:1", 0);
    assert_refused(text, "neither a name");
    (void)snprintf(text, sizeof(text), "quic://%061d.%063d.%063d.%060dabc:1", 0, 0, 0, 0);
    assert_int_equal(pqi_url_parse(&url, text, NULL), PQL_OK);
    assert_int_equal(strlen(url.host), 253);
    (void)snprintf(text, sizeof(text), "quic://%062d.%063d.%063d.%060dabc:1", 0, 0, 0, 0);
    assert_refused(text, "longer than");
}

static void every_truncation_is_refused_or_valid_by_itself(void **state)
{
    (void)state;
    const char *const texts[] = {"quic://node.example:9833", "quic://192.0.2.15:9833",
                                 "quic://[2001:db8::1]:9833"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        for (size_t len = 0; len < strlen(texts[i]); len++) {
            char text[64] = "";
            pqi_url url;
            memcpy(text, texts[i], len);
            const bool has_port = len > strlen(texts[i]) - 4;
            assert_int_equal(pqi_url_parse(&url, text, NULL), has_port ? PQL_OK : PQL_E_USAGE);
        }
    }
}

static void an_endpoint_is_an_address_and_a_port_or_off(void **state)
{
    (void)state;
    pqi_endpoint endpoint;
    assert_int_equal(pqi_endpoint_parse(&endpoint, "127.0.0.1:9834", NULL), PQL_OK);
    assert_false(endpoint.off);
    assert_string_equal(endpoint.host, "127.0.0.1");
    assert_int_equal(endpoint.port, 9834);
    assert_int_equal(pqi_endpoint_parse(&endpoint, "[::1]:9834", NULL), PQL_OK);
    assert_int_equal(endpoint.host_kind, PQI_HOST_IPV6);
    assert_int_equal(pqi_endpoint_parse(&endpoint, "off", NULL), PQL_OK);
    assert_true(endpoint.off);
}

static void an_endpoint_is_never_a_name(void **state)
{
    (void)state;
    pqi_endpoint endpoint;
    pql_error err = {0};
    assert_int_equal(pqi_endpoint_parse(&endpoint, "localhost:9834", &err), PQL_E_USAGE);
    assert_non_null(strstr(err.message, "name"));
    assert_int_equal(pqi_endpoint_parse(&endpoint, "127.0.0.1", &err), PQL_E_USAGE);
    assert_non_null(strstr(err.message, "port"));
}

static void a_node_has_one_of_three_schemes(void **state)
{
    (void)state;
    pqi_node_url node;
    assert_int_equal(pqi_node_url_parse(&node, "QUANTUS://Node.Example:9833", NULL), PQL_OK);
    assert_int_equal(node.scheme, PQI_SCHEME_QUANTUS);
    assert_string_equal(node.text, "quantus://node.example:9833");
    assert_string_equal(node.url.text, "quic://node.example:9833");
    assert_null(node.fragment);
    assert_int_equal(pqi_node_url_parse(&node, "quantus-v1://[::1]:1", NULL), PQL_OK);
    assert_int_equal(node.scheme, PQI_SCHEME_QUANTUS_V1);
    assert_string_equal(node.text, "quantus-v1://[::1]:1");
    assert_int_equal(pqi_node_url_parse(&node, "quic://a:1", NULL), PQL_OK);
    assert_int_equal(node.scheme, PQI_SCHEME_QUIC);
}

static void a_node_may_carry_a_fragment(void **state)
{
    (void)state;
    pqi_node_url node;
    assert_int_equal(pqi_node_url_parse(&node, "quantus://a:1#sha256:00#ff", NULL), PQL_OK);
    assert_string_equal(node.text, "quantus://a:1");
    assert_string_equal(node.fragment, "sha256:00#ff");
    assert_int_equal(pqi_node_url_parse(&node, "quic://a:1#", NULL), PQL_OK);
    assert_string_equal(node.fragment, "");
}

static void assert_no_node(const char *text, const char *words)
{
    pqi_node_url node;
    pql_error err = {0};
    assert_int_equal(pqi_node_url_parse(&node, text, &err), PQL_E_USAGE);
    assert_non_null(strstr(err.message, words));
    assert_string_equal(node.text, "");
}

static void a_node_that_cannot_be_connected_to_is_refused(void **state)
{
    (void)state;
    char longest[1024];
    memset(longest, 'a', sizeof(longest));
    memcpy(longest, "quantus://", strlen("quantus://"));
    longest[sizeof(longest) - 1] = '\0';
    assert_no_node("http://a:1", "must begin with");
    assert_no_node("quantus-v2://a:1", "must begin with");
    assert_no_node("", "must begin with");
    assert_no_node("quantus://a:0", "must not be 0");
    assert_no_node("quantus://a", "port");
    assert_no_node("quantus://quic://a:1", "Nothing may follow");
    assert_no_node("quantus://a:1/#x", "Nothing may follow");
    assert_no_node(longest, "too long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_addresses_are_told_apart),
        cmocka_unit_test(port_zero_is_left_to_the_caller),
        cmocka_unit_test(scheme_and_host_are_lowered_in_the_normal_form),
        cmocka_unit_test(the_normal_form_parses_to_itself),
        cmocka_unit_test(a_missing_or_foreign_scheme_is_refused),
        cmocka_unit_test(an_empty_host_is_refused),
        cmocka_unit_test(a_bad_port_is_refused),
        cmocka_unit_test(a_bad_ipv6_address_is_refused),
        cmocka_unit_test(a_bad_name_is_refused),
        cmocka_unit_test(a_name_that_could_be_an_address_is_refused),
        cmocka_unit_test(what_does_not_belong_is_refused),
        cmocka_unit_test(lengths_are_bounded_as_in_dns),
        cmocka_unit_test(every_truncation_is_refused_or_valid_by_itself),
        cmocka_unit_test(an_endpoint_is_an_address_and_a_port_or_off),
        cmocka_unit_test(an_endpoint_is_never_a_name),
        cmocka_unit_test(a_node_has_one_of_three_schemes),
        cmocka_unit_test(a_node_may_carry_a_fragment),
        cmocka_unit_test(a_node_that_cannot_be_connected_to_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
