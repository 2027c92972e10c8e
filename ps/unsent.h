/* unsent.h - answers that wait for room on the way to their peer.
 *
 * A message that cannot leave because its peer's queue is full waits here, so a slow worker delays itself
 * alone. So may only a few for one peer, and only so many bytes of weights: of one that asks without reading,
 * the further answers are dropped, and it will, once it reads again, ask again. */
#ifndef PENSTOCK_PS_UNSENT_H
#define PENSTOCK_PS_UNSENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/transport.h"
#include "common/wire.h"

enum { UNSENT_MAX = 64 }; /* of one peer, beside what waits in its queue */

typedef struct unsent_message unsent_message;

/* Start from zeros. */
typedef struct {
    unsent_message *first;
} unsent;

/* Consumes `message`, and drops it where the peer has as many as may wait. */
void unsent_keep(unsent *u, const wire_route *to, wire_message **message);

/* Does any wait for that peer? What comes then waits behind it. */
bool unsent_has(const unsent *u, const wire_route *to);

uint32_t unsent_count(const unsent *u);

/* Sends what can be taken now. Of a connection that is gone all is dropped: its owner will ask again over a
 * new one. */
void unsent_send(unsent *u, transport_socket *s);

void unsent_drop(unsent *u);

#endif
