/* session.c - see session.h.
 *
 * An operation is cut into parts, one message each. A part is sent when its ps has said WELCOME, asked
 * about (QUERY) while it is unanswered, and sent again when the ps says that it is not there (RESEND).
 * Request numbers of an operation's parts are consecutive, so an answer finds its part by subtraction. */
#include "worker/session.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "worker/lease.h"

typedef enum { PART_TO_SEND, PART_SENT, PART_TO_QUERY, PART_DONE } part_state;

typedef struct {
    uint32_t server;
    uint32_t first, count; /* range of the server's slices */
    part_state state;
    uint64_t since_ms; /* first sent; 0: not yet */
    uint64_t query_at_ms;
    uint32_t query_after_ms;
} part;

typedef struct {
    bool used;
    session_request request;
    const float **gradients; /* (tensors) copies of the caller's arrays of pointers, or NULL */
    float **weights;
    uint64_t first_request;
    part *parts;
    uint32_t part_count, parts_done;
    session_result result;
    ps_error failure;
    lease lease;
} operation;

typedef struct {
    bool welcomed, hello_to_send;
    uint64_t incarnation;
    uint64_t hello_at_ms; /* when HELLO is due again; 0: at once */
    uint32_t hello_after_ms;
    uint64_t step;
    bool reads_ours, read_by_us;       /* it can map our memory, we its */
    char waits_for[WIRE_TEXT_MAX + 1]; /* what it said to the last QUERY, if it was PENDING */
} peer;

struct session {
    session_config config;
    uint64_t fingerprint;
    ps_error failure;
    uint64_t next_request;
    uint64_t said_ms; /* 0 until the first tick */
    uint32_t unwelcomed;
    peer *peers; /* (servers) */
    operation operations[SESSION_OPERATIONS_MAX];
};

ps_status session_create(const session_config *config, session **out)
{
    session *s = calloc(1, sizeof *s);
    *out = s;
    if (!s)
        return PS_ENOMEM;
    s->config = *config;
    if (s->config.slices_per_message == 0)
        s->config.slices_per_message = WIRE_SLICES_MAX;
    s->next_request = 1;
    s->unwelcomed = config->job->servers;
    s->peers = calloc(config->job->servers, sizeof *s->peers);
    if (!s->peers || wire_job_fingerprint(config->job, &s->fingerprint) != PS_OK) {
        session_destroy(out);
        return PS_ENOMEM;
    }
    for (uint32_t i = 0; i < config->job->servers; i++)
        s->peers[i].hello_after_ms = config->query_first_ms;
    return PS_OK;
}

static void operation_fini(operation *op)
{
    lease_fini(&op->lease);
    free(op->gradients);
    free(op->weights);
    free(op->parts);
    memset(op, 0, sizeof *op);
}

void session_destroy(session **handle)
{
    session *s = *handle;
    *handle = NULL;
    if (!s)
        return;
    for (int i = 0; i < SESSION_OPERATIONS_MAX; i++)
        if (s->operations[i].used)
            operation_fini(&s->operations[i]);
    free(s->peers);
    free(s);
}

/* ---- operations ---- */

static uint32_t parts_of_server(const session *s, wire_type type, uint32_t server)
{
    if (type == WIRE_FINISH)
        return 1;
    uint32_t slices = partition_server_count(s->config.partition, server);
    return (slices + s->config.slices_per_message - 1) / s->config.slices_per_message;
}

static ps_status cut_into_parts(session *s, operation *op)
{
    uint32_t servers = s->config.job->servers, most = s->config.slices_per_message;
    for (uint32_t server = 0; server < servers; server++)
        op->part_count += parts_of_server(s, op->request.type, server);
    op->parts = calloc(op->part_count, sizeof *op->parts);
    if (!op->parts)
        return PS_ENOMEM;
    part *p = op->parts;
    for (uint32_t server = 0; server < servers; server++) {
        uint32_t slices = partition_server_count(s->config.partition, server);
        for (uint32_t i = 0; i < parts_of_server(s, op->request.type, server); i++, p++) {
            p->server = server;
            p->query_after_ms = s->config.query_first_ms;
            if (op->request.type == WIRE_FINISH)
                continue;
            p->first = i * most;
            p->count = slices - p->first < most ? slices - p->first : most;
        }
    }
    return PS_OK;
}

static ps_status copy_pointers(const session *s, const session_request *request, operation *op)
{
    uint32_t tensors = s->config.job->tensors.count;
    if (request->gradients) {
        op->gradients = calloc(tensors, sizeof *op->gradients);
        if (!op->gradients)
            return PS_ENOMEM;
        memcpy(op->gradients, request->gradients, tensors * sizeof *op->gradients);
    }
    if (request->weights) {
        op->weights = calloc(tensors, sizeof *op->weights);
        if (!op->weights)
            return PS_ENOMEM;
        memcpy(op->weights, request->weights, tensors * sizeof *op->weights);
    }
    return PS_OK;
}

ps_status session_submit(session *s, const session_request *request, session_ticket *ticket)
{
    session_ticket slot = 0;
    while (slot < SESSION_OPERATIONS_MAX && s->operations[slot].used)
        slot++;
    if (slot == SESSION_OPERATIONS_MAX)
        return PS_ELIMIT;
    operation *op = &s->operations[slot];
    lease_init(&op->lease);
    op->request = *request;
    op->result.examples_total = UINT64_MAX;
    op->result.job_finished = true;
    if (copy_pointers(s, request, op) != PS_OK || cut_into_parts(s, op) != PS_OK) {
        operation_fini(op);
        return PS_ENOMEM;
    }
    op->used = true;
    op->first_request = s->next_request;
    s->next_request += op->part_count;
    *ticket = slot;
    return PS_OK;
}

bool session_joined(const session *s, uint64_t *step)
{
    if (s->unwelcomed)
        return false;
    *step = 0;
    for (uint32_t i = 0; i < s->config.job->servers; i++)
        if (s->peers[i].step > *step)
            *step = s->peers[i].step;
    return true;
}

bool session_welcomed(const session *s, uint32_t server)
{
    return s->peers[server].welcomed;
}

bool session_answered(const session *s, session_ticket ticket)
{
    const operation *op = &s->operations[ticket];
    return op->parts_done == op->part_count;
}

bool session_finished(const session *s, session_ticket ticket)
{
    lease *lent = (lease *)(uintptr_t)&s->operations[ticket].lease; /* its lock is not part of our state */
    return session_answered(s, ticket) && lease_is_idle(lent);
}

void session_await_release(session *s, session_ticket ticket, uint32_t timeout_ms)
{
    lease_wait(&s->operations[ticket].lease, timeout_ms);
}

ps_status session_collect(session *s, session_ticket ticket, session_result *result, ps_error *error)
{
    operation *op = &s->operations[ticket];
    assert(op->used && session_finished(s, ticket));
    ps_status status = op->failure.status;
    if (status != PS_OK && error)
        *error = op->failure;
    *result = op->result;
    operation_fini(op);
    return status;
}

/* ---- sending ---- */

/* The lowest number of a request without an answer. */
static uint64_t lowest_unanswered(const session *s)
{
    uint64_t lowest = s->next_request;
    for (int i = 0; i < SESSION_OPERATIONS_MAX; i++) {
        const operation *op = &s->operations[i];
        for (uint32_t k = 0; op->used && k < op->part_count && op->first_request + k < lowest; k++)
            if (op->parts[k].state != PART_DONE)
                lowest = op->first_request + k;
    }
    return lowest;
}

static wire_message *stamp(const session *s, wire_message *m, uint64_t request)
{
    if (!m)
        return NULL;
    m->job = s->fingerprint;
    m->role = s->config.role;
    m->index = s->config.index;
    m->incarnation = s->config.incarnation;
    m->request = request;
    m->settled = lowest_unanswered(s);
    return m;
}

static wire_message *make_hello(const session *s, uint32_t server)
{
    wire_message *m = stamp(s, wire_create(WIRE_HELLO, 0), 0);
    if (!m)
        return NULL;
    m->job = 0;
    m->receiver = server;
    m->hello = calloc(1, sizeof *m->hello);
    if (!m->hello || job_copy(s->config.job, m->hello) != PS_OK) {
        free(m->hello);
        m->hello = NULL;
        wire_destroy(&m);
    }
    return m;
}

/* The message of a part. Gradients are lent, not copied. */
static wire_message *make_part(session *s, operation *op, const part *p, uint64_t request_number)
{
    const session_request *request = &op->request;
    wire_message *m = stamp(s, wire_create(request->type, p->count), request_number);
    if (!m)
        return NULL;
    bool push = request->type == WIRE_PUSH || request->type == WIRE_PUSH_PULL;
    m->step = request->step;
    m->after_finish = request->after_finish;
    m->reads_memory = s->peers[p->server].read_by_us;
    /* A PUSH in synchronous mode is acknowledged before the shard has read it. */
    bool read_when_answered = request->type != WIRE_PUSH || s->config.job->mode != CONSISTENCY_SYNC;
    m->by_reference = s->peers[p->server].reads_ours && read_when_answered;
    m->nonfinite = request->nonfinite;
    m->examples = push ? request->examples : 0;
    m->clip_factor = push ? request->clip_factor : 0.0f;
    m->has_payload = push && request->examples > 0;

    const partition *map = s->config.partition;
    const uint32_t *numbers = map->server_slices + map->server_first[p->server] + p->first;
    for (uint32_t i = 0; i < p->count; i++) {
        m->slices[i] = numbers[i];
        if (!m->has_payload)
            continue;
        const slice *cut = &map->slices[numbers[i]];
        m->payloads[i] =
            lease_lend(&op->lease, op->gradients[cut->tensor] + cut->offset, cut->count * sizeof(float));
        if (!m->payloads[i]) {
            wire_destroy(&m);
            return NULL;
        }
    }
    return m;
}

static void schedule_query(const session *s, part *p, uint64_t now_ms)
{
    p->query_at_ms = now_ms + p->query_after_ms;
    uint32_t doubled = p->query_after_ms * 2;
    p->query_after_ms = doubled < s->config.query_max_ms ? doubled : s->config.query_max_ms;
}

static wire_message *next_of_part(session *s, operation *op, part *p, uint64_t now_ms)
{
    uint64_t number = op->first_request + (uint64_t)(p - op->parts);
    wire_message *m = NULL;
    if (p->state == PART_TO_SEND) {
        m = make_part(s, op, p, number);
        if (p->since_ms == 0)
            p->since_ms = now_ms;
    } else if (p->state == PART_TO_QUERY) {
        m = stamp(s, wire_create(WIRE_QUERY, 0), number);
        s->peers[p->server].waits_for[0] = '\0';
    }
    if (m) { /* else, out of memory, it is tried again */
        p->state = PART_SENT;
        schedule_query(s, p, now_ms);
    }
    return m;
}

static bool wants_sending(const operation *op, const part *p)
{
    return op->used && (p->state == PART_TO_SEND || p->state == PART_TO_QUERY);
}

/* Oldest operation first: a step's messages reach a ps in the order of the steps. */
static operation *next_operation(session *s, uint32_t server, part **next)
{
    operation *oldest = NULL;
    for (int i = 0; i < SESSION_OPERATIONS_MAX; i++) {
        operation *op = &s->operations[i];
        if (!op->used || op->parts_done == op->part_count ||
            (oldest && oldest->first_request < op->first_request))
            continue;
        for (uint32_t k = 0; k < op->part_count; k++) {
            if (op->parts[k].server == server && wants_sending(op, &op->parts[k])) {
                oldest = op;
                *next = &op->parts[k];
                break;
            }
        }
    }
    return oldest;
}

wire_message *session_next(session *s, uint32_t server, uint64_t now_ms)
{
    peer *to = &s->peers[server];
    if (!to->welcomed) {
        if (now_ms < to->hello_at_ms || s->failure.status != PS_OK)
            return NULL;
        to->hello_at_ms = now_ms + to->hello_after_ms;
        return make_hello(s, server);
    }
    part *p = NULL;
    operation *op = next_operation(s, server, &p);
    return op ? next_of_part(s, op, p, now_ms) : NULL;
}

/* ---- receiving ---- */

static part *find_part(session *s, uint32_t server, uint64_t request, operation **found)
{
    for (int i = 0; i < SESSION_OPERATIONS_MAX; i++) {
        operation *op = &s->operations[i];
        if (!op->used || request < op->first_request || request >= op->first_request + op->part_count)
            continue;
        part *p = &op->parts[request - op->first_request];
        *found = op;
        return p->server == server && p->state != PART_DONE ? p : NULL;
    }
    return NULL;
}

static void finish_part(operation *op, part *p, const wire_message *answer)
{
    p->state = PART_DONE;
    op->parts_done++;
    if (answer->step > op->result.step)
        op->result.step = answer->step;
    if (answer->examples_total < op->result.examples_total)
        op->result.examples_total = answer->examples_total;
    op->result.job_finished &= answer->job_finished;
}

/* Are these the weights that the part asked for? */
static bool weights_fit(const session *s, const part *p, const wire_message *answer)
{
    const partition *map = s->config.partition;
    const uint32_t *numbers = map->server_slices + map->server_first[p->server] + p->first;
    if (answer->slice_count != p->count || !answer->has_payload)
        return false;
    for (uint32_t i = 0; i < p->count; i++)
        if (answer->slices[i] != numbers[i] || !answer->payloads[i] ||
            buffer_size(answer->payloads[i]) != map->slices[numbers[i]].count * sizeof(float))
            return false;
    return true;
}

static void take_weights(const session *s, operation *op, const wire_message *answer)
{
    for (uint32_t i = 0; i < answer->slice_count; i++) {
        const slice *cut = &s->config.partition->slices[answer->slices[i]];
        memcpy(op->weights[cut->tensor] + cut->offset, buffer_bytes(answer->payloads[i]),
               cut->count * sizeof(float));
    }
}

static void fail_session(session *s, uint32_t server, ps_status status, const char *why)
{
    if (s->failure.status == PS_OK)
        ps_fail(&s->failure, status == PS_OK ? PS_EPEER : status, "ps/%u: %s", server, why);
}

static void handle_welcome(session *s, uint32_t server, const wire_message *welcome)
{
    peer *from = &s->peers[server];
    if (from->welcomed) {
        if (welcome->incarnation != from->incarnation)
            fail_session(s, server, PS_EPEER, "it has restarted and lost its state");
        return;
    }
    if (welcome->job != s->fingerprint) {
        fail_session(s, server, PS_EMISMATCH, "it serves another job");
        return;
    }
    from->welcomed = true;
    from->incarnation = welcome->incarnation;
    from->step = welcome->step;
    from->reads_ours = welcome->reads_memory;
    from->read_by_us = welcome->readable;
    s->unwelcomed--;
    log_info("joined ps/%u at step %llu%s", server, (unsigned long long)welcome->step,
             from->reads_ours && from->read_by_us ? ", sharing memory" : "");
}

/* A refusal after which no ps can do anything for this process. */
static bool ends_job(ps_status status)
{
    return status == PS_EPEER || status == PS_EMISMATCH || status == PS_ENONFINITE || status == PS_ENOMEM;
}

static void handle_refusal(session *s, uint32_t server, operation *op, part *p, const wire_message *refusal)
{
    ps_status status = refusal->status < 0 ? refusal->status : PS_EPROTOCOL;
    const char *why = refusal->text ? refusal->text : "refused without a reason";
    ps_fail(&op->failure, status, "ps/%u: %s", server, why);
    finish_part(op, p, refusal);
    if (ends_job(status)) /* the other ps may wait for a step that never comes */
        fail_session(s, server, status, why);
}

static void handle_answer(session *s, uint32_t server, operation *op, part *p, const wire_message *answer)
{
    wire_type type = op->request.type;
    bool wants_weights = type == WIRE_PUSH_PULL || type == WIRE_PULL;
    switch (answer->type) {
    case WIRE_WEIGHTS:
        if (answer->segment_count > 0 && !answer->readable) { /* once more, through the socket */
            s->peers[server].read_by_us = false;
            p->state = PART_TO_SEND;
            return;
        }
        if (!wants_weights || !weights_fit(s, p, answer)) {
            log_warning("ps/%u answered with other slices than were asked for; ignored", server);
            return;
        }
        take_weights(s, op, answer);
        finish_part(op, p, answer);
        break;
    case WIRE_ACK:
        if (!wants_weights)
            finish_part(op, p, answer);
        break;
    case WIRE_RESEND:
        if (p->state != PART_TO_SEND)
            log_debug("ps/%u has lost request %llu; sending it again", server,
                      (unsigned long long)answer->request);
        p->state = PART_TO_SEND;
        s->peers[server].reads_ours &= answer->reads_memory;
        break;
    case WIRE_PENDING:
        snprintf(s->peers[server].waits_for, sizeof s->peers[server].waits_for, "%s",
                 answer->text ? answer->text : "");
        break;
    case WIRE_ERROR:
        handle_refusal(s, server, op, p, answer);
        break;
    default:
        break;
    }
}

void session_receive(session *s, uint32_t server, wire_message **message)
{
    const wire_message *m = *message;
    operation *op = NULL;
    if (m->role != WIRE_PS || m->index != server) {
        fail_session(s, server, PS_EMISMATCH, "at its address answers another process");
    } else if (m->type == WIRE_WELCOME) {
        handle_welcome(s, server, m);
    } else if (m->type == WIRE_ERROR && m->request == 0) {
        fail_session(s, server, m->status, m->text ? m->text : "refused HELLO without a reason");
    } else {
        part *p = find_part(s, server, m->request, &op);
        if (p)
            handle_answer(s, server, op, p, m);
    }
    wire_destroy(message);
}

/* ---- time ---- */

static void say_what_is_missing(session *s, uint64_t now_ms)
{
    for (int i = 0; i < SESSION_OPERATIONS_MAX; i++) {
        const operation *op = &s->operations[i];
        for (uint32_t k = 0; op->used && k < op->part_count; k++) {
            const part *p = &op->parts[k];
            if (p->state == PART_DONE || p->since_ms == 0 || now_ms - p->since_ms < SESSION_STALL_MS)
                continue;
            const char *reason = s->peers[p->server].waits_for;
            log_warning("%s of step %llu: no answer from ps/%u for %llu s; %s",
                        wire_type_name(op->request.type), (unsigned long long)op->request.step, p->server,
                        (unsigned long long)(now_ms - p->since_ms) / 1000,
                        reason[0] ? reason : "it does not respond");
            break; /* one line per operation */
        }
    }
}

void session_tick(session *s, uint64_t now_ms)
{
    if (s->said_ms == 0)
        s->said_ms = now_ms;
    for (int i = 0; i < SESSION_OPERATIONS_MAX; i++) {
        operation *op = &s->operations[i];
        for (uint32_t k = 0; op->used && k < op->part_count; k++) {
            part *p = &op->parts[k];
            if (p->state == PART_SENT && now_ms >= p->query_at_ms)
                p->state = PART_TO_QUERY;
        }
    }
    if (now_ms - s->said_ms >= SESSION_STALL_MS) {
        s->said_ms = now_ms;
        say_what_is_missing(s, now_ms);
    }
}

ps_status session_failure(const session *s, ps_error *error)
{
    if (s->failure.status != PS_OK && error)
        *error = s->failure;
    return s->failure.status;
}
