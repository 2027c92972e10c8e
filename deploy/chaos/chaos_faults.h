/* chaos_faults.h - carries a plan of faults out on a running cluster, and notes what became of each.
 *
 * An observer of the run (cluster_run.h): the chief's reports are the clock of the plan, and tell when
 * training has recovered: with the first step reported after the end of a fault, or after the new start of
 * what was killed. The chief reports every 200 ms, so that recovery is known no better than that. */
#ifndef PENSTOCK_DEPLOY_CHAOS_FAULTS_H
#define PENSTOCK_DEPLOY_CHAOS_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "deploy/chaos/chaos_net.h"
#include "deploy/chaos/chaos_plan.h"
#include "deploy/launch/cluster_run.h"

typedef enum {
    FAULT_PENDING,    /* its time has not come, or its process is not there at the moment */
    FAULT_AWAITS,     /* killed: its process is to be started again */
    FAULT_LASTS,      /* until its end */
    FAULT_RECOVERING, /* over; no step has been reported since */
    FAULT_RECOVERED,
} fault_state;

typedef struct {
    fault_state state;
    uint64_t begun_ms, ended_ms, recovered_ms; /* since the begin of the run */
} fault_course;

typedef struct {
    const char *title; /* in whose name to complain */
    const chaos_plan *plan;
    chaos_net *net;               /* borrowed */
    int disks[CHAOS_SERVERS_MAX]; /* control files of the disk faults, one byte each; -1: none */
    size_t workers, servers;
    uint64_t deadline_ms; /* after which the run is given up, from its begin */
    cluster_run *run;
    uint64_t begun_ms, first_step_ms; /* of the clock */
    uint64_t steps, step;             /* of the whole run; the highest reported */
    bool hung;
    bool running[TASKS_MAX], gone[TASKS_MAX]; /* gone: for good */
    fault_course courses[CHAOS_FAULTS_MAX];
} chaos_faults;

/* The bits of a control file. */
enum { DISK_FULL_BIT = 1, DISK_FSYNC_BIT = 2 };

/* What to hand to cluster_run_to_end; borrows `f`, whose title, plan, net, disks, numbers and deadline are
 * set. */
cluster_observer chaos_faults_observer(chaos_faults *f);

#endif
