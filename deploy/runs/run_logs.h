/* run_logs.h - the logs of all processes of a run, each line with whose it is; also as they grow. */
#ifndef PENSTOCK_DEPLOY_RUN_LOGS_H
#define PENSTOCK_DEPLOY_RUN_LOGS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/status.h"

enum { RUN_LOGS_MAX = 1024 /* processes of a run */ };

typedef struct run_logs run_logs;

/* Of the run in `folder`; of process `only` ("worker-0") alone unless that is NULL. Borrows both. PS_ENOMEM.
 */
ps_status run_logs_open(const char *folder, const char *only, run_logs **logs, ps_error *error);

/* Prints what has been added since the last call, whole lines; with `last` also a line that has no end yet.
 * Control characters become '?'. Returns whether there was any. Logs that have come since are taken in. */
bool run_logs_print(run_logs *logs, bool last);

/* Logs seen so far. */
size_t run_logs_count(const run_logs *logs);

/* Nulls the handle; does nothing on NULL. */
void run_logs_close(run_logs **logs);

#endif
