/* optimizer_kernels.c - see optimizer_kernels.h. One function per optimizer says what happens to one element;
 * a macro makes the loops of it. Contraction to FMA is off in CMakeLists.txt. */
#include "ps/optimizer_kernels.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "common/vectorise.h"

/* ---- one element: its next weight, from its weight and its gradient; slots are updated in place ---- */

#define ELEMENT static inline __attribute__((always_inline)) float

ELEMENT sgd(const kernel_constants *c, float weight, float gradient, float *slot0, float *slot1, size_t i)
{
    (void)slot0, (void)slot1, (void)i;
    return weight - c->rate * gradient;
}

ELEMENT momentum(const kernel_constants *c, float weight, float gradient, float *velocity, float *slot1,
                 size_t i)
{
    (void)slot1;
    velocity[i] = c->momentum * velocity[i] + gradient;
    return weight - c->rate * velocity[i];
}

ELEMENT nesterov(const kernel_constants *c, float weight, float gradient, float *velocity, float *slot1,
                 size_t i)
{
    (void)slot1;
    velocity[i] = c->momentum * velocity[i] + gradient;
    return weight - c->rate * (gradient + c->momentum * velocity[i]);
}

ELEMENT adagrad(const kernel_constants *c, float weight, float gradient, float *squares, float *slot1,
                size_t i)
{
    (void)slot1;
    squares[i] += gradient * gradient;
    return weight - c->rate * gradient / (sqrtf(squares[i]) + c->epsilon);
}

ELEMENT rmsprop(const kernel_constants *c, float weight, float gradient, float *squares, float *slot1,
                size_t i)
{
    (void)slot1;
    squares[i] = c->past1 * squares[i] + c->present1 * (gradient * gradient);
    return weight - c->rate * gradient / (sqrtf(squares[i]) + c->epsilon);
}

ELEMENT adam(const kernel_constants *c, float weight, float gradient, float *moment1, float *moment2,
             size_t i)
{
    moment1[i] = c->past1 * moment1[i] + c->present1 * gradient;
    moment2[i] = c->past2 * moment2[i] + c->present2 * (gradient * gradient);
    return c->keep * weight - c->rate * moment1[i] / (sqrtf(moment2[i]) * c->spread + c->epsilon);
}

/* `before` and `after` are the sum of squares to the power, around this step. */
ELEMENT ftrl_solve(const kernel_constants *c, float weight, float gradient, float before, float after,
                   float *linear)
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

ELEMENT ftrl_root(const kernel_constants *c, float weight, float gradient, float *squares, float *linear,
                  size_t i)
{
    float sum = squares[i] + gradient * gradient;
    float next = ftrl_solve(c, weight, gradient, sqrtf(squares[i]), sqrtf(sum), &linear[i]);
    squares[i] = sum;
    return next;
}

ELEMENT ftrl_power(const kernel_constants *c, float weight, float gradient, float *squares, float *linear,
                   size_t i)
{
    float sum = squares[i] + gradient * gradient;
    float next = ftrl_solve(c, weight, gradient, powf(squares[i], c->power), powf(sum, c->power), &linear[i]);
    squares[i] = sum;
    return next;
}

/* ---- updates ---- */

enum {
    STRIP = 128,               /* elements that are worked on while as many are fetched */
    AHEAD = 512,               /* elements from the ones to the others */
    CACHED_MAX = 64 << 10,     /* elements of a block that a cache mostly holds anyway */
    LINE = 64 / sizeof(float), /* elements in a line of the cache */
};

#define INLINED static inline __attribute__((always_inline))

/* Of one stream, or none. Beyond its end there may be nothing to fetch, which is no fault. Inlined, or gcc 12
 * takes it for a function that does nothing. */
INLINED void fetch(const float *stream, size_t first)
{
    for (size_t i = 0; stream && i < STRIP; i += LINE)
        __builtin_prefetch(stream + first + i);
}

/* A processor looks ahead by itself, but divisions and roots fill up the window in which it does, and of a
 * stream that is only written it waits for each line. */
INLINED void fetch_strip(const kernel_block *b, size_t first)
{
    fetch(b->weights, first);
    if (b->next != b->weights)
        fetch(b->next, first);
    for (int k = 0; k < OPTIMIZER_SLOTS_MAX; k++)
        fetch(b->slots[k], first);
    for (int g = 0; g < KERNEL_GRADIENTS_MAX; g++)
        fetch(b->gradients[g], first);
}

/* Names of what a block holds. No stream overlaps another but next and weights, which may be the same: so
 * they cannot be `restrict`, and the loop has to say that its iterations are independent. */
#define STREAMS(b)                                                                            \
    const float *restrict g0 = (b)->gradients[0], *restrict g1 = (b)->gradients[1],           \
                          *restrict g2 = (b)->gradients[2], *restrict g3 = (b)->gradients[3]; \
    const float share0 = (b)->shares[0], share1 = (b)->shares[1], share2 = (b)->shares[2],    \
                share3 = (b)->shares[3];                                                      \
    float *next = (b)->next;                                                                  \
    (void)g0, (void)g1, (void)g2, (void)g3, (void)share0, (void)share1, (void)share2, (void)share3

#define REDUCE_1 (g0[i] * share0)
#define REDUCE_2 (REDUCE_1 + g1[i] * share1)
#define REDUCE_3 (REDUCE_2 + g2[i] * share2)
#define REDUCE_4 (REDUCE_3 + g3[i] * share3)

/* Of elements [first, end); no bit is 0 if all were finite. A long block is gone through in strips. */
#define UPDATE_LOOP(element, suffix, reduced, guarded)                                           \
    INLINED uint32_t element##_##suffix##_range(const kernel_block *b, size_t first, size_t end) \
    {                                                                                            \
        STREAMS(b);                                                                              \
        const kernel_constants c = *b->constants;                                                \
        const float *weights = b->weights;                                                       \
        float *restrict slot0 = b->slots[0], *restrict slot1 = b->slots[1];                      \
        uint32_t all_finite = UINT32_MAX;                                                        \
        INDEPENDENT_ITERATIONS                                                                   \
        for (size_t i = first; i < end; i++) {                                                   \
            float gradient = reduced;                                                            \
            if (guarded) {                                                                       \
                uint32_t finite = fabsf(gradient) <= FLT_MAX ? UINT32_MAX : 0;                   \
                gradient = finite ? gradient : 0;                                                \
                all_finite &= finite;                                                            \
            }                                                                                    \
            next[i] = element(&c, weights[i], gradient, slot0, slot1, i);                        \
        }                                                                                        \
        return all_finite;                                                                       \
    }                                                                                            \
    VECTORISED static bool element##_##suffix(const kernel_block *b)                             \
    {                                                                                            \
        uint32_t all_finite = UINT32_MAX;                                                        \
        size_t first = 0;                                                                        \
        for (; b->count > CACHED_MAX && first + STRIP <= b->count; first += STRIP) {             \
            fetch_strip(b, first + AHEAD);                                                       \
            all_finite &= element##_##suffix##_range(b, first, first + STRIP);                   \
        }                                                                                        \
        all_finite &= element##_##suffix##_range(b, first, b->count);                            \
        return all_finite != 0;                                                                  \
    }

#define KERNEL_SET(element)                                \
    UPDATE_LOOP(element, ready, g0[i], false)              \
    UPDATE_LOOP(element, 1, REDUCE_1, true)                \
    UPDATE_LOOP(element, 2, REDUCE_2, true)                \
    UPDATE_LOOP(element, 3, REDUCE_3, true)                \
    UPDATE_LOOP(element, 4, REDUCE_4, true)                \
    const kernel_set kernels_##element = {element##_ready, \
                                          {element##_1, element##_2, element##_3, element##_4}};

KERNEL_SET(sgd)
KERNEL_SET(momentum)
KERNEL_SET(nesterov)
KERNEL_SET(adagrad)
KERNEL_SET(rmsprop)
KERNEL_SET(adam)
KERNEL_SET(ftrl_root)
KERNEL_SET(ftrl_power)

/* ---- the parts alone ---- */

#define REDUCE_LOOP(gradients, reduced)                              \
    VECTORISED static bool reduce_##gradients(const kernel_block *b) \
    {                                                                \
        STREAMS(b);                                                  \
        INDEPENDENT_ITERATIONS                                       \
        for (size_t i = 0; i < b->count; i++)                        \
            next[i] = reduced;                                       \
        return true;                                                 \
    }

REDUCE_LOOP(1, REDUCE_1)
REDUCE_LOOP(2, REDUCE_2)
REDUCE_LOOP(3, REDUCE_3)
REDUCE_LOOP(4, REDUCE_4)

kernel *const kernels_reduce[KERNEL_GRADIENTS_MAX] = {reduce_1, reduce_2, reduce_3, reduce_4};

VECTORISED bool kernel_guard(float *values, size_t count)
{
    uint32_t all_finite = UINT32_MAX;
    for (size_t i = 0; i < count; i++) {
        uint32_t finite = fabsf(values[i]) <= FLT_MAX ? UINT32_MAX : 0;
        values[i] = finite ? values[i] : 0;
        all_finite &= finite;
    }
    return all_finite != 0;
}

VECTORISED void kernel_clip(float *values, float limit, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        float below = limit < values[i] ? limit : values[i];
        values[i] = -limit > below ? -limit : below;
    }
}

VECTORISED void kernel_decay(float *restrict values, const float *restrict weights, float decay, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] += weights[i] * decay;
}

#if defined(__SSE2__)

void kernel_stream(float *restrict to, const float *restrict from, size_t count)
{
    size_t i = 0;
    for (; i < count && (uintptr_t)(to + i) % sizeof(__m128) != 0; i++)
        to[i] = from[i];
    for (; i + 4 <= count; i += 4)
        _mm_stream_ps(to + i, _mm_loadu_ps(from + i));
    for (; i < count; i++)
        to[i] = from[i];
}

void kernel_fence(void)
{
    _mm_sfence();
}

#else

void kernel_stream(float *restrict to, const float *restrict from, size_t count)
{
    memcpy(to, from, count * sizeof *to);
}

void kernel_fence(void)
{
}

#endif
