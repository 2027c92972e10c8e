/* cluster_run.h - a whole cluster on this machine, from start to end.
 *
 * One thread, one loop over a descriptor for signals and the pipes on which chief and evaluator report.
 * What is decided here: when a run ends, who is started again, and what a person is told meanwhile. How a
 * process is started and reaped is supervisor's, which failure is to blame verdict's, how progress reads
 * progress's. An observer may join in the loop: `penstock chaos` does. */
#ifndef PENSTOCK_DEPLOY_CLUSTER_RUN_H
#define PENSTOCK_DEPLOY_CLUSTER_RUN_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deploy/launch/progress.h"
#include "deploy/launch/run_options.h"
#include "deploy/launch/tasks.h"
#include "deploy/launch/verdict.h"

enum {
    CLUSTER_RUN_WAITS_MAX = 4096, /* descriptors that an observer may poll */
    CLUSTER_REASON_BYTES = 640,
};

typedef struct cluster_run cluster_run;

/* All are called from within cluster_run_to_end. */
typedef struct {
    void *context;
    /* All processes are there, numbered as in `t`. */
    void (*begun)(void *context, cluster_run *run, const tasks *t);
    void (*reported)(void *context, size_t number, progress_event event, const progress *p);
    void (*ended)(void *context, size_t number, const process_end *end, bool starts_again);
    void (*started_again)(void *context, size_t number);
    /* What to poll besides, and at most for how long: lowers `*patience_ms`. */
    size_t (*waits)(void *context, struct pollfd waits[CLUSTER_RUN_WAITS_MAX], int64_t *patience_ms);
    /* ... and what came of it. */
    void (*turn)(void *context, const struct pollfd *waits, size_t count);
} cluster_observer;

typedef struct {
    int exit_code;                     /* 0: every process ended well */
    int ending_signal;                 /* that a person or engine ended the run with; 0: none */
    char reason[CLUSTER_REASON_BYTES]; /* why it did not end well, for a person */
    unsigned restarts;                 /* processes started again */
    size_t strays; /* processes that were left when all had ended; they have been killed */
    bool finished; /* `result` is there */
    progress_result result;
    run_folder folder;
} cluster_outcome;

/* Is there what a run takes before it begins, its programs and its --progress-file? For a mistake to be told
 * of before anything is made. PS_ECONFIG, PS_EIO, PS_ENOMEM. */
ps_status cluster_run_check(const run_options *options, ps_error *error);

/* Starts a cluster, watches it to its end, and leaves no process behind. `detour` and `observer` may be NULL.
 * Complains on standard error in the name of `title`. */
void cluster_run_to_end(const char *title, const run_options *options, const tasks_detour *detour,
                        const cluster_observer *observer, cluster_outcome *outcome);

/* Sends a signal to a process, if it runs at the moment. */
void cluster_run_disturb(cluster_run *run, size_t number, int sent);

/* Ends all processes: the run has failed, with PS_EXIT_FAILURE. */
void cluster_run_give_up(cluster_run *run);

#endif
