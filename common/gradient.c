/* gradient.c - see gradient.h. Both loops are written for gcc's vectoriser. */
#include "common/gradient.h"

#include <stddef.h>
#include <string.h>

#include "common/vectorise.h"

enum {
    FINITE_BLOCK = 4096, /* values between two chances to stop */
    FINITE_LANES = 32,
};

/* The exponent of NaN and Inf is all ones: without the sign, one more in the exponent's place carries into
 * the sign bit for them alone. */
static inline uint32_t carry(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (bits & UINT32_C(0x7fffffff)) + UINT32_C(0x00800000);
}

VECTORISED static bool is_block_finite(const float *values, size_t count)
{
    uint32_t carries[FINITE_LANES] = {0};
    size_t whole = count - count % FINITE_LANES;
    for (size_t first = 0; first < whole; first += FINITE_LANES)
        for (size_t lane = 0; lane < FINITE_LANES; lane++)
            carries[lane] |= carry(values[first + lane]);
    for (size_t i = whole; i < count; i++)
        carries[0] |= carry(values[i]);
    uint32_t any = 0;
    for (size_t lane = 0; lane < FINITE_LANES; lane++)
        any |= carries[lane];
    return !(any & UINT32_C(0x80000000));
}

bool gradient_is_finite(const float *values, uint64_t count)
{
    for (uint64_t first = 0; first < count; first += FINITE_BLOCK) {
        uint64_t left = count - first;
        if (!is_block_finite(values + first, left < FINITE_BLOCK ? (size_t)left : FINITE_BLOCK))
            return false;
    }
    return true;
}

static double add_halves(double *sums)
{
    for (size_t width = GRADIENT_LANES / 2; width > 0; width /= 2)
        for (size_t lane = 0; lane < width; lane++)
            sums[lane] += sums[lane + width];
    return sums[0];
}

VECTORISED static double block_norm_squared(const float *values, size_t count)
{
    double sums[GRADIENT_LANES] = {0};
    size_t whole = count - count % GRADIENT_LANES;
    for (size_t first = 0; first < whole; first += GRADIENT_LANES)
        for (size_t lane = 0; lane < GRADIENT_LANES; lane++)
            sums[lane] += (double)values[first + lane] * (double)values[first + lane];
    for (size_t i = whole; i < count; i++)
        sums[i - whole] += (double)values[i] * (double)values[i];
    return add_halves(sums);
}

double gradient_norm_squared(const float *values, uint64_t count)
{
    double sums[GRADIENT_LANES] = {0};
    for (uint64_t first = 0, lane = 0; first < count; first += GRADIENT_BLOCK, lane++) {
        const uint64_t left = count - first;
        sums[lane % GRADIENT_LANES] +=
            block_norm_squared(values + first, left < GRADIENT_BLOCK ? (size_t)left : GRADIENT_BLOCK);
    }
    return add_halves(sums);
}
