/* fault.c - see fault.h. */
#include "tests/sim/fault.h"

#include <string.h>

/* Long enough, seldom, for a ps to think that its workers have gone (ps/shard.h). */
enum {
    LENGTH_MAX_MS = 3000,
    LENGTH_SELDOM_MS = 15000,
    LATER_MAX_MS = 1500, /* from when a worker's loss can be known to a crash that follows */
    LOSSES_MAX = 3,
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

static void choose_loss(fault *f, dice *d, const fault_losses *losses, uint64_t calm_at_ms)
{
    const bool stopped = dice_chance(d, 250);
    *f = (fault){
        .kind = stopped ? FAULT_PAUSE : FAULT_CRASH,
        .moment = (fault_moment)dice_between(d, MOMENT_ANY, MOMENT_AFTER_REPLY),
        .hosts = choose_hosts(d, losses->first, losses->count, set_of(losses->first, losses->count)),
        .from_ms = choose_time(d, calm_at_ms),
        .lasts_ms = losses->least_ms + (uint32_t)dice_between(d, 0, LENGTH_MAX_MS),
        .for_good = !stopped && dice_chance(d, 400),
    };
}

/* About when the others have found out: of a ps, of all of them, or of the chief. */
static void choose_crash_after_loss(fault *f, dice *d, const fault_losses *losses, uint64_t lost_ms,
                                    uint64_t calm_at_ms)
{
    const uint32_t chief = losses->first - 1;
    const uint64_t found_ms = lost_ms + losses->least_ms + dice_between(d, 0, LATER_MAX_MS);
    *f = (fault){
        .kind = FAULT_CRASH,
        .moment = (fault_moment)dice_between(d, MOMENT_ANY, MOMENT_RENAMING),
        .hosts = dice_chance(d, 250) ? 1U << chief : choose_hosts(d, 0, chief, set_of(0, chief + 1)),
        .from_ms = found_ms < calm_at_ms ? found_ms : calm_at_ms - 1,
        .lasts_ms = choose_length(d),
        .again = dice_chance(d, 250) ? (uint32_t)dice_between(d, 1, 2) : 0,
    };
}

void fault_choose_losses(fault_plan *plan, dice *d, const fault_losses *losses, uint64_t calm_at_ms)
{
    const uint32_t count = (uint32_t)dice_between(d, 1, LOSSES_MAX);
    for (uint32_t i = 0; i < count; i++) { /* in place of others, if need be */
        fault *lost = &plan->list[plan->count < FAULTS_MAX ? plan->count++ : i];
        choose_loss(lost, d, losses, calm_at_ms);
        fault *later = &plan->list[plan->count < FAULTS_MAX ? plan->count++ : LOSSES_MAX + i];
        if (dice_chance(d, 500))
            choose_crash_after_loss(later, d, losses, lost->from_ms, calm_at_ms);
        else if (later->hosts == 0)
            plan->count--;
    }
}

bool fault_kills(const fault_plan *plan, uint32_t hosts)
{
    for (uint32_t i = 0; i < plan->count; i++)
        if (plan->list[i].kind == FAULT_CRASH && (plan->list[i].hosts & hosts))
            return true;
    return false;
}
