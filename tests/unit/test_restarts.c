/* Who is started again, and when: deploy/restarts. */
#include "deploy/launch/restarts.h"

#include <signal.h>

#include "tests/unit/unit.h"

static process_end by_code(int code)
{
    return (process_end){.ended = true, .wait_status = code << 8};
}

static process_end by_signal(int number)
{
    return (process_end){.ended = true, .wait_status = number};
}

static restarts r;

static bool takes(process_end end)
{
    int64_t pause;
    restarts_init(&r, 1, 0);
    return restarts_take(&r, 0, &end, 5, &pause);
}

static void only_what_is_worth_a_retry_is_started_again(void **state)
{
    (void)state;
    assert_false(takes(by_code(0)));
    assert_false(takes(by_code(1)));
    assert_false(takes(by_code(127)));
    assert_true(takes(by_code(128)));
    assert_true(takes(by_code(138)));
    assert_true(takes(by_code(143)));
    assert_true(takes(by_signal(SIGKILL)));
    assert_true(takes(by_signal(SIGSEGV)));
    process_end end = by_signal(SIGTERM);
    end.asked = true;
    assert_false(takes(end));
}

static void restarts_are_counted_over_all_processes(void **state)
{
    (void)state;
    int64_t pause;
    process_end end = by_signal(SIGKILL);
    restarts_init(&r, 2, 0);
    assert_true(restarts_take(&r, 0, &end, 1, &pause));
    assert_true(restarts_take(&r, 3, &end, 1, &pause));
    assert_false(restarts_take(&r, 1, &end, 1, &pause));
    assert_int_equal(r.pending, 2);
}

static void the_pause_doubles_up_to_a_maximum_until_a_process_has_settled(void **state)
{
    (void)state;
    int64_t now = 0, pause, wanted = RESTART_FIRST_MS;
    process_end end = by_signal(SIGKILL);
    restarts_init(&r, 100, now);
    for (int i = 0; i < 12; i++) {
        assert_true(restarts_take(&r, 2, &end, now, &pause));
        assert_int_equal(pause, wanted);
        assert_int_equal(restarts_next(&r, 4, now + pause - 1), 4);
        assert_int_equal(restarts_patience(&r, 4, now, 60000), pause);
        now += pause;
        assert_int_equal(restarts_next(&r, 4, now), 2);
        assert_int_equal(restarts_patience(&r, 4, now, 60000), 60000);
        wanted = wanted * 2 < RESTART_PAUSE_MAX_MS ? wanted * 2 : RESTART_PAUSE_MAX_MS;
    }
    assert_int_equal(r.pending, 0);
    assert_true(restarts_take(&r, 2, &end, now + RESTART_SETTLED_MS, &pause));
    assert_int_equal(pause, RESTART_FIRST_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_worth_a_retry_is_started_again),
        cmocka_unit_test(restarts_are_counted_over_all_processes),
        cmocka_unit_test(the_pause_doubles_up_to_a_maximum_until_a_process_has_settled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
