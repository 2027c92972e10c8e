/* inference.h - what a trained model says of inputs: logits, and the probabilities they stand for.
 *
 * Forward only, on a backend whose memory is the host's. How models are trained is mlp.h's. */
#ifndef PENSTOCK_WORKER_INFERENCE_H
#define PENSTOCK_WORKER_INFERENCE_H

#include <stdint.h>

#include "common/status.h"
#include "worker/backend.h"
#include "worker/saved_model.h"

enum { INFERENCE_ROWS = 500 /* of a batch, at most */ };

typedef struct inference inference;

/* Model and backend are borrowed and outlive the result. PS_ENOMEM. */
ps_status inference_create(const saved_model *model, backend *on, inference **out, ps_error *error);
void inference_destroy(inference **i);

/* features: (rows x inputs), logits: (rows x classes). PS_EINVAL for 0 or more than INFERENCE_ROWS rows. */
ps_status inference_logits(inference *i, const float *features, uint32_t rows, float *logits);

/* Softmax of one row, in double: logits, probabilities (classes). */
void inference_probabilities(const float *logits, uint32_t classes, double *probabilities);

/* order: (classes) from the largest of `values` (classes) to the smallest; of equals the lower number first.
 */
void inference_rank(const double *values, uint32_t classes, uint32_t *order);

#endif
