/* When ps/shard takes images of itself, by steps and by time, and what is in them. */
#include "common/log.h"
#include "tests/unit/log_capture.h"
#include "tests/unit/shard_bench.h"

enum { KEPT_MAX = 32 };

/* Keeps nothing but what the last images were. */
typedef struct {
    archive base;
    uint64_t begin_at; /* an image of that step is there; 0: none */
    uint64_t steps[KEPT_MAX], count;
    bool final;
    uint64_t pushed; /* by worker 0 */
    uint32_t warmed; /* arrays */
} fake_archive;

static void fake_keep(archive *self, image **taken)
{
    fake_archive *a = (fake_archive *)self;
    assert_true(a->count < KEPT_MAX);
    a->steps[a->count++] = (*taken)->state.step;
    a->final = (*taken)->state.final;
    a->pushed = (*taken)->state.clocks[0].pushed;
    image_destroy(taken);
}

static void fake_warm(archive *self, buffer **memory, uint32_t count)
{
    ((fake_archive *)self)->warmed += count;
    while (count > 0)
        buffer_unref(&memory[--count]);
    free(memory);
}

static bool fake_is_idle(const archive *self)
{
    (void)self;
    return true;
}

static ps_status fake_newest(archive *self, const job_config *job, uint64_t below, uint64_t *step,
                             ps_error *error)
{
    const fake_archive *a = (const fake_archive *)self;
    (void)job, (void)error;
    *step = a->begin_at < below ? a->begin_at : 0;
    return PS_OK;
}

static ps_status fake_load(archive *self, uint64_t step, const job_config *job, const partition *p,
                           uint32_t server, store *into, checkpoint_state *state, ps_error *error)
{
    (void)self, (void)p, (void)server, (void)error;
    store_initialize(into);
    *state = (checkpoint_state){.step = step, .updates = step, .clock_count = job->workers};
    state->clocks = calloc(job->workers, sizeof *state->clocks);
    state->clocks[0].pushed = step;
    return PS_OK;
}

static const archive_ops fake_ops = {
    .keep = fake_keep, .warm = fake_warm, .is_idle = fake_is_idle, .newest = fake_newest, .load = fake_load};

/* One worker; the job can still be changed. */
static void open_with_images(shard_bench *b, fake_archive *a, uint32_t servers, uint64_t steps, uint64_t ms)
{
    a->base.ops = &fake_ops;
    a->count = 0;
    bench_open(b, servers, 1, 5000);
    b->config.archive = &a->base;
    b->config.image_steps = steps;
    b->config.image_ms = ms;
    bench_reopen(b);
}

static void push_at(shard_bench *b, uint64_t step, uint64_t now_ms)
{
    wire_message *m = bench_push(b, WIRE_PUSH, 0, step, 1, 1);
    uint64_t request = m->request;
    b->now_ms = now_ms;
    bench_send(b, m);
    bench_expect(b, WIRE_ACK, request);
}

static void images_are_taken_every_so_many_steps(void **state)
{
    (void)state;
    fake_archive a = {.begin_at = 0};
    shard_bench b;
    open_with_images(&b, &a, 1, 3, 0);
    bench_join(&b, WIRE_WORKER, 0);
    for (uint64_t step = 1; step <= 7; step++)
        push_at(&b, step, 1000);
    assert_int_equal(a.count, 2);
    assert_true(a.steps[0] == 3 && a.steps[1] == 6 && a.pushed == 6 && !a.final);
    wire_message *finish = bench_request(&b, WIRE_FINISH, WIRE_WORKER, 0, 0, 0);
    finish->step = 7;
    bench_send(&b, finish);
    assert_true(a.count == 3 && a.steps[2] == 7 && a.final);
    bench_close(&b);
}

/* Once, so that the first image costs the updates after it no more than others do. */
static void memory_for_images_is_warmed_where_there_will_be_some(void **state)
{
    (void)state;
    for (uint64_t steps = 0; steps <= 3; steps += 3) {
        fake_archive a = {.warmed = 0};
        shard_bench b;
        open_with_images(&b, &a, 1, steps, 0);
        bench_join(&b, WIRE_WORKER, 0);
        const uint32_t slices = partition_server_count(&b.map, 0);
        assert_true(slices > 0);
        for (uint64_t step = 1; step <= 7; step++)
            push_at(&b, step, 1000);
        assert_int_equal(a.warmed, steps > 0 ? slices : 0);
        bench_close(&b);
    }
}

static void synchronous_training_keeps_to_steps_and_says_so(void **state)
{
    (void)state;
    fake_archive a = {.begin_at = 0};
    shard_bench b;
    log_setup("test", LOG_WARNING);
    open_with_images(&b, &a, 1, 3, 1000);
    log_capture log;
    log_capture_begin(&log);
    bench_join(&b, WIRE_WORKER, 0);
    log_capture_pause(&log);
    assert_true(log_capture_has(&log,
                                "--checkpoint-secs is for ssp and async; this synchronous job keeps the "
                                "steps of --checkpoint-steps (3), which are the same on all ps"));
    log_capture_end(&log);
    for (uint64_t step = 1; step <= 7; step++)
        push_at(&b, step, 1000 + 5000 * step);
    assert_true(a.count == 2 && a.steps[0] == 3 && a.steps[1] == 6);
    bench_close(&b);
}

static void without_synchrony_seconds_count_in_place_of_steps(void **state)
{
    (void)state;
    const consistency_mode modes[] = {CONSISTENCY_ASYNC, CONSISTENCY_SSP};
    for (int i = 0; i < 2; i++) {
        fake_archive a = {.begin_at = 0};
        shard_bench b;
        open_with_images(&b, &a, 1, 2, 5000);
        b.job.mode = modes[i];
        bench_join(&b, WIRE_WORKER, 0); /* at 1000 */
        push_at(&b, 1, 2000);
        push_at(&b, 2, 5999);
        assert_int_equal(a.count, 0);
        push_at(&b, 3, 6000);
        assert_true(a.count == 1 && a.steps[0] == 3);
        push_at(&b, 4, 10999);
        push_at(&b, 5, 30000);
        push_at(&b, 6, 34999);
        assert_true(a.count == 2 && a.steps[1] == 5 && a.pushed == 5);
        shard_tick(b.shard, 90000); /* nothing new to keep */
        assert_int_equal(a.count, 2);
        bench_close(&b);
    }
}

static void several_ps_take_round_numbers(void **state)
{
    (void)state;
    fake_archive a = {.begin_at = 0};
    shard_bench b;
    open_with_images(&b, &a, 2, 2, 1000);
    b.job.mode = CONSISTENCY_ASYNC;
    bench_join(&b, WIRE_WORKER, 0);
    for (uint64_t step = 1; step <= 70; step++)
        push_at(&b, step, 1000 + 50 * step); /* 20 a second */
    assert_int_equal(a.count, 4);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(a.steps[i], 16 * (i + 1));
    bench_close(&b);
}

static void interval_begins_anew_after_a_restart(void **state)
{
    (void)state;
    fake_archive a = {.begin_at = 40};
    shard_bench b;
    open_with_images(&b, &a, 1, 0, 5000);
    b.job.mode = CONSISTENCY_ASYNC;
    bench_join(&b, WIRE_WORKER, 0);
    push_at(&b, 41, 5000);
    assert_int_equal(a.count, 0);
    push_at(&b, 42, 6000);
    assert_true(a.count == 1 && a.steps[0] == 42);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_are_taken_every_so_many_steps),
        cmocka_unit_test(memory_for_images_is_warmed_where_there_will_be_some),
        cmocka_unit_test(synchronous_training_keeps_to_steps_and_says_so),
        cmocka_unit_test(without_synchrony_seconds_count_in_place_of_steps),
        cmocka_unit_test(several_ps_take_round_numbers),
        cmocka_unit_test(interval_begins_anew_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
