/* toy.c - see toy.h. */
#include "tests/sim/toy.h"

#include <math.h>

#include "common/gradient.h"
#include "common/random.h"
#include "tests/sim/dice.h"
#include "tests/unit/numbers.h"

uint64_t toy_offset(const job_config *job, uint32_t number)
{
    uint64_t offset = 0;
    for (uint32_t i = 0; i < number; i++)
        offset += tensor_elements(&job->tensors.tensors[i]);
    return offset;
}

void toy_initial_weights(const job_config *job, float *weights)
{
    for (uint32_t i = 0; i < job->tensors.count; i++) {
        const tensor *t = &job->tensors.tensors[i];
        random_initialize(t, job->seed, 0, tensor_elements(t), weights + toy_offset(job, i));
    }
}

/* With respect to w of stiffness / 2 * (w - centre)^2, and noise on top. */
static void quadratic(const scenario *s, uint64_t elements, uint64_t noise, const float *weights,
                      float *gradient)
{
    numbers of_model = {random_key(s->seed, "model", 0)};
    numbers of_batch = {noise};
    for (uint64_t i = 0; i < elements; i++) {
        float stiffness = 0.5f + numbers_float(&of_model, 0.4f);
        float centre = numbers_float(&of_model, 2.0f);
        gradient[i] = numbers_float(&of_batch, 0.5f);
        if (!s->additive)
            gradient[i] += stiffness * (weights[i] - centre);
    }
}

/* By tensors, as worker/client.c judges a gradient. */
static void judge(const job_config *job, const float *gradient, toy_batch *batch)
{
    double squares = 0, most = job->optimizer.clip_norm;
    for (uint32_t i = 0; i < job->tensors.count; i++) {
        uint64_t count = tensor_elements(&job->tensors.tensors[i]);
        const float *values = gradient + toy_offset(job, i);
        if (!gradient_is_finite(values, count)) {
            batch->nonfinite = true;
            return;
        }
        squares += gradient_norm_squared(values, count);
    }
    if (most > 0 && squares > most * most)
        batch->clip_factor = (float)(most / sqrt(squares));
}

typedef struct {
    uint32_t examples;
    bool nonfinite;
    uint64_t noise; /* key */
    dice dice;      /* for what else is decided by chance */
} rolled_batch;

/* All of it depends on its rows alone. */
static rolled_batch draw_batch(const scenario *s, const members_list *list, uint32_t worker, uint64_t step)
{
    uint64_t rows[SCENARIO_BATCH_MAX], sum = 0;
    const sampler draws = scenario_sampler(s, list);
    rolled_batch b = {.examples = sampler_rows(&draws, step, worker, rows)};
    for (uint32_t i = 0; i < b.examples; i++)
        sum = random_key(sum, "row", rows[i]);
    b.dice = dice_for(s->seed, "batch", sum);
    b.nonfinite = dice_chance(&b.dice, s->nonfinite_per_mille);
    b.noise = random_key(s->seed, "noise", sum);
    return b;
}

static rolled_batch roll_batch(const scenario *s, const members_list *list, uint32_t worker, uint64_t step)
{
    if (s->shrinks)
        return draw_batch(s, list, worker, step);
    rolled_batch b = {.dice = dice_for(s->seed, "batch", (uint64_t)worker << 32 | step)};
    if (step > s->workers[worker].steps || dice_chance(&b.dice, s->empty_per_mille))
        return b;
    b.examples = (uint32_t)dice_between(&b.dice, 1, 100);
    b.nonfinite = dice_chance(&b.dice, s->nonfinite_per_mille);
    b.noise = random_key(s->seed, "noise", (uint64_t)worker << 32 | step);
    return b;
}

uint32_t toy_contribution(const scenario *s, const members_list *list, uint32_t worker, uint64_t step)
{
    const rolled_batch rolled = roll_batch(s, list, worker, step);
    return rolled.nonfinite ? 0 : rolled.examples;
}

void toy_gradient(const scenario *s, const members_list *list, uint32_t worker, uint64_t step,
                  const float *weights, float *gradient, toy_batch *batch)
{
    uint64_t elements = tensor_table_elements(&s->job.tensors);
    rolled_batch rolled = roll_batch(s, list, worker, step);
    *batch = (toy_batch){.examples = rolled.examples, .clip_factor = 1.0f};
    if (rolled.examples == 0)
        return;
    quadratic(s, elements, rolled.noise, weights, gradient);
    if (rolled.nonfinite)
        gradient[dice_between(&rolled.dice, 0, elements - 1)] =
            dice_chance(&rolled.dice, 500) ? NAN : INFINITY;
    judge(&s->job, gradient, batch);
}
