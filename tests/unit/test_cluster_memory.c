/* Fails each allocation of json and cluster in turn: the answer is PS_ENOMEM, and nothing leaks (asan).
 *
 * Linked with --wrap for malloc and calloc of our own code; cJSON, a shared library, gets hooks. */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "common/cluster.h"
#include "common/json.h"
#include "tests/unit/unit.h"

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);

static size_t allocations; /* since the count was reset */
static size_t failing;     /* the one, counted from 1, that fails; 0: none */

static int fails_now(void)
{
    return ++allocations == failing;
}

void *__wrap_malloc(size_t bytes)
{
    return fails_now() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails_now() ? NULL : __real_calloc(count, bytes);
}

static int hook_cjson(void **state)
{
    (void)state;
    cJSON_Hooks hooks = {.malloc_fn = __wrap_malloc, .free_fn = free};
    cJSON_InitHooks(&hooks);
    return 0;
}

static ps_status parse_json(ps_error *error)
{
    const char text[] =
        "{\"name\": \"x\\ty\", \"list\": [1, 2.5, null, {\"a\": true, \"b\": {}}], \"empty\": {}}";
    const json_options options = {.source = "text", .max_bytes = sizeof text};
    json *root = NULL;
    const ps_status status = json_parse(text, sizeof text - 1, &options, &root, NULL, error);
    assert_int_equal(root == NULL, status != PS_OK);
    json_free(&root);
    return status;
}

static ps_status parse_cluster(ps_error *error)
{
    const cluster_source source = {
        .daemon = ROLE_WORKER,
        .cluster =
            "{\"ps\": [\"a:1\"], \"worker\": {\"1\": \"c:1\", \"0\": \"b:1\"}, \"evaluator\": [\"d:1\"]}",
        .task = "{\"type\": \"worker\", \"index\": 1}"};
    cluster_spec spec;
    cluster_warning warning;
    const ps_status status = cluster_parse(&source, &spec, &warning, NULL, 0, error);
    cluster_fini(&spec);
    return status;
}

static void fail_each_allocation(ps_status (*run)(ps_error *error))
{
    ps_error error = {0};
    allocations = failing = 0;
    assert_int_equal(run(&error), PS_OK);
    const size_t needed = allocations;
    assert_true(needed > 5);
    for (size_t i = 1; i <= needed; i++) {
        allocations = 0;
        failing = i;
        const ps_status status = run(&error);
        failing = 0;
        assert_int_equal(status, PS_ENOMEM);
        assert_int_equal(error.status, PS_ENOMEM);
    }
}

static void json_survives_the_failure_of_each_allocation(void **state)
{
    (void)state;
    fail_each_allocation(parse_json);
}

static void a_cluster_survives_the_failure_of_each_allocation(void **state)
{
    (void)state;
    fail_each_allocation(parse_cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(json_survives_the_failure_of_each_allocation, hook_cjson),
        cmocka_unit_test_setup(a_cluster_survives_the_failure_of_each_allocation, hook_cjson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
