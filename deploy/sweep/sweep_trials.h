/* sweep_trials.h - which values does each trial of a sweep try?
 *
 * A pure function of space and seed, known before the first trial begins. No two trials are the same. */
#ifndef PENSTOCK_DEPLOY_SWEEP_TRIALS_H
#define PENSTOCK_DEPLOY_SWEEP_TRIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"
#include "deploy/sweep/sweep_space.h"

enum {
    SWEEP_ARGUMENT_BYTES = SWEEP_NAME_BYTES + SWEEP_VALUE_BYTES + 4,
    SWEEP_DESCRIPTION_BYTES = 1024, /* of the values of a trial; what is longer is cut */
};

typedef struct {
    char text[SWEEP_VALUE_BYTES];
} sweep_value;

typedef struct {
    const sweep_space *space; /* borrowed */
    size_t count;
    sweep_value *values; /* (count, parameters of the space) */
} sweep_trials;

/* A grid: every combination, the last option changing fastest; PS_ECONFIG if they are more than the space's
 * `trials`, or SWEEP_TRIALS_MAX. Random: values drawn from `seed`, fewer than `trials` if the space has no
 * more. An option's value in a draw depends on its name, its values and the seed alone. PS_ENOMEM.
 * sweep_trials_fini is due, also after a failure. */
ps_status sweep_trials_make(const sweep_space *space, uint64_t seed, sweep_trials *trials, ps_error *error);

void sweep_trials_fini(sweep_trials *trials);

/* The values of one trial, in the order of the parameters. */
const sweep_value *sweep_trials_values(const sweep_trials *trials, size_t trial);

/* "--batch-size=50"; false if there is nothing to give: a flag that is off. */
bool sweep_argument(const sweep_parameter *p, const char *value, char text[SWEEP_ARGUMENT_BYTES]);

/* How many different values it has; 0: any number of them. */
uint64_t sweep_parameter_count(const sweep_parameter *p);

/* Value number `index` of sweep_parameter_count. */
void sweep_parameter_value(const sweep_parameter *p, uint64_t index, char text[SWEEP_VALUE_BYTES]);

/* "learning-rate 0.01, batch-size 50" */
void sweep_values_describe(const sweep_space *space, const sweep_value *values, char *text, size_t bytes);

#endif
