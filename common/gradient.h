/* gradient.h - is a gradient fit to be applied, and how long is it? */
#ifndef PENSTOCK_COMMON_GRADIENT_H
#define PENSTOCK_COMMON_GRADIENT_H

#include <stdbool.h>
#include <stdint.h>

/* True if none of `count` values is NaN or Inf. Stops early at the first block that has one. Looks at bits
 * only, so it does not depend on the thread's floating-point mode. values: (count) f32. */
bool gradient_is_finite(const float *values, uint64_t count);

/* What sums of squares are made of, here and on a device (worker/backend.h). */
enum {
    GRADIENT_BLOCK = 4096,
    GRADIENT_LANES = 32,
};

/* Sum of squares, in double: exact squares, so finite values cannot overflow it, and it is finite if and only
 * if all values are. Its bits are a function of the values and `count` alone: element i of each block of
 * GRADIENT_BLOCK is added, front to back, to partial sum i % GRADIENT_LANES of the block; then the upper half
 * of the sums to the lower half, one by one, until one is left. The sums of blocks are added in the same way:
 * that of block i to partial sum i % GRADIENT_LANES. values: (count) f32. */
double gradient_norm_squared(const float *values, uint64_t count);

#endif
