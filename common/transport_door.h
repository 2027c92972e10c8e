/* transport_door.h - who may hold connections to a socket that listens. Private to common/transport*.c.
 *
 * ZeroMQ takes whoever comes and keeps whoever says nothing, until the process has no descriptor left, and
 * then spins on those that wait while neither workers nor HTTP nor checkpoints get one. So connections are
 * watched. A *stranger* is who has not sent a message of ours yet that its key allows. At most
 * VISITORS_MOST of them stay: who comes beyond takes the place of the oldest from the address that holds
 * most places. Who has sent one keeps its connection. And where keys are asked for, who sends more than a
 * handshake takes before it is let in is hung up on: ZeroMQ would hold a whole frame for it.
 *
 * Threads: one of its own hears from ZeroMQ of connections that come and go; door_know and door_count belong
 * to the one that receives. ZeroMQ owns the descriptors: to hang up is to shut one down, and one that it has
 * given up meanwhile may by then be another's, whose peer then connects again. */
#ifndef PENSTOCK_COMMON_TRANSPORT_DOOR_H
#define PENSTOCK_COMMON_TRANSPORT_DOOR_H

#include <stdbool.h>

#include "common/status.h"
#include "common/transport.h"

typedef struct door door;

/* Takes over `monitor`, which hears of the socket's connections; closes it in any case. Raises the limit of
 * the process's open files to what it may be. PS_ENOMEM. */
ps_status door_open(void *monitor, bool has_keys, door **out, ps_error *error);

/* Are there any strangers? Costs nothing; while there are none, door_know need not be called. */
bool door_has_strangers(const door *d);

/* Whose connection this is, is no stranger (any more). */
void door_know(door *d, int fd);

/* How handshakes went so far. */
transport_handshakes door_count(door *d);

/* The socket must be monitored no more, of which its monitor tells. Nulls the pointer; NULL: nothing. */
void door_close(door **d);

#endif
