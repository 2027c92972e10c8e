/* sum.h - a fast sum of many bytes, which the change of any one 32-bit word changes. */
#ifndef PENSTOCK_TESTS_SIM_SUM_H
#define PENSTOCK_TESTS_SIM_SUM_H

#include <stddef.h>
#include <stdint.h>

/* Of 32-bit words, in lanes that a processor can do side by side; what is left of a word does not count.
 * `before`: the sum of what comes before them, or 0. */
static inline uint64_t sum_of_words(uint64_t before, const void *bytes, size_t size)
{
    enum { LANES = 8 };
    const uint32_t *words = bytes;
    const size_t count = size / sizeof *words;
    uint64_t sums[LANES] = {before};
    size_t k = 0;
    for (; k + LANES <= count; k += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            sums[lane] = sums[lane] * 31 + words[k + lane];
    for (; k < count; k++)
        sums[0] = sums[0] * 31 + words[k];
    for (size_t lane = 1; lane < LANES; lane++)
        sums[0] = sums[0] * 37 + sums[lane];
    return sums[0];
}

#endif
