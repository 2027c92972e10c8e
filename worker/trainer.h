/* trainer.h - what penstock-worker does once it knows who it is: train, or evaluate while others train. */
#ifndef PENSTOCK_WORKER_TRAINER_H
#define PENSTOCK_WORKER_TRAINER_H

#include <signal.h>

#include "common/cluster.h"
#include "common/status.h"
#include "worker/options.h"
#include "worker/performance.h"

/* Joins the job, trains to its end, and as chief evaluates and writes the model. Blocks. Status and one line
 * as all over; PS_EINTERRUPTED once `stop` is set. `shown` looks on, or is NULL. */
ps_status trainer_run(const worker_options *options, const cluster_spec *cluster, performance *shown,
                      const volatile sig_atomic_t *stop, ps_error *error);

/* Joins the job under the index of a worker that is lost, says that this worker leaves, does the steps in
 * which it still takes part, and ends. `incarnation` is of when it was found to be lost (common/clock.h).
 * PS_OK too if the job is at its end; PS_EPEER if the worker is back, which it is as soon as it has joined
 * after that; else as trainer_run. May run beside trainer_run, on another thread. */
ps_status trainer_stand_in(const worker_options *options, const cluster_spec *cluster, uint32_t worker,
                           uint64_t incarnation, const volatile sig_atomic_t *stop, ps_error *error);

/* Joins the job as an evaluator: pulls and tests the model again and again until all workers have finished.
 */
ps_status evaluator_run(const worker_options *options, const cluster_spec *cluster, performance *shown,
                        const volatile sig_atomic_t *stop, ps_error *error);

#endif
