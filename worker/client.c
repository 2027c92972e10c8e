/* client.c - see client.h. Drives a session (what is said) over an uplink (how it gets there); what the
 * sources share is in client_state.h. */
#include "worker/client.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "worker/client_state.h"

enum {
    DRAIN_MS = 2000,
    SMALL_BYTES = 64 << 10, /* a gradient of less may be held back */
    SAY_MS = 5000,          /* how often ps_join says whom it waits for */
    RESOLVE_MS = 1000,      /* ... and how long it asks then which names resolve */
};

void ps_client_options_init(ps_client_options *options)
{
    memset(options, 0, sizeof *options);
    job_init(&options->job);
    options->job.servers = 0; /* until the cluster spec or the caller tells */
    options->job.workers = 0;
    options->query_first_ms = 250;
    options->query_max_ms = 5000;
    options->message_bytes_min = 256 << 10;
    options->message_bytes_max = WIRE_GATHERED_MAX;
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

/* Who stands in for a lost worker does so with its own key. */
static ps_status read_keys(const ps_client *c, const cluster_spec *cluster, const char *folder,
                           curve_keys *keys, ps_error *error)
{
    *keys = (curve_keys){.wanted = false};
    if (!folder || !cluster->present)
        return PS_OK;
    return curve_keys_read_client(folder, c->role, cluster->is_chief ? 0 : c->index, keys, error);
}

static ps_status connect_to_all(ps_client *c, const cluster_spec *cluster, const curve_keys *keys, bool share,
                                ps_error *error)
{
    ps_status status =
        uplink_zmq_create(cluster, c->job.servers, keys, share ? c->memory : NULL, &c->uplink, error);
    return status == PS_OK ? pulse_create(cluster, c->job.servers, keys, &c->pulse, error) : status;
}

ps_status ps_connect(const cluster_spec *cluster, const ps_client_options *options, ps_client **out,
                     ps_error *error)
{
    *out = NULL;
    ps_client *c = calloc(1, sizeof *c);
    if (!c)
        return ps_fail(error, PS_ENOMEM, "out of memory for a client");
    c->stop = options->stop;
    c->worker_lost = options->worker_lost;
    c->context = options->context;
    c->incarnation = options->incarnation;
    c->query_first_ms = options->query_first_ms;
    c->query_max_ms = options->query_max_ms;
    c->deadline_ms = options->deadline_ms;
    c->message_bytes_min = options->message_bytes_min;
    /* A ps cuts off who has more on its way than a few messages of that size. */
    const bool fits = options->message_bytes_max > 0 && options->message_bytes_max < WIRE_GATHERED_MAX;
    c->message_bytes_max = fits ? options->message_bytes_max : WIRE_GATHERED_MAX;
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
        c->unsent = calloc(c->job.servers, sizeof *c->unsent);
        if (!c->unsent)
            status = ps_fail(error, PS_ENOMEM, "out of memory for %u ps", c->job.servers);
    }
    curve_keys keys;
    if (status == PS_OK)
        status = read_keys(c, cluster, options->keys_folder, &keys, error);
    if (status == PS_OK) {
        status = cluster->present ? connect_to_all(c, cluster, &keys, options->share_memory, error)
                                  : uplink_embedded_create(&c->uplink, error);
        curve_keys_wipe(&keys);
    }
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

/* Will a ps that has not answered never do so? Then `refusal` says which, and why. */
static bool is_refused(ps_client *c)
{
    char where[UPLINK_TEXT_MAX], why[UPLINK_TEXT_MAX];
    for (uint32_t server = 0; server < c->job.servers; server++) {
        if (session_welcomed(c->session, server))
            continue;
        const ps_status status = c->uplink->ops->refuses(c->uplink, server, why, sizeof why);
        if (status == PS_OK)
            continue;
        c->uplink->ops->explain(c->uplink, server, false, where, sizeof where);
        ps_fail(&c->refusal, status, "ps/%u at %s: %s", server, where, why);
        return true;
    }
    return false;
}

static bool has_joined(ps_client *c, const client_awaited *unused)
{
    (void)unused;
    if (session_joined(c->session, &c->joined_step) || is_refused(c))
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

/* From here on the model is as it is. */
static ps_status start_session(ps_client *c, ps_error *error)
{
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
        .incarnation = c->incarnation ? c->incarnation : clock_incarnation(),
        .query_first_ms = c->query_first_ms,
        .query_max_ms = c->query_max_ms,
        .deadline_ms = c->deadline_ms,
        .message_bytes_min = c->message_bytes_min,
        .message_bytes_max = c->message_bytes_max,
        .memory = c->memory,
    };
    status = judge_init(&c->judge, &c->job.tensors, c->job.optimizer.clip_norm);
    c->small_gradient = tensor_table_elements(&c->job.tensors) * sizeof(float) < SMALL_BYTES;
    c->coming = calloc(c->job.tensors.count, sizeof *c->coming);
    if (status == PS_OK && c->coming)
        status = session_create(&config, &c->session);
    if (c->session)
        return PS_OK;
    partition_fini(&c->partition);
    judge_fini(&c->judge);
    free(c->coming);
    c->coming = NULL;
    return ps_fail(error, PS_ENOMEM, "out of memory for a session");
}

/* Payloads alone; headers add some hundred bytes a message. */
static void say_what_travels(const ps_client *c)
{
    const codec_config pull = job_pull_codec(&c->job, false);
    uint64_t up = 0, down = 0;
    for (uint32_t i = 0; i < c->partition.count; i++) {
        const slice *cut = &c->partition.slices[i];
        const codec_config push = job_push_codec(&c->job, cut->tensor);
        up += codec_bytes(&push, cut->count);
        down += codec_bytes(&pull, cut->count);
    }
    log_info("a step pushes %llu bytes and pulls %llu", (unsigned long long)up, (unsigned long long)down);
}

/* Once more after each join: as another incarnation, perhaps. */
static ps_status keep_the_lease(ps_client *c, ps_error *error)
{
    const uint32_t interval_ms = session_heartbeat_ms(c->session);
    const pulse_identity self = {
        .job = session_fingerprint(c->session),
        .role = c->role,
        .index = c->index,
        .incarnation = session_incarnation(c->session),
    };
    return c->pulse && interval_ms ? pulse_beat(c->pulse, &self, interval_ms, error) : PS_OK;
}

ps_status ps_join(ps_client *c, uint32_t timeout_ms, ps_error *error)
{
    bool again = c->session && session_rolled_back(c->session);
    if (c->joined && !again)
        return ps_fail(error, PS_ESTATE, "ps_join was called before");
    ps_status status = c->session ? PS_OK : start_session(c, error);
    if (status == PS_OK && again)
        status = client_drop_requests(c, timeout_ms, error);
    if (status != PS_OK)
        return status;
    c->joining_ms = c->said_ms = clock_monotonic_ms();
    c->refusal = (ps_error){PS_OK, ""};
    status = client_move_until(c, has_joined, NULL, timeout_ms, error);
    if (status == PS_ETIMEDOUT)
        return fail_to_join(c, timeout_ms, error);
    if (status == PS_OK && c->refusal.status != PS_OK)
        return ps_fail(error, c->refusal.status, "%s", c->refusal.text);
    if (status == PS_OK)
        status = keep_the_lease(c, error);
    c->joined |= status == PS_OK;
    if (status == PS_OK && !again)
        say_what_travels(c);
    return status;
}

void client_set_witness(ps_client *c, const client_witness *w)
{
    c->witness = *w;
    if (c->pulse && w->tell)
        pulse_tell(c->pulse, w->tell, w->context);
}

uint64_t client_incarnation(const ps_client *c)
{
    return c->session ? session_incarnation(c->session) : 0;
}

uint64_t ps_joined_step(const ps_client *c)
{
    return c->joined_step;
}

uint64_t ps_end_step(const ps_client *c)
{
    return c->session ? session_end_step(c->session) : 0;
}

const members_list *ps_members(const ps_client *c)
{
    return session_members(c->session);
}

const job_config *ps_job(const ps_client *c)
{
    return &c->job;
}

float *ps_residual(ps_client *c, uint32_t t)
{
    return c->session && t < c->job.tensors.count ? session_residual(c->session, t) : NULL;
}

void ps_close(ps_client **client)
{
    ps_client *c = *client;
    *client = NULL;
    if (!c)
        return;
    for (uint32_t i = 0; c->unsent && i < c->job.servers; i++)
        while (c->unsent[i].count > 0)
            wire_destroy(&c->unsent[i].messages[--c->unsent[i].count]);
    pulse_destroy(&c->pulse);
    if (c->uplink) /* before the session: its I/O thread may still read lent gradients */
        c->uplink->ops->destroy(c->uplink, c->joined ? DRAIN_MS : 0);
    session_destroy(&c->session);
    judge_fini(&c->judge);
    free(c->coming);
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
