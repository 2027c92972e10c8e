/* host_commands.h - what is to be typed on a host, to start a task of a cluster there.
 *
 * Which task goes where is host_layout's; who types it, a person or ssh, is hosts.c's and host_run's. */
#ifndef PENSTOCK_DEPLOY_HOST_COMMANDS_H
#define PENSTOCK_DEPLOY_HOST_COMMANDS_H

#include <stdio.h>

#include "common/status.h"
#include "deploy/hosts/host_layout.h"

/* The kernel takes no argument of 128 KiB or more, and ssh gives the whole command as one. */
enum { HOST_COMMAND_MAX = 120 << 10 };

typedef struct {
    const host_layout *layout;
    const char *bin_dir; /* where the programs lie on the hosts; NULL: in PATH */
    const char *folder;  /* to be in; NULL: where one comes in */
    char *const *server_options;
    size_t server_option_count;
    char *const *training;
    size_t training_count;
} host_job;

/* {"ps": ["node-01:2222", ...], "worker": [...]}, on one line without a newline. PS_ELIMIT, PS_ENOMEM. */
ps_status host_cluster_text(const host_layout *layout, char **text, ps_error *error);

/* env TF_CONFIG='{...}' penstock-worker --epochs 2: one line for a shell, which becomes the task. The caller
 * frees
 * `*command`. PS_ELIMIT if it exceeds HOST_COMMAND_MAX; PS_ENOMEM. */
ps_status host_command(const host_job *job, const host_task *of, char **command, ps_error *error);

/* The same for a program on the other side of a connection, which has no other way to learn that it is to
 * end: a line with the name of a signal on standard input is such a signal for the task; at the end of
 * standard input it gets SIGTERM, and SIGKILL `grace_s` later. Ends with the exit code of the task. As
 * host_command. */
ps_status host_watched_command(const host_job *job, const host_task *of, unsigned grace_s, char **command,
                               ps_error *error);

#endif
