/* sampler.c - see sampler.h. */
#include "worker/sampler.h"

#include <assert.h>

#include "common/random.h"

ps_status sampler_check(const sampler *s, ps_error *error)
{
    if (s->rows == 0)
        return ps_fail(error, PS_EINVAL, "the training set has no rows; check the data folder");
    if (s->workers == 0)
        return ps_fail(error, PS_EINVAL, "0 workers cannot share a training set; there must be at least 1");
    if (s->batch == 0)
        return ps_fail(error, PS_EINVAL, "the batch size is 0; it must be at least 1");
    return PS_OK;
}

static uint64_t steps_for(uint64_t rows, uint64_t batch)
{
    return rows / batch + (rows % batch != 0);
}

uint64_t sampler_steps_per_epoch(const sampler *s)
{
    return steps_for(s->rows, (uint64_t)s->workers * s->batch); /* two 32-bit factors: no overflow */
}

/* Where the rows of a step begin: `position` rows of the epoch have been drawn before. */
typedef struct {
    uint64_t step;
    uint64_t epoch, position;
    uint32_t takers;  /* members of that step */
    uint32_t changes; /* of members, that have taken effect by then */
} place;

static void take_changes(const sampler *s, place *p)
{
    const members_list *m = s->members;
    for (; m && p->changes < m->count && m->changes[p->changes].from <= p->step; p->changes++)
        p->takers = m->changes[p->changes].enters ? p->takers + 1 : p->takers - 1;
}

static place first_place(const sampler *s)
{
    place p = {.step = 1, .takers = s->workers};
    take_changes(s, &p);
    return p;
}

static uint64_t rows_of_step(const sampler *s, const place *p)
{
    return (uint64_t)p->takers * s->batch;
}

/* `steps` further, between which no change of members takes effect. */
static void advance(const sampler *s, place *p, uint64_t steps)
{
    const uint64_t batch = rows_of_step(s, p), left = steps_for(s->rows - p->position, batch);
    p->step += steps;
    if (steps < left) {
        p->position += steps * batch;
    } else {
        const uint64_t per_epoch = steps_for(s->rows, batch);
        steps -= left;
        p->epoch += 1 + steps / per_epoch;
        p->position = steps % per_epoch * batch;
    }
    take_changes(s, p);
}

/* Up to which step, at most `limit`, the members are those of the place; exclusive. */
static uint64_t stretch_end(const sampler *s, const place *p, uint64_t limit)
{
    const bool changes = s->members && p->changes < s->members->count;
    return changes && s->members->changes[p->changes].from < limit ? s->members->changes[p->changes].from
                                                                   : limit;
}

static place find_place(const sampler *s, uint64_t step)
{
    place p = first_place(s);
    while (p.step < step)
        advance(s, &p, stretch_end(s, &p, step) - p.step);
    return p;
}

uint64_t sampler_last_step(const sampler *s, uint64_t epochs)
{
    place p = first_place(s);
    while (p.epoch < epochs) {
        const uint64_t batch = rows_of_step(s, &p), per_epoch = steps_for(s->rows, batch);
        const uint64_t left = steps_for(s->rows - p.position, batch) + (epochs - p.epoch - 1) * per_epoch;
        advance(s, &p, stretch_end(s, &p, p.step + left) - p.step);
    }
    return p.step - 1;
}

double sampler_epochs_done(const sampler *s, uint64_t step)
{
    const place next = find_place(s, step + 1);
    return (double)next.epoch + (double)next.position / (double)s->rows;
}

uint32_t sampler_rows(const sampler *s, uint64_t step, uint32_t rank, uint64_t *rows)
{
    assert(step >= 1 && rank < s->workers);
    if (s->members && !members_include(s->members, rank, step))
        return 0;
    const place p = find_place(s, step);
    /* Compared as distances: a sum of positions could overflow where `rows` is near 2^64. */
    uint64_t left = s->rows - p.position;
    const uint32_t order = s->members ? members_order(s->members, rank, step) : rank;
    const uint64_t before = (uint64_t)order * s->batch;
    if (before >= left)
        return 0;
    left -= before;
    uint32_t count = left < s->batch ? (uint32_t)left : s->batch;
    for (uint32_t i = 0; i < count; i++)
        rows[i] = random_shuffle(s->seed, p.epoch, s->rows, p.position + before + i);
    return count;
}
