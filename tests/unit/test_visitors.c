/* Who has to go when there is no room: common/visitors. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "common/visitors.h"
#include "tests/unit/unit.h"

static visitor *enter(visitors *g, const char *from, uint64_t now_ms)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    const struct sockaddr *at = (const struct sockaddr *)&v4;
    if (inet_pton(AF_INET, from, &v4.sin_addr) != 1) {
        assert_int_equal(inet_pton(AF_INET6, from, &v6.sin6_addr), 1);
        at = (const struct sockaddr *)&v6;
    }
    return visitors_enter(g, at, 7, now_ms);
}

static void while_there_is_room_nobody_has_to_go(void **state)
{
    (void)state;
    visitors g = {0};
    for (int i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
        assert_null(visitors_make_room(&g));
        assert_non_null(enter(&g, "192.0.2.1", 0));
    }
    assert_int_equal(g.staying, HTTP_CONNECTIONS_MAX);
    assert_non_null(visitors_make_room(&g));
    assert_null(visitors_make_room(&g));
    assert_int_equal(g.staying, HTTP_CONNECTIONS_MAX - 1);
    assert_int_equal(g.here, HTTP_CONNECTIONS_MAX);
}

static void the_oldest_of_the_address_that_holds_the_most_goes(void **state)
{
    (void)state;
    visitors g = {0};
    visitor *alone = enter(&g, "192.0.2.1", 0);
    visitor *pair[] = {enter(&g, "192.0.2.2", 0), enter(&g, "192.0.2.2", 0)};
    visitor *crowd[HTTP_CONNECTIONS_MAX - 3];
    for (int i = 0; i < HTTP_CONNECTIONS_MAX - 3; i++)
        crowd[i] = enter(&g, "198.51.100.1", 0);
    /* Others come, until the crowd holds as many places as the pair. */
    for (int i = 0; i < HTTP_CONNECTIONS_MAX - 5; i++) {
        char from[INET_ADDRSTRLEN];
        snprintf(from, sizeof from, "203.0.113.%d", i);
        visitor *who = visitors_make_room(&g);
        assert_ptr_equal(who, crowd[i]);
        visitors_exit(&g, who);
        assert_non_null(enter(&g, from, 0));
    }
    assert_ptr_equal(visitors_make_room(&g), pair[0]);
    assert_non_null(enter(&g, "203.0.113.250", 0));
    assert_ptr_equal(visitors_make_room(&g), crowd[HTTP_CONNECTIONS_MAX - 5]);
    assert_non_null(enter(&g, "203.0.113.251", 0));
    /* All have one now. */
    assert_ptr_equal(visitors_make_room(&g), alone);
}

static void one_network_of_ipv6_is_one_address(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true},
        {"2001:db8:0:1::1", "2001:db8:0:2::1", false},
        {"::ffff:192.0.2.1", "192.0.2.1", true},
        {"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
        {"192.0.2.1", "192.0.2.2", false},
        {"::1", "127.0.0.1", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        visitors g = {0};
        const visitor *a = enter(&g, cases[i].a, 0), *b = enter(&g, cases[i].b, 0);
        if ((memcmp(&a->from, &b->from, sizeof a->from) == 0) != cases[i].same)
            fail_msg("%s and %s", cases[i].a, cases[i].b);
    }
}

static void there_is_an_end_to_places(void **state)
{
    (void)state;
    visitors g = {.most = VISITORS_MOST};
    visitor *who;
    for (int i = 0; i < VISITORS_MAX; i++) {
        visitors_make_room(&g);
        assert_non_null(who = enter(&g, "192.0.2.1", 0));
    }
    assert_null(enter(&g, "192.0.2.1", 0));
    visitors_exit(&g, who);
    assert_ptr_equal(enter(&g, "192.0.2.1", 0), who);
    assert_int_equal(g.here, VISITORS_MAX);
}

static void who_is_here_for_too_long_goes(void **state)
{
    (void)state;
    visitors g = {0};
    visitor *first = enter(&g, "192.0.2.1", 100), *second = enter(&g, "192.0.2.1", 200);
    assert_null(visitors_expire(&g, 99, 1000)); /* the time was taken before it came */
    assert_null(visitors_expire(&g, 1099, 1000));
    assert_ptr_equal(visitors_expire(&g, 1100, 1000), first);
    assert_null(visitors_expire(&g, 1100, 1000));
    visitors_exit(&g, first);
    assert_ptr_equal(visitors_expire(&g, 9999, 1000), second);
    visitors_exit(&g, second);
    assert_int_equal(g.here + g.staying, 0);
}

static void who_waits_for_us_goes_last_and_does_not_expire(void **state)
{
    (void)state;
    visitors g = {.most = 3};
    visitor *all[] = {enter(&g, "192.0.2.1", 0), enter(&g, "192.0.2.1", 1), enter(&g, "192.0.2.1", 2)};
    all[0]->held = true;
    assert_ptr_equal(visitors_expire(&g, 100, 100), NULL);
    assert_ptr_equal(visitors_make_room(&g), all[1]);
    visitors_exit(&g, all[1]);
    visitor *last = enter(&g, "192.0.2.1", 3);
    all[2]->held = last->held = true;
    assert_ptr_equal(visitors_make_room(&g), all[0]);
    all[0]->held = false; /* it is told already */
    assert_ptr_equal(visitors_expire(&g, 100, 1), NULL);
}

static void there_are_as_many_as_somebody_wants(void **state)
{
    (void)state;
    visitors g = {.most = VISITORS_MOST};
    for (int i = 0; i < VISITORS_MOST; i++) {
        assert_null(visitors_make_room(&g));
        assert_non_null(enter(&g, "192.0.2.1", 0));
    }
    for (int i = 0; i < VISITORS_MOST; i++) {
        assert_true(visitors_fit(&g));
        assert_non_null(visitors_make_room(&g));
        assert_non_null(enter(&g, "192.0.2.1", 0));
    }
    assert_false(visitors_fit(&g));
    assert_null(enter(&g, "192.0.2.1", 0));
}

static void a_crowd_from_everywhere_is_counted_address_by_address(void **state)
{
    (void)state;
    visitors g = {.most = 5};
    visitor *a = enter(&g, "192.0.2.1", 0), *b = enter(&g, "192.0.2.2", 0);
    visitor *a2 = enter(&g, "192.0.2.1", 0), *b2 = enter(&g, "192.0.2.2", 0);
    visitor *b3 = enter(&g, "192.0.2.2", 0);
    assert_ptr_equal(visitors_make_room(&g), b);
    assert_non_null(enter(&g, "192.0.2.3", 0));
    visitors_exit(&g, b); /* who was told to leave counts no more, gone or not */
    assert_ptr_equal(visitors_make_room(&g), a);
    visitors_exit(&g, b2);
    assert_non_null(enter(&g, "192.0.2.1", 0));
    assert_non_null(enter(&g, "192.0.2.3", 0));
    assert_int_equal(b3->together, 1);
    assert_int_equal(a2->together, 2);
    assert_ptr_equal(visitors_make_room(&g), a2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(while_there_is_room_nobody_has_to_go),
        cmocka_unit_test(the_oldest_of_the_address_that_holds_the_most_goes),
        cmocka_unit_test(a_crowd_from_everywhere_is_counted_address_by_address),
        cmocka_unit_test(one_network_of_ipv6_is_one_address),
        cmocka_unit_test(there_is_an_end_to_places),
        cmocka_unit_test(who_is_here_for_too_long_goes),
        cmocka_unit_test(who_waits_for_us_goes_last_and_does_not_expire),
        cmocka_unit_test(there_are_as_many_as_somebody_wants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
