/* stand_in.h - does lost workers' last steps for them, each on a thread of the chief's process.
 *
 * A worker that is lost may have pushed the gradient of the step under way to some ps and not to others,
 * which wait for it. Whoever joins under its index computes the same gradient from the same weights and rows.
 * So the chief does, beside its own work, and says that this worker leaves (ps/shard_members.c says why and
 * when).
 *
 * Of workers that are lost together each may wait for a gradient of the others: all are stood in for at once.
 *
 * Should the worker itself come back meanwhile, it takes its place again, and the stand-in ends. */
#ifndef PENSTOCK_WORKER_STAND_IN_H
#define PENSTOCK_WORKER_STAND_IN_H

#include <stdint.h>

#include "common/cluster.h"
#include "common/status.h"
#include "worker/options.h"

typedef struct stand_in stand_in;

/* Both are borrowed until stand_in_destroy. PS_ENOMEM. */
ps_status stand_in_create(const worker_options *options, const cluster_spec *cluster, stand_in **out);

/* Starts to stand in for that worker, unless it does so already; what fails is logged, and tried again at the
 * next call. Does not block. */
void stand_in_replace(stand_in *s, uint32_t worker);

/* Ends all that it is doing; nulls the pointer. */
void stand_in_destroy(stand_in **s);

#endif
