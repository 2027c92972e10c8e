/* journal_sample.h - a durability log of ps 1 of 2 in a test's own folder: how it is written, and read again.
 *
 * Of the disk under it, which a test may let refuse what it wants: journal_disk.h. */
#ifndef PENSTOCK_TESTS_JOURNAL_SAMPLE_H
#define PENSTOCK_TESTS_JOURNAL_SAMPLE_H

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "ps/journal_file.h"
#include "tests/unit/folder.h"

#define SAMPLE_FIRST "log/ps-1-of-2/000000000001.log"

static const journal_owner sample_owner = {.job = UINT64_C(0x1122334455667788), .server = 1, .servers = 2};

static inline journal *sample_create(void)
{
    journal *j;
    ps_error error;
    if (journal_file_create(".", &j, &error) != PS_OK)
        fail_msg("%s", error.text);
    return j;
}

static inline void sample_destroy(journal **j)
{
    (*j)->ops->destroy(*j);
    *j = NULL;
}

/* Until it is durable or the journal has failed. */
static inline void sample_await(journal *j, uint64_t position)
{
    assert_true(position > 0);
    while (j->ops->durable(j) < position && journal_file_failure(j, NULL) == PS_OK) {
        poll(&(struct pollfd){.fd = journal_file_descriptor(j), .events = POLLIN}, 1, -1);
        journal_file_hear(j);
    }
}

static inline wire_message *sample_message(wire_type type, uint32_t worker, uint64_t step, uint32_t slices,
                                           uint32_t bytes)
{
    wire_message *m = wire_create(type, slices);
    assert_non_null(m);
    m->role = WIRE_WORKER;
    m->index = worker;
    m->incarnation = 40 + worker;
    m->step = step;
    m->examples = slices ? 20 : 0;
    m->clip_factor = slices ? 0.5f : 0;
    m->has_payload = bytes > 0;
    for (uint32_t i = 0; i < slices; i++) {
        m->slices[i] = 10 + i;
        m->payloads[i] = bytes ? buffer_alloc(bytes) : NULL;
        for (uint32_t k = 0; k < bytes; k++)
            ((uint8_t *)buffer_data(m->payloads[i]))[k] = (uint8_t)(step * 31 + i * 7 + k);
    }
    return m;
}

static inline uint64_t sample_append(journal *j, wire_message *m, bool carried)
{
    uint64_t position = j->ops->append(j, m, carried);
    wire_destroy(&m);
    return position;
}

/* Opens what there is; the number of bases. */
static inline uint32_t sample_open(journal *j, journal_base *bases)
{
    uint32_t count;
    ps_error error;
    if (j->ops->open(j, &sample_owner, bases, &count, &error) != PS_OK)
        fail_msg("%s", error.text);
    return count;
}

typedef struct {
    uint32_t count;
    wire_message *messages[64];
    bool carried[64];
} sample_taken;

static inline ps_status sample_take(void *context, wire_message **message, bool carried, ps_error *error)
{
    sample_taken *t = context;
    (void)error;
    t->carried[t->count] = carried;
    t->messages[t->count++] = *message;
    *message = NULL;
    return PS_OK;
}

static inline void sample_drop(sample_taken *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        wire_destroy(&t->messages[i]);
    t->count = 0;
}

static inline void sample_expect_same(const wire_message *a, const wire_message *b)
{
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->index, b->index);
    assert_int_equal(a->step, b->step);
    assert_int_equal(a->incarnation, b->incarnation);
    assert_int_equal(a->epoch, b->epoch);
    assert_int_equal(a->examples, b->examples);
    assert_true(a->clip_factor == b->clip_factor);
    assert_int_equal(a->nonfinite, b->nonfinite);
    assert_int_equal(a->after_finish, b->after_finish);
    assert_int_equal(a->has_payload, b->has_payload);
    assert_int_equal(a->slice_count, b->slice_count);
    for (uint32_t i = 0; i < a->slice_count; i++) {
        assert_int_equal(a->slices[i], b->slices[i]);
        if (!a->has_payload)
            continue;
        assert_int_equal(buffer_size(a->payloads[i]), buffer_size(b->payloads[i]));
        assert_memory_equal(buffer_bytes(a->payloads[i]), buffer_bytes(b->payloads[i]),
                            buffer_size(a->payloads[i]));
    }
}

/* A log of one segment with a record of each kind, each durable before the next is written. */
static inline void sample_write(void)
{
    journal_base bases[JOURNAL_BASES_MAX];
    journal *j = sample_create();
    assert_int_equal(sample_open(j, bases), 0);
    sample_await(j, j->ops->begin(j, &(journal_base){.step = 7, .epoch = 3, .leap = true, .carried = 1}, 0));
    sample_await(j, sample_append(j, sample_message(WIRE_HELLO, 2, 0, 0, 0), true));
    sample_await(j, sample_append(j, sample_message(WIRE_PUSH, 2, 8, 2, 11), false));
    wire_message *restore = sample_message(WIRE_RESTORE, 0, 8, 0, 0);
    restore->incarnation = 0;
    restore->epoch = 4;
    sample_await(j, sample_append(j, restore, false));
    wire_message *finish = sample_message(WIRE_FINISH, 1, 8, 0, 0);
    finish->after_finish = true;
    sample_await(j, sample_append(j, finish, false));
    sample_destroy(&j);
}

/* Replays the first segment and those behind it. */
static inline ps_status sample_replay(sample_taken *out, ps_error *error)
{
    journal_base bases[JOURNAL_BASES_MAX];
    uint32_t count;
    journal *j = sample_create();
    ps_status status = j->ops->open(j, &sample_owner, bases, &count, error);
    if (status == PS_OK)
        status = j->ops->replay(j, count - 1, sample_take, out, error);
    sample_destroy(&j);
    return status;
}

#endif
