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

#include <stdbool.h>
#include <stddef.h>

#include "common/status.h"
#include "deploy/sweep_command.h"
#include "deploy/sweep_journal.h"

enum { SWEEP_PARALLEL_MAX = 64, SWEEP_NO_TRIAL = SWEEP_TRIALS_MAX };

/* What a sweep is, and how far it has come. */
typedef struct {
    const char *title;  /* for complaints on standard error */
    const char *folder; /* of the sweep */
    const sweep_command *command;
    const sweep_space *space;
    const sweep_trials *list;
    sweep_trial *trials; /* (count of the list) */
    size_t parallel;     /* runs at a time, 1 to SWEEP_PARALLEL_MAX */
    bool events;
    bool quiet;     /* only complaints */
    double elapsed; /* seconds, those of earlier sittings included */
    bool gave_up;   /* more trials have failed than may */
    bool out_of_time;
    int ending_signal; /* 0: none has ended it */
} sweep;

/* Goes on until every trial has ended, or time, failures or a signal end the sweep. An error is one of the
 * sweep's own, not of a trial: PS_EIO, PS_ENOMEM, PS_ELIMIT. No process is left in any case. */
ps_status sweep_run(sweep *s, sweep_journal *j, ps_error *error);

/* The finished trial with the best value, the first of those that are equal; SWEEP_NO_TRIAL: there is none.
 */
size_t sweep_best(const sweep *s);

size_t sweep_count(const sweep *s, sweep_outcome outcome);

/* "trials/003" */
void sweep_trial_folder(const sweep *s, size_t trial, char *text, size_t bytes);

#endif
