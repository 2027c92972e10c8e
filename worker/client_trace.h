/* client_trace.h - a client's messages in the trace (common/trace.h), seen from around the session, where the
 * clock is. Private to worker/client*.c. */
#ifndef PENSTOCK_WORKER_CLIENT_TRACE_H
#define PENSTOCK_WORKER_CLIENT_TRACE_H

#include "worker/client_state.h"

/* The uplink's `send`, of what has been gathered for this ps since `begun_ns` (trace_begin). */
uint32_t client_trace_send(ps_client *c, uint32_t server, unsent_messages *due, uint64_t begun_ns);

/* session_receive. */
void client_trace_receive(ps_client *c, uint32_t server, wire_message **message);

#endif
