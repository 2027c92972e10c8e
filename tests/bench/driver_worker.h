/* driver_worker.h - a worker without a model: pushes and pulls as it is ordered. */
#ifndef PENSTOCK_BENCH_DRIVER_WORKER_H
#define PENSTOCK_BENCH_DRIVER_WORKER_H

#include "tests/bench/driver.h"

enum { DRIVER_TF_CONFIG_MAX = 4096 };

typedef struct {
    driver_setup setup;
    char tf_config[DRIVER_TF_CONFIG_MAX];
} driver_worker_plan;

/* The job that such workers train. job_fini is due, whatever is returned. PS_ENOMEM, PS_ECONFIG. */
ps_status driver_describe(const driver_setup *setup, job_config *job, ps_error *error);

/* Of an actor; `plan` is a driver_worker_plan. */
void driver_worker_body(int channel, void *plan);

#endif
