/* performance_state.h - what worker/performance*.c share: performance.c counts, performance_page.c writes
 * JSON.
 *
 * Numbers are in metrics; of texts, which change a few times in all, a lock takes care. Single steps go round
 * in a ring of atomic numbers: a reader copies it, and leaves out what may have been written over meanwhile.
 */
#ifndef PENSTOCK_WORKER_PERFORMANCE_STATE_H
#define PENSTOCK_WORKER_PERFORMANCE_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "worker/performance.h"

#define PERFORMANCE_NS_PER_MS 1e6

enum {
    RING = 128,      /* PERFORMANCE_RECENT_MAX, and room for those that are written while somebody reads */
    SPEED_MS = 1000, /* between two measurements of speed */
};

/* Of a step: when it ended, its number, its time, and of that each phase. */
enum { RECENT_END, RECENT_STEP, RECENT_TIME, RECENT_PHASES, RECENT_FIELDS = RECENT_PHASES + PHASE_COUNT };

struct performance {
    const cluster_spec *cluster;
    metrics *counted;
    uint64_t started_unix_ms;
    _Atomic int activity;
    _Atomic uint64_t incarnation;
    _Atomic uint64_t done; /* steps in the ring, ever */
    _Atomic uint64_t recent[RING][RECENT_FIELDS];

    /* The trainer's: of the step under way, and since speed was measured last. */
    uint64_t phase_ns[PHASE_COUNT];
    double loss_sum; /* in all */
    uint64_t speed_ns, speed_examples, speed_step;
    double speed_loss;
    uint64_t speed_rows, speed_correct;

    http_refusals refused;

    pthread_mutex_t lock;
    char device[FIGURES_TEXT_MAX + 1], host[FIGURES_TEXT_MAX + 1], http[FIGURES_TEXT_MAX + 1];
    bool tells;
    uint32_t servers, told; /* told: the one that was told of last */
    char (*server_http)[FIGURES_TEXT_MAX + 1];
};

#endif
