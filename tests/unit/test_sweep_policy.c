/* May a trial of a sweep go on? deploy/sweep_policy. */
#include "deploy/sweep/sweep_policy.h"

#include <math.h>
#include <string.h>

#include "tests/unit/unit.h"

static const sweep_goal highest = {.metric = SWEEP_ACCURACY};
static const sweep_goal lowest = {.metric = SWEEP_LOSS, .minimize = true};

enum { CURVES = 6 };

static sweep_curve curves[CURVES];
static sweep_rival rivals[CURVES];

static int begin(void **state)
{
    (void)state;
    for (size_t i = 0; i < CURVES; i++)
        rivals[i] = (sweep_rival){.curve = &curves[i], .ended = true};
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (size_t i = 0; i < CURVES; i++)
        sweep_curve_fini(&curves[i]);
    return 0;
}

/* One evaluation of both metrics an epoch. */
static void add(sweep_curve *c, double epoch, double value)
{
    assert_int_equal(sweep_curve_add(c, epoch, value, value), PS_OK);
}

static void fill(size_t curve, size_t count, const double *values)
{
    for (size_t i = 0; i < count; i++)
        add(&curves[curve], (double)i + 1, values[i]);
}

#define FILL(curve, ...)                                       \
    do {                                                       \
        const double values[] = {__VA_ARGS__};                 \
        fill(curve, sizeof values / sizeof values[0], values); \
    } while (0)

static bool goes_on(const sweep_stopping *rule, const sweep_goal *goal, size_t rival_count)
{
    char why[SWEEP_WHY_BYTES];
    bool on = sweep_goes_on(rule, goal, &curves[0], rivals + 1, rival_count, why);
    assert_true(on == (why[0] == '\0'));
    return on;
}

static void evaluations_are_numbered_by_whole_epochs(void **state)
{
    (void)state;
    sweep_curve *c = &curves[0];
    add(c, 1.0000000000001, 0.5);
    add(c, 1.9999999999999, 0.6); /* the last bits of a sum */
    add(c, 3.4, 0.7);
    assert_int_equal(c->count, 3);
    assert_int_equal(c->list[0].epoch, 1);
    assert_int_equal(c->list[1].epoch, 2);
    assert_int_equal(c->list[2].epoch, 3);
}

static void a_run_that_goes_back_is_evaluated_anew(void **state)
{
    (void)state;
    sweep_curve *c = &curves[0];
    FILL(0, 0.1, 0.2, 0.3);
    add(c, 2, 0.25);
    assert_int_equal(c->count, 2);
    assert_true(c->list[1].accuracy == 0.25);
}

static void what_is_no_epoch_is_left_out(void **state)
{
    (void)state;
    add(&curves[0], NAN, 1);
    add(&curves[0], -1, 1);
    add(&curves[0], INFINITY, 1);
    add(&curves[0], 1e300, 1);
    assert_int_equal(curves[0].count, 0);
    for (int i = 0; i < 2 * SWEEP_CURVE_MAX; i++)
        add(&curves[0], i, 1);
    assert_int_equal(curves[0].count, SWEEP_CURVE_MAX);
}

static void any_number_is_better_than_none(void **state)
{
    (void)state;
    assert_true(sweep_goal_better(&highest, 0.2, 0.1));
    assert_false(sweep_goal_better(&highest, 0.1, 0.1));
    assert_true(sweep_goal_better(&lowest, 0.1, 0.2));
    assert_true(sweep_goal_better(&highest, 0, NAN));
    assert_false(sweep_goal_better(&lowest, NAN, 5));
    assert_false(sweep_goal_better(&lowest, NAN, NAN));
}

static void decisions_wait_for_grace_and_come_at_intervals(void **state)
{
    (void)state;
    const sweep_stopping rule = {.policy = STOPPING_MEDIAN, .grace = 3, .interval = 2, .others = 1};
    sweep_curve *c = &curves[0];
    assert_false(sweep_decision_due(&rule, c, 0));
    FILL(0, 0.1, 0.2);
    assert_false(sweep_decision_due(&rule, c, 0));
    add(c, 3, 0.3);
    assert_true(sweep_decision_due(&rule, c, 0));
    assert_false(sweep_decision_due(&rule, c, 3));
    add(c, 4, 0.4);
    assert_false(sweep_decision_due(&rule, c, 3));
    add(c, 5, 0.5);
    assert_true(sweep_decision_due(&rule, c, 3));
    add(c, 2, 0.2); /* gone back to before the last decision */
    assert_false(sweep_decision_due(&rule, c, 3));
}

static void without_a_policy_everything_goes_on(void **state)
{
    (void)state;
    const sweep_stopping rule = {.policy = STOPPING_NONE, .grace = 1, .interval = 1};
    FILL(0, 0.1);
    FILL(1, 0.9);
    assert_false(sweep_decision_due(&rule, &curves[0], 0));
    assert_true(goes_on(&rule, &highest, 1));
}

static const sweep_stopping by_median = {.policy = STOPPING_MEDIAN, .grace = 1, .interval = 1, .others = 3};

/* The means up to epoch 2 are 0.5, 0.6 and 0.7. */
static void below_the_median_of_means_a_run_stops(void **state)
{
    (void)state;
    FILL(1, 0.4, 0.6, 0.99);
    FILL(2, 0.5, 0.7, 0.99);
    FILL(3, 0.6, 0.8, 0.99);
    FILL(0, 0.2, 0.59);
    assert_false(goes_on(&by_median, &highest, 3));
    add(&curves[0], 2, 0.6); /* as good as the median is good enough */
    assert_true(goes_on(&by_median, &highest, 3));
}

static void the_best_evaluation_counts_not_the_last(void **state)
{
    (void)state;
    for (size_t i = 1; i <= 3; i++)
        FILL(i, 0.5, 0.7);
    FILL(0, 0.65, 0.1);
    assert_true(goes_on(&by_median, &highest, 3));
}

static void runs_are_compared_at_the_same_epoch(void **state)
{
    (void)state;
    /* All end far above, but at epoch 1 were no better. */
    for (size_t i = 1; i <= 3; i++)
        FILL(i, 0.3, 0.9, 0.95);
    FILL(0, 0.35);
    assert_true(goes_on(&by_median, &highest, 3));
}

static void runs_that_had_not_come_as_far_do_not_count(void **state)
{
    (void)state;
    FILL(1, 0.9, 0.9);
    FILL(2, 0.9, 0.9);
    FILL(3, 0.9);
    FILL(0, 0.1, 0.1);
    assert_true(goes_on(&by_median, &highest, 3)); /* two are too few */
    add(&curves[3], 2, 0.9);
    assert_false(goes_on(&by_median, &highest, 3));
    rivals[2].ended = false; /* nor those that are on their way */
    assert_true(goes_on(&by_median, &highest, 3));
}

static void an_even_number_has_its_median_between_two(void **state)
{
    (void)state;
    FILL(1, 0.2);
    FILL(2, 0.4);
    FILL(3, 0.6);
    FILL(4, 0.8);
    FILL(0, 0.49);
    assert_false(goes_on(&by_median, &highest, 4));
    add(&curves[0], 1, 0.51);
    assert_true(goes_on(&by_median, &highest, 4));
}

static void a_loss_is_better_when_it_is_less(void **state)
{
    (void)state;
    for (size_t i = 1; i <= 3; i++)
        FILL(i, 0.5);
    FILL(0, 0.6);
    assert_false(goes_on(&by_median, &lowest, 3));
    add(&curves[0], 1, 0.4);
    assert_true(goes_on(&by_median, &lowest, 3));
}

static void diverged_runs_are_the_worst(void **state)
{
    (void)state;
    FILL(1, NAN);
    FILL(2, 0.5);
    FILL(3, 0.6);
    FILL(0, 0.55);
    assert_true(goes_on(&by_median, &lowest, 3)); /* the median of 0.5, 0.6 and none is 0.6 */
    add(&curves[0], 1, 0.65);
    assert_false(goes_on(&by_median, &lowest, 3));
    add(&curves[0], 1, NAN);
    assert_false(goes_on(&by_median, &lowest, 3));
}

static const sweep_stopping by_slack = {.policy = STOPPING_BANDIT, .grace = 1, .interval = 1, .slack = 0.25};

static void beyond_the_slack_of_the_leader_a_run_stops(void **state)
{
    (void)state;
    rivals[1].ended = false; /* the leader may be on its way */
    FILL(1, 0.5, 0.9);
    FILL(2, 0.1, 0.1);
    FILL(0, 0.39);
    assert_false(goes_on(&by_slack, &highest, 2)); /* 0.5 / 1.25 is 0.4 */
    add(&curves[0], 1, 0.41);
    assert_true(goes_on(&by_slack, &highest, 2));
    add(&curves[0], 2, 0.73);
    assert_true(goes_on(&by_slack, &highest, 2)); /* 0.9 / 1.25 is 0.72 */
    FILL(3, 0.8);
    FILL(4, 0.8);
    assert_true(goes_on(&by_slack, &lowest, 0));
}

static void a_loss_may_be_greater_by_the_slack(void **state)
{
    (void)state;
    FILL(1, 0.4);
    FILL(0, 0.49);
    assert_true(goes_on(&by_slack, &lowest, 1));
    add(&curves[0], 1, 0.51);
    assert_false(goes_on(&by_slack, &lowest, 1));
}

static void alone_a_run_goes_on(void **state)
{
    (void)state;
    FILL(0, 0.1);
    assert_true(goes_on(&by_slack, &highest, 0));
    assert_true(goes_on(&by_median, &highest, 0));
    assert_true(goes_on(&by_slack, &highest, 3)); /* of whom nothing is known */
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(evaluations_are_numbered_by_whole_epochs),
        CASE(a_run_that_goes_back_is_evaluated_anew),
        CASE(what_is_no_epoch_is_left_out),
        CASE(any_number_is_better_than_none),
        CASE(decisions_wait_for_grace_and_come_at_intervals),
        CASE(without_a_policy_everything_goes_on),
        CASE(below_the_median_of_means_a_run_stops),
        CASE(the_best_evaluation_counts_not_the_last),
        CASE(runs_are_compared_at_the_same_epoch),
        CASE(runs_that_had_not_come_as_far_do_not_count),
        CASE(an_even_number_has_its_median_between_two),
        CASE(a_loss_is_better_when_it_is_less),
        CASE(diverged_runs_are_the_worst),
        CASE(beyond_the_slack_of_the_leader_a_run_stops),
        CASE(a_loss_may_be_greater_by_the_slack),
        CASE(alone_a_run_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
