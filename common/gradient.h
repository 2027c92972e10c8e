/* gradient.h - is a gradient fit to be applied, and how long is it? */
#ifndef PENSTOCK_COMMON_GRADIENT_H
#define PENSTOCK_COMMON_GRADIENT_H

#include <stdbool.h>
#include <stdint.h>

/* True if none of `count` values is NaN or Inf. Stops early at the first block that has one. Looks at bits
 * only, so it does not depend on the thread's floating-point mode. values: (count) f32. */
bool gradient_is_finite(const float *values, uint64_t count);

/* Sum of squares, in double: exact squares, so finite values cannot overflow it. Its bits are a function of
 * the values and `count` alone: element i is added, front to back, to partial sum i % 16; then the upper half
 * of the sums to the lower half, one by one, until one is left. values: (count) f32. */
double gradient_norm_squared(const float *values, uint64_t count);

#endif
