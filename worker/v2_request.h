/* v2_request.h - an inference request of the v2 protocol, read and checked. What it is answered: v2_answer.h.
 *
 *   {"id": "7", "inputs": [{"name": "images", "datatype": "FP32", "shape": [2, 784], "data": [0, 0.5, ...]}],
 *    "outputs": [{"name": "logits", "parameters": {"classification": 3}}]}
 *
 * `data` is flat or nested as the shape is. Unknown keys and parameters are passed over, as the protocol has
 * it, but for those of the binary extension, which is not spoken here. */
#ifndef PENSTOCK_WORKER_V2_REQUEST_H
#define PENSTOCK_WORKER_V2_REQUEST_H

#include <stddef.h>

#include "common/status.h"
#include "worker/v2_model.h"

typedef struct {
    v2_output output;
    uint32_t top; /* classification: so many classes of each row; 0: the tensor */
} v2_wanted;

typedef struct {
    const char *id; /* (id_bytes) a JSON string with its quotes, in the request's text; NULL: none */
    size_t id_bytes;
    uint32_t rows;
    float *features; /* (rows x inputs) */
    uint32_t wanted_count;
    v2_wanted wanted[V2_OUTPUTS];
} v2_request;

/* PS_EFORMAT: no JSON, or something is missing or of the wrong kind; PS_EMISMATCH: not what the model takes;
 * PS_ELIMIT: more rows than rows_max; PS_ENOMEM. The reason is named. Memory is taken for the rows only once
 * their number is seen to be in bounds. On failure `request` is empty. */
ps_status v2_request_parse(const v2_model *model, const char *text, size_t bytes, v2_request *request,
                           ps_error *error);

/* Leaves it empty; does nothing on an empty one. */
void v2_request_fini(v2_request *request);

#endif
