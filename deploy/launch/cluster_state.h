/* cluster_state.h - what the two files of cluster_run share: cluster_run.c, which starts and ends processes,
 * and cluster_reports.c, which takes in what they report and shows it. */
#ifndef PENSTOCK_DEPLOY_CLUSTER_STATE_H
#define PENSTOCK_DEPLOY_CLUSTER_STATE_H

#include <poll.h>

#include "common/clock.h"
#include "deploy/launch/cluster_run.h"
#include "deploy/launch/restarts.h"
#include "deploy/launch/supervisor.h"
#include "deploy/line_reader.h"
#include "deploy/terminal.h"

enum {
    REPORTERS_MAX = 2, /* chief and evaluator */
    DRAW_EVERY_MS = 250,
    PRINT_EVERY_MS = 5000, /* progress where no terminal is */
};

typedef struct {
    cluster_run *owner;
    size_t number; /* of the task */
    const task *task;
    bool closed; /* nothing will follow */
    line_reader reader;
    progress progress;
} reporter;

struct cluster_run {
    const char *title;
    const run_options *options;
    const cluster_observer *observer; /* all of it may be missing */
    tasks tasks;
    restarts restarts;
    bool seen[TASKS_MAX];   /* how it ended has been dealt with */
    bool spared[TASKS_MAX]; /* it has died, and the others go on without it */
    unsigned spared_count;
    supervisor *supervisor;
    int signal_fd;
    int progress_fd; /* the file of --progress-file, or -1 */
    terminal screen;
    reporter reporters[REPORTERS_MAX]; /* first the one that trains, whose progress is that of the run */
    size_t reporter_count;
    int64_t next_print_ms;
    int64_t printed_ms; /* when news had come as of the last line printed */
    bool ending;        /* the others have been told to end */
    bool killed;
    int64_t kill_ms;   /* while ending: when patience is over */
    int ending_signal; /* 0: a failure ended the run */
    bool given_up;     /* by the observer, or because of ... */
    char given_up_reason[CLUSTER_REASON_BYTES];
    struct pollfd waits[1 + REPORTERS_MAX + CLUSTER_RUN_WAITS_MAX];
    size_t observed; /* of the waits */
};

static inline int64_t cluster_now_ms(void)
{
    return (int64_t)clock_monotonic_ms();
}

static inline const progress *cluster_training(const cluster_run *r)
{
    return &r->reporters[0].progress;
}

/* On standard error, in the name of the command. */
void cluster_complain(cluster_run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- cluster_reports.c ---- */

/* Opens the file of --progress-file; `*fd` is -1 if none is asked for. PS_EIO. */
ps_status cluster_reports_open_file(const run_options *options, int *fd, ps_error *error);

/* When the tasks have been started: who reports is listened to from now on. */
void cluster_reports_begin(cluster_run *r);

/* Takes in what has come. */
void cluster_reports_drain(cluster_run *r);

/* Shows how it stands, where and as often as that is wanted. */
void cluster_reports_show(cluster_run *r);

#endif
