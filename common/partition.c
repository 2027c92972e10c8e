/* partition.c - see partition.h. */
#include "common/partition.h"

#include <stdlib.h>
#include <string.h>

/* See PARTITION_BALANCED_BYTES_MIN. */
enum { BALANCED_SLICE_ELEMENTS_MIN = PARTITION_BALANCED_BYTES_MIN / sizeof(float) };

/* Elements of the largest slice allowed. */
static uint64_t slice_limit(const job_config *job)
{
    uint64_t given = job->slice_bytes / sizeof(float);
    if (job->servers == 1)
        return given;
    uint64_t fair = (tensor_table_elements(&job->tensors) + job->servers - 1) / job->servers;
    if (fair < BALANCED_SLICE_ELEMENTS_MIN)
        fair = BALANCED_SLICE_ELEMENTS_MIN;
    return fair < given ? fair : given;
}

static uint64_t slices_of(const tensor *t, uint64_t slice_elements)
{
    return (tensor_elements(t) + slice_elements - 1) / slice_elements;
}

/* The slices of each tensor as evenly as integers allow: longer ones first. */
static void cut(partition *p, const tensor_table *table, uint64_t slice_elements)
{
    uint32_t number = 0;
    for (uint32_t t = 0; t < table->count; t++) {
        uint64_t elements = tensor_elements(&table->tensors[t]);
        uint64_t pieces = slices_of(&table->tensors[t], slice_elements);
        uint64_t offset = 0;
        p->tensor_first[t] = number;
        for (uint64_t i = 0; i < pieces; i++) {
            uint32_t count = (uint32_t)(elements / pieces + (i < elements % pieces));
            p->slices[number++] = (slice){.tensor = t, .offset = offset, .count = count};
            offset += count;
        }
    }
    p->tensor_first[table->count] = number;
}

/* Orders a slice before all smaller ones and before later ones of its size. */
static uint64_t rank_key(uint32_t count, uint32_t number)
{
    return (uint64_t)(UINT32_MAX - count) << 32 | number;
}

static int compare_keys(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

typedef struct {
    uint64_t elements;
    uint32_t server;
} load;

static int is_lighter(load a, load b)
{
    return a.elements != b.elements ? a.elements < b.elements : a.server < b.server;
}

/* Restores a binary min-heap whose root alone may be too heavy. */
static void sift_down(load *heap, uint32_t size)
{
    load sinking = heap[0];
    uint32_t hole = 0;
    for (;;) {
        uint32_t child = 2 * hole + 1;
        if (child >= size)
            break;
        if (child + 1 < size && is_lighter(heap[child + 1], heap[child]))
            child++;
        if (!is_lighter(heap[child], sinking))
            break;
        heap[hole] = heap[child];
        hole = child;
    }
    heap[hole] = sinking;
}

/* Longest processing time first. `keys` has room for every slice, `heap` for every server. */
static void assign(partition *p, uint64_t *keys, load *heap)
{
    for (uint32_t i = 0; i < p->count; i++)
        keys[i] = rank_key(p->slices[i].count, i);
    qsort(keys, p->count, sizeof *keys, compare_keys);
    for (uint32_t s = 0; s < p->servers; s++)
        heap[s] = (load){.elements = 0, .server = s};
    for (uint32_t i = 0; i < p->count; i++) {
        slice *next = &p->slices[(uint32_t)keys[i]];
        next->server = heap[0].server;
        heap[0].elements += next->count;
        sift_down(heap, p->servers);
    }
}

static void group_by_server(partition *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        slice *s = &p->slices[i];
        s->ordinal = p->server_first[s->server + 1]++;
    }
    for (uint32_t s = 0; s < p->servers; s++)
        p->server_first[s + 1] += p->server_first[s];
    for (uint32_t i = 0; i < p->count; i++)
        p->server_slices[p->server_first[p->slices[i].server] + p->slices[i].ordinal] = i;
}

ps_status partition_init(partition *p, const job_config *job, ps_error *error)
{
    memset(p, 0, sizeof *p);
    uint64_t slice_elements = slice_limit(job);
    uint64_t count = 0;
    for (uint32_t t = 0; t < job->tensors.count; t++)
        count += slices_of(&job->tensors.tensors[t], slice_elements);
    if (count > PARTITION_SLICES_MAX)
        return ps_fail(error, PS_ELIMIT,
                       "the tensors make %llu slices of up to %u bytes, and at most %u are possible: raise "
                       "slice_bytes",
                       (unsigned long long)count, job->slice_bytes, PARTITION_SLICES_MAX);

    p->count = (uint32_t)count;
    p->servers = job->servers;
    p->slices = calloc(p->count, sizeof *p->slices);
    p->tensor_first = calloc((size_t)job->tensors.count + 1, sizeof *p->tensor_first);
    p->server_first = calloc((size_t)p->servers + 1, sizeof *p->server_first);
    p->server_slices = calloc(p->count, sizeof *p->server_slices);
    uint64_t *keys = calloc(p->count, sizeof *keys);
    load *heap = calloc(p->servers, sizeof *heap);
    ps_status status = PS_OK;
    if (p->slices && p->tensor_first && p->server_first && p->server_slices && keys && heap) {
        cut(p, &job->tensors, slice_elements);
        assign(p, keys, heap);
        group_by_server(p);
    } else {
        status = ps_fail(error, PS_ENOMEM, "out of memory for a map of %u slices", p->count);
        partition_fini(p);
    }
    free(keys);
    free(heap);
    return status;
}

void partition_fini(partition *p)
{
    free(p->slices);
    free(p->tensor_first);
    free(p->server_first);
    free(p->server_slices);
    memset(p, 0, sizeof *p);
}

uint32_t partition_server_count(const partition *p, uint32_t server)
{
    return p->server_first[server + 1] - p->server_first[server];
}

uint64_t partition_server_elements(const partition *p, uint32_t server)
{
    uint64_t elements = 0;
    for (uint32_t i = p->server_first[server]; i < p->server_first[server + 1]; i++)
        elements += p->slices[p->server_slices[i]].count;
    return elements;
}
