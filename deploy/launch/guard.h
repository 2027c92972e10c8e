/* guard.h - a helper process that outlives a launcher killed with SIGKILL, for a moment.
 *
 * The kernel itself kills the direct children of a launcher that dies (PR_SET_PDEATHSIG), but not what
 * those children have forked. The guard knows the process group of every child; when the launcher's end
 * of their socket closes, for whatever reason, it kills those groups and ends. What has left its process
 * group is out of its reach.
 *
 * Both sides of the socket are one file descriptor each; a child of the launcher holds the launcher's
 * side between fork and exec, to announce itself before anything else of it can run. */
#ifndef PENSTOCK_DEPLOY_GUARD_H
#define PENSTOCK_DEPLOY_GUARD_H

#include <sys/types.h>

#include "common/status.h"

enum { GUARD_GROUPS_MAX = 1024 };

typedef struct {
    pid_t pid;
    int socket; /* close-on-exec */
} guard;

/* Forks the guard. Call it before opening anything that should close with the launcher. PS_EIO. */
ps_status guard_start(guard *g, ps_error *error);

/* The calling process leads process group `group`. Async-signal-safe. */
void guard_watch(const guard *g, pid_t group);

/* `group` has been killed; call it before its leader is reaped, while the number cannot be reused. */
void guard_forget(const guard *g, pid_t group);

/* Ends the guard, killing the groups that it still watches, and reaps it. */
void guard_stop(guard *g);

#endif
