/* What a worker counts of its steps, against what the test keeps itself: worker/performance. */
#include "worker/performance.h"

#include <math.h>
#include <string.h>

#include "common/clock.h"
#include "tests/unit/printed_json.h"

typedef struct {
    cluster_spec none; /* training alone */
    performance *p;
    ps_client *client; /* that has joined nobody */
} scene;

static void open_scene(scene *s)
{
    ps_client_options options;
    memset(s, 0, sizeof *s);
    s->p = performance_create(&s->none, true);
    assert_non_null(s->p);
    ps_client_options_init(&options);
    assert_int_equal(ps_connect(&s->none, &options, &s->client, NULL), PS_OK);
    ps_client_options_fini(&options);
}

static void close_scene(scene *s)
{
    ps_close(&s->client);
    performance_destroy(&s->p);
}

/* A step that has taken `ns` by now, half of it waiting, a quarter each pushing and computing. */
static void do_step(scene *s, uint64_t step, uint64_t ns)
{
    const uint64_t now_ns = clock_monotonic_ns();
    performance_add(s->p, PHASE_WAIT, now_ns - ns / 2);
    performance_add(s->p, PHASE_PUSH, now_ns - ns / 4);
    const performance_step done = {.begun_ns = now_ns - ns,
                                   .pushed = step,
                                   .over = step - 1,
                                   .examples_total = 100 * step,
                                   .epoch = (double)step / 10,
                                   .rows = 50,
                                   .correct = 20,
                                   .loss_sum = 25};
    performance_end_step(s->p, &done, s->client);
}

static void figures_are_the_sums_of_all_steps(void **state)
{
    (void)state;
    scene s;
    worker_figures f;
    open_scene(&s);
    performance_set_goal(s.p, 0, 1000, 10);
    for (uint64_t step = 1; step <= 200; step++)
        do_step(&s, step, 4000000000);
    performance_tell(s.p, &f);
    assert_int_equal(f.steps, 200);
    assert_int_equal(f.step, 199);
    assert_int_equal(f.last_step, 1000);
    assert_int_equal(f.examples, 200 * 50);
    assert_int_equal(f.correct, 200 * 20);
    assert_int_equal(f.examples_total, 20000);
    assert_true(fabs(f.loss_sum - 200 * 25) < 1e-9);
    assert_true(fabs(f.epoch - 20) < 1e-12);
    assert_int_equal(f.step_ns, f.compute_ns + f.push_ns + f.wait_ns + f.pull_ns);
    assert_int_equal(f.pull_ns, 0);
    assert_true(f.step_ns >= 200 * UINT64_C(4000000000));
    assert_true(f.wait_ns >= 200 * UINT64_C(2000000000) && f.push_ns >= 200 * UINT64_C(1000000000));
    close_scene(&s);
}

static json *take_status(scene *s)
{
    printed_json p;
    performance_print(s->p, printed_json_begin(&p));
    return printed_json_end(&p);
}

static void the_page_holds_the_last_steps_one_by_one(void **state)
{
    (void)state;
    scene s;
    open_scene(&s);
    for (uint64_t step = 1; step <= 500; step++)
        do_step(&s, step, 8000000);
    json *root = take_status(&s);
    const json *points = json_find(json_find(json_find(root, "worker"), "recent"), "points");
    assert_int_equal(json_count(points), PERFORMANCE_RECENT_MAX);
    int64_t expected = 500 - PERFORMANCE_RECENT_MAX + 1, step;
    for (const json *point = json_first(points); point; point = json_next(point), expected++) {
        double ms[2];
        const json *number = json_next(json_first(point));
        assert_int_equal(json_as_integer(number, "step", 0, 1000, &step, NULL), PS_OK);
        assert_int_equal(step, expected);
        number = json_next(number);
        assert_int_equal(json_as_number(number, "step_ms", &ms[0], NULL), PS_OK);
        assert_int_equal(json_as_number(json_next(number), "compute_ms", &ms[1], NULL), PS_OK);
        assert_true(ms[0] >= 8 && ms[1] >= 0 && ms[1] < ms[0]);
    }
    json_free(&root);
    close_scene(&s);
}

static void a_page_without_steps_is_whole(void **state)
{
    (void)state;
    scene s;
    open_scene(&s);
    json *root = take_status(&s);
    assert_int_equal(json_type_of(json_find(json_find(root, "progress"), "loss")), JSON_NULL);
    assert_int_equal(json_type_of(json_find(json_find(root, "worker"), "step_ms")), JSON_NULL);
    assert_false(performance_has_joined(s.p));
    json_free(&root);
    close_scene(&s);
}

static void device_is_told(void **state)
{
    (void)state;
    scene s;
    worker_figures f;
    open_scene(&s);
    performance_set_device(s.p, "cuda:1 of 2, NVIDIA H200, in fp32");
    performance_tell(s.p, &f);
    assert_string_equal(f.device, "cuda:1 of 2, NVIDIA H200, in fp32");
    close_scene(&s);
}

static void nobody_is_told_anything_where_nobody_looks(void **state)
{
    (void)state;
    const performance_step step = {.pushed = 1};
    assert_int_equal(performance_begin(NULL), 0);
    performance_add(NULL, PHASE_PUSH, 0);
    performance_end_step(NULL, &step, NULL);
    performance_set_goal(NULL, 1, 2, 3);
    performance_note_rollback(NULL);
    performance_watch(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_the_sums_of_all_steps),
        cmocka_unit_test(the_page_holds_the_last_steps_one_by_one),
        cmocka_unit_test(a_page_without_steps_is_whole),
        cmocka_unit_test(device_is_told),
        cmocka_unit_test(nobody_is_told_anything_where_nobody_looks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
