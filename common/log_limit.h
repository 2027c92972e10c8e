/* log_limit.h - lets a few lines of one kind a second into the log, and counts those that it holds back.
 *
 * For what strangers can cause as often as they like. One thread. */
#ifndef PENSTOCK_COMMON_LOG_LIMIT_H
#define PENSTOCK_COMMON_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"

enum { LOG_LIMIT_LINES = 5, LOG_LIMIT_MS = 1000 };

/* Start from zeros. */
typedef struct {
    uint64_t since_ms;
    uint32_t said;
    uint64_t held; /* back, of which no line has told yet */
} log_limit;

/* May the next line be written? Then `held` lines before it were not. */
static inline bool log_limit_pass(log_limit *l, uint64_t *held)
{
    const uint64_t now_ms = clock_monotonic_ms();
    if (now_ms - l->since_ms >= LOG_LIMIT_MS) {
        l->since_ms = now_ms;
        l->said = 0;
    }
    if (l->said == LOG_LIMIT_LINES) {
        l->held++;
        return false;
    }
    l->said++;
    *held = l->held;
    l->held = 0;
    return true;
}

#endif
