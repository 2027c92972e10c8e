/* The payloads of common/codec_half, bf16 and fp16, against their definition in double. */
#include <float.h>

#include "tests/unit/codec_sample.h"

typedef struct {
    codec_config config;
    int fraction_bits, least_exponent; /* of ordinary numbers */
    uint16_t infinity;
    double largest;
} half_format;

static const half_format halves[] = {
    {{CODEC_BF16, 0}, 7, -126, 0x7f80, 0x1.fep127},
    {{CODEC_FP16, 0}, 10, -14, 0x7c00, 65504},
};

/* What a pattern stands for, by the definition of the format. */
static double value_of(const half_format *f, uint16_t pattern)
{
    int exponent = (pattern & 0x7fff) >> f->fraction_bits;
    int fraction = pattern & ((1 << f->fraction_bits) - 1);
    double value;
    if ((pattern & f->infinity) == f->infinity)
        value = fraction ? (double)NAN : (double)INFINITY;
    else if (exponent == 0)
        value = ldexp(fraction, f->least_exponent - f->fraction_bits);
    else
        value =
            ldexp((1 << f->fraction_bits) + fraction, f->least_exponent - f->fraction_bits + exponent - 1);
    return pattern & 0x8000 ? -value : value;
}

/* The nearest number of the format, ties to even; the largest if it would be too large. */
static double nearest(const half_format *f, float value)
{
    if (!isfinite(value) || value == 0)
        return (double)value;
    int exponent = ilogb((double)value);
    double quantum =
        ldexp(1, (exponent < f->least_exponent ? f->least_exponent : exponent) - f->fraction_bits);
    double rounded = nearbyint((double)value / quantum) * quantum;
    return fabs(rounded) > f->largest ? copysign(f->largest, rounded) : copysign(rounded, (double)value);
}

static uint16_t encode_one(const half_format *f, float value)
{
    uint32_t payload[1] = {0};
    codec_encode(&f->config, &value, 1, NULL, payload);
    return (uint16_t)payload[0];
}

static void assert_rounds_to_nearest(const half_format *f, float value)
{
    double expected = nearest(f, value), actual = value_of(f, encode_one(f, value));
    if (isnan(value) ? !isnan(actual) : actual != expected || !signbit(actual) != !signbit(expected))
        fail_msg("%s: %a becomes %a, not %a", codec_kind_name(f->config.kind), (double)value, actual,
                 expected);
}

static void all_patterns_decode_to_what_they_stand_for_and_encode_to_themselves(void **state)
{
    (void)state;
    enum { PATTERNS = 65536 };
    static uint32_t payload[PATTERNS / 2], again[PATTERNS / 2];
    static float decoded[PATTERNS];
    for (int h = 0; h < 2; h++) {
        uint16_t *patterns = (uint16_t *)payload;
        for (int i = 0; i < PATTERNS; i++)
            patterns[i] = (uint16_t)i;
        codec_sample_decode(&halves[h].config, payload, PATTERNS, decoded);
        codec_encode(&halves[h].config, decoded, PATTERNS, NULL, again);
        for (int i = 0; i < PATTERNS; i++) {
            double expected = value_of(&halves[h], (uint16_t)i);
            if (isnan(expected)) {
                assert_true(isnan(decoded[i]));
                assert_true(isnan(value_of(&halves[h], ((uint16_t *)again)[i])));
            } else {
                assert_true((double)decoded[i] == expected && !signbit(decoded[i]) == !signbit(expected));
                assert_int_equal(((uint16_t *)again)[i], i);
            }
        }
    }
}

static void ties_between_all_neighbours_go_to_even(void **state)
{
    (void)state;
    for (int h = 0; h < 2; h++)
        for (uint16_t p = 0; p < halves[h].infinity; p++) {
            bool last = p + 1 == halves[h].infinity;
            double low = value_of(&halves[h], p);
            double high = last ? 2 * low - value_of(&halves[h], p - 1) : value_of(&halves[h], p + 1);
            float middle = (float)((low + high) / 2);
            if (h == 0 && p < 0x80) /* between denormals of float itself */
                assert_true((double)middle == (low + high) / 2);
            assert_int_equal(encode_one(&halves[h], middle), last ? p : p + (p & 1));
            assert_int_equal(encode_one(&halves[h], nextafterf(middle, 0)), p);
            assert_int_equal(encode_one(&halves[h], nextafterf(middle, INFINITY)), last ? p : p + 1);
            assert_int_equal(encode_one(&halves[h], -middle), 0x8000 | (last ? p : p + (p & 1)));
        }
}

static void any_float_becomes_the_nearest_half(void **state)
{
    (void)state;
    numbers n = {4};
    for (int h = 0; h < 2; h++)
        for (int i = 0; i < 500000; i++) {
            assert_rounds_to_nearest(&halves[h], codec_sample_from_bits(numbers_word(&n)));
            assert_rounds_to_nearest(&halves[h], ldexpf(numbers_float(&n, 1), i % 60 - 40));
        }
    static const float edges[] = {0,        FLT_MIN,    FLT_MAX,    INFINITY, NAN,
                                  65504,    65519.996f, 65520,      65536,    1e30f,
                                  0x1p-24f, 0x1p-25f,   0x1.8p-25f, 0x1p-14f, 0x1.fffp-15f};
    for (int h = 0; h < 2; h++)
        for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
            assert_rounds_to_nearest(&halves[h], edges[i]);
            assert_rounds_to_nearest(&halves[h], -edges[i]);
        }
}

static void rounding_errors_are_within_the_stated_bounds(void **state)
{
    (void)state;
    numbers n = {5};
    for (int i = 0; i < 200000; i++) {
        float value = ldexpf(numbers_float(&n, 1), i % 40 - 30), magnitude = fabsf(value);
        double brain = fabs(value_of(&halves[0], encode_one(&halves[0], value)) - (double)value);
        double ieee = fabs(value_of(&halves[1], encode_one(&halves[1], value)) - (double)value);
        assert_true(brain <= (double)magnitude * 0x1p-8 || magnitude < FLT_MIN);
        assert_true(ieee <= (magnitude < 0x1p-14f ? 0x1p-25 : (double)magnitude * 0x1p-11));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_patterns_decode_to_what_they_stand_for_and_encode_to_themselves),
        cmocka_unit_test(ties_between_all_neighbours_go_to_even),
        cmocka_unit_test(any_float_becomes_the_nearest_half),
        cmocka_unit_test(rounding_errors_are_within_the_stated_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
