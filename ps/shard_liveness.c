/* shard_liveness.c - who is lost, and what follows; and the deadline of a job in which nothing moves any
 * more.
 *
 * Every message of a member is a sign of life; while it computes, its HEARTBEATs are. Time in which the shard
 * itself has been asleep, so that ticks came late, counts against nobody. */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "ps/shard_state.h"

void shard_note_alive(shard *s, member *m, const wire_message *sign, uint64_t now_ms)
{
    if (m->given_up)
        shard_take_up_again(s, sign->index);
    if (m->lost) {
        s->counters.members_returned++;
        log_event(LOG_INFO, "member_returned", s->consistency.applied,
                  "%s %u is heard of again, after %llu s", wire_role_name(sign->role), sign->index,
                  (unsigned long long)(now_ms - m->heard_ms) / 1000);
    }
    m->lost = false;
    m->heard_ms = now_ms;
}

void shard_take_figures(shard *s, member *m, const wire_message *message)
{
    if (message->figures_bytes == 0 || !figures_unpack(message->figures, message->figures_bytes, &m->figures))
        return;
    m->figures_count++;
    const worker_figures *f = &m->figures;
    if (f->server_http[0] && f->server < s->job.servers && f->server != s->config.index)
        memcpy(s->server_http[f->server], f->server_http, sizeof f->server_http);
}

void shard_handle_heartbeat(shard *s, const wire_message *heartbeat, uint64_t now_ms)
{
    if (!s->has_job || heartbeat->job != s->fingerprint || !shard_has_member(s, heartbeat))
        return;
    member *m = shard_member_of(s, heartbeat);
    if (!m->joined || m->incarnation != heartbeat->incarnation)
        return;
    shard_note_alive(s, m, heartbeat, now_ms);
    if (!m->finished) /* FINISH has told the last ones, and came by another connection */
        shard_take_figures(s, m, heartbeat);
}

void shard_note_progress(shard *s)
{
    s->moved_ms = s->now_ms;
}

static void lose(shard *s, member *m, wire_role role, uint32_t index)
{
    m->lost = true;
    s->counters.members_lost++;
    log_event(LOG_WARNING, "member_lost", s->consistency.applied,
              "%s %u has not been heard of for %u s: it is lost, or cut off", wire_role_name(role), index,
              s->config.lease_ms / 1000);
}

static void fail_for_want_of(shard *s, uint32_t index, uint64_t silent_ms)
{
    ps_error why;
    ps_fail(&why, PS_EPEER, "worker %u has not been heard of for %llu s (--on-worker-loss fail)", index,
            (unsigned long long)silent_ms / 1000);
    shard_fail_job(s, &why);
}

static void watch_member(shard *s, member *m, wire_role role, uint32_t index, uint64_t now_ms)
{
    if (!m->joined || m->finished)
        return;
    const uint64_t silent_ms = now_ms - m->heard_ms;
    if (!m->lost && silent_ms >= s->config.lease_ms)
        lose(s, m, role, index);
}

/* Who is missing when the job is taken up again may be gone for good; before its first step everyone is
 * awaited. */
static void judge_loss(shard *s, uint32_t index, uint64_t now_ms)
{
    const member *m = &s->workers[index];
    const bool missing = !m->joined && s->consistency.applied > 0;
    const uint64_t silent_ms = now_ms - (m->joined ? m->heard_ms : s->begun_ms);
    if (m->finished || !(m->lost || missing) || silent_ms < (uint64_t)s->config.lease_ms + s->job.grace_ms)
        return;
    if (s->job.on_worker_loss == LOSS_SHRINK)
        shard_give_up(s, index, silent_ms);
    else if (s->job.on_worker_loss == LOSS_FAIL && m->joined)
        fail_for_want_of(s, index, silent_ms);
}

static void watch_members(shard *s, uint64_t now_ms)
{
    for (uint32_t w = 0; w < s->job.workers; w++) {
        if (!shard_is_member(s, w))
            continue;
        watch_member(s, &s->workers[w], WIRE_WORKER, w, now_ms);
        judge_loss(s, w, now_ms);
    }
    for (uint32_t i = 0; i < s->job.evaluators; i++)
        watch_member(s, &s->evaluators[i], WIRE_EVALUATOR, i, now_ms);
}

static void check_deadline(shard *s, uint64_t now_ms)
{
    if (now_ms - s->moved_ms < s->config.deadline_ms || shard_finished(s))
        return;
    char text[WIRE_TEXT_MAX + 1];
    shard_describe_stall(s, text, sizeof text);
    ps_error why;
    ps_fail(&why, PS_EPEER, "nothing has moved for %llu s (--deadline): %s",
            (unsigned long long)(now_ms - s->moved_ms) / 1000, text);
    shard_fail_job(s, &why);
}

static void forgive(uint64_t *since_ms, uint64_t slept_ms, uint64_t now_ms)
{
    *since_ms = *since_ms + slept_ms < now_ms ? *since_ms + slept_ms : now_ms;
}

static void forgive_all(shard *s, uint64_t slept_ms, uint64_t now_ms)
{
    forgive(&s->moved_ms, slept_ms, now_ms);
    forgive(&s->begun_ms, slept_ms, now_ms);
    for (uint32_t w = 0; s->has_job && w < s->job.workers; w++)
        forgive(&s->workers[w].heard_ms, slept_ms, now_ms);
    for (uint32_t i = 0; s->has_job && i < s->job.evaluators; i++)
        forgive(&s->evaluators[i].heard_ms, slept_ms, now_ms);
}

void shard_watch(shard *s, uint64_t now_ms)
{
    const uint64_t gap_ms = s->ticked_ms ? now_ms - s->ticked_ms : 0;
    s->ticked_ms = now_ms;
    if (s->moved_ms == 0)
        s->moved_ms = now_ms;
    if (gap_ms > SHARD_TICK_MAX_MS)
        forgive_all(s, gap_ms, now_ms);
    if (s->failure.status != PS_OK || s->winding_up) /* what ends anyway shall not take the others along */
        return;
    if (s->has_job && s->config.lease_ms)
        watch_members(s, now_ms);
    if (s->config.deadline_ms)
        check_deadline(s, now_ms);
    if (s->failure.status != PS_OK && s->has_job)
        shard_answer_all(s);
}
