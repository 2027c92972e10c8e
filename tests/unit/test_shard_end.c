/* The end of a job as a shard sees it: who has finished, and who still may not go. */
#include "ps/shard.h"

#include <float.h>
#include <math.h>

#include "tests/unit/log_capture.h"
#include "tests/unit/shard_bench.h"
#include "tests/unit/silence.h"
#include "tests/unit/torture.h"

static void job_is_finished_when_all_members_have_said_so(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 2, 100);
    b.job.evaluators = 1;
    bench_join(&b, WIRE_WORKER, 0);
    bench_join(&b, WIRE_WORKER, 1);
    bench_join(&b, WIRE_EVALUATOR, 0);
    assert_false(shard_finished(b.shard));
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 0, 0, 0));
    wire_message *m = bench_take(&b, WIRE_ACK, 1);
    assert_false(m->job_finished);
    wire_destroy(&m);
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 0, 0, 0)); /* said twice is said once */
    bench_expect(&b, WIRE_ACK, 2);
    bench_refused(&b, bench_push(&b, WIRE_PUSH, 0, 1, 1, 1), PS_EPROTOCOL,
                  "worker 0 pushes step 1 after it said it had finished");
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 1, 0, 0));
    m = bench_take(&b, WIRE_ACK, b.request);
    assert_true(m->job_finished);
    wire_destroy(&m);
    assert_false(shard_finished(b.shard)); /* the evaluator wants the last weights */
    bench_send(&b, bench_pull(&b, WIRE_EVALUATOR, 0, 0));
    m = bench_take(&b, WIRE_WEIGHTS, b.request);
    assert_true(m->job_finished);
    wire_destroy(&m);
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_EVALUATOR, 0, 0, 0));
    bench_expect(&b, WIRE_ACK, b.request);
    assert_true(shard_finished(b.shard));
    bench_close(&b);
}

/* Ps may have to go back without any of them having been lost: then everybody is needed. */
static void with_backups_nobody_may_go_before_all_have_finished(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 2, 100);
    b.job.backup_workers = 1;
    bench_join(&b, WIRE_WORKER, 0);
    bench_join(&b, WIRE_WORKER, 1);
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 1, 0, 0));
    bench_expect_nothing(&b);
    wire_message *query = bench_request(&b, WIRE_QUERY, WIRE_WORKER, 1, 0, 0);
    query->request = 1;
    bench_send(&b, query);
    bench_expect_text(&b, WIRE_PENDING, 1, PS_OK, "the end of the job waits for worker 0");
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 0, 0, 0));
    bench_expect(&b, WIRE_ACK, 1);
    bench_expect(&b, WIRE_ACK, b.request);
    shard_tick(b.shard, b.now_ms);
    assert_false(shard_finished(b.shard));
    for (uint32_t w = 0; w < 2; w++) {
        wire_message *last = bench_request(&b, WIRE_FINISH, WIRE_WORKER, w, 0, 0);
        last->after_finish = true;
        bench_send(&b, last);
        bench_expect(&b, WIRE_ACK, b.request);
    }
    assert_true(shard_finished(b.shard));
    bench_close(&b);
}

static void with_backups_a_ps_does_not_wait_for_ever_for_a_last_word(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 2, 100);
    b.job.backup_workers = 1;
    for (uint32_t w = 0; w < 2; w++)
        bench_join(&b, WIRE_WORKER, w);
    for (uint32_t w = 0; w < 2; w++)
        bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, w, 0, 0));
    bench_expect(&b, WIRE_ACK, 1);
    bench_expect(&b, WIRE_ACK, 2);
    shard_tick(b.shard, b.now_ms + SHARD_FORSAKEN_MS - 1);
    assert_false(shard_finished(b.shard));
    shard_tick(b.shard, b.now_ms + SHARD_FORSAKEN_MS);
    assert_true(shard_finished(b.shard));
    bench_close(&b);
}

static void finish_of_the_last_missing_worker_lets_the_step_apply(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 2);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 2));
    bench_expect_nothing(&b);
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 1, 0, 0));
    bench_expect_weights(&b, 1, 1, -2);
    bench_expect(&b, WIRE_ACK, 2);
    bench_close(&b);
}

static void final_pull_waits_for_all_other_workers(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 3);
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 2, 0, 0));
    bench_expect(&b, WIRE_ACK, 1);
    wire_message *m = bench_pull(&b, WIRE_WORKER, 0, 0);
    m->after_finish = true;
    bench_send(&b, m);
    bench_expect_nothing(&b);
    wire_message *query = bench_request(&b, WIRE_QUERY, WIRE_WORKER, 0, 0, 0);
    query->request = 2;
    bench_send(&b, query);
    bench_expect_text(&b, WIRE_PENDING, 2, PS_OK, "the end of the job waits for worker 1");
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 1, 0, 0));
    bench_expect_weights(&b, 2, 0, 0);
    bench_expect(&b, WIRE_ACK, b.request);
    bench_close(&b);
}

static void evaluator_pulls_but_may_not_push(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 1, 100);
    b.job.evaluators = 1;
    bench_join(&b, WIRE_WORKER, 0);
    bench_join(&b, WIRE_EVALUATOR, 0);
    bench_send(&b, bench_pull(&b, WIRE_EVALUATOR, 0, 0));
    bench_expect_weights(&b, 1, 0, 0);
    wire_message *m = bench_push(&b, WIRE_PUSH, 0, 1, 10, 1);
    m->role = WIRE_EVALUATOR;
    bench_refused(&b, m, PS_EPROTOCOL, "an evaluator may not push");
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_backups_a_ps_does_not_wait_for_ever_for_a_last_word),
        cmocka_unit_test(with_backups_nobody_may_go_before_all_have_finished),
        cmocka_unit_test(job_is_finished_when_all_members_have_said_so),
        cmocka_unit_test(finish_of_the_last_missing_worker_lets_the_step_apply),
        cmocka_unit_test(final_pull_waits_for_all_other_workers),
        cmocka_unit_test(evaluator_pulls_but_may_not_push),
    };
    return cmocka_run_group_tests(tests, silence, NULL);
}
