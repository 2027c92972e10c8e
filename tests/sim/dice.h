/* dice.h - the simulator's chance: a stream of numbers that a seed determines. */
#ifndef PENSTOCK_TESTS_SIM_DICE_H
#define PENSTOCK_TESTS_SIM_DICE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/random.h"

typedef struct {
    uint64_t key, rolls;
} dice;

/* Dice of different purposes do not disturb each other: one may roll more often and the others still show the
 * same. */
static inline dice dice_for(uint64_t seed, const char *purpose, uint64_t number)
{
    return (dice){.key = random_key(seed, purpose, number)};
}

/* In [least, most]. */
static inline uint64_t dice_between(dice *d, uint64_t least, uint64_t most)
{
    return least + random_at(d->key, d->rolls++) % (most - least + 1);
}

static inline bool dice_chance(dice *d, uint32_t per_mille)
{
    return dice_between(d, 0, 999) < per_mille;
}

#endif
