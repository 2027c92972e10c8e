/* What gradients may be to a shard: in codecs, and with values that are not finite. */
#include "ps/shard.h"

#include <float.h>
#include <math.h>

#include "common/log.h"
#include "tests/unit/log_capture.h"
#include "tests/unit/shard_bench.h"
#include "tests/unit/silence.h"
#include "tests/unit/torture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_and_weights_travel_in_the_codecs_of_the_job),
        cmocka_unit_test(malformed_payloads_are_refused_and_touch_nothing),
        cmocka_unit_test(nan_that_is_not_told_is_found_in_encoded_gradients_too),
        cmocka_unit_test(gradient_that_its_worker_flags_is_left_out_whole),
        cmocka_unit_test(worker_that_does_not_flag_spoils_no_weight_and_is_named),
        cmocka_unit_test(stopping_guard_ends_the_job_for_everyone),
        cmocka_unit_test(sum_that_overflows_is_nobodys_fault_but_stops_a_stopping_guard),
    };
    return cmocka_run_group_tests(tests, silence, NULL);
}
