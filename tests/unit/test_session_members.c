/* A session whose ps restart: how it finds out, joins again and goes back. */
#include "worker/session.h"

#include "common/log.h"
#include "tests/unit/session_bench.h"

/* Else an answer to a HELLO of long ago could pass for one to the last. */
static void each_round_of_hellos_has_a_number_of_its_own(void **state)
{
    (void)state;
    bench b;
    open_bench(&b, ELEMENTS, SERVERS);
    uint64_t last = 0;
    for (int round = 0; round < 3 * SESSION_OPERATIONS_MAX; round++) {
        uint64_t hellos[SERVERS];
        for (uint32_t server = 0; server < SERVERS; server++)
            hellos[server] = take_request(&b, server, 0, WIRE_HELLO);
        assert_true(hellos[0] > last);
        assert_true(hellos[1] == hellos[0]);
        last = hellos[0];
        for (uint32_t server = 0; server < SERVERS; server++)
            give_plain(&b, server, WIRE_WELCOME, last);
        uint64_t step;
        assert_true(session_joined(b.session, &step));
        give_text(&b, 0, WIRE_ERROR, 0, PS_EREJOIN, "join again");
        assert_false(session_joined(b.session, &step));
    }
    close_bench(&b);
}

/* Whoever waits for the others would never hear that this ps has forgotten them, and they would wait for it.
 */
static void ps_that_owes_nothing_is_spoken_to_while_another_keeps_the_session_waiting(void **state)
{
    (void)state;
    bench b;
    open_joined(&b);
    submit(&b, WIRE_PUSH_PULL, 1);
    const uint64_t first = take_request(&b, 0, 0, WIRE_PUSH_PULL);
    take_request(&b, 1, 0, WIRE_PUSH_PULL);
    give(&b, 0, make_weights(&b, 0, first, 0));
    session_tick(b.session, FIRST_MS - 1);
    assert_silent(&b, 0, FIRST_MS - 1);
    session_tick(b.session, FIRST_MS);
    take_request(&b, 1, FIRST_MS, WIRE_QUERY);
    const uint64_t reminder = take_request(&b, 0, FIRST_MS, WIRE_SETTLE);
    assert_silent(&b, 0, FIRST_MS);

    wire_message *m = make_answer(&b, 0, WIRE_ERROR, reminder, 0); /* its incarnation is another one now */
    m->incarnation++;
    m->status = PS_EREJOIN;
    wire_set_text(m, "it was meant for ps/0 before it restarted");
    give(&b, 0, m);
    uint64_t step;
    assert_false(session_joined(b.session, &step));
    take_request(&b, 0, FIRST_MS, WIRE_HELLO);
    take_request(&b, 1, FIRST_MS, WIRE_HELLO);
    close_bench(&b);
}

static int silence(void **state)
{
    (void)state;
    log_setup("test", LOG_OFF);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_round_of_hellos_has_a_number_of_its_own),
        cmocka_unit_test(ps_that_owes_nothing_is_spoken_to_while_another_keeps_the_session_waiting),
    };
    return cmocka_run_group_tests(tests, silence, NULL);
}
