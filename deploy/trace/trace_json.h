/* trace_json.h - writes a trace in the JSON that ui.perfetto.dev and chrome://tracing read.
 *
 * The format: «Trace Event Format», in its form as an object. Each part is a process; each lane of each of
 * its threads a thread there. Spans are complete events ("X"), marks instants ("i"), flows "s", "t" and "f",
 * times microseconds from the first event on. */
#ifndef PENSTOCK_DEPLOY_TRACE_JSON_H
#define PENSTOCK_DEPLOY_TRACE_JSON_H

#include <stdio.h>

#include "deploy/trace/trace_clock.h"
#include "deploy/trace/trace_flow.h"

/* What was written. */
typedef struct {
    uint64_t spans, marks, flows;
} trace_json_counts;

/* Parts in the order in which they are to be shown; several lives of a process one after the other. Errors of
 * `out` are the caller's to look for. PS_ENOMEM. */
ps_status trace_json_write(FILE *out, const trace_part *parts, size_t count, const trace_flows *flows,
                           const trace_clocks *clocks, trace_json_counts *counts);

#endif
