/* cluster_end.c - what must hold in the end. See cluster_state.h. */
#include <string.h>

#include "tests/sim/cluster_state.h"

/* What it told the others before it died, this ps may not have heard. */
static bool someone_died_amid_its_farewell(const cluster *c)
{
    for (uint32_t i = 0; i < c->node_count; i++)
        if (c->nodes[i].said_all)
            return true;
    return false;
}

/* Who dies amid a step as the job is ended, without synchrony, does not do it again. */
static bool someone_may_have_left_a_step(const cluster *c)
{
    bool died = false;
    for (uint32_t w = 0; w < c->scenario.job.workers; w++)
        died |= c->nodes[c->scenario.job.servers + w].incarnation > 1;
    return died && ledger_end(c->ledger) > 0;
}

/* Of a ps that has never been lost. One that has may have come back when nobody was there any more. */
static ps_status check_saw_the_end(const cluster *c, const node *n)
{
    const job_config *job = &c->scenario.job;
    if (someone_died_amid_its_farewell(c))
        return PS_OK;
    if (!n->ended && !(n->shard && shard_finished(n->shard)))
        return ps_fail(c->error, PS_EINTERNAL, "ps/%u does not know that the job has ended", n->index);
    if (!n->shard)
        return PS_OK;
    const bool sync = job->mode == CONSISTENCY_SYNC;
    uint64_t updates = sync ? ledger_last_step(c->ledger, NULL) : 0;
    for (uint32_t w = 0; w < job->workers && !sync; w++)
        updates += ledger_steps_of(c->ledger, w);
    uint64_t applied = shard_count(n->shard)->steps_applied;
    const bool may_lack = !sync && applied < updates && someone_may_have_left_a_step(c);
    if (partition_server_count(&c->partition, n->index) > 0 && applied != updates && !may_lack)
        return ps_fail(c->error, PS_EINTERNAL, "ps/%u has applied %llu updates of %llu", n->index,
                       (unsigned long long)applied, (unsigned long long)updates);
    return PS_OK;
}

ps_status cluster_check_end(const cluster *c)
{
    const job_config *job = &c->scenario.job;
    ps_status status = PS_OK;
    for (uint32_t i = 0; i < job->servers && status == PS_OK; i++) {
        const node *n = &c->nodes[i];
        if (c->oracle)
            status = check_saw_the_end(c, n);
        if (status == PS_OK && n->shard)
            status = ledger_check_end(c->ledger, i, n->shard, c->error);
    }
    if (status == PS_OK && c->oracle && scenario_is_exact(&c->scenario) &&
        memcmp(oracle_weights(c->oracle),
               trajectory_version(&c->trajectory, NULL, ledger_last_step(c->ledger, NULL)),
               c->trajectory.elements * sizeof(float)) != 0)
        return ps_fail(c->error, PS_EINTERNAL,
                       "sync: the final weights are not those of a run without faults");
    return status;
}
