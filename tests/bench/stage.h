/* stage.h - the actors of one case, and one measurement of them; and what it means to take turns.
 *
 * Clients get the orders; servers serve. A sample counts the processor time of all of them. */
#ifndef PENSTOCK_BENCH_STAGE_H
#define PENSTOCK_BENCH_STAGE_H

#include "tests/bench/actor.h"
#include "tests/bench/options.h"

enum { STAGE_CLIENTS_MAX = 16, STAGE_SERVERS_MAX = 8 };

/* All zero: empty. */
typedef struct {
    actor clients[STAGE_CLIENTS_MAX];
    uint32_t client_count;
    actor servers[STAGE_SERVERS_MAX];
    uint32_t server_count;
} stage;

void stage_end(stage *s);

typedef struct {
    double rate;                 /* operations per second, of all clients together */
    double step_s;               /* time of the slowest client per operation of one client */
    double cpu_s;                /* processor seconds of all processes per operation of all clients */
    double latency_s[LATENCIES]; /* of the first client */
} sample;

/* Orders all clients at once and waits for all. */
ps_status stage_measure(const stage *s, const actor_order *order, sample *out, ps_error *error);

/* ---- turns ---- */

/* One of those that are compared. */
typedef struct contender contender;
struct contender {
    ps_status (*measure)(const contender *c, double seconds, sample *out, ps_error *error);
    const void *subject;
    uint32_t variant;
    uint64_t operations; /* of each measurement; 0: as many as fit */
};

/* A stage as a contender; `variant` is handed to its clients. */
contender stage_contender(const stage *s, uint32_t variant);

/* Medians of the samples of each, and of the ratios Penstock / floor of each turn. */
typedef struct {
    sample penstock, floor, ratio;
} comparison;

/* Warms both up, then measures both `options->turns` times back to back, the one that begins changing by
 * turns. Either may be NULL: then there are no ratios. `share` scales the length of a measurement. */
ps_status turns_take(const bench_options *options, double share, const contender *penstock,
                     const contender *floor, comparison *out, ps_error *error);

/* Sorts `values`. */
double median(double *values, uint32_t count);

#endif
