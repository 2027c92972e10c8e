/* encoder.h - gradients as payloads: each slice is encoded once per push, however often it is sent.
 *
 * For tensors that do not travel as they are. Payloads lie in memory of the encoder's, which is used again
 * for later pushes. Where the codec keeps a residual (common/codec.h), the encoder holds one per tensor; it
 * is updated when a slice is first asked for, so pushes are to be encoded in the order of their steps.
 *
 * A gradient that is left out leaves the residual alone.
 *
 * One thread, but for the payloads, whose references may be dropped on any. */
#ifndef PENSTOCK_WORKER_ENCODER_H
#define PENSTOCK_WORKER_ENCODER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/partition.h"
#include "common/pool.h"
#include "common/status.h"

typedef struct encoder encoder;

/* For pushes that are numbered below `pushes_max`. `job`, `p` and `memory`, which may be NULL, are borrowed.
 * PS_ENOMEM. */
ps_status encoder_create(const job_config *job, const partition *p, pool *memory, uint32_t pushes_max,
                         encoder **out);

/* Does nothing on NULL. */
void encoder_destroy(encoder **e);

/* Does the tensor travel in another form than it has? */
bool encoder_encodes(const encoder *e, uint32_t t);

/* Does it keep a residual of any tensor? */
bool encoder_keeps_residuals(const encoder *e);

/* A reference to the payload of a slice of push `push`; made from `gradient`, (cut->count) f32, when it is
 * first asked for. `left_out`: it holds NaN or Inf, and the ps will not use it. NULL if out of memory, and
 * then nothing has changed.
 */
buffer *encoder_payload(encoder *e, uint32_t push, uint32_t slice_number, const float *gradient,
                        bool left_out);

/* Push `push` is over: its number may be used again. */
void encoder_end(encoder *e, uint32_t push);

/* What is still to be sent of a tensor: (its shape) f32, or NULL if its codec keeps no residual. */
float *encoder_residual(encoder *e, uint32_t t);

#endif
