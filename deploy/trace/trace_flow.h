/* trace_flow.h - which spans of different processes belong to one request: the arrows of a trace.
 *
 * A request is known by worker, incarnation and number, which are in its message anyway; a gradient by
 * worker, incarnation and step. A step may be pushed to a ps in several requests; all of them go through its
 * update. */
#ifndef PENSTOCK_DEPLOY_TRACE_FLOW_H
#define PENSTOCK_DEPLOY_TRACE_FLOW_H

#include "deploy/trace/trace_index.h"

typedef enum {
    TRACE_HOP_SENT,
    TRACE_HOP_RECEIVED,
    TRACE_HOP_APPLIED,
    TRACE_HOP_ANSWERED,
    TRACE_HOP_TAKEN,
    TRACE_HOP_COUNT,
} trace_hop;

/* In the order of time; what is not known, as when a process was killed, is left out. */
typedef struct {
    uint64_t id; /* differs from flow to flow */
    bool pushes;
    struct {
        const trace_entry *entry; /* NULL: not known */
        size_t part;
    } hops[TRACE_HOP_COUNT];
} trace_flow;

typedef struct {
    trace_flow *list;
    size_t count;
    uint64_t applied;       /* gradients in all updates */
    uint64_t applied_alone; /* of these, those of which no push is known */
} trace_flows;

/* Parts share a clock by now. PS_ENOMEM. */
ps_status trace_flow_find(const trace_part *parts, size_t count, trace_flows *out);
void trace_flow_fini(trace_flows *flows);

#endif
