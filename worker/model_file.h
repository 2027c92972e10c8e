/* model_file.h - the trained model on disk: weights as safetensors, and its architecture as JSON beside it.
 */
#ifndef PENSTOCK_WORKER_MODEL_FILE_H
#define PENSTOCK_WORKER_MODEL_FILE_H

#include <stddef.h>

#include "common/status.h"
#include "common/tensor.h"
#include "worker/mlp.h"

/* Makes <folder>/model and sees that it can be written to, for an answer before the training rather than
 * after it. `path` receives that of the safetensors file to come. PS_EIO names folder and cause; PS_ELIMIT if
 * the path is too long. */
ps_status model_file_prepare(const char *folder, char *path, size_t path_bytes, ps_error *error);

/* Writes <folder>/model/model.json, then model.safetensors, each atomically; creates the folders. weights:
 * flat, laid out by `tensors`. The same weights give the same bytes. `path` receives that of the safetensors
 * file. PS_EIO names file and cause; PS_ENOMEM; PS_ELIMIT if the path is too long. */
ps_status model_file_write(const char *folder, const mlp_config *config, const tensor_table *tensors,
                           const float *weights, char *path, size_t path_bytes, ps_error *error);

/* The same of the weights alone, into the file `path`, whose folder must exist. */
ps_status model_file_write_weights(const char *path, const tensor_table *tensors, const float *weights,
                                   ps_error *error);

#endif
