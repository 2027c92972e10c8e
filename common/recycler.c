/* recycler.c - see recycler.h. */
#include "common/recycler.h"

#include <assert.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum { SMALLEST_SHIFT = 6, CLASSES = 12 };
static_assert(RECYCLER_BLOCK_BYTES_MAX == 1 << (SMALLEST_SHIFT + CLASSES - 1),
              "the last class is the largest");

/* What stands before every block. */
typedef struct head {
    alignas(max_align_t) struct head *next; /* while it is kept */
    uint32_t size_class;                    /* CLASSES: too large to be kept */
} head;

/* What one thread keeps. */
typedef struct {
    bool known; /* to be freed when the thread ends */
    head *kept[CLASSES];
    uint32_t counts[CLASSES];
} blocks;

static _Thread_local blocks own;
static pthread_key_t ends;
static pthread_once_t ends_once = PTHREAD_ONCE_INIT;
static bool ends_made;

static void free_all(blocks *b)
{
    for (uint32_t c = 0; c < CLASSES; c++) {
        while (b->kept[c]) {
            head *block = b->kept[c];
            b->kept[c] = block->next;
            free(block);
        }
        b->counts[c] = 0;
    }
}

/* What is given back later yet, by others that end with the thread, makes it known once more. */
static void end_thread(void *of_thread)
{
    free_all(of_thread);
    ((blocks *)of_thread)->known = false;
}

static void make_ends(void)
{
    ends_made = pthread_key_create(&ends, end_thread) == 0;
}

/* Only then may this thread keep anything. */
static bool is_known(void)
{
    if (own.known)
        return true;
    pthread_once(&ends_once, make_ends);
    own.known = ends_made && pthread_setspecific(ends, &own) == 0;
    return own.known;
}

void recycler_drop(void)
{
    free_all(&own);
}

static size_t class_bytes(uint32_t size_class)
{
    return (size_t)1 << (SMALLEST_SHIFT + size_class);
}

static uint32_t class_of(size_t bytes)
{
    uint32_t c = 0;
    while (c < CLASSES && class_bytes(c) < bytes)
        c++;
    return c;
}

void *recycler_take(size_t bytes)
{
    if (bytes > SIZE_MAX - sizeof(head))
        return NULL;
    const uint32_t c = class_of(bytes);
    head *block = c < CLASSES ? own.kept[c] : NULL;
    if (block) {
        own.kept[c] = block->next;
        own.counts[c]--;
        return block + 1;
    }
    block = malloc(sizeof *block + (RECYCLER_KEEPS && c < CLASSES ? class_bytes(c) : bytes));
    if (!block)
        return NULL;
    block->size_class = c;
    return block + 1;
}

void recycler_give(void *memory)
{
    if (!memory)
        return;
    head *block = (head *)memory - 1;
    const uint32_t c = block->size_class;
    const bool keep = RECYCLER_KEEPS && c < CLASSES && own.counts[c] < RECYCLER_KEPT_MAX &&
                      own.counts[c] * class_bytes(c) < RECYCLER_KEPT_BYTES_MAX && is_known();
    if (!keep) {
        free(block);
        return;
    }
    block->next = own.kept[c];
    own.kept[c] = block;
    own.counts[c]++;
}
