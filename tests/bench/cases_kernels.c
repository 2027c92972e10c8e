/* cases_kernels.c - how near to the speed of memory do updates run, and the checks of a gradient?
 *
 * Floors: a plain loop over as many streams, read and written alike, on the same arrays in the same process.
 */
#include <stdio.h>

#include "tests/bench/cases.h"
#include "tests/bench/loops.h"

/* Measures a loop beside its floor; the ratio is of bytes per second. False if that failed. */
static bool kernel(const bench_options *o, results *r, const stage *s, const char *name, const char *where,
                   uint64_t count, uint32_t variant, uint32_t floor_variant, result_row *row)
{
    comparison c;
    ps_error error;
    char title[RESULTS_NAME_MAX];
    snprintf(title, sizeof title, "%s, %s", name, where);
    *row = row_make(title, count * sizeof(float), "GB/s");
    contender one = stage_contender(s, variant), other = stage_contender(s, floor_variant);
    if (turns_take(o, 0.3, &one, &other, &c, &error) != PS_OK) {
        results_fail(r, title, &error);
        return false;
    }
    row_take_rates(row, &c, 1e-9 * loop_bytes(variant, count), true, false);
    row->cpu_penstock = NAN; /* one thread that never waits */
    row->floor = c.floor.rate * 1e-9 * loop_bytes(floor_variant, count);
    row->ratio = c.ratio.rate * loop_bytes(variant, count) / loop_bytes(floor_variant, count);
    row->wanted = 0.95;
    results_add(r, row);
    return true;
}

/* Seconds per byte of parameters of a row that touches `streams` as many. */
static double seconds_per_byte(const result_row *row, double streams)
{
    return streams / (row->penstock * 1e9);
}

static void kernels(const bench_options *o, results *r, const char *where, uint64_t count)
{
    stage s;
    ps_error error;
    result_row row, sgd = row_make("", 0, "");
    if (loops_open(o, count, &s, &error) != PS_OK) {
        results_fail(r, where, &error);
        return;
    }
    for (int kind = OPTIMIZER_SGD; kind <= OPTIMIZER_FTRL; kind++) {
        const optimizer_config config = {.kind = (optimizer_kind)kind};
        kernel(o, r, &s, optimizer_kind_name((optimizer_kind)kind), where, count,
               LOOP_OPTIMIZER + (uint32_t)kind, LOOP_STREAMS_0 + optimizer_slots(&config), &row);
        if (kind == OPTIMIZER_SGD)
            sgd = row;
    }
    bool reduced =
        kernel(o, r, &s, "sgd, 4 gradients", where, count, LOOP_SGD_GRADIENTS, LOOP_STREAMS_GRADIENTS, &row);
    if (count == LOOP_MEMORY_COUNT && reduced) {
        double one = seconds_per_byte(&sgd, 3), four = seconds_per_byte(&row, 2 + LOOP_GRADIENTS_MAX);
        r->constants.update_bytes_per_s = 1 / one;
        r->constants.reduce_s_per_byte = (four - one) / (LOOP_GRADIENTS_MAX - 1);
    }
    if (kernel(o, r, &s, "gradient_is_finite", where, count, LOOP_FINITE, LOOP_READ, &row) &&
        count == LOOP_MEMORY_COUNT)
        r->constants.judge_s_per_byte = seconds_per_byte(&row, 1);
    kernel(o, r, &s, "gradient_norm_squared", where, count, LOOP_NORM, LOOP_READ, &row);
    stage_end(&s);
}

void cases_kernels(const bench_options *o, results *r)
{
    kernels(o, r, "memory", LOOP_MEMORY_COUNT);
    kernels(o, r, "cache", LOOP_CACHED_COUNT);
}
