/* archive.h - where a shard's past is kept: images of it go in, and come back after a fault.
 *
 * An image is a shard as it was after one step: references to its buffers, taken in microseconds, and what
 * else it has to know. What an archive is made of is behind a small table: files (archive_folder.h), or
 * whatever a simulator thinks up. */
#ifndef PENSTOCK_PS_ARCHIVE_H
#define PENSTOCK_PS_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/checkpoint.h"
#include "common/partition.h"
#include "ps/store.h"

typedef struct {
    const job_config *job; /* borrowed of the shard, as is the partition: both outlive the image */
    const partition *partition;
    uint32_t server;
    checkpoint_state state; /* owned */
    uint32_t slices, slots;
    buffer *arrays[]; /* (slices x (1 + slots)) references: weights, then slots, of each ordinal */
} image;

/* Of a store after an update. `state` is taken over by success. NULL: out of memory. */
image *image_take(const job_config *job, const partition *p, uint32_t server, const store *s,
                  checkpoint_state *state);

/* Drops the references; nulls the pointer; does nothing on NULL. On any thread. */
void image_destroy(image **i);

typedef struct archive archive;

typedef enum {
    IMAGE_UNKNOWN, /* it was never given, is still to be written, or is long past */
    IMAGE_KEPT,
    IMAGE_LOST, /* it could not be kept */
} image_fate;

/* All are called by the shard's thread. */
typedef struct {
    /* Takes the image, to be kept where it outlives this process. Returns before it is. An archive that
     * cannot keep it says so in the log and counts it; the shard goes on. */
    void (*keep)(archive *self, image **taken);

    /* Memory that updates will need while an image is held is to be written to, and then let go of; takes the
     * references and the array. NULL: of no use. */
    void (*warm)(archive *self, buffer **memory, uint32_t count);

    /* Has every image been kept, or failed to be? */
    bool (*is_idle)(const archive *self);

    /* The newest step below `below` to which all shards of this training can go; 0: only to the start.
     * PS_EMISMATCH: what is there is of another training; PS_EIO. */
    ps_status (*newest)(archive *self, const job_config *job, uint64_t below, uint64_t *step,
                        ps_error *error);

    /* Fills a new store, and `state`, with what the shard was at `step`. PS_EFORMAT if that is damaged; it is
     * not offered by `newest` again. PS_ENOENT, PS_EIO, PS_ENOMEM. On failure the floats mean nothing, and
     * `state` is empty. */
    ps_status (*load)(archive *self, uint64_t step, const job_config *job, const partition *p,
                      uint32_t server, store *into, checkpoint_state *state, ps_error *error);

    /* Removes the images that this shard itself has kept, or is about to keep, of steps beyond `step`: they
     * do not come back, whatever happens. NULL: there are none. PS_EIO, PS_ENOMEM: some may still be there.
     */
    ps_status (*forget_beyond)(archive *self, uint64_t step, const job_config *job, uint32_t server,
                               ps_error *error);

    /* The next three are for shards with a journal (ps/journal.h). */

    /* As load, but of the image that this shard itself has kept, whether or not the others kept theirs.
     * PS_ENOENT: it has none. */
    ps_status (*load_own)(archive *self, uint64_t step, const job_config *job, const partition *p,
                          uint32_t server, store *into, checkpoint_state *state, ps_error *error);

    /* Removes the image that this shard itself has kept of `step`, if there is one: it does not come back,
     * whatever happens. NULL: no image outlives a training that another one begins anew. PS_EIO, PS_ENOMEM:
     * it may still be there. */
    ps_status (*forget_own)(archive *self, uint64_t step, const job_config *job, uint32_t server,
                            ps_error *error);

    /* The step of the newest image that has been kept since the archive was made; 0: none. */
    uint64_t (*newest_kept)(const archive *self);

    /* What has become of the newest image of `step`? Final once the archive is idle. */
    image_fate (*fate)(const archive *self, uint64_t step);

    void (*destroy)(archive *self);
} archive_ops;

struct archive {
    const archive_ops *ops;
};

#endif
