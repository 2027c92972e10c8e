/* Every accepted form of a cluster spec, and what is understood. What is refused, with which words, stands
 * in test_cluster_malformed.c. */
#include "common/cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/cluster_sample.h"

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
        cmocka_unit_test(a_spec_is_described_for_people),
        cmocka_unit_test(a_description_is_cut_at_its_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
