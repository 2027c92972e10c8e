/* cluster_faults.c - kills, stops and misleads the processes of a simulated cluster. See cluster_state.h.
 *
 * A fault wakes when it is due. A crash of a certain moment then waits for the first of its hosts to come to
 * that moment, and befalls all of them together. */
#include "ps/shard_state.h"
#include "tests/sim/cluster_state.h"

enum {
    LOOK_MS = 2,            /* how often a crash that waits for an image looks for one */
    AGAIN_MAX_MS = 60,      /* from a start to the crash that follows it */
    REPEAT_MAX_MS = 900,    /* from a fault to the next, where they never stop */
    REPLACED_MAX_MS = 2000, /* from the end of a worker that has been replaced to its next start */
};

static bool hits(const fault *f, const node *n)
{
    return f->hosts >> n->host & 1;
}

/* ---- crashes ---- */

/* The end of one that is lost is not waited for: then the chief is the only one to finish. */
static bool is_near_the_end(const cluster *c, const trainee *t)
{
    return trainee_has_finished(t) || (c->scenario.shrinks && trainee_concludes(t));
}

static bool anyone_finishes(const cluster *c)
{
    for (uint32_t i = c->scenario.job.servers; i < c->node_count; i++)
        if (c->nodes[i].trainee && is_near_the_end(c, c->nodes[i].trainee))
            return true;
    return false;
}

/* See cluster.h for what is not promised. */
static bool may_crash(const cluster *c, const node *n)
{
    if (!cluster_is_up(n) || n->stands_in)
        return false;
    if (cluster_is_server(n))
        return c->disk || !anyone_finishes(c);
    return !trainee_done(n->trainee) && c->addresses + ADDRESSES_RESERVED < NETWORK_ADDRESSES_MAX;
}

static ps_status kill_process(cluster *c, node *n, fault_moment moment)
{
    if (!cluster_is_server(n)) {
        n->said_all |= trainee_said_all(n->trainee, c->disk || c->scenario.job.backup_workers > 0);
        n->said_some |= trainee_has_finished(n->trainee);
        if (n->role == WIRE_WORKER && n->index == 0)
            cluster_end_stand_ins(c);
        network_close(c->network, n->address);
        trainee_destroy(&n->trainee);
        return cluster_take_address(c, n);
    }
    c->summary->moments[moment]++;
    if (moment != MOMENT_AFTER_REPLY)
        network_drop_unsent(c->network, n->address);
    shard_destroy(&n->shard);
    plant_crashed(c->plant, n->index);
    if (c->disk)
        disk_crash(c->disk, n->index, moment == MOMENT_BEFORE_APPEND ? n->log_end : UINT64_MAX);
    if (n->history)
        history_crash(n->history);
    return PS_OK;
}

static ps_status crash(cluster *c, node *n, fault_moment moment, uint64_t down_ms)
{
    static const char *const texts[] = {
#define MOMENT_TEXT(name, text) text,
        FAULT_MOMENT_LIST(MOMENT_TEXT)
#undef MOMENT_TEXT
    };
    const uint64_t now_ms = network_now(c->network);
    char name[TRACE_NAME_BYTES];
    snprintf(name, sizeof name, "%.20s (down)", network_name_of(c->network, n->address));
    trace_line(c->trace, now_ms, "%s crashes%s, for %llu ms", network_name_of(c->network, n->address),
               texts[moment], (unsigned long long)down_ms);
    c->summary->crashes++;
    network_pause(c->network, n->host, 0);
    ps_status status = kill_process(c, n, moment);
    n->end_at_ms = n->crash_at_ms = n->log_at_ms = 0;
    n->wake_at_ms = now_ms + down_ms;
    if (n->again > 0) {
        n->again--;
        n->crash_at_ms = n->wake_at_ms + dice_between(&c->dice, 0, AGAIN_MAX_MS);
    }
    network_open(c->network, n->address, n->host, name);
    return status == PS_OK ? network_wake(c->network, n->address, n->wake_at_ms) : status;
}

/* Where faults never stop it comes again. */
static ps_status end_fault(cluster *c, fault *f, fault_state *state, uint32_t number)
{
    state->due = false;
    state->over = c->scenario.mode == MODE_LIVENESS;
    if (state->over)
        return PS_OK;
    return network_wake(c->network, cluster_fault_address(c, number),
                        network_now(c->network) + f->lasts_ms + dice_between(&c->dice, 1, REPEAT_MAX_MS));
}

static ps_status crash_all(cluster *c, uint32_t number, fault_moment moment)
{
    fault *f = &c->scenario.faults.list[number];
    ps_status status = PS_OK;
    for (uint32_t i = 0; i < c->node_count && status == PS_OK; i++) {
        node *n = &c->nodes[i];
        if (!hits(f, n) || !may_crash(c, n))
            continue;
        n->again = f->again;
        n->for_good = f->for_good;
        status = crash(c, n, moment, f->lasts_ms);
    }
    return status == PS_OK ? end_fault(c, f, &c->faults[number], number) : status;
}

ps_status cluster_crash_at(cluster *c, const node *n, fault_moment moment, bool *crashed)
{
    *crashed = false;
    for (uint32_t i = 0; i < c->scenario.faults.count; i++) {
        const fault *f = &c->scenario.faults.list[i];
        if (!c->faults[i].due || f->moment != moment || !hits(f, n) || cluster_is_calm(c))
            continue;
        if (moment == MOMENT_WRITING && !(c->disk && disk_is_writing(c->disk, n->index)))
            continue;
        if (moment == MOMENT_BEFORE_KEEP && !n->shard->held_image)
            continue;
        ps_status status = crash_all(c, i, moment);
        *crashed = !cluster_is_up(n);
        if (status != PS_OK || *crashed)
            return status;
    }
    return PS_OK;
}

ps_status cluster_end_replaced(cluster *c, node *n)
{
    n->for_good = dice_chance(&c->dice, 300);
    n->given_up = true;
    c->summary->replaced++;
    return crash(c, n, MOMENT_ANY, dice_between(&c->dice, 1, REPLACED_MAX_MS));
}

ps_status cluster_end_for_log(cluster *c, node *n)
{
    return crash(c, n, MOMENT_LOG_FAILED, dice_between(&c->dice, 1, AGAIN_MAX_MS));
}

ps_status cluster_crash_again(cluster *c, node *n, bool *crashed)
{
    *crashed = false;
    if (n->crash_at_ms == 0 || network_now(c->network) < n->crash_at_ms || cluster_is_calm(c))
        return PS_OK;
    n->crash_at_ms = 0;
    *crashed = may_crash(c, n);
    return *crashed ? crash(c, n, MOMENT_ANY, dice_between(&c->dice, 0, AGAIN_MAX_MS)) : PS_OK;
}

/* ---- when they are due ---- */

uint32_t cluster_fault_address(const cluster *c, uint32_t number)
{
    return c->scenario.job.servers + number;
}

ps_status cluster_plan_faults(cluster *c)
{
    ps_status status = PS_OK;
    for (uint32_t i = 0; i < c->scenario.faults.count && status == PS_OK; i++) {
        /* On a host that nothing befalls. */
        network_open(c->network, cluster_fault_address(c, i), NETWORK_HOSTS_MAX - 1, "a fault");
        status = network_wake(c->network, cluster_fault_address(c, i), c->scenario.faults.list[i].from_ms);
    }
    return status;
}

static ps_status pause_all(cluster *c, uint32_t number)
{
    fault *f = &c->scenario.faults.list[number];
    const uint64_t until_ms = network_now(c->network) + f->lasts_ms;
    for (uint32_t i = 0; i < c->node_count; i++) {
        const node *n = &c->nodes[i];
        if (!hits(f, n) || !cluster_is_up(n))
            continue;
        trace_line(c->trace, network_now(c->network), "%s is stopped until %llu ms",
                   network_name_of(c->network, n->address), (unsigned long long)until_ms);
        network_pause(c->network, n->host, until_ms);
        c->summary->pauses++;
    }
    return end_fault(c, f, &c->faults[number], number);
}

static ps_status jump_all(cluster *c, uint32_t number)
{
    fault *f = &c->scenario.faults.list[number];
    for (uint32_t i = 0; i < c->node_count; i++) {
        if (!hits(f, &c->nodes[i]) || (c->nodes[i].stands_in && !cluster_is_up(&c->nodes[i])))
            continue;
        trace_line(c->trace, network_now(c->network), "the clock of %s goes %u ms forward",
                   network_name_of(c->network, c->nodes[i].address), f->lasts_ms);
        c->nodes[i].clock_ms += f->lasts_ms;
        c->summary->jumps++;
    }
    return end_fault(c, f, &c->faults[number], number);
}

static bool is_renaming(const cluster *c, const fault *f)
{
    for (uint32_t i = 0; c->disk && i < c->scenario.job.servers; i++)
        if (hits(f, &c->nodes[i]) && disk_is_renaming(c->disk, i))
            return true;
    return false;
}

ps_status cluster_fault_wakes(cluster *c, uint32_t number)
{
    const fault *f = &c->scenario.faults.list[number];
    fault_state *state = &c->faults[number];
    if (state->over || cluster_is_calm(c))
        return PS_OK;
    state->due = true;
    if (f->kind == FAULT_PAUSE)
        return pause_all(c, number);
    if (f->kind == FAULT_JUMP)
        return jump_all(c, number);
    if (f->moment == MOMENT_ANY || (f->moment == MOMENT_RENAMING && is_renaming(c, f)))
        return crash_all(c, number, f->moment);
    if (f->moment == MOMENT_RENAMING)
        return network_wake(c->network, cluster_fault_address(c, number), network_now(c->network) + LOOK_MS);
    return PS_OK;
}
