/* cluster.c - see cluster.h and cluster_state.h. Addresses: the ps have those from 0 on; then come those at
 * which faults wake, the administrator's, and then those of workers and evaluators, a new one for each
 * process. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/cluster_state.h"

/* ---- building ---- */

static ps_status add_members(cluster *c)
{
    const job_config *job = &c->scenario.job;
    const uint32_t count = job->servers + job->workers + job->evaluators;
    ps_status status = PS_OK;
    c->addresses = cluster_admin_address(c) + 1;
    for (uint32_t i = 0; i < count && status == PS_OK; i++) {
        node *n = &c->nodes[c->node_count++];
        bool server = i < job->servers, worker = !server && i < job->servers + job->workers;
        n->role = server ? WIRE_PS : worker ? WIRE_WORKER : WIRE_EVALUATOR;
        n->index = server ? i : worker ? i - job->servers : i - job->servers - job->workers;
        n->host = i;
        n->address = i;
        if (!server)
            status = cluster_take_address(c, n);
        sim_journal *log = cluster_log_of(c, n);
        if (status == PS_OK && log && !(n->history = history_create(i, log)))
            status = PS_ENOMEM;
        if (status == PS_OK)
            status = cluster_start(c, n);
    }
    for (uint32_t w = 0; c->scenario.shrinks && w < job->workers; w++)
        c->nodes[c->node_count++] = (node){.role = WIRE_WORKER,
                                           .index = w,
                                           .host = job->servers, /* the chief's */
                                           .address = UINT32_MAX,
                                           .stands_in = true};
    return status;
}

static ps_status build_checks(cluster *c)
{
    ps_status status = trajectory_init(&c->trajectory, &c->scenario);
    if (status == PS_OK)
        status = ledger_create(&c->scenario, &c->partition, &c->trajectory, &c->ledger);
    if (status == PS_OK && !c->scenario.servers_crash && !c->scenario.shrinks)
        status = oracle_create(&c->scenario, &c->partition, &c->oracle);
    return status;
}

static ps_status build(cluster *c, uint64_t seed, scenario_mode mode, plant_kind planted)
{
    ps_status status = scenario_init(&c->scenario, seed, mode, c->error);
    if (status != PS_OK)
        return status;
    c->has_scenario = true;
    c->dice = dice_for(seed, "faults", 1);
    status = partition_init(&c->partition, &c->scenario.job, c->error);
    if (status == PS_OK)
        status = build_checks(c);
    if (status == PS_OK)
        status = network_create(seed, &c->scenario.weather, c->trace, &c->network);
    if (status == PS_OK)
        status = plant_create(planted, &c->plant);
    const disk_config of_disk = {&c->scenario, &c->partition, c->ledger, c->plant, c->trace};
    if (status == PS_OK && c->scenario.keeps_images)
        status = disk_create(&of_disk, &c->disk);
    for (uint32_t i = 0; i < c->scenario.job.servers; i++)
        c->summary->logs += c->scenario.logs >> i & 1;
    if (status == PS_OK)
        status = add_members(c);
    if (status == PS_OK)
        status = cluster_plan_faults(c);
    if (status == PS_OK)
        status = cluster_plan_orders(c);
    return status == PS_OK ? PS_OK : ps_fail(c->error, status, "the cluster: %s", ps_status_text(status));
}

static void tear_down(cluster *c)
{
    network_destroy(&c->network); /* first: what is under way holds lent memory */
    for (uint32_t i = 0; i < c->node_count; i++) {
        trainee_destroy(&c->nodes[i].trainee);
        shard_destroy(&c->nodes[i].shard);
        history_destroy(&c->nodes[i].history);
    }
    disk_destroy(&c->disk);
    plant_destroy(&c->plant);
    oracle_destroy(&c->oracle);
    ledger_destroy(&c->ledger);
    trajectory_fini(&c->trajectory);
    partition_fini(&c->partition);
    if (c->has_scenario)
        scenario_fini(&c->scenario);
}

/* ---- running ---- */

static ps_status hand_to_admin(cluster *c, network_event *event)
{
    const ps_status status =
        event->kind == NETWORK_WAKE ? cluster_admin_wakes(c) : cluster_admin_hears(c, event);
    wire_destroy(&event->message);
    return status;
}

static ps_status handle(cluster *c, network_event *event)
{
    if (c->disk)
        disk_set_time(c->disk, network_now(c->network));
    if (event->to == cluster_admin_address(c))
        return hand_to_admin(c, event);
    node *n = cluster_node_at(c, event->to);
    if (!n)
        return cluster_fault_wakes(c, event->to - c->scenario.job.servers);
    bool crashed;
    ps_status status = cluster_crash_again(c, n, &crashed);
    if (status == PS_OK && !crashed)
        status = event->kind == NETWORK_WAKE ? cluster_wake(c, n) : cluster_deliver(c, n, event);
    wire_destroy(&event->message);
    if (status == PS_OK && c->disk)
        status = disk_failure(c->disk, c->error);
    return status == PS_OK ? cluster_follow_end(c) : status;
}

static bool a_ps_has_ended(const cluster *c)
{
    for (uint32_t i = 0; i < c->scenario.job.servers; i++)
        if (c->nodes[i].ended)
            return true;
    return false;
}

static bool a_ps_has_ended_alone(const cluster *c)
{
    for (uint32_t i = 0; i < c->scenario.job.servers; i++)
        if (c->nodes[i].ended_alone)
            return true;
    return false;
}

/* Who has died amid its farewell may come back when the ps are gone, and find nobody; so may one without whom
 * the job has come to its end. Who stands in is a part of the chief. */
static bool is_done(const cluster *c, const node *n)
{
    return n->stands_in || n->for_good || (n->given_up && a_ps_has_ended(c)) ||
           (n->trainee && trainee_done(n->trainee)) || (n->said_all && a_ps_has_ended(c)) ||
           (n->said_some && a_ps_has_ended_alone(c));
}

static bool all_done(const cluster *c)
{
    for (uint32_t i = c->scenario.job.servers; i < c->node_count; i++)
        if (!is_done(c, &c->nodes[i]))
            return false;
    return true;
}

/* All members are done, but one that is to find nobody still calls. */
static bool is_quiet(const cluster *c)
{
    return network_under_way(c->network) == 0 || a_ps_has_ended(c);
}

static ps_status check_patience(const cluster *c)
{
    if (c->scenario.mode == MODE_SAFETY ||
        network_now(c->network) < c->scenario.weather.calm_at_ms + CLUSTER_PATIENCE_MS)
        return PS_OK;
    char what[128] = "all members are done, but messages never end";
    for (uint32_t i = c->node_count; i-- > c->scenario.job.servers;)
        if (!is_done(c, &c->nodes[i]) && c->nodes[i].trainee)
            trainee_describe(c->nodes[i].trainee, what, sizeof what);
    return ps_fail(c->error, PS_ETIMEDOUT, "liveness: %d s after the last fault %s",
                   CLUSTER_PATIENCE_MS / 1000, what);
}

static bool is_watched_enough(const cluster *c)
{
    return c->admin.end_is_lost ||
           (c->scenario.mode == MODE_SAFETY && network_now(c->network) >= CLUSTER_SAFETY_MS);
}

/* Until everybody is done and nothing is on its way any more: stale messages come in last. */
static ps_status run(cluster *c)
{
    ps_status status = PS_OK;
    while (status == PS_OK && !is_watched_enough(c)) {
        c->summary->ended = all_done(c);
        if (c->summary->ended && is_quiet(c))
            break;
        network_event event;
        status = network_next(c->network, &event, c->error);
        if (status == PS_OK)
            status = handle(c, &event);
        if (status == PS_OK)
            status = check_patience(c);
    }
    return status;
}

static void sum_up(const cluster *c)
{
    cluster_summary *sum = c->summary;
    sum->network = *network_count(c->network);
    sum->shrinking = c->scenario.shrinks;
    sum->stops_lost = c->admin.end_is_lost;
    sum->virtual_ms = network_now(c->network);
    if (!c->disk)
        return;
    sum->images_kept = disk_count(c->disk)->kept;
    sum->images_failed = disk_count(c->disk)->failed;
    sum->images_lost = disk_count(c->disk)->lost;
    sum->torn = disk_count(c->disk)->torn;
}

ps_status cluster_run(uint64_t seed, scenario_mode mode, plant_kind planted, const trace *t,
                      cluster_summary *summary, ps_error *error)
{
    cluster c = {.trace = t, .error = error, .summary = summary};
    memset(summary, 0, sizeof *summary);
    ps_status status = build(&c, seed, mode, planted);
    if (status == PS_OK) {
        char text[512];
        scenario_describe(&c.scenario, text, sizeof text);
        trace_line(t, 0, "%s", text);
        status = run(&c);
    }
    if (status == PS_OK && summary->ended)
        status = cluster_check_end(&c);
    if (c.network) {
        sum_up(&c);
        trace_line(t, network_now(c.network), "%s", status == PS_OK ? "all invariants held" : error->text);
    }
    tear_down(&c);
    return status;
}
