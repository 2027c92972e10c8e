/* A shard with an archive: what it keeps, where it comes back, and when its process may end. */
#include "ps/shard.h"

#include "common/log.h"
#include "tests/unit/shard_bench.h"

/* An archive that holds nothing and takes everything. */
typedef struct {
    archive base;
    uint32_t kept;
} sink;

static void sink_keep(archive *self, image **taken)
{
    ((sink *)self)->kept++;
    image_destroy(taken);
}

static bool sink_is_idle(const archive *self)
{
    (void)self;
    return true;
}

static ps_status sink_newest(archive *self, const job_config *job, uint64_t below, uint64_t *step,
                             ps_error *error)
{
    (void)self, (void)job, (void)below, (void)error;
    *step = 0;
    return PS_OK;
}

static const archive_ops sink_ops = {.keep = sink_keep, .is_idle = sink_is_idle, .newest = sink_newest};

/* ps/`index` of two, of which ps/0 holds the one slice there is. Of two workers none has joined. */
static void open_with_archive(shard_bench *b, sink *into, uint32_t index)
{
    *into = (sink){.base.ops = &sink_ops};
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

/* Another ps may come back without its last image, and then all are needed again. */
static void shard_without_slices_waits_for_the_last_word_of_all(void **state)
{
    (void)state;
    shard_bench b;
    sink s;
    open_with_archive(&b, &s, 1);
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
    assert_int_equal(s.kept, 0);
    bench_close(&b);
}

/* Of a worker that has gone before it came back it hears nothing any more. */
static void shard_without_slices_ends_when_one_has_said_its_last_word_and_nobody_else_comes(void **state)
{
    (void)state;
    shard_bench b;
    sink s;
    open_with_archive(&b, &s, 1);
    bench_join(&b, WIRE_WORKER, 1);
    say_finished(&b, 1, false);
    expect_acknowledged(&b);
    b.now_ms += SHARD_ABANDONED_MS;
    shard_tick(b.shard, b.now_ms);
    assert_false(shard_finished(b.shard)); /* the other may still be on its way */
    say_finished(&b, 1, true);
    expect_acknowledged(&b);
    shard_tick(b.shard, b.now_ms);
    assert_false(shard_finished(b.shard));
    b.now_ms += SHARD_ABANDONED_MS;
    shard_tick(b.shard, b.now_ms);
    assert_true(shard_finished(b.shard));
    bench_close(&b);
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
        cmocka_unit_test(shard_without_slices_waits_for_the_last_word_of_all),
        cmocka_unit_test(shard_without_slices_ends_when_one_has_said_its_last_word_and_nobody_else_comes),
    };
    return cmocka_run_group_tests(tests, silence, NULL);
}
