/* latency.c - see latency.h. */
#include "tests/bench/latency.h"

#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

void latency_summarise(latency_log *log, double latency_s[LATENCIES])
{
    static const double share[LATENCIES] = {
        [LATENCY_P50] = 0.5, [LATENCY_P99] = 0.99, [LATENCY_P999] = 0.999};
    qsort(log->seconds, log->count, sizeof *log->seconds, by_value);
    for (int i = 0; i < LATENCIES; i++)
        latency_s[i] = log->count ? (double)log->seconds[(uint32_t)(share[i] * (log->count - 1))] : 0;
    log->count = 0;
}
