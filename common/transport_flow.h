/* transport_flow.h - how many bytes of each connection of a socket that listens are on their way. Private to
 * common/transport*.c.
 *
 * ZeroMQ's marks count messages, and a message may have any number of frames: of one that has not come whole
 * it tells nothing, however much of it lies in memory. So bytes are counted: those that the system has
 * received for a connection (TCP_INFO) and that have left its buffer, less those of messages that were taken;
 * and those of messages that were sent, less those that the other end has acknowledged.
 *
 * A connection is known by its descriptor, which others get after it, and by the number that ZeroMQ's ROUTER
 * gives it, which rises. Until the next one with the same descriptor has sent its first message it may thus
 * pass for the one before it: what is found of it is at least half of what there is.
 *
 * Threads: all but flow_waiting and flow_left belong to the one that receives and sends; those to the door's.
 */
#ifndef PENSTOCK_COMMON_TRANSPORT_FLOW_H
#define PENSTOCK_COMMON_TRANSPORT_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/wire.h"

enum { FLOW_FILES_MAX = 1 << 20 }; /* descriptors; of higher ones nothing is counted */

typedef struct flow flow;

/* NULL: out of memory. `has_keys`: frames are encrypted. */
flow *flow_create(bool has_keys);
void flow_destroy(flow **f);

/* Bytes of a frame as it travels. */
size_t flow_frame_bytes(const flow *f, size_t bytes);

/* A message of so many bytes came from there. */
void flow_take(flow *f, const wire_route *from, uint64_t bytes);

/* Are fewer bytes than that on their way there? Where the connection is not known, or gone: yes. */
bool flow_has_room(flow *f, const wire_route *to, uint64_t most);

/* A message of so many bytes has been handed to ZeroMQ. */
void flow_hand(flow *f, const wire_route *to, uint64_t bytes);

/* Bytes that have come by that connection, and were not taken. A system call, and a second if there are many.
 */
uint64_t flow_waiting(flow *f, int fd);

/* What flow_waiting found last; from now on 0. */
uint64_t flow_left(flow *f, int fd);

#endif
