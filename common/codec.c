/* codec.c - see codec.h. The table, and the codec that changes nothing. */
#include "common/codec.h"

#include <assert.h>

#include "common/codec_ops.h"
#include "common/gradient.h"
#include "common/name_list.h"
#include "common/vectorise.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "payloads are little-endian, and here they are read as they are"
#endif

/* ---------------------------------------------------------------- fp32 */

static size_t fp32_bytes(const codec_config *config, uint64_t count)
{
    (void)config;
    return (size_t)count * sizeof(float);
}

static void fp32_encode(const float *values, uint64_t count, float *residual, void *payload, size_t bytes)
{
    (void)count;
    (void)residual;
    memcpy(payload, values, bytes);
}

static bool fp32_is_finite(const codec_payload *payload, uint64_t count)
{
    return gradient_is_finite(payload->data, count);
}

static void fp32_decode(const codec_payload *payload, uint64_t first, size_t count, float *values)
{
    memcpy(values, (const float *)payload->data + first, count * sizeof *values);
}

VECTORISED static void fp32_add_scaled(const codec_payload *payload, uint64_t first, size_t count,
                                       float weight, float *restrict sum)
{
    const float *restrict values = (const float *)payload->data + first;
    for (size_t i = 0; i < count; i++)
        sum[i] += values[i] * weight;
}

const codec_ops codec_fp32 = {
    .suits_weights = true,
    .bytes = fp32_bytes,
    .encode = fp32_encode,
    .is_finite = fp32_is_finite,
    .decode = fp32_decode,
    .add_scaled = fp32_add_scaled,
};

/* ---------------------------------------------------------------- the table */

static const codec_ops *const table[] = {
    [CODEC_FP32] = &codec_fp32, [CODEC_BF16] = &codec_bf16, [CODEC_FP16] = &codec_fp16,
    [CODEC_INT8] = &codec_int8, [CODEC_TOPK] = &codec_topk,
};

#define CODEC_NAME(kind, name) [kind] = name,
static const char *const names[] = {CODEC_LIST(CODEC_NAME)};
#undef CODEC_NAME

enum { TABLE_END = sizeof table / sizeof *table };
static_assert(TABLE_END == sizeof names / sizeof *names, "every codec of the list has its operations");

static const codec_ops *ops_of(codec_kind kind)
{
    assert(codec_is_known(kind));
    return table[kind];
}

bool codec_is_known(codec_kind kind)
{
    return kind > CODEC_DEFAULT && (unsigned)kind < TABLE_END;
}

const char *codec_kind_name(codec_kind kind)
{
    if (kind == CODEC_DEFAULT)
        return "default";
    return codec_is_known(kind) ? names[kind] : "?";
}

static const name_list codecs = {"codec", names, TABLE_END};
NAME_LIST_PARSER(codec_kind_parse, codec_kind, codecs)

bool codec_suits_weights(codec_kind kind)
{
    return ops_of(kind)->suits_weights;
}

bool codec_keeps_residual(codec_kind kind)
{
    return ops_of(kind)->keeps_residual;
}

size_t codec_bytes(const codec_config *config, uint64_t count)
{
    return ops_of(config->kind)->bytes(config, count);
}

void codec_encode(const codec_config *config, const float *values, uint64_t count, float *residual,
                  void *payload)
{
    const codec_ops *ops = ops_of(config->kind);
    assert(!ops->keeps_residual == !residual);
    ops->encode(values, count, residual, payload, ops->bytes(config, count));
}

ps_status codec_check(const codec_config *config, const void *payload, size_t bytes, uint64_t count,
                      ps_error *error)
{
    const codec_ops *ops = ops_of(config->kind);
    size_t expected = ops->bytes(config, count);
    if (bytes != expected)
        return ps_fail(error, PS_EMISMATCH, "it has %zu bytes; %llu elements in %s have %zu", bytes,
                       (unsigned long long)count, names[config->kind], expected);
    return ops->check ? ops->check(payload, bytes, count, error) : PS_OK;
}

bool codec_is_finite(const codec_payload *payload, uint64_t count)
{
    return ops_of(payload->kind)->is_finite(payload, count);
}

void codec_decode(const codec_payload *payload, uint64_t first, size_t count, float *values)
{
    assert(first % CODEC_BLOCK == 0);
    ops_of(payload->kind)->decode(payload, first, count, values);
}

void codec_add_scaled(const codec_payload *payload, uint64_t first, size_t count, float weight, float *sum)
{
    assert(first % CODEC_BLOCK == 0);
    ops_of(payload->kind)->add_scaled(payload, first, count, weight, sum);
}
