/* batcher.h - rows that come one by one, computed many at a time: one product of matrices for all of a batch
 * reads the weights once.
 *
 * Jobs wait in a queue of bounded length. One thread takes as many from its front as fit a batch, computes
 * them together, and tells each. A batch is made of what is there: nobody is waited for, unless `wait_us`
 * says so; while one batch is computed the next gathers by itself. A job is never split, and one that is
 * larger than a batch makes one of its own.
 *
 * Threads: any may submit. `done` is called on the batcher's. */
#ifndef PENSTOCK_WORKER_BATCHER_H
#define PENSTOCK_WORKER_BATCHER_H

#include <stdint.h>
#include <stdio.h>

#include "common/status.h"

typedef struct batcher batcher;

/* Embedded in what the caller keeps of it; the batcher's from batcher_submit until `done` is called. */
typedef struct batch_job {
    const float *features; /* (rows x inputs) */
    uint32_t rows;
    /* logits: (rows x classes), gone after the call; or why there are none. The job may be freed in it. */
    void (*done)(struct batch_job *job, ps_status status, const float *logits);
    /* private */
    struct batch_job *next;
    uint64_t queued_ns;
} batch_job;

typedef struct {
    uint32_t inputs, classes;
    uint32_t rows_max;  /* of a job */
    uint32_t batch_max; /* rows; 1: each job alone */
    uint32_t wait_us;   /* how long the oldest job may wait for others to fill its batch */
    uint32_t queue_max; /* jobs that wait */
    /* Of at most rows_max or batch_max rows, whichever is more. */
    ps_status (*compute)(void *context, const float *features, uint32_t rows, float *logits);
    void *context;
} batcher_config;

/* PS_ENOMEM. */
ps_status batcher_create(const batcher_config *config, batcher **out, ps_error *error);

/* PS_ELIMIT: the queue is full; PS_ESTATE: it is closed. */
ps_status batcher_submit(batcher *b, batch_job *job);

/* Jobs that wait. */
uint32_t batcher_depth(batcher *b);

/* Its metrics as text: rows of batches, seconds of computing, rows in all. */
void batcher_print(const batcher *b, FILE *out);

/* Takes no more jobs, and returns when those that wait are done. Does nothing on NULL. */
void batcher_close(batcher *b);

/* Closes it, and nulls the pointer; does nothing on NULL. Nobody may submit any more. */
void batcher_destroy(batcher **b);

#endif
