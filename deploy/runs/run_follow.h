/* run_follow.h - stays with a run until it is over, and prints its logs on the way. For `runs logs -f` and
 * `submit`. */
#ifndef PENSTOCK_DEPLOY_RUN_FOLLOW_H
#define PENSTOCK_DEPLOY_RUN_FOLLOW_H

#include <stdbool.h>

#include "deploy/runs/run_history.h"

typedef struct {
    bool shows;       /* its logs */
    bool waits;       /* until it is over */
    const char *only; /* the log of this process alone; NULL: all */
} run_follow_options;

/* Returns when there is nothing more to show or wait for. `ended`, which may be NULL, receives the row of the
 * run as it is then; the caller frees. The registry `folder` is opened now and then, not kept open.
 * PS_EINVAL: there is no such run, or process; PS_EIO, PS_ETIMEDOUT, PS_ENOMEM. */
ps_status run_follow(const char *title, const char *folder, const char *id, const run_follow_options *options,
                     run_rows *ended, ps_error *error);

#endif
