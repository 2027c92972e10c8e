/* Strangers at a socket that listens: common/transport_door. */
#include <poll.h>
#include <string.h>
#include <sys/resource.h>

#include "common/visitors.h"
#include "tests/unit/folder.h"
#include "tests/unit/transport_bench.h"

enum { BEYOND = 50 }; /* strangers, than may stay */

static bool has_hung_up(int fd)
{
    struct pollfd end = {.fd = fd, .events = POLLRDHUP};
    return poll(&end, 1, 0) > 0;
}

static void wait_until_hung_up(int fd)
{
    struct pollfd end = {.fd = fd, .events = POLLRDHUP};
    assert_int_equal(poll(&end, 1, LOOPBACK_PATIENCE_MS), 1);
}

static void wait_until_all_are_gone(bench *b, uint64_t turned_away)
{
    const uint64_t end = clock_monotonic_ms() + LOOPBACK_PATIENCE_MS;
    while (transport_look_at_handshakes(b->server)->failed[HANDSHAKE_TURNED_AWAY] < turned_away) {
        assert_true(clock_monotonic_ms() < end);
        usleep(1000);
    }
}

/* Both ends of them are this process's. */
static void allow_files(rlim_t count)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < count)
        skip();
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void who_says_nothing_makes_room_for_the_next_and_who_has_spoken_stays(void **state)
{
    (void)state;
    enum { COME = VISITORS_MOST + BEYOND };
    static int strangers[COME];
    bench b;
    allow_files(2 * COME + 200);
    open_bench(&b);
    talk(&b, 1);
    for (int i = 0; i < COME; i++)
        strangers[i] = loopback_connect(b.port);
    wait_until_all_are_gone(&b, BEYOND);
    assert_int_equal(transport_look_at_handshakes(b.server)->failed[HANDSHAKE_TURNED_AWAY], BEYOND);
    for (int i = 0; i < BEYOND; i++)
        wait_until_hung_up(strangers[i]);
    for (int i = BEYOND; i < COME; i++)
        assert_false(has_hung_up(strangers[i]));
    talk(&b, 2);
    assert_int_equal(transport_look_at_handshakes(b.server)->failed[HANDSHAKE_TURNED_AWAY], BEYOND);
    for (int i = 0; i < COME; i++)
        close(strangers[i]);
    close_bench(&b);
}

/* ---- with keys ---- */

static void listen_with_keys(bench *b)
{
    curve_keys keys = {.wanted = true, .allow_path = "allow"};
    folder_put("allow", "", 0);
    assert_int_equal(transport_make_keys(&keys.own, NULL), PS_OK);
    listen_bench(b, &keys);
}

/* It claims the largest frame there may be, and sends a part of it. */
static void who_sends_more_than_a_handshake_before_it_is_let_in_is_hung_up_on(void **state)
{
    (void)state;
    static const uint8_t greeting[64] = {0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 1, 'C', 'U', 'R', 'V', 'E'};
    static const uint8_t claims[] = {0x06, 0, 0, 0, 0, 0x04, 0, 0, 0};
    static const uint8_t part[16384];
    bench b;
    listen_with_keys(&b);
    int modest = loopback_connect(b.port), greedy = loopback_connect(b.port);
    for (int i = 0; i < 2; i++) {
        const int fd = i ? greedy : modest;
        assert_int_equal(send(fd, greeting, sizeof greeting, MSG_NOSIGNAL), sizeof greeting);
        assert_int_equal(send(fd, claims, sizeof claims, MSG_NOSIGNAL), sizeof claims);
    }
    assert_int_equal(send(greedy, part, sizeof part, MSG_NOSIGNAL), sizeof part);
    wait_until_hung_up(greedy);
    assert_false(has_hung_up(modest));
    close(modest);
    close(greedy);
    close_bench(&b);
}

/* All who have come so far: one more speaks as nobody may, and that is told after them. */
static void wait_until_heard_of(bench *b)
{
    static const uint8_t greeting[64] = {0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0, 'N', 'U', 'L', 'L'};
    const uint64_t end = clock_monotonic_ms() + LOOPBACK_PATIENCE_MS;
    const int last = loopback_connect(b->port);
    assert_int_equal(send(last, greeting, sizeof greeting, MSG_NOSIGNAL), sizeof greeting);
    while (transport_look_at_handshakes(b->server)->failed[HANDSHAKE_OTHER_MECHANISM] == 0) {
        assert_true(clock_monotonic_ms() < end);
        usleep(1000);
    }
    close(last);
}

/* The descriptors of those who were there when the key was changed are others' by then. */
static void after_a_change_of_keys_as_many_may_come_again_and_who_listens_goes_on(void **state)
{
    (void)state;
    enum { BEFORE = 40, FEW = 10, COME = VISITORS_MOST + BEYOND };
    static int before[BEFORE], after[COME];
    bench b;
    key_pair other;
    ps_error error;
    allow_files(2 * COME + 200);
    listen_with_keys(&b);
    for (int i = 0; i < BEFORE; i++)
        before[i] = loopback_connect(b.port);
    assert_int_equal(transport_make_keys(&other, &error), PS_OK);
    const uint64_t end = clock_monotonic_ms() + LOOPBACK_PATIENCE_MS;
    ps_status status;
    while ((status = transport_change_key(b.server, &other, &error)) == PS_ESTATE) {
        assert_true(clock_monotonic_ms() < end);
        usleep(1000);
    }
    assert_int_equal(status, PS_OK);
    for (int i = 0; i < BEFORE; i++)
        close(loopback_connect(b.port));
    /* Whoever comes now, and is within the bound, stays. */
    int few[FEW];
    for (int i = 0; i < FEW; i++)
        few[i] = loopback_connect(b.port);
    wait_until_heard_of(&b);
    for (int i = 0; i < FEW; i++) {
        assert_false(has_hung_up(few[i]));
        close(few[i]);
    }
    for (int i = 0; i < COME; i++)
        after[i] = loopback_connect(b.port);
    wait_until_hung_up(after[0]);
    close(loopback_connect(b.port));
    for (int i = 0; i < BEFORE; i++)
        close(before[i]);
    for (int i = 0; i < COME; i++)
        close(after[i]);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_says_nothing_makes_room_for_the_next_and_who_has_spoken_stays),
        FOLDER_TEST(after_a_change_of_keys_as_many_may_come_again_and_who_listens_goes_on),
        FOLDER_TEST(who_sends_more_than_a_handshake_before_it_is_let_in_is_hung_up_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
