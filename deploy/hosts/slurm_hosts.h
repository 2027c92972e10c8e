/* slurm_hosts.h - the hosts of a Slurm job, by the variables that Slurm gives it.
 *
 * Slurm has allotted a number of tasks to each node; here some of them become ps, one a node as far as they
 * go, and all others workers. */
#ifndef PENSTOCK_DEPLOY_SLURM_HOSTS_H
#define PENSTOCK_DEPLOY_SLURM_HOSTS_H

#include "common/status.h"
#include "deploy/hosts/host_file.h"

/* Values as they stand in the environment; NULL: not there. */
typedef struct {
    const char *nodes;          /* SLURM_JOB_NODELIST: "node[01-03,7],gpu5" */
    const char *tasks_per_node; /* SLURM_TASKS_PER_NODE: "2(x3),1" */
    const char *tasks;          /* SLURM_NTASKS, which counts if the former is not there: dealt out evenly */
} slurm_job;

/* `servers` of the tasks are to be ps; 0: one on each node that has more than one task, and at least one. The
 * table then says for each node how many ps and workers it has. PS_ECONFIG names variable and rule. */
ps_status slurm_hosts(const slurm_job *job, unsigned servers, host_table *table, ps_error *error);

#endif
