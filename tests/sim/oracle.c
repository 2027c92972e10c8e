/* oracle.c - see oracle.h. */
#include "tests/sim/oracle.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/replica.h"
#include "worker/session.h"

enum {
    REQUESTS_KEPT = 1024, /* of one address at one shard; older ones are not asked for again */
    SLICES_MAX = 64,
};
static_assert(SCENARIO_TENSORS_MAX * (SCENARIO_TENSOR_MAX / (JOB_SLICE_BYTES_MIN / 4) + 1) <= SLICES_MAX,
              "a set of slices is a 64-bit word");

/* A worker as a shard must see it. */
typedef struct {
    uint64_t incarnation; /* 0: not joined */
    uint64_t pushed;      /* last step that arrived whole, */
    uint64_t before;      /* and the one before it */
    bool waiting;         /* it is not applied yet */
    bool concludes;       /* it waits for the end of the others, having pushed all; */
    bool finished;        /* and then says so */
    uint64_t partial;     /* step of which some slices have arrived; 0: none */
    uint64_t received;    /* set of ordinals, of that step */
    bool flagged;         /* one of those parts says that the gradient holds NaN or Inf */
    uint64_t late;        /* last step that came after it had been applied without this worker */
} clock_model;

typedef struct {
    wire_type type; /* 0: no such request */
    uint64_t request;
    uint32_t open; /* answers that it may still have */
    uint64_t step;
    bool after_finish, exact;
    uint32_t worker; /* UINT32_MAX: an evaluator */
    uint64_t incarnation;
} asked;

typedef struct {
    uint32_t slices;
    uint64_t applied, updates, examples; /* updates: those that changed weights */
    uint64_t late, nonfinite;            /* gradients left out, and why */
    clock_model workers[SCENARIO_WORKERS_MAX];
    asked *asked[NETWORK_ADDRESSES_MAX]; /* (REQUESTS_KEPT) each, made when first used */
} shard_model;

struct oracle {
    const scenario *scenario;
    const partition *partition;
    replica replica;
    bool out_of_memory;
    uint64_t computed[SCENARIO_WORKERS_MAX]; /* step of the share below */
    replica_share shares[SCENARIO_WORKERS_MAX];
    float *gradients; /* (workers, elements) */
    float *previous;  /* (elements) the weights of each shard before its last step */
    shard_model shards[SCENARIO_SERVERS_MAX];
};

ps_status oracle_create(const scenario *s, const partition *p, oracle **out)
{
    oracle *o = calloc(1, sizeof *o);
    *out = o;
    if (!o)
        return PS_ENOMEM;
    o->scenario = s;
    o->partition = p;
    ps_status status = replica_init(&o->replica, &s->job);
    if (status == PS_OK)
        o->gradients = malloc(s->job.workers * o->replica.elements * sizeof(float));
    if (status == PS_OK)
        o->previous = calloc(o->replica.elements, sizeof(float));
    if (!o->gradients || !o->previous) {
        oracle_destroy(out);
        return PS_ENOMEM;
    }
    for (uint32_t i = 0; i < s->job.servers; i++)
        o->shards[i].slices = partition_server_count(p, i);
    for (uint32_t w = 0; w < s->job.workers; w++)
        o->shares[w].gradient = o->gradients + w * o->replica.elements;
    return PS_OK;
}

void oracle_destroy(oracle **handle)
{
    oracle *o = *handle;
    *handle = NULL;
    if (!o)
        return;
    for (int i = 0; i < SCENARIO_SERVERS_MAX; i++)
        for (int a = 0; a < NETWORK_ADDRESSES_MAX; a++)
            free(o->shards[i].asked[a]);
    replica_fini(&o->replica);
    free(o->gradients);
    free(o->previous);
    free(o);
}

void oracle_computed(oracle *o, uint32_t worker, uint64_t step, const float *gradient, const toy_batch *batch)
{
    o->computed[worker] = step;
    o->shares[worker].batch = *batch;
    if (batch->examples > 0)
        memcpy(o->gradients + worker * o->replica.elements, gradient, o->replica.elements * sizeof(float));
}

/* ---- the rules ---- */

static bool is_sync(const oracle *o)
{
    return o->scenario->job.mode == CONSISTENCY_SYNC;
}

static const slice *slice_of(const oracle *o, uint32_t server, uint32_t ordinal)
{
    const partition *p = o->partition;
    return &p->slices[p->server_slices[p->server_first[server] + ordinal]];
}

static uint64_t place_of(const oracle *o, const slice *cut)
{
    return toy_offset(&o->scenario->job, cut->tensor) + cut->offset;
}

static void keep_previous(oracle *o, uint32_t server)
{
    for (uint32_t i = 0; i < o->shards[server].slices; i++) {
        const slice *cut = slice_of(o, server, i);
        memcpy(o->previous + place_of(o, cut), o->replica.weights + place_of(o, cut),
               cut->count * sizeof(float));
    }
}

static void apply(oracle *o, uint32_t server, uint64_t step, const uint32_t *workers, uint32_t count)
{
    shard_model *m = &o->shards[server];
    replica_share shares[SCENARIO_WORKERS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        shares[i] = o->shares[workers[i]];
        m->workers[workers[i]].waiting = false;
    }
    m->applied++;
    keep_previous(o, server);
    uint64_t examples = replica_examples(shares, count);
    if (examples == 0)
        return;
    m->examples += examples;
    m->updates++;
    for (uint32_t i = 0; i < m->slices; i++) {
        const slice *cut = slice_of(o, server, i);
        replica_apply(&o->replica, place_of(o, cut), cut->count, shares, count, step, m->updates);
    }
}

/* A step applies with all workers that still push, less the backups; who has finished counts if it is there.
 */
static bool apply_sync(oracle *o, uint32_t server)
{
    shard_model *m = &o->shards[server];
    uint64_t step = m->applied + 1;
    uint32_t here[SCENARIO_WORKERS_MAX], count = 0, expected = 0;
    for (uint32_t w = 0; w < o->scenario->job.workers; w++) {
        bool is_here = m->workers[w].waiting && m->workers[w].pushed == step;
        if (is_here)
            here[count++] = w;
        expected += is_here || !m->workers[w].finished;
    }
    if (count == 0 || count + o->scenario->job.backup_workers < expected)
        return false;
    apply(o, server, step, here, count);
    return true;
}

static void apply_what_can_be(oracle *o, uint32_t server)
{
    if (is_sync(o))
        while (apply_sync(o, server))
            ;
    else
        for (uint32_t w = 0; w < o->scenario->job.workers; w++)
            if (o->shards[server].workers[w].waiting)
                apply(o, server, o->shards[server].workers[w].pushed, &w, 1);
}

static void take_push(oracle *o, uint32_t server, const wire_message *push)
{
    shard_model *m = &o->shards[server];
    clock_model *worker = &m->workers[push->index];
    if (push->step <= worker->pushed)
        return;
    if (is_sync(o) && push->step <= m->applied) {
        if (push->step > worker->late) {
            m->late++;
            worker->late = push->step;
        }
        return;
    }
    if (worker->finished)
        return;
    if (worker->partial != push->step) {
        worker->received = 0;
        worker->flagged = false;
    }
    worker->partial = push->step;
    worker->concludes = false;
    worker->flagged |= push->nonfinite;
    for (uint32_t i = 0; i < push->slice_count; i++)
        worker->received |= UINT64_C(1) << o->partition->slices[push->slices[i]].ordinal;
    if (worker->received != UINT64_MAX >> (64 - m->slices))
        return;
    worker->partial = 0;
    worker->received = 0;
    worker->before = worker->pushed;
    worker->pushed = push->step;
    worker->waiting = true;
    m->nonfinite += worker->flagged;
    apply_what_can_be(o, server);
}

static void take_hello(oracle *o, uint32_t server, const wire_message *hello)
{
    clock_model *worker = &o->shards[server].workers[hello->index];
    if (hello->incarnation <= worker->incarnation)
        return;
    worker->incarnation = hello->incarnation;
    worker->partial = 0;
    worker->received = 0;
    if (worker->waiting && !worker->finished) {
        worker->waiting = false;
        worker->pushed = worker->before;
    }
}

static void remember(oracle *o, uint32_t server, uint32_t address, const wire_message *m)
{
    asked **of_address = &o->shards[server].asked[address];
    if (!*of_address)
        *of_address = calloc(REQUESTS_KEPT, sizeof **of_address);
    if (!*of_address) {
        o->out_of_memory = true;
        return;
    }
    asked *place = &(*of_address)[session_serial(m->request) % REQUESTS_KEPT];
    /* A farewell that waits for the archive may be answered when it comes again, and that answered too. */
    const bool again = m->type == WIRE_FINISH && place->type == m->type && place->request == m->request;
    *place = (asked){
        .type = m->type,
        .request = m->request,
        .open = again ? place->open + 1 : 1,
        .step = m->step,
        .after_finish = m->after_finish,
        .exact = m->exact,
        .worker = m->role == WIRE_WORKER ? m->index : UINT32_MAX,
        .incarnation = m->incarnation,
    };
}

void oracle_delivered(oracle *o, uint32_t server, uint32_t address, const wire_message *m)
{
    if (m->type != WIRE_QUERY)
        remember(o, server, address, m);
    if (m->role != WIRE_WORKER)
        return;
    clock_model *worker = &o->shards[server].workers[m->index];
    if (m->type == WIRE_HELLO) {
        take_hello(o, server, m);
    } else if (m->incarnation != worker->incarnation) {
        return; /* of a process that has been replaced */
    } else if (m->type == WIRE_PUSH_PULL || m->type == WIRE_PUSH) {
        take_push(o, server, m);
    } else if (m->type == WIRE_PULL) {
        worker->concludes |= m->after_finish;
    } else if (m->type == WIRE_FINISH && !worker->finished) {
        worker->finished = true;
        apply_what_can_be(o, server);
    }
}

/* ---- checks ---- */

static bool all_finished(const oracle *o, uint32_t server, uint32_t but)
{
    for (uint32_t w = 0; w < o->scenario->job.workers; w++)
        if (w != but && !o->shards[server].workers[w].finished)
            return false;
    return true;
}

static uint64_t slowest(const oracle *o, uint32_t server)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t w = 0; w < o->scenario->job.workers; w++) {
        const clock_model *worker = &o->shards[server].workers[w];
        if (!worker->finished && !worker->concludes && worker->pushed < least)
            least = worker->pushed;
    }
    return least;
}

ps_status oracle_check_shard(const oracle *o, uint32_t server, const shard_counters *c, ps_error *error)
{
    const shard_model *m = &o->shards[server];
    if (o->out_of_memory)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    if (c->steps_applied != m->applied)
        return ps_fail(error, PS_EINTERNAL,
                       "exactly once: ps/%u has applied %llu updates, but what has reached it makes %llu",
                       server, (unsigned long long)c->steps_applied, (unsigned long long)m->applied);
    if (c->examples_applied != m->examples)
        return ps_fail(error, PS_EINTERNAL,
                       "exactly once: ps/%u has applied %llu examples, but what has reached it makes %llu",
                       server, (unsigned long long)c->examples_applied, (unsigned long long)m->examples);
    if (c->late_gradients != m->late || c->nonfinite_refused != m->nonfinite)
        return ps_fail(
            error, PS_EINTERNAL,
            "exactly once: ps/%u counts %llu late gradients and %llu that are not finite; %llu and %llu "
            "have reached it",
            server, (unsigned long long)c->late_gradients, (unsigned long long)c->nonfinite_refused,
            (unsigned long long)m->late, (unsigned long long)m->nonfinite);
    return PS_OK;
}

static ps_status check_weights(const oracle *o, uint32_t server, const wire_message *weights, ps_error *error)
{
    for (uint32_t i = 0; i < weights->slice_count; i++) {
        const slice *cut = &o->partition->slices[weights->slices[i]];
        const float *version = weights->exact ? o->previous : o->replica.weights;
        const float *expected = version + place_of(o, cut);
        size_t bytes = cut->count * sizeof(float);
        if (buffer_size(weights->payloads[i]) != bytes ||
            memcmp(buffer_bytes(weights->payloads[i]), expected, bytes) != 0)
            return ps_fail(error, PS_EINTERNAL,
                           "same bits: ps/%u sends weights of slice %u that are not its version %llu", server,
                           weights->slices[i], (unsigned long long)o->shards[server].applied);
    }
    return PS_OK;
}

static ps_status check_slowest(const oracle *o, uint32_t server, uint32_t worker, uint64_t step,
                               ps_error *error)
{
    uint32_t staleness = o->scenario->job.staleness;
    uint64_t least = slowest(o, server);
    if (o->scenario->job.mode != CONSISTENCY_SSP || step <= staleness || least >= step - staleness)
        return PS_OK;
    return ps_fail(
        error, PS_EINTERNAL,
        "ssp: worker %u may go on after step %llu, but on ps/%u the slowest is at %llu and the staleness is "
        "%u",
        worker, (unsigned long long)step, server, (unsigned long long)least, staleness);
}

static ps_status check_step(const oracle *o, uint32_t server, uint32_t worker, uint64_t step, ps_error *error)
{
    const shard_model *m = &o->shards[server];
    if (m->slices == 0)
        return PS_OK;
    if (is_sync(o) && m->applied < step)
        return ps_fail(error, PS_EINTERNAL, "sync: step %llu is answered, but ps/%u is at version %llu",
                       (unsigned long long)step, server, (unsigned long long)m->applied);
    if (is_sync(o))
        return PS_OK;
    if (m->workers[worker].pushed < step)
        return ps_fail(error, PS_EINTERNAL, "step %llu of worker %u is answered before all of it is on ps/%u",
                       (unsigned long long)step, worker, server);
    return check_slowest(o, server, worker, step, error);
}

static ps_status check_pull(const oracle *o, uint32_t server, const asked *pull, ps_error *error)
{
    const shard_model *m = &o->shards[server];
    if (is_sync(o) && m->applied < pull->step)
        return ps_fail(error, PS_EINTERNAL, "sync: ps/%u answers a pull of version %llu at version %llu",
                       server, (unsigned long long)pull->step, (unsigned long long)m->applied);
    if (is_sync(o) || pull->worker == UINT32_MAX)
        return PS_OK;
    return check_slowest(o, server, pull->worker, pull->step, error);
}

/* Every request is answered once each time that it comes, but for repeats that come while it waits. */
static ps_status check_is_open(const oracle *o, uint32_t server, const asked *request,
                               const wire_message *answer, ps_error *error)
{
    unsigned long long number = answer->request;
    if (!request || request->type == 0 || request->request != answer->request)
        return ps_fail(error, PS_EINTERNAL, "ps/%u answers request %llu, which has never reached it", server,
                       number);
    if (request->open == 0)
        return ps_fail(error, PS_EINTERNAL, "ps/%u answers request %llu twice", server, number);
    const clock_model *worker =
        request->worker == UINT32_MAX ? NULL : &o->shards[server].workers[request->worker];
    if (worker && worker->incarnation != request->incarnation)
        return ps_fail(error, PS_EINTERNAL,
                       "ps/%u answers request %llu of a worker %u that has been replaced", server, number,
                       request->worker);
    return PS_OK;
}

/* The step after which a member goes on. */
static ps_status check_welcome(const oracle *o, uint32_t server, const asked *hello,
                               const wire_message *welcome, ps_error *error)
{
    const shard_model *m = &o->shards[server];
    const clock_model nobody = {0};
    const clock_model *worker = hello->worker == UINT32_MAX ? &nobody : &m->workers[hello->worker];
    uint64_t step = worker->pushed;
    if (is_sync(o) &&
        (!worker->finished || step < m->applied)) /* what waits will be pushed anew, but by no leaver */
        step = m->applied;
    if (welcome->step != step)
        return ps_fail(error, PS_EINTERNAL, "ps/%u welcomes at step %llu; it should be step %llu", server,
                       (unsigned long long)welcome->step, (unsigned long long)step);
    return PS_OK;
}

static ps_status check_permission(const oracle *o, uint32_t server, const asked *request,
                                  const wire_message *answer, ps_error *error)
{
    bool pulls = request->type == WIRE_PUSH_PULL || request->type == WIRE_PULL;
    if (pulls != (answer->type == WIRE_WEIGHTS))
        return ps_fail(error, PS_EINTERNAL, "ps/%u answers %s by %s", server, wire_type_name(request->type),
                       wire_type_name(answer->type));
    if (request->type == WIRE_PULL && request->after_finish && !all_finished(o, server, request->worker))
        return ps_fail(error, PS_EINTERNAL, "ps/%u gives out the final weights while a worker is at work",
                       server);
    if (request->type == WIRE_PULL)
        return check_pull(o, server, request, error);
    if (request->type == WIRE_PUSH_PULL)
        return check_step(o, server, request->worker, request->step, error);
    return PS_OK;
}

/* Of the version before the current one only where that was asked for. */
static ps_status check_version(const oracle *o, uint32_t server, const asked *request,
                               const wire_message *answer, ps_error *error)
{
    const shard_model *m = &o->shards[server];
    const uint64_t version = m->applied - answer->exact;
    if (answer->exact && !(request->exact && request->step == version))
        return ps_fail(error, PS_EINTERNAL, "ps/%u gives out version %llu, which nobody has asked for",
                       server, (unsigned long long)version);
    bool finished = all_finished(o, server, UINT32_MAX);
    if (answer->step != version || answer->examples_total != m->examples || answer->job_finished != finished)
        return ps_fail(
            error, PS_EINTERNAL,
            "ps/%u says version %llu, %llu examples, %s; it should be at version %llu, %llu examples, %s",
            server, (unsigned long long)answer->step, (unsigned long long)answer->examples_total,
            answer->job_finished ? "finished" : "at work", (unsigned long long)version,
            (unsigned long long)m->examples, finished ? "finished" : "at work");
    return PS_OK;
}

ps_status oracle_check_answer(oracle *o, uint32_t server, uint32_t address, const wire_message *answer,
                              ps_error *error)
{
    asked *of_address = o->shards[server].asked[address];
    asked *request = of_address ? &of_address[session_serial(answer->request) % REQUESTS_KEPT] : NULL;
    bool settles = answer->type == WIRE_WEIGHTS || answer->type == WIRE_ACK || answer->type == WIRE_WELCOME;
    ps_status status = PS_OK;
    if (settles)
        status = check_is_open(o, server, request, answer, error);
    if (status != PS_OK || answer->type == WIRE_ERROR)
        return status;
    if (settles)
        request->open--;
    if (answer->type == WIRE_WELCOME)
        return check_welcome(o, server, request, answer, error);
    status = check_version(o, server, request, answer, error);
    if (status == PS_OK && settles)
        status = check_permission(o, server, request, answer, error);
    if (status == PS_OK && settles)
        status = check_weights(o, server, answer, error);
    return status;
}

ps_status oracle_check_step(const oracle *o, uint32_t worker, uint64_t step, ps_error *error)
{
    ps_status status = PS_OK;
    for (uint32_t i = 0; i < o->scenario->job.servers && status == PS_OK; i++)
        status = check_step(o, i, worker, step, error);
    return status;
}

const float *oracle_weights(const oracle *o)
{
    return o->replica.weights;
}
