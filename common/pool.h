/* pool.h - where tensors' memory comes from: aligned buffers that are used again, if possible shared ones.
 *
 * A buffer that is taken goes back to the pool with its last reference, and the next of its size is the same
 * memory: after warm-up nothing is allocated. A sharing pool lies in segments (common/segment.h), which other
 * processes on this host can map; pool_locate tells them where a buffer is. Where the system has no such
 * memory, the pool is an ordinary one.
 *
 * Thread-safe. Segments grow by doubling and cost what is used of them. Memory is given back to the system
 * with the pool. */
#ifndef PENSTOCK_COMMON_POOL_H
#define PENSTOCK_COMMON_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/segment.h"
#include "common/status.h"

typedef struct pool pool;

/* PS_ENOMEM. */
ps_status pool_create(bool sharing, pool **out);

/* No more is taken. The memory goes with the last buffer that comes back. Nulls the pointer; does nothing on
 * NULL. */
void pool_destroy(pool **p);

/* A buffer of `bytes`, aligned to 64, with arbitrary contents. NULL if out of memory. */
buffer *pool_take(pool *p, size_t bytes);

/* Where in a segment do these bytes lie? False if in none. */
bool pool_locate(pool *p, const void *data, size_t bytes, segment_name *name, uint64_t *offset);

/* A segment for others to try whether they can map such memory; false if the pool has none. */
bool pool_sample(pool *p, segment_name *name);

#endif
