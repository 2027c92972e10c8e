/* codec_ops.h - what a codec has to provide. Private to common/codec*.c; the contracts are codec.h's.
 *
 * A new codec is a file with its table of operations, a line in CODEC_LIST and one in codec.c. */
#ifndef PENSTOCK_COMMON_CODEC_OPS_H
#define PENSTOCK_COMMON_CODEC_OPS_H

#include <string.h>

#include "common/codec.h"

typedef struct {
    bool suits_weights, keeps_residual;
    size_t (*bytes)(const codec_config *config, uint64_t count);
    /* `bytes`: of the payload, as the operation above has it. */
    void (*encode)(const float *values, uint64_t count, float *residual, void *payload, size_t bytes);
    /* Of a payload whose size is right; NULL: nothing else can be wrong. */
    ps_status (*check)(const void *payload, size_t bytes, uint64_t count, ps_error *error);
    bool (*is_finite)(const codec_payload *payload, uint64_t count);
    void (*decode)(const codec_payload *payload, uint64_t first, size_t count, float *values);
    void (*add_scaled)(const codec_payload *payload, uint64_t first, size_t count, float weight, float *sum);
} codec_ops;

extern const codec_ops codec_fp32, codec_bf16, codec_fp16, codec_int8, codec_topk;

static inline uint32_t codec_float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float codec_bits_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#endif
