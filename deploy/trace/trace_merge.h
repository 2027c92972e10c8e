/* trace_merge.h - makes one trace of the parts that the processes of a cluster have left. */
#ifndef PENSTOCK_DEPLOY_TRACE_MERGE_H
#define PENSTOCK_DEPLOY_TRACE_MERGE_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"
#include "deploy/trace/trace_clock.h"
#include "deploy/trace/trace_json.h"

enum { TRACE_PARTS_MAX = 4096 };

/* Which parts there are: names of files. Start from zeros. */
typedef struct {
    char *paths[TRACE_PARTS_MAX];
    size_t count;
} trace_paths;

/* Adds a part, or those in a folder, which are known by their ending. PS_ENOENT, PS_EIO; PS_ELIMIT beyond
 * TRACE_PARTS_MAX; PS_ENOMEM. */
ps_status trace_paths_add(trace_paths *paths, const char *path, ps_error *error);

/* Removes these files. */
void trace_paths_remove(const trace_paths *paths);

void trace_paths_fini(trace_paths *paths);

typedef struct {
    size_t used;
    uint64_t lost;
    uint64_t without_push; /* gradients in updates whose push is in no part */
    trace_clocks clocks;
    trace_json_counts written;
} trace_summary;

/* Is told, in one line, of what is left out of a part. */
typedef void trace_complain(void *context, const char *line);

/* Writes the trace of all parts to `output`, which is there whole or not at all. Parts that cannot be used
 * are left out and complained of; if that are all, PS_EFORMAT. PS_EIO, PS_ENOMEM. */
ps_status trace_merge(const trace_paths *paths, const char *output, trace_complain *complain, void *context,
                      trace_summary *summary, ps_error *error);

/* "7 processes, 12345 spans, ...": what a person wants to know of it. */
void trace_summary_describe(const trace_summary *summary, char *text, size_t bytes);

#endif
