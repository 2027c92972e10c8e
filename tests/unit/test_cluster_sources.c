/* Where a cluster spec may come from: options, files, TF_CONFIG, and which wins; and how large it may be. */
#include "common/cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/cluster_sample.h"

/* ---- options ---- */

#define JOBS "{\"ps\": [\"a:1\"], \"worker\": [\"b:1\", \"c:1\"]}"

static void options_stand_in_for_tf_config(void **state)
{
    (void)state;
    static const char *const clusters[] = {JOBS, " \n" JOBS, "{\"cluster\": " JOBS "}",
                                           "{\"sparseCluster\": " JOBS "}"};
    static const char *const tasks[] = {"worker:1", "{\"type\": \"worker\", \"index\": \"1\"}"};
    for (size_t i = 0; i < sizeof clusters / sizeof *clusters; i++) {
        for (size_t j = 0; j < sizeof tasks / sizeof *tasks; j++) {
            const cluster_source source = {.daemon = ROLE_WORKER, .cluster = clusters[i], .task = tasks[j]};
            cluster_spec spec = parse(&source);
            assert_self(&spec, ROLE_WORKER, 1, false, 1);
            assert_task(&spec, ROLE_WORKER, 1, "c", 1);
            assert_string_equal(warning.text, "");
            cluster_fini(&spec);
        }
    }
}

static void a_cluster_option_may_hold_the_task_too(void **state)
{
    (void)state;
    const cluster_source source = {
        .daemon = ROLE_PS, .cluster = "{\"cluster\": " JOBS ", \"task\": {\"type\": \"ps\", \"index\": 0}}"};
    cluster_spec spec = parse(&source);
    assert_self(&spec, ROLE_PS, 0, false, 0);
    cluster_fini(&spec);
}

static void a_task_option_wins_over_every_other_task(void **state)
{
    (void)state;
    const cluster_source source = {.daemon = ROLE_WORKER,
                                   .cluster =
                                       "{\"cluster\": " JOBS ", \"task\": {\"type\": \"ps\", \"index\": 0}}",
                                   .task = "worker:1"};
    cluster_spec spec = parse(&source);
    assert_self(&spec, ROLE_WORKER, 1, false, 1);
    cluster_fini(&spec);
}

static void options_win_over_tf_config_and_say_so(void **state)
{
    (void)state;
    const char *other =
        "{\"cluster\": {\"ps\": [\"x:1\"], \"worker\": [\"y:1\"]}, \"task\": {\"type\": \"worker\", "
        "\"index\": 0}}";
    cluster_source source = {.daemon = ROLE_WORKER, .cluster = JOBS, .task = "worker:1", .tf_config = other};
    cluster_spec spec = parse(&source);
    assert_self(&spec, ROLE_WORKER, 1, false, 1);
    assert_task(&spec, ROLE_PS, 0, "a", 1);
    assert_string_equal(warning.text, "--cluster is given: TF_CONFIG is ignored");
    cluster_fini(&spec);

    source.task = NULL;
    spec = parse(&source);
    assert_self(&spec, ROLE_WORKER, 0, true, 0);
    assert_task(&spec, ROLE_PS, 0, "a", 1);
    assert_string_equal(warning.text, "--cluster is given: only the task is taken from TF_CONFIG");
    cluster_fini(&spec);

    source.cluster = NULL;
    source.task = "worker:0";
    spec = parse(&source);
    assert_task(&spec, ROLE_PS, 0, "x", 1);
    assert_string_equal(warning.text, "--task is given: the task of TF_CONFIG is ignored");
    cluster_fini(&spec);
}

static void tf_config_is_not_even_read_when_the_options_say_all(void **state)
{
    (void)state;
    const cluster_source source = {
        .daemon = ROLE_WORKER, .cluster = JOBS, .task = "worker:0", .tf_config = "not JSON"};
    cluster_spec spec = parse(&source);
    assert_self(&spec, ROLE_WORKER, 0, true, 0);
    cluster_fini(&spec);
}

/* A file of the given text, removed by its user. */
static void write_file(char *path, const char *text)
{
    const int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), strlen(text));
    close(file);
}

static void a_cluster_may_come_from_a_file(void **state)
{
    (void)state;
    char path[] = "/tmp/penstock-cluster-XXXXXX";
    write_file(path, "{\n  \"ps\": [\"a:1\"],\n  \"worker\": [\"b:1\"],\n}\n");
    const cluster_source source = {.daemon = ROLE_PS, .cluster = path, .task = "ps:0"};
    cluster_spec spec = parse(&source);
    unlink(path);
    assert_self(&spec, ROLE_PS, 0, false, 0);
    char expected[160];
    snprintf(expected, sizeof expected, "%s: line 3, column 20: ignored a comma before a closing bracket",
             path);
    assert_string_equal(warning.text, expected);
    cluster_fini(&spec);
}

static void an_error_in_a_file_names_the_file(void **state)
{
    (void)state;
    char path[] = "/tmp/penstock-cluster-XXXXXX";
    write_file(path, "{\n  \"ps\": [\"a:1\"]\n  \"worker\": [\"b:1\"]\n}\n");
    const cluster_source source = {.daemon = ROLE_PS, .cluster = path, .task = "ps:0"};
    cluster_spec spec;
    ps_error error;
    char caret[256];
    const ps_status status = cluster_parse(&source, &spec, &warning, caret, sizeof caret, &error);
    unlink(path);
    assert_int_equal(status, PS_ECONFIG);
    char expected[160];
    snprintf(expected, sizeof expected, "%s: line 3, column 3: expected ',' or '}', found '\"'", path);
    assert_string_equal(error.text, expected);
    assert_string_equal(caret, "  \"worker\": [\"b:1\"]\n  ^");
}

/* Limits */

/* A cluster with one ps and `workers` workers for worker 0; the caller frees. */
static char *large_cluster(unsigned workers)
{
    char *text = malloc(workers * 32 + 256);
    size_t at = (size_t)sprintf(text, "{\"cluster\": {\"ps\": [\"ps:1\"], \"worker\": [");
    for (unsigned i = 0; i < workers; i++)
        at += (size_t)sprintf(text + at, "%s\"worker-%u:2222\"", i ? "," : "", i);
    sprintf(text + at, "]}, \"task\": {\"type\": \"worker\", \"index\": 0}}");
    return text;
}

static void the_largest_job_is_accepted(void **state)
{
    (void)state;
    char *text = large_cluster(CLUSTER_TASKS_MAX);
    cluster_spec spec = parse_env(ROLE_WORKER, text);
    free(text);
    assert_int_equal(cluster_workers(&spec), CLUSTER_TASKS_MAX);
    assert_task(&spec, ROLE_WORKER, CLUSTER_TASKS_MAX - 1, "worker-1023", 2222);
    cluster_fini(&spec);
}

static void one_task_more_is_refused(void **state)
{
    (void)state;
    char *text = large_cluster(CLUSTER_TASKS_MAX + 1);
    const cluster_source source = {.daemon = ROLE_WORKER, .tf_config = text};
    cluster_spec spec;
    ps_error error;
    assert_int_equal(cluster_parse(&source, &spec, &warning, NULL, 0, &error), PS_ECONFIG);
    assert_string_equal(error.text, "TF_CONFIG: cluster.worker has 1025 tasks; at most 1024 are accepted");
    free(text);
}

static void a_text_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    char *text = malloc(CLUSTER_TEXT_MAX + 2);
    memset(text, ' ', CLUSTER_TEXT_MAX + 1);
    text[0] = '{';
    text[CLUSTER_TEXT_MAX] = '}';
    text[CLUSTER_TEXT_MAX + 1] = '\0';
    const cluster_source source = {.daemon = ROLE_WORKER, .tf_config = text};
    cluster_spec spec;
    ps_error error;
    assert_int_equal(cluster_parse(&source, &spec, &warning, NULL, 0, &error), PS_ECONFIG);
    assert_string_equal(error.text, "TF_CONFIG: JSON of 1048577 bytes; at most 1048576 are accepted");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_in_for_tf_config),
        cmocka_unit_test(a_cluster_option_may_hold_the_task_too),
        cmocka_unit_test(a_task_option_wins_over_every_other_task),
        cmocka_unit_test(options_win_over_tf_config_and_say_so),
        cmocka_unit_test(tf_config_is_not_even_read_when_the_options_say_all),
        cmocka_unit_test(a_cluster_may_come_from_a_file),
        cmocka_unit_test(an_error_in_a_file_names_the_file),
        cmocka_unit_test(the_largest_job_is_accepted),
        cmocka_unit_test(one_task_more_is_refused),
        cmocka_unit_test(a_text_beyond_the_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
