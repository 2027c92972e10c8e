/* shard_view.c - see shard_view.h. */
#include "ps/shard_view.h"

#include <stdlib.h>
#include <string.h>

#include "ps/optimizer.h"
#include "ps/shard_state.h"

const char *member_state_name(member_state state)
{
    switch (state) {
#define MEMBER_STATE_CASE(state, name) \
    case state:                        \
        return name;
        MEMBER_STATE_LIST(MEMBER_STATE_CASE)
#undef MEMBER_STATE_CASE
    }
    return "?";
}

void shard_view_fini(shard_view *view)
{
    free(view->workers);
    free(view->evaluators);
    free(view->server_http);
    memset(view, 0, sizeof *view);
}

static bool allocate(const shard *s, shard_view *view)
{
    if (view->workers)
        return true;
    view->workers = calloc(s->job.workers, sizeof *view->workers);
    view->evaluators = calloc(s->job.evaluators + 1, sizeof *view->evaluators);
    view->server_http = calloc(s->job.servers, sizeof *view->server_http);
    if (view->workers && view->evaluators && view->server_http)
        return true;
    shard_view_fini(view);
    return false;
}

static member_state state_of(const member *m)
{
    if (m->finished)
        return MEMBER_FINISHED;
    if (m->given_up)
        return MEMBER_GIVEN_UP;
    if (!m->joined)
        return MEMBER_ABSENT;
    if (m->lost)
        return MEMBER_LOST;
    return m->requests ? MEMBER_WAITING : MEMBER_TRAINING;
}

static void view_member(const member *m, member_view *to, uint64_t now_ms)
{
    const bool fresh = m->figures_count != to->figures_count || m->incarnation != to->incarnation;
    to->state = state_of(m);
    to->incarnation = m->incarnation;
    to->restarts = m->restarts;
    to->silent_ms = now_ms > m->heard_ms ? now_ms - m->heard_ms : 0;
    to->has_staleness = m->has_staleness;
    to->staleness = m->staleness;
    to->figures_count = m->figures_count;
    if (fresh)
        to->figures = m->figures;
}

static void view_workers(const shard *s, shard_view *view, uint64_t now_ms)
{
    uint64_t furthest = 0;
    for (uint32_t w = 0; w < s->job.workers; w++) {
        view_member(&s->workers[w], &view->workers[w], now_ms);
        view->workers[w].step = s->consistency.clocks[w].pushed;
        if (view->workers[w].step > furthest)
            furthest = view->workers[w].step;
    }
    for (uint32_t w = 0; w < s->job.workers; w++)
        view->workers[w].behind = furthest - view->workers[w].step;
    for (uint32_t i = 0; i < s->job.evaluators; i++)
        view_member(&s->evaluators[i], &view->evaluators[i], now_ms);
}

static void view_wait(const shard *s, uint32_t worker, const open_request *r, wait_view *to, uint64_t now_ms)
{
    worker_set missing = {0};
    to->worker = worker;
    to->step = r->message->step;
    to->since_ms = now_ms - r->since_ms;
    shard_describe_wait(s, r->message, to->text, sizeof to->text);
    if (r->message->type == WIRE_FINISH || r->message->after_finish)
        shard_others_at_work(s, r->message, &missing);
    else if (!consistency_may_answer(&s->consistency, r->message->step))
        consistency_missing(&s->consistency, r->message->step, &missing);
    to->awaited_count = missing.count < VIEW_WAITED_FOR_MAX ? missing.count : VIEW_WAITED_FOR_MAX;
    memcpy(to->awaited, missing.workers, to->awaited_count * sizeof *to->awaited);
}

static void view_waits(const shard *s, shard_view *view, uint64_t now_ms)
{
    view->wait_count = view->open_requests = 0;
    for (uint32_t w = 0; w < s->job.workers; w++) {
        const open_request *r = s->workers[w].requests;
        view->open_requests += s->workers[w].request_count;
        if (r && view->wait_count < VIEW_WAITS_MAX)
            view_wait(s, w, r, &view->waits[view->wait_count++], now_ms);
    }
}

ps_status shard_view_take(const shard *s, shard_view *view, uint64_t now_ms)
{
    view->failed = s->failure.status != PS_OK;
    view->counters = s->counters;
    view->held_answers = s->outbox_count;
    if (!s->has_job)
        return PS_OK;
    if (!allocate(s, view))
        return PS_ENOMEM;
    view->job = &s->job;
    view->finished = shard_is_over(s);
    view->version = s->consistency.applied;
    view->slices = s->slice_count;
    view->slots = optimizer_slots(&s->job.optimizer);
    view->parameters = partition_server_elements(&s->partition, s->config.index);
    view_workers(s, view, now_ms);
    view_waits(s, view, now_ms);
    memcpy(view->server_http, s->server_http, s->job.servers * sizeof *view->server_http);
    return PS_OK;
}
