/* Leases, deadlines and early endings of a shard: ps/shard_liveness and ps/shard_wind_up. */
#include "common/log.h"
#include "tests/unit/log_capture.h"
#include "tests/unit/shard_bench.h"

enum { LEASE_MS = 8000, TICK_MS = 500 };

static void open_watched(shard_bench *b, uint32_t workers, loss_policy policy)
{
    bench_open(b, 1, workers, 100);
    b->job.on_worker_loss = policy;
    b->job.grace_ms = 3000;
    b->config.lease_ms = LEASE_MS;
    bench_reopen(b);
    shard_tick(b->shard, b->now_ms);
    for (uint32_t w = 0; w < workers; w++)
        bench_join(b, WIRE_WORKER, w);
}

/* Ticks as the daemon does, `ms` long. */
static void pass(shard_bench *b, uint64_t ms)
{
    for (uint64_t end = b->now_ms + ms; b->now_ms < end;) {
        b->now_ms += TICK_MS;
        shard_tick(b->shard, b->now_ms);
    }
}

static void beat(shard_bench *b, uint32_t worker, uint64_t incarnation)
{
    wire_message *m = bench_request(b, WIRE_HEARTBEAT, WIRE_WORKER, worker, 0, 0);
    m->incarnation = incarnation;
    bench_send(b, m);
}

static void pass_while_beating(shard_bench *b, uint64_t ms, uint32_t worker)
{
    for (uint64_t end = b->now_ms + ms; b->now_ms < end;) {
        beat(b, worker, 1);
        pass(b, LEASE_MS / 4);
    }
}

/* What PENDING says to a worker that has pushed a step and asks. */
static void expect_pending(shard_bench *b, uint64_t request, const char *text)
{
    wire_message *query = bench_request(b, WIRE_QUERY, WIRE_WORKER, 0, 0, 0);
    query->request = request;
    bench_send(b, query);
    bench_expect_text(b, WIRE_PENDING, request, PS_OK, text);
}

static uint64_t push_of_worker_0(shard_bench *b)
{
    wire_message *push = bench_push(b, WIRE_PUSH_PULL, 0, 1, 8, 1);
    uint64_t request = push->request;
    bench_send(b, push);
    return request;
}

static void expect_beats_every(uint32_t lease_ms, uint32_t heartbeat_ms)
{
    shard_bench b;
    bench_open(&b, 1, 1, 100);
    b.config.lease_ms = lease_ms;
    bench_reopen(&b);
    bench_prepare(&b);
    bench_send(&b, bench_hello(&b, WIRE_WORKER, 0, 1));
    wire_message *welcome = bench_take(&b, WIRE_WELCOME, 0);
    assert_int_equal(welcome->heartbeat_ms, heartbeat_ms);
    wire_destroy(&welcome);
    bench_close(&b);
}

static void welcome_says_how_often_to_give_a_sign_of_life(void **state)
{
    (void)state;
    expect_beats_every(1000, 1000 / SHARD_HEARTBEATS_PER_LEASE);
    expect_beats_every(LEASE_MS, SHARD_HEARTBEAT_MAX_MS);
    expect_beats_every(0, 0);
}

static void worker_without_a_sign_of_life_is_lost_and_found_again(void **state)
{
    (void)state;
    shard_bench b;
    open_watched(&b, 2, LOSS_WAIT);
    uint64_t request = push_of_worker_0(&b);
    pass_while_beating(&b, LEASE_MS - 2000, 0);
    expect_pending(&b, request, "step 1 waits for worker 1");
    pass_while_beating(&b, 4000, 0);
    expect_pending(&b, request, "step 1 waits for worker 1 (lost)");
    beat(&b, 1, 1);
    expect_pending(&b, request, "step 1 waits for worker 1");
    bench_expect_nothing(&b);
    bench_close(&b);
}

static void losses_are_logged_once(void **state)
{
    (void)state;
    shard_bench b;
    log_capture c;
    log_setup("ps/0", LOG_INFO);
    open_watched(&b, 2, LOSS_WAIT);
    log_capture_begin(&c);
    pass_while_beating(&b, (uint64_t)3 * LEASE_MS, 0);
    beat(&b, 1, 1);
    log_capture_pause(&c);
    assert_true(log_capture_has(&c, "worker 1 has not been heard of for 8 s: it is lost, or cut off"));
    assert_true(log_capture_has(&c, "worker 1 is heard of again, after 24 s"));
    assert_false(log_capture_has(&c, "lost, or cut off"));
    log_capture_end(&c);
    log_setup("test", LOG_OFF);
    bench_close(&b);
}

static void heartbeats_of_others_are_no_sign_of_life(void **state)
{
    (void)state;
    shard_bench b;
    open_watched(&b, 2, LOSS_WAIT);
    uint64_t request = push_of_worker_0(&b);
    for (int i = 0; i < 6; i++) {
        beat(&b, 0, 1);
        beat(&b, 1, 2); /* an incarnation that has not joined */
        beat(&b, 7, 1); /* a worker that the job has not */
        wire_message *foreign = bench_request(&b, WIRE_HEARTBEAT, WIRE_WORKER, 1, 0, 0);
        foreign->job++;
        bench_send(&b, foreign);
        pass(&b, LEASE_MS / 4);
    }
    expect_pending(&b, request, "step 1 waits for worker 1 (lost)");
    assert_int_equal(shard_count(b.shard)->messages_refused, 0);
    bench_close(&b);
}

static void shard_that_slept_judges_nobody(void **state)
{
    (void)state;
    shard_bench b;
    open_watched(&b, 2, LOSS_FAIL);
    uint64_t request = push_of_worker_0(&b);
    b.now_ms += 100 * LEASE_MS; /* stopped, or its host was */
    shard_tick(b.shard, b.now_ms);
    expect_pending(&b, request, "step 1 waits for worker 1");
    assert_int_equal(shard_failure(b.shard, NULL), PS_OK);
    bench_close(&b);
}

static void lost_worker_ends_the_job_after_its_grace(void **state)
{
    (void)state;
    shard_bench b;
    ps_error why;
    open_watched(&b, 2, LOSS_FAIL);
    uint64_t request = push_of_worker_0(&b);
    pass_while_beating(&b, LEASE_MS + 2000, 0);
    assert_int_equal(shard_failure(b.shard, NULL), PS_OK);
    pass(&b, 1000);
    assert_int_equal(shard_failure(b.shard, &why), PS_EPEER);
    assert_string_equal(why.text, "worker 1 has not been heard of for 11 s (--on-worker-loss fail)");
    bench_expect_text(&b, WIRE_ERROR, request, PS_EPEER, why.text);
    bench_close(&b);
}

static void worker_that_has_finished_need_not_be_heard_of(void **state)
{
    (void)state;
    shard_bench b;
    open_watched(&b, 2, LOSS_FAIL);
    wire_message *finish = bench_request(&b, WIRE_FINISH, WIRE_WORKER, 1, 0, 0);
    uint64_t request = finish->request;
    bench_send(&b, finish);
    bench_expect(&b, WIRE_ACK, request);
    pass_while_beating(&b, (uint64_t)4 * LEASE_MS, 0);
    assert_int_equal(shard_failure(b.shard, NULL), PS_OK);
    bench_close(&b);
}

/* ---- deadlines ---- */

static void deadline_without_a_job_names_who_is_missing(void **state)
{
    (void)state;
    shard_bench b;
    ps_error why;
    bench_open(&b, 1, 2, 100);
    b.config.deadline_ms = 4000;
    bench_reopen(&b);
    pass(&b, 4000);
    assert_int_equal(shard_failure(b.shard, NULL), PS_OK);
    pass(&b, 500);
    assert_int_equal(shard_failure(b.shard, &why), PS_EPEER);
    assert_string_equal(why.text, "nothing has moved for 4 s (--deadline): no worker has joined");
    bench_close(&b);
}

static void deadline_as_short_as_two_ticks_is_kept(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 2, 100);
    b.config.deadline_ms = 2 * TICK_MS;
    bench_reopen(&b);
    pass(&b, 3 * TICK_MS);
    assert_int_equal(shard_failure(b.shard, NULL), PS_EPEER);
    bench_close(&b);
}

static void deadline_begins_anew_with_every_update(void **state)
{
    (void)state;
    shard_bench b;
    ps_error why;
    bench_open(&b, 1, 2, 100);
    b.config.deadline_ms = 4000;
    bench_reopen(&b);
    shard_tick(b.shard, b.now_ms);
    bench_join(&b, WIRE_WORKER, 0);
    pass(&b, 3000);
    bench_join(&b, WIRE_WORKER, 1);
    pass(&b, 3000);
    bench_send(&b, bench_push(&b, WIRE_PUSH, 0, 1, 8, 1));
    bench_send(&b, bench_push(&b, WIRE_PUSH, 1, 1, 8, 1));
    wire_message *m;
    while ((m = shard_next(b.shard, &b.to)))
        wire_destroy(&m);
    pass(&b, 3500);
    assert_int_equal(shard_failure(b.shard, NULL), PS_OK);
    wire_message *push = bench_push(&b, WIRE_PUSH_PULL, 0, 2, 8, 1);
    uint64_t request = push->request;
    bench_send(&b, push);
    pass(&b, 1000);
    assert_int_equal(shard_failure(b.shard, &why), PS_EPEER);
    assert_string_equal(why.text, "nothing has moved for 4 s (--deadline): step 2 waits for worker 1");
    bench_expect_text(&b, WIRE_ERROR, request, PS_EPEER, why.text);
    bench_close(&b);
}

/* ---- winding up ---- */

static void step_under_way_is_completed_but_not_answered(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 2);
    uint64_t request = push_of_worker_0(&b);
    shard_wind_up(b.shard, b.now_ms);
    assert_false(shard_is_wound_up(b.shard));
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 1, 1, 8, 1));
    assert_int_equal(shard_count(b.shard)->steps_applied, 1);
    assert_true(shard_is_wound_up(b.shard));
    bench_expect_nothing(&b);
    expect_pending(&b, request, "this ps has been told to end, and goes on when it is started again");
    bench_close(&b);
}

static void no_step_is_applied_after_the_one_under_way(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 1);
    shard_wind_up(b.shard, b.now_ms);
    bench_send(&b, bench_push(&b, WIRE_PUSH, 0, 1, 8, 1));
    bench_send(&b, bench_push(&b, WIRE_PUSH, 0, 2, 8, 1));
    assert_int_equal(shard_count(b.shard)->steps_applied, 1);
    bench_close(&b);
}

static void pushes_that_come_after_the_end_are_left_for_the_next_life(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 1, 100);
    b.job.mode = CONSISTENCY_ASYNC;
    bench_join(&b, WIRE_WORKER, 0);
    shard_wind_up(b.shard, b.now_ms);
    bench_send(&b, bench_push(&b, WIRE_PUSH, 0, 1, 8, 1));
    bench_send(&b, bench_push(&b, WIRE_PUSH, 0, 2, 8, 1));
    bench_expect_nothing(&b);
    assert_int_equal(shard_count(b.shard)->messages_refused, 0);
    assert_int_equal(shard_count(b.shard)->steps_applied, 0);
    bench_close(&b);
}

static void step_whose_gradients_do_not_come_is_abandoned(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 2);
    push_of_worker_0(&b);
    shard_tick(b.shard, b.now_ms);
    shard_wind_up(b.shard, b.now_ms);
    pass(&b, SHARD_WIND_UP_MS - TICK_MS);
    assert_false(shard_is_wound_up(b.shard));
    pass(&b, TICK_MS);
    assert_true(shard_is_wound_up(b.shard));
    assert_int_equal(shard_count(b.shard)->steps_applied, 0);
    bench_close(&b);
}

static void nobody_is_judged_by_a_shard_that_winds_up(void **state)
{
    (void)state;
    shard_bench b;
    open_watched(&b, 2, LOSS_FAIL);
    push_of_worker_0(&b);
    shard_wind_up(b.shard, b.now_ms);
    pass(&b, (uint64_t)4 * LEASE_MS);
    assert_int_equal(shard_failure(b.shard, NULL), PS_OK);
    bench_expect_nothing(&b);
    bench_close(&b);
}

static void deadline_does_not_end_a_shard_that_winds_up(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 2, 100);
    b.config.deadline_ms = 4000;
    bench_reopen(&b);
    shard_tick(b.shard, b.now_ms);
    for (uint32_t w = 0; w < 2; w++)
        bench_join(&b, WIRE_WORKER, w);
    push_of_worker_0(&b);
    shard_wind_up(b.shard, b.now_ms);
    pass(&b, 10000);
    assert_int_equal(shard_failure(b.shard, NULL), PS_OK);
    bench_expect_nothing(&b);
    bench_close(&b);
}

static void shard_without_a_job_ends_at_once(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 2, 100);
    shard_wind_up(b.shard, b.now_ms);
    assert_true(shard_is_wound_up(b.shard));
    bench_close(&b);
}

int main(void)
{
    log_setup("test", LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(welcome_says_how_often_to_give_a_sign_of_life),
        cmocka_unit_test(worker_without_a_sign_of_life_is_lost_and_found_again),
        cmocka_unit_test(losses_are_logged_once),
        cmocka_unit_test(heartbeats_of_others_are_no_sign_of_life),
        cmocka_unit_test(shard_that_slept_judges_nobody),
        cmocka_unit_test(lost_worker_ends_the_job_after_its_grace),
        cmocka_unit_test(worker_that_has_finished_need_not_be_heard_of),
        cmocka_unit_test(deadline_without_a_job_names_who_is_missing),
        cmocka_unit_test(deadline_as_short_as_two_ticks_is_kept),
        cmocka_unit_test(deadline_begins_anew_with_every_update),
        cmocka_unit_test(step_under_way_is_completed_but_not_answered),
        cmocka_unit_test(no_step_is_applied_after_the_one_under_way),
        cmocka_unit_test(pushes_that_come_after_the_end_are_left_for_the_next_life),
        cmocka_unit_test(step_whose_gradients_do_not_come_is_abandoned),
        cmocka_unit_test(nobody_is_judged_by_a_shard_that_winds_up),
        cmocka_unit_test(deadline_does_not_end_a_shard_that_winds_up),
        cmocka_unit_test(shard_without_a_job_ends_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
