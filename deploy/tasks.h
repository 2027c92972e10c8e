/* tasks.h - the processes of a local cluster: ports, TF_CONFIG, arguments, logs.
 *
 * Prepares everything a process needs and starts it under the supervisor. What happens afterwards is
 * run.c's. */
#ifndef PENSTOCK_DEPLOY_TASKS_H
#define PENSTOCK_DEPLOY_TASKS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/cluster.h"
#include "common/status.h"
#include "deploy/run_folder.h"
#include "deploy/run_options.h"
#include "deploy/supervisor.h"

enum {
    TASKS_MAX = RUN_SERVERS_MAX + RUN_WORKERS_MAX + 2, /* chief and evaluator */
    TASK_NAME_MAX = 32,
};

typedef struct {
    cluster_role role;
    size_t index;             /* among those of its role */
    char name[TASK_NAME_MAX]; /* "worker-0" */
    int socket;               /* holds its port; a ps gets it; -1: none */
    int report;               /* where its reports can be read, or -1 */
    off_t log_start;          /* size of the log before this run */
} task;

typedef struct {
    run_folder folder;
    size_t count;
    task list[TASKS_MAX]; /* in the order in which they are started */
} tasks;

/* Sets up a table without anything to release in it. */
void tasks_init(tasks *t);

/* Finds the programs, makes the folder, reserves the ports and starts every task; the number of a task is its
 * number in the supervisor. After a failure those started so far still run. PS_ECONFIG, PS_EIO, PS_ELIMIT,
 * PS_ENOMEM. */
ps_status tasks_start(tasks *t, const run_options *options, supervisor *s, ps_error *error);

/* Closes sockets and descriptors. */
void tasks_fini(tasks *t);

#endif
