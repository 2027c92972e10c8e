/* buffer.h - reference-counted bytes: the unit in which tensors travel without being copied.
 *
 * A slice's weights, a received frame and a lent gradient are all buffers. Whoever holds a reference
 * may read the bytes; only a sole holder may write them (buffer_is_shared). A checkpoint, a reply in
 * ZeroMQ's queue and the shard itself are merely holders.
 *
 * Thread-safe: buffer_ref, buffer_unref and buffer_is_shared may be called from any thread (ZeroMQ
 * drops its references from an I/O thread). The last unref runs the release function, on its thread. */
#ifndef PENSTOCK_COMMON_BUFFER_H
#define PENSTOCK_COMMON_BUFFER_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct buffer buffer;

/* Called once, by the last buffer_unref, on whatever thread that happens. */
typedef void buffer_release(void *data, void *context);

/* `bytes` uninitialised bytes, aligned to 64, freed with the last reference. NULL if out of memory. */
buffer *buffer_alloc(size_t bytes);

/* A buffer over memory of someone else; `release` (may be NULL) gives it back. NULL if out of memory,
 * and then `release` has not been called. */
buffer *buffer_wrap(void *data, size_t bytes, buffer_release *release, void *context);

/* Room for a buffer in memory of someone else. */
typedef struct {
    alignas(max_align_t) unsigned char bytes[64];
} buffer_place;

/* As buffer_wrap, but allocates nothing: the buffer lives in `place` until `release` is called, which is the
 * last that touches it and may use it again. */
buffer *buffer_wrap_at(buffer_place *place, void *data, size_t bytes, buffer_release *release, void *context);

/* Another reference to the same buffer. */
buffer *buffer_ref(buffer *b);

/* Drops the reference and nulls it; does nothing on NULL. */
void buffer_unref(buffer **b);

/* True while anyone but the caller holds a reference. Once false for the sole holder it stays false
 * until that holder itself gives out a reference. */
bool buffer_is_shared(const buffer *b);

void *buffer_data(buffer *b);
const void *buffer_bytes(const buffer *b);
size_t buffer_size(const buffer *b);

#endif
