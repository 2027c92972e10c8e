/* journal.c - see journal.h. Nothing is dropped for age: scenarios are short. */
#include "tests/sim/journal.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/dice.h"

typedef struct {
    wire_message *message; /* NULL: a segment begins here */
    bool carried;
    journal_base base;
    uint64_t durable_ms;
} sim_record;

struct sim_journal {
    journal base;
    const scenario *scenario;
    const uint64_t *now_ms;
    dice dice;
    uint32_t count, room;
    sim_record *records; /* a position is an index + 1 */
};

/* With payloads of its own: those that are lent change. */
static wire_message *copy_message(const wire_message *m)
{
    wire_message *copy = wire_create(m->type == WIRE_PUSH_PULL ? WIRE_PUSH : m->type, m->slice_count);
    if (!copy)
        return NULL;
    copy->role = m->role;
    copy->index = m->index;
    copy->incarnation = m->incarnation;
    copy->epoch = m->epoch;
    copy->step = m->step;
    copy->examples = m->examples;
    copy->clip_factor = m->clip_factor;
    copy->nonfinite = m->nonfinite;
    copy->after_finish = m->after_finish;
    copy->has_payload = m->has_payload;
    for (uint32_t i = 0; i < m->slice_count; i++) {
        copy->slices[i] = m->slices[i];
        if (!m->has_payload)
            continue;
        copy->payloads[i] = buffer_alloc(buffer_size(m->payloads[i]));
        if (!copy->payloads[i]) {
            wire_destroy(&copy);
            return NULL;
        }
        memcpy(buffer_data(copy->payloads[i]), buffer_bytes(m->payloads[i]), buffer_size(m->payloads[i]));
    }
    return copy;
}

/* They get durable in their order. */
static uint64_t add(sim_journal *j, sim_record record)
{
    if (j->count == j->room) {
        uint32_t room = j->room ? 2 * j->room : 64;
        sim_record *grown = realloc(j->records, room * sizeof *grown);
        if (!grown) {
            wire_destroy(&record.message);
            return 0;
        }
        j->records = grown;
        j->room = room;
    }
    record.durable_ms = *j->now_ms + dice_between(&j->dice, 0, j->scenario->disk_max_ms);
    if (record.durable_ms < sim_journal_settles_ms(j))
        record.durable_ms = sim_journal_settles_ms(j);
    j->records[j->count++] = record;
    return j->count;
}

static uint64_t sim_begin(journal *self, const journal_base *base, uint64_t kept)
{
    (void)kept;
    return add((sim_journal *)self, (sim_record){.base = *base});
}

static uint64_t sim_append(journal *self, const wire_message *message, bool carried)
{
    wire_message *copy = copy_message(message);
    return copy ? add((sim_journal *)self, (sim_record){.message = copy, .carried = carried}) : 0;
}

static uint64_t sim_durable(const journal *self)
{
    const sim_journal *j = (const sim_journal *)self;
    uint32_t durable = j->count;
    while (durable > 0 && j->records[durable - 1].durable_ms > *j->now_ms)
        durable--;
    return durable;
}

static ps_status sim_open(journal *self, const journal_owner *owner, journal_base *bases, uint32_t *count,
                          ps_error *error)
{
    const sim_journal *j = (const sim_journal *)self;
    (void)owner, (void)error;
    *count = 0;
    for (uint32_t i = j->count; i > 0 && *count < JOURNAL_BASES_MAX; i--) {
        if (j->records[i - 1].message)
            continue;
        bases[(*count)++] = j->records[i - 1].base;
        if (j->records[i - 1].base.leap)
            break;
    }
    return PS_OK;
}

static ps_status sim_replay(journal *self, uint32_t number, journal_take *take, void *context,
                            ps_error *error)
{
    const sim_journal *j = (const sim_journal *)self;
    ps_status status = PS_OK;
    uint32_t at = j->count;
    for (uint32_t found = 0; found <= number; found += !j->records[at].message)
        at--;
    for (bool further = false; ++at < j->count && status == PS_OK;) {
        const sim_record *r = &j->records[at];
        further |= !r->message;
        if (!r->message || (further && r->carried))
            continue;
        wire_message *copy = copy_message(r->message);
        status = copy ? take(context, &copy, r->carried, error) : ps_fail(error, PS_ENOMEM, "out of memory");
        wire_destroy(&copy);
    }
    return status;
}

static const journal_ops sim_ops = {
    .open = sim_open,
    .replay = sim_replay,
    .begin = sim_begin,
    .append = sim_append,
    .durable = sim_durable,
};

sim_journal *sim_journal_create(const scenario *s, const uint64_t *now_ms, uint32_t server)
{
    sim_journal *j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    j->base.ops = &sim_ops;
    j->scenario = s;
    j->now_ms = now_ms;
    j->dice = dice_for(s->seed, "journal", server);
    return j;
}

static void forget_from(sim_journal *j, uint32_t first)
{
    for (uint32_t i = first; i < j->count; i++)
        wire_destroy(&j->records[i].message);
    j->count = first;
}

void sim_journal_destroy(sim_journal **handle)
{
    sim_journal *j = *handle;
    *handle = NULL;
    if (!j)
        return;
    forget_from(j, 0);
    free(j->records);
    free(j);
}

journal *sim_journal_of(sim_journal *j)
{
    return &j->base;
}

uint64_t sim_journal_settles_ms(const sim_journal *j)
{
    return j->count > 0 ? j->records[j->count - 1].durable_ms : 0;
}

/* Some of what was on its way to the disk may have got there. */
void sim_journal_crash(sim_journal *j)
{
    uint32_t durable = (uint32_t)sim_durable(&j->base);
    forget_from(j, durable + (uint32_t)dice_between(&j->dice, 0, j->count - durable));
    for (uint32_t i = durable; i < j->count; i++)
        j->records[i].durable_ms = *j->now_ms;
}
