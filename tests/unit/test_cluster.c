/* Every accepted form of a cluster spec, and what is understood. What is refused, with which words, stands
 * in test_cluster_malformed.c. */
#include "common/cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static cluster_warning warning;

static cluster_spec parse(const cluster_source *source)
{
    cluster_spec spec;
    ps_error error = {0};
    char caret[256];
    if (cluster_parse(source, &spec, &warning, caret, sizeof caret, &error))
        fail_msg("%s\n%s", error.text, caret);
    assert_string_equal(caret, "");
    return spec;
}

static cluster_spec parse_env(cluster_role daemon, const char *tf_config)
{
    const cluster_source source = {.daemon = daemon, .tf_config = tf_config};
    return parse(&source);
}

static void assert_task(const cluster_spec *spec, cluster_role role, uint32_t index, const char *host,
                        uint16_t port)
{
    const cluster_task *task = cluster_find(spec, role, index);
    assert_non_null(task);
    assert_int_equal(task->index, index);
    assert_string_equal(task->host, host);
    assert_int_equal(task->port, port);
}

static void assert_self(const cluster_spec *spec, cluster_role role, uint32_t index, bool is_chief,
                        uint32_t rank)
{
    assert_true(spec->present);
    assert_int_equal(spec->role, role);
    assert_int_equal(spec->index, index);
    assert_int_equal(spec->is_chief, is_chief);
    assert_int_equal(spec->rank, rank);
}

static void a_worker_without_tf_config_trains_alone(void **state)
{
    (void)state;
    static const char *const texts[] = {NULL, "{}", " {\n} ", "{\"environment\": \"cloud\"}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cluster_spec spec = parse_env(ROLE_WORKER, texts[i]);
        assert_false(spec.present);
        assert_int_equal(spec.role, ROLE_WORKER);
        assert_int_equal(spec.index, 0);
        assert_true(spec.is_chief);
        assert_int_equal(spec.rank, 0);
        assert_int_equal(cluster_workers(&spec), 1);
        assert_null(cluster_find(&spec, ROLE_PS, 0));
        cluster_fini(&spec);
    }
}

static void lists_are_a_dense_cluster(void **state)
{
    (void)state;
    cluster_spec spec =
        parse_env(ROLE_WORKER, "{\"cluster\": {\"ps\": [\"host1:2222\", \"host2:2223\"], "
                               "\"worker\": [\"host3:2222\", \"host4:2222\", \"host5:2222\"]}, "
                               "\"task\": {\"type\": \"worker\", \"index\": 1}}");
    assert_self(&spec, ROLE_WORKER, 1, false, 1);
    assert_false(spec.sparse);
    assert_int_equal(spec.jobs[ROLE_PS].count, 2);
    assert_true(spec.jobs[ROLE_PS].dense);
    assert_task(&spec, ROLE_PS, 0, "host1", 2222);
    assert_task(&spec, ROLE_PS, 1, "host2", 2223);
    assert_int_equal(spec.jobs[ROLE_WORKER].count, 3);
    assert_true(spec.jobs[ROLE_WORKER].dense);
    assert_task(&spec, ROLE_WORKER, 2, "host5", 2222);
    assert_null(cluster_find(&spec, ROLE_WORKER, 3));
    assert_int_equal(cluster_workers(&spec), 3);
    assert_string_equal(warning.text, "");
    cluster_fini(&spec);
    assert_null(spec.jobs[ROLE_PS].tasks);
}

static void worker_0_is_chief_where_no_chief_is_named(void **state)
{
    (void)state;
    cluster_spec spec =
        parse_env(ROLE_WORKER, "{\"cluster\": {\"ps\": [\"a:1\"], \"worker\": [\"b:1\", \"c:1\"]}, \"task\": "
                               "{\"type\": \"worker\", \"index\": 0}}");
    assert_self(&spec, ROLE_WORKER, 0, true, 0);
    cluster_fini(&spec);
}

static void a_chief_comes_first_in_rank_and_takes_the_title_from_worker_0(void **state)
{
    (void)state;
    static const char *const names[] = {"chief", "master"};
    for (size_t i = 0; i < 2; i++) {
        char text[256];
        snprintf(text, sizeof text,
                 "{\"cluster\": {\"ps\": [\"a:1\"], \"%s\": [\"b:1\"], \"worker\": [\"c:1\", \"d:1\"]}, "
                 "\"task\": {\"type\": \"%s\", \"index\": 0}}",
                 names[i], names[i]);
        cluster_spec spec = parse_env(ROLE_WORKER, text);
        assert_self(&spec, ROLE_CHIEF, 0, true, 0);
        assert_int_equal(cluster_workers(&spec), 3);
        cluster_fini(&spec);
        snprintf(text, sizeof text,
                 "{\"cluster\": {\"ps\": [\"a:1\"], \"%s\": [\"b:1\"], \"worker\": [\"c:1\", \"d:1\"]}, "
                 "\"task\": {\"type\": \"worker\", \"index\": 0}}",
                 names[i]);
        spec = parse_env(ROLE_WORKER, text);
        assert_self(&spec, ROLE_WORKER, 0, false, 1);
        cluster_fini(&spec);
    }
}

static void a_task_may_name_the_chief_by_either_name(void **state)
{
    (void)state;
    cluster_spec spec =
        parse_env(ROLE_WORKER, "{\"cluster\": {\"ps\": [\"a:1\"], \"master\": [\"b:1\"]}, \"task\": "
                               "{\"type\": \"chief\", \"index\": 0}}");
    assert_self(&spec, ROLE_CHIEF, 0, true, 0);
    assert_int_equal(cluster_workers(&spec), 1);
    cluster_fini(&spec);
}

static void an_index_may_be_digits_in_a_string(void **state)
{
    (void)state;
    cluster_spec spec =
        parse_env(ROLE_PS, "{\"cluster\": {\"ps\": [\"a:1\", \"b:1\"], \"worker\": [\"c:1\"]}, "
                           "\"task\": {\"type\": \"ps\", \"index\": \"1\"}}");
    assert_self(&spec, ROLE_PS, 1, false, 0);
    cluster_fini(&spec);
}

static void keys_that_are_not_ours_are_ignored(void **state)
{
    (void)state;
    cluster_spec spec = parse_env(
        ROLE_WORKER,
        "{\"rpc_layer\": \"grpc\", \"environment\": \"cloud\", \"session_master\": \"x\", \"job\": [1], "
        "\"cluster\": {\"ps\": [\"a:1\"], \"worker\": [\"b:1\"], \"tpu_worker\": 7, \"Worker\": []}, "
        "\"task\": {\"type\": \"worker\", \"index\": 0, \"trial\": \"3\", \"Index\": -1}}");
    assert_self(&spec, ROLE_WORKER, 0, true, 0);
    assert_false(spec.sparse);
    cluster_fini(&spec);
}

static void ipv6_works_in_brackets(void **state)
{
    (void)state;
    cluster_spec spec = parse_env(
        ROLE_WORKER, "{\"cluster\": {\"ps\": [\"[2001:DB8::1]:2222\"], \"worker\": [\"[::1]:2222\", "
                     "\"[::1]:2223\"]}, \"task\": {\"type\": \"worker\", \"index\": 1}}");
    assert_task(&spec, ROLE_PS, 0, "2001:db8::1", 2222);
    assert_task(&spec, ROLE_WORKER, 1, "::1", 2223);
    cluster_fini(&spec);
}

static void the_much_copied_trailing_commas_pass_with_a_warning(void **state)
{
    (void)state;
    cluster_spec spec =
        parse_env(ROLE_WORKER, "{\"cluster\": {\n  \"ps\": [\"host1:2222\"],\n"
                               "  \"worker\": [\"host2:2222\", \"host3:2222\", \"host4:2222\"],},\n"
                               "  \"task\": {\"type\": \"worker\", \"index\": 2,},\n}");
    assert_self(&spec, ROLE_WORKER, 2, false, 2);
    assert_string_equal(warning.text,
                        "TF_CONFIG: line 3, column 55: ignored a comma before a closing bracket");
    cluster_fini(&spec);
}

static void a_dictionary_with_gaps_is_sparse_and_sorted(void **state)
{
    (void)state;
    cluster_spec spec = parse_env(
        ROLE_WORKER, "{\"cluster\": {\"ps\": [\"a:1\"], \"worker\": {\"7\": \"d:1\", \"10\": \"e:1\", \"3\": "
                     "\"c:1\"}}, \"task\": {\"type\": \"worker\", \"index\": 7}}");
    assert_self(&spec, ROLE_WORKER, 7, false, 7);
    assert_true(spec.sparse);
    assert_true(spec.jobs[ROLE_PS].dense);
    assert_false(spec.jobs[ROLE_WORKER].dense);
    assert_int_equal(spec.jobs[ROLE_WORKER].tasks[0].index, 3);
    assert_int_equal(spec.jobs[ROLE_WORKER].tasks[1].index, 7);
    assert_int_equal(spec.jobs[ROLE_WORKER].tasks[2].index, 10);
    assert_null(cluster_find(&spec, ROLE_WORKER, 0));
    assert_int_equal(cluster_workers(&spec), 0);
    cluster_fini(&spec);
}

static void full_dictionaries_are_dense(void **state)
{
    (void)state;
    static const char *const tasks[] = {"worker", "ps"};
    for (size_t i = 0; i < 2; i++) {
        char text[256];
        snprintf(
            text, sizeof text,
            "{\"cluster\": {\"ps\": {\"1\": \"b:1\", \"0\": \"a:1\"}, \"worker\": {\"1\": \"d:1\", \"0\": "
            "\"c:1\"}}, \"task\": {\"type\": \"%s\", \"index\": 1}}",
            tasks[i]);
        cluster_spec spec = parse_env(i == 0 ? ROLE_WORKER : ROLE_PS, text);
        assert_false(spec.sparse);
        assert_true(spec.jobs[ROLE_PS].dense);
        assert_task(&spec, ROLE_PS, 0, "a", 1);
        assert_int_equal(cluster_workers(&spec), 2);
        cluster_fini(&spec);
    }
}

static void an_evaluator_may_be_missing_from_the_cluster(void **state)
{
    (void)state;
    cluster_spec spec =
        parse_env(ROLE_WORKER, "{\"cluster\": {\"ps\": [\"a:1\"], \"worker\": [\"b:1\"]}, \"task\": "
                               "{\"type\": \"evaluator\", \"index\": 5}}");
    assert_self(&spec, ROLE_EVALUATOR, 5, false, 0);
    assert_null(cluster_find(&spec, ROLE_EVALUATOR, 5));
    assert_int_equal(cluster_workers(&spec), 1);
    cluster_fini(&spec);
    spec = parse_env(ROLE_WORKER,
                     "{\"cluster\": {\"ps\": [\"a:1\"], \"worker\": [\"b:1\"], \"evaluator\": [\"c:1\"]}, "
                     "\"task\": {\"type\": \"evaluator\", \"index\": 0}}");
    assert_task(&spec, ROLE_EVALUATOR, 0, "c", 1);
    assert_int_equal(cluster_workers(&spec), 1);
    cluster_fini(&spec);
}

/* As Kubeflow's training operator writes TF_CONFIG. */

#define KUBEFLOW_WORKERS \
    "\"worker\":[\"dist-mnist-worker-0.kubeflow.svc:2222\",\"dist-mnist-worker-1.kubeflow.svc:2222\"]"
#define KUBEFLOW_PS "\"ps\":[\"dist-mnist-ps-0.kubeflow.svc:2222\",\"dist-mnist-ps-1.kubeflow.svc:2222\"]"

static void kubeflow_old_form_without_the_evaluator(void **state)
{
    (void)state;
    cluster_spec spec = parse_env(
        ROLE_WORKER, "{\"cluster\":{\"chief\":[\"dist-mnist-chief-0.kubeflow.svc:2222\"]," KUBEFLOW_PS
                     "," KUBEFLOW_WORKERS "},\"task\":{\"type\":\"evaluator\",\"index\":0},"
                     "\"environment\":\"cloud\"}");
    assert_self(&spec, ROLE_EVALUATOR, 0, false, 0);
    assert_task(&spec, ROLE_CHIEF, 0, "dist-mnist-chief-0.kubeflow.svc", 2222);
    assert_int_equal(cluster_workers(&spec), 3);
    cluster_fini(&spec);
}

static void kubeflow_new_form_with_the_evaluator(void **state)
{
    (void)state;
    cluster_spec spec = parse_env(
        ROLE_PS, "{\"cluster\":{\"evaluator\":[\"dist-mnist-evaluator-0.kubeflow.svc.cluster.local:2222\"],"
                 "\"master\":[\"dist-mnist-master-0.kubeflow.svc:2222\"]," KUBEFLOW_PS "," KUBEFLOW_WORKERS
                 "},\"task\":{\"type\":\"ps\",\"index\":1},\"environment\":\"cloud\"}");
    assert_self(&spec, ROLE_PS, 1, false, 0);
    assert_task(&spec, ROLE_EVALUATOR, 0, "dist-mnist-evaluator-0.kubeflow.svc.cluster.local", 2222);
    assert_int_equal(cluster_workers(&spec), 3);
    cluster_fini(&spec);
}

static void kubeflow_dynamic_worker_sees_all_ps_and_itself(void **state)
{
    (void)state;
    static const char *const keys[] = {"cluster", "sparseCluster"};
    for (size_t key = 0; key < 2; key++) {
        for (unsigned index = 0; index < 3; index++) {
            char text[512];
            snprintf(text, sizeof text,
                     "{\"%s\":{\"worker\":{\"%u\":\"job-worker-%u.kubeflow.svc:2222\"}," KUBEFLOW_PS
                     "},\"task\":{\"type\":\"worker\",\"index\":%u}}",
                     keys[key], index, index, index);
            cluster_spec spec = parse_env(ROLE_WORKER, text);
            assert_self(&spec, ROLE_WORKER, index, index == 0, index);
            assert_true(spec.sparse);
            assert_true(spec.jobs[ROLE_PS].dense);
            assert_int_equal(spec.jobs[ROLE_PS].count, 2);
            assert_false(spec.jobs[ROLE_WORKER].dense);
            assert_int_equal(cluster_workers(&spec), 0);
            cluster_fini(&spec);
        }
    }
}

static void kubeflow_dynamic_ps_sees_only_itself_in_a_list_under_its_own_index(void **state)
{
    (void)state;
    static const char *const keys[] = {"cluster", "sparseCluster"};
    for (size_t key = 0; key < 2; key++) {
        for (unsigned index = 0; index < 3; index++) {
            char text[256];
            snprintf(text, sizeof text,
                     "{\"%s\":{\"worker\":{},\"ps\":[\"job-ps-%u.kubeflow.svc:2222\"]},"
                     "\"task\":{\"type\":\"ps\",\"index\":%u}}",
                     keys[key], index, index);
            cluster_spec spec = parse_env(ROLE_PS, text);
            assert_self(&spec, ROLE_PS, index, false, 0);
            assert_true(spec.sparse);
            assert_int_equal(spec.jobs[ROLE_PS].count, 1);
            assert_false(spec.jobs[ROLE_PS].dense);
            assert_non_null(cluster_find(&spec, ROLE_PS, index));
            assert_int_equal(cluster_workers(&spec), 0);
            cluster_fini(&spec);
        }
    }
}

static void a_ps_may_see_only_itself_in_a_dictionary(void **state)
{
    (void)state;
    cluster_spec spec =
        parse_env(ROLE_PS, "{\"cluster\": {\"ps\": {\"0\": \"a:1\"}, \"worker\": [\"b:1\"]}, \"task\": "
                           "{\"type\": \"ps\", \"index\": 0}}");
    assert_self(&spec, ROLE_PS, 0, false, 0);
    assert_true(spec.sparse);
    assert_false(spec.jobs[ROLE_PS].dense);
    cluster_fini(&spec);
}

static void both_cluster_keys_may_say_the_same(void **state)
{
    (void)state;
    cluster_spec spec = parse_env(
        ROLE_WORKER,
        "{\"cluster\": {\"ps\": [\"a:1\"], \"worker\": {\"4\": \"b:1\"}}, \"sparseCluster\": {\"worker\": "
        "{\"4\": \"b:1\"}, \"ps\": [\"a:1\"]}, \"task\": {\"type\": \"worker\", \"index\": 4}}");
    assert_self(&spec, ROLE_WORKER, 4, false, 4);
    assert_true(spec.sparse);
    cluster_fini(&spec);
}

/* Options */

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

static void assert_described(cluster_role daemon, const char *tf_config, const char *expected)
{
    cluster_spec spec = parse_env(daemon, tf_config);
    char text[512];
    cluster_describe(&spec, text, sizeof text);
    assert_string_equal(text, expected);
    cluster_fini(&spec);
}

static void a_spec_is_described_for_people(void **state)
{
    (void)state;
    assert_described(ROLE_WORKER, NULL,
                     "cluster  none: this process trains alone\n"
                     "task     worker/0\n"
                     "chief    worker/0, this task\n"
                     "rank     0\n");
    assert_described(ROLE_WORKER,
                     "{\"cluster\": {\"ps\": [\"[::1]:2222\"], \"chief\": [\"b:1\"], \"worker\": [\"c:1\"]}, "
                     "\"task\": {\"type\": \"worker\", \"index\": 0}}",
                     "cluster  dense: every task is listed\n"
                     "         ps/0  [::1]:2222\n"
                     "         worker/0  c:1\n"
                     "         chief/0  b:1\n"
                     "task     worker/0\n"
                     "chief    chief/0\n"
                     "rank     1\n");
    assert_described(
        ROLE_PS,
        "{\"cluster\": {\"worker\": {}, \"ps\": [\"b:1\"]}, \"task\": {\"type\": \"ps\", \"index\": 3}}",
        "cluster  sparse: there may be more tasks than are listed\n"
        "         ps/3  b:1\n"
        "task     ps/3\n"
        "chief    worker/0\n");
}

static void a_description_is_cut_at_its_buffer(void **state)
{
    (void)state;
    cluster_spec spec = parse_env(ROLE_WORKER, NULL);
    char text[12] = "xxxxxxxxxxx";
    cluster_describe(&spec, text, 0);
    assert_string_equal(text, "xxxxxxxxxxx");
    cluster_describe(&spec, text, 8);
    assert_string_equal(text, "cluster");
    assert_int_equal(text[9], 'x');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_without_tf_config_trains_alone),
        cmocka_unit_test(lists_are_a_dense_cluster),
        cmocka_unit_test(worker_0_is_chief_where_no_chief_is_named),
        cmocka_unit_test(a_chief_comes_first_in_rank_and_takes_the_title_from_worker_0),
        cmocka_unit_test(a_task_may_name_the_chief_by_either_name),
        cmocka_unit_test(an_index_may_be_digits_in_a_string),
        cmocka_unit_test(keys_that_are_not_ours_are_ignored),
        cmocka_unit_test(ipv6_works_in_brackets),
        cmocka_unit_test(the_much_copied_trailing_commas_pass_with_a_warning),
        cmocka_unit_test(a_dictionary_with_gaps_is_sparse_and_sorted),
        cmocka_unit_test(full_dictionaries_are_dense),
        cmocka_unit_test(an_evaluator_may_be_missing_from_the_cluster),
        cmocka_unit_test(kubeflow_old_form_without_the_evaluator),
        cmocka_unit_test(kubeflow_new_form_with_the_evaluator),
        cmocka_unit_test(kubeflow_dynamic_worker_sees_all_ps_and_itself),
        cmocka_unit_test(kubeflow_dynamic_ps_sees_only_itself_in_a_list_under_its_own_index),
        cmocka_unit_test(a_ps_may_see_only_itself_in_a_dictionary),
        cmocka_unit_test(both_cluster_keys_may_say_the_same),
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
        cmocka_unit_test(a_spec_is_described_for_people),
        cmocka_unit_test(a_description_is_cut_at_its_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
