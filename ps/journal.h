/* journal.h - where every message that changes a shard is written down before anyone hears of its effect.
 *
 * The durability level `log`. A shard is a pure state machine, so the messages that changed it since an
 * image, in the order in which they were taken in, give the same shard again, bit for bit, in every mode.
 * The shard appends each such message before it acts on it (ps/shard_journal.c); the journal keeps it where
 * it outlives the process, and tells up to which record everything is durable.
 *
 * Whether there is one is each ps's own choice, not the job's: it changes no bit and no message, and disks
 * belong to hosts. Where some ps have none, those may be at an earlier step after a fault, as without it.
 *
 * The rule that makes an acknowledgement a promise: no answer of any kind leaves the shard before everything
 * that the shard had taken in when the answer was made is durable. So nobody, by push or pull, ever hears of
 * an update that a crash could undo.
 *
 * A journal is cut into segments. Each begins with a base: what the shard is before the first of its records.
 * That is an image (ps/archive.h), the initial values, or the image that a RESTORE went back to. When images
 * are durable the segments before them are dropped: kept is what has come since the last image but one of
 * those known to be durable, so that one damaged image loses nothing, and a synchronous shard has the version
 * before its current one again.
 *
 * What a journal is made of is behind a small table: files (journal_file.h), or what a simulator thinks up.
 */
#ifndef PENSTOCK_PS_JOURNAL_H
#define PENSTOCK_PS_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/wire.h"

enum { JOURNAL_BASES_MAX = 4096 }; /* segments of one shard; few, unless images fail in very many lives */

/* Whose it is. */
typedef struct {
    uint64_t job; /* fingerprint */
    uint32_t server, servers;
} journal_owner;

/* What a segment begins with. */
typedef struct {
    uint64_t step;    /* of the image; 0: the initial values */
    uint64_t epoch;   /* of the shard from there on */
    bool leap;        /* does not follow from the records before it: they are of no use any more */
    uint32_t carried; /* records to come that belong to it: without all of them it is no base to begin from */
} journal_base;

/* One record is taken back. A `carried` one stood before the base already (journal_ops.append). Anything but
 * PS_OK ends the reading. */
typedef ps_status journal_take(void *context, wire_message **message, bool carried, ps_error *error);

typedef struct journal journal;

/* All are called by the shard's thread. */
typedef struct {
    /* Looks for the journal of `owner`. `bases` (JOURNAL_BASES_MAX) receives those that a shard can begin
     * from, the newest first; `count` 0: there is no journal yet. PS_EMISMATCH: what is there is of another
     * job or number of ps; PS_EFORMAT: it is damaged; PS_EIO, PS_ENOMEM. */
    ps_status (*open)(journal *self, const journal_owner *owner, journal_base *bases, uint32_t *count,
                      ps_error *error);

    /* Hands out all records that follow bases[number], oldest first, but for those that were carried over for
     * the bases after it: they have been handed out as what they were. May be repeated. What a crash left
     * unfinished at the end is not handed out. PS_EFORMAT names the place of the damage; PS_EIO, PS_ENOMEM;
     * what `take` returned. */
    ps_status (*replay)(journal *self, uint32_t number, journal_take *take, void *context, ps_error *error);

    /* A new segment. `kept`: the step of the newest image known to be durable, for older segments to go; 0:
     * none. Returns the position from which on the segment is there; 0: out of memory. */
    uint64_t (*begin)(journal *self, const journal_base *base, uint64_t kept);

    /* Appends a message of at most WIRE_SLICES_MAX slices by reference: payloads are held, not copied, and
     * must not change until the record is durable. Of the message, which is a worker's, it keeps type (HELLO,
     * PUSH for both pushes, FINISH, RESTORE, LEAVE for any new list of members), index, incarnation, epoch,
     * step, examples, clip factor, nonfinite, after_finish, slices, payloads and members. `carried`: it is
     * repeated for a new base, to be taken in before the shard goes on. Returns the position of the record,
     * which is greater than those before; 0: out of memory, or the last `begin` was. */
    uint64_t (*append)(journal *self, const wire_message *message, bool carried);

    /* Everything up to this position is durable. */
    uint64_t (*durable)(const journal *self);

    void (*destroy)(journal *self);
} journal_ops;

struct journal {
    const journal_ops *ops;
};

#endif
