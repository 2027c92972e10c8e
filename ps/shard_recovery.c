/* shard_recovery.c - where a shard begins, where it goes back to, and what it keeps for that.
 *
 * Weights and slots after a step of synchronous training are a function of the job and the step. So there is
 * nothing to agree on but a step, and a gradient that was on its way while the shards went back does no harm:
 * it has the bits of the one that will be pushed again. */
#include <stdlib.h>

#include "common/log.h"
#include "ps/shard_state.h"

/* A shard without slices has no past; NULL too where nothing is kept. */
static archive *archive_of(const shard *s)
{
    return s->slice_count > 0 ? s->config.archive : NULL;
}

/* ---- to a step ---- */

static ps_status resume(shard *s, const checkpoint_state *state)
{
    uint64_t *pushed = calloc(state->clock_count + 1, sizeof *pushed);
    if (!pushed)
        return PS_ENOMEM;
    for (uint32_t i = 0; i < state->clock_count; i++)
        pushed[i] = state->clocks[i].pushed;
    consistency_resume(&s->consistency, state->step, pushed, state->clock_count);
    free(pushed);
    s->counters.examples_applied = state->examples;
    return PS_OK;
}

static ps_status make_store(shard *s, ps_error *error)
{
    store_destroy(&s->store); /* first: its memory is used again */
    ps_status status =
        store_create(&s->job, &s->partition, s->config.index, s->config.pool, s->config.threads, &s->store);
    return status == PS_OK ? PS_OK
                           : ps_fail(error, status, "ps/%u has no memory for its shard", s->config.index);
}

static ps_status go_to_start(shard *s, ps_error *error)
{
    ps_status status = make_store(s, error);
    if (status != PS_OK)
        return status;
    store_initialize(s->store);
    consistency_resume(&s->consistency, 0, NULL, 0);
    s->at_the_end = false;
    s->counters.examples_applied = 0;
    return PS_OK;
}

/* On failure the shard is at the start. */
static ps_status go_to_image(shard *s, uint64_t step, bool own, ps_error *error)
{
    checkpoint_state state = {0};
    ps_status status = make_store(s, error);
    if (status != PS_OK)
        return status;
    archive *a = archive_of(s);
    status = (own ? a->ops->load_own : a->ops->load)(a, step, &s->job, &s->partition, s->config.index,
                                                     s->store, &state, error);
    if (status == PS_OK) {
        store_set_updates(s->store, state.updates);
        status = resume(s, &state);
        s->at_the_end = state.final;
        s->epoch = state.epoch;
        if (state.clock_count == s->job.workers) /* else its list is about others */
            consistency_set_members(&s->consistency, &state.members);
    }
    checkpoint_state_fini(&state);
    if (status == PS_OK)
        return PS_OK;
    ps_status started = go_to_start(s, NULL);
    return started == PS_OK ? status : started;
}

/* Of a store that is in use only now: reading it comes first. */
static void warm_up(shard *s)
{
    archive *a = archive_of(s);
    if (!a || !a->ops->warm || !image_timer_is_on(&s->images))
        return;
    uint32_t count;
    buffer **memory = store_reserve(s->store, &count);
    if (memory)
        a->ops->warm(a, memory, count);
}

ps_status shard_go_to(shard *s, uint64_t step, bool own, ps_error *error)
{
    ps_status status = step == 0 ? go_to_start(s, error) : go_to_image(s, step, own, error);
    if (status == PS_OK)
        warm_up(s);
    return status;
}

/* The newest step below `below` to which this shard may be able to go. */
static ps_status newest_below(shard *s, uint64_t below, uint64_t *step, ps_error *error)
{
    archive *a = archive_of(s);
    *step = 0;
    return a && below > 0 ? a->ops->newest(a, &s->job, below, step, error) : PS_OK;
}

static void set_images(shard *s)
{
    bool sync = s->job.mode == CONSISTENCY_SYNC;
    s->images = (image_timer){.steps = s->config.image_steps,
                              .interval_ms = sync ? 0 : s->config.image_ms,
                              .alone = s->job.servers == 1};
    if (sync && s->config.image_ms > 0)
        log_warning("--checkpoint-secs is for ssp and async; this synchronous job keeps the steps of "
                    "--checkpoint-steps (%llu), which are the same on all ps",
                    (unsigned long long)s->config.image_steps);
}

/* Where members may change, a training that goes back comes by the same steps with other weights: images of
 * them go, so that no cut is put together of two such histories. Elsewhere they are the same; and a shard
 * with a journal may still need them to come back from, until they make way for what it keeps then. */
static bool forgets_other_history(const shard *s)
{
    const bool parts = s->job.mode == CONSISTENCY_SYNC && s->job.on_worker_loss == LOSS_SHRINK;
    return parts && !s->config.journal;
}

static ps_status forget_other_history(shard *s, uint64_t step, ps_error *error)
{
    archive *a = archive_of(s);
    return a && forgets_other_history(s) && a->ops->forget_beyond
               ? a->ops->forget_beyond(a, step, &s->job, s->config.index, error)
               : PS_OK;
}

static ps_status begin_at_cut(shard *s, ps_error *error)
{
    uint64_t step = UINT64_MAX;
    for (;;) {
        ps_status status = newest_below(s, step, &step, error);
        if (status != PS_OK)
            return status;
        if (step == 0) {
            image_timer_start(&s->images, 0, s->now_ms);
            return go_to_start(s, error);
        }
        ps_error why;
        status = go_to_image(s, step, false, &why);
        if (status == PS_OK) {
            image_timer_start(&s->images, step, s->now_ms);
            s->counters.resumes++;
            log_event(LOG_INFO, "resumed", step, "going on from the checkpoint of step %llu",
                      (unsigned long long)step);
            return PS_OK;
        }
        if (status == PS_ENOMEM)
            return ps_fail(error, status, "%s", why.text);
        /* It may be whole, and would be forgotten: as with a log that cannot be read, the shard ends without
         * a word, and workers wait for the process that comes after. */
        if (status == PS_EIO && forgets_other_history(s)) {
            ps_fail(
                &s->failure, PS_ELOG,
                "the checkpoint of step %llu cannot be read now: %.300s; later it may be, or remove it to "
                "go on from the one before",
                (unsigned long long)step, why.text);
            return ps_fail(error, status, "%s", why.text);
        }
        log_warning("the checkpoint of step %llu cannot be used: %s", (unsigned long long)step, why.text);
    }
}

ps_status shard_begin(shard *s, ps_error *error)
{
    bool resumed;
    set_images(s);
    ps_status status = shard_journal_resume(s, &resumed, error);
    if (status != PS_OK || resumed)
        return status;
    status = begin_at_cut(s, error);
    if (status == PS_OK)
        status = forget_other_history(s, s->consistency.applied, error);
    if (status != PS_OK)
        return status;
    shard_journal_begin(s, true);
    warm_up(s);
    return PS_OK;
}

/* ---- images ---- */

/* Ps may come too far apart though none is lost; and without an archive all go back to the start. */
static bool has_backups(const shard *s)
{
    return s->job.mode == CONSISTENCY_SYNC && s->job.backup_workers > 0;
}

bool shard_keeps_members(const shard *s)
{
    return s->config.archive || has_backups(s);
}

/* At the end some may have been told so, and be gone. */
bool shard_finish_waits(const shard *s)
{
    if (s->slice_count == 0)
        return false;
    if (!s->config.archive)
        return has_backups(s) && !consistency_all_finished(&s->consistency);
    bool complete = s->at_the_end || (consistency_all_finished(&s->consistency) && s->last_image_taken);
    return !complete || !shard_has_kept_images(s);
}

/* Of a job whose end is near: how long is this shard's silence to last before it may end? Those who have not
 * come since it came back may be gone for good. Who has come is waited for until its last word, for which it
 * may have to be started again; but if it has said that it is done, not for ever. */
static uint64_t patience_ms(const shard *s)
{
    bool over = s->at_the_end, awaited = false, at_work = false;
    for (uint32_t w = 0; w < s->job.workers; w++) {
        const member *m = &s->workers[w];
        const bool counts = m->joined && consistency_awaits_end(&s->consistency, w);
        over |= m->gone; /* all ps know that it is */
        awaited |= counts && !m->gone;
        at_work |= counts && (!m->finished || m->back);
    }
    if (at_work || !(over || consistency_all_finished(&s->consistency)))
        return UINT64_MAX;
    return over && !awaited ? SHARD_ABANDONED_MS : SHARD_FORSAKEN_MS;
}

void shard_look_for_the_end(shard *s, uint64_t now_ms)
{
    if (s->heard_ms == 0)
        s->heard_ms = now_ms;
    s->abandoned = now_ms - s->heard_ms >= patience_ms(s);
}

/* As long as another ps may still come back without knowing that a worker has finished, that worker may be
 * sent back, and with it all: to join, it needs this shard too, even if that has no slices. */
bool shard_all_gone(const shard *s)
{
    bool gone = true;
    for (uint32_t w = 0; w < s->job.workers; w++)
        gone &= s->workers[w].gone || !consistency_awaits_end(&s->consistency, w);
    return gone || s->abandoned || !shard_keeps_members(s);
}

bool shard_is_over(const shard *s)
{
    return consistency_all_finished(&s->consistency) || s->abandoned;
}

bool shard_awaits_archive(const shard *s)
{
    return s->has_job && archive_of(s) && (shard_has_last_image(s) || s->held);
}

/* `final`: everyone has finished. */
static void take_image(shard *s, bool final)
{
    uint64_t step = s->consistency.applied;
    image_timer_start(&s->images, step, s->now_ms);
    if (step == 0)
        return;
    checkpoint_state state = {
        .step = step,
        .updates = store_updates(s->store),
        .examples = s->counters.examples_applied,
        .epoch = s->epoch,
        .final = final,
        .clock_count = s->job.workers,
        .clocks = calloc(s->job.workers, sizeof *state.clocks),
    };
    image *taken = NULL;
    const bool listed = members_copy(&s->consistency.members, &state.members) == PS_OK;
    for (uint32_t w = 0; state.clocks && w < s->job.workers; w++) {
        const consistency_clock *clock = &s->consistency.clocks[w];
        state.clocks[w] = (checkpoint_clock){
            .pushed = clock->waiting ? clock->before : clock->pushed,
            .finished = clock->finished,
        };
    }
    if (state.clocks && listed)
        taken = image_take(&s->job, &s->partition, s->config.index, s->store, &state);
    if (taken) {
        shard_keep_image(s, &taken);
    } else {
        checkpoint_state_fini(&state);
        log_error("no memory for a checkpoint of step %llu", (unsigned long long)step);
    }
}

void shard_take_image(shard *s)
{
    uint64_t step = s->consistency.applied;
    const bool has_last = shard_has_last_image(s);
    const bool last = consistency_all_finished(&s->consistency) && !has_last;
    const bool due = last || shard_image_is_ordered(s) || image_timer_is_due(&s->images, step, s->now_ms);
    if (!archive_of(s) || !due)
        return;
    shard_note_image(s);
    if (has_last) /* another would take its place, and who comes back to that wait for workers that have gone
                   */
        return;
    s->last_image_taken |= last;
    take_image(s, last);
}

void shard_take_last_image(shard *s)
{
    if (archive_of(s) && s->images.last_step != s->consistency.applied)
        take_image(s, false);
}

bool shard_has_kept_images(const shard *s)
{
    const archive *a = archive_of(s);
    return !a || (!s->held_image && a->ops->is_idle(a));
}

/* ---- RESTORE ---- */

void shard_describe_place(shard *s, wire_message *welcome)
{
    bool previous =
        s->job.mode == CONSISTENCY_SYNC && s->consistency.applied > 0 && store_keeps_previous(s->store);
    if (wire_set_members(welcome, &s->consistency.members) != PS_OK)
        shard_fail_out_of_memory(s);
    welcome->epoch = s->epoch;
    welcome->oldest = s->consistency.applied - previous;
    const uint32_t per_lease_ms = s->config.lease_ms / SHARD_HEARTBEATS_PER_LEASE;
    welcome->heartbeat_ms = per_lease_ms < SHARD_HEARTBEAT_MAX_MS ? per_lease_ms : SHARD_HEARTBEAT_MAX_MS;
}

void shard_forget_requests(shard *s)
{
    for (uint32_t w = 0; w < s->job.workers; w++) {
        member_drop_requests(&s->workers[w]);
        member_drop_push(&s->workers[w], s->slice_count);
        s->workers[w].finished = s->workers[w].gone = s->workers[w].back = false;
        s->workers[w].late_step = 0;
        consistency_forget(&s->consistency, w);
    }
    for (uint32_t i = 0; i < s->job.evaluators; i++) {
        member_drop_requests(&s->evaluators[i]);
        s->evaluators[i].finished = s->evaluators[i].gone = false;
    }
}

static void announce(shard *s, const member *m)
{
    wire_message *welcome = m->joined ? wire_create(WIRE_WELCOME, 0) : NULL;
    if (!welcome)
        return;
    welcome->step = s->consistency.applied;
    welcome->reads_memory = m->readable;
    shard_describe_place(s, welcome);
    const wire_message unasked = {.role =
                                      m == &s->workers[0] ? WIRE_WORKER : WIRE_PS}; /* the chief, or any */
    shard_send_answer(s, welcome, &unasked, &m->route);
}

void shard_alert_chief(shard *s)
{
    announce(s, &s->workers[0]);
}

/* But to the chief, which has asked for it. */
static void announce_to_others(shard *s)
{
    for (uint32_t w = 1; w < s->job.workers; w++)
        announce(s, &s->workers[w]);
    for (uint32_t i = 0; i < s->job.evaluators; i++)
        announce(s, &s->evaluators[i]);
}

void shard_announce_to_all(shard *s)
{
    shard_alert_chief(s);
    announce_to_others(s);
}

/* The chief is told where it might go instead. */
static void refuse_step(shard *s, const wire_message *restore, const wire_route *from, const ps_error *why)
{
    wire_message *m = wire_create(WIRE_ERROR, 0);
    if (m) {
        m->status = why->status;
        wire_set_text(m, why->text);
        if (newest_below(s, restore->step, &m->oldest, NULL) != PS_OK)
            m->oldest = 0;
    }
    shard_count_refusal(s, restore, why->status);
    shard_send_answer(s, m, restore, from);
}

static ps_status go_to(shard *s, uint64_t step, ps_error *error)
{
    if (s->consistency.applied == step || s->slice_count == 0)
        return PS_OK;
    s->at_the_end = false;
    if (step > 0 && !archive_of(s))
        return ps_fail(error, PS_ENOENT, "ps/%u keeps no checkpoints", s->config.index);
    return shard_go_to(s, step, false, error);
}

ps_status shard_take_restore(shard *s, const wire_message *restore)
{
    static const members_list everyone = {.version = 0};
    members_list list;
    if (members_copy(restore->members ? restore->members : &everyone, &list) != PS_OK) {
        shard_fail_out_of_memory(s);
        return PS_ENOMEM;
    }
    shard_take_members(s, &list);
    consistency_resume(&s->consistency, restore->step, NULL, 0);
    s->epoch = restore->epoch;
    s->last_image_taken = false;
    shard_forget_orders(s);
    image_timer_start(&s->images, restore->step, s->now_ms);
    return PS_OK;
}

ps_status shard_handle_restore(shard *s, const wire_message *restore, const wire_route *from, ps_error *error)
{
    if (restore->role != WIRE_WORKER || restore->index != 0 || s->job.mode != CONSISTENCY_SYNC)
        return ps_fail(error, PS_EPROTOCOL, "RESTORE is for the chief of a synchronous job");
    if (restore->epoch < s->epoch)
        return ps_fail(error, PS_EREJOIN, "RESTORE of epoch %llu is outdated; ps/%u is in epoch %llu",
                       (unsigned long long)restore->epoch, s->config.index, (unsigned long long)s->epoch);
    ps_status possible = shard_check_members(s, restore, error);
    if (possible != PS_OK)
        return possible;
    if (restore->epoch > s->epoch) {
        uint64_t before = s->consistency.applied;
        s->at_the_end |= s->last_image_taken; /* unless it has to go elsewhere */
        ps_error why;
        shard_forget_requests(s);
        ps_status status = go_to(s, restore->step, &why);
        if (status == PS_OK)
            status = forget_other_history(s, restore->step, &why);
        if (status == PS_ENOMEM)
            shard_fail_job(s, &why);
        if (status != PS_OK) {
            shard_journal_begin(s, true); /* from the start */
            refuse_step(s, restore, from, &why);
            return PS_OK;
        }
        if (before == restore->step && shard_journal_append(s, restore, error) != PS_OK)
            return PS_ENOMEM;
        if (shard_take_restore(s, restore) != PS_OK)
            return ps_fail(error, PS_ENOMEM, "ps/%u is out of memory", s->config.index);
        if (before != restore->step)
            shard_journal_begin(s, true);
        s->counters.restores++;
        log_event(LOG_WARNING, "rollback", restore->step,
                  "going back from step %llu to step %llu (epoch %llu)", (unsigned long long)before,
                  (unsigned long long)restore->step, (unsigned long long)s->epoch);
        announce_to_others(s);
    }
    wire_message *welcome = wire_create(WIRE_WELCOME, 0);
    if (welcome) {
        welcome->step = s->consistency.applied;
        welcome->reads_memory = s->workers[0].readable;
        shard_describe_place(s, welcome);
    }
    shard_send_answer(s, welcome, restore, from);
    return PS_OK;
}
