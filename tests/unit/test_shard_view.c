/* What a shard counts and shows, against counts that the test keeps itself: ps/shard_view, ps/ps_metrics. */
#include "ps/shard_view.h"

#include "common/log.h"
#include "ps/ps_metrics.h"
#include "tests/unit/shard_bench.h"

enum { ELEMENTS = 100, LEASE_MS = 1000 };

typedef struct {
    shard_bench b;
    metrics *counted;
    shard_view view;
} scene;

static void open_scene(scene *s, uint32_t workers, consistency_mode mode)
{
    memset(s, 0, sizeof *s);
    s->counted = ps_metrics_create();
    assert_non_null(s->counted);
    bench_open(&s->b, 2, workers, ELEMENTS);
    s->b.job.mode = mode;
    s->b.job.servers = 1;
    s->b.config.counted = s->counted;
    s->b.config.lease_ms = LEASE_MS;
    bench_reopen(&s->b);
    shard_tell_http(s->b.shard, "127.0.0.1:1");
}

static void close_scene(scene *s)
{
    shard_view_fini(&s->view);
    bench_close(&s->b);
    metrics_destroy(&s->counted);
}

static const shard_view *look(scene *s)
{
    assert_int_equal(shard_view_take(s->b.shard, &s->view, s->b.now_ms), PS_OK);
    return &s->view;
}

static void push(scene *s, wire_type type, uint32_t worker, uint64_t step)
{
    bench_send(&s->b, bench_push(&s->b, type, worker, step, 8, 1));
}

static void drain(scene *s)
{
    for (wire_message *m; (m = shard_next(s->b.shard, &s->b.to)); wire_destroy(&m))
        ;
}

static void a_shard_without_a_job_shows_nothing(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, 1, CONSISTENCY_SYNC);
    assert_null(look(&s)->job);
    close_scene(&s);
}

static void bytes_and_pushes_are_those_that_were_sent(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, 2, CONSISTENCY_SYNC);
    bench_join(&s.b, WIRE_WORKER, 0);
    bench_join(&s.b, WIRE_WORKER, 1);
    for (uint64_t step = 1; step <= 5; step++) {
        push(&s, WIRE_PUSH_PULL, 0, step);
        s.b.now_ms += 30;
        push(&s, WIRE_PUSH_PULL, 1, step);
        drain(&s);
    }
    push(&s, WIRE_PUSH_PULL, 1, 5); /* a repeat: its bytes came, its gradient counts once */
    drain(&s);
    assert_int_equal(shard_count(s.b.shard)->pushes, 10);
    assert_int_equal(shard_count(s.b.shard)->repeats, 1);
    assert_int_equal(metrics_value(s.counted, PS_METRIC_BYTES_RECEIVED, CODEC_FP32 - 1), 11 * ELEMENTS * 4);
    assert_int_equal(metrics_value(s.counted, PS_METRIC_BYTES_SENT, CODEC_FP32 - 1), 11 * ELEMENTS * 4);
    uint64_t waited_ms;
    assert_int_equal(metrics_observed(s.counted, PS_METRIC_WAIT, 0, &waited_ms), 10);
    assert_int_equal(waited_ms, 5 * 30); /* worker 0 for worker 1 */
    close_scene(&s);
}

static void synchronous_gradients_are_not_stale(void **state)
{
    (void)state;
    scene s;
    uint64_t sum;
    open_scene(&s, 1, CONSISTENCY_SYNC);
    bench_join(&s.b, WIRE_WORKER, 0);
    bench_send(&s.b, bench_pull(&s.b, WIRE_WORKER, 0, 0));
    for (uint64_t step = 1; step <= 4; step++)
        push(&s, WIRE_PUSH_PULL, 0, step);
    drain(&s);
    assert_int_equal(metrics_observed(s.counted, PS_METRIC_STALENESS, 0, &sum), 4);
    assert_int_equal(sum, 0);
    assert_true(look(&s)->workers[0].has_staleness);
    assert_int_equal(s.view.workers[0].staleness, 0);
    close_scene(&s);
}

/* Worker 0 pulls, then worker 1 has 3 updates applied, then worker 0 pushes. */
static void asynchronous_staleness_is_the_updates_between(void **state)
{
    (void)state;
    scene s;
    uint64_t sum;
    open_scene(&s, 2, CONSISTENCY_ASYNC);
    bench_join(&s.b, WIRE_WORKER, 0);
    bench_join(&s.b, WIRE_WORKER, 1);
    bench_send(&s.b, bench_pull(&s.b, WIRE_WORKER, 0, 0));
    bench_send(&s.b, bench_pull(&s.b, WIRE_WORKER, 1, 0));
    for (uint64_t step = 1; step <= 3; step++)
        push(&s, WIRE_PUSH_PULL, 1, step);
    push(&s, WIRE_PUSH_PULL, 0, 1);
    drain(&s);
    const shard_view *view = look(&s);
    assert_int_equal(view->workers[0].staleness, 3);
    assert_int_equal(view->workers[1].staleness, 0);
    assert_int_equal(metrics_observed(s.counted, PS_METRIC_STALENESS, 0, &sum), 4);
    assert_int_equal(sum, 3);
    assert_int_equal(view->workers[0].behind, 2);
    assert_int_equal(view->workers[1].behind, 0);
    assert_int_equal(view->version, 4);
    close_scene(&s);
}

static void the_view_says_who_waits_for_whom(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, 3, CONSISTENCY_SYNC);
    bench_join(&s.b, WIRE_WORKER, 0);
    bench_join(&s.b, WIRE_WORKER, 1);
    push(&s, WIRE_PUSH_PULL, 1, 1);
    s.b.now_ms += 70;
    const shard_view *view = look(&s);
    assert_int_equal(view->wait_count, 1);
    assert_int_equal(view->open_requests, 1);
    const wait_view *wait = &view->waits[0];
    assert_int_equal(wait->worker, 1);
    assert_int_equal(wait->step, 1);
    assert_int_equal(wait->since_ms, 70);
    assert_int_equal(wait->awaited_count, 2);
    assert_int_equal(wait->awaited[0], 0);
    assert_int_equal(wait->awaited[1], 2);
    assert_string_equal(wait->text, "step 1 waits for worker 0, worker 2 (not joined)");
    assert_int_equal(view->workers[0].state, MEMBER_TRAINING);
    assert_int_equal(view->workers[1].state, MEMBER_WAITING);
    assert_int_equal(view->workers[2].state, MEMBER_ABSENT);
    close_scene(&s);
}

static void beat(scene *s, uint32_t worker, const worker_figures *figures)
{
    wire_message *m = bench_request(&s->b, WIRE_HEARTBEAT, WIRE_WORKER, worker, 0, 0);
    wire_set_figures(m, figures);
    bench_send(&s->b, m);
}

static void figures_of_heartbeats_are_shown(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, 1, CONSISTENCY_SYNC);
    s.b.job.servers = 2;
    bench_join(&s.b, WIRE_WORKER, 0);
    const worker_figures told = {.step = 9, .device = "cpu", .server = 1, .server_http = "127.0.0.1:7"};
    worker_figures liar = told;
    assert_int_equal(look(&s)->workers[0].figures_count, 0);
    beat(&s, 0, &told);
    assert_int_equal(look(&s)->workers[0].figures_count, 1);
    assert_int_equal(s.view.workers[0].figures.step, 9);
    assert_string_equal(s.view.workers[0].figures.device, "cpu");
    assert_string_equal(s.view.server_http[0], "127.0.0.1:1");
    assert_string_equal(s.view.server_http[1], "127.0.0.1:7");
    liar.server = 2; /* there is none */
    beat(&s, 0, &liar);
    liar.server = 0; /* this one knows better */
    beat(&s, 0, &liar);
    assert_string_equal(look(&s)->server_http[0], "127.0.0.1:1");
    close_scene(&s);
}

static void the_last_figures_are_those_of_the_end(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, 2, CONSISTENCY_SYNC);
    bench_join(&s.b, WIRE_WORKER, 0);
    bench_join(&s.b, WIRE_WORKER, 1);
    beat(&s, 0, &(worker_figures){.step = 8});
    wire_message *m = bench_request(&s.b, WIRE_FINISH, WIRE_WORKER, 0, 0, 1);
    wire_set_figures(m, &(worker_figures){.step = 9});
    bench_send(&s.b, m);
    assert_int_equal(look(&s)->workers[0].figures.step, 9);
    beat(&s, 0, &(worker_figures){.step = 8}); /* one that was overtaken */
    assert_int_equal(look(&s)->workers[0].figures.step, 9);
    close_scene(&s);
}

static void faults_are_counted(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, 2, CONSISTENCY_SYNC);
    bench_join(&s.b, WIRE_WORKER, 0);
    bench_join(&s.b, WIRE_WORKER, 1);
    for (int i = 0; i < 4; i++) {
        shard_tick(s.b.shard, s.b.now_ms += LEASE_MS / 3);
        beat(&s, 0, &(worker_figures){0});
    }
    assert_int_equal(look(&s)->workers[1].state, MEMBER_LOST);
    assert_int_equal(s.view.counters.members_lost, 1);
    beat(&s, 1, &(worker_figures){0});
    assert_int_equal(look(&s)->counters.members_returned, 1);
    assert_int_equal(s.view.workers[1].state, MEMBER_TRAINING);
    bench_send(&s.b, bench_hello(&s.b, WIRE_WORKER, 1, 2));
    drain(&s);
    assert_int_equal(look(&s)->counters.members_restarted, 1);
    assert_int_equal(s.view.workers[1].restarts, 1);
    assert_int_equal(s.view.workers[0].restarts, 0);
    assert_int_equal(s.view.workers[1].figures_count, 0); /* the new one has told nothing */
    close_scene(&s);
}

static void welcome_says_where_a_ps_shows_itself(void **state)
{
    (void)state;
    scene s;
    open_scene(&s, 1, CONSISTENCY_SYNC);
    bench_prepare(&s.b);
    bench_send(&s.b, bench_hello(&s.b, WIRE_WORKER, 0, 1));
    wire_message *welcome = bench_take(&s.b, WIRE_WELCOME, 0);
    assert_string_equal(welcome->text, "127.0.0.1:1");
    wire_destroy(&welcome);
    close_scene(&s);
}

int main(void)
{
    log_setup("test", LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shard_without_a_job_shows_nothing),
        cmocka_unit_test(bytes_and_pushes_are_those_that_were_sent),
        cmocka_unit_test(synchronous_gradients_are_not_stale),
        cmocka_unit_test(asynchronous_staleness_is_the_updates_between),
        cmocka_unit_test(the_view_says_who_waits_for_whom),
        cmocka_unit_test(figures_of_heartbeats_are_shown),
        cmocka_unit_test(the_last_figures_are_those_of_the_end),
        cmocka_unit_test(faults_are_counted),
        cmocka_unit_test(welcome_says_where_a_ps_shows_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
