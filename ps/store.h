/* store.h - the floats of a shard: weights by version, optimizer slots, and the update that turns one
 * version into the next.
 *
 * Weights are in reference-counted buffers. An update never writes the current one: it goes into a spare
 * that nobody else holds, so a reply, a checkpoint or the version before the current one is just a
 * reference. When an update leaves a shard, each slice has its current and its previous version. Slots are
 * updated in place unless someone holds them, as a checkpoint does: then into spare ones.
 *
 * Knows slices by ordinal (their place in this shard); not steps, workers or messages.
 *
 * One thread calls; a crew shares the arithmetic. Each of its threads owns a fixed part of the elements,
 * equal but for some pages, and is the first to touch their memory; bits do not depend on the number of
 * threads. */
#ifndef PENSTOCK_PS_STORE_H
#define PENSTOCK_PS_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/partition.h"
#include "common/pool.h"
#include "ps/crew.h"

typedef struct store store;

/* Bytes that a store for `server` needs: weights in two versions, also as payloads, and slots. While images
 * of it are held (ps/archive.h) it takes as much again as each holds. */
uint64_t store_bytes(const job_config *job, const partition *p, uint32_t server);

/* Allocates the slices of `server`, whose floats mean nothing until store_initialize or whoever fills
 * store_array. `job`, `p`, `memory`, where weights are kept, and `threads` are borrowed. PS_ENOMEM. */
ps_status store_create(const job_config *job, const partition *p, uint32_t server, pool *memory,
                       crew *threads, store **out);
void store_destroy(store **s);

/* Memory for one more version of all weights and slots: what updates will need once an image is held. It goes
 * to them when the references are dropped. Memory that is new costs an update several times its own time, so
 * whoever has time to spare writes to it before. Returns (*count) references, the caller's as is the array;
 * NULL: out of memory. */
buffer **store_reserve(store *s, uint32_t *count);

/* The initial values of weights and slots, as after no update. */
void store_initialize(store *s);

/* (count of the slice) f32 to be filled: the weights of a slice (array 0), or its slots (1, 2); NULL if it
 * has no such slot. Of a store of which nothing has been given out yet. */
float *store_array(store *s, uint32_t ordinal, uint32_t array);

/* The number of updates that the slices have seen, which some optimizers reckon with. */
uint64_t store_updates(const store *s);
void store_set_updates(store *s, uint64_t updates);

/* The current version of a slice, borrowed; take a reference to keep it. */
buffer *store_weights(const store *s, uint32_t ordinal);

/* The same as a payload of that codec, one that all readers of this version share: it is made on first demand
 * and kept until the version changes. One codec beside fp32 at a time. NULL: out of memory. */
buffer *store_payload(store *s, uint32_t ordinal, const codec_config *codec);

/* The slots of a slice, borrowed as its weights; NULL if it has no such slot. */
buffer *store_slot(const store *s, uint32_t ordinal, uint32_t slot);

/* Is the version before the current one of every slice still here? It is, from the first update on. */
bool store_keeps_previous(const store *s);

/* That version as a payload of that codec: a reference for the caller. NULL: out of memory. */
buffer *store_previous(const store *s, uint32_t ordinal, const codec_config *codec);

/* One worker's share of an update: `slices` (one payload in its tensor's push codec per ordinal) is borrowed.
 */
typedef struct {
    buffer *const *slices;
    float weight; /* as optimizer_gradient.weight */
} store_gradient;

/* Replaces every slice by its next version. `finite`: false if some element's reduced gradient was NaN or Inf
 * and has been taken for 0 (ps/optimizer.h). PS_ENOMEM before anything is changed. */
ps_status store_apply(store *s, const store_gradient *gradients, uint32_t count, float learning_rate,
                      bool *finite);

/* The next version is the current one: an update to which nobody had anything to contribute. */
void store_skip(store *s);

#endif
