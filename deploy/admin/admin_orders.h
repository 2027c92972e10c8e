/* admin_orders.h - what an administrator can have done by a cluster: `penstock admin`. */
#ifndef PENSTOCK_DEPLOY_ADMIN_ORDERS_H
#define PENSTOCK_DEPLOY_ADMIN_ORDERS_H

#include "deploy/admin/admin_link.h"

typedef struct {
    admin_link *link;
    uint32_t servers;
    uint64_t deadline_ms; /* common/clock.h */
    const volatile sig_atomic_t *stop;
} admin_session;

/* Has all ps keep a checkpoint of one step, soon, and waits until they have. PS_ETIMEDOUT: training does not
 * come as far, and who is waited for; PS_ESTATE: there is no step yet, or there will be none; else why a ps
 * refuses, or as admin_link_ask. */
ps_status admin_checkpoint(const admin_session *s, uint64_t *step, ps_error *error);

/* Ends the job as if the training were over. `*end`: after which step; 0: each worker after the one that it
 * has under way. Likewise. */
ps_status admin_stop(const admin_session *s, uint64_t *end, ps_error *error);

#endif
