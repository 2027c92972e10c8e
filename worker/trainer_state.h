/* trainer_state.h - a trainer's state, and what its sources share. Private to worker/trainer*.c:
 *
 *   trainer.c       which step is done: joining, going back, members, the end
 *   trainer_step.c  how one step is done: batch -> gradient -> push and pull -> weights */
#ifndef PENSTOCK_WORKER_TRAINER_STATE_H
#define PENSTOCK_WORKER_TRAINER_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/board.h"
#include "worker/evaluation.h"
#include "worker/report.h"
#include "worker/sampler.h"
#include "worker/setup.h"
#include "worker/stand_in.h"

enum { TRAINER_PATH_BYTES = 4096, TRAINER_BATCHES_MAX = 2 };

/* One batch, in the order the sampler drew it. */
typedef struct {
    uint64_t step; /* 0: none gathered */
    uint32_t count;
    uint64_t *rows;
    float *features; /* (count x inputs) */
    uint32_t *labels;
} batch;

typedef struct {
    setup setup;
    const worker_options *options;
    const cluster_spec *cluster;
    uint32_t rank;         /* of the worker that this is, or stands in for */
    uint64_t incarnation;  /* 0: that of when it joins */
    bool chief, evaluates; /* evaluates: also while training */
    bool stands_in;        /* only to do what another has left to do */
    bool shrinks;          /* workers may leave and enter the job */
    stand_in *stand_in;    /* for workers that are lost; the chief's, else NULL */
    report report;
    performance *performance; /* that looks on; NULL: nobody does */
    board *board;             /* the chief's, with --logdir; else NULL */
    sampler sampler;
    uint64_t steps_per_epoch, steps; /* of the whole run */
    uint64_t step;                   /* the last one done */
    uint64_t examples_total;         /* of all workers, at that step */
    /* One is gathered while the device computes on the other; where the host computes there is only one. */
    batch batches[TRAINER_BATCHES_MAX];
    uint32_t batch_count;
    const batch *computed; /* the one of the step under way */
    ps_ticket ticket;      /* of the step that has been pushed, but is not over, while `pending` */
    bool pending;
    ps_error hook_error; /* why a hook of the model failed */
    float *gradients;    /* (parameters) flat */
    float **tensor_gradients;
    uint64_t computes_ns; /* since when it does, for the trace */
    double loss_sum;      /* of the rows since the last report */
    uint64_t loss_rows, correct_rows;
    double step_loss; /* of the rows of the step under way */
    uint32_t step_correct;
    double loss;                   /* mean over the rows of the last report */
    double started, train_seconds; /* started: 0 until it has */
    double report_at;
    uint64_t report_examples; /* examples_total at the last report */
    uint64_t first_examples;  /* examples_total when this process joined */
    uint64_t log_at_ms;
    evaluation evaluation;
    char model_path[TRAINER_PATH_BYTES];
} trainer;

/* Computes and pushes one step, which is pending then; the one before is over. Blocks. PS_EROLLBACK, and what
 * else the model and the client fail with. */
ps_status trainer_step(trainer *t, uint64_t step, ps_error *error);

/* Waits until the step that is pending, if one is, is over: all weights in place, gradients ours again. It
 * may be a later one than was pushed then. */
ps_status trainer_end_step(trainer *t, ps_error *error);

#endif
