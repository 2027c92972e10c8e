/* chaos_net.h - a bad network between the workers and ps of one host, behind a table: what carries their
 * bytes.
 *
 *   proxy        (chaos_proxy.h)   connections through ports of its own on loopback; without privileges
 *   namespaces   (chaos_router.h)  packets between network namespaces, one for each process
 *
 * Each is a struct that begins with a chaos_net. What the faults make of a link is in its weather, which it
 * looks at with every byte or packet; only a reset is asked of it.
 *
 * Single-threaded and without a loop of its own: `waits` says what to poll, `turn` does what can be done
 * then. Times are of clock_monotonic_ms. */
#ifndef PENSTOCK_DEPLOY_CHAOS_NET_H
#define PENSTOCK_DEPLOY_CHAOS_NET_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"
#include "deploy/chaos/chaos_weather.h"
#include "deploy/launch/tasks.h"

enum {
    CHAOS_CONNECTIONS_MAX = 512, /* of a proxy at a time; others wait until they are accepted */
    CHAOS_WAITS_MAX = CHAOS_LINKS_MAX + 2 * CHAOS_CONNECTIONS_MAX,
};

typedef struct chaos_net chaos_net;

/* What does not apply stays 0. */
typedef struct {
    uint64_t connections, resets; /* begun; ended by RST */
    uint64_t bytes;               /* carried */
    uint64_t packets, lost, late; /* carried; lost by faults; overtaken by faults */
} chaos_net_counters;

typedef struct {
    const char *name;

    /* Where the ps listen is known from now on. NULL: that changes nothing. */
    void (*begun)(chaos_net *self, const tasks *t);

    /* Ends all connections of these links with RST, and drops what was on its way. */
    void (*reset)(chaos_net *self, size_t worker, size_t server, uint64_t now_ms);

    /* Fills `waits` (CHAOS_WAITS_MAX) with what to poll, at most until `*wake_ms`, which it lowers. */
    size_t (*waits)(chaos_net *self, struct pollfd *waits, uint64_t now_ms, uint64_t *wake_ms);

    /* Moves what can be moved after the poll of what `waits` gave. */
    void (*turn)(chaos_net *self, const struct pollfd *waits, uint64_t now_ms);

    /* Is there anything new that it cannot do? In `error`; once for each cause in a row. NULL: never. */
    bool (*trouble)(chaos_net *self, ps_error *error);

    chaos_net_counters (*count)(const chaos_net *self);

    void (*destroy)(chaos_net *self);
} chaos_net_ops;

struct chaos_net {
    const chaos_net_ops *ops;
    chaos_weather weather;
};

/* Nobody is to sleep longer than until `at_ms`. */
static inline void chaos_wake_by(uint64_t *wake_ms, uint64_t at_ms)
{
    if (at_ms < *wake_ms)
        *wake_ms = at_ms;
}

#endif
