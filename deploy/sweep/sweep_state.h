/* sweep_state.h - what a sweep is, how far it has come, and which trial is the best so far. */
#ifndef PENSTOCK_DEPLOY_SWEEP_STATE_H
#define PENSTOCK_DEPLOY_SWEEP_STATE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/status.h"
#include "deploy/sweep/sweep_command.h"
#include "deploy/sweep/sweep_journal.h"
#include "deploy/sweep/sweep_trials.h"

enum { SWEEP_PARALLEL_MAX = 64, SWEEP_NO_TRIAL = SWEEP_TRIALS_MAX };

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

/* The finished trial with the best value, the first of those that are equal; SWEEP_NO_TRIAL: there is none.
 */
size_t sweep_best(const sweep *s);

size_t sweep_count(const sweep *s, sweep_outcome outcome);

/* "trials/003" */
void sweep_trial_folder(const sweep *s, size_t trial, char *text, size_t bytes);

/* Lets FOLDER/best point to the best trial, if there is one. A crash leaves the link as it was, or as it is
 * to be. PS_EIO. */
ps_status sweep_link_best(const sweep *s, ps_error *error);

#endif
