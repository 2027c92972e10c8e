/* shard_trace.h - a shard's doings in the trace (common/trace.h), seen from around it, where the clock is. */
#ifndef PENSTOCK_PS_SHARD_TRACE_H
#define PENSTOCK_PS_SHARD_TRACE_H

#include "ps/shard.h"

/* For a shard's configuration: NULL where nothing is traced. */
const shard_listener *shard_trace_listener(void);

/* shard_receive, and what came, and was refused, in the trace. */
void shard_trace_receive(shard *s, wire_message **message, const wire_route *from, uint64_t now_ms);

/* These answers begin to leave to one member; returns when that was, for shard_trace_answered. */
uint64_t shard_trace_answers(const wire_route *to, wire_message *const *answers, uint32_t count);
void shard_trace_answered(uint64_t begun_ns, uint32_t count);

#endif
