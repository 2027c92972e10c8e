/* Where a ps may listen without keys: ps/exposure. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ps/exposure.h"
#include "tests/unit/unit.h"

static const exposure plain = {.listen_fd = -1};

static ps_status settle(exposure wanted, const char *name, const char **host)
{
    static cluster_task self;
    self = (cluster_task){.index = 1, .port = 2222};
    snprintf(self.host, sizeof self.host, "%s", name);
    ps_error error;
    ps_status status = exposure_settle(&wanted, &self, host, &error);
    if (status != PS_OK)
        assert_non_null(strstr(error.text, "--curve-keys"));
    return status;
}

static void without_keys_loopback_is_listened_on_alone(void **state)
{
    (void)state;
    static const char *const own[] = {"127.0.0.1",        "127.8.9.10", "::1",
                                      "::ffff:127.0.0.1", "localhost",  "LocalHost"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        const char *host = NULL;
        assert_int_equal(settle(plain, own[i], &host), PS_OK);
        assert_string_equal(host, own[i]);
    }
}

static void without_keys_nothing_else_is(void **state)
{
    (void)state;
    static const char *const names[] = {"ps-0.example", "10.0.0.1",          "0.0.0.0",
                                        "::",           "128.0.0.1",         "::2",
                                        "fe80::1",      "localhost.example", "::ffff:10.0.0.1"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *host;
        exposure bound = plain;
        bound.bind_given = true;
        assert_int_equal(settle(plain, names[i], &host), PS_ECONFIG);
        assert_int_equal(settle(bound, names[i], &host), PS_ECONFIG);
    }
}

static void with_keys_or_by_wish_all_interfaces_are(void **state)
{
    (void)state;
    const char *host = "x";
    exposure e = plain;
    e.has_keys = true;
    assert_int_equal(settle(e, "ps-0.example", &host), PS_OK);
    assert_null(host);
    assert_int_equal(settle(e, "127.0.0.1", &host), PS_OK);
    assert_null(host);
    e.bind_given = true;
    assert_int_equal(settle(e, "ps-0.example", &host), PS_OK);
    assert_string_equal(host, "ps-0.example");
    e = plain;
    e.insecure = true;
    assert_int_equal(settle(e, "ps-0.example", &host), PS_OK);
    assert_null(host);
}

static int bound_to(const char *address)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    assert_int_equal(inet_pton(AF_INET, address, &at.sin_addr), 1);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static void of_an_inherited_socket_its_own_address_counts(void **state)
{
    (void)state;
    const char *host = "x";
    exposure e = {.listen_fd = bound_to("127.0.0.1")};
    assert_int_equal(settle(e, "ps-0.example", &host), PS_OK);
    assert_null(host);
    close(e.listen_fd);
    e.listen_fd = bound_to("0.0.0.0");
    assert_int_equal(settle(e, "127.0.0.1", &host), PS_ECONFIG);
    e.insecure = true;
    assert_int_equal(settle(e, "127.0.0.1", &host), PS_OK);
    close(e.listen_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_keys_loopback_is_listened_on_alone),
        cmocka_unit_test(without_keys_nothing_else_is),
        cmocka_unit_test(with_keys_or_by_wish_all_interfaces_are),
        cmocka_unit_test(of_an_inherited_socket_its_own_address_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
