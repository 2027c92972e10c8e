/* pulse.h - tells every ps that this process lives, from a thread of its own and over connections of its own,
 * so that a worker that computes for long is not taken for a lost one.
 *
 * Threads: the pulse's thread owns the sockets; the caller only says, under a lock, what to send and how
 * often. */
#ifndef PENSTOCK_WORKER_PULSE_H
#define PENSTOCK_WORKER_PULSE_H

#include <stdint.h>

#include "common/cluster.h"
#include "common/curve_keys.h"
#include "common/status.h"
#include "common/wire.h"

typedef struct pulse pulse;

/* What the ps know this process by. */
typedef struct {
    uint64_t job; /* fingerprint */
    wire_role role;
    uint32_t index;
    uint64_t incarnation;
} pulse_identity;

/* Starts to connect to `servers` ps of the cluster, with `keys` (copied; NULL: none); says nothing yet.
 * PS_ECONFIG if the cluster lacks one of them; PS_EIO; PS_ENOMEM. */
ps_status pulse_create(const cluster_spec *cluster, uint32_t servers, const curve_keys *keys, pulse **out,
                       ps_error *error);

/* What each further heartbeat tells: `tell` fills it in, on the pulse's thread. */
void pulse_tell(pulse *p, void (*tell)(void *context, worker_figures *figures), void *context);

/* From now on sends HEARTBEAT to every ps each `interval_ms` > 0, as that process. PS_ENOMEM: there is no
 * thread for it. */
ps_status pulse_beat(pulse *p, const pulse_identity *self, uint32_t interval_ms, ps_error *error);

/* Ends the thread; nulls the pointer; does nothing on NULL. */
void pulse_destroy(pulse **p);

#endif
