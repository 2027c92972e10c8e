/* shard.c - see shard.h.
 *
 * One thread owns a shard; there is nothing to lock. Every handler first judges the whole message and only
 * then touches state, so that a refused message leaves no trace but a counter. */
#include "ps/shard.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "ps/shard_state.h"

ps_status shard_create(const shard_config *config, shard **out)
{
    shard *s = calloc(1, sizeof *s);
    *out = s;
    if (!s)
        return PS_ENOMEM;
    s->config = *config;
    s->outbox_tail = &s->outbox;
    if (s->config.pool)
        return PS_OK;
    ps_status status = pool_create(false, &s->own_pool);
    s->config.pool = s->own_pool;
    if (status != PS_OK)
        shard_destroy(out);
    return status;
}

void shard_drop_job(shard *s)
{
    image_destroy(&s->held_image);
    for (uint32_t i = 0; s->workers && i < s->job.workers; i++)
        member_fini(&s->workers[i], s->slice_count);
    for (uint32_t i = 0; s->evaluators && i < s->job.evaluators; i++)
        member_fini(&s->evaluators[i], 0);
    free(s->workers);
    free(s->evaluators);
    free(s->gradients);
    free(s->server_http);
    s->server_http = NULL;
    s->workers = NULL;
    s->evaluators = NULL;
    s->gradients = NULL;
    store_destroy(&s->store);
    consistency_fini(&s->consistency);
    partition_fini(&s->partition);
    job_fini(&s->job);
    s->has_job = false;
}

void shard_destroy(shard **handle)
{
    shard *s = *handle;
    *handle = NULL;
    if (!s)
        return;
    shard_drop_job(s);
    s->config.journal = NULL; /* nothing waits for it any more */
    wire_message *m;
    wire_route to;
    while ((m = shard_next(s, &to)))
        wire_destroy(&m);
    pool_destroy(&s->own_pool);
    free(s);
}

void shard_tell_http(shard *s, const char *address)
{
    figures_set_text(s->http, address);
    if (s->has_job)
        memcpy(s->server_http[s->config.index], s->http, sizeof s->http);
}

/* ---- members ---- */

static uint32_t count_of_role(const job_config *job, wire_role role)
{
    return role == WIRE_WORKER ? job->workers : job->evaluators;
}

bool shard_has_member(const shard *s, const wire_message *message)
{
    return message->index < count_of_role(&s->job, message->role);
}

ps_status shard_check_is_of_job(const job_config *job, const wire_message *message, ps_error *error)
{
    uint32_t count = count_of_role(job, message->role);
    if (message->index >= count)
        return ps_fail(error, PS_EMISMATCH, "%s %u is not of this job, which has %u",
                       wire_role_name(message->role), message->index, count);
    return PS_OK;
}

member *shard_member_of(const shard *s, const wire_message *message)
{
    return message->role == WIRE_WORKER ? &s->workers[message->index] : &s->evaluators[message->index];
}

/* ---- requests of members ---- */

/* Payloads in memory that could not be mapped are not. */
static bool has_its_payloads(const wire_message *message)
{
    for (uint32_t i = 0; message->has_payload && i < message->slice_count; i++)
        if (!message->payloads[i])
            return false;
    return true;
}

/* Of a worker; a step that was applied without it counts. */
static uint64_t last_known_step(const shard *s, uint32_t worker)
{
    uint64_t pushed = s->consistency.clocks[worker].pushed;
    bool sync = s->job.mode == CONSISTENCY_SYNC;
    return sync && s->consistency.applied > pushed ? s->consistency.applied : pushed;
}

void shard_take_finish(shard *s, member *m, const wire_message *finish)
{
    m->gone |= finish->after_finish;
    if (m->finished)
        return;
    m->finished = true;
    log_event(LOG_INFO, "member_finished", s->consistency.applied, "%s %u finished",
              wire_role_name(finish->role), finish->index);
    if (finish->role != WIRE_WORKER)
        return;
    consistency_finish(&s->consistency, finish->index);
    if (finish->index == 0)
        shard_note_absences(s);
}

/* One that comes late, to a ps that has restarted since and waits for the worker to push again, is refused.
 */
static ps_status handle_finish(shard *s, member *m, wire_message **message, const wire_route *from,
                               uint64_t now_ms, ps_error *error)
{
    const wire_message *finish = *message;
    bool pushes = finish->role == WIRE_WORKER && s->slice_count > 0;
    if (pushes && finish->step > last_known_step(s, finish->index))
        return ps_fail(error, PS_EREJOIN,
                       "worker %u has finished after step %llu, of which ps/%u knows nothing", finish->index,
                       (unsigned long long)finish->step, s->config.index);
    const bool works = finish->role == WIRE_WORKER, first = !m->finished;
    const bool news = works && (first || (finish->after_finish && !m->gone));
    if (news && shard_journal_append(s, finish, error) != PS_OK)
        return PS_ENOMEM;
    shard_take_finish(s, m, finish);
    shard_take_figures(s, m, finish);
    m->back = false;
    if (first)
        shard_note_progress(s);
    if (first && works) {
        shard_apply_ready(s);
        shard_take_image(s);
    }
    shard_answer_or_open(s, m, message, from, now_ms);
    return PS_OK;
}

/* The others may have steps left: where an administrator ends the job (shard_admin.c), each worker ends with
 * its own. */
static void handle_pull(shard *s, member *m, wire_message **message, const wire_route *from, uint64_t now_ms)
{
    const bool concludes = (*message)->after_finish && (*message)->role == WIRE_WORKER;
    if (concludes)
        consistency_conclude(&s->consistency, (*message)->index);
    shard_answer_or_open(s, m, message, from, now_ms);
    if (concludes)
        shard_answer_all(s);
}

static void handle_query(shard *s, member *m, const wire_message *query, const wire_route *from)
{
    open_request *r = member_find(m, query->request);
    if (!r) {
        shard_send_resend(s, query, from);
        return;
    }
    r->from = *from; /* the connection it came by may be gone */
    shard_answer_member(s, m);
    if (member_find(m, query->request) != r)
        return;
    shard_send_pending(s, r);
}

static ps_status find_sender(shard *s, const wire_message *message, member **found, ps_error *error)
{
    if (!s->has_job)
        return ps_fail(error, PS_EREJOIN, "ps/%u has no job yet: it has restarted, or HELLO is missing",
                       s->config.index);
    if (message->job != s->fingerprint)
        return ps_fail(error, PS_EMISMATCH, "%s is of another job than '%s'", wire_type_name(message->type),
                       s->job.name);
    ps_status status = shard_check_is_of_job(&s->job, message, error);
    if (status != PS_OK)
        return status;
    *found = shard_member_of(s, message);
    bool newer = !(*found)->joined || (*found)->incarnation < message->incarnation;
    if (newer || (*found)->incarnation != message->incarnation)
        return ps_fail(error, newer ? PS_EREJOIN : PS_EPEER,
                       "%s of %s %u comes from a process that is not its current one",
                       wire_type_name(message->type), wire_role_name(message->role), message->index);
    if (message->receiver != (uint32_t)s->config.incarnation)
        return ps_fail(error, PS_EREJOIN, "%s of %s %u was meant for ps/%u before it restarted",
                       wire_type_name(message->type), wire_role_name(message->role), message->index,
                       s->config.index);
    if (message->epoch != s->epoch && message->type != WIRE_RESTORE)
        return ps_fail(error, PS_EREJOIN, "%s of %s %u is of epoch %llu; ps/%u is in epoch %llu",
                       wire_type_name(message->type), wire_role_name(message->role), message->index,
                       (unsigned long long)message->epoch, s->config.index, (unsigned long long)s->epoch);
    if (message->members_version != s->consistency.members.version && message->type != WIRE_RESTORE)
        return ps_fail(error, PS_EREJOIN, "%s of %s %u knows another list of members than ps/%u",
                       wire_type_name(message->type), wire_role_name(message->role), message->index,
                       s->config.index);
    return PS_OK;
}

static ps_status handle_request(shard *s, wire_message **message, const wire_route *from, uint64_t now_ms,
                                ps_error *error)
{
    member *m = NULL;
    ps_status status = find_sender(s, *message, &m, error);
    if (status == PS_OK)
        status = shard_failure(s, error);
    if (status != PS_OK)
        return status;
    shard_note_alive(s, m, *message, now_ms);
    shard_hear_of_end(s, *message);
    member_settle(m, (*message)->settled);
    if ((*message)->type == WIRE_QUERY) {
        handle_query(s, m, *message, from);
        return PS_OK;
    }
    shard_answer_member(s, m); /* what has been settled may have made room */
    if ((*message)->type == WIRE_SETTLE)
        return PS_OK;
    if ((*message)->type == WIRE_RESTORE)
        return shard_handle_restore(s, *message, from, error);
    if ((*message)->type == WIRE_LEAVE || (*message)->type == WIRE_ENTER)
        return shard_handle_change(s, *message, from, error);
    open_request *known = member_find(m, (*message)->request);
    if (known) { /* sent again while it waits */
        known->from = *from;
        return PS_OK;
    }
    if (m->request_count >= shard_requests_max(s))
        return ps_fail(error, PS_ELIMIT, "%s %u has %u requests open; no more are taken",
                       wire_role_name((*message)->role), (*message)->index, m->request_count);
    if (!has_its_payloads(*message)) {
        m->readable = false;
        shard_send_resend(s, *message, from);
        return PS_OK;
    }
    member_settle_one(m, (*message)->request);
    status = shard_check_slices(s, *message, error);
    if (status != PS_OK)
        return status;

    switch ((*message)->type) {
    case WIRE_PUSH_PULL:
    case WIRE_PUSH:
        return shard_handle_push(s, m, message, from, now_ms, error);
    case WIRE_PULL:
        handle_pull(s, m, message, from, now_ms);
        return PS_OK;
    case WIRE_FINISH:
        return handle_finish(s, m, message, from, now_ms, error);
    default:
        return ps_fail(error, PS_EPROTOCOL, "%s is not for a ps", wire_type_name((*message)->type));
    }
}

/* It could not come back: nobody hears of it, who is to ask its next life. */
static bool is_silent(const shard *s)
{
    return s->failure.status != PS_OK && !s->has_job;
}

/* Who only wants to know whether it has been heard asks again and again, as long as the journal stands still,
 * and what it would hear is held back as all else is. */
static bool is_asked_in_vain(const shard *s, const wire_message *message)
{
    const bool asks =
        message->type == WIRE_QUERY || message->type == WIRE_HELLO || message->role == WIRE_ADMINISTRATOR;
    return asks && s->has_job && s->outbox_count >= SHARD_HELD_MAX * (s->job.workers + s->job.evaluators) &&
           !shard_journal_has(s, s->outbox->position);
}

static refusal reason_of(const wire_message *message, ps_status status)
{
    switch (status) {
    case PS_EMISMATCH:
        return REFUSAL_FOREIGN_JOB;
    case PS_ELIMIT:
        return message->type == WIRE_HELLO ? REFUSAL_TOO_LARGE : REFUSAL_TOO_MANY;
    case PS_EREJOIN:
    case PS_EPEER:
        return REFUSAL_STALE;
    case PS_EPROTOCOL:
    case PS_EINVAL:
    case PS_ECONFIG:
    case PS_EFORMAT:
        return REFUSAL_MALFORMED;
    default:
        return REFUSAL_OTHER;
    }
}

void shard_count_refusal(shard *s, const wire_message *message, ps_status status)
{
    s->counters.messages_refused++;
    s->counters.refused.count[reason_of(message, status)]++;
}

void shard_receive(shard *s, wire_message **message, const wire_route *from, uint64_t now_ms)
{
    ps_error error = {PS_OK, ""};
    s->now_ms = now_ms;
    if ((*message)->role == WIRE_WORKER)
        s->heard_ms = now_ms;
    if (is_silent(s) || is_asked_in_vain(s, *message)) {
        wire_destroy(message);
        return;
    }
    if ((*message)->type == WIRE_HEARTBEAT) {
        shard_handle_heartbeat(s, *message, now_ms);
        wire_destroy(message);
        return;
    }
    ps_status status = (*message)->role == WIRE_ADMINISTRATOR ? shard_handle_order(s, *message, from, &error)
                       : (*message)->type == WIRE_HELLO
                           ? shard_handle_hello(s, *message, from, now_ms, &error)
                           : handle_request(s, message, from, now_ms, &error);
    if (status != PS_OK && !is_silent(s)) {
        shard_count_refusal(s, *message, status);
        shard_send_error(s, *message, from, &error);
    }
    wire_destroy(message);
    if (s->failure.status != PS_OK && s->has_job)
        shard_answer_all(s);
}

/* ---- state ---- */

bool shard_finished(const shard *s)
{
    if (!s->has_job || !shard_is_over(s))
        return false;
    for (uint32_t i = 0; i < s->job.evaluators; i++) {
        const member *m = &s->evaluators[i];
        const bool done = shard_keeps_members(s) ? m->gone : m->finished; /* once all ps know, or at once */
        if (!done && (m->joined || !s->abandoned))
            return false;
    }
    return !shard_finish_waits(s) && shard_all_gone(s) && (!s->config.journal || !s->outbox);
}

ps_status shard_failure(const shard *s, ps_error *error)
{
    if (s->failure.status != PS_OK && error)
        *error = s->failure;
    return s->failure.status;
}

bool shard_has_job(const shard *s)
{
    return s->has_job;
}

const job_config *shard_job(const shard *s)
{
    return s->has_job ? &s->job : NULL;
}

uint64_t shard_version(const shard *s)
{
    return s->has_job ? s->consistency.applied : 0;
}

const shard_counters *shard_count(const shard *s)
{
    return &s->counters;
}
