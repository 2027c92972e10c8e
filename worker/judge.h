/* judge.h - what is a gradient worth as a whole: is it finite, and how far is it to be clipped?
 *
 * The worker judges, since it alone sees all of its gradient, so that all shards treat it alike. Each tensor
 * is looked at when it is complete, while it is still in the cache; in which order does not matter to the
 * bits of the judgement, nor whether the sum of squares was made here or on a device. */
#ifndef PENSTOCK_WORKER_JUDGE_H
#define PENSTOCK_WORKER_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"
#include "common/tensor.h"

typedef struct {
    const tensor_table *table; /* borrowed */
    double clip_norm;          /* 0: gradients are not clipped */
    double *squares;           /* (tensors) sum of squares of each, if they are */
    uint32_t left;             /* tensors not looked at yet */
    bool nonfinite;
} judge;

typedef struct {
    bool nonfinite;
    float clip_factor; /* what the gradient is to be multiplied by */
} judgement;

/* PS_ENOMEM. judge_fini is safe on zeroed memory. */
ps_status judge_init(judge *j, const tensor_table *table, double clip_norm);
void judge_fini(judge *j);

/* Another gradient. */
void judge_begin(judge *j);

/* Looks at tensor `t` of the table; each once. values: (its elements) f32. */
void judge_tensor(judge *j, uint32_t t, const float *values);

/* The same of a tensor that someone else has looked at: its sum of squares, as common/gradient.h has it. */
void judge_squares(judge *j, uint32_t t, double squares);

/* Of a gradient of which every tensor has been looked at. */
judgement judge_end(const judge *j);

#endif
