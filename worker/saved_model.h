/* saved_model.h - a trained model read back from where worker/model_file.h wrote it, and everything checked.
 *
 *   saved_model model;
 *   ps_status status = saved_model_open("outputs/model", &model, error);
 *   ...
 *   saved_model_close(&model);
 *
 * A model is a folder with `model.json`, the architecture, and `model.safetensors`, the weights. Either may
 * come from elsewhere: what one says must be what the other holds, tensor for tensor, in any order. */
#ifndef PENSTOCK_WORKER_SAVED_MODEL_H
#define PENSTOCK_WORKER_SAVED_MODEL_H

#include <stdint.h>

#include "common/status.h"
#include "common/tensor.h"
#include "worker/mlp.h"

#define SAVED_MODEL_DESCRIPTION "model.json"
#define SAVED_MODEL_WEIGHTS     "model.safetensors"

enum { SAVED_MODEL_DESCRIPTION_MAX = 1 << 20 /* bytes of model.json */ };

typedef struct {
    mlp_config config;    /* kernel_init is not known any more: zeros */
    tensor_table tensors; /* as mlp_declare makes it */
    uint64_t parameters;  /* elements of all tensors */
    float *weights;       /* (parameters) flat, laid out by `tensors`; all finite */
} saved_model;

/* Reads the model in `folder`. PS_ENOENT: no such folder or file; PS_EFORMAT: damaged, an architecture that
 * is none of ours, weights that do not fit it; PS_ENONFINITE: a weight is NaN or Inf; PS_EIO, PS_ELIMIT,
 * PS_ENOMEM. File and reason are named. On failure `model` is empty. */
ps_status saved_model_open(const char *folder, saved_model *model, ps_error *error);

/* Leaves `model` empty; does nothing on an empty one. */
void saved_model_close(saved_model *model);

/* Reads an architecture as mlp_describe writes it; what it does not know it passes over. PS_EFORMAT names
 * what is wrong; PS_ELIMIT, PS_ENOMEM. */
ps_status saved_model_parse(const char *text, size_t bytes, mlp_config *config, ps_error *error);

#endif
