/* pool.c - see pool.h. */
#include "common/pool.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    ALIGNMENT = 64,
    SIZES_MAX = 64, /* lists of free blocks, by a hash of their size */
    SEGMENTS_MAX = 16,
};
#define SEGMENT_BYTES_FIRST ((size_t)64 << 20)

/* A piece of memory, taken or free. */
typedef struct block {
    struct block *next; /* of the free ones */
    pool *pool;
    void *data;
    size_t bytes; /* a multiple of ALIGNMENT */
    bool on_heap;
} block;

struct pool {
    pthread_mutex_t lock; /* guards all that follows */
    bool sharing;
    bool closed; /* to be freed with the last buffer that comes back */
    uint32_t taken;
    block *free[SIZES_MAX];
    segment *segments[SEGMENTS_MAX];
    uint32_t segment_count;
    uint64_t next_offset; /* into the last segment */
};

/* The first segment is made at once: it is the sample. */
static bool add_segment(pool *p, size_t bytes)
{
    size_t doubled = SEGMENT_BYTES_FIRST << p->segment_count;
    if (p->segment_count == SEGMENTS_MAX ||
        segment_create(bytes > doubled ? bytes : doubled, &p->segments[p->segment_count]) != PS_OK)
        return false;
    p->segment_count++;
    p->next_offset = SEGMENT_HEAD_BYTES;
    return true;
}

ps_status pool_create(bool sharing, pool **out)
{
    pool *p = calloc(1, sizeof *p);
    *out = p;
    if (!p)
        return PS_ENOMEM;
    pthread_mutex_init(&p->lock, NULL);
    p->sharing = sharing && add_segment(p, 0);
    return PS_OK;
}

static void free_block(block *b)
{
    if (b->on_heap)
        free(b->data);
    free(b);
}

static void free_pool(pool *p)
{
    for (int i = 0; i < SIZES_MAX; i++) {
        while (p->free[i]) {
            block *b = p->free[i];
            p->free[i] = b->next;
            free_block(b);
        }
    }
    for (uint32_t i = 0; i < p->segment_count; i++)
        segment_destroy(&p->segments[i]);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

void pool_destroy(pool **handle)
{
    pool *p = *handle;
    *handle = NULL;
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->closed = true;
    bool unused = p->taken == 0;
    pthread_mutex_unlock(&p->lock);
    if (unused)
        free_pool(p);
}

static block **free_list(pool *p, size_t bytes)
{
    return &p->free[bytes / ALIGNMENT * UINT64_C(0x9e3779b97f4a7c15) >> 58];
}
_Static_assert(SIZES_MAX == 1 << (64 - 58), "the hash has as many values as there are lists");

static block *reuse_block(pool *p, size_t bytes)
{
    for (block **link = free_list(p, bytes); *link; link = &(*link)->next) {
        block *b = *link;
        if (b->bytes != bytes)
            continue;
        *link = b->next;
        return b;
    }
    return NULL;
}

/* Memory from the last segment or a new one; NULL if there is none to be had. */
static void *carve(pool *p, size_t bytes)
{
    if (!p->sharing)
        return NULL;
    const segment *last = p->segments[p->segment_count - 1];
    if (segment_name_of(last)->bytes - p->next_offset < bytes && !add_segment(p, bytes))
        return NULL;
    void *data = segment_at(p->segments[p->segment_count - 1], p->next_offset);
    p->next_offset += bytes;
    return data;
}

static block *new_block(pool *p, size_t bytes)
{
    block *b = malloc(sizeof *b);
    if (!b)
        return NULL;
    *b = (block){.pool = p, .bytes = bytes, .data = carve(p, bytes)};
    if (!b->data) {
        b->on_heap = true;
        b->data = aligned_alloc(ALIGNMENT, bytes);
    }
    if (!b->data) {
        free(b);
        return NULL;
    }
    return b;
}

static void give_back(void *data, void *context)
{
    (void)data;
    block *b = context;
    pool *p = b->pool;
    pthread_mutex_lock(&p->lock);
    block **list = free_list(p, b->bytes);
    b->next = *list;
    *list = b;
    bool last = --p->taken == 0 && p->closed;
    pthread_mutex_unlock(&p->lock);
    if (last)
        free_pool(p);
}

buffer *pool_take(pool *p, size_t bytes)
{
    if (bytes > PTRDIFF_MAX - ALIGNMENT)
        return NULL;
    size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (rounded == 0)
        rounded = ALIGNMENT;
    pthread_mutex_lock(&p->lock);
    block *b = reuse_block(p, rounded);
    if (!b)
        b = new_block(p, rounded);
    p->taken += b != NULL;
    pthread_mutex_unlock(&p->lock);
    buffer *taken = b ? buffer_wrap(b->data, bytes, give_back, b) : NULL;
    if (b && !taken)
        give_back(NULL, b);
    return taken;
}

bool pool_locate(pool *p, const void *data, size_t bytes, segment_name *name, uint64_t *offset)
{
    bool found = false;
    pthread_mutex_lock(&p->lock);
    for (uint32_t i = 0; i < p->segment_count && !found; i++) {
        uintptr_t first = (uintptr_t)segment_at(p->segments[i], 0), at = (uintptr_t)data;
        uint64_t length = segment_name_of(p->segments[i])->bytes;
        if (at < first || at - first > length || length - (at - first) < bytes)
            continue;
        found = true;
        *name = *segment_name_of(p->segments[i]);
        *offset = at - first;
    }
    pthread_mutex_unlock(&p->lock);
    return found;
}

bool pool_sample(pool *p, segment_name *name)
{
    if (!p->sharing)
        return false;
    *name = *segment_name_of(p->segments[0]);
    return true;
}
