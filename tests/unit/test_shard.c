/* The server's core, ps/shard, driven by hand-made messages. */
#include "ps/shard.h"

#include <float.h>
#include <math.h>

#include "common/log.h"
#include "tests/unit/shard_bench.h"
#include "tests/unit/silence.h"
#include "tests/unit/torture.h"

/* ---- who is told of updates ---- */

static struct {
    unsigned begun, taken, applied;
    uint64_t step, gradients, workers, incarnations, steps; /* sums over what was taken */
} told;

static uint64_t listener_begins(void)
{
    return ++told.begun;
}

static void listener_takes(uint64_t begun, uint32_t worker, uint64_t incarnation, uint64_t step)
{
    assert_int_equal(begun, told.begun);
    told.taken++;
    told.workers += worker;
    told.incarnations += incarnation;
    told.steps += step;
}

static void listener_applied(uint64_t begun, uint64_t step, uint32_t gradients)
{
    assert_int_equal(begun, told.begun);
    told.applied++;
    told.step = step;
    told.gradients = gradients;
}

static const shard_listener listener = {
    .begins = listener_begins, .takes = listener_takes, .applied = listener_applied};

static void a_listener_is_told_of_each_update_and_whose_gradients_it_took(void **state)
{
    (void)state;
    shard_bench b;
    memset(&told, 0, sizeof told);
    bench_open(&b, 1, 2, 100);
    b.config.listener = &listener;
    bench_reopen(&b);
    bench_join(&b, WIRE_WORKER, 0);
    bench_join(&b, WIRE_WORKER, 1);
    bench_send(&b, bench_push(&b, WIRE_PUSH, 0, 1, 8, 1));
    bench_expect(&b, WIRE_ACK, b.request);
    assert_int_equal(told.begun, 0);
    bench_send(&b, bench_push(&b, WIRE_PUSH, 1, 1, 8, 1));
    bench_expect(&b, WIRE_ACK, b.request);
    assert_int_equal(told.begun, 1);
    assert_int_equal(told.applied, 1);
    assert_int_equal(told.step, 1);
    assert_int_equal(told.gradients, 2);
    assert_int_equal(told.taken, 2);
    assert_int_equal(told.workers, 0 + 1);
    assert_int_equal(told.incarnations, 1 + 1);
    assert_int_equal(told.steps, 1 + 1);
    bench_send(&b, bench_push(&b, WIRE_PUSH, 1, 1, 8, 1)); /* a repeat */
    bench_expect(&b, WIRE_ACK, b.request);
    assert_int_equal(told.begun, 1);
    bench_close(&b);
}

/* ---- synchronous steps ---- */

static void step_applies_with_gradients_weighted_by_their_examples(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 2);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 1, 1, 30, 5));
    bench_expect_nothing(&b);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 1));
    bench_expect_weights(&b, 2, 1, -4);
    bench_expect_weights(&b, 1, 1, -4);
    bench_expect_nothing(&b);
    assert_int_equal(shard_count(b.shard)->steps_applied, 1);
    assert_int_equal(shard_count(b.shard)->examples_applied, 40);
    bench_close(&b);
}

static void clip_factor_scales_a_gradient(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 1);
    wire_message *m = bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 4);
    m->clip_factor = 0.25f;
    bench_send(&b, m);
    bench_expect_weights(&b, 1, 1, -1);
    bench_close(&b);
}

static void worker_without_examples_takes_part_but_contributes_nothing(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 2);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 0, 0));
    bench_expect_nothing(&b);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 1, 1, 7, 3));
    bench_expect_weights(&b, 1, 1, -3);
    bench_expect_weights(&b, 2, 1, -3);
    /* If nobody has any, the step passes all the same. */
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 2, 0, 0));
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 1, 2, 0, 0));
    bench_expect_weights(&b, 3, 2, -3);
    bench_expect_weights(&b, 4, 2, -3);
    bench_close(&b);
}

static void push_is_acknowledged_at_once_and_pull_waits_for_the_version(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 2);
    bench_send(&b, bench_push(&b, WIRE_PUSH, 0, 1, 10, 2));
    bench_expect(&b, WIRE_ACK, 1);
    bench_send(&b, bench_pull(&b, WIRE_WORKER, 0, 1));
    bench_expect_nothing(&b);
    bench_send(&b, bench_pull(&b, WIRE_WORKER, 0, 0));
    bench_expect_weights(&b, 3, 0, 0);
    bench_send(&b, bench_push(&b, WIRE_PUSH, 1, 1, 10, 4));
    bench_expect_weights(&b, 2, 1, -3);
    bench_expect(&b, WIRE_ACK, 4);
    bench_expect_nothing(&b);
    bench_close(&b);
}

static void push_of_a_step_out_of_turn_changes_nothing(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 1);
    bench_refused(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 2, 10, 9), PS_EPROTOCOL,
                  "worker 0 pushes step 2 before its step 1 is answered");
    bench_refused(&b, bench_part(&b, WIRE_PUSH_PULL, 0, 1, 10, 1, 0, 0), PS_EPROTOCOL,
                  "PUSH_PULL names no slice");
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 1));
    bench_expect_weights(&b, b.request, 1, -1);
    bench_close(&b);
}

/* ---- gradients in parts ---- */

static void gradient_may_come_in_parts(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 1, 3000); /* three slices */
    bench_join(&b, WIRE_WORKER, 0);
    bench_send(&b, bench_part(&b, WIRE_PUSH_PULL, 0, 1, 10, 2, 2, 1));
    bench_expect_nothing(&b);
    bench_send(&b, bench_part(&b, WIRE_PUSH, 0, 1, 10, 2, 0, 1));
    bench_expect(&b, WIRE_ACK, 2);
    bench_send(&b, bench_part(&b, WIRE_PUSH_PULL, 0, 1, 10, 2, 1, 1));
    bench_expect_weights(&b, 3, 1, -2); /* lower slices first: the next forward needs them first */
    bench_expect_weights(&b, 1, 1, -2);
    assert_int_equal(shard_count(b.shard)->examples_applied, 10);
    bench_close(&b);
}

static void part_that_comes_twice_counts_once(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 1, 2000);
    bench_join(&b, WIRE_WORKER, 0);
    bench_send(&b, bench_part(&b, WIRE_PUSH, 0, 1, 10, 2, 0, 1));
    bench_expect(&b, WIRE_ACK, 1);
    bench_send(&b, bench_part(&b, WIRE_PUSH, 0, 1, 10, 99, 0, 1)); /* the first stays */
    bench_expect(&b, WIRE_ACK, 2);
    assert_int_equal(shard_count(b.shard)->steps_applied, 0);
    bench_send(&b, bench_part(&b, WIRE_PUSH, 0, 1, 10, 2, 0, 2));
    bench_expect(&b, WIRE_ACK, 3);
    bench_send(&b, bench_pull(&b, WIRE_WORKER, 0, 1));
    bench_expect_weights(&b, 4, 1, -2);
    bench_close(&b);
}

static void parts_that_disagree_are_refused(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 1, 2000);
    bench_join(&b, WIRE_WORKER, 0);
    bench_send(&b, bench_part(&b, WIRE_PUSH, 0, 1, 10, 2, 0, 1));
    bench_expect(&b, WIRE_ACK, 1);
    static const char why[] = "worker 0: the parts of step 1 disagree about examples or clip factor";
    bench_refused(&b, bench_part(&b, WIRE_PUSH, 0, 1, 11, 2, 1, 1), PS_EPROTOCOL, why);
    wire_message *m = bench_part(&b, WIRE_PUSH, 0, 1, 10, 2, 1, 1);
    m->clip_factor = 0.5f;
    bench_refused(&b, m, PS_EPROTOCOL, why);
    bench_send(&b, bench_part(&b, WIRE_PUSH_PULL, 0, 1, 10, 2, 1, 1));
    bench_expect_weights(&b, 4, 1, -2);
    bench_close(&b);
}

static void next_step_is_refused_while_one_is_incomplete(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 2, 2000);
    b.job.backup_workers = 1; /* only then may a worker be a step ahead of a shard */
    bench_join(&b, WIRE_WORKER, 0);
    bench_send(&b, bench_part(&b, WIRE_PUSH, 0, 1, 10, 2, 0, 1));
    bench_expect(&b, WIRE_ACK, 1);
    bench_refused(&b, bench_part(&b, WIRE_PUSH, 0, 2, 10, 2, 1, 1), PS_EPROTOCOL,
                  "worker 0 pushes step 2 while step 1 is incomplete");
    bench_close(&b);
}

static void asynchronous_part_is_answered_once_the_whole_is_applied(void **state)
{
    (void)state;
    static const consistency_mode modes[] = {CONSISTENCY_ASYNC, CONSISTENCY_SSP};
    for (int i = 0; i < 2; i++) {
        shard_bench b;
        bench_open(&b, 1, 2, 2000);
        b.job.mode = modes[i];
        b.job.staleness = 3;
        bench_join(&b, WIRE_WORKER, 0);
        bench_send(&b, bench_part(&b, WIRE_PUSH_PULL, 0, 1, 10, 2, 0, 1));
        bench_expect_nothing(&b);
        bench_send(&b, bench_part(&b, WIRE_PUSH, 0, 1, 10, 2, 0, 1));
        bench_expect_nothing(&b);
        bench_send(&b, bench_part(&b, WIRE_PUSH_PULL, 0, 1, 10, 2, 1, 1));
        bench_expect_weights(&b, 1, 1, -2);
        bench_expect(&b, WIRE_ACK, 2);
        bench_expect_weights(&b, 3, 1, -2);
        bench_close(&b);
    }
}

/* ---- the other modes ---- */

static void asynchronous_pushes_apply_as_they_come(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 2, 100);
    b.job.mode = CONSISTENCY_ASYNC;
    bench_join(&b, WIRE_WORKER, 0);
    bench_join(&b, WIRE_WORKER, 1);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 1));
    bench_expect_weights(&b, 1, 1, -1);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 2, 10, 1));
    bench_expect_weights(&b, 2, 2, -2);
    bench_send(&b, bench_push(&b, WIRE_PUSH, 1, 1, 10, 5));
    bench_expect(&b, WIRE_ACK, 3);
    bench_send(&b, bench_pull(&b, WIRE_WORKER, 1, 0));
    bench_expect_weights(&b, 4, 3, -7);
    /* A restarted worker goes on after its own last step, not after the number of updates. */
    bench_send(&b, bench_hello(&b, WIRE_WORKER, 0, 2));
    wire_message *m = bench_take(&b, WIRE_WELCOME, 0);
    assert_int_equal(m->step, 2);
    wire_destroy(&m);
    bench_close(&b);
}

static void stale_synchronous_parallel_holds_the_fast_back(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 2, 100);
    b.job.mode = CONSISTENCY_SSP;
    b.job.staleness = 1;
    bench_join(&b, WIRE_WORKER, 0);
    bench_join(&b, WIRE_WORKER, 1);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 1));
    bench_expect_weights(&b, 1, 1, -1);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 2, 10, 1));
    bench_expect_nothing(&b);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 1, 1, 10, 1));
    bench_expect_weights(&b, 2, 3, -3);
    bench_expect_weights(&b, 3, 3, -3);
    bench_close(&b);
}

static void late_gradient_is_dropped_with_backups(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 3, 100);
    b.job.backup_workers = 1;
    for (uint32_t w = 0; w < 3; w++)
        bench_join(&b, WIRE_WORKER, w);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 2, 1, 10, 1));
    bench_expect_nothing(&b);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 3));
    bench_expect_weights(&b, 2, 1, -2);
    bench_expect_weights(&b, 1, 1, -2);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 1, 1, 10, 1000));
    bench_expect_weights(&b, 3, 1, -2);
    assert_int_equal(shard_count(b.shard)->late_gradients, 1);
    assert_int_equal(shard_count(b.shard)->examples_applied, 20);
    bench_close(&b);
}

static void half_a_gradient_makes_room_when_its_step_applies_without_it(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 2, 2000);
    b.job.backup_workers = 1;
    bench_join(&b, WIRE_WORKER, 0);
    bench_join(&b, WIRE_WORKER, 1);
    bench_send(&b, bench_part(&b, WIRE_PUSH_PULL, 0, 1, 10, 1000, 0, 1));
    bench_expect_nothing(&b);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 1, 1, 10, 1));
    bench_expect_weights(&b, 1, 1, -1);
    bench_expect_weights(&b, 2, 1, -1);
    bench_send(&b, bench_part(&b, WIRE_PUSH_PULL, 0, 2, 20, 2, 1, 1));
    bench_expect_nothing(&b);
    bench_send(&b, bench_part(&b, WIRE_PUSH_PULL, 0, 2, 20, 2, 0, 1));
    bench_expect_weights(&b, 4, 2, -3);
    bench_expect_weights(&b, 3, 2, -3);
    bench_close(&b);
}

/* ---- restarts ---- */

static void restarted_worker_computes_its_step_again(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 2);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 1000));
    bench_send(&b, bench_hello(&b, WIRE_WORKER, 0, 2));
    wire_message *m = bench_take(&b, WIRE_WELCOME, 0);
    assert_int_equal(m->step, 0);
    wire_destroy(&m);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 1, 1, 10, 1));
    bench_expect_nothing(&b); /* its gradient is forgotten, and so is its request */
    m = bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 3);
    m->incarnation = 2;
    bench_send(&b, m);
    bench_expect_weights(&b, 3, 1, -2);
    bench_expect_weights(&b, 2, 1, -2);
    bench_expect_nothing(&b);
    bench_send(&b, bench_hello(&b, WIRE_WORKER, 1, 7));
    m = bench_take(&b, WIRE_WELCOME, 0);
    assert_int_equal(m->step, 1);
    wire_destroy(&m);
    bench_close(&b);
}

static void restart_amid_a_gradient_drops_its_parts(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 1, 2000);
    bench_join(&b, WIRE_WORKER, 0);
    bench_send(&b, bench_part(&b, WIRE_PUSH, 0, 1, 10, 1000, 0, 1));
    bench_expect(&b, WIRE_ACK, 1);
    bench_join_as(&b, WIRE_WORKER, 0, 2);
    wire_message *m = bench_push(&b, WIRE_PUSH_PULL, 0, 1, 20, 2);
    m->incarnation = 2;
    bench_send(&b, m);
    bench_expect_weights(&b, 2, 1, -2);
    bench_close(&b);
}

/* ---- allocations ---- */

/* Plays a job from HELLO to FINISH with only so many allocations. True if all went well; else the job must
 * have failed for lack of memory, or its sender been told so. */
static bool job_goes_well(long allowed)
{
    shard_bench b;
    bench_open(&b, 1, 1, 2000);
    bench_prepare(&b);
    wire_message *requests[] = {
        bench_hello(&b, WIRE_WORKER, 0, 1),
        bench_part(&b, WIRE_PUSH_PULL, 0, 1, 10, 1, 0, 1),
        bench_part(&b, WIRE_PUSH_PULL, 0, 1, 10, 1, 1, 1),
        bench_pull(&b, WIRE_WORKER, 0, 1),
        bench_request(&b, WIRE_FINISH, WIRE_WORKER, 0, 0, 0),
    };
    enum { REQUESTS = sizeof requests / sizeof *requests };
    torture_begin(allowed);
    for (int i = 0; i < REQUESTS; i++)
        bench_send(&b, requests[i]);
    torture_end();
    int answers = 0, refusals = 0;
    for (wire_message *m; (m = shard_next(b.shard, &b.to)); wire_destroy(&m)) {
        answers++;
        refusals += m->type == WIRE_ERROR;
    }
    bool well = shard_failure(b.shard, NULL) == PS_OK && answers == REQUESTS && refusals == 0;
    if (!well)
        assert_true(shard_failure(b.shard, NULL) == PS_ENOMEM || refusals > 0);
    bench_close(&b);
    return well;
}

static void lack_of_memory_fails_the_job_and_nothing_else(void **state)
{
    (void)state;
    long allowed = 0;
    while (!job_goes_well(allowed))
        assert_true(++allowed < 200);
    assert_true(allowed > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listener_is_told_of_each_update_and_whose_gradients_it_took),
        cmocka_unit_test(step_applies_with_gradients_weighted_by_their_examples),
        cmocka_unit_test(clip_factor_scales_a_gradient),
        cmocka_unit_test(worker_without_examples_takes_part_but_contributes_nothing),
        cmocka_unit_test(push_is_acknowledged_at_once_and_pull_waits_for_the_version),
        cmocka_unit_test(push_of_a_step_out_of_turn_changes_nothing),
        cmocka_unit_test(gradient_may_come_in_parts),
        cmocka_unit_test(part_that_comes_twice_counts_once),
        cmocka_unit_test(parts_that_disagree_are_refused),
        cmocka_unit_test(next_step_is_refused_while_one_is_incomplete),
        cmocka_unit_test(asynchronous_part_is_answered_once_the_whole_is_applied),
        cmocka_unit_test(asynchronous_pushes_apply_as_they_come),
        cmocka_unit_test(stale_synchronous_parallel_holds_the_fast_back),
        cmocka_unit_test(late_gradient_is_dropped_with_backups),
        cmocka_unit_test(half_a_gradient_makes_room_when_its_step_applies_without_it),
        cmocka_unit_test(restarted_worker_computes_its_step_again),
        cmocka_unit_test(restart_amid_a_gradient_drops_its_parts),
        cmocka_unit_test(lack_of_memory_fails_the_job_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, silence, NULL);
}
