/* cluster.c - see cluster.h. Addresses: the ps have those from 0 on, workers and evaluators those after, and
 * each process that restarts a new one. */
#include "tests/sim/cluster.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ps/shard.h"
#include "ps/shard_state.h"
#include "tests/sim/disk.h"
#include "tests/sim/trainee.h"

/* Of sums of at most 84 gradients below 0.5 times 0.05, rounded to f32 each time. */
#define SUM_TOLERANCE 1e-4

enum {
    INCARNATIONS = 1000000,
    SHARD_TICK_MS = 500,
    TRAINEES_MAX = SCENARIO_WORKERS_MAX + SCENARIO_EVALUATORS_MAX
};
static_assert(SCENARIO_SERVERS_MAX + 2 * TRAINEES_MAX <= NETWORK_ADDRESSES_MAX, "one restart each fits");

typedef struct {
    trainee *trainee;
    wire_role role;
    uint32_t index;
    uint64_t incarnation;
    uint32_t address;
} place;

typedef struct {
    scenario scenario;
    bool has_scenario;
    partition partition;
    trajectory trajectory;
    network *network;
    oracle *oracle; /* NULL where ps crash or go back: it does not know what they forget */
    disk *disk;     /* NULL where they do not */
    uint64_t disk_now_ms;
    uint32_t crashes_left;
    uint64_t incarnations[SCENARIO_SERVERS_MAX];
    plant *plant;
    const trace *trace;
    shard *shards[SCENARIO_SERVERS_MAX];
    place places[TRAINEES_MAX]; /* workers, then evaluators */
    uint32_t place_count, addresses;
    uint64_t restarts;
    ps_error *error;
} cluster;

/* ---- building ---- */

static ps_status add_process(cluster *c, place *p)
{
    p->address = c->addresses++;
    p->incarnation++;
    char name[TRACE_NAME_BYTES];
    snprintf(name, sizeof name, "%s %u%s", wire_role_name(p->role), p->index,
             p->incarnation > 1 ? " new" : "");
    network_name(c->network, p->address, name);
    const job_config *job = &c->scenario.job;
    bool exact = p->role == WIRE_WORKER && job->mode == CONSISTENCY_SYNC && job->backup_workers == 0;
    trainee_config config = {
        .scenario = &c->scenario,
        .partition = &c->partition,
        .role = p->role,
        .index = p->index,
        .incarnation = p->incarnation * INCARNATIONS, /* it takes further ones itself when it goes back */
        .oracle = c->oracle,
        .trajectory = exact ? &c->trajectory : NULL,
    };
    ps_status status = trainee_create(&config, &p->trainee);
    return status == PS_OK ? network_wake(c->network, p->address, 0) : status;
}

static ps_status add_shard(cluster *c, uint32_t index)
{
    char name[TRACE_NAME_BYTES];
    snprintf(name, sizeof name, "ps %u", index);
    network_name(c->network, index, name);
    shard_config config = {
        .index = index,
        .incarnation = ++c->incarnations[index],
        .archive = c->disk ? disk_archive(c->disk, index) : NULL,
        .image_steps = c->scenario.image_steps,
        .servers = c->scenario.job.servers,
        .workers = c->scenario.job.workers,
    };
    ps_status status = shard_create(&config, &c->shards[index]);
    return status == PS_OK ? network_wake(c->network, index, 0) : status;
}

static ps_status add_members(cluster *c)
{
    const job_config *job = &c->scenario.job;
    ps_status status = PS_OK;
    for (uint32_t i = 0; i < job->servers && status == PS_OK; i++)
        status = add_shard(c, i);
    c->addresses = job->servers;
    for (uint32_t i = 0; i < job->workers + job->evaluators && status == PS_OK; i++) {
        bool worker = i < job->workers;
        place *p = &c->places[c->place_count++];
        p->role = worker ? WIRE_WORKER : WIRE_EVALUATOR;
        p->index = worker ? i : i - job->workers;
        status = add_process(c, p);
    }
    return status;
}

static ps_status build(cluster *c, uint64_t seed, plant_kind planted)
{
    ps_status status = scenario_init(&c->scenario, seed, c->error);
    if (status != PS_OK)
        return status;
    c->has_scenario = true;
    status = partition_init(&c->partition, &c->scenario.job, c->error);
    if (status == PS_OK)
        status = trajectory_init(&c->trajectory, &c->scenario);
    if (status == PS_OK)
        status = network_create(seed, &c->scenario.weather, c->trace, &c->network);
    c->crashes_left = c->scenario.crash_count;
    if (status == PS_OK && c->crashes_left > 0)
        status = disk_create(&c->scenario, &c->disk_now_ms, &c->disk);
    else if (status == PS_OK)
        status = oracle_create(&c->scenario, &c->partition, &c->oracle);
    if (status == PS_OK)
        status = plant_create(planted, &c->plant);
    if (status == PS_OK)
        status = add_members(c);
    return status == PS_OK ? PS_OK : ps_fail(c->error, status, "the cluster: %s", ps_status_text(status));
}

static void tear_down(cluster *c)
{
    network_destroy(&c->network); /* first: what is under way holds lent memory */
    for (uint32_t i = 0; i < c->place_count; i++)
        trainee_destroy(&c->places[i].trainee);
    for (int i = 0; i < SCENARIO_SERVERS_MAX; i++)
        shard_destroy(&c->shards[i]);
    disk_destroy(&c->disk);
    plant_destroy(&c->plant);
    oracle_destroy(&c->oracle);
    trajectory_fini(&c->trajectory);
    partition_fini(&c->partition);
    if (c->has_scenario)
        scenario_fini(&c->scenario);
}

/* ---- messages ---- */

static ps_status send(cluster *c, uint32_t from, uint32_t to, wire_message **message, uint32_t *burst)
{
    if (++*burst > CLUSTER_BURST_MAX) {
        wire_destroy(message);
        return ps_fail(c->error, PS_ELIMIT, "bounds: one event makes %s send more than %d messages",
                       network_name_of(c->network, from), CLUSTER_BURST_MAX);
    }
    ps_status status = network_send(c->network, from, to, message);
    if (status != PS_OK)
        return ps_fail(c->error, status, "bounds: %u messages are under way, and %s sends one more: %s",
                       network_under_way(c->network), network_name_of(c->network, from),
                       ps_status_text(status));
    return PS_OK;
}

/* A route is the address that a request came from. */
static wire_route route_to(uint32_t address)
{
    wire_route route = {.bytes = sizeof address};
    memcpy(route.id, &address, sizeof address);
    return route;
}

static uint32_t address_of(const wire_route *route)
{
    uint32_t address;
    memcpy(&address, route->id, sizeof address);
    return address;
}

static ps_status send_answers(cluster *c, uint32_t server)
{
    wire_route route;
    wire_message *m;
    uint32_t burst = 0;
    ps_status status = PS_OK;
    while (status == PS_OK && (m = shard_next(c->shards[server], &route))) {
        plant_answer(c->plant, m);
        bool unasked = m->type == WIRE_WELCOME && m->request == 0; /* only a hint to ask */
        if (c->oracle && !unasked)
            status = oracle_check_answer(c->oracle, server, address_of(&route), m, c->error);
        if (status == PS_OK)
            status = send(c, server, address_of(&route), &m, &burst);
        wire_destroy(&m);
    }
    return status;
}

/* The crash of that ps that is due, or NULL. */
static scenario_crash *crash_due(cluster *c, uint32_t server, bool before_reply)
{
    for (uint32_t i = 0; i < c->scenario.crash_count; i++) {
        scenario_crash *crash = &c->scenario.crashes[i];
        if (crash->server == server && crash->from_ms > 0 && crash->from_ms <= network_now(c->network) &&
            crash->before_reply == before_reply)
            return crash;
    }
    return NULL;
}

static ps_status crash_shard(cluster *c, scenario_crash *crash)
{
    trace_line(c->trace, network_now(c->network), "ps %u crashes", crash->server);
    c->restarts++;
    crash->from_ms = 0;
    shard_destroy(&c->shards[crash->server]);
    disk_crash(c->disk, crash->server);
    return network_wake(c->network, crash->server, network_now(c->network) + crash->down_ms);
}

static ps_status deliver_to_shard(cluster *c, const network_event *event)
{
    uint32_t server = event->to;
    wire_message *m = event->message;
    if (!c->shards[server]) { /* it is down */
        wire_destroy(&m);
        return PS_OK;
    }
    scenario_crash *crash = crash_due(c, server, false);
    if (crash) {
        wire_destroy(&m);
        return crash_shard(c, crash);
    }
    if (!plant_request(c->plant, server, m)) {
        wire_destroy(&m);
        return PS_OK;
    }
    wire_route route = route_to(event->from);
    shard_receive(c->shards[server], &m, &route, network_now(c->network));
    crash = crash_due(c, server, true);
    if (crash)
        return crash_shard(c, crash);
    ps_status status = PS_OK;
    if (c->oracle)
        status = oracle_check_shard(c->oracle, server, shard_count(c->shards[server]), c->error);
    if (status == PS_OK)
        status = shard_failure(c->shards[server], c->error);
    return status == PS_OK ? send_answers(c, server) : status;
}

static ps_status send_requests(cluster *c, const place *p)
{
    uint32_t burst = 0;
    ps_status status = PS_OK;
    for (uint32_t server = 0; server < c->scenario.job.servers && status == PS_OK; server++) {
        wire_message *m;
        while (status == PS_OK && (m = trainee_next(p->trainee, server, network_now(c->network))))
            status = send(c, p->address, server, &m, &burst);
    }
    return status;
}

/* ---- workers and evaluators ---- */

static place *find_place(cluster *c, uint32_t address)
{
    for (uint32_t i = 0; i < c->place_count; i++)
        if (c->places[i].address == address)
            return &c->places[i];
    return NULL;
}

static ps_status move(cluster *c, place *p)
{
    char before[128], after[128];
    trainee_describe(p->trainee, before, sizeof before);
    ps_status status = trainee_tick(p->trainee, network_now(c->network), c->error);
    trainee_describe(p->trainee, after, sizeof after);
    if (strcmp(before, after) != 0)
        trace_line(c->trace, network_now(c->network), "%s", after);
    return status == PS_OK ? send_requests(c, p) : status;
}

static ps_status restart(cluster *c, place *p)
{
    trace_line(c->trace, network_now(c->network), "%s restarts", network_name_of(c->network, p->address));
    c->restarts++;
    network_close(c->network, p->address);
    trainee_destroy(&p->trainee);
    return add_process(c, p);
}

static bool wants_restart(const cluster *c, const place *p)
{
    const scenario_worker *worker = &c->scenario.workers[p->index];
    return p->role == WIRE_WORKER && worker->restarts && p->incarnation == 1 &&
           network_now(c->network) >= worker->restart_from_ms &&
           trainee_step(p->trainee) >= worker->restart_from_step && trainee_may_restart(p->trainee);
}

/* ---- events ---- */

static ps_status wake(cluster *c, uint32_t address)
{
    uint64_t now_ms = network_now(c->network);
    if (address < c->scenario.job.servers) {
        if (!c->shards[address])
            return add_shard(c, address);
        shard_tick(c->shards[address], now_ms);
        ps_status sent = send_answers(c, address);
        return sent == PS_OK ? network_wake(c->network, address, now_ms + SHARD_TICK_MS) : sent;
    }
    place *p = find_place(c, address);
    if (wants_restart(c, p))
        return restart(c, p);
    ps_status status = move(c, p);
    return status == PS_OK ? network_wake(c->network, address, now_ms + CLUSTER_TICK_MS) : status;
}

/* The oracle knows no way back. The chief may order one without any ps having crashed: if it was replaced
 * during the very first step, it cannot tell a ps that waits for that from one that has forgotten it. */
static void dismiss_oracle(cluster *c)
{
    oracle_destroy(&c->oracle);
    for (uint32_t i = 0; i < c->place_count; i++)
        trainee_dismiss_oracle(c->places[i].trainee);
}

static ps_status handle(cluster *c, network_event *event)
{
    c->disk_now_ms = network_now(c->network);
    if (event->kind == NETWORK_WAKE)
        return wake(c, event->to);
    if (event->to < c->scenario.job.servers) {
        if (event->message->type == WIRE_RESTORE)
            dismiss_oracle(c);
        if (c->oracle)
            oracle_delivered(c->oracle, event->to, event->from, event->message);
        return deliver_to_shard(c, event);
    }
    place *p = find_place(c, event->to);
    trainee_receive(p->trainee, event->from, &event->message);
    return move(c, p);
}

static bool all_done(const cluster *c)
{
    for (uint32_t i = 0; i < c->place_count; i++)
        if (!trainee_done(c->places[i].trainee))
            return false;
    return true;
}

static ps_status check_patience(const cluster *c)
{
    if (network_now(c->network) < c->scenario.weather.calm_at_ms + CLUSTER_PATIENCE_MS)
        return PS_OK;
    char what[128] = "all members are done, but messages never end";
    for (uint32_t i = c->place_count; i-- > 0;)
        if (!trainee_done(c->places[i].trainee))
            trainee_describe(c->places[i].trainee, what, sizeof what);
    return ps_fail(c->error, PS_ETIMEDOUT, "liveness: %d s after the last fault %s",
                   CLUSTER_PATIENCE_MS / 1000, what);
}

/* Until everybody is done and nothing is on its way any more: stale messages come in last. */
static ps_status run(cluster *c)
{
    ps_status status = PS_OK;
    while (status == PS_OK && !(all_done(c) && network_under_way(c->network) == 0)) {
        network_event event;
        status = network_next(c->network, &event, c->error);
        if (status == PS_OK)
            status = handle(c, &event);
        if (status == PS_OK)
            status = check_patience(c);
    }
    return status;
}

/* The initial weights less rate times gradient, for every gradient there was: no order, no rules. */
static ps_status check_sum(const cluster *c)
{
    const scenario *s = &c->scenario;
    uint64_t elements = c->trajectory.elements;
    float *gradient = malloc(elements * sizeof *gradient);
    double *weights = malloc(elements * sizeof *weights);
    ps_status status = gradient && weights ? PS_OK : ps_fail(c->error, PS_ENOMEM, "out of memory");
    for (uint64_t i = 0; i < elements && status == PS_OK; i++)
        weights[i] = (double)trajectory_version(&c->trajectory, 0)[i];
    for (uint32_t w = 0; w < s->job.workers && status == PS_OK; w++) {
        for (uint64_t step = 1; step <= s->steps; step++) {
            toy_batch batch;
            toy_gradient(s, w, step, NULL, gradient, &batch);
            for (uint64_t i = 0; i < elements && batch.examples > 0 && !batch.nonfinite; i++)
                weights[i] -= s->job.schedule.learning_rate * (double)gradient[i];
        }
    }
    for (uint64_t i = 0; i < elements && status == PS_OK; i++)
        if (fabs(weights[i] - (double)oracle_weights(c->oracle)[i]) > SUM_TOLERANCE)
            status =
                ps_fail(c->error, PS_EINTERNAL,
                        "sum: element %llu of the final weights is %.9g; all gradients together make it %.9g",
                        (unsigned long long)i, (double)oracle_weights(c->oracle)[i], weights[i]);
    free(gradient);
    free(weights);
    return status;
}

/* Of ps that have crashed: every worker's every step is in the weights. */
static ps_status check_clocks(const cluster *c, uint32_t server)
{
    const shard *s = c->shards[server];
    if (!s || !s->has_job || s->slice_count == 0) /* started again after the end */
        return PS_OK;
    for (uint32_t w = 0; w < s->job.workers && s->job.mode != CONSISTENCY_SYNC; w++)
        if (s->consistency.clocks[w].pushed != c->scenario.workers[w].steps)
            return ps_fail(
                c->error, PS_EINTERNAL, "ps/%u has applied %llu steps of worker %u, which has done %u",
                server, (unsigned long long)s->consistency.clocks[w].pushed, w, c->scenario.workers[w].steps);
    if (s->job.mode == CONSISTENCY_SYNC && s->consistency.applied != c->scenario.steps)
        return ps_fail(c->error, PS_EINTERNAL, "ps/%u has applied %llu steps of %u", server,
                       (unsigned long long)s->consistency.applied, c->scenario.steps);
    return PS_OK;
}

static ps_status check_shard_end(const cluster *c, uint32_t server)
{
    const job_config *job = &c->scenario.job;
    if (!c->oracle)
        return check_clocks(c, server);
    if (!shard_finished(c->shards[server]))
        return ps_fail(c->error, PS_EINTERNAL, "ps/%u does not know that the job has ended", server);
    uint64_t updates = c->scenario.steps;
    for (uint32_t w = 1; w < job->workers && job->mode != CONSISTENCY_SYNC; w++)
        updates += c->scenario.workers[w].steps;
    uint64_t applied = shard_count(c->shards[server])->steps_applied;
    if (partition_server_count(&c->partition, server) > 0 && applied != updates)
        return ps_fail(c->error, PS_EINTERNAL, "ps/%u has applied %llu updates of %llu", server,
                       (unsigned long long)applied, (unsigned long long)updates);
    return PS_OK;
}

static ps_status check_end(const cluster *c)
{
    const job_config *job = &c->scenario.job;
    ps_status status = PS_OK;
    for (uint32_t i = 0; i < job->servers && status == PS_OK; i++)
        status = check_shard_end(c, i);
    if (!c->oracle)
        return status;
    if (status == PS_OK && c->scenario.additive)
        status = check_sum(c);
    if (status != PS_OK)
        return status;
    if (job->mode == CONSISTENCY_SYNC && job->backup_workers == 0 &&
        memcmp(oracle_weights(c->oracle), trajectory_version(&c->trajectory, c->scenario.steps),
               c->trajectory.elements * sizeof(float)) != 0)
        return ps_fail(c->error, PS_EINTERNAL,
                       "sync: the final weights are not those of a run without faults");
    return PS_OK;
}

ps_status cluster_run(uint64_t seed, plant_kind planted, const trace *t, cluster_summary *summary,
                      ps_error *error)
{
    cluster c = {.trace = t, .error = error};
    memset(summary, 0, sizeof *summary);
    ps_status status = build(&c, seed, planted);
    if (status == PS_OK) {
        char text[512];
        scenario_describe(&c.scenario, text, sizeof text);
        trace_line(t, 0, "%s", text);
        status = run(&c);
    }
    if (status == PS_OK)
        status = check_end(&c);
    if (c.network) {
        summary->network = *network_count(c.network);
        summary->virtual_ms = network_now(c.network);
        summary->restarts = c.restarts;
        trace_line(t, network_now(c.network), "%s", status == PS_OK ? "all invariants held" : error->text);
    }
    tear_down(&c);
    return status;
}
