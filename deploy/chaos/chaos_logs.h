/* chaos_logs.h - what the processes of a run have counted, read from their logs, in either format
 * (common/log.h).
 *
 * A process tells most of it at its end. One that was killed has not, so that repeats, refusals and what was
 * resent are those of the lives that ended by themselves or by SIGTERM. Rows are not affected by that: a ps
 * that goes on from a checkpoint goes on counting from there. Nor are the checkpoints written, of which each
 * has its line. Those that failed are exact for a life that told of its end. Of one that was killed they are
 * those before its last success, which says how many it follows, and of the failures since then one for each
 * cause, as no more are written down: at least so many. */
#ifndef PENSTOCK_DEPLOY_CHAOS_LOGS_H
#define PENSTOCK_DEPLOY_CHAOS_LOGS_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"
#include "deploy/runs/run_folder.h"

typedef struct {
    uint64_t rows_min, rows_max; /* applied, over the ps */
    uint64_t repeats, refused;   /* pushes seen before; messages answered by ERROR */
    uint64_t resent, steps_replayed;
    uint64_t checkpoints, checkpoints_failed;
} chaos_counts;

/* Of a run of so many ps and workers. PS_EIO, PS_ENOMEM. */
ps_status chaos_logs_count(const run_folder *folder, size_t servers, size_t workers, chaos_counts *counts,
                           ps_error *error);

#endif
