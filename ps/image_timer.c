/* image_timer.c - see image_timer.h. */
#include "ps/image_timer.h"

void image_timer_start(image_timer *t, uint64_t step, uint64_t now_ms)
{
    t->last_step = step;
    t->last_ms = now_ms;
}

bool image_timer_is_on(const image_timer *t)
{
    return t->steps > 0 || t->interval_ms > 0;
}

/* Will no rounder number come in time? Not asked before an eighth of the interval has shown the pace; and
 * after it, as when training has stood still, those that are all too odd are let pass for another eighth. */
static bool is_round(const image_timer *t, uint64_t step, uint64_t elapsed_ms)
{
    uint64_t least_ms = t->interval_ms / 8;
    if (elapsed_ms == 0 || elapsed_ms < least_ms)
        return false;
    uint64_t left_ms = elapsed_ms + least_ms < t->interval_ms ? t->interval_ms - elapsed_ms : least_ms;
    double pace = (double)(step - t->last_step) / (double)elapsed_ms;
    return (double)(step & -step) > pace * (double)left_ms;
}

bool image_timer_is_due(const image_timer *t, uint64_t step, uint64_t now_ms)
{
    if (step == t->last_step || step == 0)
        return false;
    if (t->interval_ms == 0)
        return t->steps > 0 && step % t->steps == 0;
    uint64_t elapsed_ms = now_ms > t->last_ms ? now_ms - t->last_ms : 0;
    if (t->alone)
        return elapsed_ms >= t->interval_ms;
    return is_round(t, step, elapsed_ms);
}
