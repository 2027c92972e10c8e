/* sweep_trials.c - see sweep_trials.h. */
#include "deploy/sweep/sweep_trials.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/random.h"
#include "deploy/number_text.h"

/* A range of whole steps ends where it should, whatever the last bits of its numbers. */
#define STEP_TOLERANCE 1e-9

enum { REPEATS_MAX = 1000 /* draws in a row that bring nothing new: the space has no more */ };

/* ---- values ---------------------------------------------------------------------------------------- */

uint64_t sweep_parameter_count(const sweep_parameter *p)
{
    if (p->range == RANGE_CHOICE)
        return p->choice_count;
    if (p->points > 0)
        return p->points;
    return p->step > 0 ? (uint64_t)floor((p->high - p->low) / p->step + STEP_TOLERANCE) + 1 : 0;
}

/* What six digits make of a number may lie outside of the range. */
static void range_text(const sweep_parameter *p, double number, char text[SWEEP_VALUE_BYTES])
{
    if (p->range == RANGE_INT || p->range == RANGE_LOG_INT) {
        number_text(fmin(fmax(round(number), p->low), p->high), text);
        return;
    }
    snprintf(text, SWEEP_VALUE_BYTES, "%.6g", number);
    number_text(fmin(fmax(strtod(text, NULL), p->low), p->high), text);
}

/* `share` of the way from low to high, 0 to 1. */
static double between(const sweep_parameter *p, double share)
{
    if (p->range == RANGE_LOG_INT || p->range == RANGE_LOG_UNIFORM)
        return exp(log(p->low) + share * (log(p->high) - log(p->low)));
    return p->low + share * (p->high - p->low);
}

void sweep_parameter_value(const sweep_parameter *p, uint64_t index, char text[SWEEP_VALUE_BYTES])
{
    if (p->range == RANGE_CHOICE)
        snprintf(text, SWEEP_VALUE_BYTES, "%s", p->choices[index]);
    else if (p->points > 0)
        range_text(p, between(p, (double)index / (p->points - 1)), text);
    else
        range_text(p, p->low + (double)index * p->step, text);
}

static void draw_value(const sweep_parameter *p, uint64_t seed, uint64_t draw, char text[SWEEP_VALUE_BYTES])
{
    const uint64_t key = random_key(random_key(seed, p->of_run ? "sweep of runs" : "sweep", 0), p->name, 0);
    const double share = (double)(random_at(key, draw) >> 11) * 0x1p-53; /* in [0, 1) */
    const uint64_t count = sweep_parameter_count(p);
    if (count > 0)
        sweep_parameter_value(p, (uint64_t)(share * (double)count), text);
    else
        range_text(p, between(p, share), text);
}

/* ---- the list -------------------------------------------------------------------------------------- */

static sweep_value *row(const sweep_trials *t, size_t trial)
{
    return t->values + trial * t->space->parameter_count;
}

/* Keeps the row behind the last, unless it is there already. */
static bool keep_row(sweep_trials *t)
{
    const size_t parameters = t->space->parameter_count;
    for (size_t i = 0; i < t->count; i++) {
        size_t same = 0;
        while (same < parameters && strcmp(row(t, i)[same].text, row(t, t->count)[same].text) == 0)
            same++;
        if (same == parameters)
            return false;
    }
    t->count++;
    return true;
}

/* All combinations; SWEEP_TRIALS_MAX + 1 if they are more than that. */
static uint64_t combinations(const sweep_space *space)
{
    uint64_t product = 1;
    for (size_t i = 0; i < space->parameter_count; i++) {
        const uint64_t count = sweep_parameter_count(&space->parameters[i]);
        if (count > SWEEP_TRIALS_MAX / product)
            return SWEEP_TRIALS_MAX + 1;
        product *= count;
    }
    return product;
}

static void fill_grid(sweep_trials *t, uint64_t count)
{
    const sweep_space *space = t->space;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t rest = i;
        for (size_t p = space->parameter_count; p-- > 0;) {
            const uint64_t values = sweep_parameter_count(&space->parameters[p]);
            sweep_parameter_value(&space->parameters[p], rest % values, row(t, t->count)[p].text);
            rest /= values;
        }
        keep_row(t); /* points of log_int may fall together */
    }
}

static void fill_at_random(sweep_trials *t, uint64_t seed)
{
    const sweep_space *space = t->space;
    unsigned repeats = 0;
    for (uint64_t draw = 0; t->count < space->trials && repeats < REPEATS_MAX; draw++) {
        for (size_t p = 0; p < space->parameter_count; p++)
            draw_value(&space->parameters[p], seed, draw, row(t, t->count)[p].text);
        repeats = keep_row(t) ? 0 : repeats + 1;
    }
}

ps_status sweep_trials_make(const sweep_space *space, uint64_t seed, sweep_trials *t, ps_error *error)
{
    *t = (sweep_trials){.space = space};
    uint64_t count = space->trials;
    if (space->method == SWEEP_GRID) {
        const uint32_t limit = space->trials > 0 ? space->trials : SWEEP_TRIALS_MAX;
        count = combinations(space);
        if (count > SWEEP_TRIALS_MAX)
            return ps_fail(error, PS_ECONFIG, "the grid has more than %d trials; random tries some of them",
                           SWEEP_TRIALS_MAX);
        if (count > limit)
            return ps_fail(error, PS_ECONFIG,
                           "the grid has %" PRIu64 " trials, but no more than %" PRIu32
                           " are wanted; random tries some of them",
                           count, limit);
    }
    t->values = calloc((size_t)count * space->parameter_count, sizeof *t->values);
    if (!t->values)
        return ps_fail(error, PS_ENOMEM, "out of memory for a list of trials");
    if (space->method == SWEEP_GRID)
        fill_grid(t, count);
    else
        fill_at_random(t, seed);
    return PS_OK;
}

void sweep_trials_fini(sweep_trials *t)
{
    free(t->values);
    *t = (sweep_trials){0};
}

const sweep_value *sweep_trials_values(const sweep_trials *t, size_t trial)
{
    return row(t, trial);
}

bool sweep_argument(const sweep_parameter *p, const char *value, char text[SWEEP_ARGUMENT_BYTES])
{
    if (p->flag) {
        snprintf(text, SWEEP_ARGUMENT_BYTES, "--%s", p->name);
        return strcmp(value, "true") == 0;
    }
    snprintf(text, SWEEP_ARGUMENT_BYTES, "--%s=%s", p->name, value);
    return true;
}

void sweep_values_describe(const sweep_space *space, const sweep_value *values, char *text, size_t bytes)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t p = 0; p < space->parameter_count && used < bytes; p++)
        used += (size_t)snprintf(text + used, bytes - used, "%s%s %s", used > 0 ? ", " : "",
                                 space->parameters[p].name, values[p].text);
}
