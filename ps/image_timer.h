/* image_timer.h - after which updates does a shard take an image of itself?
 *
 * Images of several ps are of use together only if they are of the same updates, and nobody tells the ps
 * when. So in synchronous training it is every so many steps. Elsewhere it may be every so many seconds: each
 * ps sees the same updates at nearly the same time, and takes the roundest number of the interval, the one
 * that can be halved most often. From then on all take every multiple of the same power of two, also those
 * that began at another time: so after half of the interval at least. Only while the pace of training changes
 * are some images alone.
 *
 * Pure: whoever calls has the clock. */
#ifndef PENSTOCK_PS_IMAGE_TIMER_H
#define PENSTOCK_PS_IMAGE_TIMER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint64_t steps;       /* after every so many; 0: none */
    uint64_t interval_ms; /* in place of that; 0: `steps` counts */
    bool alone;           /* no other ps: the interval is kept to exactly */
    uint64_t last_step, last_ms;
} image_timer;

/* The last image is of `step`, or the shard has begun there. */
void image_timer_start(image_timer *t, uint64_t step, uint64_t now_ms);

/* Will there be any? */
bool image_timer_is_on(const image_timer *t);

/* After update `step`, the first one since `last_step` or a later one. */
bool image_timer_is_due(const image_timer *t, uint64_t step, uint64_t now_ms);

#endif
