/* session.c - see session.h. Life and time; what the other sources share is in session_state.h. */
#include "worker/session.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "worker/session_state.h"

/* The most parts that an operation may be cut into. */
static uint32_t most_parts(const session_config *config)
{
    const partition *map = config->partition;
    uint64_t most = 0;
    for (uint32_t server = 0; server < config->job->servers; server++) {
        uint32_t slices = partition_server_count(map, server);
        uint64_t bytes = partition_server_elements(map, server) * sizeof(float);
        uint64_t full = slices / config->slices_per_message + 1;
        /* Of what is complete, two parts in a row hold more than the maximum together. */
        full += config->message_bytes_max ? 2 * (bytes / config->message_bytes_max + 1) : 0;
        full += config->message_bytes_min ? bytes / config->message_bytes_min : slices;
        most += slices == 0 ? 1 : full < slices ? full : slices;
    }
    return (uint32_t)most;
}

static void count_slices(session *s)
{
    const uint32_t *first = s->config.partition->tensor_first;
    for (uint32_t t = 0; t < s->config.job->tensors.count; t++)
        s->slice_counts[t] = first[t + 1] - first[t];
}

ps_status session_create(const session_config *config, session **out)
{
    session *s = calloc(1, sizeof *s);
    *out = s;
    if (!s)
        return PS_ENOMEM;
    s->config = *config;
    if (s->config.slices_per_message == 0)
        s->config.slices_per_message = WIRE_SLICES_MAX;
    s->next_serial = 1;
    s->query_at_ms = UINT64_MAX;
    s->unwelcomed = config->job->servers;
    s->round = 1;
    s->parts_max = most_parts(&s->config);
    TAILQ_INIT(&s->open);
    while (s->free_count < SESSION_OPERATIONS_MAX) {
        uint32_t slot = SESSION_OPERATIONS_MAX - 1 - s->free_count;
        session_operation_init(&s->operations[slot], slot);
        s->free_slots[s->free_count++] = slot;
    }
    s->peers = calloc(config->job->servers, sizeof *s->peers);
    s->slice_counts = calloc(config->job->tensors.count, sizeof *s->slice_counts);
    ps_status encodes =
        encoder_create(config->job, config->partition, config->memory, SESSION_OPERATIONS_MAX, &s->encoder);
    if (!s->peers || !s->slice_counts || encodes != PS_OK ||
        wire_job_fingerprint(config->job, &s->fingerprint) != PS_OK) {
        session_destroy(out);
        return PS_ENOMEM;
    }
    count_slices(s);
    for (uint32_t i = 0; i < config->job->servers; i++) {
        s->peers[i].hello_after_ms = config->query_first_ms;
        TAILQ_INIT(&s->peers[i].due);
        TAILQ_INIT(&s->peers[i].lanes);
    }
    return PS_OK;
}

void session_destroy(session **handle)
{
    session *s = *handle;
    *handle = NULL;
    if (!s)
        return;
    for (uint32_t i = 0; i < SESSION_OPERATIONS_MAX; i++)
        session_operation_fini(&s->operations[i]);
    encoder_destroy(&s->encoder);
    members_fini(&s->members);
    members_fini(&s->newest);
    free(s->slice_counts);
    free(s->peers);
    free(s);
}

/* ---- failure ---- */

void session_fail(session *s, uint32_t server, ps_status status, const char *why)
{
    if (s->failure.status == PS_OK)
        ps_fail(&s->failure, status == PS_OK ? PS_EPEER : status, "ps/%u: %s", server, why);
}

float *session_residual(session *s, uint32_t t)
{
    return encoder_residual(s->encoder, t);
}

ps_status session_failure(const session *s, ps_error *error)
{
    if (s->failure.status != PS_OK && error)
        *error = s->failure;
    return s->failure.status;
}

/* ---- time ---- */

void session_close_part(session *s, part *p)
{
    if (p->state != PART_SENT)
        TAILQ_REMOVE(&s->peers[p->server].due, p, due);
    TAILQ_REMOVE(&s->open, p, open);
    s->peers[p->server].open_parts--;
    p->state = PART_DONE;
    p->operation->parts_done++;
}

void session_reopen_part(session *s, part *p)
{
    part *before = TAILQ_LAST(&s->open, part_list);
    while (before && before->request > p->request)
        before = TAILQ_PREV(before, part_list, open);
    if (before)
        TAILQ_INSERT_AFTER(&s->open, before, p, open);
    else
        TAILQ_INSERT_HEAD(&s->open, p, open);
    s->peers[p->server].open_parts++;
    p->state = PART_SENT;
    p->operation->parts_done--;
}

void session_make_due(session *s, part *p, part_state state)
{
    bool listed = p->state == PART_TO_SEND || p->state == PART_TO_QUERY;
    p->state = state;
    if (listed)
        return;
    part_list *due = &s->peers[p->server].due;
    part *before = TAILQ_LAST(due, part_list);
    while (before && before->request > p->request)
        before = TAILQ_PREV(before, part_list, due);
    if (before)
        TAILQ_INSERT_AFTER(due, before, p, due);
    else
        TAILQ_INSERT_HEAD(due, p, due);
}

static void say_what_is_missing(const session *s, uint64_t now_ms)
{
    uint64_t said = 0; /* a bit per slot: one line per operation */
    static_assert(SESSION_OPERATIONS_MAX <= 64, "a bit per slot");
    const part *p;
    TAILQ_FOREACH(p, &s->open, open)
    {
        const operation *op = p->operation;
        if (said >> op->slot & 1 || now_ms - p->since_ms < SESSION_STALL_MS)
            continue;
        said |= UINT64_C(1) << op->slot;
        const char *reason = s->peers[p->server].waits_for;
        log_warning("%s of step %llu: no answer from ps/%u for %llu s; %s", wire_type_name(op->request.type),
                    (unsigned long long)op->request.step, p->server,
                    (unsigned long long)(now_ms - p->since_ms) / 1000,
                    reason[0] ? reason : "it does not respond");
    }
}

/* What is waited for may be for a ps that this session has all answers of, but that has restarted since: only
 * who speaks to it is told. */
static void ask_about_what_is_late(session *s, uint64_t now_ms)
{
    bool late = false;
    s->query_at_ms = UINT64_MAX;
    part *p;
    TAILQ_FOREACH(p, &s->open, open)
    {
        if (p->state != PART_SENT)
            continue;
        if (now_ms >= p->query_at_ms) {
            session_make_due(s, p, PART_TO_QUERY);
            late = true;
        } else if (p->query_at_ms < s->query_at_ms) {
            s->query_at_ms = p->query_at_ms;
        }
    }
    for (uint32_t i = 0; late && i < s->config.job->servers; i++)
        s->peers[i].to_be_reminded = s->peers[i].open_parts == 0;
}

static bool owes_answer(const session *s, const peer *p)
{
    return p->open_parts > 0 || (!s->joined && !p->welcomed);
}

/* Silence counts while an answer is owed, and while this process looks: not while it computes, or is stopped.
 */
static void check_deadline(session *s, uint64_t now_ms)
{
    const uint64_t deadline_ms = s->config.deadline_ms;
    const bool looked_away = now_ms - s->ticked_ms > SESSION_TICK_MAX_MS;
    for (uint32_t i = 0; i < s->config.job->servers; i++) {
        peer *p = &s->peers[i];
        if (p->heard || looked_away || !owes_answer(s, p))
            p->heard_ms = now_ms;
        p->heard = false;
        if (now_ms - p->heard_ms < deadline_ms)
            continue;
        char why[96];
        snprintf(why, sizeof why, "it owes an answer and has been silent for %llu s (--deadline)",
                 (unsigned long long)(now_ms - p->heard_ms) / 1000);
        session_fail(s, i, PS_EPEER, why);
    }
}

void session_tick(session *s, uint64_t now_ms)
{
    if (s->config.deadline_ms && s->has_joined)
        check_deadline(s, now_ms);
    s->ticked_ms = now_ms;
    if (s->said_ms == 0)
        s->said_ms = now_ms;
    if (now_ms >= s->query_at_ms)
        ask_about_what_is_late(s, now_ms);
    if (now_ms - s->said_ms >= SESSION_STALL_MS) {
        s->said_ms = now_ms;
        if (s->unfit && !s->joined)
            log_warning("the ps are at different steps; waiting for worker 0 to bring them together");
        say_what_is_missing(s, now_ms);
    }
}
