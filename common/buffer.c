/* buffer.c - see buffer.h. */
#include "common/buffer.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>

#include "common/recycler.h"

enum { BUFFER_ALIGNMENT = 64 };

struct buffer {
    void *data;
    size_t bytes;
    buffer_release *release; /* NULL: nothing to give back */
    void *context;
    atomic_uint references;
    bool placed; /* lies in memory of someone else */
};
static_assert(sizeof(buffer) <= sizeof(buffer_place), "a buffer fits its place");

static buffer *fill(buffer *b, bool placed, void *data, size_t bytes, buffer_release *release, void *context)
{
    b->data = data;
    b->bytes = bytes;
    b->release = release;
    b->context = context;
    b->placed = placed;
    atomic_init(&b->references, 1);
    return b;
}

buffer *buffer_wrap(void *data, size_t bytes, buffer_release *release, void *context)
{
    buffer *b = recycler_take(sizeof *b);
    return b ? fill(b, false, data, bytes, release, context) : NULL;
}

buffer *buffer_wrap_at(buffer_place *place, void *data, size_t bytes, buffer_release *release, void *context)
{
    return fill((buffer *)place, true, data, bytes, release, context);
}

/* One block: the buffer, a gap, its bytes. Not of aligned_alloc, which in glibc passes by a thread's own
 * cache. */
buffer *buffer_alloc(size_t bytes)
{
    const size_t room_before = sizeof(buffer) + BUFFER_ALIGNMENT - 1;
    if (bytes > SIZE_MAX - room_before)
        return NULL;
    char *block = recycler_take(room_before + bytes);
    if (!block)
        return NULL;
    const size_t excess = ((uintptr_t)block + room_before) % BUFFER_ALIGNMENT;
    return fill((buffer *)(void *)block, false, block + room_before - excess, bytes, NULL, NULL);
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
    bool placed = held->placed; /* its place may be used again as soon as it is released */
    if (held->release)
        held->release(held->data, held->context);
    if (!placed)
        recycler_give(held);
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
