/* sweep_check.h - would runs take the options that a sweep is about to give them?
 *
 * Asks `penstock run --check` (run_check.h) for as many combinations as it takes to have each choice, and
 * both ends of each range, in one of them. */
#ifndef PENSTOCK_DEPLOY_SWEEP_CHECK_H
#define PENSTOCK_DEPLOY_SWEEP_CHECK_H

#include "common/status.h"
#include "deploy/sweep/sweep_command.h"

/* This program, to be started again. */
#define SWEEP_OWN_PROGRAM "/proc/self/exe"

/* Blocks until the last has answered. PS_ECONFIG with the first line of a refusal, and the options that were
 * refused; PS_EIO if the program cannot be started, PS_ENOMEM. */
ps_status sweep_check(const sweep_command *command, const sweep_space *space, ps_error *error);

#endif
