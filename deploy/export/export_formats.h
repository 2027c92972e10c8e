/* export_formats.h - trained models as others read them. Adding a format is adding a file and a line.
 *
 * The same model gives the same bytes: no times, no paths. Files are written atomically (common/file.h). */
#ifndef PENSTOCK_DEPLOY_EXPORT_FORMATS_H
#define PENSTOCK_DEPLOY_EXPORT_FORMATS_H

#include "common/status.h"
#include "worker/saved_model.h"

/* All fail with PS_ELIMIT, naming the format's limit, PS_EIO and PS_ENOMEM. */

/* ONNX, IR version 8, operators of version 13: Gemm and the activation, layer by layer. Input "images" (batch
 * x inputs) f32, output "logits" (batch x classes) f32; batch is free. Initializers have our tensors' names.
 * At most 2 GiB, protobuf's limit. */
ps_status export_onnx(const saved_model *model, const char *path, ps_error *error);

/* What training writes (worker/model_file.h): for a model whose weights came from elsewhere, that order and
 * form. */
ps_status export_safetensors(const saved_model *model, const char *path, ps_error *error);

/* numpy.load: an uncompressed zip of one .npy (version 1.0) per tensor. Less than 4 GiB. */
ps_status export_npz(const saved_model *model, const char *path, ps_error *error);

/* Lines "tensor,row,column,value" below that header, rows and columns counted from 0; a bias is one row.
 * Values have the 9 digits that tell every float32 from all others. At most EXPORT_CSV_PARAMETERS_MAX
 * parameters. */
ps_status export_csv(const saved_model *model, const char *path, ps_error *error);

enum { EXPORT_CSV_PARAMETERS_MAX = 1 << 24 };

#endif
