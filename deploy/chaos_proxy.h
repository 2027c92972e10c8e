/* chaos_proxy.h - a bad network between workers and ps of one host: TCP, on loopback, without privileges.
 *
 * Every link, which is one worker and one ps, has a port of its own; what a worker sends there goes to the ps
 * and back, as well as the faults of the link let it. A connection that is held up stays open and loses
 * nothing, as TCP has it: bytes wait with their sender, who sees nothing but silence. Faults end by
 * themselves, at a time.
 *
 * Single-threaded and without a loop of its own: chaos_proxy_waits says what to poll, chaos_proxy_turn does
 * what can be done then. Times are of clock_monotonic_ms. */
#ifndef PENSTOCK_DEPLOY_CHAOS_PROXY_H
#define PENSTOCK_DEPLOY_CHAOS_PROXY_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

enum {
    CHAOS_WORKERS_MAX = 16,
    CHAOS_SERVERS_MAX = 8,
    CHAOS_CONNECTIONS_MAX = 512, /* at a time; others wait until they are accepted, as without descriptors */
    CHAOS_WAITS_MAX = CHAOS_WORKERS_MAX * CHAOS_SERVERS_MAX + 2 * CHAOS_CONNECTIONS_MAX,
    CHAOS_DELAY_MAX_MS = 10000,
};

#define CHAOS_ANY SIZE_MAX /* as a worker or ps of a link: all of them */

/* Seen from the worker: up is to the ps. */
typedef enum { CHAOS_UP = 1, CHAOS_DOWN = 2, CHAOS_BOTH = 3 } chaos_direction;

typedef struct chaos_proxy chaos_proxy;

typedef struct {
    uint64_t connections, resets, bytes;
} chaos_proxy_counters;

/* Listens for every link. PS_EIO, PS_ENOMEM. */
ps_status chaos_proxy_create(size_t workers, size_t servers, uint64_t seed, chaos_proxy **out,
                             ps_error *error);
void chaos_proxy_destroy(chaos_proxy **p);

/* Where this worker finds this ps. */
uint16_t chaos_proxy_port(const chaos_proxy *p, size_t worker, size_t server);

/* Where this ps really listens; before the first turn. */
void chaos_proxy_aim(chaos_proxy *p, size_t server, uint16_t port);

/* Ends all connections of the links with RST, and drops what was on its way. */
void chaos_proxy_reset(chaos_proxy *p, size_t worker, size_t server);

/* Nothing moves in these directions. */
void chaos_proxy_block(chaos_proxy *p, size_t worker, size_t server, chaos_direction d, uint64_t until_ms);

/* All takes `delay_ms` longer, and up to `jitter_ms` more, in order. */
void chaos_proxy_delay(chaos_proxy *p, size_t worker, size_t server, chaos_direction d, uint32_t delay_ms,
                       uint32_t jitter_ms, uint64_t until_ms);

/* Each connection moves at most so many bytes per second in each of these directions. */
void chaos_proxy_throttle(chaos_proxy *p, size_t worker, size_t server, chaos_direction d,
                          uint64_t bytes_per_s, uint64_t until_ms);

/* Nobody is to sleep longer than until `at_ms`. */
static inline void chaos_wake_by(uint64_t *wake_ms, uint64_t at_ms)
{
    if (at_ms < *wake_ms)
        *wake_ms = at_ms;
}

/* Fills `waits` (CHAOS_WAITS_MAX) with what to poll, at most until `*wake_ms`, which it lowers. */
size_t chaos_proxy_waits(chaos_proxy *p, struct pollfd *waits, uint64_t now_ms, uint64_t *wake_ms);

/* Moves what can be moved after the poll of what chaos_proxy_waits gave. */
void chaos_proxy_turn(chaos_proxy *p, const struct pollfd *waits, uint64_t now_ms);

/* Is there anything new that the proxy cannot do? In `error`; once for each cause in a row. */
bool chaos_proxy_trouble(chaos_proxy *p, ps_error *error);

chaos_proxy_counters chaos_proxy_count(const chaos_proxy *p);

#endif
