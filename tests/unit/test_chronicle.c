/* What a ps remembers of a training, of views that the test makes up: ps/chronicle. */
#include "ps/chronicle.h"

#include <math.h>
#include <string.h>

#include "ps/ps_metrics.h"
#include "tests/unit/job_sample.h"
#include "tests/unit/printed_json.h"

typedef struct {
    chronicle *c;
    metrics *counted;
    job_config job;
    shard_view view;
    member_view workers[2];
    uint64_t now_ms;
} scene;

static void open_scene(scene *s)
{
    memset(s, 0, sizeof *s);
    s->c = chronicle_create();
    s->counted = ps_metrics_create();
    assert_non_null(s->c);
    assert_non_null(s->counted);
    job_sample(&s->job, 1, 2, 100);
    s->view.job = &s->job;
    s->view.workers = s->workers;
    s->workers[0].incarnation = s->workers[1].incarnation = 1;
    s->now_ms = 1000;
}

static void close_scene(scene *s)
{
    chronicle_destroy(&s->c);
    metrics_destroy(&s->counted);
    job_fini(&s->job);
}

static void note(scene *s, uint64_t ms)
{
    s->now_ms += ms;
    chronicle_note(s->c, &s->view, s->counted, s->now_ms, 5000000 + s->now_ms);
}

/* So many more steps of `worker`, of 10 rows and so many ms each, with that loss. */
static void work(scene *s, uint32_t worker, uint64_t steps, uint64_t ms, double loss)
{
    member_view *m = &s->workers[worker];
    worker_figures *f = &m->figures;
    m->figures_count++;
    f->step += steps;
    f->steps += steps;
    f->examples += 10 * steps;
    f->correct += 5 * steps;
    f->loss_sum += 10 * (double)steps * loss;
    f->step_ns += steps * ms * 1000000;
    f->compute_ns += steps * ms * 750000;
    f->wait_ns += steps * ms * 250000;
    f->last_step = 100;
}

static void apply(scene *s, uint64_t updates, uint64_t ms)
{
    s->view.version += updates;
    s->view.counters.examples_applied += 20 * updates;
    for (uint64_t i = 0; i < updates; i++)
        metrics_observe(s->counted, PS_METRIC_APPLY, 0, ms * 1000000);
}

static json *print(const scene *s, void print_part(const chronicle *c, json_writer *w))
{
    printed_json p;
    json_writer w = {.out = printed_json_begin(&p)};
    json_open(&w, NULL, '{');
    print_part(s->c, &w);
    json_close(&w, '}');
    return printed_json_end(&p);
}

static void loss_is_the_mean_over_the_rows_of_all_workers(void **state)
{
    (void)state;
    scene s;
    open_scene(&s);
    work(&s, 0, 30, 4, 1.0);
    work(&s, 1, 10, 4, 2.0);
    apply(&s, 10, 3);
    note(&s, 2000);
    const chronicle_progress now = chronicle_tell(s.c);
    assert_true(fabs(now.loss - 1.25) < 1e-12);
    assert_true(fabs(now.accuracy - 0.5) < 1e-12);
    assert_true(fabs(now.apply_ms - 3) < 1e-12);
    assert_int_equal(now.steps, 100);
    close_scene(&s);
}

static void times_of_a_step_are_means_since_the_message_before(void **state)
{
    (void)state;
    scene s;
    open_scene(&s);
    work(&s, 0, 10, 100, 1);
    note(&s, 1000);
    work(&s, 0, 20, 4, 1);
    note(&s, 500);
    note(&s, 500); /* no message since: nothing changes */
    const chronicle_pace pace = chronicle_tell_worker(s.c, 0);
    assert_true(fabs(pace.step_ms - 4) < 1e-9);
    assert_true(fabs(pace.compute_ms - 3) < 1e-9);
    assert_true(fabs(pace.wait_ms - 1) < 1e-9);
    assert_true(fabs(pace.examples_per_s - 20 * 10 / 0.5) < 1e-9);
    assert_true(isnan(chronicle_tell_worker(s.c, 1).step_ms));
    close_scene(&s);
}

static void a_worker_that_restarts_counts_from_nothing(void **state)
{
    (void)state;
    scene s;
    open_scene(&s);
    work(&s, 0, 50, 10, 1);
    apply(&s, 1, 1);
    note(&s, 1000);
    s.workers[0] = (member_view){.incarnation = 2};
    work(&s, 0, 5, 20, 3);
    apply(&s, 1, 1);
    note(&s, 1000);
    assert_true(fabs(chronicle_tell_worker(s.c, 0).step_ms - 20) < 1e-9);
    assert_true(fabs(chronicle_tell(s.c).loss - 3) < 1e-12);
    close_scene(&s);
}

static void speed_and_time_left_are_those_of_the_last_seconds(void **state)
{
    (void)state;
    scene s;
    open_scene(&s);
    work(&s, 0, 1, 1, 1);
    s.workers[0].figures.last_step = 1000;
    for (int i = 0; i < 100; i++) { /* slow, then fast */
        apply(&s, i < 50 ? 1 : 2, 1);
        note(&s, 200);
    }
    const chronicle_progress now = chronicle_tell(s.c);
    assert_true(fabs(now.steps_per_s - 10) < 1e-9);
    assert_true(fabs(now.examples_per_s - 200) < 1e-9);
    assert_true(fabs(now.eta_s - 85) < 1e-9); /* 150 of 1000 are done */
    s.view.version = 10;                      /* back to a checkpoint */
    s.view.counters.examples_applied = 200;
    note(&s, 200);
    apply(&s, 1, 1);
    note(&s, 1000);
    assert_true(fabs(chronicle_tell(s.c).steps_per_s - 1) < 1e-9);
    close_scene(&s);
}

static void history_is_bounded_and_spans_the_whole(void **state)
{
    (void)state;
    scene s;
    open_scene(&s);
    for (int i = 0; i < 3 * CHRONICLE_POINTS_MAX; i++) {
        apply(&s, 1, 1);
        note(&s, CHRONICLE_POINT_MS);
    }
    json *root = print(&s, chronicle_print_history);
    const json *history = json_find(root, "history"), *points = json_find(history, "points");
    int64_t interval_ms = 0, step = 0;
    assert_true(json_count(points) <= CHRONICLE_POINTS_MAX);
    assert_true(json_count(points) >= CHRONICLE_POINTS_MAX / 2);
    assert_int_equal(
        json_as_integer(json_find(history, "interval_ms"), "interval_ms", 0, 1 << 30, &interval_ms, NULL),
        PS_OK);
    assert_int_equal(interval_ms, 4 * CHRONICLE_POINT_MS);
    const json *second = json_next(json_first(json_first(points)));
    assert_int_equal(json_as_integer(second, "step", 0, 1 << 30, &step, NULL), PS_OK);
    assert_in_range(step, 1, 4);
    json_free(&root);
    close_scene(&s);
}

static void a_test_is_remembered_once(void **state)
{
    (void)state;
    scene s;
    open_scene(&s);
    work(&s, 0, 1, 1, 1);
    assert_false(chronicle_tell(s.c).tested);
    s.workers[0].figures.tests = 1;
    s.workers[0].figures.test_step = 40;
    s.workers[0].figures.test_accuracy = 0.75;
    note(&s, 500);
    work(&s, 0, 1, 1, 1);
    note(&s, 500);
    assert_true(chronicle_tell(s.c).tested);
    assert_int_equal(chronicle_tell(s.c).test_step, 40);
    json *root = print(&s, chronicle_print_tests);
    assert_int_equal(json_count(json_find(json_find(root, "tests"), "points")), 1);
    json_free(&root);
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_is_the_mean_over_the_rows_of_all_workers),
        cmocka_unit_test(times_of_a_step_are_means_since_the_message_before),
        cmocka_unit_test(a_worker_that_restarts_counts_from_nothing),
        cmocka_unit_test(speed_and_time_left_are_those_of_the_last_seconds),
        cmocka_unit_test(history_is_bounded_and_spans_the_whole),
        cmocka_unit_test(a_test_is_remembered_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
