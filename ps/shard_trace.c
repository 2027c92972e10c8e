/* shard_trace.c - see shard_trace.h. */
#include "ps/shard_trace.h"

#include "common/trace.h"

/* ---- updates ---- */

static void take(uint64_t begun_ns, uint32_t worker, uint64_t incarnation, uint64_t step)
{
    const trace_about about = {.step = step, .incarnation = incarnation, .peer = (uint16_t)worker};
    trace_point(TRACE_APPLIED, begun_ns, about);
}

static void apply(uint64_t begun_ns, uint64_t step, uint32_t gradients)
{
    trace_span(TRACE_UPDATE, begun_ns, (trace_about){.step = step, .value = gradients});
}

const shard_listener *shard_trace_listener(void)
{
    static const shard_listener listener = {.begins = trace_begin, .takes = take, .applied = apply};
    return trace_is_on ? &listener : NULL;
}

/* ---- messages ---- */

/* FNV-1a: tells connections of one ps apart. */
static uint64_t connection(const wire_route *route)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (uint32_t i = 0; i < route->bytes; i++)
        hash = (hash ^ route->id[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static void mark_refusals(const shard_counters *before, const shard_counters *now, const trace_about *about)
{
    const uint64_t at_ns = trace_begin();
    if (now->repeats > before->repeats)
        trace_point(TRACE_REPEAT, at_ns, *about);
    if (now->late_gradients > before->late_gradients)
        trace_point(TRACE_LATE, at_ns, *about);
    if (now->nonfinite_refused > before->nonfinite_refused)
        trace_point(TRACE_NONFINITE, at_ns, *about);
    if (now->messages_refused > before->messages_refused)
        trace_point(TRACE_REFUSED, at_ns, *about);
}

void shard_trace_receive(shard *s, wire_message **message, const wire_route *from, uint64_t now_ms)
{
    if (!trace_is_on || (*message)->role == WIRE_ADMINISTRATOR) { /* who has no lane */
        shard_receive(s, message, from, now_ms);
        return;
    }
    const wire_type type = (*message)->type;
    const bool pushes = type == WIRE_PUSH_PULL || type == WIRE_PUSH;
    const shard_counters before = *shard_count(s);
    trace_about about = {
        .step = (*message)->step,
        .request = (*message)->request,
        .incarnation = (*message)->incarnation,
        .value = connection(from),
        .peer = trace_member((*message)->index, (*message)->role == WIRE_EVALUATOR),
    };
    const uint32_t slices = (*message)->slice_count;
    const uint64_t begun_ns = trace_begin();
    shard_receive(s, message, from, now_ms);
    if (pushes || type == WIRE_PULL)
        trace_point(pushes ? TRACE_PUSH_RECEIVED : TRACE_PULL_RECEIVED, begun_ns, about);
    about.value = slices;
    trace_span(pushes ? TRACE_RECEIVE_PUSH : TRACE_RECEIVE_OTHER, begun_ns, about);
    mark_refusals(&before, shard_count(s), &about);
}

uint64_t shard_trace_answers(const wire_route *to, wire_message *const *answers, uint32_t count)
{
    const uint64_t begun_ns = trace_begin();
    if (begun_ns == 0)
        return 0;
    const uint64_t value = connection(to);
    for (uint32_t i = 0; i < count; i++) {
        const wire_message *m = answers[i];
        if (m->type == WIRE_WEIGHTS || m->type == WIRE_ACK)
            trace_point(TRACE_ANSWERED, begun_ns,
                        (trace_about){.step = m->step, .request = m->request, .value = value});
    }
    return begun_ns;
}

void shard_trace_answered(uint64_t begun_ns, uint32_t count)
{
    trace_span(TRACE_ANSWER, begun_ns, (trace_about){.value = count});
}
