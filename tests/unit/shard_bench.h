/* shard_bench.h - a shard on the bench: messages made in a line, answers checked in another.
 *
 * The job is job_sample's: one tensor "w" of zeros, plain SGD at a rate of 1. Each member speaks over a route
 * of its own, and each request gets the next number. */
#ifndef PENSTOCK_TESTS_SHARD_BENCH_H
#define PENSTOCK_TESTS_SHARD_BENCH_H

#include <stdlib.h>
#include <string.h>

#include "common/partition.h"
#include "ps/shard.h"
#include "tests/unit/job_sample.h"

typedef struct {
    shard *shard;
    shard_config config;
    job_config job;
    partition map;
    uint64_t fingerprint;
    uint64_t request;         /* number of the last request made */
    uint64_t members_version; /* of the list that its members know */
    uint64_t now_ms;
    wire_route to; /* where the last answer went */
} shard_bench;

/* For ps/0 of `servers`. The job may be changed before the first bench_join. */
static inline void bench_open(shard_bench *b, uint32_t servers, uint32_t workers, uint64_t elements)
{
    memset(b, 0, sizeof *b);
    b->config.incarnation = 500;
    b->now_ms = 1000;
    job_sample(&b->job, servers, workers, elements);
    assert_int_equal(shard_create(&b->config, &b->shard), PS_OK);
}

/* After a change of b->config. */
static inline void bench_reopen(shard_bench *b)
{
    shard_destroy(&b->shard);
    assert_int_equal(shard_create(&b->config, &b->shard), PS_OK);
}

static inline void bench_close(shard_bench *b)
{
    shard_destroy(&b->shard);
    assert_null(b->shard);
    partition_fini(&b->map);
    job_fini(&b->job);
}

static inline wire_route bench_route(wire_role role, uint32_t index)
{
    return (wire_route){.bytes = 5, .id = {0, (uint8_t)role, (uint8_t)index}};
}

/* ---- requests ---- */

/* A stamped request of incarnation 1 that names `count` slices from `first` on (ordinals of ps/0). */
static inline wire_message *bench_request(shard_bench *b, wire_type type, wire_role role, uint32_t index,
                                          uint32_t first, uint32_t count)
{
    wire_message *m = wire_create(type, count);
    assert_non_null(m);
    m->job = b->fingerprint;
    m->role = role;
    m->index = index;
    m->incarnation = 1;
    m->receiver = (uint32_t)b->config.incarnation;
    m->request = ++b->request;
    m->members_version = b->members_version;
    for (uint32_t i = 0; i < count; i++)
        m->slices[i] = b->map.server_slices[b->map.server_first[0] + first + i];
    return m;
}

static inline wire_message *bench_hello(shard_bench *b, wire_role role, uint32_t index, uint64_t incarnation)
{
    wire_message *m = bench_request(b, WIRE_HELLO, role, index, 0, 0);
    m->job = 0;
    m->receiver = b->config.index;
    m->request = 0;
    b->request--; /* HELLO has none */
    m->incarnation = incarnation;
    m->hello = malloc(sizeof *m->hello);
    assert_non_null(m->hello);
    assert_int_equal(job_copy(&b->job, m->hello), PS_OK);
    return m;
}

static inline wire_message *bench_pull(shard_bench *b, wire_role role, uint32_t index, uint64_t step)
{
    wire_message *m = bench_request(b, WIRE_PULL, role, index, 0, partition_server_count(&b->map, 0));
    m->step = step;
    return m;
}

/* Part of a gradient of `value` everywhere, the mean of `examples` rows. */
static inline wire_message *bench_part(shard_bench *b, wire_type type, uint32_t worker, uint64_t step,
                                       uint32_t examples, float value, uint32_t first, uint32_t count)
{
    wire_message *m = bench_request(b, type, WIRE_WORKER, worker, first, count);
    m->step = step;
    m->examples = examples;
    m->clip_factor = 1;
    m->has_payload = examples > 0;
    for (uint32_t i = 0; i < count && examples > 0; i++) {
        uint32_t elements = b->map.slices[m->slices[i]].count;
        m->payloads[i] = buffer_alloc(elements * sizeof(float));
        assert_non_null(m->payloads[i]);
        float *values = buffer_data(m->payloads[i]);
        for (uint32_t k = 0; k < elements; k++)
            values[k] = value;
    }
    return m;
}

static inline wire_message *bench_push(shard_bench *b, wire_type type, uint32_t worker, uint64_t step,
                                       uint32_t examples, float value)
{
    return bench_part(b, type, worker, step, examples, value, 0, partition_server_count(&b->map, 0));
}

/* Hands a message to the shard, from the route of its sender. */
static inline void bench_send(shard_bench *b, wire_message *m)
{
    wire_route from = bench_route(m->role, m->index);
    shard_receive(b->shard, &m, &from, b->now_ms);
    assert_null(m);
}

/* ---- answers ---- */

static inline void bench_expect_nothing(shard_bench *b)
{
    wire_message *m = shard_next(b->shard, &b->to);
    if (m)
        fail_msg("%s was sent: %s", wire_type_name(m->type), m->text ? m->text : "");
}

/* The next message; it must be of that type and answer that request. The caller destroys it. */
static inline wire_message *bench_take(shard_bench *b, wire_type type, uint64_t request)
{
    wire_message *m = shard_next(b->shard, &b->to);
    if (!m)
        fail_msg("there is no answer to request %llu", (unsigned long long)request);
    if (m->type != type)
        fail_msg("%s was sent: %s", wire_type_name(m->type), m->text ? m->text : "");
    assert_int_equal(m->request, request);
    assert_int_equal(m->role, WIRE_PS);
    assert_int_equal(m->index, b->config.index);
    assert_int_equal(m->incarnation, b->config.incarnation);
    return m;
}

/* Whatever is sent is not looked at. */
static inline void bench_drop_answers(shard_bench *b)
{
    for (wire_message *m; (m = shard_next(b->shard, &b->to));)
        wire_destroy(&m);
}

static inline void bench_expect(shard_bench *b, wire_type type, uint64_t request)
{
    wire_message *m = bench_take(b, type, request);
    wire_destroy(&m);
}

/* WEIGHTS of version `step`, `value` everywhere. */
static inline void bench_expect_weights(shard_bench *b, uint64_t request, uint64_t step, float value)
{
    wire_message *m = bench_take(b, WIRE_WEIGHTS, request);
    assert_int_equal(m->step, step);
    assert_true(m->job == b->fingerprint);
    assert_true(m->has_payload);
    for (uint32_t i = 0; i < m->slice_count; i++) {
        const float *values = buffer_bytes(m->payloads[i]);
        for (size_t k = 0; k < buffer_size(m->payloads[i]) / sizeof *values; k++)
            if (values[k] != value)
                fail_msg("slice %u holds %g, not %g", m->slices[i], (double)values[k], (double)value);
    }
    wire_destroy(&m);
}

static inline void bench_expect_text(shard_bench *b, wire_type type, uint64_t request, ps_status status,
                                     const char *text)
{
    wire_message *m = bench_take(b, type, request);
    assert_int_equal(m->status, status);
    assert_string_equal(m->text, text);
    wire_destroy(&m);
    bench_expect_nothing(b);
}

/* Sends a request and expects it to be refused. */
static inline void bench_refused(shard_bench *b, wire_message *m, ps_status status, const char *text)
{
    uint64_t request = m->request;
    bench_send(b, m);
    bench_expect_text(b, WIRE_ERROR, request, status, text);
}

/* Settles the job: its map and fingerprint. */
static inline void bench_prepare(shard_bench *b)
{
    if (b->map.slices)
        return;
    assert_int_equal(partition_init(&b->map, &b->job, NULL), PS_OK);
    assert_int_equal(wire_job_fingerprint(&b->job, &b->fingerprint), PS_OK);
}

/* HELLO, welcomed. */
static inline void bench_join_as(shard_bench *b, wire_role role, uint32_t index, uint64_t incarnation)
{
    bench_prepare(b);
    bench_send(b, bench_hello(b, role, index, incarnation));
    bench_expect(b, WIRE_WELCOME, 0);
}

static inline void bench_join(shard_bench *b, wire_role role, uint32_t index)
{
    bench_join_as(b, role, index, 1);
}

/* One slice of 100 elements, `workers` workers, all joined. */
static inline void bench_open_joined(shard_bench *b, uint32_t workers)
{
    bench_open(b, 1, workers, 100);
    for (uint32_t w = 0; w < workers; w++)
        bench_join(b, WIRE_WORKER, w);
}

#endif
