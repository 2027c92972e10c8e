/* optimizer_slice.h - a slice, its gradients and slots, for tests of what an update makes of them. */
#ifndef PENSTOCK_TESTS_OPTIMIZER_SLICE_H
#define PENSTOCK_TESTS_OPTIMIZER_SLICE_H

#include "ps/optimizer.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

enum { LARGEST = 2600, WORKERS_MAX = 4, STEPS = 100 };

/* Weights stay within some units; rounding to float at each of 100 steps may add up to this. */
static const double TOLERANCE = 3e-5;

static const char *kind_name(const optimizer_config *config)
{
    return optimizer_kind_name(config->kind);
}

typedef struct {
    uint64_t count;
    float weights[LARGEST], next[LARGEST];
    float slots[OPTIMIZER_SLOTS_MAX][LARGEST];
    float gradients[WORKERS_MAX][LARGEST];
} fixture;

/* In [-1, 1): a function of its arguments alone. */
static inline float noise(uint32_t a, uint32_t b, uint64_t i)
{
    uint64_t x = ((uint64_t)a << 40) ^ ((uint64_t)b << 32) ^ (i + 1);
    x = (x ^ x >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 32;
    return (float)((int32_t)(x & 0xffffff) - 0x800000) / (float)0x800000;
}

static inline fixture *fixture_create(const optimizer_config *config, uint64_t count)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->count = count;
    for (uint64_t i = 0; i < count; i++)
        f->weights[i] = noise(0, 0, i);
    for (uint32_t s = 0; s < optimizer_slots(config); s++)
        optimizer_init_slot(config, s, f->weights, f->slots[s], count);
    return f;
}

/* Some elements are rarely used, as in embeddings and after ReLU. */
static inline void fixture_draw_gradients(fixture *f, uint32_t step, uint32_t workers)
{
    for (uint32_t w = 0; w < workers; w++)
        for (uint64_t i = 0; i < f->count; i++)
            f->gradients[w][i] = i % 7 == 3 && step % 10 ? 0 : noise(step, w + 1, i);
}

static inline float value_of(const optimizer_gradient *g, uint64_t i)
{
    return ((const float *)g->values.data)[i];
}

static inline void share_gradients(const fixture *f, uint64_t first, uint32_t workers,
                                   optimizer_gradient *shares)
{
    static const float weights[WORKERS_MAX][WORKERS_MAX] = {
        {1}, {0.625f, 0.375f}, {0.5f, 0.3f, 0.2f}, {0.1f, 0.2f, 0.3f, 0.4f}};
    for (uint32_t w = 0; w < workers; w++)
        shares[w] = (optimizer_gradient){codec_plain(f->gradients[w] + first, f->count - first),
                                         weights[workers - 1][w]};
}

/* Elements [first, first + count), in place or from weights to next. True if all gradients were finite. */
static inline bool apply_range(fixture *f, const optimizer_config *config, uint64_t first, uint64_t count,
                               uint32_t workers, float rate, uint64_t update, bool in_place)
{
    optimizer_gradient shares[WORKERS_MAX];
    share_gradients(f, first, workers, shares);
    optimizer_step step = {.weights = f->weights + first,
                           .next = (in_place ? f->weights : f->next) + first,
                           .gradients = shares,
                           .gradient_count = workers,
                           .count = count,
                           .learning_rate = rate,
                           .update = update};
    for (uint32_t s = 0; s < optimizer_slots(config); s++)
        step.slots[s] = f->slots[s] + first;
    return optimizer_apply(config, &step);
}

static inline bool apply(fixture *f, const optimizer_config *config, uint32_t workers, float rate,
                         uint64_t update)
{
    return apply_range(f, config, 0, f->count, workers, rate, update, true);
}

static inline optimizer_config config_of(optimizer_kind kind)
{
    job_config job;
    job_init(&job);
    job.optimizer.kind = kind;
    return job.optimizer;
}

static inline float rate_at(uint32_t step)
{
    return 0.05f * (step < 10 ? (float)step / 10 : 1 - (float)(step - 10) / 200);
}

static inline void assert_same_bits(const float *a, const float *b, uint64_t count)
{
    assert_memory_equal(a, b, count * sizeof *a);
}

static inline void assert_same_state(const fixture *a, const fixture *b, const optimizer_config *config)
{
    assert_same_bits(a->weights, b->weights, a->count);
    for (uint32_t s = 0; s < optimizer_slots(config); s++)
        assert_same_bits(a->slots[s], b->slots[s], a->count);
}

static inline optimizer_config busy_config(int kind)
{
    optimizer_config config = config_of((optimizer_kind)kind);
    config.weight_decay = 0.01;
    config.clip_value = 0.5;
    config.l1 = 0.1;
    config.l2 = 0.1;
    return config;
}

#endif
