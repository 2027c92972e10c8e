/* shard_journal.c - the durability level `log`: what a shard writes down, and how it comes back by it. The
 * rules are in journal.h.
 *
 * Written down, before the shard acts on it, is every message that changes what a shard is: parts of
 * gradients that are fresh, a worker's new incarnation, FINISH, RESTORE. A new segment begins with an image;
 * what the image does not say - who is who, gradients that wait, who has finished - is carried over into it.
 */
#include <stdlib.h>

#include "common/log.h"
#include "ps/shard_state.h"

/* So many images in a row may fail; of further ones fewer and fewer are tried. */
enum { IN_VAIN_MAX = 8 };

/* No image may be the last segment's: what that should have carried over may be missing. */
#define NO_BASE UINT64_MAX

/* A shard without slices has nothing to lose. */
static journal *journal_of(const shard *s)
{
    return s->slice_count > 0 ? s->config.journal : NULL;
}

bool shard_journal_has(const shard *s, uint64_t position)
{
    journal *j = s->config.journal;
    return !j || j->ops->durable(j) >= position;
}

/* ---- writing ---- */

static ps_status note_position(shard *s, uint64_t position, ps_error *error)
{
    if (position == 0) {
        shard_fail_out_of_memory(s);
        return ps_fail(error, PS_ENOMEM, "ps/%u is out of memory", s->config.index);
    }
    s->position = position;
    return PS_OK;
}

ps_status shard_journal_append(shard *s, const wire_message *message, ps_error *error)
{
    journal *j = journal_of(s);
    return j && !s->replaying ? note_position(s, j->ops->append(j, message, false), error) : PS_OK;
}

static void carry(shard *s, wire_message *m)
{
    journal *j = journal_of(s);
    note_position(s, m ? j->ops->append(j, m, true) : 0, NULL);
    wire_destroy(&m);
}

static wire_message *make_carried(const shard *s, wire_type type, uint32_t worker, uint32_t slices)
{
    wire_message *m = wire_create(type, slices);
    if (!m)
        return NULL;
    m->role = WIRE_WORKER;
    m->index = worker;
    m->incarnation = s->workers[worker].incarnation;
    return m;
}

static void carry_finish(shard *s, uint32_t worker)
{
    wire_message *m = make_carried(s, WIRE_FINISH, worker, 0);
    if (m)
        m->after_finish = s->workers[worker].gone;
    carry(s, m);
}

/* Slices that have come of a gradient, from `*ordinal` on, as many as a record holds. */
static void carry_part(shard *s, uint32_t worker, uint32_t slices, uint32_t *ordinal)
{
    const member_push *push = &s->workers[worker].push;
    const uint32_t *numbers = s->partition.server_slices + s->partition.server_first[s->config.index];
    wire_message *m = make_carried(s, WIRE_PUSH, worker, slices);
    for (uint32_t next = 0; m && next < slices; ++*ordinal) {
        if (!push->named[*ordinal])
            continue;
        m->slices[next] = numbers[*ordinal];
        m->has_payload |= push->slices[*ordinal] != NULL;
        m->payloads[next++] = push->slices[*ordinal] ? buffer_ref(push->slices[*ordinal]) : NULL;
    }
    if (m) {
        m->step = push->step;
        m->examples = push->examples;
        m->clip_factor = push->clip_factor;
        m->nonfinite = push->nonfinite;
    }
    carry(s, m);
}

static uint32_t count_parts(const member_push *push)
{
    return (push->received + WIRE_SLICES_MAX - 1) / WIRE_SLICES_MAX;
}

static void carry_push(shard *s, uint32_t worker)
{
    const member_push *push = &s->workers[worker].push;
    uint32_t ordinal = 0;
    for (uint32_t left = push->received, slices; left > 0; left -= slices) {
        slices = left < WIRE_SLICES_MAX ? left : WIRE_SLICES_MAX;
        carry_part(s, worker, slices, &ordinal);
    }
}

/* With backup workers a step may have been applied without it. */
static bool waits(const shard *s, const member_push *push)
{
    return push->received > 0 && (s->job.mode != CONSISTENCY_SYNC || push->step > s->consistency.applied);
}

static uint32_t count_carried(const shard *s)
{
    uint32_t count = 0;
    for (uint32_t w = 0; w < s->job.workers; w++) {
        const member *m = &s->workers[w];
        count += m->incarnation != 0 ? 1 : 0;
        count += waits(s, &m->push) ? count_parts(&m->push) : 0;
        count += m->finished ? 1 : 0;
    }
    return count + (s->consistency.members.count > 0 ? 1 : 0);
}

static void carry_members(shard *s)
{
    wire_message *m = make_carried(s, WIRE_LEAVE, 0, 0);
    if (m && wire_set_members(m, &s->consistency.members) != PS_OK)
        wire_destroy(&m);
    carry(s, m);
}

/* First the list of members, and who is who, which make replaying forget what has been pushed; last who has
 * finished, from whom nothing more is taken. */
static void carry_over(shard *s)
{
    if (s->consistency.members.count > 0)
        carry_members(s);
    for (uint32_t w = 0; w < s->job.workers; w++)
        if (s->workers[w].incarnation != 0)
            carry(s, make_carried(s, WIRE_HELLO, w, 0));
    for (uint32_t w = 0; w < s->job.workers; w++)
        if (waits(s, &s->workers[w].push))
            carry_push(s, w);
    for (uint32_t w = 0; w < s->job.workers; w++)
        if (s->workers[w].finished)
            carry_finish(s, w);
}

static void look_at_images(shard *s)
{
    const archive *a = s->config.archive;
    const uint64_t kept = a->ops->newest_kept(a);
    if (kept == 0 || kept == s->kept_step)
        return;
    s->kept_step = kept;
    s->in_vain = 0;
}

void shard_journal_begin(shard *s, bool leap)
{
    journal *j = journal_of(s);
    if (!j)
        return;
    if (leap)
        image_destroy(&s->held_image); /* of where the shard is no more */
    look_at_images(s);
    const journal_base base = {
        .step = s->consistency.applied,
        .epoch = s->epoch,
        .leap = leap,
        .carried = count_carried(s),
    };
    s->base_step = base.step;
    if (note_position(s, j->ops->begin(j, &base, s->kept_step), NULL) == PS_OK)
        carry_over(s);
}

/* ---- images ---- */

/* While images fail, each costs a segment, and a restart one more attempt: so they are tried ever more
 * rarely, when as many have been left out as there were before. The last of a life, or of the job, is always
 * tried. */
static bool is_worth_trying(shard *s, bool last)
{
    look_at_images(s);
    const uint64_t before = s->in_vain++;
    if (last || before < IN_VAIN_MAX || (before & (before - 1)) == 0)
        return true;
    if (((before - 1) & (before - 2)) == 0)
        log_warning("%llu checkpoints in a row are not known to have been kept: as many are left out now",
                    (unsigned long long)before);
    return false;
}

/* Before an image becomes the base of a segment, another one that may come to stand for it must go. The
 * folder may hold images of steps to come, of a training that got further, and from which this one parts, as
 * it has begun anew at an earlier cut. (In synchronous mode they are the same, as long as the members are.)
 * It goes for good: so whatever a crash leaves, an image that is found for a base has been kept after that
 * base was, by who began it; but a leap's base is the cut that all have kept, to which the shard went. */
static bool makes_way(shard *s)
{
    const archive *a = s->config.archive;
    const uint64_t step = s->consistency.applied;
    ps_error error;
    const bool same = s->job.mode == CONSISTENCY_SYNC && s->job.on_worker_loss != LOSS_SHRINK;
    if (same || !a->ops->forget_own ||
        a->ops->forget_own(s->config.archive, step, &s->job, s->config.index, &error) == PS_OK)
        return true;
    log_warning("the checkpoint of step %llu is left out: %s", (unsigned long long)step, error.text);
    return false;
}

/* An image that is kept has its segment, or else it might take the place of one that has: so there always is
 * one to come back from. Where the last segment begins at the same step, that is its own. */
void shard_keep_image(shard *s, image **taken)
{
    if (!journal_of(s)) {
        s->config.archive->ops->keep(s->config.archive, taken);
        return;
    }
    const bool begins = s->consistency.applied != s->base_step;
    const bool last = (*taken)->state.final || s->winding_up;
    if (begins && !(is_worth_trying(s, last) && makes_way(s))) {
        image_destroy(taken);
        return;
    }
    if (s->held_image)
        log_warning("the checkpoint of step %llu is left out: the log has not kept up",
                    (unsigned long long)s->held_image->state.step);
    image_destroy(&s->held_image);
    if (begins)
        shard_journal_begin(s, false);
    s->held_image = *taken;
    s->held_position = s->position;
    *taken = NULL;
}

static void look_whether_it_keeps_up(shard *s, uint64_t now_ms)
{
    const uint64_t durable = s->config.journal ? s->config.journal->ops->durable(s->config.journal) : 0;
    if (shard_journal_has(s, s->position)) {
        s->behind_ms = 0;
    } else if (s->behind_ms == 0 || s->behind_at != durable) {
        s->behind_ms = now_ms;
        s->behind_at = durable;
    }
}

void shard_journal_look(shard *s, uint64_t now_ms)
{
    look_whether_it_keeps_up(s, now_ms);
    if (s->held_image && shard_journal_has(s, s->held_position))
        s->config.archive->ops->keep(s->config.archive, &s->held_image);
}

bool shard_needs_no_journal(const shard *s)
{
    const archive *a = s->config.archive;
    return s->has_job && a && !s->held_image && shard_has_last_image(s) &&
           (s->at_the_end || a->ops->newest_kept(a) == s->images.last_step);
}

/* ---- coming back ---- */

static ps_status take_back_part(shard *s, member *m, const wire_message *part, ps_error *error)
{
    arrival verdict = ARRIVAL_FRESH;
    ps_status status = part->role == WIRE_WORKER ? shard_check_slices(s, part, error) : PS_EFORMAT;
    if (status == PS_OK)
        status = shard_take_part(s, m, part, &verdict, error);
    if (status == PS_OK && verdict != ARRIVAL_FRESH)
        status = ps_fail(error, PS_EFORMAT, "step %llu of worker %u is there already",
                         (unsigned long long)part->step, part->index);
    return status;
}

static ps_status take_back_members(shard *s, const wire_message *m)
{
    members_list list;
    ps_status status = members_copy(m->members, &list);
    if (status == PS_OK)
        shard_take_members(s, &list);
    return status;
}

/* One record. What is carried over comes together before it is looked at; else the shard had applied what was
 * ready before the next message came. */
static ps_status take_back(void *context, wire_message **message, bool carried, ps_error *error)
{
    shard *s = context;
    const wire_message *m = *message;
    ps_status status = shard_check_is_of_job(&s->job, m, error);
    if (status != PS_OK)
        return status;
    if (carried)
        s->taken_over++;
    else
        shard_apply_ready(s);
    if (shard_check_members(s, m, error) != PS_OK)
        return PS_EFORMAT;
    member *of = shard_member_of(s, m);
    if (m->type == WIRE_LEAVE)
        status = take_back_members(s, m);
    else if (m->type == WIRE_PUSH)
        status = take_back_part(s, of, m, error);
    else if (m->type == WIRE_HELLO)
        shard_take_incarnation(s, of, m);
    else if (m->type == WIRE_FINISH)
        shard_take_finish(s, of, m);
    else if (m->step == s->consistency.applied)
        status = shard_take_restore(s, m);
    else
        status = ps_fail(error, PS_EFORMAT, "RESTORE to step %llu, at step %llu", (unsigned long long)m->step,
                         (unsigned long long)s->consistency.applied);
    if (!carried && status == PS_OK)
        shard_apply_ready(s);
    return status == PS_OK ? shard_failure(s, NULL) == PS_ENOMEM ? PS_ENOMEM : PS_OK : status;
}

static void forget_members(shard *s)
{
    for (uint32_t w = 0; w < s->job.workers; w++) {
        member *m = &s->workers[w];
        member_drop_push(m, s->slice_count);
        m->finished = m->gone = false;
        m->incarnation = 0;
    }
}

static ps_status replay(shard *s, uint32_t number, ps_error *error)
{
    journal *j = journal_of(s);
    s->replaying = true;
    s->taken_over = 0;
    s->consistency.resumed = true; /* who was waited for, and who was lost, is no longer known */
    ps_status status = j->ops->replay(j, number, take_back, s, error);
    if (status == PS_OK)
        shard_apply_ready(s);
    s->replaying = false;
    s->position = j->ops->durable(j);
    return status;
}

/* The shard as it is after all that follows a base. `unusable`: it cannot begin there, for want of the image,
 * or because a crash came in between the base and what was carried over into it. (A leap carries over only
 * who is who.) */
static ps_status come_back(shard *s, const journal_base *bases, uint32_t number, bool *unusable,
                           ps_error *error)
{
    const journal_base *base = &bases[number];
    forget_members(s);
    ps_status status = shard_go_to(s, base->step, !base->leap, error);
    *unusable = status != PS_OK;
    if (status != PS_OK)
        return status;
    s->epoch = base->epoch;
    status = replay(s, number, error);
    *unusable = status == PS_OK && !base->leap && s->taken_over < base->carried;
    return *unusable ? ps_fail(error, PS_ENOENT, "its log is incomplete") : status;
}

/* A synchronous shard that has no version before its current one could not serve a worker that has to compute
 * the last step once more: one image earlier it has. */
static bool lacks_previous(const shard *s)
{
    return s->job.mode == CONSISTENCY_SYNC && s->consistency.applied > 0 && !store_keeps_previous(s->store);
}

static ps_status come_back_by_any(shard *s, const journal_base *bases, uint32_t count, ps_error *error)
{
    ps_status status = PS_OK;
    ps_error why = {PS_OK, ""}; /* of the newest image that cannot be used, or of one that may be later */
    uint32_t found = count;     /* a base from which the shard came, if need be without a previous version */
    bool unusable;
    for (uint32_t i = 0; i < count; i++) {
        status = come_back(s, bases, i, &unusable, error);
        if (status == PS_ENOMEM || (status != PS_OK && !unusable))
            return status;
        if (status == PS_OK) {
            found = found == count || !lacks_previous(s) ? i : found;
        } else {
            log_warning("the checkpoint of step %llu cannot be used: %s", (unsigned long long)bases[i].step,
                        error->text);
            if (status == PS_EIO || why.status == PS_OK)
                why = *error;
        }
        if (status == PS_OK && !lacks_previous(s))
            break;
    }
    if (found == count)
        return ps_fail(error, why.status, "it needs a checkpoint that cannot be used: %.300s", why.text);
    if (lacks_previous(s) || status != PS_OK)
        status = come_back(s, bases, found, &unusable, error);
    s->base_step = found == 0 ? bases[0].step : NO_BASE;
    s->kept_step = bases[found].step;
    s->in_vain = 0;
    if (status != PS_OK)
        return status;
    s->counters.resumes++;
    log_event(LOG_INFO, "resumed", s->consistency.applied,
              "going on from step %llu: the log brought %llu updates to step %llu",
              (unsigned long long)s->consistency.applied,
              (unsigned long long)(s->consistency.applied - bases[found].step),
              (unsigned long long)bases[found].step);
    return status;
}

/* Who has brought another job is told so. All else is no worker's fault: the shard ends without a word, so
 * that workers wait for the process that comes after, or for somebody who mends what is damaged. */
static void fail_to_come_back(shard *s, ps_status status, const ps_error *why)
{
    if (status == PS_EIO || status == PS_ENOMEM)
        ps_fail(&s->failure, PS_ELOG, "the log of updates cannot be read now: %.400s", why->text);
    else if (status != PS_EMISMATCH)
        ps_fail(&s->failure, PS_EFORMAT,
                "the log of updates is of no use: %.300s; mend that, or remove the log to go on from the "
                "newest checkpoint, without the updates in it",
                why->text);
}

ps_status shard_journal_resume(shard *s, bool *resumed, ps_error *error)
{
    journal *j = journal_of(s);
    *resumed = false;
    if (!j)
        return PS_OK;
    const journal_owner owner = {.job = s->fingerprint, .server = s->config.index, .servers = s->job.servers};
    journal_base *bases = calloc(JOURNAL_BASES_MAX, sizeof *bases);
    uint32_t count = 0;
    ps_status status = bases ? j->ops->open(j, &owner, bases, &count, error)
                             : ps_fail(error, PS_ENOMEM, "out of memory for it");
    if (status == PS_OK && count > 0) {
        const shard_counters before = s->counters;
        status = come_back_by_any(s, bases, count, error);
        const uint64_t examples = s->counters.examples_applied;
        s->counters = before; /* they are of this process */
        s->counters.examples_applied = examples;
        image_timer_start(&s->images, bases[0].step, s->now_ms);
        *resumed = status == PS_OK;
    }
    free(bases);
    if (status != PS_OK)
        fail_to_come_back(s, status, error);
    if (*resumed)
        shard_take_image(s); /* if one was due, or the last one, when the shard ended */
    return status;
}
