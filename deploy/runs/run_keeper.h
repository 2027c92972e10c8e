/* run_keeper.h - keeps the record of a run while it runs: in its folder, and in the registry.
 *
 *   run_keeper *keeper = NULL;
 *   ps_status status = run_keeper_begin(argv[0], &options, &keeper, error);
 *   cluster_run_to_end(argv[0], &options, NULL, run_keeper_observer(keeper), &outcome);
 *   run_keeper_end(&keeper, &outcome);
 *
 * A record that cannot be written stops no training: it is complained of once, on standard error. The
 * registry is opened for each change of phase and closed again, so that nothing of it is open when processes
 * are started. */
#ifndef PENSTOCK_DEPLOY_RUN_KEEPER_H
#define PENSTOCK_DEPLOY_RUN_KEEPER_H

#include "deploy/launch/cluster_run.h"
#include "deploy/launch/run_options.h"

typedef struct run_keeper run_keeper;

/* The run gets an id, which `options` may bring, and unless they name a folder runs/ID; it is in phase
 * Preparing. A registry that cannot be used is an error if the options name it or an experiment; else the run
 * is merely not in it. `title` and `options` are borrowed until run_keeper_end. PS_EINVAL, PS_ECONFIG,
 * PS_EIO, PS_ETIMEDOUT, PS_ENOMEM. */
ps_status run_keeper_begin(const char *title, run_options *options, run_keeper **keeper, ps_error *error);

/* To be handed to cluster_run_to_end; the keeper's. */
const cluster_observer *run_keeper_observer(run_keeper *keeper);

const char *run_keeper_id(const run_keeper *keeper);

/* Completed, Failed or Canceled; nulls the handle. */
void run_keeper_end(run_keeper **keeper, const cluster_outcome *outcome);

#endif
