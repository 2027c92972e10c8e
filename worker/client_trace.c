/* client_trace.c - see client_trace.h. */
#include "worker/client_trace.h"

#include "common/trace.h"

static uint16_t member_of(const ps_client *c)
{
    return trace_member(c->index, c->role == WIRE_EVALUATOR);
}

uint32_t client_trace_send(ps_client *c, uint32_t server, unsent_messages *due, uint64_t begun_ns)
{
    if (!trace_is_on)
        return c->uplink->ops->send(c->uplink, server, due->messages, due->count);
    trace_about sent[TRANSPORT_TOGETHER_MAX];
    wire_type types[TRANSPORT_TOGETHER_MAX];
    const uint64_t at_ns = trace_begin();
    for (uint32_t i = 0; i < due->count; i++) {
        const wire_message *m = due->messages[i];
        types[i] = m->type;
        sent[i] = (trace_about){
            .step = m->step,
            .request = m->request,
            .incarnation = m->incarnation,
            .member = member_of(c),
            .peer = (uint16_t)server,
        };
    }
    const uint32_t count = c->uplink->ops->send(c->uplink, server, due->messages, due->count);
    trace_about all = {.peer = (uint16_t)server, .value = count};
    bool pushes = false;
    for (uint32_t i = 0; i < count; i++) {
        const bool push = types[i] == WIRE_PUSH_PULL || types[i] == WIRE_PUSH;
        if (push || types[i] == WIRE_PULL)
            trace_point(push ? TRACE_PUSH_SENT : TRACE_PULL_SENT, at_ns, sent[i]);
        if (push || i == 0)
            all.step = sent[i].step;
        pushes |= push;
    }
    if (count > 0)
        trace_span(pushes ? TRACE_SEND_PUSH : TRACE_SEND_OTHER, begun_ns, all);
    return count;
}

void client_trace_receive(ps_client *c, uint32_t server, wire_message **message)
{
    if (!trace_is_on) {
        session_receive(c->session, server, message);
        return;
    }
    const wire_type type = (*message)->type;
    const trace_about about = {
        .step = (*message)->step,
        .request = (*message)->request,
        .incarnation = session_incarnation(c->session),
        .value = (*message)->slice_count,
        .member = member_of(c),
        .peer = (uint16_t)server,
    };
    const uint64_t begun_ns = trace_begin();
    session_receive(c->session, server, message);
    if (type == WIRE_WEIGHTS || type == WIRE_ACK)
        trace_point(TRACE_TAKEN, begun_ns, about);
    trace_span(type == WIRE_WEIGHTS ? TRACE_TAKE_WEIGHTS : TRACE_TAKE_OTHER, begun_ns, about);
}
