/* wire_sample.h - messages with something in every field, for tests of what becomes of them. */
#ifndef PENSTOCK_TESTS_WIRE_SAMPLE_H
#define PENSTOCK_TESTS_WIRE_SAMPLE_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire.h"
#include "tests/unit/job_sample.h"

/* All types, by who sends them: members, ps, and administrators. */
static const wire_type requests[] = {WIRE_HELLO, WIRE_PUSH_PULL, WIRE_PUSH,    WIRE_PULL,     WIRE_FINISH,
                                     WIRE_QUERY, WIRE_SETTLE,    WIRE_RESTORE, WIRE_HEARTBEAT};
static const wire_type answers[] = {WIRE_WELCOME, WIRE_WEIGHTS, WIRE_ACK,
                                    WIRE_PENDING, WIRE_RESEND,  WIRE_ERROR};
static const wire_type orders[] = {WIRE_CHECKPOINT, WIRE_STOP};
enum {
    REQUESTS = sizeof requests / sizeof *requests,
    ANSWERS = sizeof answers / sizeof *answers,
    ORDERS = sizeof orders / sizeof *orders,
};

static inline job_config *wire_sample_job(void)
{
    job_config *job = malloc(sizeof *job);
    assert_non_null(job);
    job_sample(job, 3, 5, 5000);
    job_sample_add(job, "bias", 7, (initializer){.kind = INITIALIZER_NORMAL, .a = -0.5, .b = 2});
    return job;
}

/* A message of that type with something in every field that it may carry. */
static inline wire_message *wire_sample_full(wire_type type, wire_role role)
{
    bool push = type == WIRE_PUSH || type == WIRE_PUSH_PULL;
    bool slices = push || type == WIRE_PULL || type == WIRE_WEIGHTS;
    wire_message *m = wire_create(type, slices ? 3 : 0);
    assert_non_null(m);
    m->job = 0x0123456789abcdef;
    m->role = role;
    m->index = 1023;
    m->incarnation = UINT64_MAX - 1;
    m->request = UINT64_MAX;
    m->step = 1 + (uint64_t)UINT32_MAX;
    m->examples = UINT32_MAX;
    m->clip_factor = 0.75f;
    m->nonfinite = true;
    m->after_finish = true;
    m->receiver = 77;
    m->examples_total = UINT64_MAX - 5;
    m->job_finished = true;
    m->status = PS_EPEER;
    m->settled = UINT64_MAX - 9;
    m->reads_memory = true;
    m->epoch = 1 + (uint64_t)UINT32_MAX;
    m->oldest = UINT64_MAX - 3;
    m->exact = true;
    m->unfit = true;
    m->heartbeat_ms = UINT32_MAX;
    m->held = UINT64_MAX - 4;
    m->end_step = UINT64_MAX - 6;
    wire_set_text(m, "worker 1 is late");
    if (type == WIRE_HELLO)
        m->hello = wire_sample_job();
    m->has_payload = push || type == WIRE_WEIGHTS;
    for (uint32_t i = 0; i < m->slice_count; i++) {
        m->slices[i] = 10 * i + 1;
        if (m->has_payload)
            m->payloads[i] = buffer_alloc(4 * (i + 1));
    }
    return m;
}

/* Fields that come after the Job, which the first version did not have. */
static inline void wire_sample_forget_later_fields(wire_message *m)
{
    m->settled = 0;
    m->reads_memory = false;
    m->epoch = 0;
    m->oldest = 0;
    m->exact = false;
    m->unfit = false;
    m->heartbeat_ms = 0;
    m->held = 0;
    m->end_step = 0;
}

static inline ps_status wire_sample_decode(const buffer *header, const wire_message *sizes,
                                           wire_message **out, ps_error *error)
{
    size_t frame_bytes[8] = {0};
    uint32_t frames = sizes->has_payload ? sizes->slice_count : 0;
    assert_true(frames <= 8);
    for (uint32_t i = 0; i < frames; i++)
        frame_bytes[i] = buffer_size(sizes->payloads[i]);
    return wire_decode(buffer_bytes(header), buffer_size(header), frame_bytes, frames, out, error);
}

static inline void wire_sample_assert_same(const wire_message *a, const wire_message *b)
{
    assert_int_equal(a->type, b->type);
    assert_true(a->job == b->job);
    assert_int_equal(a->role, b->role);
    assert_int_equal(a->index, b->index);
    assert_true(a->incarnation == b->incarnation);
    assert_true(a->request == b->request);
    assert_true(a->step == b->step);
    assert_int_equal(a->examples, b->examples);
    assert_true(a->clip_factor == b->clip_factor);
    assert_int_equal(a->nonfinite, b->nonfinite);
    assert_int_equal(a->after_finish, b->after_finish);
    assert_int_equal(a->receiver, b->receiver);
    assert_true(a->examples_total == b->examples_total);
    assert_int_equal(a->job_finished, b->job_finished);
    assert_int_equal(a->status, b->status);
    assert_true(a->settled == b->settled);
    assert_int_equal(a->reads_memory, b->reads_memory);
    assert_true(a->epoch == b->epoch);
    assert_true(a->oldest == b->oldest);
    assert_int_equal(a->exact, b->exact);
    assert_int_equal(a->unfit, b->unfit);
    assert_int_equal(a->heartbeat_ms, b->heartbeat_ms);
    assert_true(a->held == b->held);
    assert_true(a->end_step == b->end_step);
    assert_string_equal(a->text ? a->text : "", b->text ? b->text : "");
    assert_int_equal(!a->hello, !b->hello);
    if (a->hello)
        assert_int_equal(job_difference(a->hello, b->hello, NULL), PS_OK);
    assert_int_equal(a->slice_count, b->slice_count);
    assert_int_equal(a->has_payload, b->has_payload);
    assert_memory_equal(a->slices, b->slices, a->slice_count * sizeof *a->slices);
}

#endif
