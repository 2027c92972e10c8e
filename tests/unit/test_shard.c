/* The server's core, ps/shard, driven by hand-made messages. */
#include "ps/shard.h"

#include <float.h>
#include <math.h>

#include "common/log.h"
#include "tests/unit/log_capture.h"
#include "tests/unit/shard_bench.h"
#include "tests/unit/torture.h"

/* ---- HELLO ---- */

static void first_hello_brings_the_job(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 2, 100);
    assert_int_equal(wire_job_fingerprint(&b.job, &b.fingerprint), PS_OK);
    bench_send(&b, bench_hello(&b, WIRE_WORKER, 1, 1));
    wire_message *m = bench_take(&b, WIRE_WELCOME, 0);
    assert_true(m->job == b.fingerprint);
    assert_int_equal(m->step, 0);
    assert_false(m->job_finished);
    const wire_route expected = bench_route(WIRE_WORKER, 1);
    assert_memory_equal(&b.to, &expected, sizeof expected);
    wire_destroy(&m);
    bench_send(&b, bench_hello(&b, WIRE_WORKER, 1, 1)); /* its WELCOME was lost */
    bench_expect(&b, WIRE_WELCOME, 0);
    bench_expect_nothing(&b);
    bench_close(&b);
}

static void hello_meant_for_another_ps_is_refused(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 2, 1, 100);
    wire_message *hello = bench_hello(&b, WIRE_WORKER, 0, 1);
    hello->receiver = 1;
    bench_refused(&b, hello, PS_EMISMATCH, "this is ps/0, not ps/1: the cluster specs differ");
    assert_int_equal(shard_count(b.shard)->messages_refused, 1);
    assert_int_equal(shard_count(b.shard)->refused.count[REFUSAL_FOREIGN_JOB], 1);
    bench_close(&b);
}

static void hello_with_another_job_names_the_field(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 2);
    b.job.schedule.learning_rate = 0.5;
    bench_refused(&b, bench_hello(&b, WIRE_WORKER, 1, 1), PS_EMISMATCH,
                  "schedule.learning_rate is 0.5 here, but 1 in the job");
    b.job.schedule.learning_rate = 1;
    job_sample_add(&b.job, "extra", 5, (initializer){.kind = INITIALIZER_ZEROS});
    bench_refused(&b, bench_hello(&b, WIRE_WORKER, 1, 1), PS_EMISMATCH,
                  "the number of tensors is 2 here, but 1 in the job");
    bench_close(&b);
}

static void job_must_fit_the_cluster_of_the_ps(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 2, 4, 100);
    b.config.servers = 3;
    bench_reopen(&b);
    bench_refused(&b, bench_hello(&b, WIRE_WORKER, 0, 1), PS_EMISMATCH,
                  "the job has 2 ps, but the cluster spec of ps/0 has 3");
    b.config.servers = 2;
    b.config.workers = 5;
    bench_reopen(&b);
    bench_refused(&b, bench_hello(&b, WIRE_WORKER, 0, 1), PS_EMISMATCH,
                  "the job has 4 workers, but the cluster spec of ps/0 has 5");
    b.config.servers = b.config.workers = 0;
    b.config.index = 2;
    bench_reopen(&b);
    wire_message *hello = bench_hello(&b, WIRE_WORKER, 0, 1);
    hello->receiver = 2;
    bench_refused(&b, hello, PS_EMISMATCH, "the job has 2 ps; this is ps/2");
    bench_close(&b);
}

static void job_beyond_the_memory_limit_is_refused(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 1, 1 << 20);
    b.config.memory_max_bytes = (8 << 20) - 1;
    bench_reopen(&b);
    bench_refused(&b, bench_hello(&b, WIRE_WORKER, 0, 1), PS_ELIMIT,
                  "the job needs 8 MiB on ps/0; its limit is 7 MiB (--memory-limit)");
    b.config.memory_max_bytes++;
    assert_int_equal(shard_count(b.shard)->refused.count[REFUSAL_TOO_LARGE], 1);
    bench_reopen(&b);
    bench_join(&b, WIRE_WORKER, 0);
    bench_close(&b);
}

static void refused_job_leaves_room_for_a_right_one(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 2, 100);
    b.config.workers = 2;
    bench_reopen(&b);
    b.job.workers = 3;
    bench_refused(&b, bench_hello(&b, WIRE_WORKER, 0, 1), PS_EMISMATCH,
                  "the job has 3 workers, but the cluster spec of ps/0 has 2");
    b.job.workers = 2;
    bench_join(&b, WIRE_WORKER, 0);
    bench_close(&b);
}

static void member_outside_the_job_is_refused(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 2);
    bench_refused(&b, bench_hello(&b, WIRE_WORKER, 2, 1), PS_EMISMATCH,
                  "worker 2 is not of this job, which has 2");
    bench_refused(&b, bench_hello(&b, WIRE_EVALUATOR, 0, 1), PS_EMISMATCH,
                  "evaluator 0 is not of this job, which has 0");
    bench_refused(&b, bench_pull(&b, WIRE_EVALUATOR, 0, 0), PS_EMISMATCH,
                  "evaluator 0 is not of this job, which has 0");
    bench_close(&b);
}

static void first_hello_of_a_member_outside_its_own_job_brings_no_job(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 2, 100);
    bench_refused(&b, bench_hello(&b, WIRE_WORKER, 2, 1), PS_EMISMATCH,
                  "worker 2 is not of this job, which has 2");
    b.job.schedule.learning_rate = 0.5; /* another job than the one refused */
    bench_join(&b, WIRE_WORKER, 0);
    bench_close(&b);
}

/* ---- who is told of updates ---- */

static struct {
    unsigned begun, taken, applied;
    uint64_t step, gradients, workers, incarnations, steps; /* sums over what was taken */
} told;

static uint64_t listener_begins(void)
{
    return ++told.begun;
}

static void listener_takes(uint64_t begun, uint32_t worker, uint64_t incarnation, uint64_t step)
{
    assert_int_equal(begun, told.begun);
    told.taken++;
    told.workers += worker;
    told.incarnations += incarnation;
    told.steps += step;
}

static void listener_applied(uint64_t begun, uint64_t step, uint32_t gradients)
{
    assert_int_equal(begun, told.begun);
    told.applied++;
    told.step = step;
    told.gradients = gradients;
}

static const shard_listener listener = {
    .begins = listener_begins, .takes = listener_takes, .applied = listener_applied};

static void a_listener_is_told_of_each_update_and_whose_gradients_it_took(void **state)
{
    (void)state;
    shard_bench b;
    memset(&told, 0, sizeof told);
    bench_open(&b, 1, 2, 100);
    b.config.listener = &listener;
    bench_reopen(&b);
    bench_join(&b, WIRE_WORKER, 0);
    bench_join(&b, WIRE_WORKER, 1);
    bench_send(&b, bench_push(&b, WIRE_PUSH, 0, 1, 8, 1));
    bench_expect(&b, WIRE_ACK, b.request);
    assert_int_equal(told.begun, 0);
    bench_send(&b, bench_push(&b, WIRE_PUSH, 1, 1, 8, 1));
    bench_expect(&b, WIRE_ACK, b.request);
    assert_int_equal(told.begun, 1);
    assert_int_equal(told.applied, 1);
    assert_int_equal(told.step, 1);
    assert_int_equal(told.gradients, 2);
    assert_int_equal(told.taken, 2);
    assert_int_equal(told.workers, 0 + 1);
    assert_int_equal(told.incarnations, 1 + 1);
    assert_int_equal(told.steps, 1 + 1);
    bench_send(&b, bench_push(&b, WIRE_PUSH, 1, 1, 8, 1)); /* a repeat */
    bench_expect(&b, WIRE_ACK, b.request);
    assert_int_equal(told.begun, 1);
    bench_close(&b);
}

/* ---- who may speak ---- */

static void request_without_hello_is_refused(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 2, 100);
    wire_message *m = bench_request(&b, WIRE_PULL, WIRE_WORKER, 0, 0, 0);
    bench_refused(&b, m, PS_EREJOIN, "ps/0 has no job yet: it has restarted, or HELLO is missing");
    bench_join(&b, WIRE_WORKER, 0);
    bench_refused(&b, bench_pull(&b, WIRE_WORKER, 1, 0), PS_EREJOIN,
                  "PULL of worker 1 comes from a process that is not its current one");
    m = bench_pull(&b, WIRE_WORKER, 0, 0);
    m->job++;
    bench_refused(&b, m, PS_EMISMATCH, "PULL is of another job than 'penstock'");
    bench_close(&b);
}

static void process_that_was_replaced_is_fenced_off(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 1);
    bench_send(&b, bench_hello(&b, WIRE_WORKER, 0, 2));
    bench_expect(&b, WIRE_WELCOME, 0);
    bench_refused(&b, bench_hello(&b, WIRE_WORKER, 0, 1), PS_EPEER,
                  "worker 0 has been replaced by a newer process under the same index");
    bench_refused(&b, bench_push(&b, WIRE_PUSH, 0, 1, 10, 1), PS_EPEER,
                  "PUSH of worker 0 comes from a process that is not its current one");
    assert_int_equal(shard_count(b.shard)->steps_applied, 0);
    bench_close(&b);
}

static void answers_are_not_for_a_ps(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 1, 100);
    b.job.evaluators = 1;
    bench_join(&b, WIRE_WORKER, 0);
    bench_join(&b, WIRE_EVALUATOR, 0);
    bench_refused(&b, bench_request(&b, WIRE_ACK, WIRE_EVALUATOR, 0, 0, 0), PS_EPROTOCOL,
                  "ACK is not for a ps");
    bench_close(&b);
}

static void slices_of_others_and_wrong_sizes_are_refused(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 2, 1, 200); /* cut into one slice of 200, and ps/1 holds nothing */
    job_sample_add(&b.job, "v", 100, (initializer){.kind = INITIALIZER_ZEROS});
    bench_join(&b, WIRE_WORKER, 0);
    assert_int_equal(b.map.slices[1].server, 1);
    wire_message *m = bench_pull(&b, WIRE_WORKER, 0, 0);
    m->slices[0] = 1;
    bench_refused(&b, m, PS_EMISMATCH, "PULL names slice 1, which ps/0 does not hold");
    m = bench_pull(&b, WIRE_WORKER, 0, 0);
    m->slices[0] = UINT32_MAX;
    bench_refused(&b, m, PS_EMISMATCH, "PULL names slice 4294967295, which ps/0 does not hold");
    m = bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 1);
    buffer_unref(&m->payloads[0]);
    m->payloads[0] = buffer_alloc(8);
    memset(buffer_data(m->payloads[0]), 0, 8);
    bench_refused(&b, m, PS_EMISMATCH, "PUSH_PULL: slice 0: it has 8 bytes; 200 elements in fp32 have 800");
    bench_close(&b);
}

/* ---- codecs ---- */

/* Encodes the payloads of `m`, which are floats, as the job has it. */
static wire_message *encoded(const shard_bench *b, wire_message *m)
{
    for (uint32_t i = 0; i < m->slice_count; i++) {
        const slice *cut = &b->map.slices[m->slices[i]];
        codec_config codec = job_push_codec(&b->job, cut->tensor);
        buffer *payload = buffer_alloc(codec_bytes(&codec, cut->count));
        float *residual = calloc(cut->count, sizeof *residual);
        codec_encode(&codec, buffer_bytes(m->payloads[i]), cut->count,
                     codec_keeps_residual(codec.kind) ? residual : NULL, buffer_data(payload));
        free(residual);
        buffer_unref(&m->payloads[i]);
        m->payloads[i] = payload;
    }
    return m;
}

static void gradients_and_weights_travel_in_the_codecs_of_the_job(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 2, 999);
    b.job.push_codec = CODEC_INT8;
    b.job.pull_codec = CODEC_BF16;
    bench_join(&b, WIRE_WORKER, 0);
    bench_join(&b, WIRE_WORKER, 1);
    bench_send(&b, encoded(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 2)));
    bench_send(&b, encoded(&b, bench_push(&b, WIRE_PUSH_PULL, 1, 1, 10, 4)));
    wire_message *first = shard_next(b.shard, &b.to), *second = shard_next(b.shard, &b.to);
    assert_int_equal(first->type, WIRE_WEIGHTS);
    assert_int_equal(second->type, WIRE_WEIGHTS);
    assert_ptr_equal(first->payloads[0], second->payloads[0]); /* encoded once */
    assert_int_equal(buffer_size(first->payloads[0]), 999 * 2);
    const uint16_t *halves = buffer_bytes(first->payloads[0]);
    for (int i = 0; i < 999; i++)
        assert_int_equal(halves[i], 0xc040); /* -3 */
    wire_destroy(&first);
    wire_destroy(&second);

    /* A new version is encoded anew; what is saved goes as it is. */
    bench_send(&b, encoded(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 2, 10, 1)));
    bench_send(&b, encoded(&b, bench_push(&b, WIRE_PUSH_PULL, 1, 2, 10, 1)));
    first = shard_next(b.shard, &b.to);
    assert_int_equal(((const uint16_t *)buffer_bytes(first->payloads[0]))[998], 0xc080); /* -4 */
    wire_destroy(&first);
    second = shard_next(b.shard, &b.to);
    wire_destroy(&second);
    for (uint32_t w = 0; w < 2; w++) {
        bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, w, 0, 0));
        first = shard_next(b.shard, &b.to);
        wire_destroy(&first);
    }
    wire_message *pull = bench_pull(&b, WIRE_WORKER, 0, 0);
    pull->after_finish = true;
    bench_send(&b, pull);
    first = shard_next(b.shard, &b.to);
    assert_int_equal(buffer_size(first->payloads[0]), 999 * 4);
    assert_true(((const float *)buffer_bytes(first->payloads[0]))[998] == -4);
    wire_destroy(&first);
    bench_close(&b);
}

static void malformed_payloads_are_refused_and_touch_nothing(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 1, 300);
    b.job.push_codec = CODEC_TOPK;
    bench_join(&b, WIRE_WORKER, 0);
    wire_message *m = encoded(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 1));
    codec_topk_entry *entries = buffer_data(m->payloads[0]);
    entries[2].index = 300;
    bench_refused(&b, m, PS_EFORMAT, "PUSH_PULL: slice 0: index 300 of its entry 2 is not in [2, 300)");
    m = bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 1);
    bench_refused(&b, m, PS_EMISMATCH, "PUSH_PULL: slice 0: it has 1200 bytes; 300 elements in topk have 24");
    bench_send(&b, encoded(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 1)));
    wire_message *weights = shard_next(b.shard, &b.to);
    assert_int_equal(weights->type, WIRE_WEIGHTS);
    const float *values = buffer_bytes(weights->payloads[0]);
    for (int i = 0; i < 300; i++)
        assert_true(values[i] == (i < 3 ? -1 : 0));
    wire_destroy(&weights);
    bench_close(&b);
}

static void nan_that_is_not_told_is_found_in_encoded_gradients_too(void **state)
{
    (void)state;
    for (codec_kind kind = CODEC_BF16; kind <= CODEC_TOPK; kind++) {
        shard_bench b;
        bench_open(&b, 1, 1, 300);
        b.job.push_codec = kind;
        b.job.guard = GUARD_STOP;
        bench_join(&b, WIRE_WORKER, 0);
        bench_send(&b, encoded(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, NAN)));
        ps_error error;
        assert_int_equal(shard_failure(b.shard, &error), PS_ENONFINITE);
        assert_string_equal(error.text, "the gradient of worker 0 for step 1 holds NaN or Inf");
        wire_message *answer = shard_next(b.shard, &b.to);
        wire_destroy(&answer);
        bench_close(&b);
    }
}

/* ---- synchronous steps ---- */

static void step_applies_with_gradients_weighted_by_their_examples(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 2);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 1, 1, 30, 5));
    bench_expect_nothing(&b);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 1));
    bench_expect_weights(&b, 2, 1, -4);
    bench_expect_weights(&b, 1, 1, -4);
    bench_expect_nothing(&b);
    assert_int_equal(shard_count(b.shard)->steps_applied, 1);
    assert_int_equal(shard_count(b.shard)->examples_applied, 40);
    bench_close(&b);
}

static void clip_factor_scales_a_gradient(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 1);
    wire_message *m = bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 4);
    m->clip_factor = 0.25f;
    bench_send(&b, m);
    bench_expect_weights(&b, 1, 1, -1);
    bench_close(&b);
}

static void worker_without_examples_takes_part_but_contributes_nothing(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 2);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 0, 0));
    bench_expect_nothing(&b);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 1, 1, 7, 3));
    bench_expect_weights(&b, 1, 1, -3);
    bench_expect_weights(&b, 2, 1, -3);
    /* If nobody has any, the step passes all the same. */
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 2, 0, 0));
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 1, 2, 0, 0));
    bench_expect_weights(&b, 3, 2, -3);
    bench_expect_weights(&b, 4, 2, -3);
    bench_close(&b);
}

static void push_is_acknowledged_at_once_and_pull_waits_for_the_version(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 2);
    bench_send(&b, bench_push(&b, WIRE_PUSH, 0, 1, 10, 2));
    bench_expect(&b, WIRE_ACK, 1);
    bench_send(&b, bench_pull(&b, WIRE_WORKER, 0, 1));
    bench_expect_nothing(&b);
    bench_send(&b, bench_pull(&b, WIRE_WORKER, 0, 0));
    bench_expect_weights(&b, 3, 0, 0);
    bench_send(&b, bench_push(&b, WIRE_PUSH, 1, 1, 10, 4));
    bench_expect_weights(&b, 2, 1, -3);
    bench_expect(&b, WIRE_ACK, 4);
    bench_expect_nothing(&b);
    bench_close(&b);
}

static void push_of_a_step_out_of_turn_changes_nothing(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 1);
    bench_refused(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 2, 10, 9), PS_EPROTOCOL,
                  "worker 0 pushes step 2 before its step 1 is answered");
    bench_refused(&b, bench_part(&b, WIRE_PUSH_PULL, 0, 1, 10, 1, 0, 0), PS_EPROTOCOL,
                  "PUSH_PULL names no slice");
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 1));
    bench_expect_weights(&b, b.request, 1, -1);
    bench_close(&b);
}

/* ---- gradients in parts ---- */

static void gradient_may_come_in_parts(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 1, 3000); /* three slices */
    bench_join(&b, WIRE_WORKER, 0);
    bench_send(&b, bench_part(&b, WIRE_PUSH_PULL, 0, 1, 10, 2, 2, 1));
    bench_expect_nothing(&b);
    bench_send(&b, bench_part(&b, WIRE_PUSH, 0, 1, 10, 2, 0, 1));
    bench_expect(&b, WIRE_ACK, 2);
    bench_send(&b, bench_part(&b, WIRE_PUSH_PULL, 0, 1, 10, 2, 1, 1));
    bench_expect_weights(&b, 3, 1, -2); /* lower slices first: the next forward needs them first */
    bench_expect_weights(&b, 1, 1, -2);
    assert_int_equal(shard_count(b.shard)->examples_applied, 10);
    bench_close(&b);
}

static void part_that_comes_twice_counts_once(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 1, 2000);
    bench_join(&b, WIRE_WORKER, 0);
    bench_send(&b, bench_part(&b, WIRE_PUSH, 0, 1, 10, 2, 0, 1));
    bench_expect(&b, WIRE_ACK, 1);
    bench_send(&b, bench_part(&b, WIRE_PUSH, 0, 1, 10, 99, 0, 1)); /* the first stays */
    bench_expect(&b, WIRE_ACK, 2);
    assert_int_equal(shard_count(b.shard)->steps_applied, 0);
    bench_send(&b, bench_part(&b, WIRE_PUSH, 0, 1, 10, 2, 0, 2));
    bench_expect(&b, WIRE_ACK, 3);
    bench_send(&b, bench_pull(&b, WIRE_WORKER, 0, 1));
    bench_expect_weights(&b, 4, 1, -2);
    bench_close(&b);
}

static void parts_that_disagree_are_refused(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 1, 2000);
    bench_join(&b, WIRE_WORKER, 0);
    bench_send(&b, bench_part(&b, WIRE_PUSH, 0, 1, 10, 2, 0, 1));
    bench_expect(&b, WIRE_ACK, 1);
    static const char why[] = "worker 0: the parts of step 1 disagree about examples or clip factor";
    bench_refused(&b, bench_part(&b, WIRE_PUSH, 0, 1, 11, 2, 1, 1), PS_EPROTOCOL, why);
    wire_message *m = bench_part(&b, WIRE_PUSH, 0, 1, 10, 2, 1, 1);
    m->clip_factor = 0.5f;
    bench_refused(&b, m, PS_EPROTOCOL, why);
    bench_send(&b, bench_part(&b, WIRE_PUSH_PULL, 0, 1, 10, 2, 1, 1));
    bench_expect_weights(&b, 4, 1, -2);
    bench_close(&b);
}

static void next_step_is_refused_while_one_is_incomplete(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 2, 2000);
    b.job.backup_workers = 1; /* only then may a worker be a step ahead of a shard */
    bench_join(&b, WIRE_WORKER, 0);
    bench_send(&b, bench_part(&b, WIRE_PUSH, 0, 1, 10, 2, 0, 1));
    bench_expect(&b, WIRE_ACK, 1);
    bench_refused(&b, bench_part(&b, WIRE_PUSH, 0, 2, 10, 2, 1, 1), PS_EPROTOCOL,
                  "worker 0 pushes step 2 while step 1 is incomplete");
    bench_close(&b);
}

static void asynchronous_part_is_answered_once_the_whole_is_applied(void **state)
{
    (void)state;
    static const consistency_mode modes[] = {CONSISTENCY_ASYNC, CONSISTENCY_SSP};
    for (int i = 0; i < 2; i++) {
        shard_bench b;
        bench_open(&b, 1, 2, 2000);
        b.job.mode = modes[i];
        b.job.staleness = 3;
        bench_join(&b, WIRE_WORKER, 0);
        bench_send(&b, bench_part(&b, WIRE_PUSH_PULL, 0, 1, 10, 2, 0, 1));
        bench_expect_nothing(&b);
        bench_send(&b, bench_part(&b, WIRE_PUSH, 0, 1, 10, 2, 0, 1));
        bench_expect_nothing(&b);
        bench_send(&b, bench_part(&b, WIRE_PUSH_PULL, 0, 1, 10, 2, 1, 1));
        bench_expect_weights(&b, 1, 1, -2);
        bench_expect(&b, WIRE_ACK, 2);
        bench_expect_weights(&b, 3, 1, -2);
        bench_close(&b);
    }
}

/* ---- the other modes ---- */

static void asynchronous_pushes_apply_as_they_come(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 2, 100);
    b.job.mode = CONSISTENCY_ASYNC;
    bench_join(&b, WIRE_WORKER, 0);
    bench_join(&b, WIRE_WORKER, 1);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 1));
    bench_expect_weights(&b, 1, 1, -1);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 2, 10, 1));
    bench_expect_weights(&b, 2, 2, -2);
    bench_send(&b, bench_push(&b, WIRE_PUSH, 1, 1, 10, 5));
    bench_expect(&b, WIRE_ACK, 3);
    bench_send(&b, bench_pull(&b, WIRE_WORKER, 1, 0));
    bench_expect_weights(&b, 4, 3, -7);
    /* A restarted worker goes on after its own last step, not after the number of updates. */
    bench_send(&b, bench_hello(&b, WIRE_WORKER, 0, 2));
    wire_message *m = bench_take(&b, WIRE_WELCOME, 0);
    assert_int_equal(m->step, 2);
    wire_destroy(&m);
    bench_close(&b);
}

static void stale_synchronous_parallel_holds_the_fast_back(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 2, 100);
    b.job.mode = CONSISTENCY_SSP;
    b.job.staleness = 1;
    bench_join(&b, WIRE_WORKER, 0);
    bench_join(&b, WIRE_WORKER, 1);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 1));
    bench_expect_weights(&b, 1, 1, -1);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 2, 10, 1));
    bench_expect_nothing(&b);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 1, 1, 10, 1));
    bench_expect_weights(&b, 2, 3, -3);
    bench_expect_weights(&b, 3, 3, -3);
    bench_close(&b);
}

static void late_gradient_is_dropped_with_backups(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 3, 100);
    b.job.backup_workers = 1;
    for (uint32_t w = 0; w < 3; w++)
        bench_join(&b, WIRE_WORKER, w);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 2, 1, 10, 1));
    bench_expect_nothing(&b);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 3));
    bench_expect_weights(&b, 2, 1, -2);
    bench_expect_weights(&b, 1, 1, -2);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 1, 1, 10, 1000));
    bench_expect_weights(&b, 3, 1, -2);
    assert_int_equal(shard_count(b.shard)->late_gradients, 1);
    assert_int_equal(shard_count(b.shard)->examples_applied, 20);
    bench_close(&b);
}

static void half_a_gradient_makes_room_when_its_step_applies_without_it(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 2, 2000);
    b.job.backup_workers = 1;
    bench_join(&b, WIRE_WORKER, 0);
    bench_join(&b, WIRE_WORKER, 1);
    bench_send(&b, bench_part(&b, WIRE_PUSH_PULL, 0, 1, 10, 1000, 0, 1));
    bench_expect_nothing(&b);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 1, 1, 10, 1));
    bench_expect_weights(&b, 1, 1, -1);
    bench_expect_weights(&b, 2, 1, -1);
    bench_send(&b, bench_part(&b, WIRE_PUSH_PULL, 0, 2, 20, 2, 1, 1));
    bench_expect_nothing(&b);
    bench_send(&b, bench_part(&b, WIRE_PUSH_PULL, 0, 2, 20, 2, 0, 1));
    bench_expect_weights(&b, 4, 2, -3);
    bench_expect_weights(&b, 3, 2, -3);
    bench_close(&b);
}

/* ---- repeats and queries ---- */

static void request_sent_again_while_it_waits_is_answered_once(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 2);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 2));
    wire_message *again = bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 2);
    again->request = 1;
    const wire_route elsewhere = {.bytes = 1, .id = {9}};
    shard_receive(b.shard, &again, &elsewhere, b.now_ms);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 1, 1, 10, 2));
    bench_expect_weights(&b, 1, 1, -2);
    assert_memory_equal(&b.to, &elsewhere, sizeof elsewhere); /* the newest route */
    bench_expect_weights(&b, 3, 1, -2);
    bench_expect_nothing(&b);
    bench_close(&b);
}

static void push_repeated_after_a_lost_answer_is_not_applied_twice(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 1);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 2));
    bench_expect_weights(&b, 1, 1, -2);
    wire_message *again = bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 2);
    again->request = 1;
    bench_send(&b, again);
    bench_expect_weights(&b, 1, 1, -2);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 2)); /* under another number */
    bench_expect_weights(&b, b.request, 1, -2);
    bench_send(&b, bench_push(&b, WIRE_PUSH, 0, 1, 10, 2));
    bench_expect(&b, WIRE_ACK, b.request);
    assert_int_equal(shard_count(b.shard)->repeats, 3);
    assert_int_equal(shard_count(b.shard)->steps_applied, 1);
    bench_close(&b);
}

static void query_tells_whom_a_request_waits_for(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 3, 100);
    bench_join(&b, WIRE_WORKER, 0);
    bench_join(&b, WIRE_WORKER, 1);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 2));
    wire_message *query = bench_request(&b, WIRE_QUERY, WIRE_WORKER, 0, 0, 0);
    query->request = 1;
    const wire_route elsewhere = {.bytes = 1, .id = {9}};
    shard_receive(b.shard, &query, &elsewhere, b.now_ms);
    bench_expect_text(&b, WIRE_PENDING, 1, PS_OK, "step 1 waits for worker 1, worker 2 (not joined)");
    assert_memory_equal(&b.to, &elsewhere, sizeof elsewhere);
    bench_send(&b, bench_request(&b, WIRE_QUERY, WIRE_WORKER, 0, 0, 0));
    bench_expect(&b, WIRE_RESEND, b.request);
    bench_expect_nothing(&b);
    bench_close(&b);
}

static void query_tells_that_the_rest_of_a_gradient_is_missing(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 1, 2000);
    b.job.mode = CONSISTENCY_ASYNC;
    bench_join(&b, WIRE_WORKER, 0);
    bench_send(&b, bench_part(&b, WIRE_PUSH_PULL, 0, 1, 10, 2, 0, 1));
    wire_message *query = bench_request(&b, WIRE_QUERY, WIRE_WORKER, 0, 0, 0);
    query->request = 1;
    bench_send(&b, query);
    bench_expect_text(&b, WIRE_PENDING, 1, PS_OK, "step 1 waits for the rest of its gradient");
    bench_close(&b);
}

static void long_list_of_missing_workers_is_cut(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, JOB_WORKERS_MAX, 100);
    bench_join(&b, WIRE_WORKER, 0);
    bench_send(&b, bench_pull(&b, WIRE_WORKER, 0, 1));
    wire_message *query = bench_request(&b, WIRE_QUERY, WIRE_WORKER, 0, 0, 0);
    query->request = 1;
    bench_send(&b, query);
    wire_message *m = bench_take(&b, WIRE_PENDING, 1);
    static const char start[] = "step 1 waits for worker 0, worker 1 (not joined), worker 2 (not joined)";
    assert_memory_equal(m->text, start, strlen(start));
    assert_non_null(strstr(m->text, " more"));
    wire_destroy(&m);
    bench_close(&b);
}

static void open_requests_of_a_member_are_bounded(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 2);
    for (int i = 0; i < SHARD_REQUESTS_MAX + 1; i++)
        bench_send(&b, bench_pull(&b, WIRE_WORKER, 0, 1));
    bench_expect_nothing(&b);
    bench_refused(&b, bench_pull(&b, WIRE_WORKER, 0, 1), PS_ELIMIT,
                  "worker 0 has 65 requests open; no more are taken");
    bench_send(&b, bench_pull(&b, WIRE_WORKER, 1, 0)); /* others are not concerned */
    bench_expect_weights(&b, b.request, 0, 0);
    bench_close(&b);
}

/* ---- restarts ---- */

static void restarted_worker_computes_its_step_again(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 2);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 1000));
    bench_send(&b, bench_hello(&b, WIRE_WORKER, 0, 2));
    wire_message *m = bench_take(&b, WIRE_WELCOME, 0);
    assert_int_equal(m->step, 0);
    wire_destroy(&m);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 1, 1, 10, 1));
    bench_expect_nothing(&b); /* its gradient is forgotten, and so is its request */
    m = bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 3);
    m->incarnation = 2;
    bench_send(&b, m);
    bench_expect_weights(&b, 3, 1, -2);
    bench_expect_weights(&b, 2, 1, -2);
    bench_expect_nothing(&b);
    bench_send(&b, bench_hello(&b, WIRE_WORKER, 1, 7));
    m = bench_take(&b, WIRE_WELCOME, 0);
    assert_int_equal(m->step, 1);
    wire_destroy(&m);
    bench_close(&b);
}

static void restart_amid_a_gradient_drops_its_parts(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 1, 2000);
    bench_join(&b, WIRE_WORKER, 0);
    bench_send(&b, bench_part(&b, WIRE_PUSH, 0, 1, 10, 1000, 0, 1));
    bench_expect(&b, WIRE_ACK, 1);
    bench_send(&b, bench_hello(&b, WIRE_WORKER, 0, 2));
    bench_expect(&b, WIRE_WELCOME, 0);
    wire_message *m = bench_push(&b, WIRE_PUSH_PULL, 0, 1, 20, 2);
    m->incarnation = 2;
    bench_send(&b, m);
    bench_expect_weights(&b, 2, 1, -2);
    bench_close(&b);
}

/* ---- the end ---- */

static void job_is_finished_when_all_members_have_said_so(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 2, 100);
    b.job.evaluators = 1;
    bench_join(&b, WIRE_WORKER, 0);
    bench_join(&b, WIRE_WORKER, 1);
    bench_join(&b, WIRE_EVALUATOR, 0);
    assert_false(shard_finished(b.shard));
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 0, 0, 0));
    wire_message *m = bench_take(&b, WIRE_ACK, 1);
    assert_false(m->job_finished);
    wire_destroy(&m);
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 0, 0, 0)); /* said twice is said once */
    bench_expect(&b, WIRE_ACK, 2);
    bench_refused(&b, bench_push(&b, WIRE_PUSH, 0, 1, 1, 1), PS_EPROTOCOL,
                  "worker 0 pushes step 1 after it said it had finished");
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 1, 0, 0));
    m = bench_take(&b, WIRE_ACK, b.request);
    assert_true(m->job_finished);
    wire_destroy(&m);
    assert_false(shard_finished(b.shard)); /* the evaluator wants the last weights */
    bench_send(&b, bench_pull(&b, WIRE_EVALUATOR, 0, 0));
    m = bench_take(&b, WIRE_WEIGHTS, b.request);
    assert_true(m->job_finished);
    wire_destroy(&m);
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_EVALUATOR, 0, 0, 0));
    bench_expect(&b, WIRE_ACK, b.request);
    assert_true(shard_finished(b.shard));
    bench_close(&b);
}

/* Ps may have to go back without any of them having been lost: then everybody is needed. */
static void with_backups_nobody_may_go_before_all_have_finished(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 2, 100);
    b.job.backup_workers = 1;
    bench_join(&b, WIRE_WORKER, 0);
    bench_join(&b, WIRE_WORKER, 1);
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 1, 0, 0));
    bench_expect_nothing(&b);
    wire_message *query = bench_request(&b, WIRE_QUERY, WIRE_WORKER, 1, 0, 0);
    query->request = 1;
    bench_send(&b, query);
    bench_expect_text(&b, WIRE_PENDING, 1, PS_OK, "the end of the job waits for worker 0");
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 0, 0, 0));
    bench_expect(&b, WIRE_ACK, 1);
    bench_expect(&b, WIRE_ACK, b.request);
    shard_tick(b.shard, b.now_ms);
    assert_false(shard_finished(b.shard));
    for (uint32_t w = 0; w < 2; w++) {
        wire_message *last = bench_request(&b, WIRE_FINISH, WIRE_WORKER, w, 0, 0);
        last->after_finish = true;
        bench_send(&b, last);
        bench_expect(&b, WIRE_ACK, b.request);
    }
    assert_true(shard_finished(b.shard));
    bench_close(&b);
}

static void with_backups_a_ps_does_not_wait_for_ever_for_a_last_word(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 2, 100);
    b.job.backup_workers = 1;
    for (uint32_t w = 0; w < 2; w++)
        bench_join(&b, WIRE_WORKER, w);
    for (uint32_t w = 0; w < 2; w++)
        bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, w, 0, 0));
    bench_expect(&b, WIRE_ACK, 1);
    bench_expect(&b, WIRE_ACK, 2);
    shard_tick(b.shard, b.now_ms + SHARD_FORSAKEN_MS - 1);
    assert_false(shard_finished(b.shard));
    shard_tick(b.shard, b.now_ms + SHARD_FORSAKEN_MS);
    assert_true(shard_finished(b.shard));
    bench_close(&b);
}

static void finish_of_the_last_missing_worker_lets_the_step_apply(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 2);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 2));
    bench_expect_nothing(&b);
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 1, 0, 0));
    bench_expect_weights(&b, 1, 1, -2);
    bench_expect(&b, WIRE_ACK, 2);
    bench_close(&b);
}

static void final_pull_waits_for_all_other_workers(void **state)
{
    (void)state;
    shard_bench b;
    bench_open_joined(&b, 3);
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 2, 0, 0));
    bench_expect(&b, WIRE_ACK, 1);
    wire_message *m = bench_pull(&b, WIRE_WORKER, 0, 0);
    m->after_finish = true;
    bench_send(&b, m);
    bench_expect_nothing(&b);
    wire_message *query = bench_request(&b, WIRE_QUERY, WIRE_WORKER, 0, 0, 0);
    query->request = 2;
    bench_send(&b, query);
    bench_expect_text(&b, WIRE_PENDING, 2, PS_OK, "the end of the job waits for worker 1");
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 1, 0, 0));
    bench_expect_weights(&b, 2, 0, 0);
    bench_expect(&b, WIRE_ACK, b.request);
    bench_close(&b);
}

static void evaluator_pulls_but_may_not_push(void **state)
{
    (void)state;
    shard_bench b;
    bench_open(&b, 1, 1, 100);
    b.job.evaluators = 1;
    bench_join(&b, WIRE_WORKER, 0);
    bench_join(&b, WIRE_EVALUATOR, 0);
    bench_send(&b, bench_pull(&b, WIRE_EVALUATOR, 0, 0));
    bench_expect_weights(&b, 1, 0, 0);
    wire_message *m = bench_push(&b, WIRE_PUSH, 0, 1, 10, 1);
    m->role = WIRE_EVALUATOR;
    bench_refused(&b, m, PS_EPROTOCOL, "an evaluator may not push");
    bench_close(&b);
}

/* ---- gradients that are not finite ---- */

/* A push of `value` everywhere whose worker says that it is not finite. */
static wire_message *flagged_push(shard_bench *b, uint32_t worker, uint64_t step, float value)
{
    wire_message *m = bench_push(b, WIRE_PUSH_PULL, worker, step, 10, value);
    m->nonfinite = true;
    return m;
}

/* A push of `value` everywhere but in element 33, whose worker does not say what that is. */
static wire_message *lying_push(shard_bench *b, uint32_t worker, uint64_t step, float value, float bad)
{
    wire_message *m = bench_push(b, WIRE_PUSH_PULL, worker, step, 10, value);
    ((float *)buffer_data(m->payloads[0]))[33] = bad;
    return m;
}

static void gradient_that_its_worker_flags_is_left_out_whole(void **state)
{
    (void)state;
    static const float values[] = {NAN, INFINITY, 1 /* what is bad lies on another shard */};
    for (int i = 0; i < 3; i++) {
        shard_bench b;
        bench_open_joined(&b, 2);
        bench_send(&b, flagged_push(&b, 0, 1, values[i]));
        bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 1, 1, 10, 4));
        bench_expect_weights(&b, 1, 1, -4);
        bench_expect_weights(&b, 2, 1, -4);
        assert_int_equal(shard_count(b.shard)->nonfinite_refused, 1);
        assert_int_equal(shard_count(b.shard)->examples_applied, 10);
        bench_close(&b);
    }
}

static void worker_that_does_not_flag_spoils_no_weight_and_is_named(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        shard_bench b;
        log_capture log;
        char line[1024];
        bench_open_joined(&b, 3);
        bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 3));
        bench_send(&b, lying_push(&b, 1, 1, 6, bad[i]));
        log_capture_begin(&log);
        log_setup("ps/0", LOG_WARNING);
        bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 2, 1, 20, 3));
        log_setup("test", LOG_OFF);
        log_capture_pause(&log);
        assert_true(log_capture_next(&log, line, sizeof line));
        assert_non_null(strstr(line, "step 1: the gradient of worker 1 holds NaN or Inf and does not say so; "
                                     "elements concerned count as 0 for all"));
        assert_false(log_capture_next(&log, line, sizeof line));
        log_capture_end(&log);
        for (uint64_t request = 1; request <= 3; request++) {
            wire_message *m = bench_take(&b, WIRE_WEIGHTS, request);
            const float *values = buffer_bytes(m->payloads[0]);
            for (int k = 0; k < 100; k++)
                assert_true(values[k] == (k == 33 ? 0 : -3.75f));
            wire_destroy(&m);
        }
        assert_int_equal(shard_count(b.shard)->nonfinite_refused, 1);
        assert_int_equal(shard_count(b.shard)->examples_applied, 40);
        assert_int_equal(shard_failure(b.shard, NULL), PS_OK);
        bench_send(&b, bench_push(&b, WIRE_PUSH, 0, 2, 10, 1));
        assert_int_equal(shard_count(b.shard)->nonfinite_refused, 1);
        bench_close(&b);
    }
}

static void stopping_guard_ends_the_job_for_everyone(void **state)
{
    (void)state;
    static const char why[] = "the gradient of worker 1 for step 1 holds NaN or Inf";
    for (int flagged = 0; flagged < 2; flagged++) {
        shard_bench b;
        bench_open(&b, 1, 3, 100);
        b.job.guard = GUARD_STOP;
        for (uint32_t w = 0; w < 3; w++)
            bench_join(&b, WIRE_WORKER, w);
        bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 1));
        if (!flagged)
            bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 2, 1, 10, 1));
        assert_int_equal(shard_failure(b.shard, NULL), PS_OK);
        bench_send(&b, flagged ? flagged_push(&b, 1, 1, NAN) : lying_push(&b, 1, 1, 1, NAN));
        for (uint32_t answer = 1; answer <= (flagged ? 2 : 3); answer++) {
            static const uint64_t in_order_of_workers[2][3] = {{1, 3, 2}, {1, 2, 0}};
            wire_message *m = bench_take(&b, WIRE_ERROR, in_order_of_workers[flagged][answer - 1]);
            assert_int_equal(m->status, PS_ENONFINITE);
            assert_string_equal(m->text, why);
            wire_destroy(&m);
        }
        ps_error error = {PS_OK, ""};
        assert_int_equal(shard_failure(b.shard, &error), PS_ENONFINITE);
        assert_string_equal(error.text, why);
        bench_refused(&b, bench_push(&b, WIRE_PUSH_PULL, 2, 2, 10, 1), PS_ENONFINITE, why);
        assert_int_equal(shard_count(b.shard)->steps_applied, flagged ? 0 : 1);
        assert_int_equal(shard_count(b.shard)->nonfinite_refused, 1);
        bench_close(&b);
    }
}

/* Shares add up to one but for rounding; with ten equal ones that is enough. */
enum { OVERFLOWING = 10 };

static void sum_that_overflows_is_nobodys_fault_but_stops_a_stopping_guard(void **state)
{
    (void)state;
    static const char why[] = "the sum of the gradients of step 1 overflows";
    for (int guard = GUARD_SKIP; guard <= GUARD_STOP; guard++) {
        shard_bench b;
        bench_open(&b, 1, OVERFLOWING, 100);
        b.job.guard = (guard_policy)guard;
        for (uint32_t w = 0; w < OVERFLOWING; w++)
            bench_join(&b, WIRE_WORKER, w);
        for (uint32_t w = 0; w < OVERFLOWING; w++)
            bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, w, 1, 10, FLT_MAX));
        ps_error error = {PS_OK, ""};
        if (guard == GUARD_SKIP) {
            bench_expect_weights(&b, 1, 1, 0);
            assert_int_equal(shard_failure(b.shard, &error), PS_OK);
        } else {
            assert_int_equal(shard_failure(b.shard, &error), PS_ENONFINITE);
            assert_string_equal(error.text, why);
        }
        assert_int_equal(shard_count(b.shard)->nonfinite_refused, 0);
        bench_close(&b);
    }
}

/* ---- what it says while it waits ---- */

static void tick(shard_bench *b, uint64_t ms)
{
    b->now_ms += ms;
    shard_tick(b->shard, b->now_ms);
}

static void shard_says_whom_it_waits_for(void **state)
{
    (void)state;
    shard_bench b;
    log_capture c;
    log_capture_begin(&c);
    log_setup("test", LOG_INFO);
    bench_open(&b, 1, 2, 100);
    tick(&b, 1);
    tick(&b, SHARD_STALL_MS);
    bench_join(&b, WIRE_WORKER, 0);
    tick(&b, SHARD_STALL_MS);
    bench_send(&b, bench_push(&b, WIRE_PUSH_PULL, 0, 1, 10, 2));
    tick(&b, SHARD_STALL_MS - 1);
    tick(&b, SHARD_STALL_MS);
    tick(&b, 1);
    log_setup("test", LOG_OFF);
    log_capture_pause(&c);
    assert_true(log_capture_has(&c, "info    test  no worker has joined yet (5 s)\n"));
    assert_true(log_capture_has(&c, "info    test  waiting for worker 1 (not joined) (10 s)\n"));
    assert_true(log_capture_has(&c, "warning test  step 1 waits for worker 1 (not joined) (9 s)\n"));
    assert_false(log_capture_has(&c, "wait"));
    log_capture_end(&c);
    bench_close(&b);
}

static void shard_says_whom_the_end_of_the_job_waits_for(void **state)
{
    (void)state;
    shard_bench b;
    log_capture c;
    log_capture_begin(&c);
    log_setup("test", LOG_INFO);
    bench_open(&b, 1, 2, 100);
    b.job.evaluators = 1;
    tick(&b, 1);
    bench_join(&b, WIRE_WORKER, 0);
    bench_join(&b, WIRE_WORKER, 1);
    tick(&b, SHARD_STALL_MS); /* they compute: nothing to say */
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 1, 0, 0));
    tick(&b, SHARD_STALL_MS);
    bench_send(&b, bench_request(&b, WIRE_FINISH, WIRE_WORKER, 0, 0, 0));
    tick(&b, SHARD_STALL_MS);
    log_setup("test", LOG_OFF);
    log_capture_pause(&c);
    assert_true(log_capture_has(&c, "info    test  the end of the job waits for worker 0 (10 s)\n"));
    assert_true(log_capture_has(&c, "info    test  the end of the job waits for 1 of 1 evaluators (15 s)\n"));
    assert_false(log_capture_has(&c, "wait"));
    log_capture_end(&c);
    bench_close(&b);
}

/* ---- allocations ---- */

/* Plays a job from HELLO to FINISH with only so many allocations. True if all went well; else the job must
 * have failed for lack of memory, or its sender been told so. */
static bool job_goes_well(long allowed)
{
    shard_bench b;
    bench_open(&b, 1, 1, 2000);
    bench_prepare(&b);
    wire_message *requests[] = {
        bench_hello(&b, WIRE_WORKER, 0, 1),
        bench_part(&b, WIRE_PUSH_PULL, 0, 1, 10, 1, 0, 1),
        bench_part(&b, WIRE_PUSH_PULL, 0, 1, 10, 1, 1, 1),
        bench_pull(&b, WIRE_WORKER, 0, 1),
        bench_request(&b, WIRE_FINISH, WIRE_WORKER, 0, 0, 0),
    };
    enum { REQUESTS = sizeof requests / sizeof *requests };
    torture_begin(allowed);
    for (int i = 0; i < REQUESTS; i++)
        bench_send(&b, requests[i]);
    torture_end();
    int answers = 0, refusals = 0;
    for (wire_message *m; (m = shard_next(b.shard, &b.to)); wire_destroy(&m)) {
        answers++;
        refusals += m->type == WIRE_ERROR;
    }
    bool well = shard_failure(b.shard, NULL) == PS_OK && answers == REQUESTS && refusals == 0;
    if (!well)
        assert_true(shard_failure(b.shard, NULL) == PS_ENOMEM || refusals > 0);
    bench_close(&b);
    return well;
}

static void lack_of_memory_fails_the_job_and_nothing_else(void **state)
{
    (void)state;
    long allowed = 0;
    while (!job_goes_well(allowed))
        assert_true(++allowed < 200);
    assert_true(allowed > 10);
}

static int silence(void **state)
{
    (void)state;
    log_setup("test", LOG_OFF);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_hello_brings_the_job),
        cmocka_unit_test(hello_meant_for_another_ps_is_refused),
        cmocka_unit_test(hello_with_another_job_names_the_field),
        cmocka_unit_test(job_must_fit_the_cluster_of_the_ps),
        cmocka_unit_test(job_beyond_the_memory_limit_is_refused),
        cmocka_unit_test(refused_job_leaves_room_for_a_right_one),
        cmocka_unit_test(member_outside_the_job_is_refused),
        cmocka_unit_test(first_hello_of_a_member_outside_its_own_job_brings_no_job),
        cmocka_unit_test(a_listener_is_told_of_each_update_and_whose_gradients_it_took),
        cmocka_unit_test(request_without_hello_is_refused),
        cmocka_unit_test(process_that_was_replaced_is_fenced_off),
        cmocka_unit_test(answers_are_not_for_a_ps),
        cmocka_unit_test(slices_of_others_and_wrong_sizes_are_refused),
        cmocka_unit_test(gradients_and_weights_travel_in_the_codecs_of_the_job),
        cmocka_unit_test(malformed_payloads_are_refused_and_touch_nothing),
        cmocka_unit_test(nan_that_is_not_told_is_found_in_encoded_gradients_too),
        cmocka_unit_test(step_applies_with_gradients_weighted_by_their_examples),
        cmocka_unit_test(clip_factor_scales_a_gradient),
        cmocka_unit_test(worker_without_examples_takes_part_but_contributes_nothing),
        cmocka_unit_test(push_is_acknowledged_at_once_and_pull_waits_for_the_version),
        cmocka_unit_test(push_of_a_step_out_of_turn_changes_nothing),
        cmocka_unit_test(gradient_may_come_in_parts),
        cmocka_unit_test(part_that_comes_twice_counts_once),
        cmocka_unit_test(parts_that_disagree_are_refused),
        cmocka_unit_test(next_step_is_refused_while_one_is_incomplete),
        cmocka_unit_test(asynchronous_part_is_answered_once_the_whole_is_applied),
        cmocka_unit_test(asynchronous_pushes_apply_as_they_come),
        cmocka_unit_test(stale_synchronous_parallel_holds_the_fast_back),
        cmocka_unit_test(late_gradient_is_dropped_with_backups),
        cmocka_unit_test(with_backups_a_ps_does_not_wait_for_ever_for_a_last_word),
        cmocka_unit_test(with_backups_nobody_may_go_before_all_have_finished),
        cmocka_unit_test(half_a_gradient_makes_room_when_its_step_applies_without_it),
        cmocka_unit_test(request_sent_again_while_it_waits_is_answered_once),
        cmocka_unit_test(push_repeated_after_a_lost_answer_is_not_applied_twice),
        cmocka_unit_test(query_tells_whom_a_request_waits_for),
        cmocka_unit_test(query_tells_that_the_rest_of_a_gradient_is_missing),
        cmocka_unit_test(long_list_of_missing_workers_is_cut),
        cmocka_unit_test(open_requests_of_a_member_are_bounded),
        cmocka_unit_test(restarted_worker_computes_its_step_again),
        cmocka_unit_test(restart_amid_a_gradient_drops_its_parts),
        cmocka_unit_test(job_is_finished_when_all_members_have_said_so),
        cmocka_unit_test(finish_of_the_last_missing_worker_lets_the_step_apply),
        cmocka_unit_test(final_pull_waits_for_all_other_workers),
        cmocka_unit_test(evaluator_pulls_but_may_not_push),
        cmocka_unit_test(gradient_that_its_worker_flags_is_left_out_whole),
        cmocka_unit_test(worker_that_does_not_flag_spoils_no_weight_and_is_named),
        cmocka_unit_test(stopping_guard_ends_the_job_for_everyone),
        cmocka_unit_test(sum_that_overflows_is_nobodys_fault_but_stops_a_stopping_guard),
        cmocka_unit_test(shard_says_whom_it_waits_for),
        cmocka_unit_test(shard_says_whom_the_end_of_the_job_waits_for),
        cmocka_unit_test(lack_of_memory_fails_the_job_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, silence, NULL);
}
