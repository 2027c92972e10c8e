/* gradient.c - see gradient.h. Both loops are written for gcc's vectoriser. */
#include "common/gradient.h"

#include <stddef.h>
#include <string.h>

enum {
    FINITE_BLOCK = 4096, /* values between two chances to stop */
    NORM_LANES = 8,
};

/* The exponent of NaN and Inf is all ones: without the sign, one more in the exponent's place carries into
 * the sign bit for them alone. */
static bool is_block_finite(const float *values, size_t count)
{
    uint32_t carries = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        carries |= (bits & UINT32_C(0x7fffffff)) + UINT32_C(0x00800000);
    }
    return !(carries & UINT32_C(0x80000000));
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

double gradient_norm_squared(const float *values, uint64_t count)
{
    double sums[NORM_LANES] = {0};
    uint64_t whole = count - count % NORM_LANES;
    for (uint64_t first = 0; first < whole; first += NORM_LANES)
        for (uint64_t lane = 0; lane < NORM_LANES; lane++)
            sums[lane] += (double)values[first + lane] * (double)values[first + lane];
    for (uint64_t i = whole; i < count; i++)
        sums[i - whole] += (double)values[i] * (double)values[i];
    for (uint64_t width = NORM_LANES / 2; width > 0; width /= 2)
        for (uint64_t lane = 0; lane < width; lane++)
            sums[lane] += sums[lane + width];
    return sums[0];
}
