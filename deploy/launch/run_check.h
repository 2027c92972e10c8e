/* run_check.h - would ps and workers take the options of a run?
 *
 * Asks the daemons themselves, which read their own options, so that nothing about them is known twice. What
 * only a job shows (a batch larger than the data set) is not found. */
#ifndef PENSTOCK_DEPLOY_RUN_CHECK_H
#define PENSTOCK_DEPLOY_RUN_CHECK_H

#include "deploy/launch/run_options.h"

/* Starts one ps and one worker, one after the other, that only read their options; blocks until they have.
 * Returns the exit code: 0, or that of the daemon which has refused, and said why on standard error. */
int run_check(const char *title, const run_options *options);

#endif
