/* session_operations.c - what the trainer starts, waits for and collects. See session_state.h.
 *
 * A request number holds a serial number and, in its low digits, the slot of its operation. So numbers rise
 * from one request to the next, and an answer finds its operation at once. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "worker/session_state.h"

void session_operation_init(operation *op, uint32_t slot)
{
    op->slot = slot;
    lease_init(&op->lease);
}

static void free_arrays(operation *op)
{
    free(op->gradients);
    free(op->weights);
    free(op->lanes);
    free(op->parts);
    free(op->missing);
    free(op->tensor_ready);
    free(op->slice_ready);
    free(op->order);
    op->gradients = NULL;
    op->weights = NULL;
    op->lanes = NULL;
    op->parts = NULL;
    op->missing = NULL;
    op->tensor_ready = NULL;
    op->slice_ready = NULL;
    op->order = NULL;
}

void session_operation_fini(operation *op)
{
    free_arrays(op);
    lease_fini(&op->lease);
}

/* ---- starting ---- */

static ps_status allocate_arrays(const session *s, operation *op)
{
    size_t tensors = s->config.job->tensors.count, slices = s->config.partition->count;
    op->gradients = calloc(tensors, sizeof *op->gradients);
    op->weights = calloc(tensors, sizeof *op->weights);
    op->missing = calloc(tensors, sizeof *op->missing);
    op->tensor_ready = calloc(tensors, sizeof *op->tensor_ready);
    op->slice_ready = calloc(slices, sizeof *op->slice_ready);
    op->order = calloc(slices, sizeof *op->order);
    op->lanes = calloc(s->config.job->servers, sizeof *op->lanes);
    op->parts = calloc(s->parts_max, sizeof *op->parts);
    if (op->gradients && op->weights && op->missing && op->tensor_ready && op->slice_ready && op->order &&
        op->lanes && op->parts)
        return PS_OK;
    free_arrays(op);
    return PS_ENOMEM;
}

/* Slices of a ps that an operation is about; what is about none goes to all ps, or to ps 0. */
static bool concerns(const session *s, const operation *op, uint32_t server, uint32_t *slices)
{
    *slices = 0;
    switch (op->request.type) {
    case WIRE_FINISH:
        return true;
    case WIRE_LEAVE:
    case WIRE_ENTER:
        return server == 0;
    default:
        *slices = partition_server_count(s->config.partition, server);
        return *slices > 0;
    }
}

static void open_lanes(session *s, operation *op)
{
    const bool whole = !op->request.by_tensor;
    op->open_lanes = 0;
    for (uint32_t server = 0; server < s->config.job->servers; server++) {
        uint32_t slices;
        const bool concerned = concerns(s, op, server, &slices);
        op->lanes[server] = (lane){
            .operation = op,
            .server = server,
            .uncut = slices,
            .ready = whole ? slices : 0,
            .next = whole ? 0 : slices,
            .linked = concerned,
        };
        if (!op->lanes[server].linked)
            continue;
        op->open_lanes++;
        TAILQ_INSERT_TAIL(&s->peers[server].lanes, &op->lanes[server], link);
    }
}

static void copy_request(const session *s, const session_request *request, operation *op)
{
    size_t tensors = s->config.job->tensors.count;
    op->request = *request;
    if (request->type == WIRE_FINISH)
        op->request.step = s->pushed;
    /* However little it asks for, a worker reads as one that has come so far. */
    bool reads_under_ssp = request->type == WIRE_PULL && s->config.role == WIRE_WORKER &&
                           s->config.job->mode == CONSISTENCY_SSP && !request->after_finish;
    if (reads_under_ssp && op->request.step < s->pushed)
        op->request.step = s->pushed;
    /* Until this worker pushes, nothing goes beyond the step at which it has joined, but for a step that some
     * ps have applied already and others have not. */
    bool first_pull = request->type == WIRE_PULL && request->step == 0 && !request->after_finish &&
                      s->config.role == WIRE_WORKER && !s->has_pushed;
    if (first_pull && s->config.job->mode == CONSISTENCY_SYNC && s->config.job->backup_workers == 0) {
        op->request.step = s->step;
        op->request.exact = true;
    }
    if (request->gradients)
        memcpy(op->gradients, request->gradients, tensors * sizeof *op->gradients);
    if (request->weights) {
        memcpy(op->weights, request->weights, tensors * sizeof *op->weights);
        memcpy(op->missing, s->slice_counts, tensors * sizeof *op->missing);
    }
    op->request.judged_first |= encoder_keeps_residuals(s->encoder);
    op->judged = !request->by_tensor;
    if (request->by_tensor) {
        memset(op->tensor_ready, 0, tensors * sizeof *op->tensor_ready);
        op->unready = (uint32_t)tensors;
    }
}

ps_status session_submit(session *s, const session_request *request, session_ticket *ticket)
{
    bool push = request->type == WIRE_PUSH_PULL || request->type == WIRE_PUSH;
    if (s->rolled_back)
        return PS_EROLLBACK;
    if (s->free_count == 0)
        return PS_ELIMIT;
    if (push && s->unjudged)
        return PS_ESTATE;
    operation *op = &s->operations[s->free_slots[s->free_count - 1]];
    if (!op->lanes && allocate_arrays(s, op) != PS_OK)
        return PS_ENOMEM;
    s->free_count--;
    if (push) {
        s->has_pushed = true;
        s->pushed = request->step;
    }
    op->used = true;
    op->part_count = op->parts_done = 0;
    op->failure.status = PS_OK;
    op->result = (session_result){.examples_total = UINT64_MAX, .job_finished = true};
    copy_request(s, request, op);
    open_lanes(s, op);
    if (!op->judged)
        s->unjudged = op;
    *ticket = op->slot;
    return PS_OK;
}

/* ---- gradients by tensor ---- */

static void make_tensor_ready(session *s, operation *op, uint32_t t)
{
    const partition *map = s->config.partition;
    op->tensor_ready[t] = true;
    op->unready--;
    for (uint32_t i = map->tensor_first[t]; i < map->tensor_first[t + 1]; i++) {
        const slice *cut = &map->slices[i];
        lane *l = &op->lanes[cut->server];
        op->slice_ready[i] = true;
        l->ready++;
        l->ready_bytes += cut->count * sizeof(float);
        if (cut->ordinal < l->next)
            l->next = cut->ordinal;
    }
}

ps_status session_ready(session *s, session_ticket ticket, uint32_t first, uint32_t count)
{
    operation *op = &s->operations[ticket];
    uint32_t tensors = s->config.job->tensors.count;
    if (op->failure.status == PS_EROLLBACK)
        return PS_EROLLBACK;
    if (op->judged || first > tensors || count > tensors - first)
        return PS_EINVAL;
    for (uint32_t t = first; t < first + count; t++)
        if (op->tensor_ready[t])
            return PS_EINVAL;
    for (uint32_t t = first; t < first + count; t++)
        make_tensor_ready(s, op, t);
    return PS_OK;
}

void session_judge(session *s, session_ticket ticket, bool nonfinite, float clip_factor)
{
    operation *op = &s->operations[ticket];
    if (op->failure.status == PS_EROLLBACK)
        return;
    assert(!op->judged && op->unready == 0);
    op->judged = true;
    op->request.nonfinite = nonfinite;
    op->request.clip_factor = clip_factor;
    s->unjudged = NULL;
}

/* ---- going back ---- */

static void abandon(session *s, operation *op, const ps_error *why)
{
    for (uint32_t server = 0; op->open_lanes > 0 && server < s->config.job->servers; server++) {
        lane *l = &op->lanes[server];
        if (!l->linked)
            continue;
        TAILQ_REMOVE(&s->peers[server].lanes, l, link);
        l->linked = false;
        op->open_lanes--;
    }
    op->failure = *why;
    op->judged = true;
}

void session_abandon_all(session *s, const ps_error *why)
{
    part *p;
    while ((p = TAILQ_FIRST(&s->open)))
        session_close_part(s, p);
    for (uint32_t i = 0; i < SESSION_OPERATIONS_MAX; i++)
        if (s->operations[i].used)
            abandon(s, &s->operations[i], why);
    s->unjudged = NULL;
}

/* ---- waiting and ending ---- */

bool session_has_weights(const session *s, session_ticket ticket, uint32_t first, uint32_t count)
{
    const operation *op = &s->operations[ticket];
    for (uint32_t t = first; t < first + count; t++)
        if (op->missing[t] > 0)
            return false;
    return true;
}

bool session_answered(const session *s, session_ticket ticket)
{
    const operation *op = &s->operations[ticket];
    return op->open_lanes == 0 && op->parts_done == op->part_count;
}

bool session_finished(const session *s, session_ticket ticket)
{
    return session_answered(s, ticket) && lease_is_idle(&s->operations[ticket].lease);
}

void session_await_release(session *s, session_ticket ticket, uint32_t timeout_ms)
{
    lease_wait(&s->operations[ticket].lease, timeout_ms);
}

ps_status session_refusal(const session *s, session_ticket ticket, ps_error *error)
{
    const operation *op = &s->operations[ticket];
    if (op->failure.status != PS_OK && error)
        *error = op->failure;
    return op->failure.status;
}

ps_status session_collect(session *s, session_ticket ticket, session_result *result, ps_error *error)
{
    operation *op = &s->operations[ticket];
    assert(op->used && session_finished(s, ticket));
    *result = op->result;
    encoder_end(s->encoder, ticket);
    op->used = false;
    op->part_count = 0; /* late answers find nothing */
    s->free_slots[s->free_count++] = ticket;
    return session_refusal(s, ticket, error);
}

const session_counters *session_count(const session *s)
{
    return &s->counters;
}

bool session_is_waiting(const session *s)
{
    return !TAILQ_EMPTY(&s->open);
}

part *session_find_part(session *s, uint64_t request)
{
    operation *op = &s->operations[request % SESSION_OPERATIONS_MAX];
    uint32_t first = 0, end = op->part_count;
    while (first < end) {
        uint32_t middle = first + (end - first) / 2;
        if (op->parts[middle].request < request)
            first = middle + 1;
        else
            end = middle;
    }
    if (first == op->part_count || op->parts[first].request != request)
        return NULL;
    return op->parts[first].state == PART_DONE ? NULL : &op->parts[first];
}
