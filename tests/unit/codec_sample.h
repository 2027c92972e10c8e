/* codec_sample.h - what tests of codecs share: gradients of awkward lengths and values, there and back. */
#ifndef PENSTOCK_TESTS_CODEC_SAMPLE_H
#define PENSTOCK_TESTS_CODEC_SAMPLE_H

#include <math.h>
#include <string.h>

#include "common/codec.h"
#include "tests/unit/numbers.h"
#include "tests/unit/unit.h"

/* Around the edges of vectors, chunks and blocks. */
static const uint64_t counts[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 255, 256, 257, 511, 1000, 1024, 4097};
enum { COUNTS = sizeof counts / sizeof *counts, LARGEST = 4097, PAYLOAD_MAX = 8 * LARGEST };

static inline uint32_t codec_sample_bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float codec_sample_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline void codec_sample_expect_same(const float *a, const float *b, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (codec_sample_bits_of(a[i]) != codec_sample_bits_of(b[i]))
            fail_msg("element %llu: %a is not %a", (unsigned long long)i, (double)a[i], (double)b[i]);
}

/* Of many magnitudes, with some zeros and equal numbers among them. */
static inline void codec_sample_fill(float *values, uint64_t count, uint64_t seed)
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
static inline void codec_sample_decode(const codec_config *config, const void *payload, uint64_t count,
                                       float *values)
{
    codec_payload p = {config->kind, payload, codec_bytes(config, count)};
    codec_decode(&p, 0, (size_t)count, values);
}

static inline void codec_sample_encode(const codec_config *config, const float *values, uint64_t count,
                                       void *payload)
{
    static float residual[LARGEST];
    memset(residual, 0, sizeof residual);
    codec_encode(config, values, count, codec_keeps_residual(config->kind) ? residual : NULL, payload);
}

#endif
