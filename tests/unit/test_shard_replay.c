/* A shard with a journal comes back as it was, from every record on. */
#include "tests/unit/shard_logging.h"

/* All that a shard is, in one number. */
typedef struct {
    uint64_t hash;
} digest;

static void mix(digest *d, const void *bytes, size_t count)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < count; i++)
        d->hash = (d->hash ^ at[i]) * UINT64_C(0x100000001b3);
}

static void mix_number(digest *d, uint64_t number)
{
    mix(d, &number, sizeof number);
}

static void mix_buffer(digest *d, const buffer *b)
{
    mix_number(d, b ? 1 : 0);
    if (b)
        mix(d, buffer_bytes(b), buffer_size(b));
}

static void mix_push(digest *d, const shard *s, uint32_t worker)
{
    const member_push *push = &s->workers[worker].push;
    const bool sync = s->job.mode == CONSISTENCY_SYNC;
    if (push->received == 0 || (sync && push->step <= s->consistency.applied))
        return;
    mix_number(d, push->step);
    mix_number(d, push->examples);
    mix(d, &push->clip_factor, sizeof push->clip_factor);
    mix_number(d, push->nonfinite);
    for (uint32_t i = 0; i < s->slice_count; i++) {
        mix_number(d, push->named[i]);
        mix_buffer(d, push->slices[i]);
    }
}

/* In synchronous mode a clock says no more than whether a gradient waits. */
static void mix_clock(digest *d, const shard *s, uint32_t worker)
{
    const consistency_clock *clock = &s->consistency.clocks[worker];
    const bool sync = s->job.mode == CONSISTENCY_SYNC;
    mix_number(d, clock->waiting);
    mix_number(d, clock->finished);
    mix_number(d, s->workers[worker].finished);
    mix_number(d, s->workers[worker].gone);
    mix_number(d, s->workers[worker].incarnation);
    if (!sync || clock->waiting)
        mix_number(d, clock->pushed);
}

static uint64_t digest_of(const shard *s)
{
    digest d = {UINT64_C(0xcbf29ce484222325)};
    mix_number(&d, s->consistency.applied);
    mix_number(&d, s->counters.examples_applied);
    mix_number(&d, s->epoch);
    mix_number(&d, store_updates(s->store));
    for (uint32_t i = 0; i < s->slice_count; i++) {
        mix_buffer(&d, store_weights(s->store, i));
        for (uint32_t k = 0; k < optimizer_slots(&s->job.optimizer); k++)
            mix_buffer(&d, store_slot(s->store, i, k));
    }
    for (uint32_t w = 0; w < s->job.workers; w++) {
        mix_clock(&d, s, w);
        mix_push(&d, s, w);
    }
    return d.hash;
}

enum { WORKERS = 6, SLICES = 3, EVENTS = 120, IMAGE_STEPS = 5 };

typedef struct {
    logging log;
    uint64_t dice;
    uint64_t incarnations[WORKERS];
    uint64_t after[FAKE_RECORDS_MAX + 1]; /* by position: the shard's digest there; 0: none was taken */
} story;

static uint32_t roll(story *t, uint32_t sides)
{
    t->dice = t->dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(t->dice >> 33) % sides;
}

static void note(story *t)
{
    shard_bench *b = &t->log.bench;
    wire_message *m;
    shard_tick(b->shard, b->now_ms);
    while ((m = shard_next(b->shard, &b->to))) {
        if (m->type == WIRE_ERROR)
            fail_msg("refused: %s", m->text);
        wire_destroy(&m);
    }
    t->after[t->log.journal->count] = digest_of(b->shard);
}

static void tell(story *t, wire_message *m)
{
    m->epoch = t->log.bench.shard->epoch;
    if (m->role == WIRE_WORKER)
        m->incarnation = t->incarnations[m->index];
    m->settled = UINT64_MAX;
    bench_send(&t->log.bench, m);
    note(t);
}

static void hello(story *t, uint32_t worker, bool again)
{
    t->incarnations[worker] += again;
    wire_message *m = bench_hello(&t->log.bench, WIRE_WORKER, worker, t->incarnations[worker]);
    tell(t, m);
}

static float *values_of(wire_message *m, uint32_t i)
{
    return buffer_data(m->payloads[i]);
}

/* Some slices of the gradient that the worker is at; the same for every part of one. */
static void push_some(story *t, uint32_t worker, bool all)
{
    shard_bench *b = &t->log.bench;
    const shard *s = b->shard;
    const member_push *push = &s->workers[worker].push;
    const consistency_clock *clock = &s->consistency.clocks[worker];
    const bool sync = s->job.mode == CONSISTENCY_SYNC;
    const bool begun = push->received > 0 && !(sync && push->step <= s->consistency.applied);
    /* With backups another shard may have gone on already. */
    uint64_t ahead = s->job.backup_workers > 0 ? roll(t, 2) : 0;
    uint64_t step = begun ? push->step : sync ? s->consistency.applied + 1 + ahead : clock->pushed + 1;
    if (clock->waiting || clock->finished || (!sync && !consistency_may_answer(&s->consistency, step - 1)))
        return;
    uint32_t first = begun ? push->received : 0; /* parts come in order here */
    uint32_t count = all ? SLICES - first : 1 + roll(t, SLICES - first);
    uint64_t kind = (step * 7 + worker * 3 + t->incarnations[worker]) % 11;
    uint32_t examples = kind == 0 ? 0 : 1 + (uint32_t)(kind % 4);
    wire_message *m =
        bench_part(b, roll(t, 2) ? WIRE_PUSH : WIRE_PUSH_PULL, worker, step, examples, 0, first, count);
    m->clip_factor = kind == 3 ? 0.5f : 1;
    m->nonfinite = kind == 5 && first + count == SLICES;
    for (uint32_t i = 0; m->has_payload && i < count; i++)
        for (uint32_t k = 0; k < b->map.slices[m->slices[i]].count; k++)
            values_of(m, i)[k] = (float)roll(t, 2000) / 1000.0f - 1.0f;
    if (m->has_payload && kind == 7)
        values_of(m, 0)[1] = NAN;
    tell(t, m);
}

static void finish(story *t, uint32_t worker)
{
    const shard *s = t->log.bench.shard;
    const consistency_clock *clock = &s->consistency.clocks[worker];
    if (s->workers[worker].push.received > 0 && !clock->waiting)
        push_some(t, worker, true);
    wire_message *m = bench_request(&t->log.bench, WIRE_FINISH, WIRE_WORKER, worker, 0, 0);
    m->step = clock->pushed;
    tell(t, m);
}

/* Of the chief: to where the shard is, or to an image. */
static void restore(story *t)
{
    const shard *s = t->log.bench.shard;
    wire_message *m = bench_request(&t->log.bench, WIRE_RESTORE, WIRE_WORKER, 0, 0, 0);
    const uint64_t step = s->consistency.applied;
    m->step = roll(t, 2) ? step : step - step % IMAGE_STEPS;
    while (s->held_image || !t->log.archive->ops->is_idle(t->log.archive))
        shard_tick(t->log.bench.shard, t->log.bench.now_ms);
    m->epoch = s->epoch + 1;
    m->incarnation = t->incarnations[0];
    bench_send(&t->log.bench, m);
    note(t);
}

static void tell_story(story *t)
{
    const bool sync = t->log.bench.job.mode == CONSISTENCY_SYNC;
    for (uint32_t w = 0; w < WORKERS; w++) {
        t->incarnations[w] = 1;
        hello(t, w, false);
    }
    for (int i = 0; i < EVENTS; i++) {
        uint32_t worker = roll(t, WORKERS), what = roll(t, 40);
        if (what == 0)
            hello(t, worker, true);
        else if (what == 1 && sync)
            restore(t);
        else
            push_some(t, worker, what < 20);
    }
    for (uint32_t w = 0; w < WORKERS; w++)
        finish(t, w);
}

/* What the shard was when the first `count` records had been appended. Where the last of them are of a
 * message that gave rise to more, as where an image was taken, that is what it was after that message. 0: a
 * leap is cut short, which forgets who is who. */
static uint64_t digest_after(const story *t, uint32_t count)
{
    uint32_t first = count, last = count;
    while (first > 0 && t->after[first] == 0)
        first--;
    while (t->after[last] == 0)
        last++;
    for (uint32_t i = first; i < last; i++)
        if (!t->log.journal->records[i].message && t->log.journal->records[i].base.leap && last != count)
            return 0;
    return t->after[last];
}

/* A shard from the first `count` records alone is what the shard was then. */
static void expect_same_after(story *t, uint32_t count)
{
    const shard_bench *b = &t->log.bench;
    const uint64_t expected = digest_after(t, count);
    if (expected == 0)
        return;
    fake_journal *cut = fake_cut(t->log.journal, count);
    shard_bench again = {.job = b->job, .now_ms = 1, .config = b->config, .map = b->map};
    again.config.journal = &cut->base;
    again.config.archive = t->log.archive;
    again.config.image_steps = 0;
    assert_int_equal(shard_create(&again.config, &again.shard), PS_OK);
    bench_send(&again, bench_hello(&again, WIRE_EVALUATOR, 0, 1)); /* brings the job, and changes nothing */
    wire_message *answer = shard_next(again.shard, &again.to);
    if (answer->type != WIRE_WELCOME)
        fail_msg("it does not come back from %u records: %s", count, answer->text);
    wire_destroy(&answer);
    if (digest_of(again.shard) != expected)
        fail_msg("seed %llu: another shard after %u records", (unsigned long long)t->dice, count);
    shard_destroy(&again.shard);
    fake_destroy(&cut);
}

static void follow(consistency_mode mode, optimizer_kind kind, uint32_t backups, codec_kind codec,
                   uint64_t seed)
{
    story *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->dice = seed;
    assert_int_equal(system("rm -rf checkpoints"), 0);
    open_job(&t->log, WORKERS, (SLICES - 1) * 1024 + 100);
    job_config *job = &t->log.bench.job;
    job->mode = mode;
    job->evaluators = 1;
    job->staleness = mode == CONSISTENCY_SSP ? 2 : 0;
    job->backup_workers = backups;
    job->optimizer.kind = kind;
    job->pull_codec = codec;
    job->schedule.learning_rate = 0.01;
    open_shard(&t->log, IMAGE_STEPS);
    tell_story(t);
    while (!t->log.archive->ops->is_idle(t->log.archive))
        ;
    for (uint32_t n = 1; n <= t->log.journal->count; n++)
        expect_same_after(t, n);
    assert_true(t->log.journal->count > EVENTS / 8);
    close_logging(&t->log);
    free(t);
}

static void it_comes_back_as_it_was_in_every_mode(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        follow(CONSISTENCY_SYNC, OPTIMIZER_MOMENTUM, 0, CODEC_FP32, seed);
        follow(CONSISTENCY_SYNC, OPTIMIZER_MOMENTUM, 1, CODEC_FP32, seed);
        follow(CONSISTENCY_SYNC, OPTIMIZER_MOMENTUM, 4, CODEC_FP32, seed);
        follow(CONSISTENCY_SSP, OPTIMIZER_MOMENTUM, 0, CODEC_FP32, seed);
        follow(CONSISTENCY_ASYNC, OPTIMIZER_MOMENTUM, 0, CODEC_BF16, seed);
    }
}

static void it_comes_back_as_it_was_with_every_optimizer(void **state)
{
    (void)state;
    static const optimizer_kind kinds[] = {OPTIMIZER_SGD,     OPTIMIZER_NESTEROV, OPTIMIZER_ADAGRAD,
                                           OPTIMIZER_RMSPROP, OPTIMIZER_ADAM,     OPTIMIZER_ADAMW,
                                           OPTIMIZER_FTRL};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        follow(CONSISTENCY_SYNC, kinds[i], 0, CODEC_FP32, 7 + i);
        follow(CONSISTENCY_ASYNC, kinds[i], 0, CODEC_FP32, 7 + i);
    }
}

int main(void)
{
    log_setup("test", LOG_OFF);
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(it_comes_back_as_it_was_in_every_mode),
        FOLDER_TEST(it_comes_back_as_it_was_with_every_optimizer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
