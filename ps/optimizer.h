/* optimizer.h - how is an update computed?
 *
 * One fused pass over a slice: reduce the workers' gradients in the order given, clip, decay, update
 * the slots, write the next weights. The pass is cut into blocks that stay in the first-level cache,
 * so every byte of weights, slots and gradients crosses the memory bus once.
 *
 * Pure arithmetic: no tensors' names, no clocks, no threads. All functions are thread-safe on disjoint
 * data. The caller has set the floating-point mode of the thread (common/fpmode.h). */
#ifndef PENSTOCK_PS_OPTIMIZER_H
#define PENSTOCK_PS_OPTIMIZER_H

#include <stdint.h>

#include "common/job.h"

enum { OPTIMIZER_SLOTS_MAX = 2 };

/* One worker's share in a step. */
typedef struct {
    const float *values; /* (count) f32, mean over the worker's batch */
    float weight;        /* its share of the step: examples / sum of examples, times its clip factor */
} optimizer_gradient;

typedef struct {
    const float *weights;              /* (count) current version, not modified unless next == weights */
    float *next;                       /* (count) receives the next version; may equal weights */
    float *slots[OPTIMIZER_SLOTS_MAX]; /* (count) each, updated in place; unused ones NULL */
    const optimizer_gradient *gradients;
    uint32_t gradient_count; /* at least 1; reduced in this order */
    uint64_t count;          /* elements */
    float learning_rate;     /* of this step, schedule applied */
    uint64_t update;         /* 1, 2, ...: how many updates this slice has seen, this one included */
} optimizer_step;

/* f32 slots an optimizer keeps beside each parameter: 0, 1 or 2. */
uint32_t optimizer_slots(const optimizer_config *config);

/* Fills slot `slot` of a new slice with its initial value. `weights`: the slice's initial weights (FTRL
 * starts its linear term from them, so that the first step does not jump to zero). */
void optimizer_init_slot(const optimizer_config *config, uint32_t slot, const float *weights, float *values,
                         uint64_t count);

/* Bytes of memory that one update touches per parameter with `workers` gradients, for the books. */
uint32_t optimizer_bytes_touched(const optimizer_config *config, uint32_t workers);

/* Applies one step. Cannot fail: the config has passed job_check. */
void optimizer_apply(const optimizer_config *config, const optimizer_step *step);

#endif
