/* shard_join.c - HELLO: the job that the first one brings, and the processes that come and take the place of
 * others. */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "ps/shard_state.h"

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
    shard_drop_job(s);
    return status;
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

ps_status shard_handle_hello(shard *s, wire_message *hello, const wire_route *from, uint64_t now_ms,
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
    shard_hear_of_end(s, hello);
    status = shard_hear_of_members(s, hello, error);
    if (status != PS_OK)
        return status;
    if (m == &s->workers[0])
        shard_answer_all(s); /* what has waited for its word of an end */
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
