/* evaluation.h - loss and accuracy of given weights on a whole data set. */
#ifndef PENSTOCK_WORKER_EVALUATION_H
#define PENSTOCK_WORKER_EVALUATION_H

#include <stdint.h>

#include "common/status.h"
#include "worker/dataset.h"
#include "worker/mlp.h"

enum { EVALUATION_BATCH = 500 }; /* rows the model must have room for */

typedef struct {
    double loss;     /* mean over the rows */
    double accuracy; /* share of rows whose largest logit is the label */
} evaluation;

/* PS_ENOMEM, or what the model fails with. */
ps_status evaluate(mlp *model, const float *weights, const dataset *on, evaluation *result);

#endif
