/* trace_clock.h - brings the parts of a trace to one clock.
 *
 * Processes of one kernel, and of one time namespace, share CLOCK_MONOTONIC: nothing is to be done there, and
 * nothing is. Between hosts the clocks are found from the requests themselves, as NTP does it (Mills, RFC
 * 5905): a request leaves at t1 and comes in at t2, its answer leaves at t3 and comes in at t4; t1 and t4 by
 * the worker's clock, t2 and t3 by that of the ps. The ps' clock is ahead by ((t2 - t1) + (t3 - t4)) / 2,
 * wrong by no more than half of what the two ways took together, (t4 - t1) - (t3 - t2). How long the ps kept
 * the request does not matter. Clocks drift apart, by milliseconds an hour: so of each TRACE_CLOCK_WINDOW_NS
 * the quickest exchange counts, and between them it goes in a straight line.
 *
 * A host that has exchanged nothing with others is put where its calendar says. */
#ifndef PENSTOCK_DEPLOY_TRACE_CLOCK_H
#define PENSTOCK_DEPLOY_TRACE_CLOCK_H

#include "deploy/trace/trace_part.h"

#define TRACE_CLOCK_WINDOW_NS UINT64_C(5000000000)

typedef struct {
    uint32_t hosts;        /* that do not share a clock */
    uint32_t by_calendar;  /* of them, those that only the calendar places */
    uint64_t uncertain_ns; /* at most, of the others */
} trace_clocks;

/* Changes all times of all parts to the clock of the first one. PS_ENOMEM. */
ps_status trace_clock_align(trace_part *parts, size_t count, trace_clocks *found);

#endif
