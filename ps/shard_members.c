/* shard_members.c - workers that take part no more, or again: the policy `shrink` (common/members.h).
 *
 * In synchronous mode all shards must change the set of members with the same step. One of them decides:
 * ps 0, which holds slices of every model, makes the lists and gives them numbers. What it decides at step t
 * takes effect with step t + 2. Nobody computes a gradient of that step before ps 0 has answered him step
 * t + 1, and every answer names the list's version. So everyone learns of it in time: he joins anew, gets the
 * list in WELCOME, and brings it in HELLO to those ps that lack it, before he goes on. No shard takes a
 * message from one who has another list.
 *
 * With a new list everything under way is void, as after a RESTORE, and is pushed again: the members that
 * were already there have at most one step to compute once more.
 *
 * How a lost worker leaves: its gradient of the next step may be on some shards and not on others, and nobody
 * but it has those rows. So the chief, told by PENDING that the worker is given up, starts a process of its
 * own under the lost one's index, as a restart would, which says LEAVE, does the steps that are left, and
 * ends (worker/stand_in.h). One that comes back later says ENTER.
 *
 * In ssp and async no step is common to all. There each shard by itself no longer waits for a worker that is
 * given up, until it is heard of again. */
#include <stdlib.h>

#include "common/log.h"
#include "ps/shard_state.h"

/* Do its members change? */
static bool shrinks(const shard *s)
{
    return s->job.on_worker_loss == LOSS_SHRINK && s->job.mode == CONSISTENCY_SYNC;
}

ps_status shard_check_members(const shard *s, const wire_message *message, ps_error *error)
{
    if (!message->members)
        return PS_OK;
    if (!shrinks(s))
        return ps_fail(error, PS_EPROTOCOL, "%s tells of members that change; those of this job do not",
                       wire_type_name(message->type));
    return members_check(message->members, s->job.workers, error);
}

bool shard_is_member(const shard *s, uint32_t worker)
{
    const members_list *list = &s->consistency.members;
    return members_include(list, worker, s->consistency.applied + 1) ||
           members_include(list, worker, MEMBERS_NEVER);
}

/* ---- who is given up ---- */

/* In synchronous mode a list says who is waited for, until at the end there is no further step to change it
 * with. */
static void note_absence(shard *s, uint32_t worker)
{
    const bool counts = s->job.mode != CONSISTENCY_SYNC || s->workers[0].finished;
    consistency_set_absent(&s->consistency, worker, counts && s->workers[worker].given_up);
}

void shard_note_absences(shard *s)
{
    for (uint32_t w = 1; w < s->job.workers; w++)
        note_absence(s, w);
}

void shard_give_up(shard *s, uint32_t worker, uint64_t silent_ms)
{
    member *m = &s->workers[worker];
    if (m->given_up || worker == 0)
        return;
    m->given_up = true;
    log_event(LOG_WARNING, "member_given_up", s->consistency.applied,
              "worker %u is given up, after %llu s without a word (--on-worker-loss shrink)", worker,
              (unsigned long long)silent_ms / 1000);
    note_absence(s, worker);
    shard_apply_ready(s);
    shard_take_image(s);
    if (shrinks(s))
        shard_hurry_chief(s);
}

void shard_take_up_again(shard *s, uint32_t worker)
{
    s->workers[worker].given_up = false;
    note_absence(s, worker);
}

uint32_t shard_lost_worker(const shard *s, const wire_message *request)
{
    worker_set missing;
    if (!shrinks(s) || consistency_may_answer(&s->consistency, request->step))
        return 0;
    consistency_missing(&s->consistency, request->step, &missing);
    for (uint32_t i = 0; i < missing.count; i++)
        if (s->workers[missing.workers[i]].given_up)
            return 1 + (uint32_t)missing.workers[i];
    return 0;
}

/* ---- lists ---- */

void shard_take_members(shard *s, members_list *list)
{
    if (list->count > 0 && !s->replaying) {
        const members_change *last = &list->changes[list->count - 1];
        log_info("from step %llu on %s worker %u%s", (unsigned long long)last->from,
                 last->enters ? "with" : "without", last->worker, last->enters ? " again" : "");
    }
    consistency_set_members(&s->consistency, list);
    shard_forget_requests(s);
}

/* Writes the list down and takes it in; `list` is empty then. */
static ps_status change_members(shard *s, members_list *list, ps_error *error)
{
    wire_message *record = wire_create(WIRE_LEAVE, 0);
    ps_status status = record && wire_set_members(record, list) == PS_OK ? PS_OK : PS_ENOMEM;
    if (record)
        record->role = WIRE_WORKER; /* as of all that a journal keeps */
    if (status != PS_OK)
        ps_fail(error, status, "ps/%u has no memory for a list of members", s->config.index);
    else
        status = shard_journal_append(s, record, error);
    wire_destroy(&record);
    if (status == PS_OK)
        shard_take_members(s, list);
    members_fini(list);
    return status;
}

ps_status shard_hear_of_members(shard *s, const wire_message *hello, ps_error *error)
{
    const members_list *told = hello->members, *known = &s->consistency.members;
    ps_status status = shard_check_members(s, hello, error);
    if (status != PS_OK || !told || told->version <= known->version)
        return status;
    if (members_first_difference(told, known, s->job.workers) <= s->consistency.applied)
        return PS_OK; /* too late: the chief finds that this ps has another list, and sends all back */
    members_list list;
    if (members_copy(told, &list) != PS_OK)
        return ps_fail(error, PS_ENOMEM, "ps/%u has no memory for a list of members", s->config.index);
    return change_members(s, &list, error);
}

bool shard_is_near_the_end(const shard *s)
{
    bool finished = shard_has_last_image(s);
    for (uint32_t w = 0; w < s->job.workers; w++)
        finished |= s->workers[w].finished;
    return finished;
}

static ps_status decide(shard *s, uint32_t worker, bool enters, ps_error *error)
{
    const members_list *known = &s->consistency.members;
    const uint64_t soon = s->consistency.applied + 2;
    const uint64_t last = known->count > 0 ? known->changes[known->count - 1].from : 0;
    const members_change change = {.from = soon > last ? soon : last, .worker = worker, .enters = enters};
    members_list list;
    ps_status status = members_copy(known, &list);
    if (status != PS_OK)
        return ps_fail(error, status, "ps/%u has no memory for a list of members", s->config.index);
    /* Greater than what this process, or one before it that has lost its memory, has ever given. */
    list.version = known->version + 1 > s->config.incarnation ? known->version + 1 : s->config.incarnation;
    status = members_add(&list, &change, error);
    if (status == PS_OK)
        return change_members(s, &list, error);
    members_fini(&list);
    return status;
}

ps_status shard_handle_change(shard *s, const wire_message *message, const wire_route *from, ps_error *error)
{
    const char *what = wire_type_name(message->type);
    const bool enters = message->type == WIRE_ENTER;
    if (!shrinks(s))
        return ps_fail(error, PS_EPROTOCOL, "%s is for synchronous jobs with --on-worker-loss shrink", what);
    if (s->config.index != 0 || message->role != WIRE_WORKER || message->index == 0)
        return ps_fail(error, PS_EPROTOCOL, "%s of %s %u to ps/%u: it is for workers from 1 on, to ps/0",
                       what, wire_role_name(message->role), message->index, s->config.index);
    if (members_include(&s->consistency.members, message->index, MEMBERS_NEVER) != enters) {
        if (shard_is_near_the_end(s))
            return ps_fail(error, PS_ESTATE, "the job is at its end: worker %u cannot %s it any more",
                           message->index, enters ? "enter" : "leave");
        ps_status status = decide(s, message->index, enters, error);
        if (status != PS_OK)
            return status;
        shard_announce_to_all(s);
    }
    shard_send_plain(s, WIRE_ACK, message, from, NULL);
    return PS_OK;
}
