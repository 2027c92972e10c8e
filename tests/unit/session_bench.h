/* session_bench.h - a session on the bench: its messages taken, and answered by hand, in a line each. */
#ifndef PENSTOCK_TESTS_SESSION_BENCH_H
#define PENSTOCK_TESTS_SESSION_BENCH_H

#include <string.h>

#include "tests/unit/job_sample.h"
#include "worker/session.h"

enum { FIRST_MS = 100, MAX_MS = 300, SERVERS = 2, ELEMENTS = 5000, TENSORS_MAX = 4 };

typedef struct {
    job_config job;
    partition map;
    uint64_t fingerprint;
    uint32_t index; /* of the worker that the session is */
    session *session;
    float weights[ELEMENTS], gradient[ELEMENTS];
    float *weights_of[TENSORS_MAX];
    const float *gradients_of[TENSORS_MAX];
} bench;

/* Of `b->job`; the tensors lie one after the other in weights and gradient. */
static inline void open_session(bench *b, uint64_t message_bytes_min, uint64_t message_bytes_max)
{
    assert_int_equal(partition_init(&b->map, &b->job, NULL), PS_OK);
    assert_int_equal(wire_job_fingerprint(&b->job, &b->fingerprint), PS_OK);
    const session_config config = {
        .job = &b->job,
        .partition = &b->map,
        .role = WIRE_WORKER,
        .index = b->index,
        .incarnation = 7,
        .query_first_ms = FIRST_MS,
        .query_max_ms = MAX_MS,
        .message_bytes_min = message_bytes_min,
        .message_bytes_max = message_bytes_max,
    };
    assert_int_equal(session_create(&config, &b->session), PS_OK);
    for (int i = 0; i < ELEMENTS; i++)
        b->gradient[i] = (float)i;
    uint64_t offset = 0;
    for (uint32_t t = 0; t < b->job.tensors.count; t++) {
        b->weights_of[t] = b->weights + offset;
        b->gradients_of[t] = b->gradient + offset;
        offset += tensor_elements(&b->job.tensors.tensors[t]);
    }
}

/* One tensor in slices of up to 1024. */
static inline void open_encoding_bench(bench *b, uint64_t elements, uint32_t servers, codec_kind push,
                                       codec_kind pull)
{
    memset(b, 0, sizeof *b);
    job_sample(&b->job, servers, 1, elements);
    b->job.push_codec = push;
    b->job.pull_codec = pull;
    open_session(b, 0, 0);
}

static inline void open_bench(bench *b, uint64_t elements, uint32_t servers)
{
    open_encoding_bench(b, elements, servers, CODEC_FP32, CODEC_FP32);
}

static inline void close_bench(bench *b)
{
    session_destroy(&b->session);
    assert_null(b->session);
    partition_fini(&b->map);
    job_fini(&b->job);
}

static inline wire_message *take(bench *b, uint32_t server, uint64_t now_ms, wire_type type)
{
    wire_message *m = session_next(b->session, server, now_ms);
    if (!m)
        fail_msg("nothing is sent to ps/%u", server);
    assert_int_equal(m->type, type);
    assert_int_equal(m->role, WIRE_WORKER);
    assert_int_equal(m->incarnation, 7);
    assert_true(m->job == (type == WIRE_HELLO ? 0 : b->fingerprint));
    return m;
}

static inline uint64_t take_request(bench *b, uint32_t server, uint64_t now_ms, wire_type type)
{
    wire_message *m = take(b, server, now_ms, type);
    uint64_t request = m->request;
    wire_destroy(&m);
    return request;
}

static inline void assert_silent(bench *b, uint32_t server, uint64_t now_ms)
{
    wire_message *m = session_next(b->session, server, now_ms);
    if (m)
        fail_msg("%s is sent to ps/%u", wire_type_name(m->type), server);
}

static inline wire_message *make_answer(bench *b, uint32_t server, wire_type type, uint64_t request,
                                        uint32_t slices)
{
    wire_message *m = wire_create(type, slices);
    assert_non_null(m);
    m->role = WIRE_PS;
    m->index = server;
    m->incarnation = 100 + server;
    m->job = b->fingerprint;
    m->request = request;
    return m;
}

static inline void give(bench *b, uint32_t server, wire_message *m)
{
    session_receive(b->session, server, &m);
    assert_null(m);
}

static inline void give_plain(bench *b, uint32_t server, wire_type type, uint64_t request)
{
    give(b, server, make_answer(b, server, type, request, 0));
}

static inline void give_text(bench *b, uint32_t server, wire_type type, uint64_t request, ps_status status,
                             const char *text)
{
    wire_message *m = make_answer(b, server, type, request, 0);
    m->status = status;
    wire_set_text(m, text);
    give(b, server, m);
}

/* All slices of that ps; element i of the tensor gets the value i + `base`. */
static inline wire_message *make_weights(bench *b, uint32_t server, uint64_t request, float base)
{
    uint32_t count = partition_server_count(&b->map, server);
    wire_message *m = make_answer(b, server, WIRE_WEIGHTS, request, count);
    m->has_payload = true;
    for (uint32_t i = 0; i < count; i++) {
        m->slices[i] = b->map.server_slices[b->map.server_first[server] + i];
        const slice *cut = &b->map.slices[m->slices[i]];
        m->payloads[i] = buffer_alloc(cut->count * sizeof(float));
        float *values = buffer_data(m->payloads[i]);
        for (uint32_t k = 0; k < cut->count; k++)
            values[k] = (float)(cut->offset + k) + base;
    }
    return m;
}

static inline void join_all(bench *b)
{
    for (uint32_t server = 0; server < b->job.servers; server++) {
        give_plain(b, server, WIRE_WELCOME, take_request(b, server, 0, WIRE_HELLO));
    }
}

static inline void open_joined(bench *b)
{
    open_bench(b, ELEMENTS, SERVERS);
    join_all(b);
}

static inline session_ticket submit(bench *b, wire_type type, uint64_t step)
{
    const session_request request = {
        .type = type,
        .step = step,
        .examples = type == WIRE_PUSH || type == WIRE_PUSH_PULL ? 10 : 0,
        .clip_factor = 1,
        .gradients = b->gradients_of,
        .weights = b->weights_of,
    };
    session_ticket ticket;
    assert_int_equal(session_submit(b->session, &request, &ticket), PS_OK);
    return ticket;
}

static inline void assert_fails(const bench *b, ps_status status, const char *text)
{
    ps_error error = {PS_OK, ""};
    assert_int_equal(session_failure(b->session, &error), status);
    assert_string_equal(error.text, text);
}

#endif
