/* Plans of faults: read, drawn, written: deploy/chaos_plan, deploy/chaos_draw. */
#include "deploy/chaos/chaos_plan.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

enum { WORKERS = 3, SERVERS = 2 };

static chaos_plan plan;

static ps_status parse(const char *text, ps_error *error)
{
    return chaos_plan_parse(text, strlen(text), "plan.json", WORKERS, SERVERS, &plan, error);
}

static void assert_refused(const char *text, const char *why)
{
    ps_error error;
    assert_int_not_equal(parse(text, &error), PS_OK);
    if (!strstr(error.text, why))
        fail_msg("'%s' does not say '%s'", error.text, why);
}

static void plans_are_read(void **state)
{
    (void)state;
    ps_error error;
    assert_int_equal(
        parse("{\"shared_memory\": false, \"faults\": ["
              "{\"at\": {\"step\": 40}, \"do\": \"kill\", \"target\": \"ps-1\"},"
              "{\"at\": {\"seconds\": 1.5}, \"do\": \"stop\", \"target\": \"worker-2\", \"for\": 0.8},"
              "{\"at\": {\"fraction\": 0.5}, \"do\": \"partition\", \"target\": \"worker-0/ps-1\","
              " \"direction\": \"down\", \"for\": 1},"
              "{\"at\": {\"step\": 0}, \"do\": \"delay\", \"target\": \"ps-0\", \"for\": 1, \"delay_ms\": 5,"
              " \"jitter_ms\": 3},"
              "{\"at\": {\"step\": 0}, \"do\": \"throttle\", \"target\": \"worker-1\", \"for\": 1,"
              " \"bytes_per_s\": 1000}]}",
              &error),
        PS_OK);
    assert_false(plan.share_memory);
    assert_int_equal(plan.count, 5);
    const fault *f = plan.faults;
    assert_int_equal(f[0].kind, FAULT_KILL);
    assert_int_equal(f[0].clock, AT_STEP);
    assert_true(f[0].at == 40);
    assert_int_equal(f[0].server, 1);
    assert_true(f[0].worker == CHAOS_ANY);
    assert_int_equal(f[1].clock, AT_SECONDS);
    assert_int_equal(f[1].worker, 2);
    assert_true(f[1].server == CHAOS_ANY);
    assert_int_equal(f[1].for_ms, 800);
    assert_int_equal(f[2].worker, 0);
    assert_int_equal(f[2].server, 1);
    assert_int_equal(f[2].direction, CHAOS_DOWN);
    assert_int_equal(f[3].delay_ms, 5);
    assert_int_equal(f[3].jitter_ms, 3);
    assert_int_equal(f[4].bytes_per_s, 1000);
}

static void a_list_alone_is_a_plan(void **state)
{
    (void)state;
    ps_error error;
    assert_int_equal(parse("[]", &error), PS_OK);
    assert_int_equal(plan.count, 0);
    assert_true(plan.share_memory);
}

#define FAULT(rest) "[{\"at\": {\"step\": 1}, " rest "}]"

static void mistakes_are_named(void **state)
{
    (void)state;
    assert_refused("[", "plan.json");
    assert_refused("7", "faults");
    assert_refused("{\"fault\": []}", "faults");
    assert_refused("{\"faults\": [], \"more\": 1}", "faults and shared_memory only");
    assert_refused("[7]", "fault 1");
    assert_refused(FAULT("\"do\": \"explode\", \"target\": \"ps-0\""), "no fault 'explode'");
    assert_refused(FAULT("\"do\": \"kill\""), "fault 1: target");
    assert_refused(FAULT("\"do\": \"kill\", \"target\": \"ps-2\""), "'ps-2' is no process");
    assert_refused(FAULT("\"do\": \"kill\", \"target\": \"worker-3\""), "'worker-3'");
    assert_refused(FAULT("\"do\": \"kill\", \"target\": \"worker--1\""), "'worker--1'");
    assert_refused(FAULT("\"do\": \"kill\", \"target\": \"worker-0/ps-0\""), "process");
    assert_refused(FAULT("\"do\": \"kill\", \"target\": \"ps-0\", \"for\": 1"), "no key 'for'");
    assert_refused(FAULT("\"do\": \"stop\", \"target\": \"ps-0\""), "for");
    assert_refused(FAULT("\"do\": \"stop\", \"target\": \"ps-0\", \"for\": 0"), "for is 0, not from");
    assert_refused(FAULT("\"do\": \"stop\", \"target\": \"ps-0\", \"for\": 1e9"), "not from");
    assert_refused(FAULT("\"do\": \"disk_full\", \"target\": \"worker-0\", \"for\": 1"), "no ps (ps-0)");
    assert_refused(FAULT("\"do\": \"reset\", \"target\": \"worker-0/ps-7\""), "no link");
    assert_refused(FAULT("\"do\": \"reset\", \"target\": \"worker-0/ps-0x\""), "no link");
    assert_refused(FAULT("\"do\": \"partition\", \"target\": \"ps-0\", \"for\": 1, \"direction\": \"both\""),
                   "not up or down");
    assert_refused(FAULT("\"do\": \"loss\", \"target\": \"ps-0\", \"for\": 1, \"percent\": 101"),
                   "percent is 101, not from 0 to 100");
    assert_refused(FAULT("\"do\": \"loss\", \"target\": \"ps-0\", \"for\": 1, \"delay_ms\": 1"),
                   "no key 'delay_ms'");
    assert_refused(FAULT("\"do\": \"reorder\", \"target\": \"ps-0\", \"for\": 1, \"percent\": 5"),
                   "delay_ms");
    assert_refused("[{\"at\": {\"step\": 1, \"seconds\": 2}, \"do\": \"kill\", \"target\": \"ps-0\"}]",
                   "needs one of");
    assert_refused("[{\"at\": {\"fraction\": 1.5}, \"do\": \"kill\", \"target\": \"ps-0\"}]",
                   "not from 0 to 1");
}

static void drawn_plans_hit_every_kind_and_role(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 500; seed++) {
        bool kinds[FAULT_KINDS] = {false}, roles[4] = {false};
        double last = 0;
        chaos_plan_draw(seed, 10, WORKERS, SERVERS, true, true, &plan);
        assert_true(plan.count >= 10);
        for (size_t i = 0; i < plan.count; i++) {
            const fault *f = &plan.faults[i];
            kinds[f->kind] = true;
            assert_true(f->at >= last && f->at <= 1);
            last = f->at;
            if (fault_kind_reach(f->kind) == DISTURBS_PROCESS)
                roles[f->server == CHAOS_ANY ? 2 + (f->worker > 0) : (f->server > 0)] = true;
        }
        for (int i = 0; i < FAULT_KINDS; i++)
            assert_true(kinds[i]);
        for (int i = 0; i < 4; i++)
            assert_true(roles[i]);
    }
}

static void without_packets_none_are_lost(void **state)
{
    (void)state;
    chaos_plan_draw(3, 100, WORKERS, SERVERS, true, false, &plan);
    for (size_t i = 0; i < plan.count; i++)
        assert_false(fault_kind_takes_packets(plan.faults[i].kind));
}

static void without_disks_none_fail(void **state)
{
    (void)state;
    chaos_plan_draw(3, 100, 1, 1, false, true, &plan);
    assert_int_equal(plan.count, 100);
    for (size_t i = 0; i < plan.count; i++)
        assert_int_not_equal(fault_kind_reach(plan.faults[i].kind), DISTURBS_DISK);
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        char *text = NULL, *again = NULL;
        size_t bytes = 0, bytes_again = 0;
        ps_error error;
        chaos_plan_draw(seed, 40, WORKERS, SERVERS, true, true, &plan);
        FILE *file = open_memstream(&text, &bytes);
        chaos_plan_write(&plan, file);
        fclose(file);
        assert_int_equal(parse(text, &error), PS_OK);
        file = open_memstream(&again, &bytes_again);
        chaos_plan_write(&plan, file);
        fclose(file);
        assert_string_equal(text, again);
        free(text);
        free(again);
    }
}

static void a_large_step_is_written_as_it_is(void **state)
{
    (void)state;
    ps_error error;
    char *text;
    size_t bytes;
    assert_int_equal(parse("[{\"at\": {\"step\": 1234567}, \"do\": \"kill\", \"target\": \"ps-0\"}]", &error),
                     PS_OK);
    FILE *to = open_memstream(&text, &bytes);
    assert_non_null(to);
    chaos_plan_write(&plan, to);
    fclose(to);
    assert_int_equal(parse(text, &error), PS_OK);
    assert_true(plan.faults[0].at == 1234567);
    free(text);
}

static void the_same_seed_draws_the_same_plan(void **state)
{
    (void)state;
    static chaos_plan other;
    memset(&plan, 0, sizeof plan);
    memset(&other, 0, sizeof other);
    chaos_plan_draw(5, 20, WORKERS, SERVERS, true, true, &plan);
    chaos_plan_draw(5, 20, WORKERS, SERVERS, true, true, &other);
    assert_memory_equal(&plan, &other, sizeof plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_are_read),
        cmocka_unit_test(a_list_alone_is_a_plan),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(drawn_plans_hit_every_kind_and_role),
        cmocka_unit_test(without_disks_none_fail),
        cmocka_unit_test(without_packets_none_are_lost),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(a_large_step_is_written_as_it_is),
        cmocka_unit_test(the_same_seed_draws_the_same_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
