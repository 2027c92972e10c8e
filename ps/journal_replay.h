/* journal_replay.h - reads a segment of a durability log: all its records, and that none is missing.
 *
 * Private to ps/journal_*.c. */
#ifndef PENSTOCK_PS_JOURNAL_REPLAY_H
#define PENSTOCK_PS_JOURNAL_REPLAY_H

#include "ps/journal_folder.h"

typedef struct {
    uint64_t sequence;     /* of the last good record, or of the head */
    uint64_t good, behind; /* bytes up to its end, and after it: what a crash has left unfinished */
    char path[PATH_BYTES]; /* of the segment */
} journal_end;

/* Hands out the records of segments[index]; `further`: without those that were carried over, which have been
 * handed out as what they were. `end` is filled on success. PS_EFORMAT names the place of the damage;
 * PS_ENOENT, PS_EIO, PS_ENOMEM; what `take` returned. */
ps_status journal_replay_segment(const journal_folder *f, uint32_t index, bool further, journal_take *take,
                                 void *context, journal_end *end, ps_error *error);

#endif
