/* cases_scaling.c - synchronous steps of several workers and ps: how goodput grows with their numbers, and
 * points for a model of the costs of a step.
 *
 * There is no floor: what limits is the processors, which all processes share. */
#include <stdio.h>

#include "tests/bench/cases.h"
#include "tests/bench/driver.h"

enum { MEASURED_STEPS_MIN = 3, WARM_UP_STEPS = 2, SCALING_BYTES = 4 * MIB };

/* Every worker takes the same number of steps, or the others would wait for one that has stopped. The number
 * is found by a first measurement. */
static ps_status measure_steps(const bench_options *o, double share, const stage *s, sample *out,
                               ps_error *error)
{
    actor_order order = {.seconds = o->seconds, .operations = WARM_UP_STEPS};
    sample warm_up;
    comparison c;
    ps_status status = stage_measure(s, &order, &warm_up, error);
    if (status != PS_OK)
        return status;
    contender penstock = stage_contender(s, 0);
    double fitting = o->seconds * share / warm_up.step_s;
    penstock.operations = fitting > MEASURED_STEPS_MIN ? (uint64_t)fitting : MEASURED_STEPS_MIN;
    status = turns_take(o, share, &penstock, NULL, &c, error);
    *out = c.penstock;
    return status;
}

/* Measures the steps of a job; adds a row for goodput in both directions, and a point. */
static void measure(const bench_options *o, results *r, const char *title, const driver_setup *setup)
{
    stage s;
    sample steps;
    ps_error error;
    result_row row = row_make(title, setup->model_bytes, "GB/s");
    ps_status status = driver_open(o, setup, &s, &error);
    if (status == PS_OK)
        status = measure_steps(o, 0.5, &s, &steps, &error);
    row.resident_bytes = (double)driver_resident_bytes(&s);
    row.stored_bytes = (double)driver_stored_bytes(setup);
    stage_end(&s);
    if (status != PS_OK) {
        results_fail(r, title, &error);
        return;
    }
    double gigabytes = 2e-9 * (double)setup->model_bytes;
    row.penstock = gigabytes * setup->workers / steps.step_s;
    row.cpu_penstock = (steps.cpu_s - setup->compute_s) / gigabytes;
    results_add(r, &row);
    results_add_point(r, &(result_point){
                             .shared = setup->share_memory,
                             .servers = setup->servers,
                             .workers = setup->workers,
                             .model_bytes = setup->model_bytes,
                             .slice_bytes = setup->slice_bytes,
                             .compute_s = setup->compute_s,
                             .step_s = steps.step_s,
                         });
}

static driver_setup synchronous(uint32_t servers, uint32_t workers, uint64_t bytes)
{
    return (driver_setup){
        .operation = DRIVER_PUSH_PULL,
        .mode = CONSISTENCY_SYNC,
        .servers = servers,
        .workers = workers,
        .model_bytes = bytes,
        .slice_bytes = JOB_SLICE_BYTES_DEFAULT,
        .outstanding = 1,
    };
}

static void scale(const bench_options *o, results *r, uint64_t bytes, uint32_t workers_max)
{
    char title[RESULTS_NAME_MAX];
    for (uint32_t servers = 1; servers <= 4; servers *= 2) {
        for (uint32_t workers = 1; workers <= workers_max; workers *= 2) {
            driver_setup setup = synchronous(servers, workers, bytes);
            snprintf(title, sizeof title, "scaling, %u ps, %u worker%s", servers, workers,
                     workers > 1 ? "s" : "");
            measure(o, r, title, &setup);
        }
    }
}

void cases_scaling(const bench_options *o, results *r)
{
    scale(o, r, SCALING_BYTES, o->full ? 8 : 4);
    if (o->full) {
        scale(o, r, UINT64_C(64) * MIB, 2);
        driver_setup large = synchronous(1, 1, UINT64_C(1024) * MIB);
        measure(o, r, "scaling, 1 ps, 1 worker", &large);
        large.servers = 2;
        measure(o, r, "scaling, 2 ps, 1 worker", &large);
    }
    r->scaling_count = r->point_count;
}

/* ---- points ---- */

typedef struct {
    uint32_t servers, workers;
    uint64_t model_bytes;
    double compute_s;
    bool shared;
} plan_shape;

static const plan_shape shapes[] = {
    {1, 1, 256 * KIB, 0, false},   {1, 1, MIB, 0, false},         {1, 1, 4 * MIB, 0, false},
    {1, 1, 16 * MIB, 0, false},    {1, 1, 64 * MIB, 0, false},    {1, 1, 4 * MIB, 0.005, false},
    {1, 2, MIB, 0, false},         {1, 2, 4 * MIB, 0.005, false}, {2, 1, 4 * MIB, 0, false},
    {2, 2, 256 * KIB, 0, false},   {2, 2, MIB, 0.002, false},     {2, 2, 16 * MIB, 0, false},
    {2, 2, 16 * MIB, 0.02, false}, {1, 4, MIB, 0, false},         {2, 4, 4 * MIB, 0.005, false},
    {4, 2, 4 * MIB, 0, false},     {1, 1, 256 * KIB, 0, true},    {1, 1, 4 * MIB, 0, true},
    {1, 1, 16 * MIB, 0, true},     {1, 2, 4 * MIB, 0.005, true},  {2, 2, MIB, 0, true},
    {2, 2, 16 * MIB, 0, true},
};

void cases_plan(const bench_options *o, results *r)
{
    char title[RESULTS_NAME_MAX];
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const plan_shape *shape = &shapes[i];
        driver_setup setup = synchronous(shape->servers, shape->workers, shape->model_bytes);
        setup.compute_s = shape->compute_s;
        setup.share_memory = shape->shared;
        snprintf(title, sizeof title, "plan, %u ps, %u worker%s, %g ms, %s", shape->servers, shape->workers,
                 shape->workers > 1 ? "s" : "", shape->compute_s * 1e3, shape->shared ? "shared" : "tcp");
        measure(o, r, title, &setup);
    }
}
