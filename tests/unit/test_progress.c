/* Reports of training and the line made of them: deploy/progress. */
#include "deploy/launch/progress.h"

#include <math.h>
#include <string.h>

#include "tests/unit/unit.h"

static progress_event take(progress *p, const char *line, int64_t now_ms)
{
    progress_event event;
    ps_error error;
    ps_status status = progress_take(p, line, strlen(line), now_ms, &event, &error);
    if (status)
        print_error("%s\n", error.text);
    assert_int_equal(status, PS_OK);
    return event;
}

/* A run of 4,000 steps, of which 500 have been made in 1.9 s. */
static void advance(progress *p)
{
    progress_init(p, 0);
    take(p, "{\"event\":\"start\",\"epochs\":10,\"steps\":4000}", 0);
    take(p, "{\"event\":\"step\",\"epoch\":0.25,\"step\":100,\"loss\":2.1,\"seconds\":0.3}", 300);
    take(p,
         "{\"event\":\"step\",\"epoch\":1.25,\"step\":500,\"loss\":0.31,\"examples_total\":75000,\"seconds\":"
         "1.9,"
         "\"images_per_s\":40000}",
         1900);
}

static void line_tells_all_where_there_is_room(void **state)
{
    (void)state;
    progress p;
    char line[256];
    advance(&p);
    progress_render(&p, 200, 1900, line, sizeof line);
    assert_string_equal(line, "epoch 1.25/10  step 500/4,000  loss 0.31  40,000 images/s  ETA 0:14");
}

static void line_never_exceeds_the_width(void **state)
{
    (void)state;
    progress p;
    advance(&p);
    for (size_t width = 0; width < 90; width++) {
        char line[256];
        memset(line, 'x', sizeof line);
        progress_render(&p, width, 1900, line, sizeof line);
        assert_true(strlen(line) <= width);
    }
}

static void least_telling_pieces_go_first(void **state)
{
    (void)state;
    progress p;
    char line[256];
    advance(&p);
    progress_render(&p, 60, 1900, line, sizeof line);
    assert_string_equal(line, "epoch 1.25/10  loss 0.31  40,000 images/s  ETA 0:14");
    progress_render(&p, 40, 1900, line, sizeof line);
    assert_string_equal(line, "epoch 1.25/10  loss 0.31  ETA 0:14");
    progress_render(&p, 13, 1900, line, sizeof line);
    assert_string_equal(line, "epoch 1.25/10");
    progress_render(&p, 5, 1900, line, sizeof line);
    assert_string_equal(line, "epoch");
}

static void small_room_is_respected(void **state)
{
    (void)state;
    progress p;
    char line[8];
    advance(&p);
    progress_render(&p, 200, 1900, line, sizeof line);
    assert_string_equal(line, "epoch 1");
}

static void estimate_runs_down_between_reports_but_not_below_zero(void **state)
{
    (void)state;
    progress p;
    char line[256];
    advance(&p);
    progress_render(&p, 200, 5900, line, sizeof line);
    assert_non_null(strstr(line, "ETA 0:10"));
    progress_render(&p, 200, 500000, line, sizeof line);
    assert_non_null(strstr(line, "ETA 0:00"));
}

static void silence_is_told(void **state)
{
    (void)state;
    progress p;
    char line[256];
    advance(&p);
    progress_render(&p, 200, 1900 + PROGRESS_QUIET_MS, line, sizeof line);
    assert_null(strstr(line, "no news"));
    progress_render(&p, 200, 1900 + 75000, line, sizeof line);
    assert_non_null(strstr(line, "no news for 1:15"));
}

static void no_estimate_without_a_pace_or_a_goal(void **state)
{
    (void)state;
    progress p;
    char line[256];
    progress_init(&p, 0);
    take(&p, "{\"event\":\"step\",\"step\":1,\"seconds\":0}", 0);
    progress_render(&p, 200, 0, line, sizeof line);
    assert_string_equal(line, "step 1");
    take(&p, "{\"event\":\"step\",\"step\":1000,\"seconds\":9}", 0);
    progress_render(&p, 200, 0, line, sizeof line);
    assert_string_equal(line, "step 1,000");
}

static void line_says_what_is_awaited_before_the_first_step(void **state)
{
    (void)state;
    progress p;
    char line[256];
    progress_init(&p, 0);
    progress_render(&p, 200, 0, line, sizeof line);
    assert_string_equal(line, "waiting for the first step, processes are starting");
    take(&p, "{\"event\":\"start\",\"epochs\":10,\"steps\":4000}", 0);
    progress_render(&p, 200, 0, line, sizeof line);
    assert_string_equal(line, "waiting for the first step, training begins");
}

static void events_are_told_apart(void **state)
{
    (void)state;
    progress p;
    progress_init(&p, 0);
    assert_int_equal(take(&p, "{\"event\":\"start\",\"steps\":1}", 0), PROGRESS_START);
    assert_int_equal(take(&p, "{\"event\":\"step\",\"step\":1}", 0), PROGRESS_STEP);
    assert_int_equal(take(&p, "{\"event\":\"eval\"}", 0), PROGRESS_EVAL);
    assert_int_equal(take(&p, "{\"event\":\"done\"}", 0), PROGRESS_DONE);
    assert_true(p.finished);
}

static void unknown_events_and_keys_are_ignored(void **state)
{
    (void)state;
    progress p, before;
    advance(&p);
    before = p;
    assert_int_equal(take(&p, "{\"event\":\"weather\",\"step\":\"sunny\"}", 9000), PROGRESS_NOTHING);
    assert_memory_equal(&p, &before, sizeof p);
    assert_int_equal(take(&p, "{\"event\":\"step\",\"step\":600,\"weather\":[1,2]}", 9000), PROGRESS_STEP);
}

static void malformed_reports_change_nothing(void **state)
{
    (void)state;
    static const char *const malformed[] = {
        "",
        "epoch 3",
        "[]",
        "{\"event\":\"step\",\"step\":600",
        "{\"step\":600}",
        "{\"event\":7}",
        "{\"event\":\"step\"}",
        "{\"event\":\"step\",\"step\":-1}",
        "{\"event\":\"step\",\"step\":1.5}",
        "{\"event\":\"step\",\"step\":600,\"loss\":\"small\"}",
        "{\"event\":\"start\",\"steps\":1e300}",
        "{\"event\":\"eval\",\"accuracy\":[1]}",
        "{\"event\":\"done\",\"model\":7}",
    };
    progress p, before;
    advance(&p);
    before = p;
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        progress_event event = PROGRESS_STEP;
        ps_error error = {0};
        assert_int_equal(progress_take(&p, malformed[i], strlen(malformed[i]), 9000, &event, &error),
                         PS_EFORMAT);
        assert_int_equal(event, PROGRESS_NOTHING);
        assert_true(error.text[0] != '\0');
        assert_memory_equal(&p, &before, sizeof p);
    }
}

static void null_stands_for_a_number_that_is_not_finite(void **state)
{
    (void)state;
    progress p;
    char line[256];
    progress_init(&p, 0);
    take(&p, "{\"event\":\"step\",\"step\":7,\"loss\":null}", 0);
    progress_render(&p, 200, 0, line, sizeof line);
    assert_string_equal(line, "step 7");
}

static void absurd_numbers_stay_within_their_room(void **state)
{
    (void)state;
    progress p;
    char line[512], text[2048];
    progress_init(&p, 0);
    take(&p, "{\"event\":\"start\",\"epochs\":1e308,\"steps\":9007199254740991}", 0);
    take(&p,
         "{\"event\":\"step\",\"epoch\":-1e308,\"step\":0,\"loss\":-1e308,\"seconds\":-1e308,"
         "\"images_per_s\":1e308}",
         0);
    take(&p,
         "{\"event\":\"step\",\"epoch\":1e308,\"step\":9,\"loss\":1e308,\"seconds\":1e308,\"images_per_s\":-"
         "1e308}",
         0);
    progress_render(&p, 400, INT64_C(1) << 40, line, sizeof line);
    assert_true(strlen(line) < 400);
    take(&p, "{\"event\":\"eval\",\"epoch\":-1e308,\"accuracy\":-1e308,\"loss\":1e308,\"seconds\":-1e308}",
         0);
    progress_render_eval(&p.eval, line, sizeof line);
    assert_true(strlen(line) < sizeof line);
    take(&p, "{\"event\":\"done\",\"accuracy\":-1e308,\"train_seconds\":-1e308,\"images_per_s\":1e308}", 0);
    progress_render_result(&p.result, text, sizeof text);
    assert_true(strlen(text) < sizeof text);
}

static void evaluation_is_one_line(void **state)
{
    (void)state;
    progress p;
    char line[256];
    progress_init(&p, 0);
    take(&p, "{\"event\":\"eval\",\"epoch\":1,\"step\":400,\"accuracy\":0.953,\"loss\":0.16,\"seconds\":2.4}",
         0);
    progress_render_eval(&p.eval, line, sizeof line);
    assert_string_equal(line, "epoch 1: test accuracy 95.30 %, loss 0.16, after 2.4 s");
    take(&p, "{\"event\":\"eval\",\"epoch\":2,\"accuracy\":1}", 0);
    progress_render_eval(&p.eval, line, sizeof line);
    assert_string_equal(line, "epoch 2: test accuracy 100.00 %");
}

static void result_tells_accuracy_time_rate_and_model(void **state)
{
    (void)state;
    progress p;
    char text[2048];
    progress_init(&p, 0);
    take(&p,
         "{\"event\":\"done\",\"step\":4000,\"accuracy\":0.977,\"train_seconds\":20.1,\"images_per_s\":30100,"
         "\"model\":\"/a/mo\\u001bdel\"}",
         0);
    progress_render_result(&p.result, text, sizeof text);
    assert_string_equal(text, "test accuracy  97.70 %\n"
                              "training time  20.1 s\n"
                              "throughput     30,100 images/s\n"
                              "model          /a/mo?del\n");
}

/* Fewer workers take more steps for the same epochs. */
static void total_follows_workers_that_come_and_go(void **state)
{
    (void)state;
    progress p;
    char line[256];
    advance(&p);
    take(&p, "{\"event\":\"step\",\"epoch\":1.5,\"step\":600,\"steps\":5600,\"seconds\":2.3}", 2300);
    progress_render(&p, 200, 2300, line, sizeof line);
    assert_string_equal(line, "epoch 1.50/10  step 600/5,600  ETA 0:20");
}

static void process_that_starts_anew_gets_a_new_estimate(void **state)
{
    (void)state;
    progress p;
    char line[256];
    advance(&p);
    take(&p, "{\"event\":\"start\",\"epochs\":10,\"steps\":4000}", 60000);
    take(&p, "{\"event\":\"step\",\"epoch\":1,\"step\":400,\"seconds\":0.5}", 61000);
    progress_render(&p, 200, 61000, line, sizeof line);
    assert_string_equal(line, "epoch 1.00/10  step 400/4,000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_tells_all_where_there_is_room),
        cmocka_unit_test(line_never_exceeds_the_width),
        cmocka_unit_test(least_telling_pieces_go_first),
        cmocka_unit_test(small_room_is_respected),
        cmocka_unit_test(estimate_runs_down_between_reports_but_not_below_zero),
        cmocka_unit_test(silence_is_told),
        cmocka_unit_test(no_estimate_without_a_pace_or_a_goal),
        cmocka_unit_test(line_says_what_is_awaited_before_the_first_step),
        cmocka_unit_test(events_are_told_apart),
        cmocka_unit_test(unknown_events_and_keys_are_ignored),
        cmocka_unit_test(malformed_reports_change_nothing),
        cmocka_unit_test(null_stands_for_a_number_that_is_not_finite),
        cmocka_unit_test(absurd_numbers_stay_within_their_room),
        cmocka_unit_test(evaluation_is_one_line),
        cmocka_unit_test(result_tells_accuracy_time_rate_and_model),
        cmocka_unit_test(total_follows_workers_that_come_and_go),
        cmocka_unit_test(process_that_starts_anew_gets_a_new_estimate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
