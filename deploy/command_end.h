/* command_end.h - how a command ends that has printed what was asked for. */
#ifndef PENSTOCK_DEPLOY_COMMAND_END_H
#define PENSTOCK_DEPLOY_COMMAND_END_H

#include "common/status.h"

/* Says on standard error, in the name of `title`, what went wrong, also if what has been printed has not all
 * got out; returns the exit code. `error` is looked at only if `status` is not PS_OK. */
int command_end(const char *title, ps_status status, const ps_error *error);

#endif
