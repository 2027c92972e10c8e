/* loops.h - passes over arrays in one process: memory's own speed, updates, and plain loops over the same
 * streams as an update. All take turns on the same arrays; their time is the processor's, not the wall's. */
#ifndef PENSTOCK_BENCH_LOOPS_H
#define PENSTOCK_BENCH_LOOPS_H

#include "ps/optimizer.h"
#include "tests/bench/stage.h"

enum {
    LOOP_CACHED_COUNT = 8 << 10, /* elements of an array: 32 KiB, so that all fit a second-level cache */
    LOOP_MEMORY_COUNT = 8 << 20, /* 32 MiB, so that no two fit a last-level cache of a part of a machine */
    LOOP_GRADIENTS_MAX = 4,
};

typedef enum {
    LOOP_COPY,      /* memcpy */
    LOOP_AXPY,      /* w -= rate * g */
    LOOP_TRIAD,     /* a = b + factor * c */
    LOOP_FINITE,    /* gradient_is_finite */
    LOOP_NORM,      /* gradient_norm_squared */
    LOOP_READ,      /* the plain loop beside these two: a sum */
    LOOP_STREAMS_0, /* raw_update_streams with so many slots */
    LOOP_STREAMS_1,
    LOOP_STREAMS_2,
    LOOP_STREAMS_GRADIENTS, /* with LOOP_GRADIENTS_MAX gradients */
    LOOP_SGD_GRADIENTS,     /* optimizer_apply with as many, plain SGD */
    LOOP_OPTIMIZER,         /* + optimizer_kind: optimizer_apply with one gradient */
} loop_variant;

/* Bytes that one operation of the variant touches, with arrays of `count`. */
double loop_bytes(uint32_t variant, uint64_t count);

/* Starts a process with arrays of `count` elements, on the client's processor. PS_EIO. */
ps_status loops_open(const bench_options *options, uint64_t count, stage *out, ps_error *error);

#endif
