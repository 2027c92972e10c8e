/* Images and the journal: which image a log begins from, and what becomes of those that fail. */
#include "tests/unit/shard_logging.h"
#include "tests/unit/shard_orders.h"

static void push_steps(logging *l, uint64_t from, uint64_t to)
{
    for (uint64_t step = from; step <= to; step++) {
        wire_message *m = bench_push(&l->bench, WIRE_PUSH_PULL, 0, step, 1, 1);
        m->settled = UINT64_MAX;
        bench_expect(&l->bench, WIRE_WEIGHTS, ask(&l->bench, m));
        shard_tick(l->bench.shard, l->bench.now_ms);
        while (!l->archive->ops->is_idle(l->archive))
            ;
    }
}

static void a_synchronous_shard_that_ended_at_an_image_has_the_version_before(void **state)
{
    (void)state;
    logging l;
    open_job(&l, 1, 100);
    open_shard(&l, 2);
    bench_join(&l.bench, WIRE_WORKER, 0);
    push_steps(&l, 1, 4);
    restart(&l);
    bench_send(&l.bench, bench_hello(&l.bench, WIRE_WORKER, 0, 1));
    wire_message *welcome = bench_take(&l.bench, WIRE_WELCOME, 0);
    assert_int_equal(welcome->step, 4);
    assert_int_equal(welcome->oldest, 3);
    wire_destroy(&welcome);
    close_logging(&l);
}

static void a_damaged_image_loses_nothing_with_the_one_before(void **state)
{
    (void)state;
    logging l;
    open_job(&l, 1, 100);
    l.bench.job.mode = CONSISTENCY_ASYNC;
    open_shard(&l, 2);
    bench_join(&l.bench, WIRE_WORKER, 0);
    push_steps(&l, 1, 5);
    folder_put("checkpoints/step-000000000004/ps-0-of-1.json", "{}", 2);
    restart(&l);
    bench_join(&l.bench, WIRE_WORKER, 0);
    assert_int_equal(shard_version(l.bench.shard), 5);
    bench_expect_weights(&l.bench, ask(&l.bench, bench_pull(&l.bench, WIRE_WORKER, 0, 0)), 5, -5);
    close_logging(&l);
}

/* The shard cannot come back: it says why, but not to the worker. */
static void expect_silence(logging *l, ps_status status, const char *text)
{
    ps_error error;
    for (int again = 0; again < 2; again++) {
        bench_send(&l->bench, bench_hello(&l->bench, WIRE_WORKER, 0, 1));
        bench_expect_nothing(&l->bench);
        assert_false(shard_has_job(l->bench.shard));
        assert_int_equal(shard_failure(l->bench.shard, &error), status);
        if (strncmp(error.text, text, strlen(text)) != 0)
            fail_msg("it says: %s", error.text);
    }
}

static void a_log_that_cannot_be_read_is_not_the_workers_concern(void **state)
{
    (void)state;
    static const struct {
        ps_status broken, status;
        const char *text;
    } cases[] = {
        {PS_EIO, PS_ELOG, "the log of updates cannot be read now: it is broken"},
        {PS_ENOMEM, PS_ELOG, "the log of updates cannot be read now: it is broken"},
        {PS_EFORMAT, PS_EFORMAT,
         "the log of updates is of no use: it is broken; mend that, or remove the log to go on from the "
         "newest checkpoint, without the updates in it"},
    };
    logging l;
    open_logging(&l, 1, CONSISTENCY_ASYNC);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        restart(&l);
        l.journal->broken = cases[i].broken;
        expect_silence(&l, cases[i].status, cases[i].text);
    }
    restart(&l);
    l.journal->broken = PS_EMISMATCH; /* but whose job it is not hears of it */
    bench_refused(&l.bench, bench_hello(&l.bench, WIRE_WORKER, 0, 1), PS_EMISMATCH, "it is broken");
    l.journal->broken = PS_OK;
    bench_join(&l.bench, WIRE_WORKER, 0);
    close_logging(&l);
}

static void without_any_image_to_begin_from_a_shard_does_not_come_back(void **state)
{
    (void)state;
    logging l;
    open_job(&l, 1, 100);
    l.bench.job.mode = CONSISTENCY_ASYNC;
    open_shard(&l, 2);
    bench_join(&l.bench, WIRE_WORKER, 0);
    push_steps(&l, 1, 2);
    l.journal->records[0].base.step = 1; /* as if it had begun with an image that is gone */
    folder_put("checkpoints/step-000000000002/ps-0-of-1.json", "{}", 2);
    restart(&l);
    expect_silence(&l, PS_EFORMAT,
                   "the log of updates is of no use: it needs a checkpoint that cannot be used: ");
    close_logging(&l);
}

static void a_journal_tells_which_image_is_durable_when_a_segment_begins(void **state)
{
    (void)state;
    logging l;
    open_job(&l, 1, 100);
    open_shard(&l, 2);
    bench_join(&l.bench, WIRE_WORKER, 0);
    push_steps(&l, 1, 2);
    assert_int_equal(l.journal->kept, 0);
    push_steps(&l, 3, 4);
    assert_int_equal(l.journal->kept, 2);
    close_logging(&l);
}

static uint32_t count_bases(const fake_journal *f, uint64_t *newest)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        count += !f->records[i].message;
        *newest = f->records[i].message ? *newest : f->records[i].base.step;
    }
    return count;
}

static void images_that_fail_for_long_cost_few_segments_and_nothing_else(void **state)
{
    (void)state;
    enum { FIRST = 3, FAILED = 100 };
    logging l;
    uint64_t newest;
    open_job(&l, 1, 100);
    open_shard(&l, 1);
    bench_join(&l.bench, WIRE_WORKER, 0);
    push_steps(&l, 1, FIRST);
    assert_int_equal(count_bases(l.journal, &newest), 1 + FIRST);
    assert_int_equal(rename("checkpoints", "away"), 0);
    folder_put("checkpoints", "", 0);
    push_steps(&l, FIRST + 1, FIRST + FAILED);
    const uint32_t failed = count_bases(l.journal, &newest) - (1 + FIRST);
    assert_true(failed >= 8 && failed < 16);
    assert_int_equal(unlink("checkpoints"), 0);
    assert_int_equal(rename("away", "checkpoints"), 0);
    restart(&l);
    bench_join(&l.bench, WIRE_WORKER, 0);
    assert_int_equal(shard_version(l.bench.shard), FIRST + FAILED);

    /* A new life tries anew, and at once. */
    push_steps(&l, FIRST + FAILED + 1, FIRST + FAILED + 2);
    assert_int_equal(count_bases(l.journal, &newest), 1 + FIRST + failed + 3);
    assert_int_equal(newest, FIRST + FAILED + 2);
    assert_int_equal(l.journal->kept, FIRST + FAILED + 1);
    close_logging(&l);
}

/* And all of them are bases: none that is kept without being one takes another's place. */
static void images_are_tried_again_when_as_many_have_been_left_out_as_failed(void **state)
{
    (void)state;
    enum { FAILED = 20 };
    logging l;
    uint64_t newest;
    open_job(&l, 1, 100);
    open_shard(&l, 1);
    bench_join(&l.bench, WIRE_WORKER, 0);
    assert_int_equal(rename("checkpoints", "away"), 0);
    folder_put("checkpoints", "", 0);
    push_steps(&l, 1, FAILED);
    assert_int_equal(unlink("checkpoints"), 0);
    assert_int_equal(rename("away", "checkpoints"), 0);
    uint64_t step = FAILED;
    while (l.archive->ops->newest_kept(l.archive) == 0) {
        assert_true(step <= 2 * FAILED);
        step++;
        push_steps(&l, step, step);
    }
    const uint32_t bases = count_bases(l.journal, &newest);
    assert_int_equal(newest, step);
    push_steps(&l, step + 1, step + 10); /* and then every one */
    assert_int_equal(count_bases(l.journal, &newest), bases + 10);
    assert_int_equal(l.archive->ops->newest_kept(l.archive), step + 10);
    close_logging(&l);
}

static void the_last_image_is_tried_in_any_case(void **state)
{
    (void)state;
    logging l;
    open_job(&l, 1, 100);
    open_shard(&l, 1);
    bench_join(&l.bench, WIRE_WORKER, 0);
    assert_int_equal(rename("checkpoints", "away"), 0);
    folder_put("checkpoints", "", 0);
    push_steps(&l, 1, 20);
    assert_int_equal(unlink("checkpoints"), 0);
    assert_int_equal(rename("away", "checkpoints"), 0);
    uint64_t finish = ask(&l.bench, bench_request(&l.bench, WIRE_FINISH, WIRE_WORKER, 0, 0, 0));
    shard_tick(l.bench.shard, l.bench.now_ms);
    while (!l.archive->ops->is_idle(l.archive))
        ;
    shard_tick(l.bench.shard, l.bench.now_ms);
    bench_expect(&l.bench, WIRE_ACK, finish);
    assert_int_equal(l.archive->ops->newest_kept(l.archive), 20);
    close_logging(&l);
}

static void the_image_that_a_shard_came_back_from_counts_as_kept(void **state)
{
    (void)state;
    logging l;
    open_job(&l, 1, 100);
    l.bench.job.mode = CONSISTENCY_ASYNC;
    open_shard(&l, 2);
    bench_join(&l.bench, WIRE_WORKER, 0);
    push_steps(&l, 1, 3);
    restart(&l);
    bench_join(&l.bench, WIRE_WORKER, 0);
    push_steps(&l, 4, 4);
    assert_int_equal(l.journal->kept, 2);
    close_logging(&l);
}

/* An image of a training that had got further is in the folder when another one begins before it. */
static void begin_beside_a_stale_image(logging *l)
{
    open_job(l, 1, 100);
    l->bench.job.mode = CONSISTENCY_ASYNC;
    open_shard(l, 2);
    bench_join(&l->bench, WIRE_WORKER, 0);
    push_steps(l, 1, 4);
    l->journal->holds = true; /* and nothing in it was ever durable: the log is gone */
    assert_int_equal(rename("checkpoints/step-000000000004", "away"), 0);
    restart(l);
    bench_join(&l->bench, WIRE_WORKER, 0);
    assert_int_equal(shard_version(l->bench.shard), 2);
    assert_int_equal(rename("away", "checkpoints/step-000000000004"), 0);
}

static void no_image_of_another_training_stands_for_one_that_was_not_kept(void **state)
{
    (void)state;
    logging l;
    begin_beside_a_stale_image(&l);
    for (uint64_t step = 3; step <= 4; step++)
        bench_expect_weights(&l.bench, ask(&l.bench, bench_push(&l.bench, WIRE_PUSH_PULL, 0, step, 1, 5)),
                             step, step == 3 ? -7 : -12);
    assert_non_null(l.bench.shard->held_image); /* its segment is durable, and then comes the crash */
    restart(&l);
    bench_join(&l.bench, WIRE_WORKER, 0);
    bench_expect_weights(&l.bench, ask(&l.bench, bench_pull(&l.bench, WIRE_WORKER, 0, 0)), 4, -12);
    close_logging(&l);
}

static void where_such_an_image_cannot_be_removed_none_is_kept_of_its_step(void **state)
{
    (void)state;
    logging l;
    uint64_t newest;
    begin_beside_a_stale_image(&l);
    assert_int_equal(unlink("checkpoints/step-000000000004/ps-0-of-1.json"), 0);
    assert_int_equal(mkdir("checkpoints/step-000000000004/ps-0-of-1.json", 0700), 0);
    push_steps(&l, 3, 5);
    assert_int_equal(count_bases(l.journal, &newest), 1);
    assert_int_equal(newest, 2);
    push_steps(&l, 6, 6);
    assert_int_equal(count_bases(l.journal, &newest), 2);
    close_logging(&l);
}

/* More slices than a record holds. */
static void a_waiting_gradient_is_carried_over_in_as_many_records_as_it_needs(void **state)
{
    (void)state;
    enum { MANY = 2 * WIRE_SLICES_MAX + 2 };
    logging l;
    open_job(&l, 2, (uint64_t)MANY * 1024);
    l.bench.job.mode = CONSISTENCY_ASYNC;
    open_shard(&l, 1);
    bench_join(&l.bench, WIRE_WORKER, 0);
    bench_join(&l.bench, WIRE_WORKER, 1);
    for (uint32_t w = 0; w < 2; w++)
        for (uint32_t first = 0; first < MANY - 1; first += WIRE_SLICES_MAX)
            ask(&l.bench, bench_part(&l.bench, WIRE_PUSH, w, 1, 1, 2, first,
                                     first + WIRE_SLICES_MAX < MANY ? WIRE_SLICES_MAX : 1));
    bench_expect_nothing(&l.bench);
    ask(&l.bench, bench_part(&l.bench, WIRE_PUSH, 1, 1, 1, 2, MANY - 1, 1)); /* an image is taken */
    shard_tick(l.bench.shard, l.bench.now_ms);
    while (!l.archive->ops->is_idle(l.archive))
        ;
    uint32_t base = l.journal->count - 1;
    while (l.journal->records[base].message)
        base--;
    assert_int_equal(l.journal->records[base].base.step, 1);
    assert_int_equal(l.journal->records[base].base.carried, 2 + 3); /* who is who, and the parts */
    assert_int_equal(l.journal->count - base - 1, 2 + 3);
    restart(&l);
    bench_join(&l.bench, WIRE_WORKER, 1);
    bench_send(&l.bench, bench_hello(&l.bench, WIRE_WORKER, 0, 1));
    wire_message *welcome = bench_take(&l.bench, WIRE_WELCOME, 0);
    assert_int_equal(welcome->held, 1);
    wire_destroy(&welcome);
    uint64_t last = ask(&l.bench, bench_part(&l.bench, WIRE_PUSH_PULL, 0, 1, 1, 2, MANY - 1, 1));
    bench_expect_weights(&l.bench, last, 2, -4);
    close_logging(&l);
}

static void let_images_be_written(logging *l)
{
    shard_tick(l->bench.shard, l->bench.now_ms);
    while (!l->archive->ops->is_idle(l->archive))
        ;
}

static void order_checkpoint(logging *l, uint64_t step)
{
    expect_answer(&l->bench, WIRE_CHECKPOINT, step, WIRE_PENDING);
    let_images_be_written(l);
}

static void push_step(logging *l, uint32_t worker, uint64_t step)
{
    ask(&l->bench, bench_push(&l->bench, WIRE_PUSH, worker, step, 1, 1));
    bench_drop_answers(&l->bench);
}

static void restart_with_both(logging *l)
{
    restart(l);
    for (uint32_t w = 0; w < 2; w++)
        bench_join(&l->bench, WIRE_WORKER, w);
}

/* The gradient that waits is in the log before that segment, but an image of its step would begin with it. */
static void an_image_does_not_take_a_segment_that_a_crash_has_cut_short(void **state)
{
    (void)state;
    logging l;
    open_logging(&l, 2, CONSISTENCY_SYNC);
    push_step(&l, 0, 1);
    push_step(&l, 1, 1);
    push_step(&l, 0, 2);
    order_checkpoint(&l, 1);
    l.journal->holds = true;
    l.journal->durable = l.journal->count - 1; /* but for that gradient */
    restart_with_both(&l);
    order_checkpoint(&l, 1);
    push_step(&l, 0, 2);
    push_step(&l, 1, 2);
    push_step(&l, 0, 3);
    restart_with_both(&l);
    assert_int_equal(shard_version(l.bench.shard), 2);
    close_logging(&l);
}

static void one_that_waits_for_the_log_is_not_what_came_of_the_one_before(void **state)
{
    (void)state;
    logging l;
    open_logging(&l, 1, CONSISTENCY_SYNC);
    push_step(&l, 0, 1);
    folder_put("checkpoints/step-000000000001", "in the way", 10);
    order_checkpoint(&l, 1);
    bench_refused(&l.bench, order(&l.bench, WIRE_CHECKPOINT, 1), PS_EIO,
                  "ps/0 could not keep the checkpoint of step 1: its log says why");
    unlink("checkpoints/step-000000000001");
    expect_answer(&l.bench, WIRE_CHECKPOINT, 1, WIRE_PENDING);
    expect_answer(&l.bench, WIRE_CHECKPOINT, 1, WIRE_PENDING);
    let_images_be_written(&l);
    expect_answer(&l.bench, WIRE_CHECKPOINT, 1, WIRE_ACK);
    close_logging(&l);
}

static void a_record_that_does_not_fit_the_shard_is_refused_as_damage(void **state)
{
    (void)state;
    logging l;
    open_logging(&l, 1, CONSISTENCY_ASYNC);
    bench_expect(&l.bench, WIRE_ACK, ask(&l.bench, bench_push(&l.bench, WIRE_PUSH, 0, 1, 1, 1)));
    bench_expect(&l.bench, WIRE_ACK, ask(&l.bench, bench_push(&l.bench, WIRE_PUSH, 0, 2, 1, 1)));
    l.journal->records[l.journal->count - 1].message->step = 1;
    restart(&l);
    expect_silence(&l, PS_EFORMAT,
                   "the log of updates is of no use: step 1 of worker 0 is there already; mend that, ");
    close_logging(&l);
}

int main(void)
{
    log_setup("test", LOG_OFF);
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(a_synchronous_shard_that_ended_at_an_image_has_the_version_before),
        FOLDER_TEST(a_damaged_image_loses_nothing_with_the_one_before),
        FOLDER_TEST(a_log_that_cannot_be_read_is_not_the_workers_concern),
        FOLDER_TEST(without_any_image_to_begin_from_a_shard_does_not_come_back),
        FOLDER_TEST(a_journal_tells_which_image_is_durable_when_a_segment_begins),
        FOLDER_TEST(images_that_fail_for_long_cost_few_segments_and_nothing_else),
        FOLDER_TEST(images_are_tried_again_when_as_many_have_been_left_out_as_failed),
        FOLDER_TEST(the_last_image_is_tried_in_any_case),
        FOLDER_TEST(the_image_that_a_shard_came_back_from_counts_as_kept),
        FOLDER_TEST(no_image_of_another_training_stands_for_one_that_was_not_kept),
        FOLDER_TEST(where_such_an_image_cannot_be_removed_none_is_kept_of_its_step),
        FOLDER_TEST(a_waiting_gradient_is_carried_over_in_as_many_records_as_it_needs),
        FOLDER_TEST(one_that_waits_for_the_log_is_not_what_came_of_the_one_before),
        FOLDER_TEST(an_image_does_not_take_a_segment_that_a_crash_has_cut_short),
        FOLDER_TEST(a_record_that_does_not_fit_the_shard_is_refused_as_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
