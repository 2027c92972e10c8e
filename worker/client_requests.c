/* client_requests.c - pushes, pulls and steps in pieces. See client_state.h. */
#include <string.h>

#include "worker/client_state.h"

enum { RELEASE_MS = 100 }; /* how long a wait sleeps for lent gradients before it looks around */

static ps_status check_joined(const ps_client *c, ps_error *error)
{
    return c->joined ? PS_OK : ps_fail(error, PS_ESTATE, "ps_join has not succeeded yet");
}

static ps_status check_outstanding(const ps_client *c, ps_ticket ticket, ps_error *error)
{
    if (ticket >= SESSION_OPERATIONS_MAX || !c->requests[ticket].outstanding)
        return ps_fail(error, PS_EINVAL, "ticket %u names no outstanding request", ticket);
    return PS_OK;
}

static ps_status submit(ps_client *c, const session_request *request, ps_ticket *ticket, ps_error *error)
{
    ps_status status = check_joined(c, error);
    if (status != PS_OK)
        return status;
    status = session_submit(c->session, request, ticket);
    if (status != PS_OK)
        return ps_fail(error, status, "%s: %s", wire_type_name(request->type), ps_status_text(status));
    c->requests[*ticket].outstanding = true;
    c->requests[*ticket].nonfinite = request->nonfinite;
    c->requests[*ticket].brings_weights = request->weights;
    c->requests[*ticket].step = request->step;
    client_send(c, !request->gradients || c->small_gradient);
    return PS_OK;
}

static ps_status check_push(const ps_client *c, const ps_update *update, ps_error *error)
{
    if (update->step == 0 || (update->examples > 0 && !update->gradients))
        return ps_fail(error, PS_EINVAL, "a push needs a step from 1 on, and gradients if it has examples");
    if (c->is_coming)
        return ps_fail(error, PS_ESTATE, "the gradient of the push before is not complete yet");
    return PS_OK;
}

static session_request describe_push(wire_type type, const ps_update *update, float *const *weights)
{
    return (session_request){
        .type = type,
        .step = update->step,
        .examples = update->examples,
        .clip_factor = 1.0f,
        .gradients = update->examples > 0 ? update->gradients : NULL,
        .weights = weights,
    };
}

static ps_status submit_push(ps_client *c, wire_type type, const ps_update *update, float *const *weights,
                             ps_ticket *ticket, ps_error *error)
{
    ps_status status = check_joined(c, error);
    if (status == PS_OK)
        status = check_push(c, update, error);
    if (status != PS_OK)
        return status;
    session_request request = describe_push(type, update, weights);
    if (update->examples > 0) {
        judge_begin(&c->judge);
        for (uint32_t t = 0; t < c->job.tensors.count; t++)
            judge_tensor(&c->judge, t, update->gradients[t]);
        judgement whole = judge_end(&c->judge);
        request.nonfinite = whole.nonfinite;
        request.clip_factor = whole.clip_factor;
    }
    return submit(c, &request, ticket, error);
}

ps_status ps_push_pull(ps_client *c, const ps_update *update, float *const *weights, ps_ticket *ticket,
                       ps_error *error)
{
    return submit_push(c, WIRE_PUSH_PULL, update, weights, ticket, error);
}

ps_status ps_push(ps_client *c, const ps_update *update, ps_ticket *ticket, ps_error *error)
{
    return submit_push(c, WIRE_PUSH, update, NULL, ticket, error);
}

ps_status ps_pull(ps_client *c, uint64_t step, float *const *weights, ps_ticket *ticket, ps_error *error)
{
    session_request request = {.type = WIRE_PULL, .step = step, .weights = weights};
    return submit(c, &request, ticket, error);
}

ps_status ps_pull_final(ps_client *c, float *const *weights, ps_ticket *ticket, ps_error *error)
{
    session_request request = {.type = WIRE_PULL, .after_finish = true, .weights = weights};
    return submit(c, &request, ticket, error);
}

/* ---- a step in pieces ---- */

ps_status ps_begin(ps_client *c, const ps_update *update, float *const *weights, ps_ticket *ticket,
                   ps_error *error)
{
    if (update->examples == 0)
        return ps_push_pull(c, update, weights, ticket, error);
    ps_status status = check_joined(c, error);
    if (status == PS_OK)
        status = check_push(c, update, error);
    if (status != PS_OK)
        return status;
    session_request request = describe_push(WIRE_PUSH_PULL, update, weights);
    request.by_tensor = true;
    request.judged_first = c->job.optimizer.clip_norm > 0;
    status = submit(c, &request, ticket, error);
    if (status != PS_OK)
        return status;
    judge_begin(&c->judge);
    memcpy(c->coming, update->gradients, c->job.tensors.count * sizeof *c->coming);
    c->is_coming = true;
    c->coming_ticket = *ticket;
    return PS_OK;
}

ps_status ps_ready(ps_client *c, ps_ticket ticket, uint32_t first, uint32_t count, ps_error *error)
{
    return ps_ready_measured(c, ticket, first, count, NULL, error);
}

ps_status ps_ready_measured(ps_client *c, ps_ticket ticket, uint32_t first, uint32_t count,
                            const double *squares, ps_error *error)
{
    if (!c->is_coming || ticket != c->coming_ticket)
        return ps_fail(error, PS_EINVAL, "ticket %u names no push whose gradient is still coming", ticket);
    ps_status status = session_ready(c->session, ticket, first, count);
    if (status != PS_OK)
        return ps_fail(error, status, "of %u tensors from number %u on not all are awaited", count, first);
    for (uint32_t t = first; t < first + count; t++) {
        if (squares)
            judge_squares(&c->judge, t, squares[t - first]);
        else
            judge_tensor(&c->judge, t, c->coming[t]);
    }
    if (c->judge.left == 0) {
        judgement whole = judge_end(&c->judge);
        session_judge(c->session, ticket, whole.nonfinite, whole.clip_factor);
        c->requests[ticket].nonfinite = whole.nonfinite;
        c->is_coming = false;
    }
    client_send(c, false);
    return PS_OK;
}

/* A refused part brings no weights; who waits for them shall hear of it. */
static bool weights_are_there(ps_client *c, const client_awaited *what)
{
    return session_refusal(c->session, what->ticket, NULL) != PS_OK ||
           session_has_weights(c->session, what->ticket, what->first, what->count);
}

static ps_status check_awaitable(const ps_client *c, ps_ticket ticket, ps_error *error)
{
    ps_status status = check_joined(c, error);
    if (status == PS_OK)
        status = check_outstanding(c, ticket, error);
    if (status == PS_OK && c->is_coming && ticket == c->coming_ticket)
        status = ps_fail(error, PS_ESTATE, "%u tensors of the gradient of ticket %u are not ready yet",
                         c->judge.left, ticket);
    return status;
}

ps_status ps_wait_weights(ps_client *c, ps_ticket ticket, uint32_t first, uint32_t count, uint32_t timeout_ms,
                          ps_error *error)
{
    ps_status status = check_awaitable(c, ticket, error);
    if (status != PS_OK)
        return status;
    uint32_t tensors = c->job.tensors.count;
    if (!c->requests[ticket].brings_weights || first > tensors || count > tensors - first)
        return ps_fail(error, PS_EINVAL, "ticket %u brings no weights of %u tensors from number %u on",
                       ticket, count, first);
    const client_awaited what = {.ticket = ticket, .first = first, .count = count};
    status = client_move_until(c, weights_are_there, &what, timeout_ms, error);
    if (status != PS_OK)
        return status;
    client_send(c, false); /* that these were taken, so that others come while the caller computes */
    return session_refusal(c->session, ticket, error);
}

/* ---- the end of a request ---- */

static bool is_over(ps_client *c, const client_awaited *what)
{
    session_ticket ticket = what->ticket;
    if (!session_answered(c->session, ticket))
        return false;
    if (!session_finished(c->session, ticket)) /* what it waits for makes no message */
        session_await_release(c->session, ticket, RELEASE_MS);
    return session_finished(c->session, ticket);
}

ps_status ps_wait(ps_client *c, ps_ticket ticket, uint32_t timeout_ms, ps_result *result, ps_error *error)
{
    ps_status status = check_awaitable(c, ticket, error);
    if (status != PS_OK)
        return status;
    const client_awaited what = {.ticket = ticket};
    status = client_move_until(c, is_over, &what, timeout_ms, error);
    if (status != PS_OK)
        return status;
    c->requests[ticket].outstanding = false;
    session_result collected;
    status = session_collect(c->session, ticket, &collected, error);
    c->finish_once_more = collected.once_more;
    if (status == PS_OK && result)
        *result = (ps_result){
            .step = collected.step,
            .examples_total = collected.examples_total,
            .job_finished = collected.job_finished,
            .nonfinite = c->requests[ticket].nonfinite,
        };
    return status;
}

ps_status client_drop_requests(ps_client *c, uint32_t timeout_ms, ps_error *error)
{
    c->is_coming = false;
    for (ps_ticket ticket = 0; ticket < SESSION_OPERATIONS_MAX; ticket++) {
        if (!c->requests[ticket].outstanding)
            continue;
        const client_awaited what = {.ticket = ticket};
        ps_status status = client_move_until(c, is_over, &what, timeout_ms, error);
        if (status != PS_OK)
            return status;
        session_result unused;
        c->requests[ticket].outstanding = false;
        session_collect(c->session, ticket, &unused, NULL);
    }
    session_resume(c->session);
    return PS_OK;
}

static bool has_joined_or_gone_back(ps_client *c, const client_awaited *unused)
{
    (void)unused;
    uint64_t step;
    return session_rolled_back(c->session) || session_joined(c->session, &step);
}

/* LEAVE or ENTER. PS_OK: it has had no effect; PS_EROLLBACK: there is another list. */
static ps_status ask_for_change(ps_client *c, wire_type type, uint32_t timeout_ms, ps_error *error)
{
    const session_request request = {.type = type};
    ps_ticket ticket;
    ps_status status = submit(c, &request, &ticket, error);
    if (status == PS_OK)
        status = ps_wait(c, ticket, timeout_ms, NULL, error);
    if (status == PS_OK)
        status = client_move_until(c, has_joined_or_gone_back, NULL, timeout_ms, error);
    return status == PS_OK && session_rolled_back(c->session) ? PS_EROLLBACK : status;
}

/* The request is made until the list says what is wanted: an answer may be lost with what it answered. */
static ps_status change_members(ps_client *c, wire_type type, uint32_t timeout_ms, ps_error *error)
{
    const bool enters = type == WIRE_ENTER;
    ps_status status = check_joined(c, error);
    while (status == PS_OK && members_include(ps_members(c), c->index, MEMBERS_NEVER) != enters) {
        status = ask_for_change(c, type, timeout_ms, error);
        if (status == PS_EROLLBACK)
            status = ps_join(c, timeout_ms, error);
    }
    return status;
}

ps_status ps_leave(ps_client *c, uint32_t timeout_ms, ps_error *error)
{
    return change_members(c, WIRE_LEAVE, timeout_ms, error);
}

ps_status ps_enter(ps_client *c, uint32_t timeout_ms, ps_error *error)
{
    return change_members(c, WIRE_ENTER, timeout_ms, error);
}

/* Waits as long as a ps says anything at all. */
static ps_status say_finished(ps_client *c, bool once_more, uint32_t timeout_ms, ps_error *error)
{
    session_request request = {.type = WIRE_FINISH, .after_finish = once_more};
    ps_ticket ticket;
    if (c->witness.tell) {
        c->witness.tell(c->witness.context, &c->last);
        request.figures = &c->last;
    }
    ps_status status = submit(c, &request, &ticket, error);
    if (status != PS_OK)
        return status;
    uint64_t heard;
    do {
        heard = session_count(c->session)->received;
        status = ps_wait(c, ticket, timeout_ms, NULL, error);
    } while (status == PS_ETIMEDOUT && session_count(c->session)->received > heard);
    return status;
}

/* Where checkpoints are kept, twice: a ps may be lost after it has answered, and before others have, and come
 * back at an earlier step. Once all have answered, none can. */
ps_status ps_finish(ps_client *c, uint32_t timeout_ms, ps_error *error)
{
    c->finish_once_more = false;
    ps_status status = say_finished(c, false, timeout_ms, error);
    return status == PS_OK && c->finish_once_more ? say_finished(c, true, timeout_ms, error) : status;
}
