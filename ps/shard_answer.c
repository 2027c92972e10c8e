/* shard_answer.c - when may a request be answered, and with what? The shard's outgoing side. */
#include "common/recycler.h"
#include "ps/shard_state.h"

void shard_fail_job(shard *s, const ps_error *why)
{
    if (s->failure.status == PS_OK)
        s->failure = *why;
}

void shard_fail_out_of_memory(shard *s)
{
    ps_error why;
    ps_fail(&why, PS_ENOMEM, "ps/%u is out of memory", s->config.index);
    shard_fail_job(s, &why);
}

/* Fills in what every answer carries and queues it. Takes `m`; NULL means that it could not be made. */
void shard_send_answer(shard *s, wire_message *m, const wire_message *request, const wire_route *to)
{
    outgoing *out = m ? recycler_take(sizeof *out) : NULL;
    if (!out) {
        wire_destroy(&m);
        shard_fail_out_of_memory(s);
        return;
    }
    m->role = WIRE_PS;
    m->index = s->config.index;
    m->incarnation = s->config.incarnation;
    m->request = request->request;
    m->examples_total = s->counters.examples_applied;
    if (s->has_job) {
        m->job = s->fingerprint;
        m->members_version = s->consistency.members.version;
        m->job_finished = shard_is_over(s);
        m->end_step = shard_end_for(s, request);
        if (m->type != WIRE_WELCOME && !m->exact)
            m->step = s->consistency.applied;
    }
    out->next = NULL;
    out->to = *to;
    out->message = m;
    out->position = s->position;
    *s->outbox_tail = out;
    s->outbox_tail = &out->next;
    s->outbox_count++;
}

void shard_send_plain(shard *s, wire_type type, const wire_message *request, const wire_route *to,
                      const char *text)
{
    wire_message *m = wire_create(type, 0);
    if (m && text)
        wire_set_text(m, text);
    shard_send_answer(s, m, request, to);
}

void shard_send_resend(shard *s, const wire_message *request, const wire_route *to)
{
    wire_message *m = wire_create(WIRE_RESEND, 0);
    if (m)
        m->reads_memory = shard_member_of(s, request)->readable;
    shard_send_answer(s, m, request, to);
}

void shard_send_pending(shard *s, const open_request *r)
{
    char text[WIRE_TEXT_MAX + 1];
    shard_describe_wait(s, r->message, text, sizeof text);
    wire_message *m = wire_create(WIRE_PENDING, 0);
    if (m) {
        wire_set_text(m, text);
        m->lost_worker = shard_lost_worker(s, r->message);
    }
    shard_send_answer(s, m, r->message, &r->from);
}

void shard_hurry_chief(shard *s)
{
    for (const open_request *r = s->workers[0].requests; r; r = r->next)
        shard_send_pending(s, r);
}

void shard_send_error(shard *s, const wire_message *request, const wire_route *to, const ps_error *why)
{
    wire_message *m = wire_create(WIRE_ERROR, 0);
    if (m) {
        m->status = why->status;
        wire_set_text(m, why->text);
    }
    shard_send_answer(s, m, request, to);
}

/* Does the request want the version before the current one, which is still here? */
static bool wants_previous(const shard *s, const wire_message *request)
{
    return request->exact && request->step + 1 == s->consistency.applied && store_keeps_previous(s->store);
}

/* A reference to the weights as they travel. */
static buffer *payload_of(const shard *s, const wire_message *request, uint32_t number,
                          const codec_config *codec)
{
    uint32_t ordinal = s->partition.slices[number].ordinal;
    if (wants_previous(s, request))
        return store_previous(s->store, ordinal, codec);
    buffer *payload = store_payload(s->store, ordinal, codec);
    return payload ? buffer_ref(payload) : NULL;
}

/* The version of weights that the member has got by this, for what is counted. */
static void note_version(shard *s, const wire_message *request)
{
    member *m = shard_member_of(s, request);
    m->has_weights = true;
    m->weights = wants_previous(s, request) ? request->step : s->consistency.applied;
}

static void count_bytes(const shard *s, const wire_message *weights, const codec_config *codec)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; s->config.counted && i < weights->slice_count; i++)
        bytes += weights->payloads[i] ? buffer_size(weights->payloads[i]) : 0;
    metrics_add(s->config.counted, PS_METRIC_BYTES_SENT, (uint32_t)codec->kind - CODEC_FP32, bytes);
}

static void send_weights(shard *s, const wire_message *request, const wire_route *to)
{
    const codec_config codec = job_pull_codec(&s->job, request->after_finish);
    wire_message *m = wire_create(WIRE_WEIGHTS, request->slice_count);
    bool complete = true;
    if (m) {
        m->has_payload = request->slice_count > 0;
        m->by_reference = request->reads_memory;
        m->request = request->request;
        m->exact = wants_previous(s, request);
        m->step = request->step;
        note_version(s, request);
        for (uint32_t i = 0; i < request->slice_count; i++) {
            m->slices[i] = request->slices[i];
            m->payloads[i] = payload_of(s, request, m->slices[i], &codec);
            complete &= m->payloads[i] != NULL;
        }
        count_bytes(s, m, &codec);
        if (!complete || member_note_answer(shard_member_of(s, request), m) != PS_OK)
            wire_destroy(&m);
    }
    shard_send_answer(s, m, request, to);
}

/* One of FINISH asks for a last word, if this shard could come back. */
static void send_ack(shard *s, const wire_message *request, const wire_route *to)
{
    wire_message *m = wire_create(WIRE_ACK, 0);
    if (m)
        m->after_finish = request->type == WIRE_FINISH && s->slice_count > 0 && shard_keeps_members(s);
    shard_send_answer(s, m, request, to);
}

void shard_answer(shard *s, const wire_message *request, const wire_route *to)
{
    if (s->failure.status != PS_OK)
        shard_send_error(s, request, to, &s->failure);
    else if (request->type == WIRE_PUSH_PULL || request->type == WIRE_PULL)
        send_weights(s, request, to);
    else
        send_ack(s, request, to);
}

wire_message *shard_next(shard *s, wire_route *to)
{
    outgoing *out = s->outbox;
    if (!out || !shard_journal_has(s, out->position))
        return NULL;
    s->outbox = out->next;
    s->outbox_count--;
    if (!s->outbox)
        s->outbox_tail = &s->outbox;
    wire_message *m = out->message;
    *to = out->to;
    recycler_give(out);
    return m;
}

/* ---- when may a request be answered? ---- */

/* The workers whose end a request for the final weights waits for: all but the one that asks. Where the shard
 * has come back after the end, who has not come since had finished, and may be gone; and one that is given up
 * will not say any more that it has: it is not missing in any step, or it would have been replaced in that.
 */
void shard_others_at_work(const shard *s, const wire_message *request, worker_set *others)
{
    others->count = 0;
    for (uint32_t w = 0; w < s->job.workers; w++) {
        const bool asks = request->role == WIRE_WORKER && request->index == w;
        const bool was_done = s->at_the_end && !s->workers[w].joined;
        const bool awaited = !asks && !was_done && !s->workers[w].given_up;
        if (!s->workers[w].finished && awaited && consistency_awaits_end(&s->consistency, w))
            others->workers[others->count++] = (uint16_t)w;
    }
}

static bool others_finished(const shard *s, const wire_message *request)
{
    worker_set others;
    shard_others_at_work(s, request, &others);
    return others.count == 0;
}

static bool may_answer(const shard *s, const wire_message *request)
{
    if (s->failure.status != PS_OK)
        return true;
    if (s->held || shard_awaits_word_of_end(s, request))
        return false;
    if (request->type == WIRE_PUSH && s->job.mode == CONSISTENCY_SYNC)
        return true; /* the gradient is here; that its step applies later is a pull's concern */
    bool push = request->type == WIRE_PUSH || request->type == WIRE_PUSH_PULL;
    if (push && !consistency_settled(&s->consistency, request->index, request->step))
        return false; /* a part of a gradient is answered when the whole of it has had its effect */
    if (request->type == WIRE_FINISH)
        return request->role != WIRE_WORKER || !shard_finish_waits(s);
    if (request->after_finish && !others_finished(s, request))
        return false;
    return consistency_may_answer(&s->consistency, request->step);
}

/* Is there room on the way to this member? A slow one delays itself alone. */
static bool has_room(const shard *s, member *m, const wire_message *request, const wire_route *to)
{
    bool weights = request->type == WIRE_PUSH_PULL || request->type == WIRE_PULL;
    if (!weights || s->failure.status != PS_OK)
        return true;
    member_turn_to(m, to);
    if (m->unsettled_count == 0)
        return true;
    if (m->unsettled_count >= shard_requests_max(s))
        return false;
    uint64_t bytes = m->unsettled_bytes;
    const codec_config codec = job_pull_codec(&s->job, request->after_finish);
    for (uint32_t i = 0; i < request->slice_count; i++)
        bytes += codec_bytes(&codec, s->partition.slices[request->slices[i]].count);
    return bytes <= SHARD_WINDOW_BYTES;
}

void shard_answer_member(shard *s, member *m)
{
    open_request **link = &m->requests;
    while (*link) {
        open_request *r = *link;
        if (!may_answer(s, r->message) || !has_room(s, m, r->message, &r->from)) {
            link = &r->next;
            continue;
        }
        shard_answer(s, r->message, &r->from);
        member_close(m, link);
    }
}

void shard_answer_all(shard *s)
{
    for (uint32_t i = 0; i < s->job.workers; i++)
        shard_answer_member(s, &s->workers[i]);
    for (uint32_t i = 0; i < s->job.evaluators; i++)
        shard_answer_member(s, &s->evaluators[i]);
}

/* Answers now or, if it must wait, keeps the request. */
void shard_answer_or_open(shard *s, member *m, wire_message **message, const wire_route *from,
                          uint64_t now_ms)
{
    if (may_answer(s, *message) && has_room(s, m, *message, from))
        shard_answer(s, *message, from);
    else if (member_open(m, message, from, now_ms) != PS_OK)
        shard_fail_out_of_memory(s);
}
