/* sweep_journal.h - how each trial of a sweep has ended, on the disk.
 *
 * FOLDER/trials.jsonl has one line, a JSON object, for each trial that has ended, written and synced as it
 * ends:
 *
 *   {"trial": 3, "outcome": "stopped", "exit_code": 143, "seconds": 2.5, "elapsed": 20.1, "accuracy": null,
 *    "loss": null, "why": "epoch 1: ...", "evaluations": [[1, 0.911, 0.304]]}
 *
 * "elapsed" is what the sweep has taken until then. The last line of a trial counts. A line that a crash has
 * cut is forgotten, and its trial run again; any other that is not understood is refused. The file is locked
 * while a sweep goes on: there can be one only in a folder. */
#ifndef PENSTOCK_DEPLOY_SWEEP_JOURNAL_H
#define PENSTOCK_DEPLOY_SWEEP_JOURNAL_H

#include <stddef.h>

#include "common/status.h"
#include "deploy/sweep/sweep_policy.h"

enum { SWEEP_JOURNAL_BYTES_MAX = 256 << 20 };

/* Those from TRIAL_FINISHED on have ended. */
typedef enum { TRIAL_WAITS, TRIAL_RUNS, TRIAL_FINISHED, TRIAL_STOPPED, TRIAL_FAILED } sweep_outcome;

typedef struct {
    sweep_outcome outcome;
    int exit_code;             /* of its `penstock run` */
    double seconds;            /* that it took */
    double accuracy, loss;     /* of one that has finished: at its end; else NaN */
    char why[SWEEP_WHY_BYTES]; /* it was stopped, or failed; else empty */
    sweep_curve curve;
} sweep_trial;

typedef struct {
    int fd; /* -1: closed */
} sweep_journal;

const char *sweep_outcome_name(sweep_outcome outcome);

/* Opens that of a folder, which is made if need be, and locks it. PS_ESTATE if another process has; PS_EIO.
 */
ps_status sweep_journal_open(const char *folder, sweep_journal *j, ps_error *error);

/* Reads how the trials (count) have ended so far, and takes away a cut line. `*elapsed`: seconds. PS_EFORMAT
 * names the line; PS_EIO, PS_ELIMIT, PS_ENOMEM. */
ps_status sweep_journal_read(sweep_journal *j, sweep_trial *trials, size_t count, double *elapsed,
                             ps_error *error);

/* Trial `number`, from 0 on, has ended. When this returns PS_OK the line is on the disk. PS_EIO, PS_ENOMEM.
 */
ps_status sweep_journal_append(sweep_journal *j, size_t number, const sweep_trial *trial, double elapsed,
                               ps_error *error);

void sweep_journal_close(sweep_journal *j);

/* For lists of trials; NULL: out of memory. */
sweep_trial *sweep_trial_list_create(size_t count);
void sweep_trial_list_destroy(sweep_trial **list, size_t count);

#endif
