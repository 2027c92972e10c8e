/* sampler.h - which rows of the training set make up a worker's batch at a step?
 *
 * A pure function of (seed, members, step, rank): a worker that is restarted, or a run that goes back to a
 * checkpoint, draws the same rows again. In each epoch every row is drawn exactly once over all workers, also
 * where the members change amid it: each step takes the next rows, a batch per member.
 * Reading the rows is dataset.h's business. */
#ifndef PENSTOCK_WORKER_SAMPLER_H
#define PENSTOCK_WORKER_SAMPLER_H

#include <stdint.h>

#include "common/members.h"
#include "common/status.h"

typedef struct {
    uint64_t seed;
    uint64_t rows;               /* of the training set */
    uint32_t workers;            /* the same batch size for each */
    uint32_t batch;              /* rows per worker and step */
    const members_list *members; /* borrowed; NULL: all workers take part in all steps */
} sampler;

/* Every number at least 1, else PS_EINVAL naming the one that is not. */
ps_status sampler_check(const sampler *s, ps_error *error);

/* Of a checked sampler, while all take part: ceil(rows / (workers * batch)), at least 1. */
uint64_t sampler_steps_per_epoch(const sampler *s);

/* The last step of so many epochs, with the members as they are known to be. */
uint64_t sampler_last_step(const sampler *s, uint64_t epochs);

/* How many epochs are over after `step`, and the part that is done of the one begun. */
double sampler_epochs_done(const sampler *s, uint64_t step);

/* The rows of worker `rank` < workers at `step` (1, 2, ... through the whole run), into `rows` (batch).
 * Returns how many: none to one that takes no part in the step; in the last step of an epoch some workers get
 * fewer than a batch, or none. */
uint32_t sampler_rows(const sampler *s, uint64_t step, uint32_t rank, uint64_t *rows);

#endif
