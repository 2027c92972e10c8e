/* optimizer.c - see optimizer.h. First the pass that all share, then what each optimizer gives the loops of
 * optimizer_kernels.c, then the table of them.
 *
 * Bits must not depend on how a slice is cut, on the compiler's vector width or on the machine. So every
 * element is computed by the same IEEE operations in the same order (contraction to FMA is off in
 * CMakeLists.txt), and what is computed once per step uses no function of libm but sqrt, whose result the
 * standard prescribes. The one exception is FTRL with a learning_rate_power other than -0.5 (powf). */
#include "ps/optimizer.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "ps/optimizer_kernels.h"

/* Elements per block: what stays in the first-level cache between the parts of the pass. */
enum { BLOCK = 1024 };

/* ---------------------------------------------------------------- the pass over a slice */

static float *at(float *values, uint64_t first)
{
    return values ? values + first : NULL;
}

static bool is_plain(const optimizer_gradient *g)
{
    return g->values.kind == CODEC_FP32;
}

static bool are_plain(const optimizer_step *step)
{
    for (uint32_t g = 0; g < step->gradient_count; g++)
        if (!is_plain(&step->gradients[g]))
            return false;
    return true;
}

static const float *floats_of(const optimizer_gradient *g, uint64_t first)
{
    return (const float *)g->values.data + first;
}

/* Gradients of which some have to be decoded. */
static void reduce_encoded(const optimizer_step *step, uint64_t first, float *sum, size_t count)
{
    const optimizer_gradient *gradients = step->gradients;
    codec_decode(&gradients[0].values, step->first + first, count, sum);
    kernels_reduce[0](
        &(kernel_block){.next = sum, .gradients = {sum}, .shares = {gradients[0].weight}, .count = count});
    for (uint32_t g = 1; g < step->gradient_count; g++)
        codec_add_scaled(&gradients[g].values, step->first + first, count, gradients[g].weight, sum);
}

/* As many gradients at a time as a loop takes; their sum so far is the first of the next ones, with a share
 * of 1: the same bits. */
static void reduce_plain(const optimizer_step *step, uint64_t first, float *sum, size_t count)
{
    uint32_t done = 0;
    while (done < step->gradient_count) {
        kernel_block block = {.next = sum, .count = count};
        uint32_t used = 0;
        if (done > 0) {
            block.gradients[used] = sum;
            block.shares[used++] = 1;
        }
        for (; used < KERNEL_GRADIENTS_MAX && done < step->gradient_count; used++, done++) {
            block.gradients[used] = floats_of(&step->gradients[done], step->first + first);
            block.shares[used] = step->gradients[done].weight;
        }
        kernels_reduce[used - 1](&block);
    }
}

/* What the update can do without: a pass that leaves the gradient in the cache for it. */
static bool reduces_on_the_way(const optimizer_config *config, const optimizer_step *step,
                               double weight_decay)
{
    return step->gradient_count <= KERNEL_GRADIENTS_MAX && config->clip_value <= 0 && weight_decay <= 0 &&
           are_plain(step);
}

/* Where results of a block go. */
typedef struct {
    float *next, *slots[OPTIMIZER_SLOTS_MAX];
} targets;

/* Elements [first, first + count). The slots are those before. */
static bool update(const optimizer_config *config, const optimizer_step *step, const kernel_set *kernels,
                   const kernel_constants *constants, double weight_decay, uint64_t first, const targets *to,
                   size_t count)
{
    kernel_block block = {
        .constants = constants,
        .weights = step->weights + first,
        .next = to->next,
        .slots = {to->slots[0], to->slots[1]},
        .count = count,
    };
    if (reduces_on_the_way(config, step, weight_decay)) {
        for (uint32_t g = 0; g < step->gradient_count; g++) {
            block.gradients[g] = floats_of(&step->gradients[g], step->first + first);
            block.shares[g] = step->gradients[g].weight;
        }
        return kernels->reducing[step->gradient_count - 1](&block);
    }
    _Alignas(64) float gradient[BLOCK];
    if (are_plain(step))
        reduce_plain(step, first, gradient, count);
    else
        reduce_encoded(step, first, gradient, count);
    bool finite = kernel_guard(gradient, count);
    if (config->clip_value > 0)
        kernel_clip(gradient, (float)config->clip_value, count);
    if (weight_decay > 0)
        kernel_decay(gradient, block.weights, (float)weight_decay, count);
    block.gradients[0] = gradient;
    kernels->ready(&block);
    return finite;
}

/* Within the first-level cache, from which the update takes them at once. */
static void copy_old_slots(const optimizer_step *step, uint64_t first, const targets *to, size_t count)
{
    for (int k = 0; k < OPTIMIZER_SLOTS_MAX && step->old_slots[k]; k++)
        memcpy(to->slots[k], step->old_slots[k] + first, count * sizeof(float));
}

/* `weight_decay` is that of the gradient: AdamW's is not. */
static bool run(const optimizer_config *config, const optimizer_step *step, const kernel_set *kernels,
                const kernel_constants *constants, double weight_decay)
{
    bool streaming = step->streaming && KERNEL_CAN_STREAM;
    if (reduces_on_the_way(config, step, weight_decay) && !streaming && !step->old_slots[0]) {
        const targets all = {step->next, {step->slots[0], step->slots[1]}};
        return update(config, step, kernels, constants, weight_decay, 0, &all, step->count);
    }
    _Alignas(64) float streamed[1 + OPTIMIZER_SLOTS_MAX][BLOCK];
    bool finite = true;
    for (uint64_t first = 0; first < step->count; first += BLOCK) {
        size_t count = step->count - first < BLOCK ? (size_t)(step->count - first) : BLOCK;
        targets to = {streaming ? streamed[0] : step->next + first,
                      {at(step->slots[0], first), at(step->slots[1], first)}};
        for (int k = 0; k < OPTIMIZER_SLOTS_MAX && streaming && step->old_slots[k]; k++)
            to.slots[k] = streamed[1 + k];
        copy_old_slots(step, first, &to, count);
        finite &= update(config, step, kernels, constants, weight_decay, first, &to, count);
        if (!streaming)
            continue;
        kernel_stream(step->next + first, to.next, count);
        for (int k = 0; k < OPTIMIZER_SLOTS_MAX && step->old_slots[k]; k++)
            kernel_stream(step->slots[k] + first, to.slots[k], count);
    }
    if (streaming)
        kernel_fence();
    return finite;
}

static void fill(float *values, float value, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        values[i] = value;
}

/* ---------------------------------------------------------------- one optimizer after the other */

static bool sgd_apply(const optimizer_config *config, const optimizer_step *step)
{
    const kernel_constants c = {.rate = step->learning_rate};
    return run(config, step, &kernels_sgd, &c, config->weight_decay);
}

static bool momentum_apply(const optimizer_config *config, const optimizer_step *step)
{
    const kernel_constants c = {.rate = step->learning_rate, .momentum = (float)config->momentum};
    return run(config, step, config->kind == OPTIMIZER_NESTEROV ? &kernels_nesterov : &kernels_momentum, &c,
               config->weight_decay);
}

static bool adagrad_apply(const optimizer_config *config, const optimizer_step *step)
{
    const kernel_constants c = {.rate = step->learning_rate, .epsilon = (float)config->epsilon};
    return run(config, step, &kernels_adagrad, &c, config->weight_decay);
}

static void accumulator_init(const optimizer_config *config, uint32_t slot, const float *weights,
                             float *values, uint64_t count)
{
    (void)slot;
    (void)weights;
    fill(values, (float)config->initial_accumulator, count);
}

static bool rmsprop_apply(const optimizer_config *config, const optimizer_step *step)
{
    const kernel_constants c = {.rate = step->learning_rate,
                                .epsilon = (float)config->epsilon,
                                .past1 = (float)config->decay,
                                .present1 = (float)(1 - config->decay)};
    return run(config, step, &kernels_rmsprop, &c, config->weight_decay);
}

/* base^exponent by squaring: the same bits from every libm. */
static double power(double base, uint64_t exponent)
{
    double result = 1;
    for (; exponent; exponent >>= 1) {
        if (exponent & 1)
            result *= base;
        base *= base;
    }
    return result;
}

static kernel_constants adam_prepare(const optimizer_config *config, const optimizer_step *step)
{
    return (kernel_constants){
        .past1 = (float)config->beta1,
        .present1 = (float)(1 - config->beta1),
        .past2 = (float)config->beta2,
        .present2 = (float)(1 - config->beta2),
        .rate = (float)((double)step->learning_rate / (1 - power(config->beta1, step->update))),
        .spread = (float)(1 / sqrt(1 - power(config->beta2, step->update))),
        .epsilon = (float)config->epsilon,
        .keep = 1,
    };
}

static bool adam_apply(const optimizer_config *config, const optimizer_step *step)
{
    const kernel_constants c = adam_prepare(config, step);
    return run(config, step, &kernels_adam, &c, config->weight_decay);
}

static bool adamw_apply(const optimizer_config *config, const optimizer_step *step)
{
    kernel_constants c = adam_prepare(config, step);
    c.keep = (float)(1 - (double)step->learning_rate * config->weight_decay);
    return run(config, step, &kernels_adam, &c, 0);
}

static bool is_ftrl_root(const optimizer_config *config)
{
    return config->learning_rate_power == -0.5;
}

static bool ftrl_apply(const optimizer_config *config, const optimizer_step *step)
{
    const kernel_constants c = {.rate = step->learning_rate,
                                .power = (float)-config->learning_rate_power,
                                .threshold = (float)((double)step->learning_rate * config->l1),
                                .ridge = (float)((double)step->learning_rate * 2 * config->l2)};
    return run(config, step, is_ftrl_root(config) ? &kernels_ftrl_root : &kernels_ftrl_power, &c,
               config->weight_decay);
}

static void ftrl_init(const optimizer_config *config, uint32_t slot, const float *weights, float *values,
                      uint64_t count)
{
    float accumulator = (float)config->initial_accumulator;
    if (slot == 0) {
        fill(values, accumulator, count);
        return;
    }
    float curvature =
        is_ftrl_root(config) ? sqrtf(accumulator) : powf(accumulator, (float)-config->learning_rate_power);
    for (uint64_t i = 0; i < count; i++)
        values[i] = -weights[i] * curvature;
}

/* ---------------------------------------------------------------- the table */

typedef struct {
    uint32_t slots;
    bool (*apply)(const optimizer_config *config, const optimizer_step *step);
    /* NULL: slots start at zero. */
    void (*init_slot)(const optimizer_config *config, uint32_t slot, const float *weights, float *values,
                      uint64_t count);
} optimizer_ops;

static const optimizer_ops optimizers[] = {
    [OPTIMIZER_SGD] = {0, sgd_apply, NULL},
    [OPTIMIZER_MOMENTUM] = {1, momentum_apply, NULL},
    [OPTIMIZER_NESTEROV] = {1, momentum_apply, NULL},
    [OPTIMIZER_ADAGRAD] = {1, adagrad_apply, accumulator_init},
    [OPTIMIZER_RMSPROP] = {1, rmsprop_apply, NULL},
    [OPTIMIZER_ADAM] = {2, adam_apply, NULL},
    [OPTIMIZER_ADAMW] = {2, adamw_apply, NULL},
    [OPTIMIZER_FTRL] = {2, ftrl_apply, ftrl_init},
};

uint32_t optimizer_slots(const optimizer_config *config)
{
    return optimizers[config->kind].slots;
}

void optimizer_init_slot(const optimizer_config *config, uint32_t slot, const float *weights, float *values,
                         uint64_t count)
{
    if (optimizers[config->kind].init_slot)
        optimizers[config->kind].init_slot(config, slot, weights, values, count);
    else
        fill(values, 0, count);
}

uint32_t optimizer_bytes_touched(const optimizer_config *config, uint32_t workers)
{
    /* Weights and slots are read and written, gradients read. */
    return (uint32_t)sizeof(float) * (2 + 2 * optimizer_slots(config) + workers);
}

bool optimizer_apply(const optimizer_config *config, const optimizer_step *step)
{
    return optimizers[config->kind].apply(config, step);
}
