/* raw_memory.h - plain loops over arrays, as fast as memory is: what arithmetic is held against.
 *
 * All arrays: (count) f32, disjoint. Compiled for wider vectors as the code that is measured is. */
#ifndef PENSTOCK_BENCH_RAW_MEMORY_H
#define PENSTOCK_BENCH_RAW_MEMORY_H

#include <stddef.h>

/* w -= rate * g: 2 streams read, 1 written. */
void raw_axpy(float *w, const float *g, float rate, size_t count);

/* to = b + factor * c: 2 streams read, 1 written (McCalpin's STREAM). */
void raw_triad(float *to, const float *b, const float *c, float factor, size_t count);

/* The streams of an update with `slots` (0 to 2) and 1 gradient, or none and 4, with one multiplication and
 * one addition for each: what is read is weights, slots and gradients; all but these are written. */
typedef struct {
    float *weights;
    float *slots[2];
    const float *gradients[4];
    size_t count;
} raw_streams;
void raw_update_streams(const raw_streams *s, unsigned slots, unsigned gradients);

#endif
