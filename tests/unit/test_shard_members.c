/* Workers that leave a shard's job and enter it again: ps/shard_members. */
#include "ps/shard_state.h"

#include "tests/unit/shard_bench.h"
#include "tests/unit/silence.h"

enum { WORKERS = 3, LEASE_MS = 4000, GRACE_MS = 3000, TICK_MS = 500 };

/* All have joined. */
static void open_mode(shard_bench *b, consistency_mode mode)
{
    bench_open(b, 1, WORKERS, 100);
    b->job.mode = mode;
    b->job.on_worker_loss = LOSS_SHRINK;
    b->job.grace_ms = GRACE_MS;
    b->config.lease_ms = LEASE_MS;
    bench_reopen(b);
    shard_tick(b->shard, b->now_ms);
    for (uint32_t w = 0; w < WORKERS; w++)
        bench_join(b, WIRE_WORKER, w);
}

static void open_shrinking(shard_bench *b)
{
    open_mode(b, CONSISTENCY_SYNC);
}

static uint64_t send(shard_bench *b, wire_message *m)
{
    const uint64_t request = m->request;
    bench_send(b, m);
    return request;
}

static uint64_t push(shard_bench *b, uint32_t worker, uint64_t step)
{
    return send(b, bench_push(b, WIRE_PUSH_PULL, worker, step, 1, 1));
}

/* All members of a step push it; each gets the same weights. */
static void do_step(shard_bench *b, uint64_t step)
{
    uint64_t requests[WORKERS];
    uint32_t count = 0;
    for (uint32_t w = 0; w < WORKERS; w++)
        if (members_include(&b->shard->consistency.members, w, step))
            requests[count++] = push(b, w, step);
    for (uint32_t i = 0; i < count; i++)
        bench_expect_weights(b, requests[i], step, -(float)step);
    bench_expect_nothing(b);
}

/* Every member is told unasked that there is a new list. */
static void expect_announcements(shard_bench *b, uint64_t version)
{
    for (uint32_t w = 0; w < WORKERS; w++) {
        wire_message *m = bench_take(b, WIRE_WELCOME, 0);
        assert_int_equal(m->members_version, version);
        assert_int_equal(m->members->version, version);
        assert_int_equal(b->to.id[2], w);
        wire_destroy(&m);
    }
}

/* LEAVE or ENTER of a worker, which changes the list. */
static void change(shard_bench *b, wire_type type, uint32_t worker)
{
    const uint64_t request = send(b, bench_request(b, type, WIRE_WORKER, worker, 0, 0));
    b->members_version = b->shard->consistency.members.version;
    expect_announcements(b, b->members_version);
    bench_expect(b, WIRE_ACK, request);
    bench_expect_nothing(b);
}

static void one_that_leaves_still_does_the_next_step(void **state)
{
    (void)state;
    shard_bench b;
    open_shrinking(&b);
    do_step(&b, 1);
    change(&b, WIRE_LEAVE, 2);
    assert_int_equal(b.members_version, b.config.incarnation);
    const uint64_t first = push(&b, 0, 2), second = push(&b, 1, 2);
    bench_expect_nothing(&b); /* step 2 is waited for */
    const uint64_t third = push(&b, 2, 2);
    bench_expect_weights(&b, first, 2, -2);
    bench_expect_weights(&b, second, 2, -2);
    bench_expect_weights(&b, third, 2, -2);
    bench_refused(&b, bench_push(&b, WIRE_PUSH_PULL, 2, 3, 1, 1), PS_EPROTOCOL,
                  "worker 2 pushes step 3, in which it takes no part");
    do_step(&b, 3);
    do_step(&b, 4);
    bench_close(&b);
}

static void one_that_enters_takes_part_from_the_step_after_the_next(void **state)
{
    (void)state;
    shard_bench b;
    open_shrinking(&b);
    change(&b, WIRE_LEAVE, 1);
    for (uint64_t step = 1; step <= 4; step++)
        do_step(&b, step);
    change(&b, WIRE_ENTER, 1);
    const members_list *list = &b.shard->consistency.members;
    assert_false(members_include(list, 1, 5));
    assert_true(members_include(list, 1, 6));
    for (uint64_t step = 5; step <= 7; step++)
        do_step(&b, step);
    bench_close(&b);
}

static void asking_again_changes_nothing(void **state)
{
    (void)state;
    shard_bench b;
    open_shrinking(&b);
    change(&b, WIRE_LEAVE, 2);
    const uint64_t version = b.members_version;
    const uint64_t again = send(&b, bench_request(&b, WIRE_LEAVE, WIRE_WORKER, 2, 0, 0));
    bench_expect(&b, WIRE_ACK, again);
    const uint64_t other = send(&b, bench_request(&b, WIRE_ENTER, WIRE_WORKER, 1, 0, 0));
    bench_expect(&b, WIRE_ACK, other);
    bench_expect_nothing(&b);
    assert_int_equal(b.shard->consistency.members.version, version);
    bench_close(&b);
}

static void what_is_under_way_when_the_list_changes_is_void(void **state)
{
    (void)state;
    shard_bench b;
    open_shrinking(&b);
    const uint64_t request = push(&b, 0, 1);
    change(&b, WIRE_LEAVE, 2);
    wire_message *query = bench_request(&b, WIRE_QUERY, WIRE_WORKER, 0, 0, 0);
    query->request = request;
    bench_send(&b, query);
    bench_expect(&b, WIRE_RESEND, request);
    do_step(&b, 1);
    bench_close(&b);
}

static void one_who_has_another_list_is_sent_to_join_again(void **state)
{
    (void)state;
    shard_bench b;
    open_shrinking(&b);
    change(&b, WIRE_LEAVE, 2);
    wire_message *m = bench_push(&b, WIRE_PUSH_PULL, 0, 1, 1, 1);
    m->members_version = 0;
    bench_refused(&b, m, PS_EREJOIN, "PUSH_PULL of worker 0 knows another list of members than ps/0");
    bench_close(&b);
}

static void only_those_may_change_the_list_whom_it_is_for(void **state)
{
    (void)state;
    shard_bench b;
    open_shrinking(&b);
    bench_refused(&b, bench_request(&b, WIRE_LEAVE, WIRE_WORKER, 0, 0, 0), PS_EPROTOCOL,
                  "LEAVE of worker 0 to ps/0: it is for workers from 1 on, to ps/0");
    bench_close(&b);
    bench_open_joined(&b, WORKERS);
    bench_refused(&b, bench_request(&b, WIRE_ENTER, WIRE_WORKER, 1, 0, 0), PS_EPROTOCOL,
                  "ENTER is for synchronous jobs with --on-worker-loss shrink");
    bench_close(&b);
}

static void at_the_end_nobody_leaves_any_more(void **state)
{
    (void)state;
    shard_bench b;
    open_shrinking(&b);
    const uint64_t finish = send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 1, 0, 0));
    bench_expect(&b, WIRE_ACK, finish);
    bench_refused(&b, bench_request(&b, WIRE_LEAVE, WIRE_WORKER, 2, 0, 0), PS_ESTATE,
                  "the job is at its end: worker 2 cannot leave it any more");
    bench_close(&b);
}

/* ---- lists that are told ---- */

static void hear(shard_bench *b, uint64_t version, uint64_t from, uint32_t worker)
{
    wire_message *hello = bench_hello(b, WIRE_WORKER, 0, 1);
    members_list list = {.version = version};
    const members_change leaves = {.from = from, .worker = worker};
    assert_int_equal(members_add(&list, &leaves, NULL), PS_OK);
    assert_int_equal(wire_set_members(hello, &list), PS_OK);
    members_fini(&list);
    bench_send(b, hello);
}

static void expect_list(shard_bench *b, uint64_t version)
{
    wire_message *welcome = bench_take(b, WIRE_WELCOME, 0);
    assert_int_equal(welcome->members_version, version);
    wire_destroy(&welcome);
    bench_expect_nothing(b);
}

static void a_newer_list_is_taken_from_a_hello(void **state)
{
    (void)state;
    shard_bench b;
    open_shrinking(&b);
    do_step(&b, 1);
    hear(&b, 90, 2, 2);
    expect_list(&b, 90);
    b.members_version = 90;
    do_step(&b, 2);
    hear(&b, 80, 3, 1);
    expect_list(&b, 90); /* it is older */
    bench_close(&b);
}

static void a_list_that_comes_too_late_is_not_taken(void **state)
{
    (void)state;
    shard_bench b;
    open_shrinking(&b);
    do_step(&b, 1);
    hear(&b, 90, 1, 2); /* step 1 was applied with all */
    expect_list(&b, 0);
    bench_close(&b);
}

static void an_impossible_list_is_refused(void **state)
{
    (void)state;
    shard_bench b;
    open_shrinking(&b);
    hear(&b, 90, 5, WORKERS);
    bench_expect_text(&b, WIRE_ERROR, 0, PS_EPROTOCOL,
                      "change 0 of members is impossible: worker 3 of 3 leaves from step 5 on");
    bench_close(&b);
}

static void members_of_a_job_that_does_not_shrink_cannot_be_told_away(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, WORKERS);
    hear(&b, 90, 2, 2);
    bench_expect_text(&b, WIRE_ERROR, 0, PS_EPROTOCOL,
                      "HELLO tells of members that change; those of this job do not");
    bench_close(&b);
}

static void restore_brings_its_list(void **state)
{
    (void)state;
    shard_bench b;
    open_shrinking(&b);
    do_step(&b, 1);
    wire_message *restore = bench_request(&b, WIRE_RESTORE, WIRE_WORKER, 0, 0, 0);
    members_list list = {.version = 7};
    const members_change leaves = {.from = 1, .worker = 1};
    assert_int_equal(members_add(&list, &leaves, NULL), PS_OK);
    assert_int_equal(wire_set_members(restore, &list), PS_OK);
    members_fini(&list);
    restore->epoch = 1;
    restore->step = 0;
    bench_send(&b, restore);
    wire_message *m;
    while ((m = shard_next(b.shard, &b.to))) {
        assert_int_equal(m->members_version, 7);
        wire_destroy(&m);
    }
    assert_false(members_include(&b.shard->consistency.members, 1, 1));
    bench_close(&b);
}

/* ---- who is given up ---- */

static void beat(shard_bench *b, uint32_t worker)
{
    bench_send(b, bench_request(b, WIRE_HEARTBEAT, WIRE_WORKER, worker, 0, 0));
}

/* `ms` pass, in which all but one are heard of. */
static void pass_without(shard_bench *b, uint32_t silent, uint64_t ms)
{
    for (uint64_t end = b->now_ms + ms; b->now_ms < end;) {
        for (uint32_t w = 0; w < WORKERS; w++)
            if (w != silent)
                beat(b, w);
        b->now_ms += TICK_MS;
        shard_tick(b->shard, b->now_ms);
    }
}

static void expect_told(shard_bench *b, uint64_t request, uint32_t lost_worker)
{
    wire_message *pending = bench_take(b, WIRE_PENDING, request);
    assert_int_equal(pending->lost_worker, lost_worker);
    wire_destroy(&pending);
}

static void expect_pending(shard_bench *b, uint64_t request, uint32_t lost_worker)
{
    wire_message *query = bench_request(b, WIRE_QUERY, WIRE_WORKER, 0, 0, 0);
    query->request = request;
    bench_send(b, query);
    expect_told(b, request, lost_worker);
}

static void who_asks_is_told_of_one_that_is_given_up(void **state)
{
    (void)state;
    shard_bench b;
    open_shrinking(&b);
    const uint64_t request = push(&b, 0, 1);
    push(&b, 1, 1);
    pass_without(&b, 2, LEASE_MS + GRACE_MS - TICK_MS);
    expect_pending(&b, request, 0);
    pass_without(&b, 2, (uint64_t)2 * TICK_MS);
    expect_told(&b, request, 1 + 2); /* the chief unasked */
    expect_pending(&b, request, 1 + 2);
    beat(&b, 2);
    expect_pending(&b, request, 0);
    bench_close(&b);
}

static void the_chief_is_never_given_up(void **state)
{
    (void)state;
    shard_bench b;
    open_shrinking(&b);
    pass_without(&b, 0, (uint64_t)3 * (LEASE_MS + GRACE_MS));
    assert_false(b.shard->workers[0].given_up);
    bench_close(&b);
}

static void when_the_chief_has_finished_one_that_is_given_up_is_not_waited_for(void **state)
{
    (void)state;
    shard_bench b;
    open_shrinking(&b);
    for (uint32_t w = 0; w < 2; w++)
        bench_expect(&b, WIRE_ACK, send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, w, 0, 0)));
    pass_without(&b, 2, LEASE_MS + GRACE_MS - TICK_MS);
    assert_false(shard_finished(b.shard));
    pass_without(&b, 2, (uint64_t)2 * TICK_MS);
    assert_true(shard_finished(b.shard));
    bench_close(&b);
}

static void who_waits_for_the_end_does_not_wait_for_one_that_is_given_up(void **state)
{
    (void)state;
    shard_bench b;
    open_shrinking(&b);
    do_step(&b, 1);
    wire_message *pull = bench_request(&b, WIRE_PULL, WIRE_WORKER, 0, 0, 1);
    pull->after_finish = true;
    pull->slices[0] = 0;
    const uint64_t request = send(&b, pull);
    bench_expect(&b, WIRE_ACK, send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 1, 1, 0)));
    pass_without(&b, 2, LEASE_MS + GRACE_MS - TICK_MS);
    bench_expect_nothing(&b);
    pass_without(&b, 2, (uint64_t)2 * TICK_MS);
    bench_expect(&b, WIRE_WEIGHTS, request);
    bench_close(&b);
}

static void without_synchrony_nobody_waits_for_one_that_is_given_up(void **state)
{
    (void)state;
    shard_bench b;
    open_mode(&b, CONSISTENCY_SSP); /* a staleness of 0 */
    uint64_t first = push(&b, 0, 1), second = push(&b, 1, 1);
    bench_expect_nothing(&b);
    pass_without(&b, 2, LEASE_MS + GRACE_MS + TICK_MS);
    bench_expect(&b, WIRE_WEIGHTS, first);
    bench_expect(&b, WIRE_WEIGHTS, second);
    beat(&b, 2); /* it is back, and behind */
    first = push(&b, 0, 2);
    second = push(&b, 1, 2);
    bench_expect(&b, WIRE_WEIGHTS, first);
    bench_expect(&b, WIRE_WEIGHTS, second);
    bench_expect(&b, WIRE_WEIGHTS, push(&b, 2, 1));
    bench_expect(&b, WIRE_WEIGHTS, push(&b, 2, 2)); /* now it has caught up */
    push(&b, 0, 3);
    push(&b, 1, 3);
    bench_expect_nothing(&b);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_leaves_still_does_the_next_step),
        cmocka_unit_test(one_that_enters_takes_part_from_the_step_after_the_next),
        cmocka_unit_test(asking_again_changes_nothing),
        cmocka_unit_test(what_is_under_way_when_the_list_changes_is_void),
        cmocka_unit_test(one_who_has_another_list_is_sent_to_join_again),
        cmocka_unit_test(only_those_may_change_the_list_whom_it_is_for),
        cmocka_unit_test(at_the_end_nobody_leaves_any_more),
        cmocka_unit_test(a_newer_list_is_taken_from_a_hello),
        cmocka_unit_test(a_list_that_comes_too_late_is_not_taken),
        cmocka_unit_test(an_impossible_list_is_refused),
        cmocka_unit_test(members_of_a_job_that_does_not_shrink_cannot_be_told_away),
        cmocka_unit_test(restore_brings_its_list),
        cmocka_unit_test(who_asks_is_told_of_one_that_is_given_up),
        cmocka_unit_test(the_chief_is_never_given_up),
        cmocka_unit_test(when_the_chief_has_finished_one_that_is_given_up_is_not_waited_for),
        cmocka_unit_test(who_waits_for_the_end_does_not_wait_for_one_that_is_given_up),
        cmocka_unit_test(without_synchrony_nobody_waits_for_one_that_is_given_up),
    };
    return cmocka_run_group_tests(tests, silence, NULL);
}
