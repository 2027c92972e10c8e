/* optimizer.c - see optimizer.h. First the pass that all share, then one section per optimizer, then the
 * table of them.
 *
 * Bits must not depend on how a slice is cut, on the compiler's vector width or on the machine. So every
 * element is computed by the same IEEE operations in the same order (contraction to FMA is off in
 * CMakeLists.txt), and what is computed once per step uses no function of libm but sqrt, whose result the
 * standard prescribes. The one exception is FTRL with a learning_rate_power other than -0.5 (powf). */
#include "ps/optimizer.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "common/vectorise.h"

/* Elements per block: gradient sum, weights and slots together stay within a first-level cache of 32 KiB. */
enum { BLOCK = 1024 };

/* Updates one block. values: (count) f32, the gradient on entry, the next weights on return; kept apart
 * from `weights` so that a step in place (next == weights) breaks no promise of `restrict`. */
typedef void block_update(const void *constants, const float *restrict weights, float *restrict values,
                          float *restrict slot0, float *restrict slot1, size_t count);

/* ---------------------------------------------------------------- the pass over a slice */

VECTORISED static void scale(float *restrict sum, const float *restrict values, float weight, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sum[i] = values[i] * weight;
}

VECTORISED static void add_scaled(float *restrict sum, const float *restrict values, float weight,
                                  size_t count)
{
    for (size_t i = 0; i < count; i++)
        sum[i] += values[i] * weight;
}

/* Takes what is NaN or Inf for 0; false if there was any. Without a branch: it costs the same whatever comes.
 */
VECTORISED static bool guard(float *restrict values, size_t count)
{
    uint32_t dropped = 0;
    for (size_t i = 0; i < count; i++) {
        bool finite = fabsf(values[i]) <= FLT_MAX;
        values[i] = finite ? values[i] : 0;
        dropped |= !finite;
    }
    return !dropped;
}

VECTORISED static void clip(float *restrict values, float limit, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        float below = limit < values[i] ? limit : values[i];
        values[i] = -limit > below ? -limit : below;
    }
}

static void reduce(const optimizer_step *step, uint64_t first, float *sum, size_t count)
{
    const optimizer_gradient *gradients = step->gradients;
    scale(sum, gradients[0].values + first, gradients[0].weight, count);
    for (uint32_t g = 1; g < step->gradient_count; g++)
        add_scaled(sum, gradients[g].values + first, gradients[g].weight, count);
}

/* `weight_decay` is an argument because AdamW's is none of the gradient's. */
static bool run(const optimizer_config *config, const optimizer_step *step, double weight_decay,
                block_update *update, const void *constants)
{
    _Alignas(64) float values[BLOCK];
    bool finite = true;
    for (uint64_t first = 0; first < step->count; first += BLOCK) {
        size_t count = step->count - first < BLOCK ? (size_t)(step->count - first) : BLOCK;
        const float *weights = step->weights + first;
        reduce(step, first, values, count);
        finite &= guard(values, count);
        if (config->clip_value > 0)
            clip(values, (float)config->clip_value, count);
        if (weight_decay > 0)
            add_scaled(values, weights, (float)weight_decay, count);
        update(constants, weights, values, step->slots[0] ? step->slots[0] + first : NULL,
               step->slots[1] ? step->slots[1] + first : NULL, count);
        memcpy(step->next + first, values, count * sizeof *values);
    }
    return finite;
}

static void fill(float *values, float value, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        values[i] = value;
}

/* ---------------------------------------------------------------- sgd */

typedef struct {
    float rate;
} sgd_constants;

VECTORISED static void sgd_block(const void *constants, const float *restrict weights, float *restrict values,
                                 float *restrict slot0, float *restrict slot1, size_t count)
{
    const sgd_constants c = *(const sgd_constants *)constants;
    (void)slot0;
    (void)slot1;
    for (size_t i = 0; i < count; i++)
        values[i] = weights[i] - c.rate * values[i];
}

static bool sgd_apply(const optimizer_config *config, const optimizer_step *step)
{
    const sgd_constants c = {.rate = step->learning_rate};
    return run(config, step, config->weight_decay, sgd_block, &c);
}

/* ---------------------------------------------------------------- momentum, nesterov */

typedef struct {
    float rate, momentum;
} momentum_constants;

VECTORISED static void momentum_block(const void *constants, const float *restrict weights,
                                      float *restrict values, float *restrict velocity, float *restrict slot1,
                                      size_t count)
{
    const momentum_constants c = *(const momentum_constants *)constants;
    (void)slot1;
    for (size_t i = 0; i < count; i++) {
        velocity[i] = c.momentum * velocity[i] + values[i];
        values[i] = weights[i] - c.rate * velocity[i];
    }
}

VECTORISED static void nesterov_block(const void *constants, const float *restrict weights,
                                      float *restrict values, float *restrict velocity, float *restrict slot1,
                                      size_t count)
{
    const momentum_constants c = *(const momentum_constants *)constants;
    (void)slot1;
    for (size_t i = 0; i < count; i++) {
        velocity[i] = c.momentum * velocity[i] + values[i];
        values[i] = weights[i] - c.rate * (values[i] + c.momentum * velocity[i]);
    }
}

static bool momentum_apply(const optimizer_config *config, const optimizer_step *step)
{
    const momentum_constants c = {.rate = step->learning_rate, .momentum = (float)config->momentum};
    return run(config, step, config->weight_decay,
               config->kind == OPTIMIZER_NESTEROV ? nesterov_block : momentum_block, &c);
}

/* ---------------------------------------------------------------- adagrad */

typedef struct {
    float rate, epsilon;
} adagrad_constants;

VECTORISED static void adagrad_block(const void *constants, const float *restrict weights,
                                     float *restrict values, float *restrict squares, float *restrict slot1,
                                     size_t count)
{
    const adagrad_constants c = *(const adagrad_constants *)constants;
    (void)slot1;
    for (size_t i = 0; i < count; i++) {
        squares[i] += values[i] * values[i];
        values[i] = weights[i] - c.rate * values[i] / (sqrtf(squares[i]) + c.epsilon);
    }
}

static bool adagrad_apply(const optimizer_config *config, const optimizer_step *step)
{
    const adagrad_constants c = {.rate = step->learning_rate, .epsilon = (float)config->epsilon};
    return run(config, step, config->weight_decay, adagrad_block, &c);
}

static void accumulator_init(const optimizer_config *config, uint32_t slot, const float *weights,
                             float *values, uint64_t count)
{
    (void)slot;
    (void)weights;
    fill(values, (float)config->initial_accumulator, count);
}

/* ---------------------------------------------------------------- rmsprop */

typedef struct {
    float rate, epsilon, past, present;
} rmsprop_constants;

VECTORISED static void rmsprop_block(const void *constants, const float *restrict weights,
                                     float *restrict values, float *restrict squares, float *restrict slot1,
                                     size_t count)
{
    const rmsprop_constants c = *(const rmsprop_constants *)constants;
    (void)slot1;
    for (size_t i = 0; i < count; i++) {
        squares[i] = c.past * squares[i] + c.present * (values[i] * values[i]);
        values[i] = weights[i] - c.rate * values[i] / (sqrtf(squares[i]) + c.epsilon);
    }
}

static bool rmsprop_apply(const optimizer_config *config, const optimizer_step *step)
{
    const rmsprop_constants c = {.rate = step->learning_rate,
                                 .epsilon = (float)config->epsilon,
                                 .past = (float)config->decay,
                                 .present = (float)(1 - config->decay)};
    return run(config, step, config->weight_decay, rmsprop_block, &c);
}

/* ---------------------------------------------------------------- adam, adamw */

typedef struct {
    float past1, present1, past2, present2;
    float rate;   /* learning rate over the first moment's bias correction */
    float spread; /* one over the root of the second moment's bias correction */
    float epsilon;
    float keep; /* adamw: what is left of a weight after its decay */
} adam_constants;

VECTORISED static void adam_block(const void *constants, const float *restrict weights,
                                  float *restrict values, float *restrict moment1, float *restrict moment2,
                                  size_t count)
{
    const adam_constants c = *(const adam_constants *)constants;
    for (size_t i = 0; i < count; i++) {
        moment1[i] = c.past1 * moment1[i] + c.present1 * values[i];
        moment2[i] = c.past2 * moment2[i] + c.present2 * (values[i] * values[i]);
        values[i] = c.keep * weights[i] - c.rate * moment1[i] / (sqrtf(moment2[i]) * c.spread + c.epsilon);
    }
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

static adam_constants adam_prepare(const optimizer_config *config, const optimizer_step *step)
{
    return (adam_constants){
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
    const adam_constants c = adam_prepare(config, step);
    return run(config, step, config->weight_decay, adam_block, &c);
}

static bool adamw_apply(const optimizer_config *config, const optimizer_step *step)
{
    adam_constants c = adam_prepare(config, step);
    c.keep = (float)(1 - (double)step->learning_rate * config->weight_decay);
    return run(config, step, 0, adam_block, &c);
}

/* ---------------------------------------------------------------- ftrl */

typedef struct {
    float rate, power;
    float threshold; /* rate * l1 */
    float ridge;     /* rate * 2 l2 */
} ftrl_constants;

/* One element: `before` and `after` are the accumulator to the power, around this step. */
static inline float ftrl_solve(const ftrl_constants *c, float weight, float gradient, float before,
                               float after, float *linear)
{
    float z = *linear + c->rate * gradient - (after - before) * weight;
    /* sign(z) threshold - z where |z| exceeds it, else 0. */
    float low = z < -c->threshold ? -c->threshold : z;
    float clamped = c->threshold < low ? c->threshold : low;
    float solution = (clamped - z) / (after + c->ridge);
    *linear = z;
    /* Without any curvature there is nothing to solve: no gradient has been seen. */
    return after > 0 ? solution : weight;
}

VECTORISED static void ftrl_root_block(const void *constants, const float *restrict weights,
                                       float *restrict values, float *restrict squares,
                                       float *restrict linear, size_t count)
{
    const ftrl_constants c = *(const ftrl_constants *)constants;
    for (size_t i = 0; i < count; i++) {
        float sum = squares[i] + values[i] * values[i];
        values[i] = ftrl_solve(&c, weights[i], values[i], sqrtf(squares[i]), sqrtf(sum), &linear[i]);
        squares[i] = sum;
    }
}

static void ftrl_power_block(const void *constants, const float *restrict weights, float *restrict values,
                             float *restrict squares, float *restrict linear, size_t count)
{
    const ftrl_constants c = *(const ftrl_constants *)constants;
    for (size_t i = 0; i < count; i++) {
        float sum = squares[i] + values[i] * values[i];
        values[i] =
            ftrl_solve(&c, weights[i], values[i], powf(squares[i], c.power), powf(sum, c.power), &linear[i]);
        squares[i] = sum;
    }
}

static bool is_ftrl_root(const optimizer_config *config)
{
    return config->learning_rate_power == -0.5;
}

static bool ftrl_apply(const optimizer_config *config, const optimizer_step *step)
{
    const ftrl_constants c = {.rate = step->learning_rate,
                              .power = (float)-config->learning_rate_power,
                              .threshold = (float)((double)step->learning_rate * config->l1),
                              .ridge = (float)((double)step->learning_rate * 2 * config->l2)};
    return run(config, step, config->weight_decay, is_ftrl_root(config) ? ftrl_root_block : ftrl_power_block,
               &c);
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
