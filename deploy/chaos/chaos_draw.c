/* chaos_draw.c - a plan of faults from a seed: chaos_plan_draw of chaos_plan.h. */
#include "common/random.h"
#include "deploy/chaos/chaos_plan.h"

/* Of generated plans: long enough to be noticed, short enough for many. */
enum {
    LASTS_MIN_MS = 100,
    LASTS_MAX_MS = 1200,
    DELAY_MAX_MS = 40,
    RATE_MIN = 1 << 20, /* bytes per second: several steps of a small model */
    RATE_MAX = 16 << 20,
    PROCESS_KINDS = 3, /* the first of the kinds */
    LOSS_MAX = 5,      /* percent: TCP takes more for a dead line */
    REORDER_MAX = 30,
};

/* When faults come, as fractions of the training: what comes later may find it at its end. */
#define FIRST_AT 0.03
#define LAST_AT  0.93

typedef struct {
    uint64_t key, position;
} dice;

static uint64_t roll(dice *d, uint64_t sides)
{
    return random_at(d->key, d->position++) % sides;
}

static uint64_t roll_between(dice *d, uint64_t least, uint64_t most)
{
    return least + roll(d, most - least + 1);
}

/* Any but the first, if there is another. */
static size_t roll_other(dice *d, size_t count)
{
    return count > 1 ? 1 + (size_t)roll(d, count - 1) : 0;
}

static fault draw_fault(dice *d, fault_kind kind, size_t workers, size_t servers)
{
    fault f = {.kind = kind, .clock = AT_FRACTION, .worker = CHAOS_ANY, .server = CHAOS_ANY};
    uint64_t lasts = roll_between(d, LASTS_MIN_MS, LASTS_MAX_MS);
    f.for_ms = fault_kind_lasts(kind) ? (uint32_t)lasts : 0;
    f.direction = kind == FAULT_PARTITION ? (roll(d, 2) ? CHAOS_UP : CHAOS_DOWN) : CHAOS_BOTH;
    f.delay_ms = (uint32_t)roll_between(d, 1, DELAY_MAX_MS);
    f.jitter_ms = (uint32_t)roll_between(d, 0, DELAY_MAX_MS);
    f.bytes_per_s = roll_between(d, RATE_MIN, RATE_MAX);
    if (fault_kind_takes_packets(kind))
        f.percent = (double)roll_between(d, 1, kind == FAULT_LOSS ? LOSS_MAX : REORDER_MAX);
    switch (fault_kind_reach(kind)) {
    case DISTURBS_PROCESS:
        if (roll(d, 2))
            f.server = roll(d, servers);
        else
            f.worker = roll(d, workers);
        break;
    case DISTURBS_LINK: {
        uint64_t which = roll(d, 4); /* all links of a ps, of a worker, or one */
        f.server = which != 0 ? roll(d, servers) : CHAOS_ANY;
        f.worker = which != 1 ? roll(d, workers) : CHAOS_ANY;
        break;
    }
    case DISTURBS_DISK:
        f.server = roll(d, servers);
        break;
    }
    return f;
}

/* One of each role and kind of a process that counts: whom the faults of processes must not leave out. */
static void give_role(dice *d, fault *f, size_t role, size_t workers, size_t servers)
{
    f->worker = f->server = CHAOS_ANY;
    switch (role) {
    case 0:
        f->server = 0;
        break;
    case 1:
        f->worker = 0; /* the chief */
        break;
    case 2:
        f->server = roll_other(d, servers);
        break;
    default:
        f->worker = roll_other(d, workers);
        break;
    }
}

static void shuffle(dice *d, fault *faults, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = (size_t)roll(d, i);
        fault held = faults[i - 1];
        faults[i - 1] = faults[other];
        faults[other] = held;
    }
}

/* The kinds that there can be, by their number; returns how many. */
static size_t list_kinds(bool disks, bool packets, fault_kind kinds[FAULT_KINDS])
{
    size_t count = 0;
    for (int i = 0; i < FAULT_KINDS; i++) {
        bool can_be = (disks || fault_kind_reach((fault_kind)i) != DISTURBS_DISK) &&
                      (packets || !fault_kind_takes_packets((fault_kind)i));
        if (can_be)
            kinds[count++] = (fault_kind)i;
    }
    return count;
}

void chaos_plan_draw(uint64_t seed, size_t faults, size_t workers, size_t servers, bool disks, bool packets,
                     chaos_plan *plan)
{
    enum { ROLES = 4 };
    dice d = {.key = random_key(seed, "chaos", 0)};
    fault_kind kinds[FAULT_KINDS];
    size_t count = list_kinds(disks, packets, kinds);
    plan->share_memory = roll(&d, 2);
    plan->count = 0;
    for (size_t i = 0; i < count; i++)
        plan->faults[plan->count++] = draw_fault(&d, kinds[i], workers, servers);
    size_t rotated = (size_t)roll(&d, ROLES);
    for (size_t i = 0; i < ROLES; i++) {
        if (i == PROCESS_KINDS)
            plan->faults[plan->count++] = draw_fault(&d, FAULT_KILL, workers, servers);
        give_role(&d, &plan->faults[i < PROCESS_KINDS ? i : plan->count - 1], (i + rotated) % ROLES, workers,
                  servers);
    }
    while (plan->count < faults && plan->count < CHAOS_FAULTS_MAX)
        plan->faults[plan->count++] = draw_fault(&d, kinds[roll(&d, count)], workers, servers);
    shuffle(&d, plan->faults, plan->count);
    bool at_the_end = roll(&d, 2);
    double share = (LAST_AT - FIRST_AT) / (double)plan->count;
    for (size_t i = 0; i < plan->count; i++)
        plan->faults[i].at = FIRST_AT + share * ((double)i + (double)roll(&d, 1000) / 1000);
    if (at_the_end)
        plan->faults[plan->count - 1].at = 1;
}
