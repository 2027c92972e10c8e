/* The command line of the cluster spec, as a daemon's parser includes it. */
#include "common/cluster_options.h"

#include <stdlib.h>

#include "tests/unit/unit.h"

static error_t parse_parent(int key, char *value, struct argp_state *state)
{
    (void)value;
    if (key != ARGP_KEY_INIT)
        return ARGP_ERR_UNKNOWN;
    state->child_inputs[0] = state->input;
    return 0;
}

static error_t parse_line(int argc, char **argv, cluster_options *options)
{
    static const struct argp_child children[] = {{&cluster_options_argp, 0, NULL, 0}, {0}};
    const struct argp parent = {.parser = parse_parent, .children = children};
    *options = (cluster_options){0};
    return argp_parse(&parent, argc, argv, ARGP_NO_EXIT | ARGP_NO_ERRS, NULL, options);
}

static void every_option_reaches_its_field(void **state)
{
    (void)state;
    char *line[] = {"penstock-ps", "--cluster",      "{}", "--task=ps:1", "--from-ordinal", "ps=1",
                    "--strict",    "--check-config", NULL};
    cluster_options options;
    assert_int_equal(parse_line(8, line, &options), 0);
    assert_string_equal(options.cluster, "{}");
    assert_string_equal(options.task, "ps:1");
    assert_string_equal(options.ordinal, "ps=1");
    assert_true(options.strict);
    assert_true(options.check_config);
}

static void no_option_leaves_everything_off(void **state)
{
    (void)state;
    char *line[] = {"penstock-ps", NULL};
    cluster_options options;
    assert_int_equal(parse_line(1, line, &options), 0);
    assert_null(options.cluster);
    assert_null(options.task);
    assert_null(options.ordinal);
    assert_false(options.strict);
    assert_false(options.check_config);
}

static void an_option_without_its_value_is_refused(void **state)
{
    (void)state;
    char *line[] = {"penstock-ps", "--cluster", NULL};
    cluster_options options;
    assert_int_not_equal(parse_line(2, line, &options), 0);
}

static void the_environment_counts_where_no_option_is_given(void **state)
{
    (void)state;
    cluster_options options = {0};
    cluster_spec spec;
    cluster_warning warning;
    ps_error error;
    setenv("TF_CONFIG",
           "{\"cluster\": {\"ps\": [\"a:1\"], \"worker\": [\"b:1\",]}, \"task\": {\"type\": \"ps\", "
           "\"index\": 0}}",
           1);
    assert_int_equal(cluster_options_resolve(&options, ROLE_PS, &spec, &warning, NULL, 0, &error), PS_OK);
    assert_int_equal(spec.role, ROLE_PS);
    assert_string_equal(warning.text,
                        "TF_CONFIG: line 1, column 45: ignored a comma before a closing bracket");
    cluster_fini(&spec);

    options.strict = true;
    assert_int_equal(cluster_options_resolve(&options, ROLE_PS, &spec, &warning, NULL, 0, &error),
                     PS_ECONFIG);
    assert_string_equal(error.text,
                        "TF_CONFIG: line 1, column 45: a comma before the closing ']'; remove it");

    options.cluster = "{\"ps\": [\"c:1\"], \"worker\": [\"d:1\"]}";
    options.task = "worker:0";
    assert_int_equal(cluster_options_resolve(&options, ROLE_WORKER, &spec, &warning, NULL, 0, &error), PS_OK);
    assert_string_equal(cluster_find(&spec, ROLE_WORKER, 0)->host, "d");
    cluster_fini(&spec);

    unsetenv("TF_CONFIG");
    options = (cluster_options){0};
    assert_int_equal(cluster_options_resolve(&options, ROLE_WORKER, &spec, &warning, NULL, 0, &error), PS_OK);
    assert_false(spec.present);
}

static void a_pattern_counts_where_nothing_else_says_the_cluster(void **state)
{
    (void)state;
    cluster_options options = {0};
    cluster_spec spec;
    cluster_warning warning;
    ps_error error;
    unsetenv("TF_CONFIG");
    unsetenv("POD_NAME");
    setenv("PENSTOCK_FROM_ORDINAL", "ps=1@a:1,worker=2", 1);
    setenv("JOB_COMPLETION_INDEX", "1", 1);
    assert_int_equal(cluster_options_resolve(&options, ROLE_WORKER, &spec, &warning, NULL, 0, &error), PS_OK);
    assert_string_equal(warning.text, "");
    assert_false(spec.sparse);
    assert_int_equal(spec.index, 1);
    assert_string_equal(cluster_find(&spec, ROLE_PS, 0)->host, "a");
    cluster_fini(&spec);

    options.ordinal = "ps=3@b-{}:1,worker=2"; /* wins over the environment, as options do */
    options.task = "ps:2";
    assert_int_equal(cluster_options_resolve(&options, ROLE_PS, &spec, &warning, NULL, 0, &error), PS_OK);
    assert_string_equal(cluster_find(&spec, ROLE_PS, 2)->host, "b-2");
    cluster_fini(&spec);

    options = (cluster_options){.cluster = "{\"ps\": [\"c:1\"], \"worker\": [\"d:1\"]}", .task = "ps:0"};
    assert_int_equal(cluster_options_resolve(&options, ROLE_PS, &spec, &warning, NULL, 0, &error), PS_OK);
    assert_string_equal(warning.text, "--cluster is given: PENSTOCK_FROM_ORDINAL is ignored");
    cluster_fini(&spec);

    options.ordinal = "ps=1@a:1,worker=2";
    assert_int_equal(cluster_options_resolve(&options, ROLE_PS, &spec, &warning, NULL, 0, NULL), PS_ECONFIG);

    options = (cluster_options){0};
    setenv("TF_CONFIG", "{}", 1);
    assert_int_equal(cluster_options_resolve(&options, ROLE_WORKER, &spec, &warning, NULL, 0, &error),
                     PS_ECONFIG);
    assert_string_equal(error.text, "TF_CONFIG and --from-ordinal (or PENSTOCK_FROM_ORDINAL) both say what "
                                    "the cluster is; take one of them away");
    unsetenv("TF_CONFIG");
    unsetenv("PENSTOCK_FROM_ORDINAL");
    unsetenv("JOB_COMPLETION_INDEX");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_reaches_its_field),
        cmocka_unit_test(no_option_leaves_everything_off),
        cmocka_unit_test(an_option_without_its_value_is_refused),
        cmocka_unit_test(the_environment_counts_where_no_option_is_given),
        cmocka_unit_test(a_pattern_counts_where_nothing_else_says_the_cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
