/* journal_folder.h - which segments of durability logs lie in a folder, by names and heads.
 *
 *   DIR/ps-0-of-2/000000000001.log   segments of one shard, in the order of their numbers
 *   DIR/ps-0.lock                    locked by the process that is this ps, as long as it uses its log
 *
 * Private to ps/journal_*.c. */
#ifndef PENSTOCK_PS_JOURNAL_FOLDER_H
#define PENSTOCK_PS_JOURNAL_FOLDER_H

#include "common/path.h"
#include "ps/journal_format.h"

typedef struct {
    uint64_t number, sequence; /* of the file, and of its head */
    journal_base base;
    bool usable; /* the image that it begins with is known to be durable */
} journal_segment;

typedef struct {
    char path[PATH_BYTES];     /* of the shard's folder */
    journal_segment *segments; /* owned, oldest first */
    uint32_t count, room;
} journal_folder;

/* Locks the log of shard `server`, whatever its number of ps, for this process; makes the folder if need be.
 * `lock` is for journal_folder_unlock. PS_EIO: another process has it, or it cannot be had; PS_ENOMEM. */
ps_status journal_folder_lock(const char *folder, uint32_t server, int *lock, ps_error *error);
void journal_folder_unlock(const char *folder, uint32_t server, int lock);

/* What is there of this owner; a missing folder holds nothing. PS_EMISMATCH: logs of another number of ps, or
 * of another job, lie there; PS_EFORMAT, PS_EIO, PS_ENOMEM. On failure `f` is empty. */
ps_status journal_folder_open(const char *folder, const journal_owner *owner, journal_folder *f,
                              ps_error *error);

/* Does nothing on an empty one. */
void journal_folder_fini(journal_folder *f);

/* Is there a log of a shard of that index, whatever its number of ps? Its folder in `path` then. */
bool journal_folder_finds(const char *folder, uint32_t server, char path[PATH_BYTES]);

/* Path of a segment. PS_EIO: it is too long. */
ps_status journal_folder_path(const journal_folder *f, uint64_t number, char path[PATH_BYTES],
                              ps_error *error);

/* Makes the file of a new, last segment, and makes it durable. PS_ELIMIT, PS_EIO, PS_ENOMEM. */
ps_status journal_folder_add(journal_folder *f, const journal_owner *owner, const journal_base *base,
                             uint64_t sequence, ps_error *error);

/* Removes the `count` oldest. What cannot be removed stays, and is found again by the next process. */
void journal_folder_drop(journal_folder *f, uint32_t count);

#endif
