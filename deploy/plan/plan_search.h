/* plan_search.h - how many ps, which slices and which codec should a job have?
 *
 * Tries them all on the cost model and recommends the least that is good enough:
 *   - slices of the default size, unless another of PLAN_SLICES is more than PLAN_NEAR faster;
 *   - the smallest number of ps whose step is at most PLAN_NEAR longer than the best of all numbers;
 *   - the next coarser codec for gradients (fp32, bf16, int8) only if it takes more than PLAN_CODEC_GAIN off
 * the best step: a codec costs accuracy, which is no matter of this model. What the request fixes is not
 * searched. Pure. */
#ifndef PENSTOCK_DEPLOY_PLAN_SEARCH_H
#define PENSTOCK_DEPLOY_PLAN_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"
#include "deploy/plan/cost_model.h"

#define PLAN_NEAR       0.02
#define PLAN_CODEC_GAIN 0.05

/* Bytes on the wire per float32 byte. int8 has a float32 scale per 256 elements. What depends on the data
 * (topk) is not planned. */
#define PLAN_CODEC_LIST(X)    \
    X(PLAN_FP32, "fp32", 1)   \
    X(PLAN_BF16, "bf16", 0.5) \
    X(PLAN_FP16, "fp16", 0.5) \
    X(PLAN_INT8, "int8", 65 / 256.)

typedef enum {
#define PLAN_CODEC_ENUM(kind, name, ratio) kind,
    PLAN_CODEC_LIST(PLAN_CODEC_ENUM)
#undef PLAN_CODEC_ENUM
        PLAN_CODECS,
} plan_codec;

enum { PLAN_ROWS_MAX = 32 };

const char *plan_codec_name(plan_codec codec);

/* PS_EINVAL names option and known names. */
ps_status plan_codec_parse(const char *option, const char *text, plan_codec *codec, ps_error *error);

/* The codec's ratio, and its CPU time as an estimate that nobody measured: to encode costs a copy of the
 * float32 bytes, to decode as much as one more gradient in a reduction; fp32 costs neither. */
cost_codec plan_codec_cost(plan_codec codec, const cost_constants *constants);

typedef struct {
    cost_input job; /* servers, slice_bytes and push are filled by the search; pull by the caller */
    uint32_t servers_least, servers_most; /* equal: fixed. At least 1, at most JOB_SERVERS_MAX */
    double slice_bytes;                   /* 0: searched */
    bool search_codec;
    plan_codec push_codec; /* if it is not searched */
} plan_request;

typedef struct {
    uint32_t servers;
    plan_codec codec;
    double slice_bytes;
    cost_prediction cost;
} plan_row;

typedef struct {
    plan_row recommended;
    plan_row fastest; /* with the recommended codec */
    size_t row_count; /* numbers of ps with the recommended codec, rising, the recommended one among them */
    plan_row rows[PLAN_ROWS_MAX];
    size_t codec_count; /* the fastest of each codec tried, from fine to coarse */
    plan_row codecs[PLAN_CODECS];
} plan_result;

/* PS_ELIMIT if the model would be cut into more than PARTITION_SLICES_MAX slices. */
ps_status plan_search(const plan_request *request, const cost_constants *constants, plan_result *result,
                      ps_error *error);

#endif
