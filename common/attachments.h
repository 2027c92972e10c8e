/* attachments.h - the segments of other processes that this one has mapped.
 *
 * Each is mapped once, when a message first refers to it, and stays until its owner has ended and no buffer
 * refers to it any more. One thread, but for the buffers, whose last reference may be dropped on any. */
#ifndef PENSTOCK_COMMON_ATTACHMENTS_H
#define PENSTOCK_COMMON_ATTACHMENTS_H

#include <stdint.h>

#include "common/buffer.h"
#include "common/segment.h"
#include "common/status.h"

/* Segments mapped at a time. A stranger on this host can fill the table; then others use the socket. */
enum { ATTACHMENTS_MAX = 4096 };

typedef struct attachments attachments;

/* PS_ENOMEM. */
ps_status attachments_create(attachments **out);

/* No buffer may be left. Nulls the pointer; does nothing on NULL. */
void attachments_destroy(attachments **a);

/* Makes sure that the segment is mapped. PS_ELIMIT, or as segment_attach. */
ps_status attachments_add(attachments *a, const segment_name *name, ps_error *error);

/* A buffer over `bytes` bytes at `offset` of a segment that was added; NULL if it was not, if the range is
 * not in it, or out of memory. */
buffer *attachments_buffer(attachments *a, const segment_name *name, uint64_t offset, size_t bytes);

/* Lets go of segments whose owner has ended and that no buffer refers to. Costs a system call each. */
void attachments_sweep(attachments *a);

#endif
