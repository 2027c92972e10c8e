/* A session whose ps restart: how it finds out, joins again and goes back. */
#include "worker/session.h"

#include "tests/unit/session_bench.h"
#include "tests/unit/silence.h"

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

/* ---- lists of members ---- */

static void open_worker(bench *b, uint32_t index, uint32_t workers)
{
    memset(b, 0, sizeof *b);
    b->index = index;
    job_sample(&b->job, SERVERS, workers, ELEMENTS);
    open_session(b, 0, 0);
}

/* The chief's. */
static void open_unjoined(bench *b, uint32_t workers)
{
    open_worker(b, 0, workers);
}

static void open_of_three(bench *b)
{
    open_unjoined(b, 3);
    join_all(b);
}

/* Without worker 2 from a step on. */
static members_list make_list(uint64_t version, uint64_t from)
{
    members_list list = {.version = version};
    const members_change leaves = {.from = from, .worker = 2};
    assert_int_equal(members_add(&list, &leaves, NULL), PS_OK);
    return list;
}

/* The HELLO that is due to this ps; `told`: the version of the list in it. */
static uint64_t take_hello_at(bench *b, uint32_t server, uint64_t now_ms, uint64_t told)
{
    wire_message *m = session_next(b->session, server, now_ms);
    assert_non_null(m);
    assert_int_equal(m->type, WIRE_HELLO);
    assert_int_equal(m->members ? m->members->version : 0, told);
    const uint64_t request = m->request;
    wire_destroy(&m);
    return request;
}

static uint64_t take_hello(bench *b, uint32_t server, uint64_t told)
{
    return take_hello_at(b, server, 0, told);
}

/* WELCOME at `step` with that list; version 0: none. */
static void welcome(bench *b, uint32_t server, uint64_t request, uint64_t step, uint64_t version,
                    uint64_t from)
{
    wire_message *m = make_answer(b, server, WIRE_WELCOME, request, 0);
    m->step = m->oldest = step;
    if (version > 0) {
        members_list list = make_list(version, from);
        assert_int_equal(wire_set_members(m, &list), PS_OK);
        members_fini(&list);
    }
    give(b, server, m);
}

static void a_new_list_is_heard_of_by_any_answer_and_told_to_the_others(void **state)
{
    (void)state;
    bench b;
    uint64_t step;
    open_of_three(&b);
    const session_ticket ticket = submit(&b, WIRE_PUSH_PULL, 1);
    const uint64_t request = take_request(&b, 0, 0, WIRE_PUSH_PULL);
    take_request(&b, 1, 0, WIRE_PUSH_PULL);
    wire_message *weights = make_weights(&b, 0, request, 0);
    weights->members_version = 9;
    give(&b, 0, weights);
    assert_false(session_joined(b.session, &step));
    const uint64_t asked = take_hello(&b, 0, 0);
    take_hello(&b, 1, 0);
    welcome(&b, 0, asked, 0, 9, 2);
    welcome(&b, 1, asked, 0, 0, 0);
    assert_false(session_joined(b.session, &step)); /* ps/1 does not know it */
    welcome(&b, 0, take_hello(&b, 0, 9), 0, 9, 2);
    welcome(&b, 1, take_hello(&b, 1, 9), 0, 9, 2);

    ps_error why;
    assert_true(session_rolled_back(b.session));
    assert_int_equal(session_refusal(b.session, ticket, &why), PS_EROLLBACK);
    assert_string_equal(why.text, "the members have changed: training goes on from step 0");
    const uint64_t again = take_hello(&b, 0, 0); /* as another incarnation */
    for (uint32_t server = 0; server < SERVERS; server++)
        welcome(&b, server, again, 0, 9, 2);
    session_resume(b.session);
    assert_true(session_joined(b.session, &step));
    assert_false(members_include(session_members(b.session), 2, 2));
    close_bench(&b);
}

static void answers_of_a_ps_that_has_not_heard_of_it_yet_change_nothing(void **state)
{
    (void)state;
    bench b;
    uint64_t step;
    open_unjoined(&b, 3);
    const uint64_t asked = take_hello(&b, 0, 0);
    for (uint32_t server = 0; server < SERVERS; server++)
        welcome(&b, server, asked, 0, 9, 2);
    submit(&b, WIRE_PUSH_PULL, 1);
    wire_message *push = take(&b, 0, 0, WIRE_PUSH_PULL);
    assert_int_equal(push->members_version, 9);
    give_plain(&b, 0, WIRE_PENDING, push->request); /* of version 0 */
    assert_true(session_joined(b.session, &step));
    wire_destroy(&push);
    close_bench(&b);
}

/* The ps that made the list has come back at a step before it, say. */
static void ps_that_cannot_take_a_list_are_brought_together_by_the_chief(void **state)
{
    (void)state;
    bench b;
    open_unjoined(&b, 3);
    for (uint64_t told = 0; told <= 9; told += 9) {
        const uint64_t asked = take_hello(&b, 1, told);
        welcome(&b, 0, asked, 5, 9, 20);
        welcome(&b, 1, asked, 5, 0, 0);
    }
    for (uint32_t server = 0; server < SERVERS; server++) {
        wire_message *restore = take(&b, server, 0, WIRE_RESTORE);
        assert_int_equal(restore->step, 5);
        assert_int_equal(restore->members->version, 9 + MEMBERS_VERSION_LEAP);
        assert_int_equal(restore->members->changes[0].from, 6); /* nothing else is to be waited for */
        wire_destroy(&restore);
    }
    close_bench(&b);
}

/* A worker leaves and another enters, say, while all are asked: nothing is lost by that. */
static void a_list_that_is_newer_than_the_one_just_told_is_told_too(void **state)
{
    (void)state;
    bench b;
    uint64_t step;
    open_unjoined(&b, 3);
    static const uint64_t versions[] = {9, 10, 11};
    uint64_t known = 0; /* by ps 1, and told last */
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        const uint64_t asked = take_hello(&b, 1, known);
        welcome(&b, 0, asked, 5, versions[i], 20);
        welcome(&b, 1, asked, 5, known, 20);
        assert_false(session_joined(b.session, &step));
        known = versions[i];
    }
    const uint64_t asked = take_hello(&b, 1, known);
    for (uint32_t server = 0; server < SERVERS; server++)
        welcome(&b, server, asked, 5, known, 20);
    assert_true(session_joined(b.session, &step));
    close_bench(&b);
}

/* The one that told it has come back without it, say, or gone back with the chief: told again and again, it
 * would never be the list of all. */
static void a_list_that_was_withdrawn_is_not_told_for_ever_by_one_who_is_not_the_chief(void **state)
{
    (void)state;
    bench b;
    uint64_t step, asked;
    open_worker(&b, 1, 3);
    for (uint64_t told = 0; told <= 9; told += 9) {
        asked = take_hello(&b, 1, told);
        welcome(&b, 0, asked, 5, 9, 2);
        welcome(&b, 1, asked, 5, 0, 0);
    }
    /* The chief has sent all back; ps 0 has lost the list too. */
    asked = take_hello_at(&b, 1, FIRST_MS, 0);
    for (uint32_t server = 0; server < SERVERS; server++)
        welcome(&b, server, asked, 1, 0, 0);
    assert_true(session_joined(b.session, &step));
    assert_int_equal(step, 1);
    assert_int_equal(session_members(b.session)->version, 0);
    close_bench(&b);
}

static void an_impossible_list_ends_the_session(void **state)
{
    (void)state;
    bench b;
    open_unjoined(&b, 2);
    welcome(&b, 0, take_hello(&b, 0, 0), 0, 9, 2);
    assert_fails(&b, PS_EPROTOCOL,
                 "ps/0: change 0 of members is impossible: worker 2 of 2 leaves from step 2 on");
    close_bench(&b);
}

static void a_lost_worker_is_named_once(void **state)
{
    (void)state;
    bench b;
    uint32_t lost;
    open_of_three(&b);
    submit(&b, WIRE_PUSH_PULL, 1);
    wire_message *pending = make_answer(&b, 0, WIRE_PENDING, take_request(&b, 0, 0, WIRE_PUSH_PULL), 0);
    pending->lost_worker = 1 + 2;
    assert_false(session_lost_worker(b.session, &lost));
    give(&b, 0, pending);
    assert_true(session_lost_worker(b.session, &lost));
    assert_int_equal(lost, 2);
    assert_false(session_lost_worker(b.session, &lost));
    close_bench(&b);
}

static void who_cannot_be_lost_is_not_named(void **state)
{
    (void)state;
    bench b;
    uint32_t lost;
    open_of_three(&b);
    submit(&b, WIRE_PUSH_PULL, 1);
    const uint64_t request = take_request(&b, 0, 0, WIRE_PUSH_PULL);
    static const uint32_t named[] = {1 + 0, 1 + 3, UINT32_MAX}; /* the chief, and such as there are not */
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        wire_message *pending = make_answer(&b, 0, WIRE_PENDING, request, 0);
        pending->lost_worker = named[i];
        give(&b, 0, pending);
        assert_false(session_lost_worker(b.session, &lost));
    }
    close_bench(&b);
}

static void answer_with_end(bench *b, uint32_t server, uint64_t end_step, uint64_t job)
{
    wire_message *pending = make_answer(b, server, WIRE_PENDING, 0, 0);
    pending->end_step = end_step;
    pending->job = job;
    give(b, server, pending);
}

/* What another says is where this worker ended in an earlier life. */
static void the_end_is_what_ps_0_says_of_this_job_or_else_any(void **state)
{
    (void)state;
    bench b;
    open_of_three(&b);
    assert_int_equal(session_end_step(b.session), 0);
    answer_with_end(&b, 0, 9, b.fingerprint + 1);
    assert_int_equal(session_end_step(b.session), 0);
    answer_with_end(&b, 1, 8, b.fingerprint);
    assert_int_equal(session_end_step(b.session), 8);
    answer_with_end(&b, 0, 9, b.fingerprint);
    answer_with_end(&b, 0, 0, b.fingerprint); /* it has restarted, and forgotten */
    answer_with_end(&b, 1, 8, b.fingerprint);
    assert_int_equal(session_end_step(b.session), 9);
    close_bench(&b);
}

static void the_chief_says_at_once_that_it_knows_of_the_end(void **state)
{
    (void)state;
    bench b;
    open_of_three(&b);
    submit(&b, WIRE_PUSH_PULL, 1);
    for (uint32_t server = 0; server < SERVERS; server++)
        take_request(&b, server, 0, WIRE_PUSH_PULL);
    answer_with_end(&b, 0, 9, b.fingerprint);
    wire_message *settle = take(&b, 0, 0, WIRE_SETTLE);
    assert_int_equal(settle->end_step, 9);
    wire_destroy(&settle);
    answer_with_end(&b, 0, 9, b.fingerprint); /* which is no news */
    for (uint32_t server = 0; server < SERVERS; server++)
        assert_silent(&b, server, 0);
    close_bench(&b);
}

/* Once it asks ps 0 anew where it is: by the chief, who is believed. */
static void the_chief_reminds_ps_0_of_the_end(void **state)
{
    (void)state;
    for (uint32_t rank = 0; rank < 2; rank++) {
        bench b;
        open_worker(&b, rank, 3);
        join_all(&b);
        answer_with_end(&b, 0, 9, b.fingerprint);
        give_text(&b, 0, WIRE_ERROR, 0, PS_EREJOIN, "join again");
        for (uint32_t server = 0; server < SERVERS; server++) {
            wire_message *hello = take(&b, server, 0, WIRE_HELLO);
            assert_int_equal(hello->end_step, rank == 0 && server == 0 ? 9 : 0);
            wire_destroy(&hello);
        }
        close_bench(&b);
    }
}

static void leave_goes_to_ps_0_alone(void **state)
{
    (void)state;
    bench b;
    open_of_three(&b);
    const session_ticket ticket = submit(&b, WIRE_LEAVE, 0);
    const uint64_t request = take_request(&b, 0, 0, WIRE_LEAVE);
    assert_silent(&b, 1, 0);
    give_plain(&b, 0, WIRE_ACK, request);
    assert_true(session_answered(b.session, ticket));
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_round_of_hellos_has_a_number_of_its_own),
        cmocka_unit_test(ps_that_owes_nothing_is_spoken_to_while_another_keeps_the_session_waiting),
        cmocka_unit_test(a_new_list_is_heard_of_by_any_answer_and_told_to_the_others),
        cmocka_unit_test(answers_of_a_ps_that_has_not_heard_of_it_yet_change_nothing),
        cmocka_unit_test(ps_that_cannot_take_a_list_are_brought_together_by_the_chief),
        cmocka_unit_test(a_list_that_is_newer_than_the_one_just_told_is_told_too),
        cmocka_unit_test(a_list_that_was_withdrawn_is_not_told_for_ever_by_one_who_is_not_the_chief),
        cmocka_unit_test(an_impossible_list_ends_the_session),
        cmocka_unit_test(a_lost_worker_is_named_once),
        cmocka_unit_test(the_end_is_what_ps_0_says_of_this_job_or_else_any),
        cmocka_unit_test(the_chief_says_at_once_that_it_knows_of_the_end),
        cmocka_unit_test(the_chief_reminds_ps_0_of_the_end),
        cmocka_unit_test(who_cannot_be_lost_is_not_named),
        cmocka_unit_test(leave_goes_to_ps_0_alone),
    };
    return cmocka_run_group_tests(tests, silence, NULL);
}
