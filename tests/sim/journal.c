/* journal.c - see journal.h. */
#include "tests/sim/journal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/dice.h"

enum { LEAVE_OUT_EVERY = 10 };

typedef struct {
    wire_message *message; /* NULL: a segment begins here */
    journal_base base;     /* of the segment, as are the next two */
    uint64_t kept;
    bool usable;     /* its image is known to be durable */
    uint64_t change; /* the last position up to this one that says what has happened to the shard */
    bool carried;
    bool torn;    /* what a crash has left of it is no record */
    bool missing; /* planted: it has not been written */
    uint64_t appended_ms;
} sim_record;

struct sim_journal {
    journal base;
    sim_journal_config config;
    dice dice;
    bool open; /* by a ps that has read it: what is appended gets written */
    bool failed;
    uint64_t dropped;        /* positions up to this went with their segments, */
    uint64_t dropped_change; /* and this was the last change among them */
    uint64_t end;            /* the last position */
    uint64_t durable;        /* up to this */
    uint64_t batch;          /* up to this is being written, if that is more, */
    uint64_t batch_at_ms;    /* until then */
    sim_record *records;     /* (room) that of position p is records[p - dropped - 1] */
    uint64_t room;
};

static sim_record *at(const sim_journal *j, uint64_t position)
{
    assert(position > j->dropped && position <= j->end);
    return &j->records[position - j->dropped - 1];
}

static bool begins(const sim_journal *j, uint64_t position)
{
    return !at(j, position)->message;
}

static uint64_t change_until(const sim_journal *j, uint64_t position)
{
    return position > j->dropped ? at(j, position)->change : j->dropped_change;
}

/* ---- the writer ---- */

static bool is_full(const sim_journal *j, uint64_t now_ms)
{
    const disk_weather *w = &j->config.scenario->disk;
    return now_ms >= w->full_from_ms && now_ms < w->full_until_ms;
}

static bool write_fails(sim_journal *j, uint64_t now_ms)
{
    const scenario *s = j->config.scenario;
    const bool error = dice_chance(&j->dice, s->disk.log_error_per_mille);
    return (error && now_ms < s->weather.calm_at_ms) || is_full(j, now_ms);
}

static uint64_t writing_takes_ms(sim_journal *j, uint64_t now_ms)
{
    const disk_weather *w = &j->config.scenario->disk;
    const bool slow = now_ms >= w->slow_from_ms && now_ms < w->slow_until_ms;
    return dice_between(&j->dice, 0, w->log_max_ms) + (slow ? dice_between(&j->dice, 0, w->slow_max_ms) : 0);
}

static void begin_batch(sim_journal *j, uint64_t now_ms)
{
    j->batch = j->durable;
    if (j->durable == j->end)
        return;
    j->batch++;
    while (!begins(j, j->durable + 1) && j->batch < j->end && !begins(j, j->batch + 1) &&
           at(j, j->batch + 1)->appended_ms <= now_ms)
        j->batch++;
    j->batch_at_ms = now_ms + writing_takes_ms(j, now_ms);
}

/* The place of the newest usable segment before position `end`; 0: there is none. */
static uint64_t find_usable(const sim_journal *j, uint64_t end)
{
    uint64_t p = end;
    while (--p > j->dropped)
        if (at(j, p)->usable)
            return p;
    return 0;
}

static void note_kept(sim_journal *j, uint64_t kept)
{
    for (uint64_t p = j->durable - 1; kept > 0 && p > j->dropped; p--) {
        if (begins(j, p) && at(j, p)->base.step == kept) {
            at(j, p)->usable = true;
            return;
        }
    }
}

/* A segment begins at what is durable last: up to where are those before it of no use any more? */
static uint64_t find_outdated(const sim_journal *j)
{
    if (at(j, j->durable)->base.leap)
        return j->durable - 1;
    const uint64_t last = find_usable(j, j->durable), but_one = last > 0 ? find_usable(j, last) : 0;
    return but_one > 0 ? but_one - 1 : j->dropped;
}

static void drop_until(sim_journal *j, uint64_t position)
{
    for (uint64_t p = j->dropped + 1; p <= position; p++)
        wire_destroy(&at(j, p)->message);
    const uint64_t left = j->end - position;
    j->dropped_change = change_until(j, position);
    memmove(j->records, j->records + (position - j->dropped), left * sizeof *j->records);
    j->dropped = position;
}

/* Brings it up to the present. */
static void write_on(sim_journal *j)
{
    while (j->open && !j->failed && j->batch > j->durable && j->batch_at_ms <= *j->config.now_ms) {
        const uint64_t now_ms = j->batch_at_ms;
        j->failed = write_fails(j, now_ms);
        if (j->failed)
            return;
        j->durable = j->batch;
        if (begins(j, j->durable)) {
            note_kept(j, at(j, j->durable)->kept);
            drop_until(j, find_outdated(j));
        }
        begin_batch(j, now_ms);
    }
}

static sim_journal *self_of(const journal *self)
{
    return (sim_journal *)(uintptr_t)self;
}

static uint64_t add(sim_journal *j, sim_record record)
{
    write_on(j);
    if (j->end - j->dropped == j->room) {
        const uint64_t room = j->room ? 2 * j->room : 64;
        sim_record *grown = realloc(j->records, room * sizeof *grown);
        if (!grown) {
            wire_destroy(&record.message);
            return 0;
        }
        j->records = grown;
        j->room = room;
    }
    const bool changes = record.message ? !record.carried : record.base.leap;
    record.appended_ms = *j->config.now_ms;
    record.change = changes ? j->end + 1 : change_until(j, j->end);
    j->end++;
    *at(j, j->end) = record;
    j->open = true;
    if (j->batch == j->durable)
        begin_batch(j, *j->config.now_ms);
    return j->end;
}

static uint64_t sim_begin(journal *self, const journal_base *base, uint64_t kept)
{
    return add(self_of(self), (sim_record){.base = *base, .kept = kept});
}

/* What a journal keeps of a message. Payloads are references: in the simulator nobody writes to them. */
static wire_message *copy_message(const wire_message *m)
{
    wire_message *copy = wire_create(m->type == WIRE_PUSH_PULL ? WIRE_PUSH : m->type, m->slice_count);
    if (copy && m->members && wire_set_members(copy, m->members) != PS_OK)
        wire_destroy(&copy);
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
        copy->payloads[i] = m->has_payload ? buffer_ref(m->payloads[i]) : NULL;
    }
    return copy;
}

static bool is_left_out(const sim_journal *j, const wire_message *message, bool carried)
{
    const plant *p = j->config.plant;
    if (carried)
        return plant_is(p, PLANT_NO_CARRY);
    return (message->type == WIRE_HELLO && plant_is(p, PLANT_UNLOGGED_HELLO)) ||
           (message->type == WIRE_LEAVE && plant_is(p, PLANT_UNLOGGED_LIST)) ||
           (message->type == WIRE_PUSH && j->end % LEAVE_OUT_EVERY == 0 && plant_is(p, PLANT_UNLOGGED_PART));
}

static uint64_t sim_append(journal *self, const wire_message *message, bool carried)
{
    sim_journal *j = self_of(self);
    wire_message *copy = copy_message(message);
    const sim_record record = {
        .message = copy, .carried = carried, .missing = copy && is_left_out(j, copy, carried)};
    return copy ? add(j, record) : 0;
}

static uint64_t sim_durable(const journal *self)
{
    sim_journal *j = self_of(self);
    return plant_is(j->config.plant, PLANT_HASTY_ANSWER) ? j->end : sim_journal_durable(j);
}

/* ---- coming back ---- */

static ps_status sim_open(journal *self, const journal_owner *owner, journal_base *bases, uint32_t *count,
                          ps_error *error)
{
    const sim_journal *j = self_of(self);
    (void)owner, (void)error;
    *count = 0;
    for (uint64_t p = j->end; p > j->dropped && *count < JOURNAL_BASES_MAX; p--) {
        if (!begins(j, p))
            continue;
        bases[*count] = at(j, p)->base;
        if (plant_is(j->config.plant, PLANT_NO_CARRY))
            bases[*count].carried = 0;
        ++*count;
        if (at(j, p)->base.leap)
            break;
    }
    return PS_OK;
}

static void cut_behind(sim_journal *j, uint64_t position)
{
    for (uint64_t p = position + 1; p <= j->end; p++)
        wire_destroy(&at(j, p)->message);
    j->end = position;
}

static uint64_t place_of_base(const sim_journal *j, uint32_t number)
{
    uint64_t p = j->end;
    for (uint32_t passed = 0;; p--) {
        passed += begins(j, p);
        if (passed > number)
            return p;
    }
}

static ps_status sim_replay(journal *self, uint32_t number, journal_take *take, void *context,
                            ps_error *error)
{
    sim_journal *j = self_of(self);
    ps_status status = PS_OK;
    bool further = false;
    uint64_t p = place_of_base(j, number);
    while (++p <= j->end && status == PS_OK) {
        const sim_record *r = at(j, p);
        if (r->torn)
            break;
        further |= !r->message;
        if (!r->message || r->missing || (further && r->carried))
            continue;
        wire_message *copy = copy_message(r->message);
        status = copy ? take(context, &copy, r->carried, error) : ps_fail(error, PS_ENOMEM, "out of memory");
        wire_destroy(&copy);
    }
    if (status != PS_OK)
        return status;
    cut_behind(j, p - 1);
    j->durable = j->batch = j->end;
    j->open = true;
    return PS_OK;
}

/* ---- life ---- */

static const journal_ops sim_ops = {
    .open = sim_open,
    .replay = sim_replay,
    .begin = sim_begin,
    .append = sim_append,
    .durable = sim_durable,
};

sim_journal *sim_journal_create(const sim_journal_config *config)
{
    sim_journal *j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    j->base.ops = &sim_ops;
    j->config = *config;
    j->dice = dice_for(config->scenario->seed, "log", config->server);
    return j;
}

void sim_journal_destroy(sim_journal **handle)
{
    sim_journal *j = *handle;
    *handle = NULL;
    if (!j)
        return;
    cut_behind(j, j->dropped);
    free(j->records);
    free(j);
}

journal *sim_journal_of(sim_journal *j)
{
    return &j->base;
}

/* What comes behind the hole is trusted all the same. */
static void make_hole(sim_journal *j)
{
    if (j->end > j->durable + 1)
        at(j, j->durable + 1)->missing = true;
}

uint32_t sim_journal_crash(sim_journal *j, uint64_t most)
{
    write_on(j);
    if (most > j->end)
        most = j->end;
    if (most < j->durable)
        most = j->durable;
    const bool with_hole = plant_is(j->config.plant, PLANT_LOG_HOLE);
    const uint64_t left = dice_between(&j->dice, with_hole ? most : j->durable, most);
    const bool torn = left < j->end && !begins(j, left + 1) && dice_chance(&j->dice, 500);
    const uint64_t lost = j->end - left;
    cut_behind(j, left + torn);
    if (torn)
        at(j, j->end)->torn = true;
    if (with_hole)
        make_hole(j);
    if (lost > 0)
        trace_line(j->config.trace, *j->config.now_ms, "of the log of ps %u the last %llu records are lost%s",
                   j->config.server, (unsigned long long)lost, torn ? ", the first of them torn" : "");
    j->batch = j->durable;
    j->open = j->failed = false;
    return torn;
}

uint64_t sim_journal_end(const sim_journal *j)
{
    return j->end > j->dropped && at(j, j->end)->torn ? j->end - 1 : j->end;
}

uint64_t sim_journal_durable(sim_journal *j)
{
    write_on(j);
    return j->durable;
}

uint64_t sim_journal_last_change(const sim_journal *j)
{
    return change_until(j, sim_journal_end(j));
}

bool sim_journal_leapt(const sim_journal *j)
{
    const uint64_t change = sim_journal_last_change(j);
    return change > j->dropped && begins(j, change);
}

uint64_t sim_journal_next_ms(sim_journal *j)
{
    write_on(j);
    return j->open && !j->failed && j->batch > j->durable ? j->batch_at_ms : 0;
}

bool sim_journal_failed(sim_journal *j)
{
    write_on(j);
    return j->failed;
}
