/* An administrator ends a job: which step is the last, who hears of it when, and what outlives a restart. */
#include "tests/unit/shard_orders.h"

static void the_chief_hears_in_every_answer_what_end_is_ordered(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 1);
    train(&b, 1);
    for (int i = 0; i < 2; i++) { /* the second changes nothing */
        bench_send(&b, order(&b, WIRE_STOP, 0));
        wire_message *m = bench_take(&b, WIRE_PENDING, b.request);
        assert_int_equal(m->end_step, 4);
        wire_destroy(&m);
    }
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 2, 1, 1));
    wire_message *m = bench_take(&b, WIRE_WEIGHTS, b.request);
    assert_int_equal(m->step, 2);
    assert_int_equal(m->end_step, 4);
    wire_destroy(&m);
    bench_close(&b);
}

static void the_chief_hears_of_the_end_also_while_it_waits(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 2);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 1, 1));
    const uint64_t push = b.request;
    bench_expect_nothing(&b);
    bench_send(&b, order(&b, WIRE_STOP, 0));
    wire_message *m = bench_take(&b, WIRE_PENDING, push);
    assert_int_equal(m->end_step, 3);
    wire_destroy(&m);
    bench_expect(&b, WIRE_PENDING, b.request);
    bench_close(&b);
}

/* The end that ps/0 tells a worker of who pulls the present version. */
static uint64_t end_told(shard_bench *b, uint32_t worker)
{
    bench_send(b, bench_pull(b, WIRE_WORKER, worker, 0));
    wire_message *m = bench_take(b, WIRE_WEIGHTS, b->request);
    const uint64_t end = m->end_step;
    wire_destroy(&m);
    return end;
}

static void tell_end(shard_bench *b, uint32_t worker, uint64_t end)
{
    wire_message *settle = bench_request(b, WIRE_SETTLE, WIRE_WORKER, worker, 0, 0);
    settle->end_step = end;
    bench_send(b, settle);
}

/* Till then it could be forgotten, and who knew of it would end alone. */
static void an_end_is_taken_and_told_to_all_once_the_chief_knows_of_it(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 2);
    bench_send(&b, order(&b, WIRE_STOP, 0));
    const uint64_t stop = b.request;
    bench_expect_text(&b, WIRE_PENDING, stop, PS_OK, "the chief has not heard of it yet");
    assert_int_equal(end_told(&b, 0), 3);
    assert_int_equal(end_told(&b, 1), 0);
    tell_end(&b, 1, 3); /* who is not believed */
    bench_expect_nothing(&b);
    assert_int_equal(end_told(&b, 1), 0);
    tell_end(&b, 0, 3);
    bench_expect(&b, WIRE_ACK, stop); /* at once: the job may be over before it is asked for again */
    assert_int_equal(end_told(&b, 1), 3);
    expect_answer(&b, WIRE_STOP, 0, WIRE_ACK);
    bench_close(&b);
}

/* It may wait for another ps alone, and ask this one nothing. */
static void a_chief_that_does_not_say_that_it_knows_is_told_unasked(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 2);
    for (int i = 0; i < 2; i++) {
        expect_answer(&b, WIRE_STOP, 0, WIRE_PENDING);
        bench_expect_nothing(&b);
    }
    b.now_ms += 500;
    bench_send(&b, order(&b, WIRE_STOP, 0));
    wire_message *m = bench_take(&b, WIRE_WELCOME, 0);
    const wire_route chief = bench_route(WIRE_WORKER, 0);
    assert_memory_equal(b.to.id, chief.id, chief.bytes);
    assert_int_equal(m->end_step, 3);
    wire_destroy(&m);
    bench_expect(&b, WIRE_PENDING, b.request);
    tell_end(&b, 0, 3);
    bench_expect(&b, WIRE_ACK, b.request - 1);
    b.now_ms += 500;
    expect_answer(&b, WIRE_STOP, 0, WIRE_ACK);
    bench_close(&b);
}

/* It has told others of that before it restarted, and they may have ended. */
static void what_the_chief_knows_counts_for_more_than_an_order_given_anew(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 2, 100);
    bench_join(&b, WIRE_WORKER, 1);
    expect_answer(&b, WIRE_STOP, 0, WIRE_PENDING);
    wire_message *m = bench_push(&b, WIRE_PUSH_PULL, 0, 1, 1, 1); /* meant for the life before */
    bench_send(&b, m);
    m = bench_take(&b, WIRE_ERROR, b.request);
    assert_int_equal(m->end_step, 0);
    wire_destroy(&m);
    m = bench_hello(&b, WIRE_WORKER, 0, 1);
    m->end_step = 7;
    bench_send(&b, m);
    bench_expect(&b, WIRE_ACK, b.request - 1);
    m = bench_take(&b, WIRE_WELCOME, 0);
    assert_int_equal(m->end_step, 7);
    wire_destroy(&m);
    assert_int_equal(end_told(&b, 1), 7);
    bench_close(&b);
}

static void an_end_that_the_chief_hears_of_too_late_is_moved(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 2, 100);
    b.job.backup_workers = 1;
    for (uint32_t w = 0; w < 2; w++)
        bench_join(&b, WIRE_WORKER, w);
    bench_send(&b, order(&b, WIRE_STOP, 0));
    const uint64_t stop = b.request;
    bench_expect(&b, WIRE_PENDING, stop);
    for (uint64_t step = 1; step <= 5; step++) {
        bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 1, step, 1, 1));
        bench_expect(&b, WIRE_WEIGHTS, b.request);
    }
    tell_end(&b, 0, 3);
    bench_expect(&b, WIRE_ACK, stop);
    for (uint32_t w = 0; w < 2; w++)
        assert_int_equal(end_told(&b, w), 7);
    bench_close(&b);
}

/* Without the chief's word of an end it might begin a step beyond that. */
static void come_back(consistency_mode mode)
{
    shard_bench b;
    slow_archive a = {.base.ops = &slow_ops, .old = 5};
    bench_open(&b, 1, 2, 100);
    b.job.mode = mode;
    b.config.archive = &a.base;
    bench_reopen(&b);
    bench_join(&b, WIRE_WORKER, 1);
    bench_send(&b, bench_pull(&b, WIRE_WORKER, 1, 0));
    const uint64_t pull = b.request;
    bench_expect_nothing(&b);
    wire_message *query = bench_request(&b, WIRE_QUERY, WIRE_WORKER, 1, 0, 0);
    query->request = pull;
    bench_send(&b, query);
    bench_expect_text(&b, WIRE_PENDING, pull, PS_OK, "step 0 waits for worker 0 (not joined)");
    wire_message *hello = bench_hello(&b, WIRE_WORKER, 0, 1);
    hello->end_step = 6;
    bench_send(&b, hello);
    wire_message *m = bench_take(&b, WIRE_WEIGHTS, pull);
    assert_int_equal(m->end_step, 6);
    assert_true(m->step == 5 || mode != CONSISTENCY_SYNC);
    wire_destroy(&m);
    bench_expect(&b, WIRE_WELCOME, 0);
    bench_close(&b);
}

static void a_ps_that_has_come_back_gives_weights_once_the_chief_has_joined(void **state)
{
    (void)state;
    for (consistency_mode mode = CONSISTENCY_SYNC; mode <= CONSISTENCY_ASYNC; mode++)
        come_back(mode);
}

static void without_synchrony_everybody_ends_at_once(void **state)
{
    (void)state;
    shard_bench b;
    open_two(&b, CONSISTENCY_ASYNC);
    for (uint64_t step = 1; step <= 5; step++)
        train(&b, step);
    bench_send(&b, order(&b, WIRE_STOP, 0));
    wire_message *m = bench_take(&b, WIRE_PENDING, b.request);
    assert_int_equal(m->end_step, 1);
    wire_destroy(&m);
    assert_int_equal(end_told(&b, 1), 1); /* the chief might end, and a worker wait for it before it hears */
    bench_close(&b);
}

/* Each has ended with its own step; the chief says that it has finished when all others have. */
static void who_has_ended_keeps_nobody_waiting(void **state)
{
    (void)state;
    shard_bench b;
    open_two(&b, CONSISTENCY_SSP); /* in step: no staleness */
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 1, 1, 1, 1));
    const uint64_t push = b.request;
    bench_expect_nothing(&b);
    wire_message *last = bench_pull(&b, WIRE_WORKER, 0, 0);
    last->after_finish = true;
    bench_send(&b, last);
    bench_expect(&b, WIRE_WEIGHTS, push);
    bench_expect_nothing(&b);
    bench_close(&b);
}

/* All who knew that the job was to end there may be gone, and a new process would train on. */
static void who_comes_back_having_finished_is_told_where_that_was(void **state)
{
    (void)state;
    static const struct {
        loss_policy policy;
        uint32_t backups;
        uint64_t end;
    } cases[] = {{LOSS_WAIT, 0, 1}, {LOSS_SHRINK, 0, 0}, {LOSS_WAIT, 1, 0}}; /* only if it is sure */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        shard_bench b;
        bench_open(&b, 1, 2, 100);
        b.job.on_worker_loss = cases[i].policy;
        b.job.backup_workers = cases[i].backups;
        for (uint32_t w = 0; w < 2; w++)
            bench_join(&b, WIRE_WORKER, w);
        for (uint32_t w = 0; w < 2; w++)
            bench_send(&b, bench_push(&b, WIRE_PUSH, w, 1, 1, 1));
        bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 1, 0, 0));
        bench_drop_answers(&b);
        for (uint32_t w = 0; w < 2; w++) {
            bench_send(&b, bench_hello(&b, WIRE_WORKER, w, 2));
            wire_message *welcome = bench_take(&b, WIRE_WELCOME, 0);
            assert_int_equal(welcome->end_step, w == 1 ? cases[i].end : 0);
            wire_destroy(&welcome);
        }
        bench_close(&b);
    }
}

/* It says where it ended, as it was told: nobody ordered that. */
static void what_a_chief_that_has_finished_knows_of_an_end_is_no_order(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 2);
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 0, 0, 0));
    tell_end(&b, 0, 5);
    bench_drop_answers(&b);
    assert_int_equal(end_told(&b, 1), 0);
    bench_close(&b);
}

static void a_job_at_its_end_takes_no_orders_about_it(void **state)
{
    (void)state;
    shard_bench b;
    slow_archive a;
    open_joined(&b, &a, 0);
    train(&b, 1);
    wire_message *finish = bench_request(&b, WIRE_FINISH, WIRE_WORKER, 0, 0, 0);
    finish->step = 1;
    bench_send(&b, finish);
    bench_expect(&b, WIRE_ACK, b.request);
    bench_refused(&b, order(&b, WIRE_STOP, 0), PS_ESTATE, "the job is at its end already");
    bench_refused(&b, order(&b, WIRE_CHECKPOINT, 9), PS_ESTATE,
                  "the job is at its end, of which a checkpoint is kept anyway");
    bench_close(&b);
}

/* Without synchrony steps are everybody's own, and the others may have many left. */
static void a_job_of_which_one_has_finished_can_be_ended_where_steps_are_not_common(void **state)
{
    (void)state;
    shard_bench b;
    slow_archive a = {.base.ops = &slow_ops};
    bench_open(&b, 1, 2, 100);
    b.config.archive = &a.base;
    bench_reopen(&b);
    b.job.mode = CONSISTENCY_ASYNC;
    for (uint32_t w = 0; w < 2; w++)
        bench_join(&b, WIRE_WORKER, w);
    train(&b, 1);
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 1, 0, 0));
    bench_expect_nothing(&b); /* it waits for the other's end */
    expect_pending(&b, 9, 1);
    expect_answer(&b, WIRE_STOP, 0, WIRE_PENDING);
    bench_close(&b);
}

static void only_ps_0_ends_jobs(void **state)
{
    (void)state;
    shard_bench b;
    slow_archive a;
    open_joined(&b, &a, 1);
    bench_refused(&b, order(&b, WIRE_STOP, 0), PS_EPROTOCOL, "STOP to ps/1: it is for ps/0");
    bench_close(&b);
}

static uint64_t end_after_hello(uint32_t worker)
{
    shard_bench b;
    bench_open(&b, 1, 2, 100);
    bench_prepare(&b);
    wire_message *hello = bench_hello(&b, WIRE_WORKER, worker, 1);
    hello->end_step = 7;
    bench_send(&b, hello);
    wire_message *welcome = bench_take(&b, WIRE_WELCOME, 0);
    const uint64_t end = welcome->end_step;
    wire_destroy(&welcome);
    bench_close(&b);
    return end;
}

static void a_ps_that_has_forgotten_believes_the_chief_alone(void **state)
{
    (void)state;
    assert_int_equal(end_after_hello(0), 7);
    assert_int_equal(end_after_hello(1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_chief_hears_in_every_answer_what_end_is_ordered),
        cmocka_unit_test(the_chief_hears_of_the_end_also_while_it_waits),
        cmocka_unit_test(an_end_is_taken_and_told_to_all_once_the_chief_knows_of_it),
        cmocka_unit_test(a_chief_that_does_not_say_that_it_knows_is_told_unasked),
        cmocka_unit_test(what_the_chief_knows_counts_for_more_than_an_order_given_anew),
        cmocka_unit_test(an_end_that_the_chief_hears_of_too_late_is_moved),
        cmocka_unit_test(a_ps_that_has_come_back_gives_weights_once_the_chief_has_joined),
        cmocka_unit_test(without_synchrony_everybody_ends_at_once),
        cmocka_unit_test(who_has_ended_keeps_nobody_waiting),
        cmocka_unit_test(who_comes_back_having_finished_is_told_where_that_was),
        cmocka_unit_test(what_a_chief_that_has_finished_knows_of_an_end_is_no_order),
        cmocka_unit_test(a_job_at_its_end_takes_no_orders_about_it),
        cmocka_unit_test(a_job_of_which_one_has_finished_can_be_ended_where_steps_are_not_common),
        cmocka_unit_test(only_ps_0_ends_jobs),
        cmocka_unit_test(a_ps_that_has_forgotten_believes_the_chief_alone),
    };
    return cmocka_run_group_tests(tests, silence, NULL);
}
