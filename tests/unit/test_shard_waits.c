/* A shard, ps/shard, that owes answers: requests that come again, questions whom they wait for, and what it
 * says of that by itself. */
#include "common/log.h"
#include "ps/shard.h"
#include "tests/unit/log_capture.h"
#include "tests/unit/shard_bench.h"
#include "tests/unit/silence.h"

/* ---- repeats and queries ---- */

static void request_sent_again_while_it_waits_is_answered_once(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 2);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 2));
    wire_message *again = bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 2);
    again->request = 1;
    const wire_route elsewhere = {.bytes = 1, .id = {9}};
    shard_receive(b.shard, &again, &elsewhere, b.now_ms);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 1, 1, 10, 2));
    bench_expect_weights(&b, 1, 1, -2);
    assert_memory_equal(&b.to, &elsewhere, sizeof elsewhere); /* the newest route */
    bench_expect_weights(&b, 3, 1, -2);
    bench_expect_nothing(&b);
    bench_close(&b);
}

static void push_repeated_after_a_lost_answer_is_not_applied_twice(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 1);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 2));
    bench_expect_weights(&b, 1, 1, -2);
    wire_message *again = bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 2);
    again->request = 1;
    bench_send(&b, again);
    bench_expect_weights(&b, 1, 1, -2);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 2)); /* under another number */
    bench_expect_weights(&b, b.request, 1, -2);
    bench_send(&b, bench_push(&b, WIRE_PUSH, 0, 1, 10, 2));
    bench_expect(&b, WIRE_ACK, b.request);
    assert_int_equal(shard_count(b.shard)->repeats, 3);
    assert_int_equal(shard_count(b.shard)->steps_applied, 1);
    bench_close(&b);
}

static void query_tells_whom_a_request_waits_for(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 3, 100);
    bench_join(&b, WIRE_WORKER, 0);
    bench_join(&b, WIRE_WORKER, 1);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 2));
    wire_message *query = bench_request(&b, WIRE_QUERY, WIRE_WORKER, 0, 0, 0);
    query->request = 1;
    const wire_route elsewhere = {.bytes = 1, .id = {9}};
    shard_receive(b.shard, &query, &elsewhere, b.now_ms);
    bench_expect_text(&b, WIRE_PENDING, 1, PS_OK, "step 1 waits for worker 1, worker 2 (not joined)");
    assert_memory_equal(&b.to, &elsewhere, sizeof elsewhere);
    bench_send(&b, bench_request(&b, WIRE_QUERY, WIRE_WORKER, 0, 0, 0));
    bench_expect(&b, WIRE_RESEND, b.request);
    bench_expect_nothing(&b);
    bench_close(&b);
}

static void query_tells_that_the_rest_of_a_gradient_is_missing(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 1, 2000);
    b.job.mode = CONSISTENCY_ASYNC;
    bench_join(&b, WIRE_WORKER, 0);
    bench_send(&b, bench_part(&b, WIRE_PUSH_PULL, 0, 1, 10, 2, 0, 1));
    wire_message *query = bench_request(&b, WIRE_QUERY, WIRE_WORKER, 0, 0, 0);
    query->request = 1;
    bench_send(&b, query);
    bench_expect_text(&b, WIRE_PENDING, 1, PS_OK, "step 1 waits for the rest of its gradient");
    bench_close(&b);
}

static void long_list_of_missing_workers_is_cut(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, JOB_WORKERS_MAX, 100);
    bench_join(&b, WIRE_WORKER, 0);
    bench_send(&b, bench_pull(&b, WIRE_WORKER, 0, 1));
    wire_message *query = bench_request(&b, WIRE_QUERY, WIRE_WORKER, 0, 0, 0);
    query->request = 1;
    bench_send(&b, query);
    wire_message *m = bench_take(&b, WIRE_PENDING, 1);
    static const char start[] = "step 1 waits for worker 0, worker 1 (not joined), worker 2 (not joined)";
    assert_memory_equal(m->text, start, strlen(start));
    assert_non_null(strstr(m->text, " more"));
    wire_destroy(&m);
    bench_close(&b);
}

static void open_requests_of_a_member_are_bounded(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 2);
    for (int i = 0; i < SHARD_REQUESTS_MAX + 1; i++)
        bench_send(&b, bench_pull(&b, WIRE_WORKER, 0, 1));
    bench_expect_nothing(&b);
    bench_refused(&b, bench_pull(&b, WIRE_WORKER, 0, 1), PS_ELIMIT,
                  "worker 0 has 65 requests open; no more are taken");
    bench_send(&b, bench_pull(&b, WIRE_WORKER, 1, 0)); /* others are not concerned */
    bench_expect_weights(&b, b.request, 0, 0);
    bench_close(&b);
}

/* ---- what it says while it waits ---- */

static void tick(shard_bench *b, uint64_t ms)
{
    b->now_ms += ms;
    shard_tick(b->shard, b->now_ms);
}

static void shard_says_whom_it_waits_for(void **state)
{
    (void)state;
    shard_bench b;
    log_capture c;
    log_capture_begin(&c);
    log_setup("test", LOG_INFO);
    bench_open(&b, 1, 2, 100);
    tick(&b, 1);
    tick(&b, SHARD_STALL_MS);
    bench_join(&b, WIRE_WORKER, 0);
    tick(&b, SHARD_STALL_MS);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 2));
    tick(&b, SHARD_STALL_MS - 1);
    tick(&b, SHARD_STALL_MS);
    tick(&b, 1);
    log_setup("test", LOG_OFF);
    log_capture_pause(&c);
    assert_true(log_capture_has(&c, "info    test  no worker has joined yet (5 s)\n"));
    assert_true(log_capture_has(&c, "info    test  waiting for worker 1 (not joined) (10 s)\n"));
    assert_true(log_capture_has(&c, "warning test  step 1 waits for worker 1 (not joined) (9 s)\n"));
    assert_false(log_capture_has(&c, "wait"));
    log_capture_end(&c);
    bench_close(&b);
}

static void shard_says_whom_the_end_of_the_job_waits_for(void **state)
{
    (void)state;
    shard_bench b;
    log_capture c;
    log_capture_begin(&c);
    log_setup("test", LOG_INFO);
    bench_open(&b, 1, 2, 100);
    b.job.evaluators = 1;
    tick(&b, 1);
    bench_join(&b, WIRE_WORKER, 0);
    bench_join(&b, WIRE_WORKER, 1);
    tick(&b, SHARD_STALL_MS); /* they compute: nothing to say */
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 1, 0, 0));
    tick(&b, SHARD_STALL_MS);
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 0, 0, 0));
    tick(&b, SHARD_STALL_MS);
    log_setup("test", LOG_OFF);
    log_capture_pause(&c);
    assert_true(log_capture_has(&c, "info    test  the end of the job waits for worker 0 (10 s)\n"));
    assert_true(log_capture_has(&c, "info    test  the end of the job waits for 1 of 1 evaluators (15 s)\n"));
    assert_false(log_capture_has(&c, "wait"));
    log_capture_end(&c);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_sent_again_while_it_waits_is_answered_once),
        cmocka_unit_test(push_repeated_after_a_lost_answer_is_not_applied_twice),
        cmocka_unit_test(query_tells_whom_a_request_waits_for),
        cmocka_unit_test(query_tells_that_the_rest_of_a_gradient_is_missing),
        cmocka_unit_test(long_list_of_missing_workers_is_cut),
        cmocka_unit_test(open_requests_of_a_member_are_bounded),
        cmocka_unit_test(shard_says_whom_it_waits_for),
        cmocka_unit_test(shard_says_whom_the_end_of_the_job_waits_for),
    };
    return cmocka_run_group_tests(tests, silence, NULL);
}
