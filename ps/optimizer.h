/* optimizer.h - how is an update computed?
 *
 * One fused pass over a slice. For each element, in float32 and in this order:
 *   1. reduce   g = g0 * weight0; then g += gi * weighti, in the order given, each gi as common/codec.h has
 * it
 *   2. guard    g = 0, if it is NaN or Inf
 *   3. clip     g into [-clip_value, clip_value], if that is not 0
 *   4. decay    g += weight_decay * w, if that is not 0 (adamw: not here but in 5)
 *   5. update   with lr the learning rate, w' the next weight, slots in the order named, t the update:
 *
 *   sgd        w' = w - lr g
 *   momentum   v = momentum v + g; w' = w - lr v                    (Polyak 1964, as in PyTorch)
 *   nesterov   v = momentum v + g; w' = w - lr (g + momentum v)     (Sutskever et al. 2013, as in PyTorch)
 *   adagrad    n += g^2; w' = w - lr g / (sqrt(n) + epsilon)        (Duchi et al. 2011)
 *   rmsprop    n = decay n + (1 - decay) g^2; w' as adagrad         (Tieleman and Hinton 2012)
 *   adam       m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
 *              w' = w - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
 *                                                                   (Kingma and Ba 2015)
 *   adamw      the same with (1 - lr weight_decay) w for w          (Loshchilov and Hutter 2019)
 *   ftrl       with p = -learning_rate_power: N = n + g^2; z += lr g - (N^p - n^p) w; n = N;
 *              w' = (sign(z) lr l1 - z) / (N^p + 2 lr l2) if |z| > lr l1, else 0
 *                                                                   (McMahan et al. 2013)
 *
 * Slots start at zero, but for n = initial_accumulator (adagrad, ftrl). Epsilon stands outside the root, as
 * in PyTorch. FTRL is TensorFlow's formulation with z kept multiplied by lr, and begins as if its curvature
 * so far (n^p) were centred on the initial weights, z = -n^p w. So they are not lost in the first step, and a
 * schedule does not rescale the weights when it changes lr; without l1 and l2 it is adagrad. An element that
 * has seen no gradient (N = 0) keeps its weight.
 *
 * So a gradient that holds NaN or Inf never reaches weights or slots, and costs no pass of its own to be
 * found. Its element is treated as if no worker had a gradient for it in this step, whatever the others say:
 * velocities and moments decay and still move the weight, weight decay acts, sums of squares stay (adagrad,
 * ftrl) or decay. All other elements are untouched by it. What is finite may still be so large that its
 * square overflows a slot.
 *
 * Bytes that cross the memory bus per parameter, with n gradients; each is touched once:
 *
 *                                                   in place   out of place   out of place, streaming
 *   sgd                                               8 + 4n        12 + 4n                    8 + 4n
 *   momentum, nesterov, adagrad, rmsprop             16 + 4n        20 + 4n                   16 + 4n
 *   adam, adamw, ftrl                                24 + 4n        28 + 4n                   24 + 4n
 *
 * Weights, slots and gradients are read, slots and next weights are written; out of place, an ordinary store
 * also reads the line that it is about to overwrite, which a streaming one does not. Slots that someone else
 * holds cost 4 bytes more each in that one update, unless it streams.
 *
 * Up to four gradients in fp32 without clipping and weight decay are reduced in the loop that updates; else
 * in blocks that stay in the first-level cache, where those in other codecs are decoded on the way. Bits
 * depend on the inputs alone: not on how a slice is cut, nor on whether it is updated in place. Plain sgd
 * with one gradient of weight 1 is w - lr * g, exactly.
 *
 * Pure arithmetic: no tensors' names, no clocks, no threads. All functions are thread-safe on disjoint
 * data. The caller has set the floating-point mode of the thread (common/fpmode.h). */
#ifndef PENSTOCK_PS_OPTIMIZER_H
#define PENSTOCK_PS_OPTIMIZER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/codec.h"
#include "common/job.h"

enum { OPTIMIZER_SLOTS_MAX = 2 };

/* One worker's share in a step. */
typedef struct {
    codec_payload values; /* (first + count) elements, mean over the worker's batch, as they came */
    float weight;         /* its share of the step: examples / sum of examples, times its clip factor */
} optimizer_gradient;

typedef struct {
    const float *weights;              /* (count) current version, not modified unless next == weights */
    float *next;                       /* (count) receives the next version; may equal weights, not overlap */
    float *slots[OPTIMIZER_SLOTS_MAX]; /* (count) each, updated in place; unused ones NULL */
    /* Where someone else holds the slots (a checkpoint): (count) each, read instead of `slots`, which only
     * receive the next ones then. NULL: in place. */
    const float *old_slots[OPTIMIZER_SLOTS_MAX];
    const optimizer_gradient *gradients;
    uint32_t gradient_count; /* at least 1; reduced in this order */
    uint64_t first;          /* the step begins at this element of the gradients; a multiple of CODEC_BLOCK */
    uint64_t count;          /* elements */
    float learning_rate;     /* of this step, schedule applied */
    uint64_t update;         /* 1, 2, ...: how many updates this slice has seen, this one included */
    /* Write `next`, which is not `weights`, and slots that are not in place, past the caches: where they
     * cannot hold them. */
    bool streaming;
} optimizer_step;

/* f32 slots an optimizer keeps beside each parameter: 0, 1 or 2. */
uint32_t optimizer_slots(const optimizer_config *config);

/* Fills slot `slot` of a new slice with its initial value. `weights`: the slice's initial weights (FTRL
 * starts its linear term from them, so that the first step does not jump to zero). */
void optimizer_init_slot(const optimizer_config *config, uint32_t slot, const float *weights, float *values,
                         uint64_t count);

/* Bytes of memory that one update in place touches per parameter with `workers` gradients, for the books. */
uint32_t optimizer_bytes_touched(const optimizer_config *config, uint32_t workers);

/* Applies one step. Cannot fail: the config has passed job_check. False if some element's reduced gradient
 * was NaN or Inf and has been taken for 0. */
bool optimizer_apply(const optimizer_config *config, const optimizer_step *step);

#endif
