/* The key of a ps while it runs: what is in its file is what it speaks with, soon. */
#include "ps/own_key.h"

#include <string.h>

#include "tests/unit/folder.h"
#include "tests/unit/silence.h"
#include "tests/unit/transport_bench.h"

/* A ps that has read ps.key, which `replaced` says is another one by the time that it listens. */
static void begin(bench *b, curve_keys *keys, own_key *key, bool replaced)
{
    *keys = (curve_keys){.wanted = true, .allow_path = "allow", .ps_path = "ps.key"};
    folder_put("allow", "", 0);
    assert_int_equal(transport_make_keys(&keys->own, NULL), PS_OK);
    key_pair in_file = keys->own;
    if (replaced)
        assert_int_equal(transport_make_keys(&in_file, NULL), PS_OK);
    assert_int_equal(key_file_write_pair("ps.key", &in_file, "ps", NULL), PS_OK);
    int fd = loopback_listen(&b->port);
    assert_int_equal(transport_create(1, &b->transport, NULL), PS_OK);
    assert_int_equal(transport_secure(b->transport, keys, NULL), PS_OK);
    assert_int_equal(transport_listen(b->transport, NULL, b->port, fd, &b->server, NULL), PS_OK);
    b->client = NULL;
    own_key_begin(key, keys);
}

static void end(bench *b, own_key *key)
{
    own_key_end(key);
    assert_string_equal(key->own.secret_key, "");
    transport_close(&b->server, 0);
    transport_destroy(&b->transport);
}

/* Until ZeroMQ has taken what is to be taken. */
static void look(bench *b, own_key *key)
{
    const uint64_t deadline_ms = clock_monotonic_ms() + LOOPBACK_PATIENCE_MS;
    while (own_key_look(key, b->server)) {
        assert_true(clock_monotonic_ms() < deadline_ms);
        usleep(1000);
    }
}

static void a_key_that_is_the_same_is_left_alone(void **state)
{
    (void)state;
    bench b;
    curve_keys keys;
    own_key key;
    begin(&b, &keys, &key, false);
    look(&b, &key);
    assert_string_equal(key.own.secret_key, keys.own.secret_key);
    end(&b, &key);
}

static void a_key_that_was_replaced_before_the_first_look_is_taken(void **state)
{
    (void)state;
    bench b;
    curve_keys keys;
    own_key key;
    key_pair in_file;
    begin(&b, &keys, &key, true);
    look(&b, &key);
    assert_int_equal(key_file_read_pair("ps.key", &in_file, NULL), PS_OK);
    assert_string_equal(key.own.secret_key, in_file.secret_key);
    end(&b, &key);
}

static void where_the_file_is_gone_or_no_key_the_key_stays(void **state)
{
    (void)state;
    bench b;
    curve_keys keys;
    own_key key;
    begin(&b, &keys, &key, false);
    assert_int_equal(unlink("ps.key"), 0);
    look(&b, &key);
    folder_put("ps.key", "nonsense\n", 9);
    look(&b, &key);
    assert_string_equal(key.own.secret_key, keys.own.secret_key);
    end(&b, &key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(a_key_that_is_the_same_is_left_alone),
        FOLDER_TEST(a_key_that_was_replaced_before_the_first_look_is_taken),
        FOLDER_TEST(where_the_file_is_gone_or_no_key_the_key_stays),
    };
    return cmocka_run_group_tests(tests, silence, NULL);
}
