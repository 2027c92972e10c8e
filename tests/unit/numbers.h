/* numbers.h - repeatable random inputs for tests of arithmetic. */
#ifndef PENSTOCK_TESTS_NUMBERS_H
#define PENSTOCK_TESTS_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

/* A linear congruential generator (Knuth's MMIX); start it from any value. */
typedef struct {
    uint64_t state;
} numbers;

static inline uint32_t numbers_word(numbers *n)
{
    n->state = n->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(n->state >> 32);
}

/* In [least, most]. */
static inline uint32_t numbers_between(numbers *n, uint32_t least, uint32_t most)
{
    return least + numbers_word(n) % (most - least + 1);
}

/* In [-limit, limit). */
static inline float numbers_float(numbers *n, float limit)
{
    return ((float)(numbers_word(n) >> 8) * 0x1p-23f - 1.0f) * limit;
}

static inline void numbers_fill(numbers *n, float limit, float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = numbers_float(n, limit);
}

#endif
