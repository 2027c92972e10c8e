/* The shard with a journal: what it holds back until its log is durable. */
#include "tests/unit/shard_logging.h"

static uint32_t count_answers(logging *l)
{
    uint32_t count = 0;
    for (wire_message *m; (m = shard_next(l->bench.shard, &l->bench.to)); count++)
        wire_destroy(&m);
    return count;
}

static void while_the_log_stands_still_few_of_the_same_questions_are_answered(void **state)
{
    (void)state;
    logging l;
    open_logging(&l, 2, CONSISTENCY_SYNC);
    hold(&l);
    const uint64_t push = ask(&l.bench, bench_push(&l.bench, WIRE_PUSH_PULL, 0, 1, 1, 2));
    for (int i = 0; i < 1000; i++) {
        wire_message *query = bench_request(&l.bench, WIRE_QUERY, WIRE_WORKER, 0, 0, 0);
        query->request = push;
        bench_send(&l.bench, query);
        bench_send(&l.bench, bench_hello(&l.bench, WIRE_WORKER, 1, 1));
    }
    const uint64_t other = ask(&l.bench, bench_push(&l.bench, WIRE_PUSH_PULL, 1, 1, 1, 2));
    bench_expect_nothing(&l.bench);
    let_go(&l);
    assert_int_equal(count_answers(&l), 2 * SHARD_HELD_MAX + 2); /* and those to both pushes */
    wire_message *query = bench_request(&l.bench, WIRE_QUERY, WIRE_WORKER, 1, 0, 0);
    query->request = other + 1;
    bench_send(&l.bench, query);
    bench_expect(&l.bench, WIRE_RESEND, other + 1);
    close_logging(&l);
}

static void a_push_is_answered_once_it_is_durable(void **state)
{
    (void)state;
    logging l;
    open_logging(&l, 1, CONSISTENCY_ASYNC);
    hold(&l);
    uint64_t request = ask(&l.bench, bench_push(&l.bench, WIRE_PUSH_PULL, 0, 1, 1, 2));
    bench_expect_nothing(&l.bench);
    let_go(&l);
    bench_expect_weights(&l.bench, request, 1, -2);
    close_logging(&l);
}

static void a_pull_that_would_show_an_update_waits_for_it(void **state)
{
    (void)state;
    logging l;
    open_logging(&l, 2, CONSISTENCY_ASYNC);
    hold(&l);
    uint64_t push = ask(&l.bench, bench_push(&l.bench, WIRE_PUSH, 0, 1, 1, 2));
    uint64_t pull = ask(&l.bench, bench_pull(&l.bench, WIRE_WORKER, 1, 0));
    bench_expect_nothing(&l.bench);
    let_go(&l);
    bench_expect(&l.bench, WIRE_ACK, push);
    bench_expect_weights(&l.bench, pull, 1, -2);
    close_logging(&l);
}

static void an_answer_waits_for_what_came_before_it_and_no_longer(void **state)
{
    (void)state;
    logging l;
    open_logging(&l, 2, CONSISTENCY_ASYNC);
    hold(&l);
    uint64_t first = ask(&l.bench, bench_push(&l.bench, WIRE_PUSH, 0, 1, 1, 2));
    let_go(&l);
    uint64_t second = ask(&l.bench, bench_push(&l.bench, WIRE_PUSH, 1, 1, 1, 2));
    bench_expect(&l.bench, WIRE_ACK, first);
    bench_expect_nothing(&l.bench);
    let_go(&l);
    bench_expect(&l.bench, WIRE_ACK, second);
    close_logging(&l);
}

static void a_synchronous_push_that_is_acknowledged_survives_before_its_step_is_applied(void **state)
{
    (void)state;
    logging l;
    open_logging(&l, 2, CONSISTENCY_SYNC);
    uint64_t request = ask(&l.bench, bench_push(&l.bench, WIRE_PUSH, 0, 1, 1, 2));
    bench_expect(&l.bench, WIRE_ACK, request);
    restart(&l);
    bench_send(&l.bench, bench_hello(&l.bench, WIRE_WORKER, 0, 1));
    wire_message *welcome = bench_take(&l.bench, WIRE_WELCOME, 0);
    assert_int_equal(welcome->step, 0);
    assert_int_equal(welcome->held, 1);
    wire_destroy(&welcome);
    bench_join(&l.bench, WIRE_WORKER, 1);
    request = ask(&l.bench, bench_push(&l.bench, WIRE_PUSH_PULL, 1, 1, 1, 4));
    bench_expect_weights(&l.bench, request, 1, -3);
    close_logging(&l);
}

static void an_update_that_was_not_acknowledged_is_pushed_again(void **state)
{
    (void)state;
    logging l;
    open_logging(&l, 1, CONSISTENCY_ASYNC);
    hold(&l);
    ask(&l.bench, bench_push(&l.bench, WIRE_PUSH_PULL, 0, 1, 1, 2));
    bench_expect_nothing(&l.bench);
    restart(&l);
    bench_join(&l.bench, WIRE_WORKER, 0);
    uint64_t request = ask(&l.bench, bench_push(&l.bench, WIRE_PUSH_PULL, 0, 1, 1, 2));
    bench_expect_weights(&l.bench, request, 1, -2);
    close_logging(&l);
}

static void a_repeat_after_a_restart_is_answered_and_not_applied_again(void **state)
{
    (void)state;
    logging l;
    open_logging(&l, 1, CONSISTENCY_ASYNC);
    uint64_t request = ask(&l.bench, bench_push(&l.bench, WIRE_PUSH_PULL, 0, 1, 1, 2));
    bench_expect_weights(&l.bench, request, 1, -2);
    restart(&l);
    bench_join(&l.bench, WIRE_WORKER, 0);
    request = ask(&l.bench, bench_push(&l.bench, WIRE_PUSH_PULL, 0, 1, 1, 2));
    bench_expect_weights(&l.bench, request, 1, -2);
    assert_int_equal(shard_count(l.bench.shard)->repeats, 1);
    assert_int_equal(shard_count(l.bench.shard)->steps_applied, 0);
    assert_int_equal(shard_count(l.bench.shard)->examples_applied, 1);
    assert_int_equal(shard_version(l.bench.shard), 1);
    close_logging(&l);
}

static void half_a_gradient_is_still_there_after_a_restart(void **state)
{
    (void)state;
    logging l;
    open_job(&l, 1, 2048);
    l.bench.job.mode = CONSISTENCY_ASYNC;
    open_shard(&l, 1000);
    bench_join(&l.bench, WIRE_WORKER, 0);
    ask(&l.bench, bench_part(&l.bench, WIRE_PUSH_PULL, 0, 1, 1, 2, 0, 1));
    restart(&l);
    bench_send(&l.bench, bench_hello(&l.bench, WIRE_WORKER, 0, 1));
    wire_message *welcome = bench_take(&l.bench, WIRE_WELCOME, 0);
    assert_int_equal(welcome->held, 1);
    wire_destroy(&welcome);
    uint64_t request = ask(&l.bench, bench_part(&l.bench, WIRE_PUSH_PULL, 0, 1, 1, 2, 1, 1));
    bench_expect_weights(&l.bench, request, 1, -2);
    close_logging(&l);
}

static void a_worker_that_restarts_with_its_ps_begins_its_gradient_anew(void **state)
{
    (void)state;
    logging l;
    open_job(&l, 1, 2048);
    l.bench.job.mode = CONSISTENCY_ASYNC;
    open_shard(&l, 1000);
    bench_join(&l.bench, WIRE_WORKER, 0);
    ask(&l.bench, bench_part(&l.bench, WIRE_PUSH_PULL, 0, 1, 1, 2, 0, 1));
    restart(&l);
    bench_join_as(&l.bench, WIRE_WORKER, 0, 2);
    wire_message *m = bench_push(&l.bench, WIRE_PUSH_PULL, 0, 1, 3, 5);
    m->incarnation = 2;
    bench_expect_weights(&l.bench, ask(&l.bench, m), 1, -5);
    close_logging(&l);
}

static void who_was_replaced_before_a_restart_is_refused_after_it(void **state)
{
    (void)state;
    logging l;
    open_logging(&l, 1, CONSISTENCY_ASYNC);
    bench_join_as(&l.bench, WIRE_WORKER, 0, 2);
    restart(&l);
    bench_join_as(&l.bench, WIRE_WORKER, 0, 2);
    bench_refused(&l.bench, bench_hello(&l.bench, WIRE_WORKER, 0, 1), PS_EPEER,
                  "worker 0 has been replaced by a newer process under the same index");
    close_logging(&l);
}

static void an_image_is_kept_only_when_its_segment_is_durable(void **state)
{
    (void)state;
    logging l;
    open_job(&l, 1, 100);
    open_shard(&l, 1);
    bench_join(&l.bench, WIRE_WORKER, 0);
    hold(&l);
    ask(&l.bench, bench_push(&l.bench, WIRE_PUSH_PULL, 0, 1, 1, 2));
    shard_tick(l.bench.shard, l.bench.now_ms);
    assert_non_null(l.bench.shard->held_image);
    assert_true(l.archive->ops->is_idle(l.archive));
    let_go(&l);
    shard_tick(l.bench.shard, l.bench.now_ms);
    assert_null(l.bench.shard->held_image);
    while (!l.archive->ops->is_idle(l.archive))
        ;
    assert_int_equal(l.archive->ops->newest_kept(l.archive), 1);
    close_logging(&l);
}

static void a_log_that_does_not_keep_up_is_spoken_of(void **state)
{
    (void)state;
    logging l;
    log_capture c;
    open_logging(&l, 1, CONSISTENCY_ASYNC);
    log_setup("ps/0", LOG_INFO);
    log_capture_begin(&c);
    shard_tick(l.bench.shard, l.bench.now_ms);
    hold(&l);
    ask(&l.bench, bench_push(&l.bench, WIRE_PUSH, 0, 1, 1, 2));
    shard_tick(l.bench.shard, l.bench.now_ms + 1);
    shard_tick(l.bench.shard, l.bench.now_ms + 1 + SHARD_STALL_MS);
    log_capture_pause(&c);
    log_setup("test", LOG_OFF);
    assert_true(log_capture_has(&c, "answers wait for the log, which has not reached the disk for 5 s"));
    log_capture_end(&c);
    close_logging(&l);
}

static void a_shard_does_not_end_before_its_last_answer_may_leave(void **state)
{
    (void)state;
    logging l;
    open_job(&l, 1, 100);
    open_shard(&l, 1000);
    bench_join(&l.bench, WIRE_WORKER, 0);
    uint64_t finish = ask(&l.bench, bench_request(&l.bench, WIRE_FINISH, WIRE_WORKER, 0, 0, 0));
    bench_expect(&l.bench, WIRE_ACK, finish);
    hold(&l);
    wire_message *last = bench_request(&l.bench, WIRE_FINISH, WIRE_WORKER, 0, 0, 0);
    last->after_finish = true;
    finish = ask(&l.bench, last);
    assert_false(shard_finished(l.bench.shard));
    bench_expect_nothing(&l.bench);
    let_go(&l);
    bench_expect(&l.bench, WIRE_ACK, finish);
    assert_true(shard_finished(l.bench.shard));
    close_logging(&l);
}

static void change_members(logging *l, wire_type type, uint32_t worker)
{
    bench_send(&l->bench, bench_request(&l->bench, type, WIRE_WORKER, worker, 0, 0));
    wire_message *m;
    while ((m = shard_next(l->bench.shard, &l->bench.to)))
        wire_destroy(&m);
    l->bench.members_version = l->bench.shard->consistency.members.version;
}

static void open_shrinking(logging *l, consistency_mode mode, uint64_t image_steps)
{
    open_job(l, 2, 100);
    l->bench.job.on_worker_loss = LOSS_SHRINK;
    l->bench.job.mode = mode;
    open_shard(l, image_steps);
    for (uint32_t w = 0; w < 2; w++)
        bench_join(&l->bench, WIRE_WORKER, w);
}

static void push_and_expect(logging *l, uint64_t step)
{
    uint64_t request = ask(&l->bench, bench_push(&l->bench, WIRE_PUSH_PULL, 0, step, 1, 2));
    bench_expect_weights(&l->bench, request, step, -2 * (float)step);
}

static void who_takes_part_is_known_after_a_restart(void **state)
{
    (void)state;
    logging l;
    open_shrinking(&l, CONSISTENCY_SYNC, 1000);
    change_members(&l, WIRE_LEAVE, 1); /* from step 2 on */
    ask(&l.bench, bench_push(&l.bench, WIRE_PUSH, 1, 1, 1, 2));
    bench_expect(&l.bench, WIRE_ACK, l.bench.request);
    push_and_expect(&l, 1);
    for (int life = 0; life < 2; life++) { /* by the record, and carried over */
        restart(&l);
        assert_int_equal(l.bench.shard->consistency.members.version, 0); /* it has no job yet */
        bench_send(&l.bench, bench_hello(&l.bench, WIRE_WORKER, 0, 1));
        wire_message *welcome = bench_take(&l.bench, WIRE_WELCOME, 0);
        assert_int_equal(welcome->members_version, l.bench.members_version);
        wire_destroy(&welcome);
        push_and_expect(&l, 2 + (uint64_t)life);
        shard_take_last_image(l.bench.shard);
    }
    close_logging(&l);
}

/* Who was ahead of one that was given up had been allowed to. */
static void a_log_is_read_again_in_which_nobody_waited_for_one_that_was_given_up(void **state)
{
    (void)state;
    logging l;
    open_shrinking(&l, CONSISTENCY_SSP, 1000); /* a staleness of 0 */
    shard_give_up(l.bench.shard, 1, 1000);
    for (uint64_t step = 1; step <= 3; step++)
        push_and_expect(&l, step);
    restart(&l);
    bench_join(&l.bench, WIRE_WORKER, 0);
    assert_int_equal(shard_version(l.bench.shard), 3);
    close_logging(&l);
}

int main(void)
{
    log_setup("test", LOG_OFF);
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(a_push_is_answered_once_it_is_durable),
        FOLDER_TEST(while_the_log_stands_still_few_of_the_same_questions_are_answered),
        FOLDER_TEST(a_pull_that_would_show_an_update_waits_for_it),
        FOLDER_TEST(an_answer_waits_for_what_came_before_it_and_no_longer),
        FOLDER_TEST(a_synchronous_push_that_is_acknowledged_survives_before_its_step_is_applied),
        FOLDER_TEST(an_update_that_was_not_acknowledged_is_pushed_again),
        FOLDER_TEST(a_repeat_after_a_restart_is_answered_and_not_applied_again),
        FOLDER_TEST(half_a_gradient_is_still_there_after_a_restart),
        FOLDER_TEST(a_worker_that_restarts_with_its_ps_begins_its_gradient_anew),
        FOLDER_TEST(who_takes_part_is_known_after_a_restart),
        FOLDER_TEST(a_log_is_read_again_in_which_nobody_waited_for_one_that_was_given_up),
        FOLDER_TEST(who_was_replaced_before_a_restart_is_refused_after_it),
        FOLDER_TEST(an_image_is_kept_only_when_its_segment_is_durable),
        FOLDER_TEST(a_log_that_does_not_keep_up_is_spoken_of),
        FOLDER_TEST(a_shard_does_not_end_before_its_last_answer_may_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
