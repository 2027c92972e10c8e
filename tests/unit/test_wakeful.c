/* What keeps a processor awake: worker/wakeful. That it does is measured (tests/bench), not tested. */
#include "worker/wakeful.h"

#include <sched.h>

#include "tests/unit/unit.h"

enum { ROUNDS = 200, WAITS = 1000 };

static void waits_may_follow_each_other_at_any_pace(void **state)
{
    (void)state;
    wakeful *w = wakeful_create();
    assert_non_null(w);
    for (int i = 0; i < WAITS; i++) {
        wakeful_begin(w);
        for (int yields = i % 7; yields > 0; yields--)
            sched_yield();
        if (i % 3) /* a wait that has not been ended does no harm */
            wakeful_end(w);
    }
    wakeful_destroy(&w);
    assert_null(w);
}

static void it_may_be_destroyed_at_any_moment(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        wakeful *w = wakeful_create();
        assert_non_null(w);
        if (i % 2)
            wakeful_begin(w);
        for (int yields = i % 5; yields > 0; yields--)
            sched_yield();
        wakeful_destroy(&w);
    }
}

static void the_caller_stays_in_its_class(void **state)
{
    (void)state;
    int before = sched_getscheduler(0);
    wakeful *w = wakeful_create();
    wakeful_begin(w);
    assert_int_equal(sched_getscheduler(0), before);
    wakeful_destroy(&w);
}

static void none_does_nothing(void **state)
{
    (void)state;
    wakeful *none = NULL;
    wakeful_begin(none);
    wakeful_end(none);
    wakeful_destroy(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_may_follow_each_other_at_any_pace),
        cmocka_unit_test(it_may_be_destroyed_at_any_moment),
        cmocka_unit_test(the_caller_stays_in_its_class),
        cmocka_unit_test(none_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
