/* transport_door.h - who may hold connections to a socket that listens. Private to common/transport*.c.
 *
 * ZeroMQ takes whoever comes and keeps whoever says nothing, until the process has no descriptor left, and
 * then spins on those that wait while neither workers nor HTTP nor checkpoints get one. So connections are
 * watched. A *stranger* is who has not sent a message of ours yet that its key allows. At most
 * VISITORS_MOST of them stay: who comes beyond takes the place of the oldest from the address that holds
 * most places. Who has sent one keeps its connection, also when the message was received before its coming
 * was heard of. And where keys are asked for, who sends more than a handshake takes before it is let in is
 * hung up on: ZeroMQ would hold a whole frame for it.
 *
 * Of any connection, a stranger's or not, only so many bytes may be on their way (common/transport_flow.h),
 * and so many of all together; what those who have left had on their way counts until it has surely been
 * taken. ZeroMQ itself would hold any number of frames of one message.
 *
 * Threads: one of its own hears from ZeroMQ of connections that come and go, and looks at those that are
 * there; door_know, door_note_empty, door_bound and door_count belong to the one that receives. ZeroMQ owns
 * the descriptors: to hang up is to shut one down, and one that it has given up meanwhile may by then be
 * another's, whose peer then connects again. */
#ifndef PENSTOCK_COMMON_TRANSPORT_DOOR_H
#define PENSTOCK_COMMON_TRANSPORT_DOOR_H

#include <stdbool.h>

#include "common/status.h"
#include "common/transport.h"
#include "common/transport_flow.h"

typedef struct door door;

/* Takes over `monitor`, which hears of the socket's connections; closes it in any case. Borrows `flows`.
 * Raises the limit of the process's open files to what it may be. PS_ENOMEM. */
ps_status door_open(void *monitor, flow *flows, bool has_keys, door **out, ps_error *error);

/* Whose connection this is, is no stranger (any more). For who is none it costs nothing. */
void door_know(door *d, int fd);

/* No message waits just now: all that had come whole by now has been taken. */
void door_note_empty(door *d);

/* As transport_bound. */
void door_bound(door *d, uint64_t each_bytes, uint64_t all_bytes);

/* How handshakes went so far. */
transport_handshakes door_count(door *d);

/* The socket must be monitored no more: that its monitor tells of it ends the thread. Nulls the pointer;
 * NULL: nothing. */
void door_close(door **d);

#endif
