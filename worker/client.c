/* client.c - see client.h. Drives a session (what is said) over an uplink (how it gets there). */
#include "worker/client.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/gradient.h"
#include "common/log.h"
#include "common/partition.h"
#include "common/pool.h"
#include "worker/session.h"
#include "worker/uplink.h"

enum {
    WAIT_SLICE_MS = 100, /* how long a wait sleeps before it looks at the stop flag and the session's clock */
    DRAIN_MS = 2000,
    RELEASE_MS = 100,
    SAY_MS = 5000,     /* how often ps_join says whom it waits for */
    RESOLVE_MS = 1000, /* ... and how long it asks then which names resolve */
};

/* Memory given out by ps_allocate. */
typedef struct allocation {
    struct allocation *next;
    buffer *memory;
} allocation;

struct ps_client {
    job_config job;
    const volatile sig_atomic_t *stop;
    uint32_t query_first_ms, query_max_ms;
    wire_role role;
    uint32_t index;
    bool joined;
    uint64_t joined_step;
    uint64_t joining_ms, said_ms; /* since when ps_join waits, and when it last said for whom */
    partition partition;
    uplink *uplink;
    session *session;      /* from ps_join on */
    wire_message **unsent; /* per ps: a message that its socket could not take yet, or NULL */
    struct {
        bool outstanding, nonfinite;
    } requests[SESSION_OPERATIONS_MAX]; /* by ticket */
    pool *memory;
    allocation *allocations;
};

void ps_client_options_init(ps_client_options *options)
{
    memset(options, 0, sizeof *options);
    job_init(&options->job);
    options->job.servers = 0; /* until the cluster spec or the caller tells */
    options->job.workers = 0;
    options->query_first_ms = 1000;
    options->query_max_ms = 30000;
    options->share_memory = true;
}

void ps_client_options_fini(ps_client_options *options)
{
    job_fini(&options->job);
}

/* ---- connecting ---- */

/* The cluster's number where it is known, else what the job states. */
static ps_status settle_number(const char *what, uint32_t in_cluster, uint32_t *in_job, ps_error *error)
{
    if (in_cluster)
        *in_job = in_cluster;
    if (*in_job == 0)
        return ps_fail(error, PS_ECONFIG,
                       "the cluster spec does not tell the number of %s; state it in the options", what);
    return PS_OK;
}

static ps_status settle_numbers(const cluster_spec *cluster, job_config *job, ps_error *error)
{
    if (!cluster->present) {
        job->servers = 1;
        job->workers = 1;
        job->evaluators = 0;
        return PS_OK;
    }
    const cluster_job *evaluators = &cluster->jobs[ROLE_EVALUATOR];
    if (evaluators->count)
        job->evaluators = evaluators->count;
    uint32_t servers = cluster->jobs[ROLE_PS].count;
    ps_status status = settle_number("ps", servers, &job->servers, error);
    if (status == PS_OK)
        status = settle_number("workers", cluster_workers(cluster), &job->workers, error);
    if (status == PS_OK && cluster->role != ROLE_EVALUATOR && cluster->rank >= job->workers)
        return ps_fail(error, PS_ECONFIG, "this is the worker of rank %u, but the job has %u workers",
                       cluster->rank, job->workers);
    if (status == PS_OK && cluster->role == ROLE_EVALUATOR && cluster->index >= job->evaluators)
        job->evaluators = cluster->index + 1;
    return status;
}

ps_status ps_connect(const cluster_spec *cluster, const ps_client_options *options, ps_client **out,
                     ps_error *error)
{
    *out = NULL;
    ps_client *c = calloc(1, sizeof *c);
    if (!c)
        return ps_fail(error, PS_ENOMEM, "out of memory for a client");
    c->stop = options->stop;
    c->query_first_ms = options->query_first_ms;
    c->query_max_ms = options->query_max_ms;
    bool evaluator = cluster->present && cluster->role == ROLE_EVALUATOR;
    c->role = evaluator ? WIRE_EVALUATOR : WIRE_WORKER;
    c->index = evaluator ? cluster->index : cluster->rank;

    ps_status status = pool_create(options->share_memory && cluster->present, &c->memory);
    if (status != PS_OK)
        ps_fail(error, status, "out of memory for a client");
    if (status == PS_OK)
        status = job_copy(&options->job, &c->job);
    if (status == PS_OK)
        status = settle_numbers(cluster, &c->job, error);
    if (status == PS_OK) {
        c->unsent = calloc(c->job.servers, sizeof(wire_message *));
        if (!c->unsent)
            status = ps_fail(error, PS_ENOMEM, "out of memory for %u ps", c->job.servers);
    }
    if (status == PS_OK)
        status = cluster->present
                     ? uplink_zmq_create(cluster, c->job.servers, options->share_memory ? c->memory : NULL,
                                         &c->uplink, error)
                     : uplink_embedded_create(&c->uplink, error);
    if (status != PS_OK) {
        ps_close(&c);
        return status;
    }
    *out = c;
    return PS_OK;
}

void *ps_allocate(ps_client *c, size_t bytes)
{
    allocation *a = malloc(sizeof *a);
    buffer *memory = a ? pool_take(c->memory, bytes) : NULL;
    if (!memory) {
        free(a);
        return NULL;
    }
    memset(buffer_data(memory), 0, bytes);
    *a = (allocation){.next = c->allocations, .memory = memory};
    c->allocations = a;
    return buffer_data(memory);
}

ps_status ps_declare(ps_client *c, const tensor *t, ps_error *error)
{
    if (c->session)
        return ps_fail(error, PS_ESTATE, "tensor '%s' is declared after ps_join", t->name);
    return tensor_table_add(&c->job.tensors, t, error);
}

/* ---- moving messages ---- */

static void send_due(ps_client *c, uint64_t now)
{
    for (uint32_t server = 0; server < c->job.servers; server++) {
        for (;;) {
            wire_message *m = c->unsent[server];
            c->unsent[server] = NULL;
            if (!m)
                m = session_next(c->session, server, now);
            if (!m)
                break;
            if (c->uplink->ops->send(c->uplink, server, &m) == PS_ESTATE) {
                c->unsent[server] = m;
                break;
            }
        }
    }
}

static void receive_waiting(ps_client *c)
{
    uint32_t server;
    wire_message *m;
    ps_error error;
    transport_event event;
    while ((event = c->uplink->ops->receive(c->uplink, &server, &m, &error)) != TRANSPORT_NOTHING) {
        if (event == TRANSPORT_MESSAGE)
            session_receive(c->session, server, &m);
        else
            log_warning("ps/%u sent what is no message: %s", server, error.text);
    }
}

void ps_progress(ps_client *c)
{
    if (!c->session)
        return;
    uint64_t now = clock_monotonic_ms();
    receive_waiting(c);
    session_tick(c->session, now);
    send_due(c, now);
}

static bool stopped(const ps_client *c)
{
    return c->stop && *c->stop;
}

/* Moves messages until `done` says so. PS_ETIMEDOUT, PS_EINTERRUPTED, or the session's failure. */
static ps_status move_until(ps_client *c, bool (*done)(ps_client *, ps_ticket), ps_ticket ticket,
                            uint32_t timeout_ms, ps_error *error)
{
    uint64_t deadline = clock_monotonic_ms() + timeout_ms;
    for (;;) {
        ps_progress(c);
        if (done(c, ticket))
            return PS_OK;
        ps_status failure = session_failure(c->session, error);
        if (failure != PS_OK)
            return failure;
        if (stopped(c))
            return ps_fail(error, PS_EINTERRUPTED, "interrupted by a signal");
        uint64_t now = clock_monotonic_ms();
        if (timeout_ms != PS_FOREVER && now >= deadline)
            return ps_fail(error, PS_ETIMEDOUT, "no answer within %u ms", timeout_ms);
        uint64_t left = timeout_ms == PS_FOREVER ? WAIT_SLICE_MS : deadline - now;
        c->uplink->ops->wait(c->uplink, left < WAIT_SLICE_MS ? (int)left : WAIT_SLICE_MS);
    }
}

/* ---- joining ---- */

static void say_who_is_missing(ps_client *c, uint64_t now)
{
    for (uint32_t server = 0; server < c->job.servers; server++) {
        if (session_welcomed(c->session, server))
            continue;
        char where[UPLINK_TEXT_MAX];
        bool resolve = clock_monotonic_ms() - now < RESOLVE_MS;
        c->uplink->ops->explain(c->uplink, server, resolve, where, sizeof where);
        log_warning("waiting for ps/%u at %s (%llu s)", server, where,
                    (unsigned long long)(now - c->joining_ms) / 1000);
    }
}

static bool has_joined(ps_client *c, ps_ticket unused)
{
    (void)unused;
    if (session_joined(c->session, &c->joined_step))
        return true;
    uint64_t now = clock_monotonic_ms();
    if (now - c->said_ms >= SAY_MS) {
        c->said_ms = now;
        say_who_is_missing(c, now);
    }
    return false;
}

static ps_status fail_to_join(ps_client *c, uint32_t timeout_ms, ps_error *error)
{
    uint32_t server = 0;
    while (session_welcomed(c->session, server))
        server++;
    char where[UPLINK_TEXT_MAX];
    c->uplink->ops->explain(c->uplink, server, true, where, sizeof where);
    return ps_fail(error, PS_ETIMEDOUT, "ps/%u at %s: no answer within %u ms", server, where, timeout_ms);
}

ps_status ps_join(ps_client *c, uint32_t timeout_ms, ps_error *error)
{
    if (c->joined)
        return ps_fail(error, PS_ESTATE, "ps_join was called before");
    if (!c->session) {
        ps_status status = job_check(&c->job, error);
        if (status == PS_OK)
            status = partition_init(&c->partition, &c->job, error);
        if (status != PS_OK)
            return status;
        session_config config = {
            .job = &c->job,
            .partition = &c->partition,
            .role = c->role,
            .index = c->index,
            .incarnation = clock_incarnation(),
            .query_first_ms = c->query_first_ms,
            .query_max_ms = c->query_max_ms,
        };
        status = session_create(&config, &c->session);
        if (status != PS_OK)
            return ps_fail(error, status, "out of memory for a session");
    }
    c->joining_ms = c->said_ms = clock_monotonic_ms();
    ps_status status = move_until(c, has_joined, 0, timeout_ms, error);
    if (status == PS_ETIMEDOUT)
        return fail_to_join(c, timeout_ms, error);
    c->joined = status == PS_OK;
    return status;
}

uint64_t ps_joined_step(const ps_client *c)
{
    return c->joined_step;
}

const job_config *ps_job(const ps_client *c)
{
    return &c->job;
}

/* ---- requests ---- */

static ps_status submit(ps_client *c, const session_request *request, ps_ticket *ticket, ps_error *error)
{
    if (!c->joined)
        return ps_fail(error, PS_ESTATE, "ps_join has not succeeded yet");
    ps_status status = session_submit(c->session, request, ticket);
    if (status != PS_OK)
        return ps_fail(error, status, "%s: %s", wire_type_name(request->type), ps_status_text(status));
    c->requests[*ticket].outstanding = true;
    c->requests[*ticket].nonfinite = request->nonfinite;
    ps_progress(c);
    return PS_OK;
}

/* Judges the gradient as a whole, so that all shards treat it alike wherever its slices live. */
static void judge_gradient(const ps_client *c, const ps_update *update, session_request *request)
{
    const tensor_table *table = &c->job.tensors;
    double clip_norm = c->job.optimizer.clip_norm;
    double squares = 0;
    for (uint32_t i = 0; i < table->count; i++) {
        uint64_t count = tensor_elements(&table->tensors[i]);
        if (!gradient_is_finite(update->gradients[i], count)) {
            request->nonfinite = true;
            return;
        }
        if (clip_norm > 0)
            squares += gradient_norm_squared(update->gradients[i], count);
    }
    if (clip_norm > 0 && squares > clip_norm * clip_norm)
        request->clip_factor = (float)(clip_norm / sqrt(squares));
}

static ps_status submit_push(ps_client *c, wire_type type, const ps_update *update, float *const *weights,
                             ps_ticket *ticket, ps_error *error)
{
    if (update->step == 0 || (update->examples > 0 && !update->gradients))
        return ps_fail(error, PS_EINVAL, "a push needs a step from 1 on, and gradients if it has examples");
    session_request request = {
        .type = type,
        .step = update->step,
        .examples = update->examples,
        .clip_factor = 1.0f,
        .gradients = update->examples > 0 ? update->gradients : NULL,
        .weights = weights,
    };
    if (update->examples > 0)
        judge_gradient(c, update, &request);
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

static bool is_over(ps_client *c, ps_ticket ticket)
{
    if (!session_answered(c->session, ticket))
        return false;
    if (!session_finished(c->session, ticket)) /* what it waits for makes no message */
        session_await_release(c->session, ticket, RELEASE_MS);
    return session_finished(c->session, ticket);
}

ps_status ps_wait(ps_client *c, ps_ticket ticket, uint32_t timeout_ms, ps_result *result, ps_error *error)
{
    if (!c->joined)
        return ps_fail(error, PS_ESTATE, "ps_join has not succeeded yet");
    if (ticket >= SESSION_OPERATIONS_MAX || !c->requests[ticket].outstanding)
        return ps_fail(error, PS_EINVAL, "ticket %u names no outstanding request", ticket);
    ps_status status = move_until(c, is_over, ticket, timeout_ms, error);
    if (status != PS_OK)
        return status;
    c->requests[ticket].outstanding = false;
    session_result collected;
    status = session_collect(c->session, ticket, &collected, error);
    if (status == PS_OK && result)
        *result = (ps_result){
            .step = collected.step,
            .examples_total = collected.examples_total,
            .job_finished = collected.job_finished,
            .nonfinite = c->requests[ticket].nonfinite,
        };
    return status;
}

ps_status ps_finish(ps_client *c, uint32_t timeout_ms, ps_error *error)
{
    session_request request = {.type = WIRE_FINISH};
    ps_ticket ticket;
    ps_status status = submit(c, &request, &ticket, error);
    if (status == PS_OK)
        status = ps_wait(c, ticket, timeout_ms, NULL, error);
    return status;
}

void ps_close(ps_client **client)
{
    ps_client *c = *client;
    *client = NULL;
    if (!c)
        return;
    for (uint32_t i = 0; c->unsent && i < c->job.servers; i++)
        wire_destroy(&c->unsent[i]);
    if (c->uplink) /* before the session: its I/O thread may still read lent gradients */
        c->uplink->ops->destroy(c->uplink, c->joined ? DRAIN_MS : 0);
    session_destroy(&c->session);
    partition_fini(&c->partition);
    job_fini(&c->job);
    while (c->allocations) {
        allocation *a = c->allocations;
        c->allocations = a->next;
        buffer_unref(&a->memory);
        free(a);
    }
    pool_destroy(&c->memory);
    free(c->unsent);
    free(c);
}
