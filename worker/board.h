/* board.h - what TensorBoard is shown of a training: which values, under which tags, when.
 *
 *   loss/train, accuracy/train     of the rows that the chief computed since the point before
 *   loss/test, accuracy/test       of the model as it is, at each evaluation
 *   learning_rate                  of the step
 *   examples_per_second            of all workers
 *   weights/T, gradients/T         how they are spread, for each tensor T, at each evaluation; the gradient
 *                                  is the chief's own, of its last batch
 *   options, model                 texts: all that describes the run
 *
 * Steps are the chief's own. Written by the chief alone. All calls do nothing on NULL, which is no board;
 * none fails (worker/event_file.h). Nothing here is called within a step. */
#ifndef PENSTOCK_WORKER_BOARD_H
#define PENSTOCK_WORKER_BOARD_H

#include "common/job.h"
#include "worker/evaluation.h"
#include "worker/mlp.h"
#include "worker/options.h"

typedef struct board board;

/* What it is about; all of it is borrowed and outlives the board. */
typedef struct {
    const worker_options *options; /* logdir: the folder */
    const job_config *job;         /* with its tensors */
    const mlp_config *model;
} board_subject;

/* PS_EIO, PS_ELIMIT, PS_ENOMEM, as event_file_open. */
ps_status board_open(const board_subject *subject, board **out, ps_error *error);

/* Training goes on after `step`: at the start, and whenever it has gone back. What was shown of later steps
 * is void, also what another process has shown in this folder before. */
void board_begin(board *b, uint64_t step);

typedef struct {
    double loss, accuracy; /* means over the rows */
    double examples_per_s;
} board_training;

void board_show_training(board *b, uint64_t step, const board_training *now);

/* weights, gradients: flat, laid out by the job's tensors. */
void board_show_evaluation(board *b, uint64_t step, const evaluation *found, const float *weights,
                           const float *gradients);

/* Writes what is left; nulls. */
void board_close(board **b);

#endif
