/* tasks.h - the processes of a local cluster: ports, TF_CONFIG, arguments, logs.
 *
 * Prepares everything a process needs and starts it under the supervisor, once and again. What happens
 * afterwards is cluster_run's. */
#ifndef PENSTOCK_DEPLOY_TASKS_H
#define PENSTOCK_DEPLOY_TASKS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/cluster.h"
#include "common/status.h"
#include "deploy/launch/run_options.h"
#include "deploy/launch/supervisor.h"
#include "deploy/runs/run_folder.h"

enum {
    TASKS_MAX = RUN_SERVERS_MAX + RUN_WORKERS_MAX + 2, /* chief and evaluator */
    TASK_NAME_MAX = 32,
};

typedef struct {
    cluster_role role;
    size_t index;             /* among those of its role */
    char name[TASK_NAME_MAX]; /* "worker-0" */
    int socket;               /* holds its port; a ps gets it; -1: none */
    uint16_t port;            /* that of the socket */
    int report;               /* where its reports can be read, or -1 */
    int report_end;           /* where it writes them: ours too, for one that is started again; or -1 */
    off_t log_start;          /* size of the log before this run */
} task;

/* What `penstock chaos` changes of a cluster. What is NULL changes nothing. */
typedef struct {
    void *context;
    /* The port of 127.0.0.1 at which this worker finds this ps, instead of at its own. */
    uint16_t (*detour)(void *context, size_t worker, size_t server);
    /* The network namespace of a task as a descriptor, borrowed, instead of ours ... */
    int (*network)(void *context, cluster_role role, size_t index);
    /* ... and its address and port there, with the socket that holds them, listening if it is a ps'. */
    ps_status (*reserve)(void *context, cluster_role role, size_t index, int *socket_fd, uint32_t *address,
                         uint16_t *port, ps_error *error);
    /* More environment of a ps, NULL-terminated and borrowed. */
    char *const *(*environment)(void *context, size_t server);
} tasks_detour;

typedef struct launch launch;

typedef struct {
    run_folder folder;
    launch *launch;   /* owned: what all are started with */
    uint64_t resumed; /* step of the checkpoint that is there to go on from; 0: none */
    size_t count;
    task list[TASKS_MAX]; /* in the order in which they are started */
} tasks;

/* Sets up a table without anything to release in it. */
void tasks_init(tasks *t);

/* Are the programs there? PS_ECONFIG, PS_ENOMEM. */
ps_status tasks_check(const run_options *options, ps_error *error);

/* Finds the programs, makes the folder, reserves the ports and starts every task; the number of a task is its
 * number in the supervisor. `options` and `detour` (may be NULL) are borrowed until tasks_fini. After a
 * failure those started so far still run. PS_ECONFIG, PS_EIO, PS_ELIMIT, PS_ENOMEM. */
ps_status tasks_start(tasks *t, const run_options *options, const tasks_detour *detour, supervisor *s,
                      ps_error *error);

/* Starts a task that has ended again: with its port, on which connections have queued meanwhile, and at the
 * end of its log. As tasks_start. */
ps_status tasks_start_again(tasks *t, size_t number, supervisor *s, ps_error *error);

/* A task has ended for good: a ps must not seem to accept connections still. */
void tasks_let_go(tasks *t, size_t number);

/* Closes sockets and descriptors. */
void tasks_fini(tasks *t);

#endif
