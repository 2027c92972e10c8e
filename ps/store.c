/* store.c - see store.h. */
#include "ps/store.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/random.h"
#include "ps/optimizer.h"

typedef struct {
    uint32_t count;                    /* elements */
    buffer *current;                   /* never written */
    buffer *previous;                  /* the version before, or NULL */
    buffer *next;                      /* where the coming update writes; nobody else holds it; or NULL */
    float *slots[OPTIMIZER_SLOTS_MAX]; /* owned */
} stored_slice;

struct store {
    const job_config *job;
    pool *memory;
    uint64_t updates;
    bool streaming; /* an update touches more than the caches hold */
    uint32_t count;
    optimizer_gradient *gradients; /* (workers) scratch */
    stored_slice slices[];
};

uint64_t store_bytes(const job_config *job, const partition *p, uint32_t server)
{
    uint64_t copies = 2 + optimizer_slots(&job->optimizer);
    return partition_server_elements(p, server) * sizeof(float) * copies;
}

/* Where an update's memory outgrows the last cache, nothing that it writes is still there when it is read
 * again: writing past the caches then saves reading each line first. */
static bool exceeds_caches(const job_config *job, const partition *p, uint32_t server)
{
    long cache_bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
    uint64_t gradients = partition_server_elements(p, server) * sizeof(float) * job->workers;
    return cache_bytes > 0 && store_bytes(job, p, server) + gradients > (uint64_t)cache_bytes;
}

static ps_status slice_init(stored_slice *stored, const job_config *job, pool *memory, const slice *cut)
{
    const tensor *t = &job->tensors.tensors[cut->tensor];
    stored->count = cut->count;
    stored->current = pool_take(memory, cut->count * sizeof(float));
    if (!stored->current)
        return PS_ENOMEM;
    float *weights = buffer_data(stored->current);
    random_initialize(t, job->seed, cut->offset, cut->count, weights);
    for (uint32_t k = 0; k < optimizer_slots(&job->optimizer); k++) {
        stored->slots[k] = malloc(cut->count * sizeof(float));
        if (!stored->slots[k])
            return PS_ENOMEM;
        optimizer_init_slot(&job->optimizer, k, weights, stored->slots[k], cut->count);
    }
    return PS_OK;
}

ps_status store_create(const job_config *job, const partition *p, uint32_t server, pool *memory, store **out)
{
    uint32_t count = partition_server_count(p, server);
    store *s = calloc(1, sizeof *s + count * sizeof s->slices[0]);
    *out = NULL;
    if (!s)
        return PS_ENOMEM;
    s->job = job;
    s->memory = memory;
    s->count = count;
    s->streaming = exceeds_caches(job, p, server);
    ps_status status = PS_OK;
    s->gradients = calloc(job->workers, sizeof *s->gradients);
    if (!s->gradients)
        status = PS_ENOMEM;
    const uint32_t *numbers = p->server_slices + p->server_first[server];
    for (uint32_t i = 0; i < count && status == PS_OK; i++)
        status = slice_init(&s->slices[i], job, memory, &p->slices[numbers[i]]);
    if (status != PS_OK)
        store_destroy(&s);
    *out = s;
    return status;
}

void store_destroy(store **handle)
{
    store *s = *handle;
    *handle = NULL;
    if (!s)
        return;
    for (uint32_t i = 0; i < s->count; i++) {
        buffer_unref(&s->slices[i].current);
        buffer_unref(&s->slices[i].previous);
        buffer_unref(&s->slices[i].next);
        for (int k = 0; k < OPTIMIZER_SLOTS_MAX; k++)
            free(s->slices[i].slots[k]);
    }
    free(s->gradients);
    free(s);
}

buffer *store_weights(const store *s, uint32_t ordinal)
{
    return s->slices[ordinal].current;
}

/* Finds every slice a buffer to write to: the previous version if its last reader is gone. */
static ps_status prepare_next(store *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        stored_slice *stored = &s->slices[i];
        if (stored->next)
            continue;
        if (stored->previous && !buffer_is_shared(stored->previous)) {
            stored->next = stored->previous;
            stored->previous = NULL;
            continue;
        }
        stored->next = pool_take(s->memory, stored->count * sizeof(float));
        if (!stored->next)
            return PS_ENOMEM;
    }
    return PS_OK;
}

ps_status store_apply(store *s, const store_gradient *gradients, uint32_t count, float learning_rate,
                      bool *finite)
{
    if (prepare_next(s) != PS_OK)
        return PS_ENOMEM;
    *finite = true;
    s->updates++;
    for (uint32_t i = 0; i < s->count; i++) {
        stored_slice *stored = &s->slices[i];
        for (uint32_t g = 0; g < count; g++)
            s->gradients[g] = (optimizer_gradient){
                .values = buffer_bytes(gradients[g].slices[i]),
                .weight = gradients[g].weight,
            };
        optimizer_step step = {
            .weights = buffer_bytes(stored->current),
            .next = buffer_data(stored->next),
            .slots = {stored->slots[0], stored->slots[1]},
            .gradients = s->gradients,
            .gradient_count = count,
            .count = stored->count,
            .learning_rate = learning_rate,
            .update = s->updates,
            .streaming = s->streaming,
        };
        *finite &= optimizer_apply(&s->job->optimizer, &step);
        buffer_unref(&stored->previous);
        stored->previous = stored->current;
        stored->current = stored->next;
        stored->next = NULL;
    }
    return PS_OK;
}
