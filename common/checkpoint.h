/* checkpoint.h - what survives: the shards of a job at one step, in files that show every damage.
 *
 * A folder that all ps of a job see holds one folder per cut, and in it two files per shard:
 *
 *   DIR/step-000000000200/ps-0-of-2.safetensors   weights and optimizer slots, one entry per slice and kind
 *   DIR/step-000000000200/ps-0-of-2.json          the manifest: what they are, a CRC of each (written last)
 *
 * Each is written to a temporary name, fsynced and renamed, and so are the folders: a shard is in the cut
 * when its manifest is. A cut is whole when every one of some N ps that holds slices is in it. Whole cuts can
 * be read into any number of ps, cut into slices of any size.
 *
 * Manifests are judged byte by byte (common/checkpoint_manifest.h); arrays against their CRC when they are
 * read. CRCs find what disks and crashes do, not malice.
 *
 * Pure but for the file system. Thread-safe, as long as no two threads or processes write the same shard. */
#ifndef PENSTOCK_COMMON_CHECKPOINT_H
#define PENSTOCK_COMMON_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/members.h"
#include "common/partition.h"
#include "common/status.h"

enum {
    CHECKPOINT_SLOTS_MAX = 2,   /* optimizer slots beside the weights (ps/optimizer.h) */
    CHECKPOINT_CUTS_MAX = 4096, /* in one folder; the newest are seen */
};

/* One worker: its last step that was pushed and applied. */
typedef struct {
    uint64_t pushed;
    bool finished;
} checkpoint_clock;

/* What a shard is, beside its floats. */
typedef struct {
    uint64_t step; /* that names the cut, from 1 on: sync: the last one applied; else the shard's updates */
    uint64_t updates;  /* that its slices have seen */
    uint64_t examples; /* rows applied */
    uint64_t epoch;    /* how often the shards had gone back together (proto/penstock.proto) */
    bool final;        /* every worker had finished */
    uint32_t clock_count;
    checkpoint_clock *clocks; /* (clock_count) per worker, owned */
    members_list members;     /* who took part, and will, in which steps; owned */
} checkpoint_state;

/* Frees and empties; does nothing on an empty one. */
void checkpoint_state_fini(checkpoint_state *state);

/* One slice, (its count) f32 each: weights, then optimizer slots; unused ones NULL. */
typedef struct {
    const float *arrays[1 + CHECKPOINT_SLOTS_MAX];
} checkpoint_source;
typedef struct {
    float *arrays[1 + CHECKPOINT_SLOTS_MAX];
} checkpoint_target;

/* Adds shard `server` of a job and its partition to the cut state->step: its slices, in the order of their
 * ordinals, with `slots` slots each. It is durable when this returns PS_OK. Arrays are written from where
 * they are. PS_EIO with path and cause: other cuts are untouched, and so is an earlier one of this step, but
 * that its arrays may be new ones already (in synchronous training the same; else their CRCs show it);
 * PS_EINVAL: more arrays than a file holds (TENSOR_TABLE_MAX); PS_ENOMEM. */
ps_status checkpoint_write(const char *folder, const job_config *job, const partition *p, uint32_t server,
                           const checkpoint_state *state, uint32_t slots, const checkpoint_source *slices,
                           ps_error *error);

/* Is told of a cut that cannot be used. */
typedef void checkpoint_passed(uint64_t step, const char *why);

/* The step of the newest whole cut below step `below`; 0 if there is none. One that the disk cannot read now
 * counts: loading it says whether it can be used. `passed` (may be NULL) is told of each above it that is
 * not. PS_EMISMATCH: that cut is of another training, with what differs: anything that determines the
 * weights. What may be another: numbers of ps, workers and evaluators, slice size, staleness, backup workers,
 * guard, policy for lost workers, codecs. PS_EIO: the folder cannot be read; PS_ENOMEM.
 */
ps_status checkpoint_newest(const char *folder, const job_config *job, uint64_t below, uint64_t *step,
                            checkpoint_passed *passed, ps_error *error);

/* Reads shard `server` of `job` and its partition from the whole cut `step`, whatever it was written by. All
 * that is read has been checked when this returns PS_OK. `state`: of the same shard, if there is one of the
 * same number of ps, else the lowest of those it was put together from; free it by checkpoint_state_fini.
 * PS_EFORMAT names the file and the damage; PS_ENOENT: there is no such whole cut; PS_EMISMATCH; PS_EIO;
 * PS_ENOMEM: the targets then hold rubbish, and `state` is empty. */
ps_status checkpoint_load(const char *folder, uint64_t step, const job_config *job, const partition *p,
                          uint32_t server, uint32_t slots, const checkpoint_target *slices,
                          checkpoint_state *state, ps_error *error);

/* Reads what shard `server` itself has written for the cut `step` under this very job, whether or not the
 * others' shards are there. PS_ENOENT: it has written none; else as checkpoint_load. */
ps_status checkpoint_load_own(const char *folder, uint64_t step, const job_config *job, uint32_t server,
                              uint32_t slots, const checkpoint_target *slices, checkpoint_state *state,
                              ps_error *error);

/* Takes shard `server` of `servers` out of the cut `step`: it is not in it, even after a power cut, when this
 * returns PS_OK, whether or not it was before. PS_EIO, PS_ENOMEM. */
ps_status checkpoint_remove_own(const char *folder, uint64_t step, uint32_t server, uint32_t servers,
                                ps_error *error);

/* ... out of all cuts beyond `step`. */
ps_status checkpoint_remove_own_beyond(const char *folder, uint64_t step, uint32_t server, uint32_t servers,
                                       ps_error *error);

/* After shard `server` has written cut `newest`: removes its files of cuts older than the newest `keep` whole
 * ones of its number of ps, up to that one; the first shard removes what other numbers of ps have left there
 * too. Of cuts that others have failed to make whole, the newest `keep` stay until one above them is; of
 * crashes, nothing. Cuts beyond `newest` are left alone: training has gone back from them, and will come by
 * again. Files that are not a checkpoint's by name are left alone. PS_EIO, PS_ENOMEM. */
ps_status checkpoint_prune(const char *folder, uint32_t keep, const partition *p, uint32_t server,
                           uint64_t newest, ps_error *error);

/* Removes a cut, whoever wrote it, and nothing else that lies in its folder. PS_ENOENT: there is none;
 * PS_EIO, some of it then being gone. */
ps_status checkpoint_remove(const char *folder, uint64_t step, ps_error *error);

/* A cut, as a person wants to see it. */
typedef struct {
    uint64_t step;
    uint32_t servers, shards; /* ps that it was written by, and those of them that are in it */
    uint64_t bytes;           /* of arrays */
    bool final;
    bool whole;
    char damage[256]; /* why it cannot be used, or empty */
} checkpoint_cut;

/* What is in a folder, newest first: up to `max` cuts. `verify`: every array is read and checked. A missing
 * folder has no cuts. PS_EIO, PS_ENOMEM. */
ps_status checkpoint_list(const char *folder, bool verify, checkpoint_cut *cuts, uint32_t max,
                          uint32_t *count, ps_error *error);

#endif
