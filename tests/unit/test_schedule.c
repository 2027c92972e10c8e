/* Learning rates of ps/schedule at the points where they are known exactly. */
#include "common/schedule.h"

#include <math.h>

#include "tests/unit/unit.h"

static schedule_config config_of(schedule_kind kind)
{
    return (schedule_config){.kind = kind,
                             .learning_rate = 0.4,
                             .decay_steps = 10,
                             .decay_rate = 0.5,
                             .end_rate = 0.01,
                             .power = 2};
}

static void assert_rate(const schedule_config *config, uint64_t step, double expected)
{
    double rate = schedule_rate(config, step);
    if (fabs(rate - expected) > 4e-16 * fabs(expected))
        fail_msg("%s at step %llu: %.17g, expected %.17g", schedule_kind_name(config->kind),
                 (unsigned long long)step, rate, expected);
}

static void assert_rate_exactly(const schedule_config *config, uint64_t step, double expected)
{
    double rate = schedule_rate(config, step);
    if (!(rate == expected))
        fail_msg("%s at step %llu: %.17g, expected exactly %.17g", schedule_kind_name(config->kind),
                 (unsigned long long)step, rate, expected);
}

static void every_schedule_starts_at_the_learning_rate_itself(void **state)
{
    (void)state;
    for (int kind = SCHEDULE_CONSTANT; kind <= SCHEDULE_POLYNOMIAL; kind++)
        assert_rate_exactly(&(schedule_config){.kind = (schedule_kind)kind,
                                               .learning_rate = 0.1,
                                               .decay_steps = 7,
                                               .decay_rate = 0.3,
                                               .end_rate = 0.003,
                                               .power = 1.7},
                            1, 0.1);
}

static void warm_up_rises_linearly_and_then_the_schedule_starts(void **state)
{
    (void)state;
    for (int kind = SCHEDULE_CONSTANT; kind <= SCHEDULE_POLYNOMIAL; kind++) {
        schedule_config config = config_of((schedule_kind)kind);
        config.warmup_steps = 8;
        for (uint64_t step = 1; step < 8; step++)
            assert_rate(&config, step, 0.4 * (double)step / 8);
        assert_rate_exactly(&config, 8, 0.4);
        schedule_config plain = config_of((schedule_kind)kind);
        for (uint64_t step = 1; step < 40; step++)
            assert_rate_exactly(&config, 8 + step, schedule_rate(&plain, step));
    }
}

static void constant_rate_never_changes(void **state)
{
    (void)state;
    schedule_config config = {.kind = SCHEDULE_CONSTANT, .learning_rate = 0.4};
    assert_rate_exactly(&config, 1000, 0.4);
    assert_rate_exactly(&config, UINT64_MAX, 0.4);
}

static void step_decay_falls_once_an_interval(void **state)
{
    (void)state;
    schedule_config config = config_of(SCHEDULE_STEP);
    assert_rate_exactly(&config, 10, 0.4);
    assert_rate_exactly(&config, 11, 0.2);
    assert_rate_exactly(&config, 20, 0.2);
    assert_rate_exactly(&config, 21, 0.1);
    assert_rate_exactly(&config, 101, 0.4 / 1024);
    assert_rate_exactly(&config, UINT64_MAX, 0);
    config.decay_rate = 1;
    assert_rate_exactly(&config, UINT64_MAX, 0.4);
}

static void exponential_decay_falls_at_every_step(void **state)
{
    (void)state;
    schedule_config config = config_of(SCHEDULE_EXPONENTIAL);
    assert_rate(&config, 6, 0.4 * sqrt(0.5));
    assert_rate_exactly(&config, 11, 0.2);
    assert_rate_exactly(&config, 21, 0.1);
    assert_rate(&config, 2, 0.4 * exp2(-0.1));
    assert_rate_exactly(&config, UINT64_MAX, 0);
}

static void cosine_falls_to_the_end_rate_and_stays(void **state)
{
    (void)state;
    schedule_config config = config_of(SCHEDULE_COSINE);
    assert_rate(&config, 6, (0.4 + 0.01) / 2);
    config.decay_steps = 3;
    assert_rate(&config, 2, 0.01 + 0.39 * 0.75);
    assert_rate(&config, 3, 0.01 + 0.39 * 0.25);
    assert_rate_exactly(&config, 4, 0.01);
    assert_rate_exactly(&config, 5, 0.01);
    assert_rate_exactly(&config, UINT64_MAX, 0.01);
}

static void polynomial_falls_to_the_end_rate_and_stays(void **state)
{
    (void)state;
    schedule_config config = config_of(SCHEDULE_POLYNOMIAL);
    assert_rate(&config, 6, 0.01 + 0.39 * 0.25);
    assert_rate(&config, 10, 0.01 + 0.39 * 0.01);
    assert_rate_exactly(&config, 11, 0.01);
    assert_rate_exactly(&config, UINT64_MAX, 0.01);
    config.power = 1;
    config.end_rate = 0;
    assert_rate(&config, 4, 0.4 * 0.7);
    assert_rate_exactly(&config, 11, 0);
}

static void lengths_near_the_end_of_the_integers_stay_in_range(void **state)
{
    (void)state;
    for (int kind = SCHEDULE_CONSTANT; kind <= SCHEDULE_POLYNOMIAL; kind++) {
        schedule_config config = config_of((schedule_kind)kind);
        config.decay_steps = UINT64_MAX;
        config.warmup_steps = UINT64_MAX;
        assert_rate_exactly(&config, UINT64_MAX, 0.4);
        assert_true(schedule_rate(&config, 1) > 0);
        config.warmup_steps = UINT64_MAX - 1;
        assert_rate_exactly(&config, UINT64_MAX, 0.4);
        config.warmup_steps = 0;
        assert_true(schedule_rate(&config, UINT64_MAX) >= 0);
        assert_true(schedule_rate(&config, UINT64_MAX) <= 0.4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_schedule_starts_at_the_learning_rate_itself),
        cmocka_unit_test(warm_up_rises_linearly_and_then_the_schedule_starts),
        cmocka_unit_test(constant_rate_never_changes),
        cmocka_unit_test(step_decay_falls_once_an_interval),
        cmocka_unit_test(exponential_decay_falls_at_every_step),
        cmocka_unit_test(cosine_falls_to_the_end_rate_and_stays),
        cmocka_unit_test(polynomial_falls_to_the_end_rate_and_stays),
        cmocka_unit_test(lengths_near_the_end_of_the_integers_stay_in_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
