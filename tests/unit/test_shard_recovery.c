/* A shard with an archive: what it keeps, where it comes back, and when its process may end. */
#include "ps/shard.h"

#include "tests/unit/shard_bench.h"
#include "tests/unit/silence.h"

/* An archive that takes everything and holds one image at most, of weights of 3. */
typedef struct {
    archive base;
    uint32_t kept;
    uint64_t step; /* of the image; 0: there is none */
    bool final;
    bool unreadable;    /* at the moment */
    uint32_t forgotten; /* how often it was told to forget later images */
} cellar;

static void cellar_keep(archive *self, image **taken)
{
    ((cellar *)self)->kept++;
    image_destroy(taken);
}

static bool cellar_is_idle(const archive *self)
{
    (void)self;
    return true;
}

static ps_status cellar_newest(archive *self, const job_config *job, uint64_t below, uint64_t *step,
                               ps_error *error)
{
    const cellar *c = (const cellar *)self;
    (void)job, (void)error;
    *step = c->step < below ? c->step : 0;
    return PS_OK;
}

static ps_status cellar_load(archive *self, uint64_t step, const job_config *job, const partition *p,
                             uint32_t server, store *into, checkpoint_state *state, ps_error *error)
{
    const cellar *c = (const cellar *)self;
    (void)job;
    if (c->unreadable)
        return ps_fail(error, PS_EIO, "it cannot be read");
    for (uint32_t i = 0; i < partition_server_count(p, server); i++) {
        float *weights = store_array(into, i, 0);
        for (uint32_t k = 0; k < p->slices[p->server_slices[p->server_first[server] + i]].count; k++)
            weights[k] = 3;
    }
    *state = (checkpoint_state){.step = step, .updates = step, .final = c->final};
    return PS_OK;
}

static ps_status cellar_forget_beyond(archive *self, uint64_t step, const job_config *job, uint32_t server,
                                      ps_error *error)
{
    (void)step, (void)job, (void)server, (void)error;
    ((cellar *)self)->forgotten++;
    return PS_OK;
}

static const archive_ops cellar_ops = {
    .keep = cellar_keep,
    .is_idle = cellar_is_idle,
    .newest = cellar_newest,
    .load = cellar_load,
    .forget_beyond = cellar_forget_beyond,
};

/* ps/`index` of two, of which ps/0 holds the one slice there is. Of two workers none has joined. */
static void open_with_archive(shard_bench *b, cellar *into, uint32_t index)
{
    *into = (cellar){.base.ops = &cellar_ops};
    bench_open(b, 2, 2, 100);
    b->config.index = index;
    b->config.archive = &into->base;
    bench_reopen(b);
}

static void say_finished(shard_bench *b, uint32_t worker, bool last_word)
{
    wire_message *m = bench_request(b, WIRE_FINISH, WIRE_WORKER, worker, 0, 0);
    m->after_finish = last_word;
    bench_send(b, m);
}

static void expect_acknowledged(shard_bench *b)
{
    bench_expect(b, WIRE_ACK, b->request);
    bench_expect_nothing(b);
}

static void wait(shard_bench *b, uint64_t ms)
{
    b->now_ms += ms;
    shard_tick(b->shard, b->now_ms);
}

/* The first waits for the second, and then for the last image. */
static void finish_both(shard_bench *b)
{
    say_finished(b, 0, false);
    bench_expect_nothing(b);
    say_finished(b, 1, false);
    expect_acknowledged(b);
    wait(b, 0);
    bench_expect(b, WIRE_ACK, b->request - 1);
    bench_expect_nothing(b);
}

/* Another ps may come back without its last image, and then all are needed again. */
static void shard_without_slices_waits_for_the_last_word_of_all(void **state)
{
    (void)state;
    shard_bench b;
    cellar c;
    open_with_archive(&b, &c, 1);
    bench_join(&b, WIRE_WORKER, 0);
    bench_join(&b, WIRE_WORKER, 1);
    for (uint32_t w = 0; w < 2; w++) {
        say_finished(&b, w, false);
        expect_acknowledged(&b);
    }
    assert_false(shard_finished(b.shard));
    say_finished(&b, 0, true);
    expect_acknowledged(&b);
    assert_false(shard_finished(b.shard));
    say_finished(&b, 1, true);
    expect_acknowledged(&b);
    assert_true(shard_finished(b.shard));
    assert_int_equal(c.kept, 0);
    bench_close(&b);
}

/* It may have come back, and not know of those who have gone. */
static void shard_without_slices_keeps_nobody_from_finishing(void **state)
{
    (void)state;
    shard_bench b;
    cellar c;
    open_with_archive(&b, &c, 1);
    b.job.backup_workers = 1;
    bench_join(&b, WIRE_WORKER, 1);
    say_finished(&b, 1, false);
    expect_acknowledged(&b);
    bench_close(&b);
}

/* Of a worker that has gone before it came back it hears nothing any more. */
static void shard_without_slices_ends_when_one_has_said_its_last_word_and_nobody_else_comes(void **state)
{
    (void)state;
    shard_bench b;
    cellar c;
    open_with_archive(&b, &c, 1);
    bench_join(&b, WIRE_WORKER, 1);
    say_finished(&b, 1, false);
    expect_acknowledged(&b);
    wait(&b, SHARD_ABANDONED_MS);
    assert_false(shard_finished(b.shard)); /* the other may still be on its way */
    say_finished(&b, 1, true);
    expect_acknowledged(&b);
    shard_tick(b.shard, b.now_ms);
    assert_false(shard_finished(b.shard));
    wait(&b, SHARD_ABANDONED_MS);
    assert_true(shard_finished(b.shard));
    bench_close(&b);
}

/* A worker that has gone before does not come back to say again that it has finished. */
static void final_weights_after_the_end_wait_only_for_workers_that_have_come_back(void **state)
{
    (void)state;
    shard_bench b;
    cellar c;
    open_with_archive(&b, &c, 0);
    c.step = 7;
    c.final = true;
    bench_join(&b, WIRE_WORKER, 0);
    wire_message *m = bench_pull(&b, WIRE_WORKER, 0, 0);
    m->after_finish = true;
    bench_send(&b, m);
    bench_expect_weights(&b, b.request, 7, 3);

    bench_join(&b, WIRE_WORKER, 1);
    m = bench_pull(&b, WIRE_WORKER, 0, 0);
    m->after_finish = true;
    const uint64_t pull = m->request;
    bench_send(&b, m);
    bench_expect_nothing(&b);
    say_finished(&b, 1, false);
    bench_expect_weights(&b, pull, 7, 3);
    expect_acknowledged(&b);
    bench_close(&b);
}

/* It may have to wait for another ps that is down, and then needs this one too. */
static void worker_that_comes_back_after_the_end_is_waited_for_however_silent(void **state)
{
    (void)state;
    shard_bench b;
    cellar c;
    open_with_archive(&b, &c, 0);
    bench_join(&b, WIRE_WORKER, 0);
    bench_join(&b, WIRE_WORKER, 1);
    finish_both(&b);
    bench_join_as(&b, WIRE_WORKER, 0, 2);
    wait(&b, SHARD_FORSAKEN_MS);
    assert_false(shard_finished(b.shard));
    bench_close(&b);
}

/* One that is killed after its first word comes back to say the last. */
static void last_word_of_one_worker_does_not_make_the_shard_leave_another(void **state)
{
    (void)state;
    shard_bench b;
    cellar c;
    open_with_archive(&b, &c, 0);
    bench_join(&b, WIRE_WORKER, 0);
    bench_join(&b, WIRE_WORKER, 1);
    finish_both(&b);
    say_finished(&b, 1, true);
    expect_acknowledged(&b);
    wait(&b, SHARD_FORSAKEN_MS - 1);
    assert_false(shard_finished(b.shard));
    say_finished(&b, 0, true);
    expect_acknowledged(&b);
    assert_true(shard_finished(b.shard));
    bench_close(&b);
}

/* Those that are gone for good have given up before. */
static void shard_whose_workers_all_fall_silent_after_their_first_word_ends_at_last(void **state)
{
    (void)state;
    shard_bench b;
    cellar c;
    open_with_archive(&b, &c, 0);
    for (uint32_t w = 0; w < 2; w++)
        bench_join(&b, WIRE_WORKER, w);
    finish_both(&b);
    wait(&b, SHARD_FORSAKEN_MS - 1);
    assert_false(shard_finished(b.shard));
    wait(&b, 1);
    assert_true(shard_finished(b.shard));
    bench_close(&b);
}

static void say_evaluated(shard_bench *b, bool last_word)
{
    wire_message *m = bench_request(b, WIRE_FINISH, WIRE_EVALUATOR, 0, 0, 0);
    m->after_finish = last_word;
    bench_send(b, m);
}

/* Else one that is killed in between would find some ps gone, and never be able to tell the others. */
static void evaluators_last_word_is_waited_for_too(void **state)
{
    (void)state;
    shard_bench b;
    cellar c;
    open_with_archive(&b, &c, 0);
    b.job.evaluators = 1;
    bench_join(&b, WIRE_WORKER, 0);
    bench_join(&b, WIRE_WORKER, 1);
    bench_join(&b, WIRE_EVALUATOR, 0);
    finish_both(&b);
    for (uint32_t w = 0; w < 2; w++) {
        say_finished(&b, w, true);
        expect_acknowledged(&b);
    }
    say_evaluated(&b, false);
    expect_acknowledged(&b);
    assert_false(shard_finished(b.shard));
    say_evaluated(&b, true);
    expect_acknowledged(&b);
    assert_true(shard_finished(b.shard));
    bench_close(&b);
}

/* Else it would begin with an older one, and forget this one, which may be whole. */
static void image_that_cannot_be_read_now_is_not_forgotten_where_members_change(void **state)
{
    (void)state;
    shard_bench b;
    cellar c;
    open_with_archive(&b, &c, 0);
    b.job.on_worker_loss = LOSS_SHRINK;
    c.step = 7;
    c.unreadable = true;
    bench_send(&b, bench_hello(&b, WIRE_WORKER, 0, 1));
    bench_expect_nothing(&b); /* no worker's fault: all wait for the process that comes after */
    ps_error why;
    assert_int_equal(shard_failure(b.shard, &why), PS_ELOG);
    assert_string_equal(why.text,
                        "the checkpoint of step 7 cannot be read now: it cannot be read; later it may "
                        "be, or remove it to go on from the one before");
    assert_int_equal(c.forgotten, 0);
    bench_close(&b);
}

static void image_that_cannot_be_read_is_passed_over_where_members_do_not_change(void **state)
{
    (void)state;
    shard_bench b;
    cellar c;
    open_with_archive(&b, &c, 0);
    c.step = 7;
    c.unreadable = true;
    bench_join(&b, WIRE_WORKER, 0);
    assert_int_equal(shard_failure(b.shard, NULL), PS_OK);
    assert_int_equal(c.forgotten, 0);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shard_without_slices_waits_for_the_last_word_of_all),
        cmocka_unit_test(shard_without_slices_keeps_nobody_from_finishing),
        cmocka_unit_test(shard_without_slices_ends_when_one_has_said_its_last_word_and_nobody_else_comes),
        cmocka_unit_test(final_weights_after_the_end_wait_only_for_workers_that_have_come_back),
        cmocka_unit_test(worker_that_comes_back_after_the_end_is_waited_for_however_silent),
        cmocka_unit_test(last_word_of_one_worker_does_not_make_the_shard_leave_another),
        cmocka_unit_test(shard_whose_workers_all_fall_silent_after_their_first_word_ends_at_last),
        cmocka_unit_test(evaluators_last_word_is_waited_for_too),
        cmocka_unit_test(image_that_cannot_be_read_now_is_not_forgotten_where_members_change),
        cmocka_unit_test(image_that_cannot_be_read_is_passed_over_where_members_do_not_change),
    };
    return cmocka_run_group_tests(tests, silence, NULL);
}
