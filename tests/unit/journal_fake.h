/* journal_fake.h - a journal in memory, of which the test says what is durable. */
#ifndef PENSTOCK_TESTS_JOURNAL_FAKE_H
#define PENSTOCK_TESTS_JOURNAL_FAKE_H

#include <string.h>

#include "ps/journal.h"
#include "tests/unit/unit.h"

enum { FAKE_RECORDS_MAX = 8192 };

typedef struct {
    wire_message *message; /* NULL: a segment begins here */
    bool carried;
    journal_base base;
} fake_record;

typedef struct {
    journal base;
    bool holds;       /* durable is only what `durable` says; else everything at once */
    uint64_t durable; /* position */
    uint64_t kept;    /* as `begin` was told last */
    ps_status broken; /* what `open` returns */
    uint32_t count;
    fake_record records[FAKE_RECORDS_MAX]; /* a position is an index + 1 */
} fake_journal;

static inline wire_message *fake_copy(const wire_message *m)
{
    wire_message *copy = wire_create(m->type == WIRE_PUSH_PULL ? WIRE_PUSH : m->type, m->slice_count);
    assert_non_null(copy);
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
    if (m->members)
        assert_int_equal(wire_set_members(copy, m->members), PS_OK);
    for (uint32_t i = 0; i < m->slice_count; i++) {
        copy->slices[i] = m->slices[i];
        copy->payloads[i] = m->has_payload ? buffer_ref(m->payloads[i]) : NULL;
    }
    return copy;
}

static inline uint64_t fake_add(fake_journal *f, fake_record record)
{
    assert_true(f->count < FAKE_RECORDS_MAX);
    f->records[f->count++] = record;
    return f->count;
}

static inline uint64_t fake_begin(journal *self, const journal_base *base, uint64_t kept)
{
    ((fake_journal *)self)->kept = kept;
    return fake_add((fake_journal *)self, (fake_record){.base = *base});
}

static inline uint64_t fake_append(journal *self, const wire_message *message, bool carried)
{
    assert_true(message->slice_count <= WIRE_SLICES_MAX);
    return fake_add((fake_journal *)self, (fake_record){.message = fake_copy(message), .carried = carried});
}

static inline uint64_t fake_durable(const journal *self)
{
    const fake_journal *f = (const fake_journal *)self;
    return f->holds ? f->durable : f->count;
}

static inline ps_status fake_open(journal *self, const journal_owner *owner, journal_base *bases,
                                  uint32_t *count, ps_error *error)
{
    const fake_journal *f = (const fake_journal *)self;
    (void)owner;
    *count = 0;
    if (f->broken != PS_OK)
        return ps_fail(error, f->broken, "it is broken");
    for (uint32_t i = f->count; i > 0 && *count < JOURNAL_BASES_MAX; i--) {
        if (f->records[i - 1].message)
            continue;
        bases[(*count)++] = f->records[i - 1].base;
        if (f->records[i - 1].base.leap)
            break;
    }
    return PS_OK;
}

static inline ps_status fake_replay(journal *self, uint32_t number, journal_take *take, void *context,
                                    ps_error *error)
{
    const fake_journal *f = (const fake_journal *)self;
    uint32_t at = f->count;
    for (uint32_t found = 0; found <= number; found += !f->records[at].message)
        at--;
    ps_status status = PS_OK;
    bool further = false;
    for (at++; at < f->count && status == PS_OK; at++) {
        further |= !f->records[at].message;
        if (!f->records[at].message || (further && f->records[at].carried))
            continue;
        wire_message *copy = fake_copy(f->records[at].message);
        status = take(context, &copy, f->records[at].carried, error);
        wire_destroy(&copy);
    }
    return status;
}

static const journal_ops fake_ops = {
    .open = fake_open,
    .replay = fake_replay,
    .begin = fake_begin,
    .append = fake_append,
    .durable = fake_durable,
};

static inline fake_journal *fake_create(void)
{
    fake_journal *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->base.ops = &fake_ops;
    return f;
}

/* The first `count` records, as after a crash. */
static inline fake_journal *fake_cut(const fake_journal *f, uint32_t count)
{
    fake_journal *cut = fake_create();
    for (uint32_t i = 0; i < count; i++) {
        cut->records[i] = f->records[i];
        if (f->records[i].message)
            cut->records[i].message = fake_copy(f->records[i].message);
    }
    cut->count = count;
    return cut;
}

static inline void fake_destroy(fake_journal **handle)
{
    for (uint32_t i = 0; i < (*handle)->count; i++)
        wire_destroy(&(*handle)->records[i].message);
    free(*handle);
    *handle = NULL;
}

#endif
