/* sweep_run.h - carries a sweep out: starts the runs, so many at a time, reads how they do, stops those that
 * need not go on, and keeps how each has ended.
 *
 *   FOLDER/trials/003/   the folder of the run of trial 3 (run_folder.h), and in it:
 *     command            its command line, to repeat it
 *     run.log            what `penstock run` said
 *     progress.jsonl     its evaluations and its result
 *     events/            with `events`: for TensorBoard
 *   FOLDER/best          a link to the folder of the best trial that has finished
 *
 * One thread, one loop over a descriptor for signals; the progress files are looked at five times a second.
 * Each run gets its share of the processors: those of this process are dealt out to the places at which runs
 * can be under way at the same time. A run that is stopped ends as `penstock run` does after SIGTERM, within
 * its
 * --grace; nothing here waits longer for it. */
#ifndef PENSTOCK_DEPLOY_SWEEP_RUN_H
#define PENSTOCK_DEPLOY_SWEEP_RUN_H

#include "common/status.h"
#include "deploy/sweep/sweep_journal.h"
#include "deploy/sweep/sweep_state.h"

/* Goes on until every trial has ended, or time, failures or a signal end the sweep. An error is one of the
 * sweep's own, not of a trial: PS_EIO, PS_ENOMEM, PS_ELIMIT. No process is left in any case. */
ps_status sweep_run(sweep *s, sweep_journal *j, ps_error *error);

#endif
