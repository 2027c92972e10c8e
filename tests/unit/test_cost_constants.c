/* The files of `penstock bench` as the cost model reads them: deploy/cost_constants. */
#include "deploy/plan/cost_constants.h"

#include <string.h>

#include "tests/unit/folder.h"
#include "tests/unit/torture.h"
#include "tests/unit/unit.h"

#define CONSTANTS                                                                                            \
    "\"constants\": {\"cores\": 2, \"request_s\": 11e-5, \"request_cpu_s\": 8e-6, \"message_cpu_s\": 4e-6, " \
    "\"socket_bytes_per_s\": 4e9, \"socket_cpu_s_per_byte\": 4.4e-10, \"update_bytes_per_s\": 6e9, "         \
    "\"reduce_s_per_byte\": 6e-11, \"judge_s_per_byte\": 1e-10, \"copy_bytes_per_s\": 10e9, "                \
    "\"shared_cpu_s_per_byte\": 1.1e-10}"
#define POINT                                                                             \
    "{\"transport\": \"tcp\", \"servers\": 2, \"workers\": 3, \"model_bytes\": 4000000, " \
    "\"slice_bytes\": 1048576, \"compute_s\": 0, \"step_s\": 0.009, \"images_per_s\": \"not ours\"}"
#define SCHEMA "\"schema\": \"penstock-bench/1\""

static ps_status read_text(const char *text, cost_measurement *m, ps_error *error)
{
    folder_put("bench.json", text, strlen(text));
    return cost_measurement_read("bench.json", m, error);
}

static void constants_and_points_are_read(void **state)
{
    (void)state;
    cost_measurement m;
    ps_error error = {0};
    assert_int_equal(
        read_text("{" SCHEMA ", \"host\": 1, " CONSTANTS ", \"plan_points\": [" POINT "]}", &m, &error),
        PS_OK);
    /* The sample holds what is built in. */
    assert_memory_equal(&m.constants, &COST_CONSTANTS_DEFAULT, sizeof m.constants);
    assert_int_equal(m.point_count, 1);
    const cost_point *p = &m.points[0];
    assert_int_equal(p->input.transport, COST_TCP);
    assert_int_equal(p->input.servers, 2);
    assert_int_equal(p->input.workers, 3);
    assert_int_equal(p->input.cores, 2);
    assert_true(p->input.model_bytes == 4e6 && p->input.slice_bytes == 1048576 && p->input.compute_s == 0);
    assert_true(p->input.push.ratio == 1 && p->input.pull.ratio == 1 && p->step_s == 0.009);
    cost_measurement_fini(&m);
    assert_null(m.points);
}

static void points_may_be_missing(void **state)
{
    (void)state;
    cost_measurement m;
    assert_int_equal(read_text("{" SCHEMA "," CONSTANTS "}", &m, NULL), PS_OK);
    assert_int_equal(m.point_count, 0);
    assert_int_equal(read_text("{" SCHEMA "," CONSTANTS ", \"plan_points\": []}", &m, NULL), PS_OK);
    assert_int_equal(m.point_count, 0);
}

/* What a text is refused with, after one part of it was replaced. */
static void assert_refused(const char *whole, const char *part, const char *other, const char *message)
{
    char text[4096];
    const char *at = strstr(whole, part);
    assert_non_null(at);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - whole), whole, other, at + strlen(part));
    cost_measurement m;
    ps_error error = {0};
    assert_int_equal(read_text(text, &m, &error), PS_EFORMAT);
    assert_string_equal(error.text, message);
    assert_null(m.points);
}

static void mistakes_are_named_with_file_and_rule(void **state)
{
    (void)state;
    static const char whole[] = "{" SCHEMA ", " CONSTANTS ", \"plan_points\": [" POINT ", " POINT "]}";
    assert_refused(whole, "penstock-bench/1", "penstock-bench/2",
                   "bench.json: schema must be \"penstock-bench/1\", not \"penstock-bench/2\"");
    assert_refused(whole, "\"schema\"", "\"scheme\"", "bench.json: schema is missing; it must be a string");
    assert_refused(whole, "\"constants\"", "\"constant\"",
                   "bench.json: constants is missing; it must be an object");
    assert_refused(whole, "\"cores\": 2", "\"cores\": 0",
                   "bench.json: constants.cores must be a whole number from 1 to 4096, not 0");
    assert_refused(whole, "\"copy_bytes_per_s\": 10e9, ", "",
                   "bench.json: constants.copy_bytes_per_s is missing; it must be a number");
    assert_refused(whole, "10e9", "0", "bench.json: constants.copy_bytes_per_s must be more than 0, not 0");
    assert_refused(whole, "11e-5", "\"fast\"",
                   "bench.json: constants.request_s must be a number, not a string");
    assert_refused(whole, "\"tcp\"", "\"pigeon\"",
                   "bench.json: plan_points[0].transport must be \"tcp\" or \"shared\", not \"pigeon\"");
    assert_refused(
        whole, "\"slice_bytes\": 1048576", "\"slice_bytes\": 1",
        "bench.json: plan_points[0].slice_bytes must be a whole number from 4096 to 67108864, not 1");
    assert_refused(whole, "\"compute_s\": 0", "\"compute_s\": -1",
                   "bench.json: plan_points[0].compute_s must be at least 0, not -1");
    assert_refused(whole, "0.009", "0", "bench.json: plan_points[0].step_s must be more than 0, not 0");
    assert_refused(whole, ", " POINT "]", ", 7]",
                   "bench.json: plan_points[1] must be an object, not a number");
}

static void garbage_and_missing_files_are_refused(void **state)
{
    (void)state;
    cost_measurement m;
    ps_error error = {0};
    assert_int_equal(read_text("no JSON", &m, &error), PS_EFORMAT);
    assert_non_null(strstr(error.text, "bench.json"));
    assert_int_equal(read_text("", &m, &error), PS_EFORMAT);
    assert_int_equal(read_text("[]", &m, &error), PS_EFORMAT);
    assert_int_equal(cost_measurement_read("none.json", &m, &error), PS_ENOENT);
    assert_non_null(strstr(error.text, "none.json"));
}

static void running_out_of_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    static const char whole[] = "{" SCHEMA ", " CONSTANTS ", \"plan_points\": [" POINT ", " POINT "]}";
    folder_put("bench.json", whole, sizeof whole - 1);
    ps_status status = PS_ENOMEM;
    for (long allowed = 0; status != PS_OK; allowed++) {
        cost_measurement m;
        torture_begin(allowed);
        status = cost_measurement_read("bench.json", &m, NULL);
        torture_end();
        assert_true(status == PS_OK || status == PS_ENOMEM);
        if (status != PS_OK)
            assert_null(m.points);
        cost_measurement_fini(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(constants_and_points_are_read),
        FOLDER_TEST(points_may_be_missing),
        FOLDER_TEST(mistakes_are_named_with_file_and_rule),
        FOLDER_TEST(garbage_and_missing_files_are_refused),
        FOLDER_TEST(running_out_of_memory_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
