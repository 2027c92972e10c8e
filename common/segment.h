/* segment.h - memory that other processes on this host can map: tensors change hands without being copied.
 *
 * A segment is an anonymous memory file (memfd_create). Its size is sealed, so that no one who has mapped it
 * can be tripped by its being cut. Others know it by its name, a handful of numbers that travel in messages,
 * and open it as /proc/PID/fd/FD: that needs no more than the same host, user and process namespace, and
 * where it fails, tensors go through the socket. A secret token in the segment's first bytes proves that the
 * name came from its owner and not from a stranger who guesses, or from another host.
 *
 * A reader maps for reading only. Nothing needs to be cleaned up, however a process ends: the memory goes
 * with the last one that has it mapped. Pages exist from their first use on, so a segment may be made larger
 * than what is used of it.
 *
 * Functions are thread-safe on different segments. */
#ifndef PENSTOCK_COMMON_SEGMENT_H
#define PENSTOCK_COMMON_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

/* Offset of the first byte that is the owner's to use. */
enum { SEGMENT_HEAD_BYTES = 4096 };

typedef struct {
    uint32_t pid, fd;
    uint64_t bytes; /* of the whole segment, head included */
    uint64_t token[2];
} segment_name;

typedef struct segment segment;

/* A segment of this process with room for `bytes`, zeroed. PS_EIO if the system has no such thing; PS_ENOMEM.
 */
ps_status segment_create(size_t bytes, segment **out);

/* Maps the segment of that name. PS_EIO: it cannot be opened, as on another host; PS_EPROTOCOL: it is not
 * what the name says; PS_ENOMEM. */
ps_status segment_attach(const segment_name *name, segment **out, ps_error *error);

/* Unmaps; nulls the pointer. Does nothing on NULL. */
void segment_destroy(segment **s);

const segment_name *segment_name_of(const segment *s);

/* Byte `offset` of the segment. May be written by the owner alone; a reader's mapping is read-only. */
void *segment_at(const segment *s, uint64_t offset);

/* Has the process ended that an attached segment belongs to? */
bool segment_is_orphan(const segment *s);

#endif
