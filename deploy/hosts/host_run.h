/* host_run.h - the tasks of a cluster on their hosts, by ssh, from start to end.
 *
 * A task is the command that host_commands writes, behind `ssh HOST`. It hears of a signal by a line on its
 * standard input, and when that closes, since ssh or we have died, it is ended there (host_watched_command).
 * So nothing is left on a host as long as its sshd notices that the connection is gone: a host that is cut
 * off ends its tasks when TCP or sshd's ClientAliveInterval says so.
 *
 * One thread, one loop, as cluster_run, which has ports, logs and progress of its own where all is on one
 * host. */
#ifndef PENSTOCK_DEPLOY_HOST_RUN_H
#define PENSTOCK_DEPLOY_HOST_RUN_H

#include "deploy/hosts/host_commands.h"
#include "deploy/hosts/host_options.h"

/* Shows what the tasks say on standard output, each line behind host and task, and complains on standard
 * error in the name of `title`. Returns the exit code: 0 if all ended well, that of the task that failed
 * first, or 128 + the signal that ended the run. */
int host_run_to_end(const char *title, const host_options *options, const host_job *job);

#endif
