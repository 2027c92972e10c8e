/* v2_model.h - a model as the v2 inference protocol speaks of it (KServe, Triton): names, types, sizes.
 *
 * https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol
 *
 * One input, `images`: FP32 (rows x inputs), black 0 to white 1. It may be sent as UINT8 too, 0 to 255, as
 * images are stored; a pixel is then divided by 255, as in training. Two outputs, FP32 (rows x classes):
 * `logits`, and `probabilities`, their softmax. Names are those of the exported model
 * (deploy/export/export_onnx.c).
 */
#ifndef PENSTOCK_WORKER_V2_MODEL_H
#define PENSTOCK_WORKER_V2_MODEL_H

#include <stdint.h>

#define V2_INPUT    "images"
#define V2_PLATFORM "penstock_mlp"
#define V2_VERSION  "1" /* of a model; there is one */

/*      name               text */
#define V2_OUTPUT_LIST(X)  \
    X(V2_LOGITS, "logits") \
    X(V2_PROBABILITIES, "probabilities")

typedef enum {
#define V2_OUTPUT_ENUM(name, text) name,
    V2_OUTPUT_LIST(V2_OUTPUT_ENUM)
#undef V2_OUTPUT_ENUM
        V2_OUTPUTS,
} v2_output;

enum { V2_NAME_MAX = 63 /* of a model */ };

typedef struct {
    const char *name; /* letters, digits, '.', '_' and '-' */
    uint32_t inputs, classes;
    uint32_t rows_max; /* of a request */
} v2_model;

const char *v2_output_name(v2_output output);

#endif
