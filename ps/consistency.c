/* consistency.c - see consistency.h. */
#include "ps/consistency.h"

#include <assert.h>
#include <stdlib.h>

static_assert(JOB_WORKERS_MAX <= UINT16_MAX, "worker_set holds 16-bit numbers");

ps_status consistency_init(consistency *c, const job_config *job)
{
    *c = (consistency){
        .mode = job->mode,
        .workers = job->workers,
        .staleness = job->staleness,
        .backup_workers = job->backup_workers,
        .clocks = calloc(job->workers, sizeof *c->clocks),
    };
    return c->clocks ? PS_OK : PS_ENOMEM;
}

void consistency_fini(consistency *c)
{
    free(c->clocks);
    c->clocks = NULL;
    members_fini(&c->members);
}

static void add(worker_set *set, uint32_t worker)
{
    set->workers[set->count++] = (uint16_t)worker;
}

/* Does anybody wait for this worker's clock to move on? */
static bool is_awaited(const consistency_clock *clock)
{
    return !clock->finished && !clock->absent && !clock->behind;
}

/* Clock of the slowest worker that is still at work; UINT64_MAX if none is. */
static uint64_t slowest(const consistency *c)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t w = 0; w < c->workers; w++)
        if (is_awaited(&c->clocks[w]) && c->clocks[w].pushed < least)
            least = c->clocks[w].pushed;
    return least;
}

/* The furthest step that a worker can push here. With b backups, another shard may have gone on without this
 * worker while this one still collects. Each step that it is ahead by holds n - b workers of its own, who
 * wait for this shard's answer; that leaves room for (n - 1) / (n - b) <= b such steps beside the worker that
 * pushes. */
static uint64_t furthest_step(const consistency *c, const consistency_clock *clock)
{
    if (c->mode == CONSISTENCY_SYNC)
        return c->applied + c->backup_workers + 1;
    return clock->pushed + 1;
}

ps_status consistency_judge(const consistency *c, uint32_t worker, uint64_t step, arrival *verdict,
                            ps_error *error)
{
    if (worker >= c->workers)
        return ps_fail(error, PS_EPROTOCOL, "worker %u: the job has workers 0 to %u", worker, c->workers - 1);
    const consistency_clock *clock = &c->clocks[worker];
    if (step <= clock->pushed) {
        *verdict = ARRIVAL_REPEAT;
        return PS_OK;
    }
    if (c->mode == CONSISTENCY_SYNC && step <= c->applied) {
        *verdict = ARRIVAL_LATE;
        return PS_OK;
    }
    if (c->mode == CONSISTENCY_SYNC && !members_include(&c->members, worker, step))
        return ps_fail(error, PS_EPROTOCOL, "worker %u pushes step %llu, in which it takes no part", worker,
                       (unsigned long long)step);
    if (clock->finished)
        return ps_fail(error, PS_EPROTOCOL, "worker %u pushes step %llu after it said it had finished",
                       worker, (unsigned long long)step);
    bool early = c->mode == CONSISTENCY_SSP && !c->resumed && !consistency_may_answer(c, step - 1);
    if (clock->waiting || early || step > furthest_step(c, clock))
        return ps_fail(error, PS_EPROTOCOL, "worker %u pushes step %llu before its step %llu is answered",
                       worker, (unsigned long long)step, (unsigned long long)(step - 1));
    *verdict = ARRIVAL_FRESH;
    return PS_OK;
}

void consistency_arrive(consistency *c, uint32_t worker, uint64_t step)
{
    consistency_clock *clock = &c->clocks[worker];
    assert(step > clock->pushed && !clock->waiting);
    clock->before = clock->pushed;
    clock->pushed = step;
    clock->waiting = true;
    clock->behind = clock->behind && step + c->staleness < slowest(c);
}

void consistency_resume(consistency *c, uint64_t applied, const uint64_t *pushed, uint32_t count)
{
    uint64_t least = count > 0 ? UINT64_MAX : 0;
    for (uint32_t i = 0; i < count; i++)
        least = pushed[i] < least ? pushed[i] : least;
    c->applied = applied;
    c->resumed = applied > 0;
    for (uint32_t w = 0; w < c->workers; w++) {
        uint64_t from = count == c->workers ? pushed[w] : least;
        c->clocks[w] = (consistency_clock){.pushed = c->mode == CONSISTENCY_SYNC ? applied : from,
                                           .absent = c->clocks[w].absent};
    }
}

void consistency_set_members(consistency *c, members_list *list)
{
    members_fini(&c->members);
    c->members = *list;
    *list = (members_list){.version = 0};
}

void consistency_set_absent(consistency *c, uint32_t worker, bool absent)
{
    consistency_clock *clock = &c->clocks[worker];
    clock->behind |= clock->absent && !absent && c->mode == CONSISTENCY_SSP;
    clock->absent = absent;
}

bool consistency_awaits_end(const consistency *c, uint32_t worker)
{
    return !c->clocks[worker].absent && members_include(&c->members, worker, MEMBERS_NEVER);
}

void consistency_forget(consistency *c, uint32_t worker)
{
    consistency_clock *clock = &c->clocks[worker];
    if (clock->waiting)
        clock->pushed = clock->before;
    clock->waiting = false;
}

static bool sync_ready(const consistency *c, uint64_t *step, worker_set *contributors)
{
    uint32_t expected = 0;
    for (uint32_t w = 0; w < c->workers; w++) {
        const consistency_clock *clock = &c->clocks[w];
        const bool contributes = clock->waiting && clock->pushed == c->applied + 1;
        if (contributes)
            add(contributors, w);
        /* One that has finished: but its last gradient counts. */
        expected += contributes || (!clock->finished && members_include(&c->members, w, c->applied + 1));
    }
    uint32_t needed = expected > c->backup_workers ? expected - c->backup_workers : 1;
    *step = c->applied + 1;
    return contributors->count > 0 && contributors->count >= needed;
}

bool consistency_ready(const consistency *c, uint64_t *step, worker_set *contributors)
{
    contributors->count = 0;
    if (c->mode == CONSISTENCY_SYNC)
        return sync_ready(c, step, contributors);
    for (uint32_t w = 0; w < c->workers; w++) {
        if (c->clocks[w].waiting) {
            add(contributors, w);
            *step = c->clocks[w].pushed;
            return true;
        }
    }
    return false;
}

void consistency_applied(consistency *c, uint64_t step, const worker_set *contributors)
{
    if (c->mode == CONSISTENCY_SYNC) {
        assert(step == c->applied + 1);
        c->applied = step;
    } else {
        c->applied++;
    }
    for (uint32_t i = 0; i < contributors->count; i++)
        c->clocks[contributors->workers[i]].waiting = false;
}

bool consistency_settled(const consistency *c, uint32_t worker, uint64_t step)
{
    return step <= c->clocks[worker].pushed || (c->mode == CONSISTENCY_SYNC && step <= c->applied);
}

bool consistency_may_answer(const consistency *c, uint64_t step)
{
    switch (c->mode) {
    case CONSISTENCY_SYNC:
        return step <= c->applied;
    case CONSISTENCY_SSP:
        return step <= c->staleness || slowest(c) >= step - c->staleness;
    case CONSISTENCY_ASYNC:
        break;
    }
    return true;
}

void consistency_conclude(consistency *c, uint32_t worker)
{
    c->clocks[worker].behind |= c->mode == CONSISTENCY_SSP;
}

void consistency_finish(consistency *c, uint32_t worker)
{
    c->clocks[worker].finished = true;
}

bool consistency_all_finished(const consistency *c)
{
    for (uint32_t w = 0; w < c->workers; w++)
        if (!c->clocks[w].finished && consistency_awaits_end(c, w))
            return false;
    return true;
}

void consistency_missing(const consistency *c, uint64_t step, worker_set *missing)
{
    missing->count = 0;
    for (uint32_t w = 0; w < c->workers; w++) {
        const consistency_clock *clock = &c->clocks[w];
        uint64_t wanted = step;
        if (c->mode == CONSISTENCY_SSP)
            wanted = step > c->staleness ? step - c->staleness : 0;
        const bool member = c->mode != CONSISTENCY_SYNC || members_include(&c->members, w, wanted);
        if (is_awaited(clock) && clock->pushed < wanted && member)
            add(missing, w);
    }
}
