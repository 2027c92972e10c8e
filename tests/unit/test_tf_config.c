/* The TF_CONFIG written is the one that common/cluster reads: deploy/tf_config. */
#include "deploy/launch/tf_config.h"

#include <string.h>

#include "tests/unit/unit.h"

static const uint16_t servers[] = {40001, 40002};
static const uint16_t workers[] = {40003};
static const uint16_t chief[] = {40004};

static const local_cluster cluster = {
    .ports = {[ROLE_PS] = servers, [ROLE_WORKER] = workers, [ROLE_CHIEF] = chief},
    .counts = {[ROLE_PS] = 2, [ROLE_WORKER] = 1, [ROLE_CHIEF] = 1},
};

static void text_is_one_line_of_json(void **state)
{
    (void)state;
    char text[512];
    assert_int_equal(tf_config_write(&cluster, ROLE_PS, 1, text, sizeof text, NULL), PS_OK);
    assert_string_equal(text, "{\"cluster\": {\"ps\": [\"127.0.0.1:40001\", \"127.0.0.1:40002\"], "
                              "\"worker\": [\"127.0.0.1:40003\"], \"chief\": [\"127.0.0.1:40004\"]}, "
                              "\"task\": {\"type\": \"ps\", \"index\": 1}}");
}

static void other_hosts_are_named(void **state)
{
    (void)state;
    static const uint32_t hosts[] = {0x0a530001, 0x0a530002};
    char text[512];
    local_cluster apart = {
        .ports = {[ROLE_PS] = servers}, .hosts = {[ROLE_PS] = hosts}, .counts = {[ROLE_PS] = 2}};
    assert_int_equal(tf_config_write(&apart, ROLE_PS, 0, text, sizeof text, NULL), PS_OK);
    assert_string_equal(text, "{\"cluster\": {\"ps\": [\"10.83.0.1:40001\", \"10.83.0.2:40002\"]}, "
                              "\"task\": {\"type\": \"ps\", \"index\": 0}}");
}

static void our_own_reader_understands_it(void **state)
{
    (void)state;
    char text[512];
    assert_int_equal(tf_config_write(&cluster, ROLE_WORKER, 0, text, sizeof text, NULL), PS_OK);
    const cluster_source source = {.strict = true, .daemon = ROLE_WORKER, .tf_config = text};
    cluster_spec spec;
    cluster_warning warning;
    ps_error error;
    assert_int_equal(cluster_parse(&source, &spec, &warning, NULL, 0, &error), PS_OK);
    assert_string_equal(warning.text, "");
    assert_int_equal(spec.role, ROLE_WORKER);
    assert_int_equal(spec.index, 0);
    assert_int_equal(spec.jobs[ROLE_PS].count, 2);
    assert_int_equal(cluster_find(&spec, ROLE_PS, 1)->port, 40002);
    assert_int_equal(cluster_find(&spec, ROLE_CHIEF, 0)->port, 40004);
    assert_int_equal(spec.jobs[ROLE_EVALUATOR].count, 0);
    cluster_fini(&spec);
}

static void too_small_a_room_is_refused_without_overrun(void **state)
{
    (void)state;
    char whole[512];
    assert_int_equal(tf_config_write(&cluster, ROLE_PS, 0, whole, sizeof whole, NULL), PS_OK);
    for (size_t bytes = 0; bytes <= strlen(whole); bytes++) {
        char text[512];
        memset(text, 'x', sizeof text);
        assert_int_equal(tf_config_write(&cluster, ROLE_PS, 0, text, bytes, NULL), PS_ELIMIT);
        assert_int_equal(text[bytes], 'x');
    }
    assert_int_equal(tf_config_write(&cluster, ROLE_PS, 0, whole, strlen(whole) + 1, NULL), PS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_one_line_of_json),
        cmocka_unit_test(other_hosts_are_named),
        cmocka_unit_test(our_own_reader_understands_it),
        cmocka_unit_test(too_small_a_room_is_refused_without_overrun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
