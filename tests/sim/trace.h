/* trace.h - what happened, one line per event, for a person who replays a seed. */
#ifndef PENSTOCK_TESTS_SIM_TRACE_H
#define PENSTOCK_TESTS_SIM_TRACE_H

#include <stdint.h>
#include <stdio.h>

enum { TRACE_NAME_BYTES = 32 };

typedef struct {
    FILE *file; /* NULL: nothing is written */
} trace;

/* "    1234 ms  <what>" */
void trace_line(const trace *t, uint64_t now_ms, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
