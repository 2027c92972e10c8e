/* Which processes of a local cluster are pinned: deploy/placement. */
#include "deploy/launch/placement.h"

#include "tests/unit/unit.h"

static void pinned_if_processors_are_short_and_each_gets_as_many_trainers(void **state)
{
    (void)state;
    assert_true(placement_pins(PIN_AUTO, 2, 2, 2, false));
    assert_true(placement_pins(PIN_AUTO, 2, 4, 1, false));
    assert_true(placement_pins(PIN_AUTO, 1, 3, 2, false));
    assert_false(placement_pins(PIN_AUTO, 2, 3, 2, false));
    assert_false(placement_pins(PIN_AUTO, 4, 2, 2, false));
    assert_false(placement_pins(PIN_AUTO, 8, 3, 2, false));
}

static void trainers_of_several_threads_are_left_alone(void **state)
{
    (void)state;
    assert_false(placement_pins(PIN_AUTO, 2, 2, 2, true));
    assert_true(placement_pins(PIN_YES, 2, 2, 2, true));
}

static void policy_overrules(void **state)
{
    (void)state;
    assert_false(placement_pins(PIN_NO, 2, 2, 2, false));
    assert_true(placement_pins(PIN_YES, 2, 3, 2, false));
    assert_false(placement_pins(PIN_YES, 0, 3, 2, false));
}

static void policies_are_known_by_name(void **state)
{
    (void)state;
    pin_policy policy;
    ps_error error;
    assert_int_equal(pin_policy_parse("yes", &policy, &error), PS_OK);
    assert_int_equal(policy, PIN_YES);
    assert_int_equal(pin_policy_parse("no", &policy, &error), PS_OK);
    assert_int_equal(policy, PIN_NO);
    assert_int_equal(pin_policy_parse("auto", &policy, &error), PS_OK);
    assert_int_equal(policy, PIN_AUTO);
    assert_int_equal(pin_policy_parse("maybe", &policy, &error), PS_EINVAL);
    assert_string_equal(error.text, "--pin 'maybe' is unknown: choose one of auto, yes, no");
}

static void some_processor_may_be_used(void **state)
{
    (void)state;
    int processors[PLACEMENT_PROCESSORS_MAX];
    size_t count = placement_processors(processors);
    assert_true(count > 0);
    for (size_t i = 1; i < count; i++)
        assert_true(processors[i] > processors[i - 1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pinned_if_processors_are_short_and_each_gets_as_many_trainers),
        cmocka_unit_test(trainers_of_several_threads_are_left_alone),
        cmocka_unit_test(policy_overrules),
        cmocka_unit_test(policies_are_known_by_name),
        cmocka_unit_test(some_processor_may_be_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
