/* shard.c - see shard.h.
 *
 * One thread owns a shard; there is nothing to lock. Every handler first judges the whole message and only
 * then touches state, so that a refused message leaves no trace but a counter. */
#include "ps/shard.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/schedule.h"
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

static void drop_job(shard *s)
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
    drop_job(s);
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

/* ---- HELLO ---- */

static ps_status check_against_cluster(const shard *s, const job_config *job, ps_error *error)
{
    if (s->config.servers && s->config.servers != job->servers)
        return ps_fail(error, PS_EMISMATCH, "the job has %u ps, but the cluster spec of ps/%u has %u",
                       job->servers, s->config.index, s->config.servers);
    if (s->config.workers && s->config.workers != job->workers)
        return ps_fail(error, PS_EMISMATCH, "the job has %u workers, but the cluster spec of ps/%u has %u",
                       job->workers, s->config.index, s->config.workers);
    if (s->config.index >= job->servers)
        return ps_fail(error, PS_EMISMATCH, "the job has %u ps; this is ps/%u", job->servers,
                       s->config.index);
    return PS_OK;
}

static ps_status create_members(shard *s)
{
    s->workers = calloc(s->job.workers, sizeof *s->workers);
    s->evaluators = calloc(s->job.evaluators + 1, sizeof *s->evaluators);
    s->gradients = calloc(s->job.workers, sizeof *s->gradients);
    s->server_http = calloc(s->job.servers, sizeof *s->server_http);
    if (!s->workers || !s->evaluators || !s->gradients || !s->server_http)
        return PS_ENOMEM;
    memcpy(s->server_http[s->config.index], s->http, sizeof s->http);
    for (uint32_t i = 0; i < s->job.workers; i++)
        if (member_init(&s->workers[i], s->slice_count) != PS_OK)
            return PS_ENOMEM;
    return PS_OK;
}

/* The first HELLO brings the job. All or nothing. */
static ps_status adopt_job(shard *s, const job_config *job, ps_error *error)
{
    ps_status status = check_against_cluster(s, job, error);
    if (status != PS_OK)
        return status;
    status = job_copy(job, &s->job);
    if (status != PS_OK)
        ps_fail(error, status, "ps/%u has no memory for the job's description", s->config.index);
    if (status == PS_OK)
        status = partition_init(&s->partition, &s->job, error);
    if (status != PS_OK)
        goto fail;
    uint64_t bytes = store_bytes(&s->job, &s->partition, s->config.index);
    if (s->config.memory_max_bytes && bytes > s->config.memory_max_bytes) {
        status = ps_fail(error, PS_ELIMIT,
                         "the job needs %llu MiB on ps/%u; its limit is %llu MiB (--memory-limit)",
                         (unsigned long long)(bytes >> 20), s->config.index,
                         (unsigned long long)(s->config.memory_max_bytes >> 20));
        goto fail;
    }
    s->slice_count = partition_server_count(&s->partition, s->config.index);
    status = wire_job_fingerprint(&s->job, &s->fingerprint);
    if (status == PS_OK)
        status = consistency_init(&s->consistency, &s->job);
    if (status == PS_OK)
        status = create_members(s);
    if (status == PS_OK)
        status = shard_begin(s, error);
    if (status == PS_ENOMEM) {
        ps_fail(error, status, "ps/%u has no memory for a shard of %llu MiB", s->config.index,
                (unsigned long long)(bytes >> 20));
    }
    if (status != PS_OK)
        goto fail;
    if (s->job.on_worker_loss != LOSS_WAIT && s->config.lease_ms == 0)
        log_warning("--on-worker-loss %s has no effect without leases (--lease-secs 0)",
                    loss_policy_name(s->job.on_worker_loss));
    s->has_job = true;
    s->begun_ms = s->now_ms;
    log_info("job '%s': %s, %s, %u ps, %u workers; this shard holds %u slices, %llu parameters", s->job.name,
             consistency_mode_name(s->job.mode), optimizer_kind_name(s->job.optimizer.kind), s->job.servers,
             s->job.workers, s->slice_count,
             (unsigned long long)partition_server_elements(&s->partition, s->config.index));
    return PS_OK;

fail:
    drop_job(s);
    return status;
}

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

/* What it pushed before it finished was acknowledged and still counts. */
void shard_take_incarnation(shard *s, member *m, const wire_message *hello)
{
    m->incarnation = hello->incarnation;
    if (m->finished)
        return;
    member_drop_push(m, s->slice_count);
    consistency_forget(&s->consistency, hello->index);
}

/* A new incarnation takes the place of the one before it; or it is one that the journal knows. */
static ps_status replace_incarnation(shard *s, member *m, const wire_message *hello, ps_error *error)
{
    const bool known = m->incarnation == hello->incarnation, works = hello->role == WIRE_WORKER;
    if (works && !known && shard_journal_append(s, hello, error) != PS_OK)
        return PS_ENOMEM;
    m->restarts += m->incarnation != 0 && !known;
    s->counters.members_restarted += m->incarnation != 0 && !known;
    m->has_weights = m->has_staleness = false;
    m->figures_count = 0;
    if (m->joined)
        log_event(LOG_WARNING, "member_restarted", s->consistency.applied,
                  "%s %u has restarted, or begins anew", wire_role_name(hello->role), hello->index);
    else
        log_event(LOG_INFO, "member_joined", s->consistency.applied, "%s %u joined",
                  wire_role_name(hello->role), hello->index);
    member_drop_requests(m);
    if (works && !known)
        shard_take_incarnation(s, m, hello);
    m->back = m->finished;
    m->joined = true;
    shard_note_progress(s);
    m->incarnation = hello->incarnation;
    m->readable = hello->readable;
    return PS_OK;
}

/* The step after which a member goes on. */
static uint64_t last_step(const shard *s, const wire_message *hello)
{
    uint64_t pushed = hello->role == WIRE_WORKER ? s->consistency.clocks[hello->index].pushed : 0;
    if (s->job.mode != CONSISTENCY_SYNC)
        return pushed;
    bool counts = hello->role == WIRE_WORKER && s->workers[hello->index].finished;
    return counts && pushed > s->consistency.applied ? pushed : s->consistency.applied;
}

/* A gradient of which the first parts are here, with a journal also after a restart, counts. */
static uint64_t last_held(const shard *s, const wire_message *hello)
{
    if (hello->role != WIRE_WORKER)
        return 0;
    const uint64_t pushed = s->consistency.clocks[hello->index].pushed;
    const member_push *push = &s->workers[hello->index].push;
    return push->received > 0 && push->step > pushed ? push->step : pushed;
}

static ps_status handle_hello(shard *s, wire_message *hello, const wire_route *from, uint64_t now_ms,
                              ps_error *error)
{
    if (hello->receiver != s->config.index)
        return ps_fail(error, PS_EMISMATCH, "this is ps/%u, not ps/%u: the cluster specs differ",
                       s->config.index, hello->receiver);
    ps_status status = s->has_job ? job_difference(&s->job, hello->hello, error) : PS_OK;
    if (status == PS_OK)
        status = shard_check_is_of_job(hello->hello, hello, error);
    if (status == PS_OK && !s->has_job)
        status = adopt_job(s, hello->hello, error);
    if (status != PS_OK)
        return status;
    member *m = shard_member_of(s, hello);
    if (hello->incarnation < m->incarnation)
        return ps_fail(error, PS_EPEER, "%s %u has been replaced by a newer process under the same index",
                       wire_role_name(hello->role), hello->index);
    if (!m->joined || hello->incarnation > m->incarnation)
        status = replace_incarnation(s, m, hello, error);
    if (status != PS_OK)
        return status;
    shard_note_alive(s, m, hello, now_ms);
    m->route = *from;
    status = shard_hear_of_members(s, hello, error);
    if (status != PS_OK)
        return status;
    if (hello->unfit && m != &s->workers[0])
        shard_alert_chief(s);

    wire_message *welcome = wire_create(WIRE_WELCOME, 0);
    if (welcome) {
        welcome->step = last_step(s, hello);
        welcome->held = last_held(s, hello);
        welcome->reads_memory = m->readable;
        shard_describe_place(s, welcome);
        if (s->http[0])
            wire_set_text(welcome, s->http);
    }
    shard_send_answer(s, welcome, hello, from);
    return PS_OK;
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

static ps_status handle_push(shard *s, member *m, wire_message **message, const wire_route *from,
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
    char text[WIRE_TEXT_MAX + 1];
    shard_describe_wait(s, r->message, text, sizeof text);
    wire_message *pending = wire_create(WIRE_PENDING, 0);
    if (pending) {
        wire_set_text(pending, text);
        pending->lost_worker = shard_lost_worker(s, r->message);
    }
    shard_send_answer(s, pending, query, from);
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
        return handle_push(s, m, message, from, now_ms, error);
    case WIRE_PULL:
        shard_answer_or_open(s, m, message, from, now_ms);
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
    const bool asks = message->type == WIRE_QUERY || message->type == WIRE_HELLO;
    return asks && s->has_job && s->outbox_count >= SHARD_HELD_MAX * (s->job.workers + s->job.evaluators) &&
           !shard_journal_has(s, s->outbox->position);
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
    ps_status status = (*message)->type == WIRE_HELLO ? handle_hello(s, *message, from, now_ms, &error)
                                                      : handle_request(s, message, from, now_ms, &error);
    if (status != PS_OK && !is_silent(s)) {
        s->counters.messages_refused++;
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

uint64_t shard_version(const shard *s)
{
    return s->has_job ? s->consistency.applied : 0;
}

const shard_counters *shard_count(const shard *s)
{
    return &s->counters;
}
