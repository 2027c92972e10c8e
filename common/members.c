/* members.c - see members.h. */
#include "common/members.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/job.h"

void members_fini(members_list *m)
{
    free(m->changes);
    *m = (members_list){.version = 0};
}

ps_status members_copy(const members_list *from, members_list *to)
{
    *to = (members_list){.version = 0};
    if (from->count > 0) {
        to->changes = malloc(from->count * sizeof *to->changes);
        if (!to->changes)
            return PS_ENOMEM;
        memcpy(to->changes, from->changes, from->count * sizeof *to->changes);
    }
    to->version = from->version;
    to->count = from->count;
    return PS_OK;
}

ps_status members_add(members_list *m, const members_change *change, ps_error *error)
{
    if (m->count == MEMBERS_CHANGES_MAX)
        return ps_fail(error, PS_ELIMIT, "workers have come and gone %u times, which is the limit", m->count);
    members_change *grown = realloc(m->changes, (m->count + 1) * sizeof *grown);
    if (!grown)
        return ps_fail(error, PS_ENOMEM, "out of memory for a change of members");
    grown[m->count++] = *change;
    m->changes = grown;
    return PS_OK;
}

/* After the first `count` changes. */
static bool included_after(const members_list *m, uint32_t worker, uint32_t count)
{
    for (uint32_t i = count; i > 0; i--)
        if (m->changes[i - 1].worker == worker)
            return m->changes[i - 1].enters;
    return true;
}

ps_status members_check(const members_list *m, uint32_t workers, ps_error *error)
{
    if (m->count > MEMBERS_CHANGES_MAX)
        return ps_fail(error, PS_EPROTOCOL, "a list of %u changes of members; at most %d are allowed",
                       m->count, MEMBERS_CHANGES_MAX);
    if ((m->version == 0) != (m->count == 0) || m->version == UINT64_MAX)
        return ps_fail(error, PS_EPROTOCOL, "a list of %u changes of members has version %llu", m->count,
                       (unsigned long long)m->version);
    for (uint32_t i = 0; i < m->count; i++) {
        const members_change *change = &m->changes[i];
        const uint64_t least = i > 0 ? m->changes[i - 1].from : 1;
        if (change->worker == 0 || change->worker >= workers || change->from < least ||
            change->from > MEMBERS_STEP_MAX || included_after(m, change->worker, i) == change->enters)
            return ps_fail(error, PS_EPROTOCOL,
                           "change %u of members is impossible: worker %u of %u %s from step %llu on", i,
                           change->worker, workers, change->enters ? "enters" : "leaves",
                           (unsigned long long)change->from);
    }
    return PS_OK;
}

/* The number of changes that have taken effect by `step`. */
static uint32_t effective(const members_list *m, uint64_t step)
{
    uint32_t count = m->count;
    while (count > 0 && m->changes[count - 1].from > step)
        count--;
    return count;
}

bool members_include(const members_list *m, uint32_t worker, uint64_t step)
{
    return included_after(m, worker, effective(m, step));
}

uint32_t members_order(const members_list *m, uint32_t worker, uint64_t step)
{
    uint32_t order = worker;
    const uint32_t count = effective(m, step);
    for (uint32_t i = 0; i < count; i++)
        if (m->changes[i].worker < worker)
            order = m->changes[i].enters ? order + 1 : order - 1;
    return order;
}

uint32_t members_count(const members_list *m, uint32_t workers, uint64_t step)
{
    return members_order(m, workers, step);
}

uint64_t members_first_step(const members_list *m, uint32_t worker, uint64_t step)
{
    if (members_include(m, worker, step))
        return step;
    for (uint32_t i = effective(m, step); i < m->count; i++)
        if (members_include(m, worker, m->changes[i].from))
            return m->changes[i].from;
    return MEMBERS_NEVER;
}

uint64_t members_next_change(const members_list *m, uint64_t step)
{
    const uint32_t count = effective(m, step);
    return count < m->count ? m->changes[count].from : MEMBERS_NEVER;
}

/* Lets the changes of a list that take effect by `step` do so, from number `*next` on. `apart`: of each
 * worker, do the lists differ? Returns by how many workers more they do. */
static int32_t let_take_effect(const members_list *m, uint32_t *next, uint64_t step, bool *apart)
{
    int32_t more = 0;
    for (; *next < m->count && m->changes[*next].from <= step; ++*next) {
        bool *differs = &apart[m->changes[*next].worker];
        *differs = !*differs; /* each change changes something */
        more += *differs ? 1 : -1;
    }
    return more;
}

static uint64_t step_of(const members_list *m, uint32_t number)
{
    return number < m->count ? m->changes[number].from : MEMBERS_NEVER;
}

uint64_t members_first_difference(const members_list *a, const members_list *b, uint32_t workers)
{
    assert(workers <= JOB_WORKERS_MAX);
    bool apart[JOB_WORKERS_MAX] = {false};
    int32_t count = 0;
    for (uint32_t next_a = 0, next_b = 0;;) {
        const uint64_t in_a = step_of(a, next_a), in_b = step_of(b, next_b), step = in_a < in_b ? in_a : in_b;
        if (step == MEMBERS_NEVER)
            return MEMBERS_NEVER;
        count += let_take_effect(a, &next_a, step, apart) + let_take_effect(b, &next_b, step, apart);
        if (count > 0)
            return step;
    }
}

void members_hasten(members_list *m, uint64_t step)
{
    for (uint32_t i = effective(m, step); i < m->count; i++)
        m->changes[i].from = step;
}
