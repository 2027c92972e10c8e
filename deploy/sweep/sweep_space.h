/* sweep_space.h - what a sweep tries: the options and their values, the goal, and when to stop.
 *
 *   {"version": 1,
 *    "method": "random",                       or "grid"
 *    "trials": 20,                             how many at most; a grid need not say
 *    "seed": 1,                                of the values drawn (1)
 *    "goal": {"metric": "accuracy"},           or "loss", of the test set at the end of a run;
 *                                              "direction": "maximize" or "minimize" (as the metric suggests)
 *    "training": {                             options of penstock-worker, without the dashes
 *      "learning-rate": {"log_uniform": [0.001, 0.3]},
 *      "batch-size": {"choice": [50, 100, 200]},
 *      "momentum": {"uniform": [0.8, 0.98], "step": 0.02},
 *      "first-layer-neurons": {"int": [100, 500], "step": 100},
 *      "second-layer-neurons": {"log_int": [16, 256]},
 *      "no-shared-memory": {"choice": [true, false]}},      true: the option is given; false: it is not
 *    "run": {"workers": {"int": [1, 3]}},      options of `penstock run` itself
 *    "early_stopping": {"policy": "median", "grace": 1, "interval": 1, "others": 3},
 *                                              or {"policy": "bandit", "slack": 0.02, ...}: sweep_policy.h
 *    "budget": {"seconds": 600,                of the whole sweep
 *               "failures": 5}}                trials that may fail; one more ends the sweep (5)
 *
 * "points": N gives N values from one end of a range to the other, evenly or, of log_uniform and log_int, by
 * a fixed factor; a grid needs it (or "step") of every range but "int". Numbers in a range are given to runs
 * with six significant digits. A key that is not known is refused.
 *
 * Pure. Which trials come of it is sweep_trials'; whether the options exist, the daemons say. */
#ifndef PENSTOCK_DEPLOY_SWEEP_SPACE_H
#define PENSTOCK_DEPLOY_SWEEP_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"
#include "deploy/sweep/sweep_policy.h"

enum {
    SWEEP_SPACE_BYTES_MAX = 1 << 20,
    SWEEP_PARAMETERS_MAX = 32,
    SWEEP_CHOICES_MAX = 64,
    SWEEP_NAME_BYTES = 64,
    SWEEP_VALUE_BYTES = 128,
    SWEEP_TRIALS_MAX = 1000,
    SWEEP_POINTS_MAX = 1000,
    SWEEP_SECONDS_MAX = 100000000,
    SWEEP_EPOCHS_MAX = 1000000,
};

typedef enum { SWEEP_RANDOM, SWEEP_GRID } sweep_method;

typedef enum { RANGE_CHOICE, RANGE_INT, RANGE_LOG_INT, RANGE_UNIFORM, RANGE_LOG_UNIFORM } sweep_range;

/* One option and the values that it may have. */
typedef struct {
    char name[SWEEP_NAME_BYTES];
    bool of_run; /* of `penstock run`, else of penstock-worker */
    bool flag;   /* takes no value; the choices are "true" and "false" */
    sweep_range range;
    double low, high;
    double step;     /* 0: none given */
    uint32_t points; /* 0: none given */
    size_t choice_count;
    char choices[SWEEP_CHOICES_MAX][SWEEP_VALUE_BYTES];
} sweep_parameter;

typedef struct {
    sweep_method method;
    uint32_t trials; /* 0: as many as the grid has */
    uint64_t seed;
    sweep_goal goal;
    sweep_stopping stopping;
    double seconds; /* 0: no end */
    uint32_t failures;
    size_t parameter_count;
    sweep_parameter parameters[SWEEP_PARAMETERS_MAX];
} sweep_space;

/* Reads a space; `*space` is the caller's to free, and NULL after a failure. PS_EFORMAT and PS_ELIMIT name
 * `source`, the key and the rule; PS_ENOMEM. */
ps_status sweep_space_parse(const char *text, size_t bytes, const char *source, sweep_space **space,
                            ps_error *error);

/* An option that the sweep gives itself, or that makes no run, however much `name` abbreviates it. */
bool sweep_space_reserves(bool of_run, const char *name, size_t length);

#endif
