/* arena.h - memory for protobuf-c's unpacking: bounded, and freed all at once.
 *
 * protobuf-c allocates piecemeal on a stranger's word. An arena hands it pieces of a first chunk on the
 * caller's stack, then of a few larger ones, and refuses beyond a limit. */
#ifndef PENSTOCK_COMMON_ARENA_H
#define PENSTOCK_COMMON_ARENA_H

#include <stddef.h>

#include "proto/penstock.pb-c.h"

enum { ARENA_FIRST_BYTES = 4096 };

typedef struct arena_chunk arena_chunk;

typedef struct {
    ProtobufCAllocator allocator; /* hand this to protobuf-c */
    arena_chunk *chunks;          /* beyond the first */
    unsigned char *next, *end;
    size_t used_bytes, max_bytes;
    _Alignas(16) unsigned char first[ARENA_FIRST_BYTES];
} arena;

/* An arena must not be moved between init and fini. */
void arena_init(arena *a, size_t max_bytes);
void arena_fini(arena *a);

#endif
