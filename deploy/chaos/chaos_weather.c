/* chaos_weather.c - see chaos_weather.h. */
#include "deploy/chaos/chaos_weather.h"

bool chaos_link_is_meant(const chaos_weather *w, size_t link, size_t worker, size_t server)
{
    return (worker == CHAOS_ANY || link / w->servers == worker) &&
           (server == CHAOS_ANY || link % w->servers == server);
}

/* Of two faults of a link the later end counts. */
static void extend(uint64_t *until_ms, uint64_t to_ms)
{
    if (*until_ms < to_ms)
        *until_ms = to_ms;
}

static void change_one(link_weather *w, const fault *what, uint64_t until_ms)
{
    switch (what->kind) {
    case FAULT_BLACKHOLE:
    case FAULT_PARTITION:
        extend(&w->blocked_until, until_ms);
        break;
    case FAULT_DELAY:
        w->delay_ms = what->delay_ms;
        w->jitter_ms = what->jitter_ms;
        extend(&w->delayed_until, until_ms);
        break;
    case FAULT_THROTTLE:
        w->bytes_per_s = what->bytes_per_s;
        extend(&w->throttled_until, until_ms);
        break;
    case FAULT_LOSS:
        w->lost = what->percent / 100;
        extend(&w->lossy_until, until_ms);
        break;
    case FAULT_REORDER:
        w->late = what->percent / 100;
        w->late_ms = what->delay_ms;
        extend(&w->disordered_until, until_ms);
        break;
    default: /* not of links, or over at once */
        break;
    }
}

void chaos_weather_change(chaos_weather *w, const fault *what, uint64_t until_ms)
{
    for (size_t link = 0; link < chaos_link_count(w); link++)
        for (unsigned direction = 0; direction < CHAOS_DIRECTIONS; direction++)
            if (chaos_link_is_meant(w, link, what->worker, what->server) &&
                (what->direction >> direction & 1))
                change_one(&w->links[link][direction], what, until_ms);
}
