/* codec_int8.c - blocks of bytes with a scale. See codec.h. */
#include <assert.h>
#include <float.h>

#include "common/codec_ops.h"
#include "common/vectorise.h"

/* A block as on the wire; the last one of a slice has fewer values. */
typedef struct {
    float scale;
    int8_t values[CODEC_BLOCK];
} int8_block;

static_assert(sizeof(int8_block) == 4 + CODEC_BLOCK, "no padding in a block");
static_assert(offsetof(int8_block, values) == 4, "values follow the scale");

enum { LEVELS = 127, HEAD = offsetof(int8_block, values), INFINITY_BITS = 0x7f800000 };
/* A value of -128, which no encoder makes, times this is finite. */
#define SCALE_MAX (FLT_MAX / 128)
/* A block whose values are all smaller than this is sent as zeros, as its scale would be denormal. */
#define LARGEST_MIN (FLT_MIN * LEVELS)
/* Added to a float of at most 2^21 in magnitude, it leaves the nearest integer in the lowest bits. */
#define ROUNDER 12582912.0f

static size_t int8_bytes(const codec_config *config, uint64_t count)
{
    (void)config;
    return (size_t)((count + CODEC_BLOCK - 1) / CODEC_BLOCK * HEAD + count);
}

/* `largest`: bits of the largest magnitude. */
static inline float scale_of(int32_t largest)
{
    float scale = codec_bits_float((uint32_t)largest) / LEVELS;
    if (largest >= INFINITY_BITS)
        return scale; /* NaN or Inf: the receiver is to see it */
    return scale < SCALE_MAX ? scale : SCALE_MAX;
}

static inline void encode_block(const float *restrict values, size_t count, int8_block *restrict block)
{
    int32_t bits = 0; /* of the largest magnitude: floats without a sign are in the order of their bits */
    for (size_t i = 0; i < count; i++) {
        int32_t magnitude = (int32_t)(codec_float_bits(values[i]) & UINT32_C(0x7fffffff));
        bits = magnitude > bits ? magnitude : bits;
    }
    float largest = codec_bits_float((uint32_t)bits);
    bool zeros = largest < LARGEST_MIN;
    float scale = zeros ? 0 : scale_of(bits);
    float inverse = zeros ? 0 : LEVELS / largest;
    memcpy(&block->scale, &scale, sizeof scale);
    for (size_t i = 0; i < count; i++)
        block->values[i] =
            (int8_t)(uint8_t)(codec_float_bits(values[i] * inverse + ROUNDER) - codec_float_bits(ROUNDER));
}

VECTORISED static void int8_encode(const float *values, uint64_t count, float *residual, void *payload,
                                   size_t bytes)
{
    (void)residual;
    (void)bytes;
    int8_block *block = payload;
    uint64_t whole = count - count % CODEC_BLOCK;
    for (uint64_t first = 0; first < whole; first += CODEC_BLOCK)
        encode_block(values + first, CODEC_BLOCK, block++);
    if (whole < count)
        encode_block(values + whole, (size_t)(count - whole), block);
}

static inline bool is_nonfinite(uint32_t bits)
{
    return (bits & INFINITY_BITS) == INFINITY_BITS;
}

static ps_status int8_check(const void *payload, size_t bytes, uint64_t count, ps_error *error)
{
    (void)bytes;
    const int8_block *block = payload;
    for (uint64_t first = 0; first < count; first += CODEC_BLOCK, block++) {
        uint32_t bits = codec_float_bits(block->scale);
        if (bits != 0 && !is_nonfinite(bits) &&
            (bits < codec_float_bits(FLT_MIN) || bits > codec_float_bits(SCALE_MAX)))
            return ps_fail(error, PS_EFORMAT, "the scale of its block %llu, %g, is not 0 or in [%g, %g]",
                           (unsigned long long)(first / CODEC_BLOCK), (double)block->scale, (double)FLT_MIN,
                           (double)SCALE_MAX);
    }
    return PS_OK;
}

static bool int8_is_finite(const codec_payload *payload, uint64_t count)
{
    const int8_block *block = payload->data;
    for (uint64_t first = 0; first < count; first += CODEC_BLOCK, block++)
        if (is_nonfinite(codec_float_bits(block->scale)))
            return false;
    return true;
}

static inline void decode_block(const int8_block *restrict block, size_t count, float *restrict values)
{
    float scale = block->scale;
    for (size_t i = 0; i < count; i++)
        values[i] = scale * (float)block->values[i];
}

VECTORISED static void int8_decode(const codec_payload *payload, uint64_t first, size_t count, float *values)
{
    const int8_block *block = (const int8_block *)payload->data + first / CODEC_BLOCK;
    size_t whole = count - count % CODEC_BLOCK;
    for (size_t i = 0; i < whole; i += CODEC_BLOCK)
        decode_block(block++, CODEC_BLOCK, values + i);
    if (whole < count)
        decode_block(block, count - whole, values + whole);
}

static inline void add_block(const int8_block *restrict block, size_t count, float weight,
                             float *restrict sum)
{
    float scale = block->scale;
    for (size_t i = 0; i < count; i++)
        sum[i] += scale * (float)block->values[i] * weight;
}

VECTORISED static void int8_add_scaled(const codec_payload *payload, uint64_t first, size_t count,
                                       float weight, float *sum)
{
    const int8_block *block = (const int8_block *)payload->data + first / CODEC_BLOCK;
    size_t whole = count - count % CODEC_BLOCK;
    for (size_t i = 0; i < whole; i += CODEC_BLOCK)
        add_block(block++, CODEC_BLOCK, weight, sum + i);
    if (whole < count)
        add_block(block, count - whole, weight, sum + whole);
}

const codec_ops codec_int8 = {
    .bytes = int8_bytes,
    .encode = int8_encode,
    .check = int8_check,
    .is_finite = int8_is_finite,
    .decode = int8_decode,
    .add_scaled = int8_add_scaled,
};
