/* sampler.h - which rows of the training set make up a worker's batch at a step?
 *
 * A pure function of (seed, step, rank): a worker that is restarted, or a run that goes back to a
 * checkpoint, draws the same rows again. In each epoch every row is drawn exactly once over all workers.
 * Reading the rows is dataset.h's business. */
#ifndef PENSTOCK_WORKER_SAMPLER_H
#define PENSTOCK_WORKER_SAMPLER_H

#include <stdint.h>

#include "common/status.h"

typedef struct {
    uint64_t seed;
    uint64_t rows;    /* of the training set */
    uint32_t workers; /* the same batch size for each */
    uint32_t batch;   /* rows per worker and step */
} sampler;

/* Every number at least 1, else PS_EINVAL naming the one that is not. */
ps_status sampler_check(const sampler *s, ps_error *error);

/* Of a checked sampler: ceil(rows / (workers * batch)), at least 1. */
uint64_t sampler_steps_per_epoch(const sampler *s);

/* The rows of worker `rank` < workers at `step` (1, 2, ... through the whole run), into `rows` (batch).
 * Returns how many: in the last step of an epoch some workers get fewer than a batch, or none. */
uint32_t sampler_rows(const sampler *s, uint64_t step, uint32_t rank, uint64_t *rows);

#endif
