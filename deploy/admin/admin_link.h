/* admin_link.h - orders of an administrator to ps, and what they say to them.
 *
 * An order is sent again until it is answered; the ps make repeats harmless (ps/shard_admin.c). Not
 * thread-safe. */
#ifndef PENSTOCK_DEPLOY_ADMIN_LINK_H
#define PENSTOCK_DEPLOY_ADMIN_LINK_H

#include <signal.h>
#include <stdint.h>

#include "common/cluster.h"
#include "common/curve_keys.h"
#include "common/status.h"
#include "common/wire.h"

typedef struct admin_link admin_link;

/* What a ps has said to an order. */
typedef struct {
    wire_type type;    /* WIRE_ACK, WIRE_PENDING or WIRE_ERROR */
    uint64_t step;     /* where it is */
    uint64_t end_step; /* after which the job ends; 0: by itself */
    ps_error said;     /* status PS_OK but of WIRE_ERROR; the text is for people, and may be empty */
} admin_answer;

/* Connects to ps 0, 1, ..., whose addresses (count) are borrowed until close, with `keys`, copied, which may
 * be none. PS_ENOMEM, PS_EIO. */
ps_status admin_link_open(const cluster_task *servers, uint32_t count, const curve_keys *keys,
                          admin_link **out, ps_error *error);
/* Nulls the pointer; does nothing on NULL. */
void admin_link_close(admin_link **l);

/* Gives an order to every ps for which `wanted` (count) says so, and waits until each has said something,
 * which is then in `answers` (count). Who says PS_EREJOIN, having restarted or no job yet, is asked
 * again. PS_ETIMEDOUT at `deadline_ms` (common/clock.h), naming one that has not; PS_ECONFIG, PS_EPEER: a ps
 * and this process do not understand each other, for their keys; PS_EINTERRUPTED once `*stop`; PS_ENOMEM. */
ps_status admin_link_ask(admin_link *l, wire_type order, uint64_t step, const bool *wanted,
                         uint64_t deadline_ms, const volatile sig_atomic_t *stop, admin_answer *answers,
                         ps_error *error);

#endif
