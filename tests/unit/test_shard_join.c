/* Who may speak to a shard, and what brings it its job: HELLO, and what is refused. */
#include "ps/shard.h"

#include <float.h>
#include <math.h>

#include "tests/unit/log_capture.h"
#include "tests/unit/shard_bench.h"
#include "tests/unit/silence.h"
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
    bench_join_as(&b, WIRE_WORKER, 0, 2);
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
        cmocka_unit_test(request_without_hello_is_refused),
        cmocka_unit_test(process_that_was_replaced_is_fenced_off),
        cmocka_unit_test(answers_are_not_for_a_ps),
        cmocka_unit_test(slices_of_others_and_wrong_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, silence, NULL);
}
