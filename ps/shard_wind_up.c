/* shard_wind_up.c - a shard is told to end before its job does: it leaves an image to go on from.
 *
 * Shards of a synchronous job that end one after the other shall end at the same step, or their images do not
 * fit together. So the one that is told first completes the step under way and does not answer it: then every
 * other shard can come to that step, since all workers push a step everywhere, and none further. */
#include "common/log.h"
#include "ps/shard_state.h"

static void hold(shard *s)
{
    s->held = true;
    shard_take_last_image(s);
    log_info("winding up at step %llu", (unsigned long long)s->consistency.applied);
}

void shard_wind_up(shard *s, uint64_t now_ms)
{
    if (s->winding_up)
        return;
    s->winding_up = true;
    s->wind_up_ms = now_ms;
    const bool under_way =
        s->has_job && s->slice_count > 0 && s->job.mode == CONSISTENCY_SYNC && !shard_is_over(s);
    if (s->has_job && !under_way)
        hold(s);
}

void shard_go_on_winding_up(shard *s, bool has_applied)
{
    const bool patient = s->has_job && s->now_ms - s->wind_up_ms < SHARD_WIND_UP_MS;
    if (s->winding_up && !s->held && (has_applied || !patient))
        hold(s);
}

bool shard_is_wound_up(const shard *s)
{
    return s->winding_up && (!s->has_job || (s->held && shard_has_kept_images(s)));
}
