/* buffer.c - see buffer.h. */
#include "common/buffer.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

enum { BUFFER_ALIGNMENT = 64 };

struct buffer {
    void *data;
    size_t bytes;
    buffer_release *release; /* NULL: nothing to give back */
    void *context;
    atomic_uint references;
};

static void release_allocated(void *data, void *context)
{
    (void)context;
    free(data);
}

buffer *buffer_wrap(void *data, size_t bytes, buffer_release *release, void *context)
{
    buffer *b = malloc(sizeof *b);
    if (!b)
        return NULL;
    b->data = data;
    b->bytes = bytes;
    b->release = release;
    b->context = context;
    atomic_init(&b->references, 1);
    return b;
}

buffer *buffer_alloc(size_t bytes)
{
    if (bytes > SIZE_MAX - BUFFER_ALIGNMENT)
        return NULL;
    size_t rounded = (bytes + BUFFER_ALIGNMENT - 1) / BUFFER_ALIGNMENT * BUFFER_ALIGNMENT;
    void *data = aligned_alloc(BUFFER_ALIGNMENT, rounded ? rounded : BUFFER_ALIGNMENT);
    if (!data)
        return NULL;
    buffer *b = buffer_wrap(data, bytes, release_allocated, NULL);
    if (!b)
        free(data);
    return b;
}

buffer *buffer_ref(buffer *b)
{
    unsigned before = atomic_fetch_add_explicit(&b->references, 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
    return b;
}

void buffer_unref(buffer **b)
{
    buffer *held = *b;
    *b = NULL;
    if (!held)
        return;
    /* Release: our reads and writes happen before the bytes are reused. Acquire: theirs before ours. */
    if (atomic_fetch_sub_explicit(&held->references, 1, memory_order_acq_rel) != 1)
        return;
    if (held->release)
        held->release(held->data, held->context);
    free(held);
}

bool buffer_is_shared(const buffer *b)
{
    /* Acquire pairs with the release in another holder's unref: its last read is over. */
    return atomic_load_explicit(&b->references, memory_order_acquire) != 1;
}

void *buffer_data(buffer *b)
{
    return b->data;
}

const void *buffer_bytes(const buffer *b)
{
    return b->data;
}

size_t buffer_size(const buffer *b)
{
    return b->bytes;
}
