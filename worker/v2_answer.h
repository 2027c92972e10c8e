/* v2_answer.h - what the v2 protocol has a server say, as JSON: about itself, its model, an inference, an
 * error.
 *
 * All are in memory from malloc, with their length in `bytes`; NULL: out of memory. */
#ifndef PENSTOCK_WORKER_V2_ANSWER_H
#define PENSTOCK_WORKER_V2_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/status.h"
#include "worker/v2_request.h"

char *v2_answer_server(size_t *bytes);
char *v2_answer_model(const v2_model *model, size_t *bytes);

/* {"live": true} and the like. */
char *v2_answer_state(const char *what, bool is_so, size_t *bytes);

/* {"error": "..."} */
char *v2_answer_error(const char *reason, size_t *bytes);

/* logits: (rows x classes) of what was asked. PS_ENONFINITE: JSON has no number for one of them; PS_ENOMEM.
 */
ps_status v2_answer_inference(const v2_model *model, const v2_request *request, const float *logits,
                              char **text, size_t *bytes, ps_error *error);

#endif
