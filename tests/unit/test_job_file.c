/* Jobs described in JSON: deploy/job_file. */
#include "deploy/runs/job_file.h"

#include <string.h>
#include <sys/stat.h>

#include "tests/unit/folder.h"

static job_file job;

static ps_status parse(const char *text, ps_error *error)
{
    return job_file_parse(text, strlen(text), "job.json", ".", &job, error);
}

static void refused(const char *text, ps_status wanted, const char *reason)
{
    ps_error error;
    assert_int_equal(parse(text, &error), wanted);
    if (!strstr(error.text, reason))
        fail_msg("'%s' does not say '%s'", error.text, reason);
    assert_non_null(strstr(error.text, "job.json"));
    assert_int_equal(job.launcher.count + job.training.count + job.environment.count, 0);
}

static void a_whole_job_becomes_arguments(void **state)
{
    (void)state;
    assert_int_equal(mkdir("mnist", 0777), 0);
    static const char text[] =
        "{\"schema\": \"penstock-job/1\", \"experiment\": \"tf-dnn\", \"target\": \"local\", \"data\": "
        "\"mnist\","
        " \"ps\": 2, \"workers\": 3, \"chief\": true, \"evaluator\": false,"
        " \"options\": {\"batch-size\": 50, \"learning-rate\": 0.01, \"hidden\": \"300,100\", \"flag\": true,"
        " \"clip-norm\": 1e-7, \"seed\": 9007199254740991, \"shuffle\": 2e15},"
        " \"launcher\": {\"restarts\": 2}, \"ps_options\": [\"--lease-secs\", \"5\"],"
        " \"environment\": {\"A_1\": \"x=y\"}}";
    static const char *const launcher[] = {
        "--ps=2", "--workers=3", "--chief", "--restarts=2", "--ps-option=--lease-secs", "--ps-option=5"};
    static const char *const training[] = {
        "--batch-size=50",   "--learning-rate=0.01",    "--hidden=300,100",          "--flag",
        "--clip-norm=1e-07", "--seed=9007199254740991", "--shuffle=2000000000000000"};
    assert_int_equal(parse(text, NULL), PS_OK);
    assert_string_equal(job.experiment, "tf-dnn");
    assert_non_null(strstr(job.data, "/mnist"));
    assert_int_equal(job.data[0], '/');
    assert_int_equal(job.launcher.count, 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(job.launcher.list[i], launcher[i]);
    assert_int_equal(job.training.count, 7);
    for (size_t i = 0; i < 7; i++)
        assert_string_equal(job.training.list[i], training[i]);
    assert_string_equal(job.environment.list[0], "A_1=x=y");
    job_file_free(&job);
}

static void the_least_is_the_schema(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"schema\": \"penstock-job/1\"}", NULL), PS_OK);
    assert_string_equal(job.experiment, "");
    assert_string_equal(job.data, "");
    job_file_free(&job);
}

static void mistakes_are_named(void **state)
{
    (void)state;
#define JOB(rest) "{\"schema\": \"penstock-job/1\", " rest "}"
    refused("", PS_EFORMAT, "");
    refused("[]", PS_EFORMAT, "");
    refused("{}", PS_EINVAL, "\"schema\": \"penstock-job/1\" is missing");
    refused("{\"schema\": \"penstock-job/2\"}", PS_EINVAL, "schema: 'penstock-job/2' is not known");
    refused(JOB("\"target\": \"k8s\""), PS_EINVAL, "target: 'k8s' is not known; there is: local");
    refused(JOB("\"woker\": 3"), PS_EINVAL, "'woker' is not known; there is: schema,");
    refused(JOB("\"workers\": 3.5"), PS_EINVAL, "workers");
    refused(JOB("\"workers\": 100000"), PS_EINVAL, "workers");
    refused(JOB("\"chief\": 1"), PS_EINVAL, "chief");
    refused(JOB("\"experiment\": \"../x\""), PS_EINVAL, "the experiment name '../x'");
    refused(JOB("\"data\": \"absent\""), PS_EINVAL, "data: cannot find ./absent: No such file");
    refused(JOB("\"data\": \"\""), PS_EINVAL, "data: the name is empty");
    refused(JOB("\"options\": {\"a b\": 1}"), PS_EINVAL, "options: 'a b' is no name of an option");
    refused(JOB("\"options\": {\"-a\": 1}"), PS_EINVAL, "options: '-a' is no name of an option");
    refused(JOB("\"options\": {\"\": 1}"), PS_EINVAL, "options: '' is no name of an option");
    refused(JOB("\"options\": {\"a\": [1]}"), PS_EINVAL, "options: 'a' is a list");
    refused(JOB("\"options\": {\"a\": false}"), PS_EINVAL, "options: 'a' is false; leave it out instead");
    refused(JOB("\"options\": {\"b\": 1}, \"launcher\": 7"), PS_EINVAL, "launcher");
    refused(JOB("\"ps_options\": [7]"), PS_EINVAL, "ps_options");
    refused(JOB("\"environment\": {\"A=B\": \"1\"}"), PS_EINVAL, "environment: 'A=B' is no name");
    refused(JOB("\"environment\": {\"TF_CONFIG\": \"{}\"}"), PS_EINVAL, "TF_CONFIG is the launcher's to set");
    refused(JOB("\"environment\": {\"A\": 1}"), PS_EINVAL, "A");
}

static void the_folder_is_that_of_the_file(void **state)
{
    (void)state;
    ps_error error;
    static const char text[] = "{\"schema\": \"penstock-job/1\", \"data\": \"mnist\"}";
    assert_int_equal(mkdir("jobs", 0777) | mkdir("jobs/mnist", 0777), 0);
    folder_put("jobs/one.json", text, sizeof text - 1);
    assert_int_equal(job_file_read("jobs/one.json", &job, &error), PS_OK);
    assert_non_null(strstr(job.data, "/jobs/mnist"));
    job_file_free(&job);
    assert_int_equal(job_file_read("jobs/two.json", &job, &error), PS_ENOENT);
    assert_non_null(strstr(error.text, "jobs/two.json"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(a_whole_job_becomes_arguments),
        FOLDER_TEST(the_least_is_the_schema),
        FOLDER_TEST(mistakes_are_named),
        FOLDER_TEST(the_folder_is_that_of_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
