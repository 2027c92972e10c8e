/* latency.h - how long did single operations take? Collects, and tells percentiles. */
#ifndef PENSTOCK_BENCH_LATENCY_H
#define PENSTOCK_BENCH_LATENCY_H

#include <stdint.h>

#include "tests/bench/actor.h"

enum { LATENCY_MAX = 1 << 20 }; /* operations beyond this are not looked at */

typedef struct {
    uint32_t count;
    float seconds[LATENCY_MAX];
} latency_log;

static inline void latency_add(latency_log *log, double seconds)
{
    if (log->count < LATENCY_MAX)
        log->seconds[log->count++] = (float)seconds;
}

/* Percentiles of what was collected since the last time, and forgets it. */
void latency_summarise(latency_log *log, double latency_s[LATENCIES]);

#endif
