/* Lists of processors in options, ps/processors. */
#include "ps/processors.h"

#include <sched.h>
#include <stdio.h>

#include "tests/unit/unit.h"

static void assert_parses(const char *text, uint32_t count, const uint16_t *numbers)
{
    processor_list list;
    ps_error error = {PS_OK, ""};
    if (processors_parse("pin-cpus", text, &list, &error) != PS_OK)
        fail_msg("%s", error.text);
    assert_int_equal(list.count, count);
    assert_memory_equal(list.numbers, numbers, count * sizeof *numbers);
}

static void numbers_and_ranges_are_taken_in_the_order_given(void **state)
{
    (void)state;
    assert_parses("0", 1, (uint16_t[]){0});
    assert_parses("0-3,8", 5, (uint16_t[]){0, 1, 2, 3, 8});
    assert_parses("7,2-4,0", 5, (uint16_t[]){7, 2, 3, 4, 0});
    assert_parses("5-5,1023", 2, (uint16_t[]){5, 1023});
    static uint16_t all[PROCESSORS_MAX];
    for (uint16_t i = 0; i < PROCESSORS_MAX; i++)
        all[i] = i;
    assert_parses("0-1023", PROCESSORS_MAX, all);
}

static void assert_refused(const char *text, const char *why)
{
    processor_list list;
    ps_error error = {PS_OK, ""};
    assert_int_equal(processors_parse("pin-cpus", text, &list, &error), PS_EINVAL);
    assert_string_equal(error.text, why);
}

static void what_is_no_list_is_refused_with_the_reason(void **state)
{
    (void)state;
    static const char *const shapeless[] = {"",     ",",   "a",  "-1",    "1-",  "1,",  ",1",
                                            "1,,2", "1 2", " 1", "1-2-3", "0x1", "1;2", "1-a"};
    for (size_t i = 0; i < sizeof shapeless / sizeof *shapeless; i++) {
        char why[128];
        snprintf(why, sizeof why, "--pin-cpus: '%s' is not a list of processors such as 0-3,8", shapeless[i]);
        assert_refused(shapeless[i], why);
    }
    assert_refused("3-1", "--pin-cpus: 3-1 runs backwards");
    assert_refused("0-3,2", "--pin-cpus: processor 2 is listed twice");
    assert_refused("4,4", "--pin-cpus: processor 4 is listed twice");
    assert_refused("1024", "--pin-cpus: processors are numbered from 0 to 1023 at most");
    assert_refused("0-99999999999999999999", "--pin-cpus: processors are numbered from 0 to 1023 at most");
}

static void processors_that_this_process_may_not_use_are_named(void **state)
{
    (void)state;
    cpu_set_t allowed;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    uint16_t there = PROCESSORS_MAX, missing = PROCESSORS_MAX;
    for (uint16_t i = PROCESSORS_MAX; i-- > 0;)
        *(CPU_ISSET(i, &allowed) ? &there : &missing) = i;
    assert_true(there < PROCESSORS_MAX && missing < PROCESSORS_MAX);
    ps_error error;
    const processor_list good = {.count = 1, .numbers = {there}};
    assert_int_equal(processors_check("pin-cpus", &good, &error), PS_OK);
    const processor_list bad = {.count = 2, .numbers = {there, missing}};
    char why[128];
    snprintf(why, sizeof why, "--pin-cpus: processor %u is not there, or not for this process", missing);
    assert_int_equal(processors_check("pin-cpus", &bad, &error), PS_EINVAL);
    assert_string_equal(error.text, why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_ranges_are_taken_in_the_order_given),
        cmocka_unit_test(what_is_no_list_is_refused_with_the_reason),
        cmocka_unit_test(processors_that_this_process_may_not_use_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
