/* sampler.c - see sampler.h. */
#include "worker/sampler.h"

#include <assert.h>

#include "common/random.h"

ps_status sampler_check(const sampler *s, ps_error *error)
{
    if (s->rows == 0)
        return ps_fail(error, PS_EINVAL, "the training set has no rows; check the data folder");
    if (s->workers == 0)
        return ps_fail(error, PS_EINVAL, "0 workers cannot share a training set; there must be at least 1");
    if (s->batch == 0)
        return ps_fail(error, PS_EINVAL, "the batch size is 0; it must be at least 1");
    return PS_OK;
}

/* Rows of a step over all workers. Two 32-bit factors: no overflow. */
static uint64_t global_batch(const sampler *s)
{
    return (uint64_t)s->workers * s->batch;
}

uint64_t sampler_steps_per_epoch(const sampler *s)
{
    uint64_t batch = global_batch(s);
    return s->rows / batch + (s->rows % batch != 0);
}

uint32_t sampler_rows(const sampler *s, uint64_t step, uint32_t rank, uint64_t *rows)
{
    assert(step >= 1 && rank < s->workers);
    uint64_t steps = sampler_steps_per_epoch(s);
    uint64_t epoch = (step - 1) / steps;
    uint64_t step_start = (step - 1) % steps * global_batch(s);
    /* Compared as distances: a sum of positions could overflow where `rows` is near 2^64. */
    uint64_t left = s->rows - step_start;
    uint64_t before = (uint64_t)rank * s->batch;
    if (before >= left)
        return 0;
    left -= before;
    uint32_t count = left < s->batch ? (uint32_t)left : s->batch;
    for (uint32_t i = 0; i < count; i++)
        rows[i] = random_shuffle(s->seed, epoch, s->rows, step_start + before + i);
    return count;
}
