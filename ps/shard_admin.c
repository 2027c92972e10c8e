/* shard_admin.c - what an administrator asks for: a checkpoint now, or the end of the job.
 *
 * An order is sent again until it is carried out. So little is kept of it: which steps are to be kept, and
 * who is to hear once the end is known.
 *
 * Checkpoint. Images of several ps fit together only if they are of the same step, and nobody stops for them.
 * So who asks looks where all are, and names a step that none has reached yet; a ps that has passed it by the
 * time that it hears says so, and another is named.
 *
 * End. No ps but 0 need know of it: it names the last step, all workers end there, and to everybody else that
 * is how jobs end. The chief says in whatever it sends to ps 0 that it knows; then, and not before, the order
 * counts as taken: a ps 0 that restarts has forgotten it, and is told by the chief, whose word counts for
 * more than an order given anew. Until it has heard the chief it gives nobody weights: who does not know of
 * the end, or has restarted since, might begin a step beyond it. If both are lost at once, it may be lost.
 *
 * In synchronous mode others are told once the chief is known to know: who knew of an end that is forgotten
 * would end alone, and the others go on without it. The last step is, at step t, step t + 3. The answers to
 * step t + 1 tell the chief, its gradient of step t + 2 tells ps 0, whose answers to that step tell all; and
 * without those nobody begins a step after t + 3. With backup workers steps do not wait for the chief: if it
 * comes late, the last step is moved.
 *
 * In the other modes everybody is told at once, and ends with the step that he has under way then. The order
 * is given again until the chief knows, and a second one is no other end than the first. */
#include <string.h>

#include "common/log.h"
#include "ps/shard_state.h"

enum { END_REMIND_MS = 500 }; /* between two words to a chief that does not say that it knows of the end */

static ps_status check(const shard *s, const wire_message *order, ps_error *error)
{
    if (order->receiver != s->config.index)
        return ps_fail(error, PS_EMISMATCH, "this is ps/%u, not ps/%u: the cluster specs differ",
                       s->config.index, order->receiver);
    if (!s->has_job)
        return ps_fail(error, PS_EREJOIN, "ps/%u has no job yet", s->config.index);
    if (s->held)
        return ps_fail(error, PS_ESTATE, "ps/%u is ending, after a signal", s->config.index);
    return shard_failure(s, error);
}

/* ---- checkpoint ---- */

/* Will there be no step after the present one? */
static bool is_near_the_end(const shard *s)
{
    const bool any = s->job.mode == CONSISTENCY_SYNC && shard_is_near_the_end(s); /* a step is everybody's */
    return any || shard_is_over(s) || shard_has_last_image(s);
}

static ordered_image *find_order(shard *s, uint64_t step)
{
    for (uint32_t i = 0; i < SHARD_ORDERS_MAX; i++)
        if (s->orders[i].step == step)
            return &s->orders[i];
    return NULL;
}

/* In the place of the oldest that is over, or of the one that is furthest away: it is ordered again. */
static ordered_image *add_order(shard *s, uint64_t step)
{
    ordered_image *least = s->orders, *most = s->orders;
    for (uint32_t i = 1; i < SHARD_ORDERS_MAX; i++) {
        least = s->orders[i].step < least->step ? &s->orders[i] : least;
        most = s->orders[i].step > most->step ? &s->orders[i] : most;
    }
    ordered_image *place = least->step <= s->consistency.applied ? least : most;
    *place = (ordered_image){.step = step};
    return place;
}

static ps_status order_image(shard *s, uint64_t step, ordered_image **ordered, ps_error *error)
{
    const uint64_t applied = s->consistency.applied;
    *ordered = find_order(s, step);
    if (!s->config.archive)
        return ps_fail(error, PS_ECONFIG, "ps/%u keeps no checkpoints (--checkpoint-dir)", s->config.index);
    if (step < applied && !*ordered)
        return ps_fail(error, PS_ENOENT, "ps/%u is at step %llu, past step %llu", s->config.index,
                       (unsigned long long)applied, (unsigned long long)step);
    if (step > applied && is_near_the_end(s))
        return ps_fail(error, PS_ESTATE, "the job is at its end, of which a checkpoint is kept anyway");
    if (*ordered)
        return PS_OK;
    *ordered = add_order(s, step);
    if (step == applied)
        shard_take_image(s);
    return PS_OK;
}

/* The archive may know what became of an image before this one, which it has not been given yet; or nothing,
 * where the shard has come back by the last one. */
static image_fate fate_of(const shard *s, uint64_t step, bool is_settled)
{
    const archive *a = s->config.archive;
    if (s->held_image && s->held_image->state.step == step)
        return IMAGE_UNKNOWN;
    const image_fate fate = a->ops->fate(a, step);
    return fate == IMAGE_UNKNOWN && is_settled && s->at_the_end ? IMAGE_KEPT : fate;
}

/* PENDING: the image is still to be taken, or to be written. */
static void send_pending(shard *s, const wire_message *order, const wire_route *from)
{
    char text[WIRE_TEXT_MAX + 1];
    shard_describe_stall(s, text, sizeof text);
    shard_send_plain(s, WIRE_PENDING, order, from, text);
}

static ps_status handle_checkpoint(shard *s, const wire_message *order, const wire_route *from,
                                   ps_error *error)
{
    const bool has_part = s->slice_count > 0, looks = order->step == 0;
    ordered_image *ordered = NULL;
    const ps_status status = has_part && !looks ? order_image(s, order->step, &ordered, error) : PS_OK;
    if (status != PS_OK)
        return status;
    const bool is_taken = ordered && ordered->taken;
    const bool is_settled = shard_has_kept_images(s); /* looked at before the fate, which then is final */
    const image_fate fate = is_taken ? fate_of(s, order->step, is_settled) : IMAGE_UNKNOWN;
    if (!has_part || fate == IMAGE_KEPT) {
        shard_send_plain(s, WIRE_ACK, order, from, NULL);
        return PS_OK;
    }
    if (looks || !is_taken || (fate == IMAGE_UNKNOWN && !is_settled)) {
        send_pending(s, order, from);
        return PS_OK;
    }
    ordered->step = 0; /* who asks again has it tried again */
    return ps_fail(error, PS_EIO, "ps/%u could not keep the checkpoint of step %llu: its log says why",
                   s->config.index, (unsigned long long)order->step);
}

bool shard_image_is_ordered(const shard *s)
{
    for (uint32_t i = 0; s->consistency.applied > 0 && i < SHARD_ORDERS_MAX; i++)
        if (s->orders[i].step == s->consistency.applied)
            return !s->orders[i].taken;
    return false;
}

void shard_note_image(shard *s)
{
    ordered_image *ordered = find_order(s, s->consistency.applied);
    if (ordered)
        ordered->taken = true;
}

void shard_forget_orders(shard *s)
{
    memset(s->orders, 0, sizeof s->orders);
}

/* ---- end ---- */

static bool is_of_chief(const wire_message *message)
{
    return message->role == WIRE_WORKER && message->index == 0;
}

/* It may be another process that asks, which is to do no more than the one before it; and all who knew of an
 * end may be gone. Where gradients may be left out, or workers come and go, its last step is not sure. */
static uint64_t end_of_finished(const shard *s, const wire_message *request)
{
    const bool is_sure = s->job.backup_workers == 0 && s->job.on_worker_loss != LOSS_SHRINK;
    const bool works = request->role == WIRE_WORKER && request->index < s->job.workers;
    const consistency_clock *clock = works && is_sure ? &s->consistency.clocks[request->index] : NULL;
    return clock && clock->finished ? clock->pushed : 0;
}

uint64_t shard_end_for(const shard *s, const wire_message *request)
{
    const bool chief = is_of_chief(request) && s->workers[0].joined; /* and so has told what it knows */
    const bool first = chief || request->role == WIRE_ADMINISTRATOR || s->job.mode != CONSISTENCY_SYNC;
    const uint64_t end = s->end_is_known || first ? s->end_step : 0;
    return end > 0 ? end : end_of_finished(s, request);
}

/* It may have nothing to ask of this ps, as where another one waits for a lost worker: it looks then. */
static void remind_chief(shard *s)
{
    if (s->end_is_known || s->now_ms - s->end_told_ms < END_REMIND_MS)
        return;
    s->end_told_ms = s->now_ms;
    shard_alert_chief(s);
}

static ps_status handle_stop(shard *s, const wire_message *order, const wire_route *from, ps_error *error)
{
    if (s->config.index != 0)
        return ps_fail(error, PS_EPROTOCOL, "STOP to ps/%u: it is for ps/0", s->config.index);
    if (s->end_step == 0) {
        if (is_near_the_end(s))
            return ps_fail(error, PS_ESTATE, "the job is at its end already");
        s->end_told_ms = s->now_ms;
        s->end_step = s->job.mode == CONSISTENCY_SYNC ? s->consistency.applied + 3 : 1;
        log_event(LOG_WARNING, "stop_ordered", s->consistency.applied,
                  "an administrator ends the job: %s step %llu", s->end_step > 1 ? "after" : "now, after",
                  (unsigned long long)(s->end_step > 1 ? s->end_step : s->consistency.applied));
        shard_hurry_chief(s);
    }
    remind_chief(s);
    s->stop_from = *from;
    s->stop_request = order->request;
    shard_send_plain(s, s->end_is_known ? WIRE_ACK : WIRE_PENDING, order, from,
                     s->end_is_known ? NULL : "the chief has not heard of it yet");
    return PS_OK;
}

void shard_hear_of_end(shard *s, const wire_message *message)
{
    const bool is_word = is_of_chief(message) && message->end_step > 0 && s->config.index == 0;
    if (!is_word || s->end_is_known || s->consistency.clocks[0].finished)
        return;
    const uint64_t soonest = s->consistency.applied + 2;
    const bool is_late =
        s->job.mode == CONSISTENCY_SYNC && message->end_step == s->end_step && s->end_step < soonest;
    s->end_step = is_late ? soonest : message->end_step;
    s->end_is_known = true;
    if (s->stop_request > 0) { /* the job may be over before it is asked for again */
        const wire_message stop = {.role = WIRE_ADMINISTRATOR, .request = s->stop_request};
        shard_send_plain(s, WIRE_ACK, &stop, &s->stop_from, NULL);
    }
}

bool shard_awaits_word_of_end(const shard *s, const wire_message *request)
{
    const bool has_forgotten = s->config.index == 0 && s->consistency.resumed;
    const bool may_know = !s->workers[0].joined && !s->workers[0].finished && !s->at_the_end;
    const bool wants_weights = request->type == WIRE_PULL || request->type == WIRE_PUSH_PULL;
    return has_forgotten && may_know && wants_weights && request->role == WIRE_WORKER;
}

/* ---- either ---- */

ps_status shard_handle_order(shard *s, const wire_message *order, const wire_route *from, ps_error *error)
{
    const ps_status status = check(s, order, error);
    if (status != PS_OK)
        return status;
    return order->type == WIRE_STOP ? handle_stop(s, order, from, error)
                                    : handle_checkpoint(s, order, from, error);
}
