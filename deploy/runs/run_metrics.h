/* run_metrics.h - the metrics of a run over time, as metrics.jsonl in its folder has them: one JSON object a
 * line.
 *
 *   {"event": "run", "run": "20261129-034500-a1b2c3"}
 *   {"ms": 1795923801831, "task": "worker-0", "event": "step", "step": 32, "epoch": 0.08, "loss": 2.2,
 *    "images_per_s": 23789.4, "seconds": 0.2}                                               (here in two)
 *   {"ms": ..., "task": "worker-0", "event": "eval", "step": 400, "epoch": 1, "accuracy": 0.87, "loss": 0.55,
 * "seconds": 3}
 *
 * A folder may be used by several runs; a line of the first kind says whose the next ones are. */
#ifndef PENSTOCK_DEPLOY_RUN_METRICS_H
#define PENSTOCK_DEPLOY_RUN_METRICS_H

#include <stddef.h>

#include "common/json.h"
#include "common/status.h"

/* Calls `take` with each line of run `id` that is whole, and what it says, in the order of time. A file that
 * is not there holds none. PS_EIO. */
typedef void run_metrics_handler(void *context, const char *line, const json *metric);
ps_status run_metrics_read(const char *folder, const char *id, run_metrics_handler *take, void *context,
                           ps_error *error);

#endif
