/* chaos_weather.h - what the faults of a plan make of each link at a time: silent, slow, narrow, lossy.
 *
 * A link is one worker and one ps, each of its directions has a weather of its own. Faults end by themselves,
 * at a time; of two of the same kind the later end counts, and what the later begin said. Beside the weather
 * is what a line can do at best, for ever. Pure. Times are of clock_monotonic_ms. */
#ifndef PENSTOCK_DEPLOY_CHAOS_WEATHER_H
#define PENSTOCK_DEPLOY_CHAOS_WEATHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deploy/chaos/chaos_plan.h"

enum {
    CHAOS_LINKS_MAX = CHAOS_WORKERS_MAX * CHAOS_SERVERS_MAX,
    CHAOS_DIRECTIONS = 2, /* 0 is up, to the ps */
};

/* Of one direction of a link; each until a time. */
typedef struct {
    uint64_t blocked_until, delayed_until, throttled_until, lossy_until, disordered_until;
    uint32_t delay_ms, jitter_ms; /* everything comes so much later, and up to so much more */
    uint64_t bytes_per_s;
    double lost, late; /* shares of the packets, from 0 to 1 */
    uint32_t late_ms;  /* how much later the late ones come */
} link_weather;

/* The way of every host into the network, each direction for itself. 0: none, or no limit. */
typedef struct {
    uint32_t latency_ms;  /* from host to host */
    uint64_t bytes_per_s; /* shared by all links of the host */
} chaos_line;

typedef struct {
    size_t workers, servers;
    chaos_line line;
    link_weather links[CHAOS_LINKS_MAX][CHAOS_DIRECTIONS]; /* by chaos_link_number */
} chaos_weather;

static inline size_t chaos_link_number(const chaos_weather *w, size_t worker, size_t server)
{
    return worker * w->servers + server;
}

static inline size_t chaos_link_count(const chaos_weather *w)
{
    return w->workers * w->servers;
}

/* Is the link among those of this worker and this ps, each of which may be CHAOS_ANY? */
bool chaos_link_is_meant(const chaos_weather *w, size_t link, size_t worker, size_t server);

/* A fault of links that lasts begins. */
void chaos_weather_change(chaos_weather *w, const fault *what, uint64_t until_ms);

#endif
