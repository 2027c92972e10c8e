/* shard_push.c - gradients: their parts are judged and collected, and whole ones become updates. */
#include "common/schedule.h"
#include "ps/shard_state.h"

/* ---- what is counted of gradients ---- */

static void count_bytes(shard *s, const wire_message *push)
{
    for (uint32_t i = 0; s->config.counted && push->has_payload && i < push->slice_count; i++) {
        const uint32_t of = s->partition.slices[push->slices[i]].tensor;
        metrics_add(s->config.counted, PS_METRIC_BYTES_RECEIVED,
                    (uint32_t)job_push_codec(&s->job, of).kind - CODEC_FP32, buffer_size(push->payloads[i]));
    }
}

/* A gradient has come whole; nothing has been applied since. */
static void count_push(shard *s, member *m)
{
    const bool sync = s->job.mode == CONSISTENCY_SYNC;
    const uint64_t version = sync ? m->push.step - 1 : s->consistency.applied;
    s->counters.pushes++;
    m->push.whole_ms = s->now_ms;
    if (!m->has_weights || m->weights > version)
        return;
    m->has_staleness = true;
    m->staleness = version - m->weights;
    metrics_observe(s->config.counted, PS_METRIC_STALENESS, 0, m->staleness);
}

static void count_waits(const shard *s, const worker_set *contributors)
{
    for (uint32_t i = 0; s->config.counted && i < contributors->count; i++)
        metrics_observe(s->config.counted, PS_METRIC_WAIT, 0,
                        s->now_ms - s->workers[contributors->workers[i]].push.whole_ms);
}

/* ---- parts ---- */

static ps_status check_payload(const shard *s, const slice *cut, const buffer *payload, ps_error *error)
{
    codec_config codec = job_push_codec(&s->job, cut->tensor);
    return codec_check(&codec, buffer_bytes(payload), buffer_size(payload), cut->count, error);
}

ps_status shard_check_slices(const shard *s, const wire_message *message, ps_error *error)
{
    for (uint32_t i = 0; i < message->slice_count; i++) {
        uint32_t number = message->slices[i];
        if (number >= s->partition.count || s->partition.slices[number].server != s->config.index)
            return ps_fail(error, PS_EMISMATCH, "%s names slice %u, which ps/%u does not hold",
                           wire_type_name(message->type), number, s->config.index);
        ps_error why;
        ps_status status = message->has_payload
                               ? check_payload(s, &s->partition.slices[number], message->payloads[i], &why)
                               : PS_OK;
        if (status != PS_OK)
            return ps_fail(error, status, "%s: slice %u: %s", wire_type_name(message->type), number,
                           why.text);
    }
    return PS_OK;
}

/* Does this part belong to the gradient being collected? One whose step was applied without it (backup
 * workers) makes room. */
static ps_status check_fits_parts(shard *s, member *m, const wire_message *part, ps_error *error)
{
    member_push *push = &m->push;
    if (push->step != 0 && s->job.mode == CONSISTENCY_SYNC && push->step <= s->consistency.applied)
        member_drop_push(m, s->slice_count);
    if (push->step == 0)
        return PS_OK;
    if (push->step != part->step)
        return ps_fail(error, PS_EPROTOCOL, "worker %u pushes step %llu while step %llu is incomplete",
                       part->index, (unsigned long long)part->step, (unsigned long long)push->step);
    if (push->examples != part->examples || push->clip_factor != part->clip_factor)
        return ps_fail(error, PS_EPROTOCOL,
                       "worker %u: the parts of step %llu disagree about examples or clip factor",
                       part->index, (unsigned long long)part->step);
    return PS_OK;
}

/* Adds a part to the gradient being collected. Slices that are already there are left alone. */
static void collect_part(shard *s, member_push *push, const wire_message *message)
{
    push->step = message->step;
    push->examples = message->examples;
    push->clip_factor = message->clip_factor;
    push->nonfinite |= message->nonfinite;
    for (uint32_t i = 0; i < message->slice_count; i++) {
        const slice *cut = &s->partition.slices[message->slices[i]];
        if (push->named[cut->ordinal])
            continue;
        push->named[cut->ordinal] = true;
        push->received++;
        if (message->has_payload)
            push->slices[cut->ordinal] = buffer_ref(message->payloads[i]);
    }
}

/* A gradient that comes too late counts once, however many parts and repeats of it come. */
static void count_unused(shard *s, member *m, uint64_t step, arrival verdict)
{
    if (verdict == ARRIVAL_REPEAT) {
        s->counters.repeats++;
    } else if (step > m->late_step) {
        s->counters.late_gradients++;
        m->late_step = step;
    }
}

ps_status shard_take_part(shard *s, member *m, const wire_message *part, arrival *verdict, ps_error *error)
{
    ps_status status = consistency_judge(&s->consistency, part->index, part->step, verdict, error);
    if (status != PS_OK || *verdict != ARRIVAL_FRESH)
        return status;
    status = check_fits_parts(s, m, part, error);
    if (status == PS_OK)
        status = shard_journal_append(s, part, error);
    if (status != PS_OK)
        return status;
    collect_part(s, &m->push, part);
    if (m->push.received < s->slice_count)
        return PS_OK;
    count_push(s, m);
    consistency_arrive(&s->consistency, part->index, part->step);
    if (m->push.nonfinite)
        shard_guard_flagged(s, part->index);
    return PS_OK;
}

ps_status shard_handle_push(shard *s, member *m, wire_message **message, const wire_route *from,
                            uint64_t now_ms, ps_error *error)
{
    wire_message *push = *message;
    if (push->role != WIRE_WORKER)
        return ps_fail(error, PS_EPROTOCOL, "an %s may not push", wire_role_name(push->role));
    if (push->slice_count == 0)
        return ps_fail(error, PS_EPROTOCOL, "%s names no slice", wire_type_name(push->type));
    if (s->held) /* it is for the life after this one: nobody says that it has come */
        return PS_OK;
    count_bytes(s, push);
    arrival verdict;
    ps_status status = shard_take_part(s, m, push, &verdict, error);
    if (status != PS_OK)
        return status;
    if (verdict != ARRIVAL_FRESH) {
        count_unused(s, m, push->step, verdict);
        shard_answer_or_open(s, m, message, from, now_ms);
        return PS_OK;
    }
    if (m->push.received < s->slice_count) {
        shard_answer_or_open(s, m, message, from, now_ms);
        return PS_OK;
    }
    if (member_open(m, message, from, now_ms) != PS_OK)
        shard_fail_out_of_memory(s);
    shard_apply_ready(s);
    return PS_OK;
}

/* ---- updates ---- */

/* The shares of those contributors that have something to contribute. Returns their number. */
static uint32_t collect_gradients(shard *s, const worker_set *contributors)
{
    uint64_t examples = 0;
    for (uint32_t i = 0; i < contributors->count; i++)
        examples += s->workers[contributors->workers[i]].push.examples;
    uint32_t count = 0;
    for (uint32_t i = 0; i < contributors->count; i++) {
        const member_push *push = &s->workers[contributors->workers[i]].push;
        if (push->examples == 0)
            continue;
        double share = (double)push->examples / (double)examples;
        s->gradients[count++] = (store_gradient){
            .slices = push->slices,
            .weight = (float)share * push->clip_factor,
        };
    }
    s->counters.examples_applied += examples;
    return count;
}

/* While the gradients are still held. */
static void tell_applied(const shard *s, uint64_t begun, uint64_t step, const worker_set *contributors)
{
    const shard_listener *l = s->config.listener;
    for (uint32_t i = 0; i < contributors->count; i++) {
        const member *m = &s->workers[contributors->workers[i]];
        l->takes(begun, contributors->workers[i], m->incarnation, m->push.step);
    }
    l->applied(begun, step, contributors->count);
}

void shard_apply_ready(shard *s)
{
    uint64_t step;
    worker_set contributors;
    while (s->failure.status == PS_OK && !s->held &&
           consistency_ready(&s->consistency, &step, &contributors)) {
        const bool tells = s->config.listener && !s->replaying;
        const uint64_t begun = tells ? s->config.listener->begins() : 0;
        uint32_t count = collect_gradients(s, &contributors);
        float rate = (float)schedule_rate(&s->job.schedule, step);
        bool finite = true;
        if (count == 0) {
            store_skip(s->store);
        } else if (store_apply(s->store, s->gradients, count, rate, &finite) != PS_OK) {
            shard_fail_out_of_memory(s);
            break;
        }
        if (!finite)
            shard_guard_applied(s, step, &contributors);
        consistency_applied(&s->consistency, step, &contributors);
        s->at_the_end = false;
        s->counters.steps_applied++;
        shard_note_progress(s);
        count_waits(s, &contributors);
        if (tells)
            tell_applied(s, begun, step, &contributors);
        for (uint32_t i = 0; i < contributors.count; i++)
            member_drop_push(&s->workers[contributors.workers[i]], s->slice_count);
        if (s->replaying)
            continue;
        shard_take_image(s);
        shard_go_on_winding_up(s, true);
    }
    shard_answer_all(s);
}
