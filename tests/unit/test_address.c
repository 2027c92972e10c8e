/* Spelling of addresses, common/address. What is refused stands in test_cluster_malformed.c. */
#include "common/address.h"

#include <string.h>

#include "tests/unit/unit.h"

static void hosts_and_ports_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *formatted;
        uint16_t port;
    } cases[] = {
        {"a:1", "a", "a:1", 1},
        {"localhost:65535", "localhost", "localhost:65535", 65535},
        {"10.0.0.255:2222", "10.0.0.255", "10.0.0.255:2222", 2222},
        {"job-ps-0.ns.svc.cluster.local:2222", "job-ps-0.ns.svc.cluster.local",
         "job-ps-0.ns.svc.cluster.local:2222", 2222},
        {"with_underscore.example.:80", "with_underscore.example.", "with_underscore.example.:80", 80},
        {"[::1]:2222", "::1", "[::1]:2222", 2222},
        {"[2001:DB8:0:0::1]:2222", "2001:db8::1", "[2001:db8::1]:2222", 2222},
        {"[::ffff:10.0.0.1]:2222", "::ffff:10.0.0.1", "[::ffff:10.0.0.1]:2222", 2222},
        {"[fe80::1%eth0.1]:2222", "fe80::1%eth0.1", "[fe80::1%eth0.1]:2222", 2222},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        address parsed;
        ps_error error = {0};
        if (address_parse(cases[i].text, &parsed, &error))
            fail_msg("%s", error.text);
        assert_string_equal(parsed.host, cases[i].host);
        assert_int_equal(parsed.port, cases[i].port);
        char text[ADDRESS_TEXT_MAX + 16];
        address_format(parsed.host, parsed.port, text, sizeof text);
        assert_string_equal(text, cases[i].formatted);
    }
}

static void a_name_of_the_full_length_is_accepted(void **state)
{
    (void)state;
    char text[ADDRESS_NAME_MAX + 3];
    memset(text, 'a', ADDRESS_NAME_MAX);
    for (size_t dot = 63; dot < ADDRESS_NAME_MAX; dot += 64)
        text[dot] = '.';
    strcpy(text + ADDRESS_NAME_MAX, ":1");
    address parsed;
    assert_int_equal(address_parse(text, &parsed, NULL), PS_OK);
    assert_int_equal(strlen(parsed.host), ADDRESS_NAME_MAX);
}

static void a_refusal_quotes_the_address(void **state)
{
    (void)state;
    address parsed;
    ps_error error = {0};
    assert_int_equal(address_parse("host1", &parsed, &error), PS_EINVAL);
    assert_string_equal(error.text, "address \"host1\" has no port; write host:port");
    assert_int_equal(address_parse(".:1", &parsed, &error), PS_EINVAL);
    assert_string_equal(error.text, "address \".:1\": nothing stands between two dots of the host");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_and_ports_are_taken_apart),
        cmocka_unit_test(a_name_of_the_full_length_is_accepted),
        cmocka_unit_test(a_refusal_quotes_the_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
