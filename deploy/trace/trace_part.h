/* trace_part.h - reads what one process has left of a trace (common/trace_format.h).
 *
 * A process that was killed leaves a file without an end, perhaps with half a block behind it; a disk may
 * have damaged one. All whole blocks before that are taken, and why the rest is not is said in `cut`. Only a
 * file whose head cannot be read is refused. */
#ifndef PENSTOCK_DEPLOY_TRACE_PART_H
#define PENSTOCK_DEPLOY_TRACE_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"
#include "common/trace_format.h"

enum { TRACE_PART_THREADS_MAX = 1 << 16 /* of one process, one after the other */ };

typedef struct {
    trace_event event;
    uint32_t thread;
} trace_entry;

typedef struct {
    uint32_t thread;
    char name[TRACE_THREAD_NAME_BYTES];
} trace_part_thread;

typedef struct {
    trace_head head; /* its texts are terminated */
    trace_entry *entries;
    size_t entry_count;
    trace_part_thread *threads; /* a thread may be there twice: the last name counts */
    size_t thread_count;
    trace_mark_text *marks; /* their texts are terminated */
    size_t mark_count;
    uint64_t lost; /* events that the process had to drop */
    bool ended;    /* in order */
    char cut[160]; /* why the file is not used from some byte on; empty: it is used to its end */
} trace_part;

/* Of `count` bytes. PS_EFORMAT: no part of a trace; PS_ENOMEM. On failure there is nothing to release. */
ps_status trace_part_parse(const void *bytes, size_t count, trace_part *out, ps_error *error);

/* The same of a file. PS_ENOENT, PS_EIO; what fails is named by its path. */
ps_status trace_part_read(const char *path, trace_part *out, ps_error *error);

void trace_part_fini(trace_part *p);

/* The name of a thread, or "thread N" in `text`. */
const char *trace_part_thread_name(const trace_part *p, uint32_t thread, char text[TRACE_THREAD_NAME_BYTES]);

#endif
