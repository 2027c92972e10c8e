/* shard_admin.c - what an administrator asks for: a checkpoint now, or the end of the job.
 *
 * An order is sent again until it is carried out, so the shard keeps nothing of who gave it.
 *
 * Checkpoint. Images of several ps fit together only if they are of the same step, and nobody stops for them.
 * So who asks looks where all are, and names a step that none has reached yet; a ps that has passed it by the
 * time that it hears says so, and another is named.
 *
 * End. No ps but 0 need know of it: it names the last step, all workers end there, and to everybody else that
 * is how jobs end. In synchronous mode that is, at step t, step t + 2: nobody begins step t + 3 before ps 0
 * has answered him step t + 1, and all its answers name the last step. In the others it is the step that each
 * worker has under way when it hears of it. The chief says in whatever it sends to ps 0 that it has heard;
 * then, and not before, the order counts as taken: a ps 0 that restarts has forgotten it, and is told again
 * by the chief. If both are lost at once, it is to be given again. */
#include "common/log.h"
#include "ps/shard_state.h"

static ps_status check(const shard *s, const wire_message *order, ps_error *error)
{
    if (order->receiver != s->config.index)
        return ps_fail(error, PS_EMISMATCH, "this is ps/%u, not ps/%u: the cluster specs differ",
                       s->config.index, order->receiver);
    if (!s->has_job)
        return ps_fail(error, PS_ESTATE, "ps/%u has no job yet", s->config.index);
    if (s->held)
        return ps_fail(error, PS_ESTATE, "ps/%u is ending, after a signal", s->config.index);
    return shard_failure(s, error);
}

/* ---- checkpoint ---- */

/* Will there be no step after the present one? */
static bool is_near_the_end(const shard *s)
{
    return shard_is_near_the_end(s) || shard_is_over(s);
}

static ps_status order_image(shard *s, uint64_t step, ps_error *error)
{
    const uint64_t applied = s->consistency.applied;
    const bool known = s->ordered_step == step;
    if (!s->config.archive)
        return ps_fail(error, PS_ECONFIG, "ps/%u keeps no checkpoints (--checkpoint-dir)", s->config.index);
    if (step < applied && !(known && s->ordered_taken))
        return ps_fail(error, PS_ENOENT, "ps/%u is at step %llu, past step %llu", s->config.index,
                       (unsigned long long)applied, (unsigned long long)step);
    if (step > applied && is_near_the_end(s))
        return ps_fail(error, PS_ESTATE, "the job is at its end, of which a checkpoint is kept anyway");
    if (known)
        return PS_OK;
    s->ordered_step = step;
    s->ordered_taken = false;
    if (step == applied)
        shard_take_image(s);
    return PS_OK;
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
    const ps_status status = has_part && !looks ? order_image(s, order->step, error) : PS_OK;
    if (status != PS_OK)
        return status;
    if (has_part && (looks || !s->ordered_taken || !shard_has_kept_images(s))) {
        send_pending(s, order, from);
        return PS_OK;
    }
    if (has_part && s->config.archive->ops->newest_kept(s->config.archive) < order->step) {
        s->ordered_step = 0; /* who asks again has it tried again */
        return ps_fail(error, PS_EIO, "ps/%u could not keep the checkpoint of step %llu: its log says why",
                       s->config.index, (unsigned long long)order->step);
    }
    shard_send_plain(s, WIRE_ACK, order, from, NULL);
    return PS_OK;
}

bool shard_image_is_ordered(const shard *s)
{
    return !s->ordered_taken && s->ordered_step > 0 && s->ordered_step == s->consistency.applied;
}

/* ---- end ---- */

static ps_status handle_stop(shard *s, const wire_message *order, const wire_route *from, ps_error *error)
{
    if (s->config.index != 0)
        return ps_fail(error, PS_EPROTOCOL, "STOP to ps/%u: it is for ps/0", s->config.index);
    if (s->end_step == 0) {
        if (is_near_the_end(s))
            return ps_fail(error, PS_ESTATE, "the job is at its end already");
        s->end_step = s->job.mode == CONSISTENCY_SYNC ? s->consistency.applied + 2 : 1;
        log_event(LOG_WARNING, "stop_ordered", s->consistency.applied,
                  "an administrator ends the job: %s step %llu", s->end_step > 1 ? "after" : "now, after",
                  (unsigned long long)(s->end_step > 1 ? s->end_step : s->consistency.applied));
        shard_hurry_chief(s);
    }
    shard_send_plain(s, s->end_is_known ? WIRE_ACK : WIRE_PENDING, order, from,
                     s->end_is_known ? NULL : "the chief has not heard of it yet");
    return PS_OK;
}

void shard_hear_of_end(shard *s, const wire_message *message)
{
    const bool is_chief = message->role == WIRE_WORKER && message->index == 0;
    if (!is_chief || message->end_step == 0 || s->config.index != 0)
        return;
    if (s->end_step == 0)
        s->end_step = message->end_step;
    s->end_is_known = message->end_step == s->end_step;
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
