/* What who connects hears of handshakes that fail: common/transport. */
#include <string.h>

#include "tests/unit/folder.h"
#include "tests/unit/transport_bench.h"

/* Often, because a handshake may fail before the call that begins it has returned. */
enum { TIMES = 200 };

/* Whichever of the two hangs up first says what is wrong; the other knows no more than that. */
static void assert_hears(transport *t, uint16_t port)
{
    transport_socket *client;
    const uint64_t end = clock_monotonic_ms() + LOOPBACK_PATIENCE_MS;
    assert_int_equal(transport_connect(t, "127.0.0.1", port, &client, NULL), PS_OK);
    while (transport_look_at_handshakes(client)->failed_in_a_row == 0) {
        assert_true(clock_monotonic_ms() < end);
        usleep(100);
    }
    transport_close(&client, 0);
}

/* Those keys, or NULL, on each side. */
static void assert_hears_each_time(const curve_keys *server_keys, const curve_keys *client_keys)
{
    bench b;
    transport *other;
    listen_bench(&b, server_keys);
    assert_int_equal(transport_create(1, &other, NULL), PS_OK);
    if (client_keys)
        assert_int_equal(transport_secure(other, client_keys, NULL), PS_OK);
    for (int i = 0; i < TIMES; i++)
        assert_hears(other, b.port);
    transport_destroy(&other);
    close_bench(&b);
}

static void without_keys_it_hears_each_time_that_the_other_has_some(void **state)
{
    (void)state;
    curve_keys keys = {.wanted = true, .allow_path = "allow"};
    folder_put("allow", "", 0);
    assert_int_equal(transport_make_keys(&keys.own, NULL), PS_OK);
    assert_hears_each_time(&keys, NULL);
}

static void with_keys_it_hears_each_time_that_the_other_has_none(void **state)
{
    (void)state;
    curve_keys keys = {.wanted = true};
    key_pair other;
    assert_int_equal(transport_make_keys(&keys.own, NULL), PS_OK);
    assert_int_equal(transport_make_keys(&other, NULL), PS_OK);
    memcpy(keys.server_key, other.public_key, sizeof keys.server_key);
    assert_hears_each_time(NULL, &keys);
}

static void who_goes_amid_a_handshake_keeps_no_other_waiting(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    for (unsigned i = 0; i < TIMES; i++) {
        transport_socket *hasty;
        assert_int_equal(transport_connect(b.transport, "127.0.0.1", b.port, &hasty, NULL), PS_OK);
        usleep(10 * i); /* for some it has begun, for others it is over */
        transport_close(&hasty, 0);
    }
    talk(&b, 1);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(without_keys_it_hears_each_time_that_the_other_has_some),
        cmocka_unit_test(with_keys_it_hears_each_time_that_the_other_has_none),
        cmocka_unit_test(who_goes_amid_a_handshake_keeps_no_other_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
