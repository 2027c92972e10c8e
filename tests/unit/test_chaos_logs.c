/* What the logs of a run say of it: deploy/chaos_logs. */
#include "deploy/chaos/chaos_logs.h"

#include <string.h>
#include <sys/stat.h>

#include "tests/unit/folder.h"

#define STARTED         "2026-11-28T10:00:00.000Z info    ps/0  listening on 127.0.0.1:40001\n"
#define WRITTEN(step)   "2026-11-28T10:00:00.000Z info    ps/0  checkpoint of step " step " written in 3 ms\n"
#define AGAIN(failures) "... ps/0  checkpoints can be written again, after " failures " that could not\n"
#define FAILED(step)                                                                                  \
    "... ps/0  the checkpoint of step " step " could not be written: cannot write x: No space left; " \
    "training goes on, and later ones will be tried\n"
#define SUMMARY(written, failed, rows)                                                       \
    "... ps/0  7 updates of " rows " examples; 5 repeats, 0 late, 0 not finite, 2 refused\n" \
    "... ps/0  " written " checkpoints written; " failed " failed, 0 left out\n"

static chaos_counts count(const char *ps, const char *worker)
{
    const run_folder at = {.path = "."};
    chaos_counts counts;
    mkdir("logs", 0777);
    folder_put("logs/ps-0.log", ps, strlen(ps));
    folder_put("logs/worker-0.log", worker, strlen(worker));
    assert_int_equal(chaos_logs_count(&at, 1, 1, &counts, NULL), PS_OK);
    return counts;
}

static void what_processes_tell_at_their_end_adds_up(void **state)
{
    (void)state;
    chaos_counts c = count(STARTED SUMMARY("0", "0", "300") STARTED
                           "... ps/0  going back from step 9 to step 4 (epoch 2)\n" SUMMARY("0", "0", "900"),
                           "... worker/0  900 updates, 3 resent\n");
    assert_int_equal(c.rows_min, 900);
    assert_int_equal(c.rows_max, 900);
    assert_int_equal(c.repeats, 10);
    assert_int_equal(c.refused, 4);
    assert_int_equal(c.resent, 3);
    assert_int_equal(c.steps_replayed, 5);
}

static void checkpoints_that_failed_without_a_line_count(void **state)
{
    (void)state;
    chaos_counts c = count(STARTED FAILED("20") AGAIN("4") WRITTEN("100") SUMMARY("1", "4", "900"), "");
    assert_int_equal(c.checkpoints, 1);
    assert_int_equal(c.checkpoints_failed, 4);
    c = count(STARTED FAILED("20") SUMMARY("0", "5", "900"), "");
    assert_int_equal(c.checkpoints_failed, 5);
}

static void a_ps_that_was_killed_has_told_of_failures_before_a_success(void **state)
{
    (void)state;
    chaos_counts c =
        count(STARTED WRITTEN("20") FAILED("40") AGAIN("3") WRITTEN("100") FAILED("120") /* killed */
              STARTED FAILED("140") AGAIN("2") WRITTEN("180") SUMMARY("1", "2", "900"),
              "");
    assert_int_equal(c.checkpoints, 3);
    assert_int_equal(c.checkpoints_failed, 3 + 1 + 2);
}

static void what_fails_after_the_summary_counts_once(void **state)
{
    (void)state;
    chaos_counts c = count(STARTED FAILED("20") SUMMARY("0", "1", "900") FAILED("40"), "");
    assert_int_equal(c.checkpoints_failed, 2);
    c = count(STARTED FAILED("20") SUMMARY("0", "1", "900") AGAIN("1") WRITTEN("40"), "");
    assert_int_equal(c.checkpoints, 1);
    assert_int_equal(c.checkpoints_failed, 1);
}

#define JSON(text) \
    "{\"time\":\"2026-11-28T10:00:00.000Z\",\"level\":\"info\",\"role\":\"ps\",\"index\":0," text "}\n"

static void logs_in_json_say_the_same(void **state)
{
    (void)state;
    chaos_counts c = count(
        JSON("\"event\":\"listening\",\"text\":\"listening on *:1\"")
            JSON("\"event\":\"checkpoint\",\"step\":20,\"text\":\"checkpoint of step 20 written in 3 ms\"")
                JSON("\"text\":\"the checkpoint of step 40 could not be written: a \\\"b\\\"; x\"")
                    JSON("\"text\":\"going back from step 9 to step 4 (epoch 2)\"")
                        JSON("\"text\":\"7 updates of 300 examples; 5 repeats, 0 late, 0 not finite, 2 "
                             "refused\""),
        JSON("\"text\":\"communication: 1.0 s; 9 requests, 3 resent\"") "{\"text\":\"9 resent\", torn\n");
    assert_int_equal(c.rows_min, 300);
    assert_int_equal(c.repeats, 5);
    assert_int_equal(c.refused, 2);
    assert_int_equal(c.resent, 3);
    assert_int_equal(c.steps_replayed, 5);
    assert_int_equal(c.checkpoints, 1);
    assert_int_equal(c.checkpoints_failed, 1);
}

static void a_log_that_is_missing_is_named(void **state)
{
    (void)state;
    const run_folder at = {.path = "."};
    chaos_counts counts;
    ps_error error;
    assert_int_equal(chaos_logs_count(&at, 1, 0, &counts, &error), PS_EIO);
    assert_non_null(strstr(error.text, "logs/ps-0.log"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(what_processes_tell_at_their_end_adds_up),
        FOLDER_TEST(checkpoints_that_failed_without_a_line_count),
        FOLDER_TEST(a_ps_that_was_killed_has_told_of_failures_before_a_success),
        FOLDER_TEST(what_fails_after_the_summary_counts_once),
        FOLDER_TEST(logs_in_json_say_the_same),
        FOLDER_TEST(a_log_that_is_missing_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
