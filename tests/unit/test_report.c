/* Lines for a launcher, worker/report: each is one valid JSON object. */
#include "worker/report.h"

#include <math.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/json.h"
#include "tests/unit/unit.h"

/* A packet socket keeps each write apart. */
static int ends[2];
static report r;

static int open_ends(void **state)
{
    (void)state;
    int rc = socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends);
    r.fd = ends[1];
    return rc;
}

static int close_ends(void **state)
{
    (void)state;
    close(ends[1]);
    return close(ends[0]);
}

/* The one line that was written, parsed as strictly as the launcher does. */
static json *read_line(const char *event)
{
    static char line[8192];
    ssize_t bytes = recv(ends[0], line, sizeof line, MSG_DONTWAIT);
    assert_true(bytes > 0);
    assert_int_equal(line[bytes - 1], '\n');
    assert_null(memchr(line, '\n', (size_t)bytes - 1));
    const json_options options = {.source = "report", .max_bytes = sizeof line};
    json *root = NULL;
    ps_error error = {PS_OK, ""};
    if (json_parse(line, (size_t)bytes, &options, &root, NULL, &error) != PS_OK)
        fail_msg("%.*s: %s", (int)bytes, line, error.text);
    const char *found;
    assert_int_equal(json_as_string(json_find(root, "event"), "event", &found, NULL), PS_OK);
    assert_string_equal(found, event);
    assert_int_equal(recv(ends[0], line, sizeof line, MSG_DONTWAIT), -1);
    return root;
}

static double number(const json *line, const char *key)
{
    double value = NAN;
    ps_error error = {PS_OK, ""};
    if (json_as_number(json_find(line, key), key, &value, &error) != PS_OK)
        fail_msg("%s", error.text);
    return value;
}

static const char *text(const json *line, const char *key)
{
    const char *value = NULL;
    assert_int_equal(json_as_string(json_find(line, key), key, &value, NULL), PS_OK);
    return value;
}

static void start_tells_what_is_about_to_be_done(void **state)
{
    (void)state;
    job_config job;
    job_init(&job);
    job.workers = 3;
    job.mode = CONSISTENCY_SSP;
    report_start(&r, "chief", &job, 5, 2000, 400, 60000);
    json *line = read_line("start");
    assert_string_equal(text(line, "role"), "chief");
    assert_string_equal(text(line, "mode"), "ssp");
    assert_true(number(line, "workers") == 3 && number(line, "epochs") == 5);
    assert_true(number(line, "steps") == 2000 && number(line, "steps_per_epoch") == 400);
    assert_true(number(line, "examples") == 60000);
    json_free(&line);
}

static void step_and_evaluation_carry_their_numbers(void **state)
{
    (void)state;
    report_step(&r, 1.25, 500, 4000, 0.3125, 75000, 2.5, 30000);
    json *line = read_line("step");
    assert_true(number(line, "epoch") == 1.25 && number(line, "step") == 500 &&
                number(line, "steps") == 4000);
    assert_true(number(line, "loss") == 0.3125 && number(line, "examples_total") == 75000);
    assert_true(number(line, "seconds") == 2.5 && number(line, "images_per_s") == 30000);
    json_free(&line);

    report_eval(&r, 2, 800, 0.9766, 0.125, 10000, 4);
    line = read_line("eval");
    assert_true(number(line, "epoch") == 2 && number(line, "step") == 800);
    assert_true(number(line, "accuracy") == 0.9766 && number(line, "loss") == 0.125);
    assert_true(number(line, "examples") == 10000 && number(line, "seconds") == 4);
    json_free(&line);
}

static void number_that_json_cannot_say_is_null(void **state)
{
    (void)state;
    static const double unspeakable[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        double x = unspeakable[i];
        report_step(&r, x, 1, 1, x, 1, x, x);
        json *line = read_line("step");
        assert_int_equal(json_type_of(json_find(line, "loss")), JSON_NULL);
        assert_int_equal(json_type_of(json_find(line, "images_per_s")), JSON_NULL);
        json_free(&line);
        report_eval(&r, x, 1, x, x, 1, x);
        line = read_line("eval");
        assert_int_equal(json_type_of(json_find(line, "accuracy")), JSON_NULL);
        json_free(&line);
        report_done(&r, 1, x, x, x, x, x, "m");
        line = read_line("done");
        assert_int_equal(json_type_of(json_find(line, "images_per_s")), JSON_NULL);
        assert_int_equal(json_type_of(json_find(line, "loss")), JSON_NULL);
        json_free(&line);
    }
}

static void largest_numbers_are_still_json(void **state)
{
    (void)state;
    report_step(&r, 1e300, UINT64_MAX, UINT64_MAX, 1e300, UINT64_MAX, 1e15, 1e15);
    json *line = read_line("step");
    assert_true(number(line, "loss") == 1e300);
    json_free(&line);
}

static void path_of_the_model_is_quoted(void **state)
{
    (void)state;
    static const char path[] = "/a \"b\"\\c\n\t\x01/\xc3\xa4/model.safetensors";
    report_done(&r, 2000, 0.97, 0.1, 12, 10, 30000, path);
    json *line = read_line("done");
    assert_string_equal(text(line, "model"), path);
    assert_true(number(line, "step") == 2000 && number(line, "train_seconds") == 10);
    json_free(&line);
}

static void path_that_is_no_utf8_is_shown_without_its_strange_bytes(void **state)
{
    (void)state;
    report_done(&r, 1, 0, 0, 0, 0, 0, "/a/\xff\xc3(/m");
    json *line = read_line("done");
    assert_string_equal(text(line, "model"), "/a/\?\?(/m");
    json_free(&line);
}

static void path_that_is_too_long_is_cut(void **state)
{
    (void)state;
    char path[4096];
    for (size_t skip = 0; skip < 4; skip++) { /* at some of these the cut is inside a character */
        for (size_t i = 0; i < sizeof path - 1; i++)
            path[i] = i < skip ? 'x' : "\xe2\x82\xac"[(i - skip) % 3];
        path[sizeof path - 1] = '\0';
        report_done(&r, 1, 0, 0, 0, 0, 0, path);
        json *line = read_line("done");
        assert_in_range(strlen(text(line, "model")), 2000, 2048);
        json_free(&line);
    }
}

static void report_that_nobody_reads_is_dropped(void **state)
{
    (void)state;
    const report nobody = {.fd = -1};
    report_step(&nobody, 1, 1, 1, 1, 1, 1, 1);
    int pair[2];
    assert_int_equal(pipe(pair), 0);
    close(pair[1]);
    const report unwritable = {.fd = pair[0]};
    report_step(&unwritable, 1, 1, 1, 1, 1, 1, 1);
    close(pair[0]);
}

int main(void)
{
#define REPORT_TEST(name) cmocka_unit_test_setup_teardown(name, open_ends, close_ends)
    const struct CMUnitTest tests[] = {
        REPORT_TEST(start_tells_what_is_about_to_be_done),
        REPORT_TEST(step_and_evaluation_carry_their_numbers),
        REPORT_TEST(number_that_json_cannot_say_is_null),
        REPORT_TEST(largest_numbers_are_still_json),
        REPORT_TEST(path_of_the_model_is_quoted),
        REPORT_TEST(path_that_is_no_utf8_is_shown_without_its_strange_bytes),
        REPORT_TEST(path_that_is_too_long_is_cut),
        REPORT_TEST(report_that_nobody_reads_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
