/* A record of a run written and read back, and its metrics: deploy/run_record, run_view and run_metrics. */
#include "deploy/runs/run_view.h"

#include <math.h>
#include <string.h>

#include "tests/unit/folder.h"

static char *training[] = {"--epochs", "20", "--note", "it's a \"b\"\xff", "--flag"};
static const run_options options = {.servers = 2, .workers = 3, .training = training, .training_count = 5};

static run_record make_record(void)
{
    run_record r = {
        .id = "20261129-034500-a1b2c3", .experiment = "e", .options = &options, .phase = RUN_FAILED};
    r.phase_ms[RUN_PREPARING] = 1000;
    r.phase_ms[RUN_FAILED] = 3500;
    r.ended = true;
    r.exit_code = 3;
    snprintf(r.folder, sizeof r.folder, ".");
    snprintf(r.reason, sizeof r.reason, "worker-0 failed with exit code 3");
    return r;
}

static void open_view(const run_record *record, run_view *view)
{
    char *text;
    size_t bytes;
    assert_int_equal(run_record_format(record, &text, &bytes, NULL), PS_OK);
    assert_int_equal(run_view_open(text, view, NULL), PS_OK);
    free(text);
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    run_record record = make_record();
    run_view view;
    char line[256];
    record.stepped = record.evaluated = true;
    record.step = (progress_step){.step = 380, .epoch = 0.95, .loss = NAN, .images_per_s = INFINITY};
    record.eval = (progress_eval){.step = 400, .epoch = 1, .accuracy = 0.875, .loss = 0.5};
    open_view(&record, &view);
    assert_string_equal(view.id, record.id);
    assert_int_equal(view.phase, RUN_FAILED);
    assert_string_equal(view.reason, record.reason);
    assert_true(view.exit_code == 3 && view.servers == 2 && view.workers == 3);
    assert_true(view.step == 400 && view.accuracy == 0.875 && view.loss == 0.5);
    assert_true(isnan(view.images_per_s) && isnan(view.train_seconds));
    assert_true(run_view_seconds(&view, 99000) == 2.5);
    assert_string_equal(view.data_sha256, "");
    run_view_options(&view, line, sizeof line);
    assert_string_equal(line, "--epochs 20 --note 'it'\\''s a \"b\"?' --flag");
    run_view_close(&view);
}

static void options_that_do_not_fit_are_cut(void **state)
{
    (void)state;
    const run_record record = make_record();
    run_view view;
    open_view(&record, &view);
    for (size_t bytes = 1; bytes < 50; bytes++) {
        char *line = malloc(bytes); /* whose end a sanitizer watches */
        run_view_options(&view, line, bytes);
        assert_true(strlen(line) < bytes);
        free(line);
    }
    run_view_close(&view);
}

static void what_is_no_record_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "[]", "{}", "{\"phase\": 7}", "{\"phase\": \"Paused\"}"};
    run_view view;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(run_view_open(bad[i], &view, NULL), PS_EFORMAT);
    assert_int_equal(run_view_open("{\"phase\": \"Running\", \"metrics\": [], \"phases\": 7}", &view, NULL),
                     PS_OK);
    assert_string_equal(view.folder, "");
    assert_true(isnan(view.accuracy));
    run_view_close(&view);
}

static void a_run_catches_up_with_its_own_metrics_alone(void **state)
{
    (void)state;
    const run_record record = make_record();
    run_view view;
    static const char metrics[] =
        "{\"event\": \"run\", \"run\": \"20261129-034500-a1b2c3\"}\n"
        "{\"event\": \"step\", \"task\": \"worker-0\", \"step\": 7, \"loss\": 2}\n"
        "garbage\n"
        "{\"event\": \"eval\", \"task\": \"worker-0\", \"step\": 8, \"accuracy\": 0.5}\n"
        "{\"event\": \"run\", \"run\": \"another\"}\n"
        "{\"event\": \"step\", \"task\": \"worker-0\", \"step\": 99}\n"
        "{\"event\": \"run\", \"run\": \"20261129-034500-a1b2c3\"}\n"
        "{\"event\": \"step\", \"task\": \"worker-0\", \"step\": 9}\n"
        "{\"event\": \"step\", \"task\": \"worker-0\", \"step\": 1";
    folder_put(RUN_METRICS_FILE, metrics, sizeof metrics - 1);
    open_view(&record, &view);
    run_view_catch_up(&view);
    assert_true(view.step == 9 && view.accuracy == 0.5);
    assert_true(isnan(view.loss));
    run_view_close(&view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(options_that_do_not_fit_are_cut),
        cmocka_unit_test(what_is_no_record_is_refused),
        FOLDER_TEST(a_run_catches_up_with_its_own_metrics_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
