/* codec_half.c - bf16 and fp16: 16 bits for each float. See codec.h.
 *
 * All on bits, written for gcc's vectoriser. The only arithmetic on floats, for the denormals of fp16, has
 * ordinary numbers as its results, and takes as its inputs ordinary numbers or some that make no difference
 * when they are flushed. */
#include <assert.h>

#include "common/codec_ops.h"
#include "common/vectorise.h"

static_assert(sizeof(float) == 4, "floats are IEEE 754 binary32");

enum { HALF_CHUNK = 4096 /* elements between two chances to stop */ };

#define MAGNITUDE    UINT32_C(0x7fffffff)
#define INFINITY_F32 UINT32_C(0x7f800000)

/* a if condition, else b; a branch would keep gcc from vectorising the float arithmetic in either. */
static inline uint32_t choose(bool condition, uint32_t a, uint32_t b)
{
    uint32_t mask = 0 - (uint32_t)condition;
    return (a & mask) | (b & ~mask);
}

/* Both below 2^31: vectors compare signed integers only. */
static inline bool is_below(uint32_t a, uint32_t b)
{
    return (int32_t)a < (int32_t)b;
}

static inline uint32_t lesser(uint32_t a, uint32_t b)
{
    return (int32_t)a < (int32_t)b ? a : b;
}

/* Of the magnitude of NaN or Inf: its 16 bits, for Inf `infinity`, for NaN `quiet` more. */
static inline uint32_t special_of(uint32_t magnitude, uint32_t infinity, uint32_t quiet)
{
    return infinity | lesser(magnitude - INFINITY_F32, 1) * quiet;
}

/* ---------------------------------------------------------------- bf16 */

static inline uint16_t to_bf16(float value)
{
    uint32_t bits = codec_float_bits(value), magnitude = bits & MAGNITUDE;
    uint32_t rounded = (magnitude + 0x7fff + (magnitude >> 16 & 1)) >> 16;
    uint32_t finite = lesser(rounded, 0x7f7f);
    uint32_t special = special_of(magnitude, 0x7f80, 0x40);
    return (uint16_t)((bits >> 16 & 0x8000) | choose(is_below(magnitude, INFINITY_F32), finite, special));
}

static inline float from_bf16(uint16_t half)
{
    return codec_bits_float((uint32_t)half << 16);
}

/* ---------------------------------------------------------------- fp16 */

#define FP16_LEAST_NORMAL UINT32_C(0x38800000)  /* 2^-14 as f32 */
#define FP16_REBIAS       (UINT32_C(112) << 23) /* 127 - 15 */
#define ONE_HALF          UINT32_C(0x3f000000)  /* 0.5, whose last place is 2^-24, the least fp16 denormal */

static inline uint16_t to_fp16(float value)
{
    uint32_t bits = codec_float_bits(value), magnitude = bits & MAGNITUDE;
    uint32_t rounded = (magnitude - FP16_REBIAS + 0xfff + (magnitude >> 13 & 1)) >> 13;
    uint32_t normal = lesser(rounded, 0x7bff);
    uint32_t denormal = codec_float_bits(codec_bits_float(magnitude) + 0.5f) - ONE_HALF;
    uint32_t special = special_of(magnitude, 0x7c00, 0x200);
    uint32_t finite = choose(is_below(magnitude, FP16_LEAST_NORMAL), denormal, normal);
    return (uint16_t)((bits >> 16 & 0x8000) | choose(is_below(magnitude, INFINITY_F32), finite, special));
}

static inline float from_fp16(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, magnitude = half & 0x7fff;
    uint32_t normal = (magnitude << 13) + FP16_REBIAS;
    uint32_t denormal = codec_float_bits(codec_bits_float(ONE_HALF + magnitude) - 0.5f);
    uint32_t special = (magnitude << 13) | INFINITY_F32;
    uint32_t finite = choose(is_below(magnitude, 0x400), denormal, normal);
    return codec_bits_float(sign | choose(is_below(magnitude, 0x7c00), finite, special));
}

/* ---------------------------------------------------------------- the passes over a slice */

static size_t half_bytes(const codec_config *config, uint64_t count)
{
    (void)config;
    return (size_t)count * sizeof(uint16_t);
}

/* `exponent`: all its bits, which only NaN and Inf have. */
VECTORISED static bool is_chunk_finite(const uint16_t *halves, size_t count, uint16_t exponent)
{
    uint16_t any = 0;
    for (size_t i = 0; i < count; i++)
        any |= (halves[i] & exponent) == exponent;
    return !any;
}

static bool half_is_finite(const uint16_t *halves, uint64_t count, uint16_t exponent)
{
    for (uint64_t first = 0; first < count; first += HALF_CHUNK) {
        uint64_t left = count - first;
        if (!is_chunk_finite(halves + first, left < HALF_CHUNK ? (size_t)left : HALF_CHUNK, exponent))
            return false;
    }
    return true;
}

/* The operations of a codec of 16 bits, from its two conversions and its exponent's bits. */
#define HALF_CODEC(name, exponent)                                                                       \
    VECTORISED static void name##_encode_all(const float *restrict values, uint64_t count,               \
                                             uint16_t *restrict halves)                                  \
    {                                                                                                    \
        for (uint64_t i = 0; i < count; i++)                                                             \
            halves[i] = to_##name(values[i]);                                                            \
    }                                                                                                    \
    static void name##_encode(const float *values, uint64_t count, float *residual, void *payload,       \
                              size_t bytes)                                                              \
    {                                                                                                    \
        (void)residual;                                                                                  \
        (void)bytes;                                                                                     \
        name##_encode_all(values, count, payload);                                                       \
    }                                                                                                    \
    static bool name##_is_finite(const codec_payload *payload, uint64_t count)                           \
    {                                                                                                    \
        return half_is_finite(payload->data, count, exponent);                                           \
    }                                                                                                    \
    VECTORISED static void name##_decode(const codec_payload *payload, uint64_t first, size_t count,     \
                                         float *restrict values)                                         \
    {                                                                                                    \
        const uint16_t *restrict halves = (const uint16_t *)payload->data + first;                       \
        for (size_t i = 0; i < count; i++)                                                               \
            values[i] = from_##name(halves[i]);                                                          \
    }                                                                                                    \
    VECTORISED static void name##_add_scaled(const codec_payload *payload, uint64_t first, size_t count, \
                                             float weight, float *restrict sum)                          \
    {                                                                                                    \
        const uint16_t *restrict halves = (const uint16_t *)payload->data + first;                       \
        for (size_t i = 0; i < count; i++)                                                               \
            sum[i] += from_##name(halves[i]) * weight;                                                   \
    }                                                                                                    \
    const codec_ops codec_##name = {                                                                     \
        .suits_weights = true,                                                                           \
        .bytes = half_bytes,                                                                             \
        .encode = name##_encode,                                                                         \
        .is_finite = name##_is_finite,                                                                   \
        .decode = name##_decode,                                                                         \
        .add_scaled = name##_add_scaled,                                                                 \
    }

HALF_CODEC(bf16, 0x7f80);
HALF_CODEC(fp16, 0x7c00);
