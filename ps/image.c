/* image.c - references to a shard's buffers; see archive.h. */
#include <stdlib.h>

#include "ps/archive.h"
#include "ps/optimizer.h"

image *image_take(const job_config *job, const partition *p, uint32_t server, const store *s,
                  checkpoint_state *state)
{
    uint32_t slices = partition_server_count(p, server), slots = optimizer_slots(&job->optimizer);
    image *i = malloc(sizeof *i + (size_t)slices * (1 + slots) * sizeof i->arrays[0]);
    if (!i)
        return NULL;
    *i = (image){
        .job = job, .partition = p, .server = server, .state = *state, .slices = slices, .slots = slots};
    *state = (checkpoint_state){0};
    buffer **next = i->arrays;
    for (uint32_t ordinal = 0; ordinal < slices; ordinal++) {
        *next++ = buffer_ref(store_weights(s, ordinal));
        for (uint32_t k = 0; k < slots; k++)
            *next++ = buffer_ref(store_slot(s, ordinal, k));
    }
    return i;
}

void image_destroy(image **handle)
{
    image *i = *handle;
    *handle = NULL;
    if (!i)
        return;
    for (size_t k = 0; k < (size_t)i->slices * (1 + i->slots); k++)
        buffer_unref(&i->arrays[k]);
    checkpoint_state_fini(&i->state);
    free(i);
}
