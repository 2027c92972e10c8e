/* The finite check and the norm of common/gradient. */
#include "common/gradient.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

/* Around the edges of vectors, lanes and the blocks of the finite check. */
static const uint64_t counts[] = {0,    1,    2,    3,    4,    7,    8,    9,    15,
                                  16,   17,   31,   32,   33,   63,   65,   1023, 1024,
                                  1025, 4095, 4096, 4097, 4103, 8191, 8192, 8193, 10000};
enum { COUNTS = sizeof counts / sizeof *counts, LARGEST = 10000 };

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Of many magnitudes, so that every other order of summing rounds differently. */
static void fill_random(float *values, uint64_t count, unsigned seed)
{
    for (uint64_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = ldexpf((float)(seed >> 8) / (float)(1 << 24) - 0.5f, (int)(seed % 23) - 11);
    }
}

static void extreme_but_finite_values_pass(void **state)
{
    (void)state;
    const float extremes[] = {0.0f,
                              -0.0f,
                              FLT_MAX,
                              -FLT_MAX,
                              FLT_MIN,
                              -FLT_MIN,
                              1e-45f,
                              from_bits(0x807fffff),
                              from_bits(0x7f7fffff),
                              1.0f};
    float values[LARGEST];
    for (uint64_t i = 0; i < LARGEST; i++)
        values[i] = extremes[i % (sizeof extremes / sizeof *extremes)];
    for (size_t c = 0; c < COUNTS; c++)
        assert_true(gradient_is_finite(values, counts[c]));
}

static void one_bad_value_anywhere_is_found(void **state)
{
    (void)state;
    const float bad[] = {INFINITY,
                         -INFINITY,
                         NAN,
                         -NAN,
                         from_bits(0x7f800001) /* signalling */,
                         from_bits(0xff800001),
                         from_bits(0x7fffffff),
                         from_bits(0xffffffff)};
    static float values[LARGEST];
    fill_random(values, LARGEST, 1);
    for (size_t c = 0; c < COUNTS; c++) {
        for (uint64_t at = 0; at < counts[c]; at++) {
            float kept = values[at];
            memcpy(&values[at], &bad[at % 8], sizeof(float));
            if (gradient_is_finite(values, counts[c]))
                fail_msg("bad value %u at %u of %u passed", (unsigned)(at % 8), (unsigned)at,
                         (unsigned)counts[c]);
            memcpy(&values[at], &kept, sizeof(float));
        }
        assert_true(gradient_is_finite(values, counts[c]));
    }
}

static void value_behind_the_end_is_not_judged(void **state)
{
    (void)state;
    float values[10] = {0};
    values[9] = NAN;
    assert_true(gradient_is_finite(values, 9));
    assert_false(gradient_is_finite(values, 10));
    assert_true(gradient_is_finite(NULL, 0));
}

/* The order that gradient.h promises, one element at a time. */
static double halves(const double *s, int lane, int width)
{
    return width == 32 ? s[lane] : halves(s, lane, 2 * width) + halves(s, lane + width, 2 * width);
}

static double reference_norm(const float *values, uint64_t count)
{
    double blocks[32] = {0};
    for (uint64_t first = 0; first < count; first += 4096) {
        double s[32] = {0};
        for (uint64_t i = first; i < count && i < first + 4096; i++) {
            double square = (double)values[i] * (double)values[i];
            s[i % 32] = s[i % 32] + square;
        }
        blocks[first / 4096 % 32] += halves(s, 0, 1);
    }
    return halves(blocks, 0, 1);
}

static void norm_is_summed_in_the_documented_order(void **state)
{
    (void)state;
    static float values[LARGEST + 1];
    fill_random(values, LARGEST + 1, 7);
    for (size_t c = 0; c < COUNTS; c++) {
        assert_true(gradient_norm_squared(values, counts[c]) == reference_norm(values, counts[c]));
        /* Nor does the address matter. */
        assert_true(gradient_norm_squared(values + 1, counts[c]) == reference_norm(values + 1, counts[c]));
    }
    /* More blocks than partial sums of blocks. */
    enum { MANY = 40 * GRADIENT_BLOCK + 5 };
    float *many = malloc(MANY * sizeof *many);
    assert_non_null(many);
    fill_random(many, MANY, 8);
    assert_true(gradient_norm_squared(many, MANY) == reference_norm(many, MANY));
    free(many);
}

static void norm_is_finite_for_finite_values_alone(void **state)
{
    (void)state;
    float values[40] = {0};
    const float bad[] = {INFINITY, -INFINITY, NAN, -NAN};
    for (size_t at = 0; at < 40; at++)
        for (size_t i = 0; i < 4; i++) {
            values[at] = bad[i];
            assert_true(!isfinite(gradient_norm_squared(values, 40)));
            values[at] = FLT_MAX;
            assert_true(isfinite(gradient_norm_squared(values, 40)));
        }
}

static void norm_of_small_integers_is_exact(void **state)
{
    (void)state;
    static float values[LARGEST];
    for (size_t c = 0; c < COUNTS; c++) {
        double n = (double)counts[c];
        for (uint64_t i = 0; i < counts[c]; i++)
            values[i] = i % 2 ? (float)i : -(float)i;
        assert_true(gradient_norm_squared(values, counts[c]) == (n - 1) * n * (2 * n - 1) / 6);
    }
    assert_true(gradient_norm_squared(NULL, 0) == 0);
}

static void norm_of_the_largest_floats_does_not_overflow(void **state)
{
    (void)state;
    static float values[4096];
    for (int i = 0; i < 4096; i++)
        values[i] = i % 2 ? FLT_MAX : -FLT_MAX;
    double expected = 4096 * ((double)FLT_MAX * (double)FLT_MAX);
    assert_true(fabs(gradient_norm_squared(values, 4096) - expected) <= 1e-13 * expected);
}

static void norm_of_denormals_is_not_lost(void **state)
{
    (void)state;
    const float values[] = {1e-40f, -1e-40f, 1e-45f};
    double expected = 2 * ((double)1e-40f * (double)1e-40f) + (double)1e-45f * (double)1e-45f;
    assert_true(fabs(gradient_norm_squared(values, 3) - expected) <= 1e-15 * expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extreme_but_finite_values_pass),
        cmocka_unit_test(one_bad_value_anywhere_is_found),
        cmocka_unit_test(value_behind_the_end_is_not_judged),
        cmocka_unit_test(norm_is_summed_in_the_documented_order),
        cmocka_unit_test(norm_is_finite_for_finite_values_alone),
        cmocka_unit_test(norm_of_small_integers_is_exact),
        cmocka_unit_test(norm_of_the_largest_floats_does_not_overflow),
        cmocka_unit_test(norm_of_denormals_is_not_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
