/* A session and a shard hand in hand: what neither of them can show alone. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/recycler.h"
#include "ps/shard.h"
#include "tests/unit/job_sample.h"
#include "tests/unit/torture.h"
#include "worker/session.h"

enum { MIB = 1 << 20, TENSORS_MAX = 64, FIRST_MS = 1000, PARTS_BYTES_MIN = 256 << 10 };

/* One worker and one ps; the tensors "t0", "t1", ... lie one behind the other. */
typedef struct {
    job_config job;
    partition map;
    shard *shard;
    session *session;
    float *weights, *gradient;
    float *weights_of[TENSORS_MAX];
    const float *gradients_of[TENSORS_MAX];
    uint64_t now_ms;
    uint64_t settles; /* messages that only say what has been taken */
} pair;

static void open_pair(pair *p, uint32_t tensors, uint32_t tensor_bytes, uint64_t message_bytes_max,
                      consistency_mode mode)
{
    memset(p, 0, sizeof *p);
    p->now_ms = 1;
    job_init(&p->job);
    p->job.servers = p->job.workers = 1;
    p->job.mode = mode;
    p->job.schedule.learning_rate = 1;
    p->job.slice_bytes = tensor_bytes < MIB ? tensor_bytes : MIB;
    p->weights = calloc(tensors, tensor_bytes);
    p->gradient = calloc(tensors, tensor_bytes);
    assert_true(p->weights && p->gradient);
    for (uint32_t t = 0; t < tensors; t++) {
        char name[16];
        snprintf(name, sizeof name, "t%u", t);
        job_sample_add(&p->job, name, tensor_bytes / sizeof(float), (initializer){.kind = INITIALIZER_ZEROS});
        p->weights_of[t] = p->weights + (size_t)t * (tensor_bytes / sizeof(float));
        p->gradients_of[t] = p->gradient + (size_t)t * (tensor_bytes / sizeof(float));
    }
    assert_int_equal(partition_init(&p->map, &p->job, NULL), PS_OK);
    const shard_config core = {.incarnation = 1};
    assert_int_equal(shard_create(&core, &p->shard), PS_OK);
    const session_config config = {
        .job = &p->job,
        .partition = &p->map,
        .role = WIRE_WORKER,
        .incarnation = 1,
        .query_first_ms = FIRST_MS,
        .query_max_ms = FIRST_MS,
        .message_bytes_min = PARTS_BYTES_MIN,
        .message_bytes_max = message_bytes_max,
    };
    assert_int_equal(session_create(&config, &p->session), PS_OK);
}

static void close_pair(pair *p)
{
    session_destroy(&p->session);
    shard_destroy(&p->shard);
    partition_fini(&p->map);
    job_fini(&p->job);
    free(p->weights);
    free(p->gradient);
}

/* Carries messages to and fro until neither has any; no time passes. */
static void carry(pair *p)
{
    const wire_route route = {.bytes = 1};
    wire_route to;
    for (bool moved = true; moved;) {
        moved = false;
        for (wire_message *m; (m = session_next(p->session, 0, p->now_ms)); moved = true) {
            p->settles += m->type == WIRE_SETTLE;
            shard_receive(p->shard, &m, &route, p->now_ms);
        }
        for (wire_message *m; (m = shard_next(p->shard, &to)); moved = true)
            session_receive(p->session, 0, &m);
    }
}

static session_ticket begin_step(pair *p, uint64_t step)
{
    const session_request push = {
        .type = WIRE_PUSH_PULL,
        .step = step,
        .examples = 1,
        .clip_factor = 1,
        .by_tensor = true,
        .gradients = p->gradients_of,
        .weights = p->weights_of,
    };
    session_ticket ticket;
    assert_int_equal(session_submit(p->session, &push, &ticket), PS_OK);
    return ticket;
}

/* A step as backward makes it: the last tensor first, each sent as soon as it is there. */
static session_ticket push_backwards(pair *p, uint64_t step)
{
    session_ticket ticket = begin_step(p, step);
    for (uint32_t t = p->job.tensors.count; t-- > 0;) {
        assert_int_equal(session_ready(p->session, ticket, t, 1), PS_OK);
        carry(p);
    }
    session_judge(p->session, ticket, false, 1);
    return ticket;
}

static void collect(pair *p, session_ticket ticket)
{
    session_result result;
    assert_true(session_finished(p->session, ticket));
    assert_int_equal(session_collect(p->session, ticket, &result, NULL), PS_OK);
}

/* The weights that come back first were asked for last; all the same, more than a window of them come. */
static void weights_of_many_windows_come_back_without_a_wait(void **state)
{
    (void)state;
    pair p;
    open_pair(&p, TENSORS_MAX, MIB, 4 * MIB, CONSISTENCY_SYNC);
    for (uint64_t step = 1; step <= 3; step++) {
        p.gradient[0] = (float)step;
        session_ticket ticket = push_backwards(&p, step);
        carry(&p);
        collect(&p, ticket);
    }
    assert_true(p.weights[0] == -6.0f);
    assert_int_equal(session_count(p.session)->resent, 0);
    assert_true(p.settles > 0);
    close_pair(&p);
}

/* ---- allocations ---- */

/* A whole step, with a pull beside it. */
static void step(pair *p, uint64_t number)
{
    const session_request pull = {.type = WIRE_PULL, .weights = p->weights_of};
    session_ticket pulled, pushed = push_backwards(p, number);
    assert_int_equal(session_submit(p->session, &pull, &pulled), PS_OK);
    carry(p);
    collect(p, pushed);
    collect(p, pulled);
}

static void steps_after_the_first_allocate_nothing(void **state)
{
    (void)state;
    const consistency_mode modes[] = {CONSISTENCY_SYNC, CONSISTENCY_SSP, CONSISTENCY_ASYNC};
    for (int i = 0; i < 3; i++) {
        enum { WARM_UP = 3, STEPS = 100 };
        pair p;
        open_pair(&p, 8, PARTS_BYTES_MIN, 4 * MIB, modes[i]);
        for (uint64_t n = 1; n <= WARM_UP; n++)
            step(&p, n);
        torture_begin(LONG_MAX);
        for (uint64_t n = WARM_UP + 1; n <= WARM_UP + STEPS; n++)
            step(&p, n);
        torture_end();
        if (RECYCLER_KEEPS)
            assert_int_equal(torture_count(), 0);
        close_pair(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_of_many_windows_come_back_without_a_wait),
        cmocka_unit_test(steps_after_the_first_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
