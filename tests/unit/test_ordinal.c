/* What --from-ordinal stands for: the equal TF_CONFIG, and what is refused with which words. */
#include "common/ordinal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define TRAINER "ps=2@trainer-ps-{}.trainer:2222,worker=3"

static void assert_stands_for(const char *spec, cluster_role daemon, const ordinal_names *names,
                              const char *expected)
{
    char *text = NULL;
    ps_error error = {0};
    if (ordinal_tf_config(spec, daemon, names, &text, &error))
        fail_msg("%s", error.text);
    assert_string_equal(text, expected);
    free(text);
}

static void assert_refused(const char *spec, cluster_role daemon, const ordinal_names *names,
                           const char *expected)
{
    char *text = NULL;
    ps_error error = {0};
    assert_int_equal(ordinal_tf_config(spec, daemon, names, &text, &error), PS_ECONFIG);
    assert_string_equal(error.text, expected);
    assert_null(text);
}

static void a_pattern_is_written_once_for_each_index(void **state)
{
    (void)state;
    const ordinal_names names = {.host_name = "trainer-ps-1"};
    assert_stands_for(TRAINER, ROLE_PS, &names,
                      "{\"cluster\":{\"ps\":[\"trainer-ps-0.trainer:2222\",\"trainer-ps-1.trainer:2222\"],"
                      "\"worker\":[\"worker-0:2222\",\"worker-1:2222\",\"worker-2:2222\"]},"
                      "\"task\":{\"type\":\"ps\",\"index\":1}}");
}

static void a_pattern_may_have_its_place_twice_and_one_task_needs_none(void **state)
{
    (void)state;
    assert_stands_for("worker=2@{}.w{}:1,master=1,ps=1@host:2", ROLE_WORKER, NULL,
                      "{\"cluster\":{\"ps\":[\"host:2\"],\"worker\":[\"0.w0:1\",\"1.w1:1\"],"
                      "\"chief\":[\"master-0:2222\"]}}");
}

static void the_index_is_that_of_the_job_before_that_of_the_pod_before_that_of_the_host(void **state)
{
    (void)state;
    static const struct {
        ordinal_names names;
        unsigned index;
    } cases[] = {
        {{"2", "trainer-worker-1", "trainer-worker-0"}, 2},
        {{NULL, "trainer-worker-1", "trainer-worker-0"}, 1},
        {{NULL, "with.dot-9.worker-1", "trainer-worker-0"}, 1},
        {{NULL, NULL, "trainer-worker-2"}, 2},
        {{NULL, NULL, "trainer-worker-2.trainer-7.example"}, 2},
        {{NULL, NULL, "-0"}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char expected[64];
        char *text = NULL;
        snprintf(expected, sizeof expected, "\"task\":{\"type\":\"worker\",\"index\":%u}}", cases[i].index);
        assert_int_equal(ordinal_tf_config(TRAINER, ROLE_WORKER, &cases[i].names, &text, NULL), PS_OK);
        assert_string_equal(strstr(text, "\"task\""), expected);
        free(text);
    }
}

static void a_name_without_a_usable_index_is_refused(void **state)
{
    (void)state;
#define RULE                                                                                               \
    ", which does not end in '-' and an index from 0 to 1023, such as trainer-ps-0: --from-ordinal takes " \
    "the "                                                                                                 \
    "index of this task from there; or give --task"
    static const struct {
        ordinal_names names;
        const char *error;
    } cases[] = {
        {{"", "p-0", "p-0"}, "JOB_COMPLETION_INDEX must be an index from 0 to 1023, not \"\""},
        {{"-1", NULL, NULL}, "JOB_COMPLETION_INDEX must be an index from 0 to 1023, not \"-1\""},
        {{"01", NULL, NULL}, "JOB_COMPLETION_INDEX must be an index from 0 to 1023, not \"01\""},
        {{"1\n2", NULL, NULL}, "JOB_COMPLETION_INDEX must be an index from 0 to 1023, not \"1?2\""},
        {{NULL, "", "p-0"}, "POD_NAME is \"\"" RULE},
        {{NULL, "trainer-ps", "p-0"}, "POD_NAME is \"trainer-ps\"" RULE},
        {{NULL, "trainer-ps-", "p-0"}, "POD_NAME is \"trainer-ps-\"" RULE},
        {{NULL, "trainer-ps-01", "p-0"}, "POD_NAME is \"trainer-ps-01\"" RULE},
        {{NULL, "trainer-ps-1024", "p-0"}, "POD_NAME is \"trainer-ps-1024\"" RULE},
        {{NULL, "p-0.example", "p-0"}, "POD_NAME is \"p-0.example\"" RULE},
        {{NULL, "p-99999999999999999999", "p-0"}, "POD_NAME is \"p-99999999999999999999\"" RULE},
        {{NULL, NULL, NULL}, "the name of this host is \"\"" RULE},
        {{NULL, NULL, "node.p-0"}, "the name of this host is \"node\"" RULE},
        {{NULL, "ps-2", NULL},
         "POD_NAME is \"ps-2\", which makes this ps 2; but --from-ordinal has ps 0 to 1"},
        {{"7", NULL, NULL},
         "JOB_COMPLETION_INDEX is \"7\", which makes this ps 7; but --from-ordinal has ps 0 to 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(TRAINER, ROLE_PS, &cases[i].names, cases[i].error);
    const ordinal_names names = {.completion_index = "0"};
    assert_refused("ps=2@p-{}:1", ROLE_WORKER, &names,
                   "--from-ordinal: this is penstock-worker, but there is no job worker");
}

static void what_is_no_list_of_jobs_is_refused(void **state)
{
    (void)state;
#define GIVE " is not JOB=COUNT@HOST:PORT; give e.g. " TRAINER
    static const struct {
        const char *spec, *error;
    } cases[] = {
        {"", "--from-ordinal is empty; give e.g. " TRAINER},
        {",", "--from-ordinal: \"\"" GIVE},
        {TRAINER ",", "--from-ordinal: \"\"" GIVE},
        {"ps", "--from-ordinal: \"ps\"" GIVE},
        {"ps@a=2", "--from-ordinal: \"ps@a=2\"" GIVE},
        {"{\"cluster\": {}}", "--from-ordinal: \"{\"cluster\": {}}\"" GIVE},
        {"=2", "--from-ordinal: there is no job \"\", only ps, worker, chief or master, and evaluator"},
        {"server=2@a-{}:1",
         "--from-ordinal: there is no job \"server\", only ps, worker, chief or master, and evaluator"},
        {"PS=2@a-{}:1",
         "--from-ordinal: there is no job \"PS\", only ps, worker, chief or master, and evaluator"},
        {" ps=2@a-{}:1",
         "--from-ordinal: there is no job \" ps\", only ps, worker, chief or master, and evaluator"},
        {"ps=0@a-{}:1", "--from-ordinal: ps: '0' is not a whole number from 1 to 1024"},
        {"ps=1025@a-{}:1", "--from-ordinal: ps: '1025' is not a whole number from 1 to 1024"},
        {"ps=-1@a-{}:1", "--from-ordinal: ps: '-1' is not a whole number from 1 to 1024"},
        {"ps=@a-{}:1", "--from-ordinal: ps: '' is not a whole number from 1 to 1024"},
        {"ps=99999999999999999999@a-{}:1",
         "--from-ordinal: ps: '99999999999999999999' is not a whole number from 1 to 1024"},
        {"worker=2 @a-{}:1", "--from-ordinal: worker: '2 ' is not a whole number from 1 to 1024"},
        {"ps=2", "--from-ordinal: ps has no addresses, by which workers find them; give e.g. " TRAINER},
        {"ps=1,worker=1",
         "--from-ordinal: ps has no addresses, by which workers find them; give e.g. " TRAINER},
        {"ps=2@host:2222",
         "--from-ordinal: ps: \"host:2222\" is the same for all 2; write {} where the index "
         "is to stand"},
        {"ps=1@a:1,ps=1@b:1", "--from-ordinal: ps is there twice"},
        {"chief=1,master=1", "--from-ordinal: master is there twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(cases[i].spec, ROLE_PS, NULL, cases[i].error);
}

static void a_pattern_has_a_longest_length(void **state)
{
    (void)state;
    char spec[1024], *text = NULL;
    ps_error error;
    char pattern[512];
    memset(pattern, 'a', sizeof pattern);
    for (int length = 299; length <= 301; length++) {
        snprintf(spec, sizeof spec, "ps=1@%.*s", length, pattern);
        const ps_status status = ordinal_tf_config(spec, ROLE_PS, NULL, &text, &error);
        assert_int_equal(status, length > 300 ? PS_ECONFIG : PS_OK);
        free(text);
    }
    assert_non_null(strstr(error.text, "... has 301 characters; at most 300 are allowed"));
    snprintf(spec, sizeof spec, "ps=1@%.*s", 511, pattern);
    assert_int_equal(ordinal_tf_config(spec, ROLE_PS, NULL, &text, &error), PS_ECONFIG);
    assert_non_null(strstr(error.text, "... has 516 characters; at most 334 are allowed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_is_written_once_for_each_index),
        cmocka_unit_test(a_pattern_may_have_its_place_twice_and_one_task_needs_none),
        cmocka_unit_test(the_index_is_that_of_the_job_before_that_of_the_pod_before_that_of_the_host),
        cmocka_unit_test(a_name_without_a_usable_index_is_refused),
        cmocka_unit_test(what_is_no_list_of_jobs_is_refused),
        cmocka_unit_test(a_pattern_has_a_longest_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
