/* toy.h - the model that is trained in the simulator: cheap, but its gradients are floats that round,
 * overflow clips and differ between workers.
 *
 * Weights and gradients of all tensors lie in one array, one tensor after the other. A gradient is a pure
 * function of (seed, worker, step, weights, members), as a trainer's is: that of a noisy quadratic. */
#ifndef PENSTOCK_TESTS_SIM_TOY_H
#define PENSTOCK_TESTS_SIM_TOY_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/scenario.h"

/* What a worker says of its gradient. */
typedef struct {
    uint32_t examples; /* 0: there is no gradient */
    float clip_factor;
    bool nonfinite;
} toy_batch;

/* Its share of an update, in the arithmetic of the shard: of contributors with `examples_total` rows. */
static inline float toy_share(const toy_batch *batch, uint64_t examples_total)
{
    return (float)((double)batch->examples / (double)examples_total) * batch->clip_factor;
}

/* First element of tensor `number` in the array. number < job.tensors.count */
uint64_t toy_offset(const job_config *job, uint32_t number);

/* weights: (elements) f32, as every shard makes them for itself */
void toy_initial_weights(const job_config *job, float *weights);

/* Rows of that batch that count: 0 if there are none, or if their gradient is not finite. `list`: who takes
 * part, which decides in a scenario that shrinks. */
uint32_t toy_contribution(const scenario *s, const members_list *list, uint32_t worker, uint64_t step);

/* weights, gradient: (elements) f32; weights are not read in an additive scenario. There are no examples
 * after the worker's last step. Where workers come and go a gradient is that of the rows that the sampler
 * draws. Norm and finiteness are judged as the client does. */
void toy_gradient(const scenario *s, const members_list *list, uint32_t worker, uint64_t step,
                  const float *weights, float *gradient, toy_batch *batch);

#endif
