/* run_trace.h - the trace of a run: where its processes leave their parts, and what becomes of these. */
#ifndef PENSTOCK_DEPLOY_RUN_TRACE_H
#define PENSTOCK_DEPLOY_RUN_TRACE_H

#include "deploy/runs/run_folder.h"

/* The folder for parts; those of an earlier run in the same folder are removed. PS_EIO, PS_ELIMIT, PS_ENOMEM.
 */
ps_status run_trace_begin(const run_folder *folder, char path[RUN_PATH_MAX], ps_error *error);

/* All processes have ended, however they did: makes one trace of their parts, which are then removed, and
 * writes what it holds into `text`. Complains on standard error, in the name of `title`, of what is left out.
 * PS_EFORMAT: no process has left anything; PS_EIO, PS_ELIMIT, PS_ENOMEM; the parts are kept then. */
ps_status run_trace_end(const char *title, const run_folder *folder, const char *output, char *text,
                        size_t bytes, ps_error *error);

#endif
