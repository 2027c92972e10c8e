/* trace.h - what a process does and when, written down while it does it, at the price of a branch if nobody
 * wants it.
 *
 *     const uint64_t begun_ns = trace_begin();
 *     ...
 *     trace_span(TRACE_STEP, begun_ns, (trace_about){.step = step, .value = rows});
 *
 * Each thread has a ring of its own, made when it first records something: recording copies 56 bytes, and
 * neither locks, allocates, formats nor writes. A thread of this module empties the rings into a file every
 * TRACE_FLUSH_MS, the part of this process (common/trace_format.h); a process that is killed loses no more
 * than that. Everything is bounded: what finds no room in a ring, or in the file, is dropped and counted, and
 * the trace says so.
 *
 * Marks with a text come from the log: its events, warnings and errors (log_set_listener).
 *
 * Threads: trace_open and trace_close are called from main, while no other thread records; the rest by any.
 */
#ifndef PENSTOCK_COMMON_TRACE_H
#define PENSTOCK_COMMON_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/status.h"
#include "common/trace_format.h"
#include "common/trace_options.h"

enum {
    TRACE_RING_EVENTS = 1 << 14, /* of a thread; emptied early when it is half full */
    TRACE_THREADS_MAX = 64,      /* at a time */
    TRACE_MARKS_MAX = 256,       /* with a text, between two flushes */
    TRACE_FLUSH_MS = 100,
};

/* Who leaves this part. */
typedef struct {
    const char *who; /* "worker/1" */
    trace_role role;
    uint32_t index; /* among those of its role */
} trace_identity;

/* What an event is about; trace_kinds.h says what each kind fills in. */
typedef struct {
    uint64_t step, request, incarnation, value;
    uint16_t member, peer;
} trace_about;

/* Written by trace_open and trace_close alone. */
extern bool trace_is_on;

/* Begins to trace, into a new file in the folder of the options; does nothing if they name none. PS_EIO with
 * path and cause; PS_ENOMEM. */
ps_status trace_open(const trace_options *options, const trace_identity *self, ps_error *error);

/* Writes what is left and ends. Does nothing where nothing is traced. */
void trace_close(void);

/* Names the calling thread in the trace; else it has a number. */
void trace_name_thread(const char *name);

/* trace_span and trace_point once it is known that there is a trace. */
void trace_record(trace_kind kind, uint64_t begun_ns, uint64_t ended_ns, const trace_about *about);

/* How a worker, by its rank, or an evaluator is named in `member` and `peer`. */
static inline uint16_t trace_member(uint32_t index, bool evaluates)
{
    return (uint16_t)(index % TRACE_MEMBERS_MAX + (evaluates ? TRACE_MEMBERS_MAX : 0));
}

/* The time, for trace_span; 0 where nothing is traced. */
static inline uint64_t trace_begin(void)
{
    return __builtin_expect(trace_is_on, false) ? clock_monotonic_ns() : 0;
}

/* From then until now. */
static inline void trace_span(trace_kind kind, uint64_t begun_ns, trace_about about)
{
    if (__builtin_expect(trace_is_on, false))
        trace_record(kind, begun_ns, clock_monotonic_ns(), &about);
}

/* A point, or a mark, of that time. */
static inline void trace_point(trace_kind kind, uint64_t at_ns, trace_about about)
{
    if (__builtin_expect(trace_is_on, false))
        trace_record(kind, at_ns, at_ns, &about);
}

#endif
