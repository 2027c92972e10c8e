/* Which names a request may give: common/http_host. */
#include <string.h>

#include "common/http_host.h"
#include "tests/unit/unit.h"

static void addresses_and_localhost_are_ours(void **state)
{
    (void)state;
    static const char *const ours[] = {"localhost",       "localhost:9090", "LocalHost", "localhost.",
                                       "localhost.:1",    "localhost:",     "127.0.0.1", "127.0.0.1:65535",
                                       "10.1.2.3:80",     "[::1]",          "[::1]:80",  "[2001:db8::1]:9",
                                       "[::ffff:1.2.3.4]"};
    const http_hosts none = {0};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (!http_host_is_ours(&none, ours[i]))
            fail_msg("%s", ours[i]);
}

static void other_names_are_not(void **state)
{
    (void)state;
    static const char *const foreign[] = {"",
                                          ".",
                                          ":80",
                                          "evil.example",
                                          "localhost.evil.example",
                                          "evil.localhost",
                                          "localhostx",
                                          "localhos",
                                          "127.0.0.1.x",
                                          "127.0.0.1.evil.example:80",
                                          "127.1",
                                          "0x7f000001",
                                          "localhost:x",
                                          "localhost:80@evil.example",
                                          "localhost:80 ",
                                          " localhost",
                                          "localhost..",
                                          "[::1",
                                          "[::1]x",
                                          "[::1]:x",
                                          "[]",
                                          "[localhost]",
                                          "[127.0.0.1]",
                                          "::1",
                                          "[::1.]",
                                          "[fe80::1%25eth0]",
                                          "local host",
                                          "user@localhost"};
    http_hosts one = {0};
    ps_error error;
    assert_int_equal(http_hosts_add(&one, "ps-0.penstock", &error), PS_OK);
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        if (http_host_is_ours(&one, foreign[i]))
            fail_msg("%s", foreign[i]);
    char longest[300];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_false(http_host_is_ours(&one, longest));
}

static void pages_of_this_host_are_told_from_others(void **state)
{
    (void)state;
    static const char *const near[] = {"http://localhost", "http://localhost:8000", "http://127.0.0.1:9090",
                                       "http://127.1.2.3", "http://[::1]:80",       "http://[::1]"};
    static const char *const far[] = {"",
                                      "null",
                                      "http://",
                                      "http://[",
                                      "localhost",
                                      "https://localhost",
                                      "http://evil.example",
                                      "http://10.1.2.3:9090",
                                      "http://128.0.0.1",
                                      "http://127.0.0.1.evil.example",
                                      "http://127.0.0.1:80.evil.example",
                                      "http://localhost.evil.example",
                                      "http://localhost@evil.example",
                                      "http://[::1].evil.example",
                                      "http://[localhost]",
                                      "http://[127.0.0.1]",
                                      "http://::1",
                                      "http://[::1]x",
                                      "http://localhost.",
                                      "http://localhost:x",
                                      "http://[::2]:80"};
    for (size_t i = 0; i < sizeof near / sizeof near[0]; i++)
        if (!http_origin_is_loopback(near[i]))
            fail_msg("%s", near[i]);
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++)
        if (http_origin_is_loopback(far[i]))
            fail_msg("%s", far[i]);
}

static void names_that_were_given_are_ours(void **state)
{
    (void)state;
    http_hosts hosts = {0};
    ps_error error;
    assert_int_equal(http_hosts_add(&hosts, "ps-0.penstock", &error), PS_OK);
    assert_int_equal(http_hosts_add(&hosts, "Monitor.Example.", &error), PS_OK);
    assert_true(http_host_is_ours(&hosts, "ps-0.penstock:9090"));
    assert_true(http_host_is_ours(&hosts, "PS-0.penstock."));
    assert_true(http_host_is_ours(&hosts, "monitor.example"));
    assert_true(http_host_is_ours(&hosts, "localhost"));
    assert_false(http_host_is_ours(&hosts, "ps-0"));
    assert_false(http_host_is_ours(&hosts, "ps-0.penstock.example"));
}

static void what_is_no_name_cannot_be_given(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",      ".",   "a:80", "http://a", "a/b",     "a b",
                                        "[::1]", "::1", "a,b",  "*",        "\xc3\xa4"};
    http_hosts hosts = {0};
    ps_error error;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (http_hosts_add(&hosts, wrong[i], &error) != PS_EINVAL)
            fail_msg("%s", wrong[i]);
    assert_int_equal(http_hosts_add(&hosts, "a:80", &error), PS_EINVAL);
    assert_string_equal(error.text, "--http-host: 'a:80' is no host name");
    for (int i = 0; i < HTTP_HOSTS_MAX; i++)
        assert_int_equal(http_hosts_add(&hosts, "a", &error), PS_OK);
    assert_int_equal(http_hosts_add(&hosts, "a", &error), PS_EINVAL);
    assert_string_equal(error.text, "--http-host: more than 16 names");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_and_localhost_are_ours),
        cmocka_unit_test(other_names_are_not),
        cmocka_unit_test(pages_of_this_host_are_told_from_others),
        cmocka_unit_test(names_that_were_given_are_ours),
        cmocka_unit_test(what_is_no_name_cannot_be_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
