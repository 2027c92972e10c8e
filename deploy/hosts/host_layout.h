/* host_layout.h - which task goes to which host, and to which port there?
 *
 * Indices rise host by host, so that neighbours share a host. What hosts do not fix is dealt out in turn,
 * host after host: a ps to each that fixes no ps, a worker to each that has a slot left. On a host the ps
 * have the first ports, then the workers, to whose addresses nobody connects. Pure: who starts what there is
 * not decided here, and nothing is ever moved. */
#ifndef PENSTOCK_DEPLOY_HOST_LAYOUT_H
#define PENSTOCK_DEPLOY_HOST_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "common/cluster.h"
#include "common/status.h"
#include "deploy/hosts/host_file.h"
#include "deploy/launch/tasks.h"

typedef struct {
    unsigned servers; /* in all; 0: what hosts fix, or else one a host that fixes no ps ... */
    unsigned workers; /* in all; 0: what hosts fix, and all slots of the others */
    uint16_t port;    /* the first one on every host */
} host_wishes;

typedef struct {
    cluster_role role;
    unsigned index;
    const host *host; /* in the table */
    uint16_t port;
} host_task;

/* By role, ps first, and index. */
typedef struct {
    size_t count;
    unsigned servers, workers;
    host_task list[TASKS_MAX];
} host_layout;

/* PS_ECONFIG: what is wanted does not fit, and why. `layout` borrows from `table`. */
ps_status host_layout_make(const host_table *table, const host_wishes *wishes, host_layout *layout,
                           ps_error *error);

#endif
