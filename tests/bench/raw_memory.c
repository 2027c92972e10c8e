/* raw_memory.c - see raw_memory.h. */
#include "tests/bench/raw_memory.h"

#include "common/vectorise.h"

VECTORISED void raw_axpy(float *restrict w, const float *restrict g, float rate, size_t count)
{
    for (size_t i = 0; i < count; i++)
        w[i] -= rate * g[i];
}

VECTORISED void raw_triad(float *restrict to, const float *restrict b, const float *restrict c, float factor,
                          size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = b[i] + factor * c[i];
}

VECTORISED static void one_slot(float *restrict w, float *restrict a, const float *restrict g, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        a[i] = 0.5f * a[i] + g[i];
        w[i] -= 0.001f * g[i];
    }
}

VECTORISED static void two_slots(float *restrict w, float *restrict a, float *restrict b,
                                 const float *restrict g, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        a[i] = 0.5f * a[i] + g[i];
        b[i] = 0.5f * b[i] + g[i];
        w[i] -= 0.001f * g[i];
    }
}

VECTORISED static void four_gradients(float *restrict w, const float *restrict g0, const float *restrict g1,
                                      const float *restrict g2, const float *restrict g3, size_t count)
{
    for (size_t i = 0; i < count; i++)
        w[i] -= 0.001f * g0[i] + 0.001f * g1[i] + 0.001f * g2[i] + 0.001f * g3[i];
}

void raw_update_streams(const raw_streams *s, unsigned slots, unsigned gradients)
{
    const float *const *g = s->gradients;
    if (gradients == 4)
        four_gradients(s->weights, g[0], g[1], g[2], g[3], s->count);
    else if (slots == 0)
        raw_axpy(s->weights, g[0], 0.001f, s->count);
    else if (slots == 1)
        one_slot(s->weights, s->slots[0], g[0], s->count);
    else
        two_slots(s->weights, s->slots[0], s->slots[1], g[0], s->count);
}
