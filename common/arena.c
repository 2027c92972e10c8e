/* arena.c - see arena.h. */
#include "common/arena.h"

#include <stdlib.h>

struct arena_chunk {
    _Alignas(16) arena_chunk *next;
};

enum { ARENA_ALIGNMENT = 16, ARENA_CHUNK_BYTES = 1 << 18 };

static void *arena_allocate(void *context, size_t bytes)
{
    arena *a = context;
    size_t left = a->max_bytes - a->used_bytes;
    if (bytes > left)
        return NULL;
    size_t rounded = (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    if (rounded > left) /* many tiny pieces count as what they take */
        return NULL;
    if (rounded > (size_t)(a->end - a->next)) {
        size_t room = rounded > ARENA_CHUNK_BYTES ? rounded : ARENA_CHUNK_BYTES;
        arena_chunk *chunk = malloc(sizeof *chunk + room);
        if (!chunk)
            return NULL;
        chunk->next = a->chunks;
        a->chunks = chunk;
        a->next = (unsigned char *)(chunk + 1);
        a->end = a->next + room;
    }
    void *piece = a->next;
    a->next += rounded;
    a->used_bytes += rounded;
    return piece;
}

static void arena_keep(void *context, void *piece)
{
    (void)context;
    (void)piece;
}

void arena_init(arena *a, size_t max_bytes)
{
    a->allocator = (ProtobufCAllocator){arena_allocate, arena_keep, a};
    a->chunks = NULL;
    a->next = a->first;
    a->end = a->first + sizeof a->first;
    a->used_bytes = 0;
    a->max_bytes = max_bytes;
}

void arena_fini(arena *a)
{
    while (a->chunks) {
        arena_chunk *chunk = a->chunks;
        a->chunks = chunk->next;
        free(chunk);
    }
}
