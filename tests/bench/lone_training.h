/* lone_training.h - training without any server: the floor of a cluster.
 *
 * As many independent processes as there are workers, each gathering batches, computing gradients and
 * applying plain SGD to weights of its own, all at once and placed as `penstock run` places its workers. In
 * step, each begins a step when all have ended the one before, as synchronous training demands: what is lost
 * by that alone is no fault of a server's. */
#ifndef PENSTOCK_BENCH_LONE_TRAINING_H
#define PENSTOCK_BENCH_LONE_TRAINING_H

#include "tests/bench/stage.h"

typedef struct {
    const char *data_folder;
    uint32_t batch;
    bool in_step;
    uint32_t workers, servers; /* of the cluster to compare with; only workers are started */
} lone_setup;

/* An operation is a step of one process. Data are loaded when the first order comes. PS_EIO. */
ps_status lone_training_open(const lone_setup *setup, stage *out, ps_error *error);

#endif
