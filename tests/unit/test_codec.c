/* The payloads of common/codec, against plain references in double. */
#include "common/codec.h"

#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/fpmode.h"
#include "tests/unit/numbers.h"
#include "tests/unit/unit.h"

/* Around the edges of vectors, chunks and blocks. */
static const uint64_t counts[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 255, 256, 257, 511, 1000, 1024, 4097};
enum { COUNTS = sizeof counts / sizeof *counts, LARGEST = 4097, PAYLOAD_MAX = 8 * LARGEST };

static const codec_config configs[] = {
    {CODEC_FP32, 0}, {CODEC_BF16, 0},    {CODEC_FP16, 0},
    {CODEC_INT8, 0}, {CODEC_TOPK, 0.01}, {CODEC_TOPK, CODEC_TOPK_FRACTION_MAX},
};
enum { CONFIGS = sizeof configs / sizeof *configs };

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void assert_same_bits(const float *a, const float *b, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (bits_of(a[i]) != bits_of(b[i]))
            fail_msg("element %llu: %a is not %a", (unsigned long long)i, (double)a[i], (double)b[i]);
}

/* Of many magnitudes, with some zeros and equal numbers among them. */
static void fill_various(float *values, uint64_t count, uint64_t seed)
{
    numbers n = {seed};
    for (uint64_t i = 0; i < count; i++) {
        uint32_t kind = numbers_between(&n, 0, 19);
        int exponent = (int)numbers_between(&n, 0, 20) - 16;
        float value = ldexpf(numbers_float(&n, 1), exponent);
        values[i] = kind == 0 ? 0.0f : kind == 1 ? -0.0f : kind == 2 ? 0.125f : value;
    }
}

/* What a payload of `count` elements stands for. */
static void decode(const codec_config *config, const void *payload, uint64_t count, float *values)
{
    codec_payload p = {config->kind, payload, codec_bytes(config, count)};
    codec_decode(&p, 0, (size_t)count, values);
}

static void encode(const codec_config *config, const float *values, uint64_t count, void *payload)
{
    static float residual[LARGEST];
    memset(residual, 0, sizeof residual);
    codec_encode(config, values, count, codec_keeps_residual(config->kind) ? residual : NULL, payload);
}

/* ------------------------------------------------------------------ all */

static void names_are_found_again_and_unknown_ones_refused_with_the_list(void **state)
{
    (void)state;
    for (codec_kind kind = CODEC_FP32; kind <= CODEC_TOPK; kind++) {
        codec_kind found = CODEC_DEFAULT;
        assert_int_equal(codec_kind_parse(codec_kind_name(kind), &found, NULL), PS_OK);
        assert_int_equal(found, kind);
        assert_true(codec_is_known(kind));
    }
    assert_false(codec_is_known(CODEC_DEFAULT));
    assert_false(codec_is_known((codec_kind)(CODEC_TOPK + 1)));
    assert_false(codec_is_known((codec_kind)-1));
    assert_string_equal(codec_kind_name(CODEC_DEFAULT), "default");
    assert_string_equal(codec_kind_name((codec_kind)-1), "?");
    assert_int_equal(codec_kind_parse("default", &(codec_kind){CODEC_FP32}, NULL), PS_EINVAL);
    ps_error error;
    codec_kind kind = CODEC_INT8;
    assert_int_equal(codec_kind_parse("zip", &kind, &error), PS_EINVAL);
    assert_string_equal(error.text, "codec 'zip' is unknown: choose one of fp32 bf16 fp16 int8 topk");
    assert_int_equal(kind, CODEC_INT8);
}

static void sizes_are_as_documented(void **state)
{
    (void)state;
    static const struct {
        codec_config config;
        uint64_t count;
        size_t bytes;
    } cases[] = {
        {{CODEC_FP32, 0}, 10, 40},
        {{CODEC_BF16, 0}, 11, 22},
        {{CODEC_FP16, 0}, 1, 2},
        {{CODEC_INT8, 0}, 1, 5},
        {{CODEC_INT8, 0}, 256, 260},
        {{CODEC_INT8, 0}, 257, 265},
        {{CODEC_INT8, 0}, 512, 520},
        {{CODEC_TOPK, 0.01}, 1, 8},
        {{CODEC_TOPK, 0.01}, 100, 8},
        {{CODEC_TOPK, 0.01}, 101, 16},
        {{CODEC_TOPK, 1e-300}, 99, 8},
        {{CODEC_TOPK, 0.5}, 4, 16},
        {{CODEC_TOPK, 0.5}, 1 << 24, 64 << 20},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(codec_bytes(&cases[i].config, cases[i].count), cases[i].bytes);
}

static void only_codecs_that_merely_round_suit_weights_and_only_topk_keeps_a_residual(void **state)
{
    (void)state;
    assert_true(codec_suits_weights(CODEC_FP32));
    assert_true(codec_suits_weights(CODEC_BF16));
    assert_true(codec_suits_weights(CODEC_FP16));
    assert_false(codec_suits_weights(CODEC_INT8));
    assert_false(codec_suits_weights(CODEC_TOPK));
    for (codec_kind kind = CODEC_FP32; kind <= CODEC_TOPK; kind++)
        assert_true(codec_keeps_residual(kind) == (kind == CODEC_TOPK));
}

static void fp32_changes_nothing(void **state)
{
    (void)state;
    float values[LARGEST], payload[LARGEST], decoded[LARGEST];
    numbers n = {3};
    for (int i = 0; i < LARGEST; i++)
        values[i] = from_bits(numbers_word(&n));
    encode(&configs[0], values, LARGEST, payload);
    decode(&configs[0], payload, LARGEST, decoded);
    assert_same_bits(decoded, values, LARGEST);
}

/* Payloads of exactly their size, so that a sanitizer sees a step beyond. */
static void every_length_is_encoded_checked_and_summed_within_its_bytes(void **state)
{
    (void)state;
    for (int c = 0; c < CONFIGS; c++)
        for (int k = 0; k < COUNTS; k++) {
            uint64_t count = counts[k];
            size_t bytes = codec_bytes(&configs[c], count);
            float *values = malloc(count * sizeof *values), *decoded = malloc(count * sizeof *decoded);
            float *sum = malloc(count * sizeof *sum);
            void *payload = malloc(bytes);
            fill_various(values, count, count);
            encode(&configs[c], values, count, payload);
            assert_int_equal(codec_check(&configs[c], payload, bytes, count, NULL), PS_OK);
            decode(&configs[c], payload, count, decoded);
            fill_various(sum, count, 5);
            codec_add_scaled(&(codec_payload){configs[c].kind, payload, bytes}, 0, (size_t)count, 0.3f, sum);
            float expected[LARGEST];
            fill_various(expected, count, 5);
            for (uint64_t i = 0; i < count; i++)
                if (configs[c].kind != CODEC_TOPK || decoded[i] != 0)
                    expected[i] += decoded[i] * 0.3f;
            assert_same_bits(sum, expected, count);
            free(values);
            free(decoded);
            free(sum);
            free(payload);
        }
}

static void a_range_is_decoded_and_summed_like_the_whole(void **state)
{
    (void)state;
    float values[LARGEST], whole[LARGEST], sum[LARGEST], piece[LARGEST], piece_sum[LARGEST];
    uint32_t payload[PAYLOAD_MAX / 4];
    fill_various(values, LARGEST, 8);
    for (int c = 0; c < CONFIGS; c++) {
        encode(&configs[c], values, LARGEST, payload);
        codec_payload p = {configs[c].kind, payload, codec_bytes(&configs[c], LARGEST)};
        codec_decode(&p, 0, LARGEST, whole);
        memset(sum, 0, sizeof sum);
        codec_add_scaled(&p, 0, LARGEST, -1.5f, sum);
        memset(piece_sum, 0, sizeof piece_sum);
        static const uint64_t cuts[] = {0, 256, 1024, 1536, 4096, LARGEST};
        for (size_t i = 0; i + 1 < sizeof cuts / sizeof *cuts; i++) {
            size_t count = (size_t)(cuts[i + 1] - cuts[i]);
            codec_decode(&p, cuts[i], count, piece + cuts[i]);
            codec_add_scaled(&p, cuts[i], count, -1.5f, piece_sum + cuts[i]);
        }
        assert_same_bits(piece, whole, LARGEST);
        assert_same_bits(piece_sum, sum, LARGEST);
    }
}

static void wrong_sizes_are_refused(void **state)
{
    (void)state;
    uint32_t payload[PAYLOAD_MAX / 4] = {0};
    ps_error error;
    for (int c = 0; c < CONFIGS; c++) {
        size_t bytes = codec_bytes(&configs[c], 1000);
        assert_int_equal(codec_check(&configs[c], payload, bytes - 1, 1000, &error), PS_EMISMATCH);
        assert_int_equal(codec_check(&configs[c], payload, bytes + 8, 1000, &error), PS_EMISMATCH);
        assert_int_equal(codec_check(&configs[c], payload, 0, 1000, &error), PS_EMISMATCH);
    }
    assert_int_equal(codec_check(&configs[1], payload, 7, 3, &error), PS_EMISMATCH);
    assert_string_equal(error.text, "it has 7 bytes; 3 elements in bf16 have 6");
}

static bool is_finite(const codec_config *config, const void *payload, uint64_t count)
{
    return codec_is_finite(&(codec_payload){config->kind, payload, codec_bytes(config, count)}, count);
}

static void nan_and_infinity_are_found_in_every_payload(void **state)
{
    (void)state;
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    uint32_t payload[PAYLOAD_MAX / 4];
    float values[LARGEST];
    for (int c = 0; c < CONFIGS; c++)
        for (int b = 0; b < 4; b++)
            for (int k = 0; k < COUNTS; k++) {
                fill_various(values, counts[k], 77);
                encode(&configs[c], values, counts[k], payload);
                assert_true(is_finite(&configs[c], payload, counts[k]));
                values[counts[k] * 2 / 3] = bad[b];
                encode(&configs[c], values, counts[k], payload);
                size_t bytes = codec_bytes(&configs[c], counts[k]);
                assert_int_equal(codec_check(&configs[c], payload, bytes, counts[k], NULL), PS_OK);
                assert_false(is_finite(&configs[c], payload, counts[k]));
            }
}

static void any_float_is_encoded_and_finite_ones_stay_finite(void **state)
{
    (void)state;
    uint32_t payload[PAYLOAD_MAX / 4];
    float values[LARGEST], decoded[LARGEST];
    numbers n = {11};
    for (int round = 0; round < 20; round++)
        for (int c = 0; c < CONFIGS; c++) {
            for (int i = 0; i < LARGEST; i++)
                values[i] = from_bits(numbers_word(&n));
            encode(&configs[c], values, LARGEST, payload); /* NaN and Inf among them */
            for (int i = 0; i < LARGEST; i++)
                if (!isfinite(values[i]))
                    values[i] = copysignf(FLT_MAX, values[i]);
            encode(&configs[c], values, LARGEST, payload);
            size_t bytes = codec_bytes(&configs[c], LARGEST);
            assert_int_equal(codec_check(&configs[c], payload, bytes, LARGEST, NULL), PS_OK);
            assert_true(is_finite(&configs[c], payload, LARGEST));
            decode(&configs[c], payload, LARGEST, decoded);
            for (int i = 0; i < LARGEST; i++)
                assert_true(isfinite(decoded[i]));
        }
}

typedef struct {
    const codec_config *config;
    const float *values;
    uint32_t payload[PAYLOAD_MAX / 4];
    float decoded[LARGEST];
} flushing_job;

static void *encode_flushing(void *argument)
{
    flushing_job *job = argument;
    fpmode_flush_denormals();
    encode(job->config, job->values, LARGEST, job->payload);
    decode(job->config, job->payload, LARGEST, job->decoded);
    return NULL;
}

/* But topk, whose residual is a sum. */
static void bits_do_not_depend_on_how_the_thread_treats_denormals(void **state)
{
    (void)state;
    static flushing_job job;
    static float values[LARGEST], decoded[LARGEST];
    uint32_t payload[PAYLOAD_MAX / 4];
    numbers n = {12};
    for (int i = 0; i < LARGEST; i++)
        values[i] = i < 1024 ? from_bits(numbers_word(&n) & UINT32_C(0x807fffff)) /* denormals */
                             : ldexpf(numbers_float(&n, 1), (int)numbers_between(&n, 0, 60) - i / 30);
    for (int c = 0; c < CONFIGS && configs[c].kind != CODEC_TOPK; c++) {
        size_t bytes = codec_bytes(&configs[c], LARGEST);
        encode(&configs[c], values, LARGEST, payload);
        decode(&configs[c], payload, LARGEST, decoded);
        job.config = &configs[c];
        job.values = values;
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, encode_flushing, &job), 0);
        pthread_join(thread, NULL);
        assert_memory_equal(job.payload, payload, bytes);
        assert_same_bits(job.decoded, decoded, LARGEST);
    }
}

/* A build for other vectors, a sanitizer's or another compiler's must come to the very same payloads. */
static void payloads_are_the_same_on_every_machine(void **state)
{
    (void)state;
    static const uint64_t expected[CONFIGS] = {
        UINT64_C(0x15c9023e26760a69), UINT64_C(0xbb241a7425d02506), UINT64_C(0xcc4257af69df0e08),
        UINT64_C(0xd078c05f1ff6228f), UINT64_C(0xb4de2775463905e9), UINT64_C(0x705504b553e40c08),
    };
    float values[LARGEST], sum[LARGEST];
    uint32_t payload[PAYLOAD_MAX / 4];
    int differences = 0;
    for (int c = 0; c < CONFIGS; c++) {
        size_t bytes = codec_bytes(&configs[c], LARGEST);
        fill_various(values, LARGEST, 21);
        memset(payload, 0, sizeof payload);
        encode(&configs[c], values, LARGEST, payload);
        fill_various(sum, LARGEST, 22);
        codec_add_scaled(&(codec_payload){configs[c].kind, payload, bytes}, 0, LARGEST, 0.7f, sum);
        uint64_t hash = UINT64_C(0xcbf29ce484222325);
        for (size_t i = 0; i < bytes; i++)
            hash = (hash ^ ((const uint8_t *)payload)[i]) * UINT64_C(0x100000001b3);
        for (int i = 0; i < LARGEST; i++)
            hash = (hash ^ bits_of(sum[i])) * UINT64_C(0x100000001b3);
        if (hash != expected[c])
            print_error("%s: hashes to 0x%016llx\n", codec_kind_name(configs[c].kind),
                        (unsigned long long)hash);
        differences += hash != expected[c];
    }
    assert_int_equal(differences, 0);
}

/* ------------------------------------------------------------------ bf16, fp16 */

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
        decode(&halves[h].config, payload, PATTERNS, decoded);
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
            assert_rounds_to_nearest(&halves[h], from_bits(numbers_word(&n)));
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

/* ------------------------------------------------------------------ int8 */

static void blocks_of_bytes_follow_their_formula(void **state)
{
    (void)state;
    float values[LARGEST];
    for (int k = 0; k < COUNTS; k++) {
        uint64_t count = counts[k];
        uint32_t payload[PAYLOAD_MAX / 4];
        fill_various(values, count, 40 + count);
        encode(&configs[3], values, count, payload);
        const uint8_t *at = (const uint8_t *)payload;
        for (uint64_t first = 0; first < count; first += CODEC_BLOCK) {
            uint64_t end = first + CODEC_BLOCK < count ? first + CODEC_BLOCK : count;
            float largest = 0, scale;
            for (uint64_t i = first; i < end; i++)
                largest = fmaxf(largest, fabsf(values[i]));
            memcpy(&scale, at, sizeof scale);
            assert_true(scale == largest / 127);
            at += sizeof scale;
            for (uint64_t i = first; i < end; i++, at++) {
                int8_t expected = largest > 0 ? (int8_t)nearbyintf(values[i] * (127 / largest)) : 0;
                assert_int_equal((int8_t)*at, expected);
                assert_true(fabsf((float)expected * scale - values[i]) <= scale * 0.5001f);
            }
        }
    }
}

static void blocks_of_zeros_are_exact_and_those_near_zero_become_zeros(void **state)
{
    (void)state;
    float values[300] = {0}, decoded[300];
    uint32_t payload[100];
    for (int tiny = 0; tiny < 2; tiny++) {
        for (int i = 0; i < 256; i++)
            values[i] = tiny ? FLT_MIN * (float)(i % 127) : 0;
        encode(&configs[3], values, 300, payload);
        decode(&configs[3], payload, 300, decoded);
        for (int i = 0; i < 300; i++)
            assert_int_equal(bits_of(decoded[i]), 0);
    }
    values[7] = FLT_MIN * 127;
    encode(&configs[3], values, 300, payload);
    decode(&configs[3], payload, 300, decoded);
    assert_true(decoded[7] == values[7]);
}

static void ties_of_bytes_go_to_even(void **state)
{
    (void)state;
    static const float values[] = {127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 126.5f, -126.5f, -127};
    static const int8_t expected[] = {127, 0, 2, 2, 0, -2, -2, 126, -126, -127};
    uint32_t payload[4];
    encode(&configs[3], values, 10, payload);
    assert_memory_equal((const uint8_t *)payload + 4, expected, 10);
}

static void scales_that_no_encoder_makes_are_refused(void **state)
{
    (void)state;
    static const float bad[] = {-1, -0.0f, 0x1p122f, FLT_MAX, FLT_MIN / 2, -FLT_MIN / 2};
    uint32_t payload[PAYLOAD_MAX / 4];
    float values[600] = {0};
    ps_error error;
    for (size_t b = 0; b < sizeof bad / sizeof *bad; b++)
        for (int block = 0; block < 3; block++) {
            encode(&configs[3], values, 600, payload);
            memcpy((uint8_t *)payload + 260 * block, &bad[b], sizeof bad[b]);
            size_t bytes = codec_bytes(&configs[3], 600);
            assert_int_equal(codec_check(&configs[3], payload, bytes, 600, &error), PS_EFORMAT);
        }
    assert_string_equal(error.text, "the scale of its block 2, -5.87747e-39, is not 0 or in [1.17549e-38, "
                                    "2.65846e+36]");
}

/* ------------------------------------------------------------------ topk */

typedef struct {
    uint32_t magnitude, index;
} ranked;

static int compare_ranked(const void *left, const void *right)
{
    const ranked *a = left, *b = right;
    if (a->magnitude != b->magnitude)
        return a->magnitude > b->magnitude ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

static int compare_index(const void *left, const void *right)
{
    const ranked *a = left, *b = right;
    return a->index < b->index ? -1 : 1;
}

/* One step of topk by sorting. Returns the number of entries. */
static size_t send_by_sorting(const codec_config *config, const float *values, uint64_t count,
                              float *residual, codec_topk_entry *entries)
{
    static ranked order[LARGEST];
    size_t kept = codec_bytes(config, count) / sizeof *entries;
    for (uint64_t i = 0; i < count; i++) {
        residual[i] += values[i];
        order[i] = (ranked){bits_of(residual[i]) & UINT32_C(0x7fffffff), (uint32_t)i};
    }
    qsort(order, count, sizeof *order, compare_ranked);
    qsort(order, kept, sizeof *order, compare_index);
    for (size_t e = 0; e < kept; e++) {
        entries[e] = (codec_topk_entry){order[e].index, residual[order[e].index]};
        residual[order[e].index] = 0;
    }
    return kept;
}

static void topk_sends_what_sorting_would_for_many_steps(void **state)
{
    (void)state;
    static const double fractions[] = {1e-9, 0.001, 0.01, 0.1, 0.5};
    float values[LARGEST], residual[LARGEST], expected_residual[LARGEST];
    codec_topk_entry entries[LARGEST], expected[LARGEST];
    for (size_t f = 0; f < sizeof fractions / sizeof *fractions; f++)
        for (int k = 0; k < COUNTS; k++) {
            codec_config config = {CODEC_TOPK, fractions[f]};
            memset(residual, 0, sizeof residual);
            memset(expected_residual, 0, sizeof expected_residual);
            for (uint64_t step = 0; step < 10; step++) {
                fill_various(values, counts[k], step * 100 + f);
                size_t kept = send_by_sorting(&config, values, counts[k], expected_residual, expected);
                codec_encode(&config, values, counts[k], residual, entries);
                assert_memory_equal(entries, expected, kept * sizeof *entries);
                assert_same_bits(residual, expected_residual, counts[k]);
            }
        }
}

static void equal_magnitudes_go_by_index(void **state)
{
    (void)state;
    static const codec_config tenth = {CODEC_TOPK, 0.1};
    static const float levels[] = {0, 1, 0x1.000002p0f, 1e-40f};
    float values[100], residual[100];
    codec_topk_entry entries[10];
    for (int level = 0; level < 4; level++) {
        for (int i = 0; i < 100; i++)
            values[i] = i % 2 ? levels[level] : -levels[level];
        memset(residual, 0, sizeof residual);
        codec_encode(&tenth, values, 100, residual, entries);
        for (uint32_t e = 0; e < 10; e++)
            assert_int_equal(entries[e].index, e);
    }
    values[99] = 2;
    memset(residual, 0, sizeof residual);
    codec_encode(&tenth, values, 100, residual, entries);
    for (uint32_t e = 0; e < 9; e++)
        assert_int_equal(entries[e].index, e);
    assert_int_equal(entries[9].index, 99);
}

static void sent_and_residual_are_exactly_residual_before_and_gradient(void **state)
{
    (void)state;
    float values[LARGEST], residual[LARGEST] = {0}, before[LARGEST], decoded[LARGEST];
    uint32_t payload[PAYLOAD_MAX / 4];
    for (uint64_t step = 0; step < 50; step++) {
        fill_various(values, LARGEST, step);
        for (int i = 0; i < LARGEST; i++)
            before[i] = residual[i] + values[i];
        codec_encode(&configs[4], values, LARGEST, residual, payload);
        decode(&configs[4], payload, LARGEST, decoded);
        for (int i = 0; i < LARGEST; i++) {
            assert_true(decoded[i] == 0 || residual[i] == 0);
            assert_true(decoded[i] + residual[i] == before[i]);
        }
    }
}

static void every_element_is_sent_in_the_end(void **state)
{
    (void)state;
    static const codec_config config = {CODEC_TOPK, 0.01};
    float values[1000], residual[1000] = {0}, arrived[1000] = {0};
    uint32_t payload[100];
    for (int i = 0; i < 1000; i++)
        values[i] = 1.0f + (float)(i % 7);
    for (int step = 0; step < 1000; step++) {
        codec_encode(&config, values, 1000, residual, payload);
        codec_add_scaled(&(codec_payload){CODEC_TOPK, payload, codec_bytes(&config, 1000)}, 0, 1000, 1,
                         arrived);
    }
    for (int i = 0; i < 1000; i++) {
        assert_true(arrived[i] + residual[i] == 1000 * values[i]); /* small integers: exact */
        assert_true(arrived[i] > 0);
    }
}

static void entries_out_of_order_or_range_are_refused(void **state)
{
    (void)state;
    static const codec_config config = {CODEC_TOPK, 0.3};
    const codec_topk_entry good[] = {{0, 1}, {5, 2}, {9, 3}};
    ps_error error;
    codec_topk_entry e[3];
    assert_int_equal(codec_check(&config, good, sizeof good, 10, NULL), PS_OK);

    memcpy(e, good, sizeof e);
    e[2].index = 10;
    assert_int_equal(codec_check(&config, e, sizeof e, 10, &error), PS_EFORMAT);
    assert_string_equal(error.text, "index 10 of its entry 2 is not in [6, 10)");
    e[2].index = 5;
    assert_int_equal(codec_check(&config, e, sizeof e, 10, &error), PS_EFORMAT);
    assert_string_equal(error.text, "index 5 of its entry 2 is not in [6, 10)");
    e[2].index = 0;
    assert_int_equal(codec_check(&config, e, sizeof e, 10, &error), PS_EFORMAT);
    e[2].index = UINT32_MAX;
    assert_int_equal(codec_check(&config, e, sizeof e, 10, &error), PS_EFORMAT);
}

/* As when the sender changes memory that it shares, after the payload has been judged. */
static void indices_that_change_after_the_judgement_do_no_harm(void **state)
{
    (void)state;
    numbers n = {31};
    for (int round = 0; round < 1000; round++) {
        codec_topk_entry e[8];
        for (int i = 0; i < 8; i++)
            e[i] = (codec_topk_entry){numbers_word(&n) >> (numbers_word(&n) % 32), 1};
        float *values = calloc(100, sizeof *values);
        const codec_payload p = {CODEC_TOPK, e, sizeof e};
        codec_decode(&p, 256, 100, values);
        codec_add_scaled(&p, 256, 100, 1, values);
        free(values);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found_again_and_unknown_ones_refused_with_the_list),
        cmocka_unit_test(sizes_are_as_documented),
        cmocka_unit_test(only_codecs_that_merely_round_suit_weights_and_only_topk_keeps_a_residual),
        cmocka_unit_test(fp32_changes_nothing),
        cmocka_unit_test(every_length_is_encoded_checked_and_summed_within_its_bytes),
        cmocka_unit_test(a_range_is_decoded_and_summed_like_the_whole),
        cmocka_unit_test(wrong_sizes_are_refused),
        cmocka_unit_test(nan_and_infinity_are_found_in_every_payload),
        cmocka_unit_test(any_float_is_encoded_and_finite_ones_stay_finite),
        cmocka_unit_test(bits_do_not_depend_on_how_the_thread_treats_denormals),
        cmocka_unit_test(payloads_are_the_same_on_every_machine),
        cmocka_unit_test(all_patterns_decode_to_what_they_stand_for_and_encode_to_themselves),
        cmocka_unit_test(ties_between_all_neighbours_go_to_even),
        cmocka_unit_test(any_float_becomes_the_nearest_half),
        cmocka_unit_test(rounding_errors_are_within_the_stated_bounds),
        cmocka_unit_test(blocks_of_bytes_follow_their_formula),
        cmocka_unit_test(blocks_of_zeros_are_exact_and_those_near_zero_become_zeros),
        cmocka_unit_test(ties_of_bytes_go_to_even),
        cmocka_unit_test(scales_that_no_encoder_makes_are_refused),
        cmocka_unit_test(topk_sends_what_sorting_would_for_many_steps),
        cmocka_unit_test(equal_magnitudes_go_by_index),
        cmocka_unit_test(sent_and_residual_are_exactly_residual_before_and_gradient),
        cmocka_unit_test(every_element_is_sent_in_the_end),
        cmocka_unit_test(entries_out_of_order_or_range_are_refused),
        cmocka_unit_test(indices_that_change_after_the_judgement_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
