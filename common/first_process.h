/* first_process.h - what a process does for itself where it is PID 1, as in a container: the kernel spares
 * that one every signal that it does not handle, and makes it the parent of all orphans, which stay as
 * zombies until it asks for them. */
#ifndef PENSTOCK_COMMON_FIRST_PROCESS_H
#define PENSTOCK_COMMON_FIRST_PROCESS_H

#include <stdbool.h>

/* To be called first in main. In PID 1, SIGTERM and SIGINT end the process with PS_EXIT_TERMINATED until
 * something else is done about them, SIGHUP and SIGQUIT with 128 + their number. Orphans vanish as they end,
 * unless `has_children`, for whoever waits for children of its own would not hear of them: that one waits for
 * orphans, too (deploy/launch/supervisor.c). Elsewhere nothing changes. */
void first_process_prepare(bool has_children);

#endif
