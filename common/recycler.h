/* recycler.h - small blocks of memory that are used again, so that work that repeats itself allocates
 * nothing.
 *
 * For what is made and dropped with every message. Each thread keeps a bounded number of blocks, until it
 * ends; a block may be given back on another thread than it was taken on. Under a sanitizer every block is
 * allocated and freed, so that it sees uses after the end.
 *
 * Thread-safe. */
#ifndef PENSTOCK_COMMON_RECYCLER_H
#define PENSTOCK_COMMON_RECYCLER_H

#include <stddef.h>

enum {
    RECYCLER_BLOCK_BYTES_MAX = 128 << 10, /* larger ones are allocated and freed */
    /* What a thread keeps of one size, sizes being powers of two from 64 on. */
    RECYCLER_KEPT_MAX = 256,
    RECYCLER_KEPT_BYTES_MAX = 1 << 20,
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RECYCLER_KEEPS 0
#else
#define RECYCLER_KEEPS 1
#endif

/* `bytes` uninitialised bytes, aligned as by malloc. NULL if out of memory. */
void *recycler_take(size_t bytes);

/* Gives a block from recycler_take back; does nothing on NULL. */
void recycler_give(void *block);

/* Frees what this thread keeps. */
void recycler_drop(void);

#endif
