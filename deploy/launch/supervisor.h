/* supervisor.h - starts processes, knows how each ended, and leaves none behind.
 *
 * It decides nothing about them: when to end a run is run.c's, who is to blame is verdict's.
 *
 * What is covered:
 * - Each process leads a session of its own, so that a key pressed in a terminal reaches only the
 *   launcher, and a signal to its process group reaches what it has forked.
 * - When a process ends, the rest of its process group is killed.
 * - What has left its group comes back to us as an orphan (PR_SET_CHILD_SUBREAPER) and is killed by
 *   supervisor_destroy.
 * - When the launcher dies, even by SIGKILL, the kernel kills the processes (PR_SET_PDEATHSIG) and the guard
 *   (guard.h) their groups. Only a grandchild that has also left its process group survives that.
 *
 * Single-threaded: PR_SET_PDEATHSIG means the thread that forked. SIGCHLD must be blocked. */
#ifndef PENSTOCK_DEPLOY_SUPERVISOR_H
#define PENSTOCK_DEPLOY_SUPERVISOR_H

#include <stddef.h>
#include <sys/types.h>

#include "common/status.h"
#include "deploy/launch/verdict.h"

enum { SUPERVISOR_PROCESSES_MAX = 1024 };

typedef struct supervisor supervisor;

typedef struct {
    const char *path;       /* of the program */
    char *const *arguments; /* argv, NULL-terminated */
    char *const *environment;
    int log_fd;        /* standard output and error */
    const int *input;  /* standard input; NULL: /dev/null */
    const int *passed; /* descriptors that stay open under their numbers; all others are closed */
    size_t passed_count;
    const int *processors;  /* those to run on ... */
    size_t processor_count; /* ... 0: any */
    const int *network;     /* descriptor of the network namespace to run in; NULL: ours */
} process_spec;

/* Makes this process the reaper of its descendants and starts the guard. Call it before opening what must
 * close when the launcher dies. PS_EIO, PS_ENOMEM. */
ps_status supervisor_create(supervisor **s, ps_error *error);

/* Starts a process; its number is the count of those started before. Blocks until it runs the program.
 * PS_EIO if it cannot, with the cause; PS_ELIMIT beyond SUPERVISOR_PROCESSES_MAX. */
ps_status supervisor_start(supervisor *s, const process_spec *spec, ps_error *error);

/* Starts process `number`, which has ended, again: its end is then that of the new one. As supervisor_start.
 */
ps_status supervisor_start_again(supervisor *s, size_t number, const process_spec *spec, ps_error *error);

/* Sends `number` to the group of every process that still runs, and notes that it has been asked. 0: only
 * notes it, where they hear of it in another way. */
void supervisor_signal(supervisor *s, int number);

/* Sends `sent` to the group of one process, if it still runs, without asking it to end. */
void supervisor_disturb(supervisor *s, size_t number, int sent);

/* Takes in, without blocking, all that have ended since. Call it after SIGCHLD. */
void supervisor_reap(supervisor *s);

/* Descendants that are left when all that were started have ended and been reaped. */
size_t supervisor_strays(const supervisor *s);

/* How many of those started have not ended yet. */
size_t supervisor_running(const supervisor *s);

/* One for each process started, in that order. */
const process_end *supervisor_ends(const supervisor *s, size_t *count);

/* Kills and reaps every descendant that is left, whoever forked it, and nulls the handle. Gives up after
 * a few seconds on one that cannot die. */
void supervisor_destroy(supervisor **s);

#endif
