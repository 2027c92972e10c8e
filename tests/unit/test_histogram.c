/* How values are spread, worker/histogram: against counting by hand. */
#include "worker/histogram.h"

#include <math.h>
#include <stdbool.h>

#include "tests/unit/numbers.h"
#include "tests/unit/unit.h"

enum { COUNT = 20000 };

static histogram h;
static double limits[HISTOGRAM_LISTED_MAX], counts[HISTOGRAM_LISTED_MAX];

static bool is_in(double value, size_t bucket)
{
    return value < limits[bucket] && (bucket == 0 || value >= limits[bucket - 1]);
}

/* Of two neighbours a limit belongs to the one with the larger magnitudes: below zero that is the lower. */
static bool is_on_the_limit(double value, size_t bucket)
{
    return value < 0 && value == limits[bucket];
}

static void every_value_is_in_its_bucket(void **state)
{
    (void)state;
    static float values[COUNT];
    numbers n = {1};
    for (int i = 0; i < COUNT; i++)
        values[i] = numbers_float(&n, i % 2 ? 3 : 1e-3f);
    values[0] = 0;
    values[1] = -0.0f;
    values[2] = 1;
    values[3] = -1;
    histogram_take(&h, values, COUNT);
    const size_t used = histogram_list(&h, limits, counts);
    assert_true(used > 2 && used <= HISTOGRAM_LISTED_MAX);
    assert_int_equal(h.count, COUNT);
    double total = 0;
    for (size_t b = 0; b < used; b++) {
        assert_true(b == 0 || limits[b] > limits[b - 1]);
        double inside = 0;
        for (int i = 0; i < COUNT; i++) {
            const double value = (double)values[i];
            const bool taken_below = b > 0 && is_on_the_limit(value, b - 1);
            inside += (is_in(value, b) && !taken_below) || is_on_the_limit(value, b);
        }
        assert_true(counts[b] == inside);
        total += counts[b];
    }
    assert_true(total == COUNT);
}

static void moments_are_those_of_the_finite_values(void **state)
{
    (void)state;
    static const float values[] = {1, NAN, -2, INFINITY, 3, -INFINITY, 0.5f};
    histogram_take(&h, values, sizeof values / sizeof *values);
    assert_true(h.count == 4 && h.nonfinite == 3);
    assert_true(h.min == -2 && h.max == 3 && h.sum == 2.5 && h.sum_squares == 14.25);
}

static void nothing_and_the_largest_are_listed_too(void **state)
{
    (void)state;
    histogram_take(&h, NULL, 0);
    assert_int_equal(histogram_list(&h, limits, counts), 0);
    static const float largest[] = {3.402823466e38f, -3.402823466e38f, 1e-45f};
    histogram_take(&h, largest, 3);
    const size_t used = histogram_list(&h, limits, counts);
    double total = 0;
    for (size_t b = 0; b < used; b++)
        total += counts[b];
    assert_true(total == 3 && limits[used - 1] > (double)largest[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_is_in_its_bucket),
        cmocka_unit_test(moments_are_those_of_the_finite_values),
        cmocka_unit_test(nothing_and_the_largest_are_listed_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
