/* fault.c - see fault.h. */
#include "tests/sim/fault.h"

#include <string.h>

/* Long enough, seldom, for a ps to think that its workers have gone (ps/shard.h). */
enum {
    LENGTH_MAX_MS = 3000,
    LENGTH_SELDOM_MS = 15000,
};

static uint32_t set_of(uint32_t first, uint32_t count)
{
    return (uint32_t)(((UINT64_C(1) << count) - 1) << first);
}

/* Mostly one; some times several, all of a kind, or everybody. */
static uint32_t choose_hosts(dice *d, uint32_t first, uint32_t count, uint32_t everybody)
{
    if (dice_chance(d, 60))
        return everybody;
    if (dice_chance(d, 150))
        return set_of(first, count);
    uint32_t hosts = 1U << (first + (uint32_t)dice_between(d, 0, count - 1));
    if (dice_chance(d, 150))
        hosts |= 1U << (first + (uint32_t)dice_between(d, 0, count - 1));
    return hosts;
}

/* Short ones are the likelier. */
static uint32_t choose_length(dice *d)
{
    uint32_t most_ms = dice_chance(d, 700) ? LENGTH_MAX_MS / 10 : LENGTH_MAX_MS;
    return (uint32_t)dice_between(d, 0, dice_chance(d, 50) ? LENGTH_SELDOM_MS : most_ms);
}

static uint64_t choose_time(dice *d, uint64_t calm_at_ms)
{
    uint64_t latest_ms = dice_chance(d, 500) ? 300 : 3000;
    return dice_between(d, 1, latest_ms < calm_at_ms ? latest_ms : calm_at_ms - 1);
}

static void add_server_crashes(fault_plan *plan, dice *d, uint32_t servers, uint32_t everybody,
                               uint64_t calm_at_ms)
{
    uint32_t count = (uint32_t)dice_between(d, 1, 4);
    for (uint32_t i = 0; i < count && plan->count < FAULTS_MAX; i++)
        plan->list[plan->count++] = (fault){
            .kind = FAULT_CRASH,
            .moment = (fault_moment)dice_between(d, MOMENT_ANY, MOMENT_RENAMING),
            .hosts = choose_hosts(d, 0, servers, everybody),
            .from_ms = choose_time(d, calm_at_ms),
            .lasts_ms = choose_length(d),
            .again = dice_chance(d, 250) ? (uint32_t)dice_between(d, 1, 2) : 0,
        };
}

static void add_other_crashes(fault_plan *plan, dice *d, uint32_t servers, uint32_t others,
                              uint64_t calm_at_ms)
{
    uint32_t count = (uint32_t)dice_between(d, 1, 4);
    for (uint32_t i = 0; i < count && plan->count < FAULTS_MAX; i++)
        plan->list[plan->count++] = (fault){
            .kind = FAULT_CRASH,
            .moment = (fault_moment)dice_between(d, MOMENT_ANY, MOMENT_AFTER_REPLY),
            .hosts = choose_hosts(d, servers, others, set_of(servers, others)),
            .from_ms = choose_time(d, calm_at_ms),
            .lasts_ms = choose_length(d),
            .again = dice_chance(d, 250) ? (uint32_t)dice_between(d, 1, 2) : 0,
        };
}

static void add_times(fault_plan *plan, dice *d, fault_kind kind, uint32_t hosts, uint64_t calm_at_ms)
{
    uint32_t count = (uint32_t)dice_between(d, 1, 3);
    for (uint32_t i = 0; i < count && plan->count < FAULTS_MAX; i++)
        plan->list[plan->count++] = (fault){
            .kind = kind,
            .hosts = choose_hosts(d, 0, hosts, set_of(0, hosts)),
            .from_ms = choose_time(d, calm_at_ms),
            .lasts_ms = choose_length(d),
        };
}

void fault_choose(fault_plan *plan, dice *d, uint32_t servers, uint32_t others, uint64_t calm_at_ms)
{
    uint32_t hosts = servers + others;
    memset(plan, 0, sizeof *plan);
    if (dice_chance(d, 400))
        add_server_crashes(plan, d, servers, set_of(0, hosts), calm_at_ms);
    if (dice_chance(d, 350))
        add_other_crashes(plan, d, servers, others, calm_at_ms);
    if (dice_chance(d, 200))
        add_times(plan, d, FAULT_PAUSE, hosts, calm_at_ms);
    if (dice_chance(d, 200))
        add_times(plan, d, FAULT_JUMP, hosts, calm_at_ms);
}

void fault_choose_of_logs(fault_plan *plan, dice *d, uint32_t hosts)
{
    for (uint32_t i = 0; i < plan->count; i++)
        if (plan->list[i].kind == FAULT_CRASH && (plan->list[i].hosts & hosts) && dice_chance(d, 500))
            plan->list[i].moment = (fault_moment)dice_between(d, MOMENT_BEFORE_APPEND, MOMENT_BEFORE_KEEP);
}

void fault_choose_losses(fault_plan *plan, dice *d, const fault_losses *losses, uint64_t calm_at_ms)
{
    const uint32_t count = (uint32_t)dice_between(d, 1, 3);
    for (uint32_t i = 0; i < count; i++) {
        const bool stopped = dice_chance(d, 250);
        const uint32_t number = plan->count < FAULTS_MAX ? plan->count++ : i; /* in place of another */
        plan->list[number] = (fault){
            .kind = stopped ? FAULT_PAUSE : FAULT_CRASH,
            .moment = (fault_moment)dice_between(d, MOMENT_ANY, MOMENT_AFTER_REPLY),
            .hosts = choose_hosts(d, losses->first, losses->count, set_of(losses->first, losses->count)),
            .from_ms = choose_time(d, calm_at_ms),
            .lasts_ms = losses->least_ms + (uint32_t)dice_between(d, 0, LENGTH_MAX_MS),
            .for_good = !stopped && dice_chance(d, 400),
        };
    }
}

bool fault_kills(const fault_plan *plan, uint32_t hosts)
{
    for (uint32_t i = 0; i < plan->count; i++)
        if (plan->list[i].kind == FAULT_CRASH && (plan->list[i].hosts & hosts))
            return true;
    return false;
}
