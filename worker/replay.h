/* replay.h - a part of a step that a device is given again and again: call by call at first, then as one.
 *
 * What has the shape and the arrays of the time before is captured into a graph (worker/backend.h), and from
 * then on launched. One graph is kept for each place that batches take turns in. Another shape, such as the
 * short batch that ends an epoch, goes call by call, and what was captured stays for the next that fits it;
 * when it comes twice in succession, it is captured in its stead. So nothing is captured before all memory
 * that it takes is there. The bits are the same either way.
 *
 * Where the backend has no graphs, or capturing fails, all goes call by call; the log says why. */
#ifndef PENSTOCK_WORKER_REPLAY_H
#define PENSTOCK_WORKER_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"
#include "worker/backend.h"

enum { REPLAY_PLACES = 2 };

/* All that differs from one time to the other, but for the place. */
typedef struct {
    uint32_t rows;     /* 0: none */
    const void *array; /* of the host's, that is copied from or to */
} replay_shape;

typedef struct {
    backend *backend; /* borrowed */
    struct {
        backend_graph *graph; /* NULL: none yet */
        replay_shape shape;
    } places[REPLAY_PLACES];
    replay_shape before; /* of the time before, wherever that was */
    bool refused;        /* no capturing any more */
    bool captured;       /* at least once, which the log has told */
} replay;

/* Has `enqueue` give the part to the compute and download queues, or launches what it gave before; it may be
 * called twice. Fails as it does, and as the backend. A replay begins zeroed, with its backend. */
ps_status replay_run(replay *r, uint32_t place, const replay_shape *shape, ps_status enqueue(void *context),
                     void *context);

/* Nothing that was launched may be under way. */
void replay_fini(replay *r);

#endif
