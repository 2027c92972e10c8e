/* session_send.c - cuts operations into parts and makes their messages. See session_state.h. */
#include <stdlib.h>

#include "worker/session_state.h"

/* ---- cutting ---- */

static const uint32_t *slices_of(const session *s, uint32_t server)
{
    return s->config.partition->server_slices + s->config.partition->server_first[server];
}

static uint64_t slice_bytes(const session *s, uint32_t number)
{
    return s->config.partition->slices[number].count * sizeof(float);
}

typedef struct {
    uint32_t count; /* of slices; 0: nothing is to be sent now */
    uint64_t bytes;
    uint32_t next; /* the ordinal after the last of them */
} gathered;

/* The lowest slices of the lane that are ready, as many as a message takes, but at most `most`. They are
 * listed in the operation's order from `into` on; whole operations go by the partition's. */
static gathered gather(const session *s, const lane *l, uint32_t most, uint32_t *into)
{
    const bool *ready = l->operation->slice_ready;
    const uint32_t *numbers = slices_of(s, l->server);
    uint64_t bytes_max = s->config.message_bytes_max ? s->config.message_bytes_max : UINT64_MAX;
    gathered found = {.next = l->next};
    if (most > s->config.slices_per_message)
        most = s->config.slices_per_message;
    for (uint32_t ordinal = l->next; found.count < most; ordinal++) {
        uint32_t number = numbers[ordinal];
        if (into && !ready[number])
            continue;
        uint64_t bytes = slice_bytes(s, number);
        if (found.count > 0 && found.bytes + bytes > bytes_max)
            break;
        if (into)
            into[found.count] = number;
        found.count++;
        found.bytes += bytes;
        found.next = ordinal + 1;
    }
    return found;
}

static void advance(session *s, lane *l, const part *cut, const gathered *found)
{
    operation *op = l->operation;
    for (uint32_t i = 0; op->request.by_tensor && i < cut->count; i++)
        op->slice_ready[cut->slices[i]] = false;
    l->next = found->next;
    l->ready -= found->count;
    l->ready_bytes -= op->request.by_tensor ? found->bytes : 0;
    l->uncut -= found->count;
    if (l->uncut > 0)
        return;
    TAILQ_REMOVE(&s->peers[l->server].lanes, l, link);
    l->linked = false;
    op->open_lanes--;
}

/* The next part of the lane, if there is something worth a message. Before the gradient is judged, one slice
 * at least stays behind to bring the judgement. */
static part *cut_part(session *s, lane *l, uint64_t now_ms)
{
    operation *op = l->operation;
    bool by_tensor = op->request.by_tensor;
    uint32_t most = l->ready;
    if (!op->judged && (op->request.judged_first || l->ready_bytes < s->config.message_bytes_min))
        return NULL;
    if (!op->judged && most == l->uncut)
        most--;
    uint32_t done = partition_server_count(s->config.partition, l->server) - l->uncut;
    uint32_t *into = by_tensor ? op->order + s->config.partition->server_first[l->server] + done : NULL;
    gathered found = gather(s, l, most, into);
    if (!op->judged && (found.count == 0 || found.bytes < s->config.message_bytes_min))
        return NULL;

    part *p = &op->parts[op->part_count++];
    *p = (part){
        .operation = op,
        .request = s->next_serial++ * SESSION_OPERATIONS_MAX + op->slot,
        .server = l->server,
        .count = found.count,
        .slices = by_tensor ? into : slices_of(s, l->server) + l->next,
        .state = PART_SENT,
        .query_after_ms = s->config.query_first_ms,
        .since_ms = now_ms,
    };
    advance(s, l, p, &found);
    TAILQ_INSERT_TAIL(&s->open, p, open);
    s->peers[p->server].open_parts++;
    session_make_due(s, p, PART_TO_SEND);
    return p;
}

/* ---- messages ---- */

wire_message *session_stamp(const session *s, uint32_t server, wire_message *m, uint64_t request)
{
    if (!m)
        return NULL;
    m->job = s->fingerprint;
    m->role = s->config.role;
    m->index = s->config.index;
    m->incarnation = s->config.incarnation;
    m->request = request;
    m->settled = s->peers[server].taken;
    m->epoch = s->peers[server].epoch;
    m->receiver = (uint32_t)s->peers[server].incarnation;
    m->members_version = s->members.version;
    m->end_step = session_is_chief(s) && server == 0 ? s->end_step : 0;
    return m;
}

/* What travels of a slice's gradient: itself, lent, or what it is encoded as. */
static buffer *make_payload(session *s, operation *op, uint32_t number)
{
    const slice *cut = &s->config.partition->slices[number];
    const float *gradient = op->gradients[cut->tensor] + cut->offset;
    if (!encoder_encodes(s->encoder, cut->tensor))
        return lease_lend(&op->lease, gradient, cut->count * sizeof *gradient);
    return encoder_payload(s->encoder, op->slot, number, gradient, op->request.nonfinite);
}

static wire_message *make_request(session *s, const part *p)
{
    operation *op = p->operation;
    const session_request *request = &op->request;
    wire_message *m = session_stamp(s, p->server, wire_create(request->type, p->count), p->request);
    if (!m)
        return NULL;
    bool push = request->type == WIRE_PUSH || request->type == WIRE_PUSH_PULL;
    m->step = request->step;
    m->after_finish = request->after_finish;
    m->exact = request->exact;
    m->reads_memory = s->peers[p->server].read_by_us && p->sent == 0;
    /* A PUSH in synchronous mode is acknowledged before the shard has read it. */
    bool read_when_answered = request->type != WIRE_PUSH || s->config.job->mode != CONSISTENCY_SYNC;
    m->by_reference = s->peers[p->server].reads_ours && read_when_answered;
    m->nonfinite = request->nonfinite;
    m->examples = push ? request->examples : 0;
    m->clip_factor = push ? request->clip_factor : 0.0f;
    m->has_payload = push && request->examples > 0;
    if (request->figures)
        wire_set_figures(m, request->figures);

    for (uint32_t i = 0; i < p->count; i++) {
        m->slices[i] = p->slices[i];
        if (!m->has_payload)
            continue;
        m->payloads[i] = make_payload(s, op, p->slices[i]);
        if (!m->payloads[i]) {
            wire_destroy(&m);
            return NULL;
        }
    }
    return m;
}

static void schedule_query(session *s, part *p, uint64_t now_ms)
{
    p->query_at_ms = now_ms + p->query_after_ms;
    if (p->query_at_ms < s->query_at_ms)
        s->query_at_ms = p->query_at_ms;
    uint32_t doubled = p->query_after_ms * 2;
    p->query_after_ms = doubled < s->config.query_max_ms ? doubled : s->config.query_max_ms;
}

static void count_request(session *s, part *p, const wire_message *m)
{
    if (p->sent++ > 0)
        s->counters.resent++;
    else
        s->counters.requests++;
    for (uint32_t i = 0; m->has_payload && i < p->count; i++)
        s->counters.bytes_pushed += buffer_size(m->payloads[i]);
}

/* Out of memory it stays due, and is tried again. */
static wire_message *send_part(session *s, part *p, uint64_t now_ms)
{
    peer *to = &s->peers[p->server];
    bool asks = p->state == PART_TO_QUERY;
    wire_message *m =
        asks ? session_stamp(s, p->server, wire_create(WIRE_QUERY, 0), p->request) : make_request(s, p);
    if (asks)
        to->waits_for[0] = '\0';
    if (!m)
        return NULL;
    if (!asks)
        count_request(s, p, m);
    TAILQ_REMOVE(&to->due, p, due);
    to->taken_bytes = 0;
    p->state = PART_SENT;
    schedule_query(s, p, now_ms);
    return m;
}

/* A shard stops answering when too much of what it has sent may still be on its way. So it is told that it
 * has been taken, if no request does that anyway. One that has restarted says so to whoever speaks to it. */
static wire_message *settle(const session *s, uint32_t server)
{
    peer *to = &s->peers[server];
    const bool holds_up = to->open_parts > 0 && to->taken_bytes >= SESSION_SETTLE_BYTES;
    if (!holds_up && !to->to_be_reminded)
        return NULL;
    wire_message *m = session_stamp(s, server, wire_create(WIRE_SETTLE, 0), s->round);
    if (m) {
        to->taken_bytes = 0;
        to->to_be_reminded = false;
    }
    return m;
}

/* What was sent before goes first, then the oldest operation: a step's messages reach a ps in the order of
 * the steps. */
wire_message *session_next(session *s, uint32_t server, uint64_t now_ms)
{
    peer *to = &s->peers[server];
    if (!s->joined)
        return session_next_hello(s, server, now_ms);
    part *p = TAILQ_FIRST(&to->due);
    for (lane *l = TAILQ_FIRST(&to->lanes); l && !p; l = TAILQ_NEXT(l, link))
        p = cut_part(s, l, now_ms);
    return p ? send_part(s, p, now_ms) : settle(s, server);
}
