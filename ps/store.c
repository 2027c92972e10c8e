/* store.c - see store.h. */
#include "ps/store.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/headway.h"
#include "common/random.h"
#include "ps/optimizer.h"

typedef struct {
    const slice *cut;
    codec_kind push_codec;
    buffer *current;  /* never written */
    buffer *payload;  /* `current` in another codec than fp32, or NULL */
    buffer *previous; /* the version before, or NULL */
    buffer *next;     /* where the coming update writes; nobody else holds it; or NULL */
    buffer *slots[OPTIMIZER_SLOTS_MAX];
    buffer *spare_slots[OPTIMIZER_SLOTS_MAX]; /* what took turns with `slots` last, or NULL */
    bool slots_held; /* by someone else: the update to come reads `slots` and writes the spare ones */
} stored_slice;

/* A place among the elements of all slices, one slice behind the other. */
typedef struct {
    uint32_t ordinal;
    uint32_t offset;
} place;

/* What one thread of the crew owns. */
typedef struct {
    place from, to;
    optimizer_gradient *gradients; /* (workers) scratch */
    bool finite;                   /* of the update just made */
} part;

struct store {
    const job_config *job;
    pool *memory;      /* of weights */
    pool *slot_memory; /* owned: nobody else maps it */
    crew *threads;
    uint64_t updates;
    bool streaming; /* an update touches more than the caches hold */
    part *parts;    /* (threads) */
    optimizer_gradient *gradients;
    uint32_t count;
    stored_slice slices[];
};

/* Parts are cut at multiples of this, so that no cache line belongs to two threads, and few pages do. */
enum { ELEMENTS_PER_CUT = 1024 };
static_assert(ELEMENTS_PER_CUT % CODEC_BLOCK == 0, "payloads are decoded from whole blocks on");

uint64_t store_bytes(const job_config *job, const partition *p, uint32_t server)
{
    uint64_t copies = 2 + optimizer_slots(&job->optimizer);
    uint64_t elements = partition_server_elements(p, server);
    codec_config pull = job_pull_codec(job, false);
    uint64_t payloads = pull.kind == CODEC_FP32 ? 0 : 2 * codec_bytes(&pull, elements);
    return elements * sizeof(float) * copies + payloads;
}

/* Where an update's memory outgrows the last cache, nothing that it writes is still there when it is read
 * again: writing past the caches then saves reading each line first. */
static bool exceeds_caches(const job_config *job, const partition *p, uint32_t server)
{
    long cache_bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
    uint64_t gradients = partition_server_elements(p, server) * sizeof(float) * job->workers;
    return cache_bytes > 0 && store_bytes(job, p, server) + gradients > (uint64_t)cache_bytes;
}

/* ---- parts of the crew ---- */

/* Where the elements before number `element` end, at the next place to cut. */
static place place_of(const store *s, uint64_t element)
{
    for (uint32_t i = 0; i < s->count; i++) {
        uint64_t count = s->slices[i].cut->count;
        if (element < count) {
            uint64_t offset = (element + ELEMENTS_PER_CUT - 1) / ELEMENTS_PER_CUT * ELEMENTS_PER_CUT;
            return (place){i, (uint32_t)(offset < count ? offset : count)};
        }
        element -= count;
    }
    return (place){s->count, 0};
}

static void cut_parts(store *s, uint32_t workers)
{
    uint32_t threads = crew_threads(s->threads);
    uint64_t elements = 0;
    for (uint32_t i = 0; i < s->count; i++)
        elements += s->slices[i].cut->count;
    for (uint32_t t = 0; t < threads; t++) {
        s->parts[t].from = place_of(s, elements * t / threads);
        s->parts[t].to = place_of(s, elements * (t + 1) / threads);
        s->parts[t].gradients = s->gradients + (size_t)t * workers;
    }
}

/* Elements [*first, *first + count) of slice `ordinal` belong to the part. */
static uint32_t elements_of(const store *s, const part *p, uint32_t ordinal, uint32_t *first)
{
    uint32_t end = ordinal == p->to.ordinal ? p->to.offset : s->slices[ordinal].cut->count;
    *first = ordinal == p->from.ordinal ? p->from.offset : 0;
    return end - *first;
}

/* The part's last slice may have no element of it. */
static uint32_t last_ordinal(const store *s, const part *p)
{
    return p->to.ordinal < s->count ? p->to.ordinal + 1 : s->count;
}

/* ---- creation ---- */

static ps_status slice_allocate(store *s, stored_slice *stored, const slice *cut)
{
    stored->cut = cut;
    stored->push_codec = job_push_codec(s->job, cut->tensor).kind;
    stored->current = pool_take(s->memory, cut->count * sizeof(float));
    if (!stored->current)
        return PS_ENOMEM;
    for (uint32_t k = 0; k < optimizer_slots(&s->job->optimizer); k++) {
        stored->slots[k] = pool_take(s->slot_memory, cut->count * sizeof(float));
        if (!stored->slots[k])
            return PS_ENOMEM;
    }
    return PS_OK;
}

static void initialize_part(void *context, uint32_t thread)
{
    const store *s = context;
    const part *p = &s->parts[thread];
    for (uint32_t i = p->from.ordinal; i < last_ordinal(s, p); i++) {
        const stored_slice *stored = &s->slices[i];
        uint32_t first, count = elements_of(s, p, i, &first);
        float *weights = (float *)buffer_data(stored->current) + first;
        random_initialize(&s->job->tensors.tensors[stored->cut->tensor], s->job->seed,
                          stored->cut->offset + first, count, weights);
        for (uint32_t k = 0; k < optimizer_slots(&s->job->optimizer); k++)
            optimizer_init_slot(&s->job->optimizer, k, weights,
                                (float *)buffer_data(stored->slots[k]) + first, count);
        headway_note();
    }
}

ps_status store_create(const job_config *job, const partition *p, uint32_t server, pool *memory,
                       crew *threads, store **out)
{
    uint32_t count = partition_server_count(p, server);
    store *s = calloc(1, sizeof *s + count * sizeof s->slices[0]);
    *out = NULL;
    if (!s)
        return PS_ENOMEM;
    s->job = job;
    s->memory = memory;
    s->threads = threads;
    s->count = count;
    s->streaming = exceeds_caches(job, p, server);
    ps_status status = pool_create(false, &s->slot_memory);
    s->parts = calloc(crew_threads(threads), sizeof *s->parts);
    s->gradients = calloc((size_t)crew_threads(threads) * job->workers, sizeof *s->gradients);
    if (!s->parts || !s->gradients)
        status = PS_ENOMEM;
    const uint32_t *numbers = p->server_slices + p->server_first[server];
    for (uint32_t i = 0; i < count && status == PS_OK; i++)
        status = slice_allocate(s, &s->slices[i], &p->slices[numbers[i]]);
    if (status == PS_OK)
        cut_parts(s, job->workers);
    else
        store_destroy(&s);
    *out = s;
    return status;
}

void store_initialize(store *s)
{
    crew_run(s->threads, initialize_part, s);
}

buffer **store_reserve(store *s, uint32_t *count)
{
    const uint32_t slots = optimizer_slots(&s->job->optimizer), arrays = s->count * (1 + slots);
    buffer **taken = calloc(arrays + 1, sizeof *taken);
    bool complete = taken;
    *count = 0;
    for (uint32_t i = 0; complete && i < arrays; i++) {
        pool *memory = i < s->count ? s->memory : s->slot_memory;
        taken[i] = pool_take(memory, s->slices[i % s->count].cut->count * sizeof(float));
        complete = taken[i];
        *count += complete;
    }
    while (!complete && *count > 0)
        buffer_unref(&taken[--*count]);
    if (complete)
        return taken;
    free(taken);
    return NULL;
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
        buffer_unref(&s->slices[i].payload);
        for (int k = 0; k < OPTIMIZER_SLOTS_MAX; k++) {
            buffer_unref(&s->slices[i].slots[k]);
            buffer_unref(&s->slices[i].spare_slots[k]);
        }
    }
    pool_destroy(&s->slot_memory);
    free(s->parts);
    free(s->gradients);
    free(s);
}

buffer *store_weights(const store *s, uint32_t ordinal)
{
    return s->slices[ordinal].current;
}

float *store_array(store *s, uint32_t ordinal, uint32_t array)
{
    stored_slice *stored = &s->slices[ordinal];
    buffer *b = array == 0 ? stored->current : stored->slots[array - 1];
    return b ? buffer_data(b) : NULL;
}

buffer *store_slot(const store *s, uint32_t ordinal, uint32_t slot)
{
    return s->slices[ordinal].slots[slot];
}

uint64_t store_updates(const store *s)
{
    return s->updates;
}

void store_set_updates(store *s, uint64_t updates)
{
    s->updates = updates;
}

buffer *store_payload(store *s, uint32_t ordinal, const codec_config *codec)
{
    stored_slice *stored = &s->slices[ordinal];
    uint32_t count = stored->cut->count;
    if (codec->kind == CODEC_FP32)
        return stored->current;
    if (stored->payload)
        return stored->payload;
    stored->payload = pool_take(s->memory, codec_bytes(codec, count));
    if (stored->payload)
        codec_encode(codec, buffer_bytes(stored->current), count, NULL, buffer_data(stored->payload));
    return stored->payload;
}

bool store_keeps_previous(const store *s)
{
    return s->count == 0 || s->slices[0].previous;
}

buffer *store_previous(const store *s, uint32_t ordinal, const codec_config *codec)
{
    const stored_slice *stored = &s->slices[ordinal];
    uint32_t count = stored->cut->count;
    if (codec->kind == CODEC_FP32)
        return buffer_ref(stored->previous);
    buffer *payload = pool_take(s->memory, codec_bytes(codec, count));
    if (payload)
        codec_encode(codec, buffer_bytes(stored->previous), count, NULL, buffer_data(payload));
    return payload;
}

/* ---- updates ---- */

/* Finds slots that someone else holds a place to be updated to. */
static ps_status prepare_slots(stored_slice *stored, pool *memory)
{
    stored->slots_held = false;
    for (int k = 0; k < OPTIMIZER_SLOTS_MAX && stored->slots[k]; k++)
        stored->slots_held |= buffer_is_shared(stored->slots[k]);
    for (int k = 0; stored->slots_held && k < OPTIMIZER_SLOTS_MAX && stored->slots[k]; k++) {
        if (stored->spare_slots[k] && !buffer_is_shared(stored->spare_slots[k]))
            continue;
        buffer_unref(&stored->spare_slots[k]);
        stored->spare_slots[k] = pool_take(memory, buffer_size(stored->slots[k]));
        if (!stored->spare_slots[k])
            return PS_ENOMEM;
    }
    return PS_OK;
}

/* Finds every slice a buffer to write to: the previous version if its last reader is gone. */
static ps_status prepare_next(store *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        stored_slice *stored = &s->slices[i];
        if (prepare_slots(stored, s->slot_memory) != PS_OK)
            return PS_ENOMEM;
        if (stored->next)
            continue;
        if (stored->previous && !buffer_is_shared(stored->previous)) {
            stored->next = stored->previous;
            stored->previous = NULL;
            continue;
        }
        stored->next = pool_take(s->memory, stored->cut->count * sizeof(float));
        if (!stored->next)
            return PS_ENOMEM;
    }
    return PS_OK;
}

typedef struct {
    store *store;
    const store_gradient *gradients;
    uint32_t count;
    float learning_rate;
} update;

static float *slot_at(buffer *const *slots, int slot, uint32_t first)
{
    return slots[slot] ? (float *)buffer_data(slots[slot]) + first : NULL;
}

static void update_part(void *context, uint32_t thread)
{
    const update *u = context;
    const store *s = u->store;
    part *p = &u->store->parts[thread];
    p->finite = true;
    for (uint32_t i = p->from.ordinal; i < last_ordinal(s, p); i++) {
        const stored_slice *stored = &s->slices[i];
        uint32_t first, count = elements_of(s, p, i, &first);
        for (uint32_t g = 0; g < u->count; g++) {
            const buffer *payload = u->gradients[g].slices[i];
            p->gradients[g] = (optimizer_gradient){
                .values = {stored->push_codec, buffer_bytes(payload), buffer_size(payload)},
                .weight = u->gradients[g].weight,
            };
        }
        optimizer_step step = {
            .weights = (const float *)buffer_bytes(stored->current) + first,
            .next = (float *)buffer_data(stored->next) + first,
            .slots = {slot_at(stored->slots, 0, first), slot_at(stored->slots, 1, first)},
            .gradients = p->gradients,
            .gradient_count = u->count,
            .first = first,
            .count = count,
            .learning_rate = u->learning_rate,
            .update = s->updates,
            .streaming = s->streaming,
        };
        for (int k = 0; stored->slots_held && k < OPTIMIZER_SLOTS_MAX; k++) {
            step.old_slots[k] = step.slots[k];
            step.slots[k] = slot_at(stored->spare_slots, k, first);
        }
        p->finite &= optimizer_apply(&s->job->optimizer, &step);
    }
}

ps_status store_apply(store *s, const store_gradient *gradients, uint32_t count, float learning_rate,
                      bool *finite)
{
    if (prepare_next(s) != PS_OK)
        return PS_ENOMEM;
    s->updates++;
    update u = {.store = s, .gradients = gradients, .count = count, .learning_rate = learning_rate};
    crew_run(s->threads, update_part, &u);
    *finite = true;
    for (uint32_t t = 0; t < crew_threads(s->threads); t++)
        *finite &= s->parts[t].finite;
    for (uint32_t i = 0; i < s->count; i++) {
        stored_slice *stored = &s->slices[i];
        buffer_unref(&stored->payload);
        buffer_unref(&stored->previous);
        stored->previous = stored->current;
        stored->current = stored->next;
        stored->next = NULL;
        for (int k = 0; stored->slots_held && k < OPTIMIZER_SLOTS_MAX; k++) {
            buffer *held = stored->slots[k];
            stored->slots[k] = stored->spare_slots[k];
            stored->spare_slots[k] = held;
        }
    }
    return PS_OK;
}

void store_skip(store *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        stored_slice *stored = &s->slices[i];
        if (!stored->next && stored->previous && !buffer_is_shared(stored->previous)) {
            stored->next = stored->previous; /* memory for the update to come */
            stored->previous = NULL;
        }
        buffer_unref(&stored->previous);
        stored->previous = buffer_ref(stored->current);
    }
}
