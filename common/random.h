/* random.h - counter-based random numbers: pure functions of (key, counter), no state to carry.
 *
 * Philox4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011. */
#ifndef PENSTOCK_COMMON_RANDOM_H
#define PENSTOCK_COMMON_RANDOM_H

#include <stdint.h>

#include "common/status.h"
#include "common/tensor.h"

/* One block of four words. */
void random_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* A well-mixed 64-bit key for a named stream, e.g. ("shuffle", epoch). */
uint64_t random_key(uint64_t seed, const char *name, uint64_t number);

/* The word at `position` of the stream `key`. */
uint64_t random_at(uint64_t key, uint64_t position);

/* Initial values of elements [first, first + count) of `t`: a function of (seed, name, element index)
 * alone, so it does not matter where a tensor is cut. */
void random_initialize(const tensor *t, uint64_t seed, uint64_t first, uint64_t count, float *out);

/* Where does the sample at `position` of the shuffled epoch come from? For fixed (seed, epoch, n) a
 * permutation of [0, n), computed without a table: a Feistel network over the next power of four,
 * walked until it lands below n (Black and Rogaway 2002). position < n. */
uint64_t random_shuffle(uint64_t seed, uint64_t epoch, uint64_t n, uint64_t position);

#endif
