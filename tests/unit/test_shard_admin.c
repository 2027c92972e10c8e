/* An administrator's orders to a shard, and checkpoints of a step to come. Of the end of jobs:
 * test_shard_stop. */
#include "tests/unit/shard_orders.h"

static void without_a_job_nothing_is_ordered(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 1, 100);
    bench_refused(&b, order(&b, WIRE_CHECKPOINT, 0), PS_EREJOIN, "ps/0 has no job yet");
    bench_refused(&b, order(&b, WIRE_STOP, 0), PS_EREJOIN, "ps/0 has no job yet");
    bench_close(&b);
}

static void who_means_another_ps_is_refused(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 1);
    wire_message *m = order(&b, WIRE_STOP, 0);
    m->receiver = 1;
    bench_refused(&b, m, PS_EMISMATCH, "this is ps/0, not ps/1: the cluster specs differ");
    bench_close(&b);
}

static void a_checkpoint_is_kept_of_the_step_named_and_told_when_it_is(void **state)
{
    (void)state;
    shard_bench b;
    slow_archive a;
    open_joined(&b, &a, 0);
    train(&b, 1);
    expect_pending(&b, 0, 1);
    expect_pending(&b, 3, 1);
    train(&b, 2);
    assert_int_equal(a.images, 0);
    a.busy = true;
    train(&b, 3);
    assert_int_equal(a.taken, 3);
    expect_pending(&b, 3, 3);
    train(&b, 4); /* goes on meanwhile */
    a.busy = false;
    a.fates[3] = IMAGE_KEPT;
    expect_answer(&b, WIRE_CHECKPOINT, 3, WIRE_ACK);
    bench_send(&b, order(&b, WIRE_CHECKPOINT, 3)); /* the answer was lost */
    bench_expect(&b, WIRE_ACK, b.request);
    assert_int_equal(a.images, 1);
    bench_close(&b);
}

static void where_training_stands_still_the_present_step_is_kept_at_once(void **state)
{
    (void)state;
    shard_bench b;
    slow_archive a;
    open_joined(&b, &a, 0);
    train(&b, 1);
    expect_answer(&b, WIRE_CHECKPOINT, 1, WIRE_ACK);
    assert_int_equal(a.kept, 1);
    bench_close(&b);
}

static void a_step_that_is_past_is_refused(void **state)
{
    (void)state;
    shard_bench b;
    slow_archive a;
    open_joined(&b, &a, 0);
    train(&b, 1);
    train(&b, 2);
    bench_refused(&b, order(&b, WIRE_CHECKPOINT, 1), PS_ENOENT, "ps/0 is at step 2, past step 1");
    assert_int_equal(a.images, 0);
    bench_close(&b);
}

static void a_checkpoint_that_could_not_be_kept_is_no_success(void **state)
{
    (void)state;
    shard_bench b;
    slow_archive a;
    open_joined(&b, &a, 0);
    train(&b, 1);
    a.fails = true;
    bench_refused(&b, order(&b, WIRE_CHECKPOINT, 1), PS_EIO,
                  "ps/0 could not keep the checkpoint of step 1: its log says why");
    a.fails = false;
    expect_answer(&b, WIRE_CHECKPOINT, 1, WIRE_ACK);
    bench_close(&b);
}

static void one_that_could_not_be_kept_is_no_success_because_a_later_one_was_kept(void **state)
{
    (void)state;
    shard_bench b;
    slow_archive a;
    open_joined(&b, &a, 0);
    train(&b, 1);
    expect_pending(&b, 2, 1);
    a.fails = true;
    train(&b, 2);
    expect_pending(&b, 3, 2);
    a.fails = false;
    train(&b, 3);
    bench_refused(&b, order(&b, WIRE_CHECKPOINT, 2), PS_EIO,
                  "ps/0 could not keep the checkpoint of step 2: its log says why");
    expect_answer(&b, WIRE_CHECKPOINT, 3, WIRE_ACK);
    bench_close(&b);
}

static void a_shard_without_slices_has_nothing_to_keep(void **state)
{
    (void)state;
    shard_bench b;
    slow_archive a;
    open_joined(&b, &a, 1);
    for (uint64_t step = 0; step < 2; step++) {
        expect_answer(&b, WIRE_CHECKPOINT, step, WIRE_ACK);
    }
    assert_int_equal(a.images, 0);
    bench_close(&b);
}

/* It would not be the last any more, and who comes back to it would wait for workers for ever. */
static void at_the_end_the_last_checkpoint_is_not_replaced(void **state)
{
    (void)state;
    shard_bench b;
    slow_archive a;
    open_joined(&b, &a, 0);
    train(&b, 1);
    a.busy = true;
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 0, 0, 0));
    assert_true(a.images == 1 && a.is_final);
    expect_pending(&b, 1, 1);
    a.fates[1] = IMAGE_KEPT;
    expect_answer(&b, WIRE_CHECKPOINT, 1, WIRE_ACK);
    assert_true(a.images == 1 && a.is_final);
    bench_close(&b);
}

static void without_an_archive_none_is_kept(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 1);
    train(&b, 1);
    bench_refused(&b, order(&b, WIRE_CHECKPOINT, 1), PS_ECONFIG,
                  "ps/0 keeps no checkpoints (--checkpoint-dir)");
    bench_close(&b);
}

static void steps_that_two_have_asked_for_are_kept_both(void **state)
{
    (void)state;
    shard_bench b;
    slow_archive a;
    open_joined(&b, &a, 0);
    train(&b, 1);
    for (uint64_t step = 2; step <= 3; step++) {
        expect_pending(&b, step, 1);
    }
    train(&b, 2);
    train(&b, 3);
    assert_int_equal(a.images, 2);
    for (uint64_t step = 2; step <= 3; step++) {
        expect_answer(&b, WIRE_CHECKPOINT, step, WIRE_ACK);
    }
    bench_close(&b);
}

/* More orders than are kept: the one furthest away makes room. */
static void a_step_that_never_comes_keeps_no_other_from_being_kept(void **state)
{
    (void)state;
    shard_bench b;
    slow_archive a;
    open_joined(&b, &a, 0);
    train(&b, 1);
    for (uint64_t i = 0; i < 20; i++) {
        expect_pending(&b, UINT64_MAX - i, 1);
    }
    expect_pending(&b, 2, 1);
    train(&b, 2);
    expect_answer(&b, WIRE_CHECKPOINT, 2, WIRE_ACK);
    bench_close(&b);
}

/* Where steps are kept faster than they are written, one is always under way. */
static void a_checkpoint_is_told_of_while_a_later_one_is_written(void **state)
{
    (void)state;
    shard_bench b;
    slow_archive a;
    open_joined(&b, &a, 0);
    train(&b, 1);
    expect_answer(&b, WIRE_CHECKPOINT, 1, WIRE_ACK);
    a.busy = true;
    expect_answer(&b, WIRE_CHECKPOINT, 1, WIRE_ACK);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_job_nothing_is_ordered),
        cmocka_unit_test(who_means_another_ps_is_refused),
        cmocka_unit_test(a_checkpoint_is_kept_of_the_step_named_and_told_when_it_is),
        cmocka_unit_test(where_training_stands_still_the_present_step_is_kept_at_once),
        cmocka_unit_test(a_step_that_is_past_is_refused),
        cmocka_unit_test(a_checkpoint_that_could_not_be_kept_is_no_success),
        cmocka_unit_test(one_that_could_not_be_kept_is_no_success_because_a_later_one_was_kept),
        cmocka_unit_test(a_shard_without_slices_has_nothing_to_keep),
        cmocka_unit_test(at_the_end_the_last_checkpoint_is_not_replaced),
        cmocka_unit_test(without_an_archive_none_is_kept),
        cmocka_unit_test(steps_that_two_have_asked_for_are_kept_both),
        cmocka_unit_test(a_step_that_never_comes_keeps_no_other_from_being_kept),
        cmocka_unit_test(a_checkpoint_is_told_of_while_a_later_one_is_written),
    };
    return cmocka_run_group_tests(tests, silence, NULL);
}
