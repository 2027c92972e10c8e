/* common/members: who takes part in which step. */
#include "common/members.h"

#include "common/job.h"
#include "tests/unit/unit.h"

enum { WORKERS = 4 };

static void add(members_list *m, uint64_t from, uint32_t worker, bool enters)
{
    const members_change change = {.from = from, .worker = worker, .enters = enters};
    assert_int_equal(members_add(m, &change, NULL), PS_OK);
    m->version++;
}

/* Without worker 2 from step 5 on, and without worker 1 in steps 8 to 10. */
static members_list sample(void)
{
    members_list m = {.version = 0};
    add(&m, 5, 2, false);
    add(&m, 8, 1, false);
    add(&m, 11, 1, true);
    return m;
}

static void without_changes_all_take_part(void **state)
{
    (void)state;
    const members_list m = {.version = 0};
    assert_true(members_include(&m, 3, 1));
    assert_true(members_include(&m, 3, MEMBERS_NEVER));
    assert_int_equal(members_count(&m, WORKERS, 7), WORKERS);
    assert_int_equal(members_order(&m, 3, 7), 3);
    assert_int_equal(members_next_change(&m, 1), MEMBERS_NEVER);
    assert_int_equal(members_check(&m, WORKERS, NULL), PS_OK);
}

static void changes_take_effect_with_their_step(void **state)
{
    (void)state;
    members_list m = sample();
    assert_true(members_include(&m, 2, 4));
    assert_false(members_include(&m, 2, 5));
    assert_false(members_include(&m, 1, 10));
    assert_true(members_include(&m, 1, 11));
    assert_int_equal(members_count(&m, WORKERS, 4), 4);
    assert_int_equal(members_count(&m, WORKERS, 7), 3);
    assert_int_equal(members_count(&m, WORKERS, 8), 2);
    assert_int_equal(members_count(&m, WORKERS, 11), 3);
    assert_int_equal(members_order(&m, 3, 4), 3);
    assert_int_equal(members_order(&m, 3, 8), 1);
    members_fini(&m);
}

static void coming_changes_are_found(void **state)
{
    (void)state;
    members_list m = sample();
    assert_int_equal(members_next_change(&m, 1), 5);
    assert_int_equal(members_next_change(&m, 5), 8);
    assert_int_equal(members_next_change(&m, 11), MEMBERS_NEVER);
    assert_int_equal(members_first_step(&m, 1, 3), 3);
    assert_int_equal(members_first_step(&m, 1, 8), 11);
    assert_int_equal(members_first_step(&m, 2, 6), MEMBERS_NEVER);
    members_fini(&m);
}

static void lists_are_compared_by_what_they_say(void **state)
{
    (void)state;
    members_list m = sample(), copy;
    assert_int_equal(members_copy(&m, &copy), PS_OK);
    assert_int_equal(members_first_difference(&m, &copy, WORKERS), MEMBERS_NEVER);
    add(&copy, 20, 2, true);
    assert_int_equal(members_first_difference(&m, &copy, WORKERS), 20);
    add(&copy, 20, 2, false); /* and gone again with the same step */
    assert_int_equal(members_first_difference(&m, &copy, WORKERS), MEMBERS_NEVER);
    copy.changes[0].from = 4;
    assert_int_equal(members_first_difference(&m, &copy, WORKERS), 4);
    members_fini(&copy);
    members_fini(&m);
}

/* A stranger may tell them. */
static void the_longest_lists_are_compared_at_once(void **state)
{
    (void)state;
    members_list m = {.version = 0}, copy;
    for (uint32_t i = 0; i + 1 < MEMBERS_CHANGES_MAX; i++)
        add(&m, 1 + 3 * i, 1 + i / 2 % (JOB_WORKERS_MAX - 1), i % 2);
    assert_int_equal(members_copy(&m, &copy), PS_OK);
    assert_int_equal(members_first_difference(&m, &copy, JOB_WORKERS_MAX), MEMBERS_NEVER);
    add(&copy, 1 << 20, JOB_WORKERS_MAX - 1, false);
    assert_int_equal(members_check(&copy, JOB_WORKERS_MAX, NULL), PS_OK);
    assert_int_equal(members_first_difference(&copy, &m, JOB_WORKERS_MAX), 1 << 20);
    members_fini(&copy);
    members_fini(&m);
}

static void what_is_to_come_can_be_hastened(void **state)
{
    (void)state;
    members_list m = sample();
    members_hasten(&m, 6);
    assert_true(members_include(&m, 2, 4));
    assert_true(members_include(&m, 1, 6)); /* it leaves and enters with the same step */
    assert_int_equal(members_count(&m, WORKERS, 6), 3);
    assert_int_equal(members_check(&m, WORKERS, NULL), PS_OK);
    members_fini(&m);
}

static void assert_impossible(members_list *m, const char *why)
{
    ps_error error;
    assert_int_equal(members_check(m, WORKERS, &error), PS_EPROTOCOL);
    assert_string_equal(error.text, why);
    members_fini(m);
}

static void impossible_lists_are_refused(void **state)
{
    (void)state;
    members_list m = {.version = 0};
    add(&m, 5, 0, false);
    assert_impossible(&m, "change 0 of members is impossible: worker 0 of 4 leaves from step 5 on");
    add(&m, 5, 4, false);
    assert_impossible(&m, "change 0 of members is impossible: worker 4 of 4 leaves from step 5 on");
    add(&m, 5, 1, true);
    assert_impossible(&m, "change 0 of members is impossible: worker 1 of 4 enters from step 5 on");
    add(&m, 5, 1, false);
    add(&m, 4, 2, false);
    assert_impossible(&m, "change 1 of members is impossible: worker 2 of 4 leaves from step 4 on");
    add(&m, UINT64_C(1) << 53, 1, false);
    assert_impossible(
        &m, "change 0 of members is impossible: worker 1 of 4 leaves from step 9007199254740992 on");
    add(&m, 5, 1, false);
    m.version = UINT64_MAX; /* nothing could follow it */
    assert_impossible(&m, "a list of 1 changes of members has version 18446744073709551615");
    m.version = 9;
    assert_impossible(&m, "a list of 0 changes of members has version 9");
}

static void there_is_a_limit(void **state)
{
    (void)state;
    members_list m = {.version = 0};
    ps_error error;
    for (uint32_t i = 0; i < MEMBERS_CHANGES_MAX; i++)
        add(&m, 1 + i, 1, i % 2);
    const members_change more = {.from = 1 << 20, .worker = 1};
    assert_int_equal(members_add(&m, &more, &error), PS_ELIMIT);
    assert_string_equal(error.text, "workers have come and gone 4096 times, which is the limit");
    members_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_changes_all_take_part),
        cmocka_unit_test(changes_take_effect_with_their_step),
        cmocka_unit_test(coming_changes_are_found),
        cmocka_unit_test(lists_are_compared_by_what_they_say),
        cmocka_unit_test(the_longest_lists_are_compared_at_once),
        cmocka_unit_test(what_is_to_come_can_be_hastened),
        cmocka_unit_test(impossible_lists_are_refused),
        cmocka_unit_test(there_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
