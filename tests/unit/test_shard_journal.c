/* The shard with a journal: what it holds back, and that it comes back as it was, from every record on. */
#include <math.h>
#include <sys/stat.h>

#include "common/log.h"
#include "ps/archive_folder.h"
#include "ps/optimizer.h"
#include "ps/shard_state.h"
#include "tests/unit/folder.h"
#include "tests/unit/journal_fake.h"
#include "tests/unit/log_capture.h"
#include "tests/unit/shard_bench.h"

/* ---- a shard that logs ---- */

typedef struct {
    shard_bench bench;
    fake_journal *journal;
    archive *archive;
} logging;

static archive *open_archive(void)
{
    archive *a;
    ps_error error;
    if (archive_folder_create("checkpoints", ARCHIVE_KEEP_MAX, &a, &error) != PS_OK)
        fail_msg("%s", error.text);
    return a;
}

/* Of one ps; the job may be changed before open_shard. */
static void open_job(logging *l, uint32_t workers, uint64_t elements)
{
    bench_open(&l->bench, 1, workers, elements);
    l->journal = fake_create();
    l->archive = open_archive();
}

static void open_shard(logging *l, uint64_t image_steps)
{
    l->bench.config.archive = l->archive;
    l->bench.config.journal = &l->journal->base;
    l->bench.config.image_steps = image_steps;
    bench_reopen(&l->bench);
    bench_prepare(&l->bench);
}

/* All workers have joined. */
static void open_logging(logging *l, uint32_t workers, consistency_mode mode)
{
    open_job(l, workers, 100);
    l->bench.job.mode = mode;
    open_shard(l, 1000);
    for (uint32_t w = 0; w < workers; w++)
        bench_join(&l->bench, WIRE_WORKER, w);
}

static void close_logging(logging *l)
{
    l->archive->ops->destroy(l->archive);
    bench_close(&l->bench);
    fake_destroy(&l->journal);
}

/* A new process under the same folder; what was not durable is gone. */
static void restart(logging *l)
{
    fake_journal *cut =
        fake_cut(l->journal, l->journal->holds ? (uint32_t)l->journal->durable : l->journal->count);
    l->archive->ops->destroy(l->archive);
    l->archive = open_archive();
    l->bench.config.incarnation++;
    l->bench.config.archive = l->archive;
    l->bench.config.journal = &cut->base;
    bench_reopen(&l->bench);
    fake_destroy(&l->journal);
    l->journal = cut;
}

static uint64_t ask(shard_bench *b, wire_message *m)
{
    uint64_t request = m->request;
    bench_send(b, m);
    return request;
}

/* From now on only what the test lets become durable is. */
static void hold(logging *l)
{
    l->journal->holds = true;
    l->journal->durable = l->journal->count;
}

static void let_go(logging *l)
{
    l->journal->durable = l->journal->count;
}

/* ---- answers are held ---- */

static uint32_t count_answers(logging *l)
{
    uint32_t count = 0;
    for (wire_message *m; (m = shard_next(l->bench.shard, &l->bench.to)); count++)
        wire_destroy(&m);
    return count;
}

static void while_the_log_stands_still_few_of_the_same_questions_are_answered(void **state)
{
    (void)state;
    logging l;
    open_logging(&l, 2, CONSISTENCY_SYNC);
    hold(&l);
    const uint64_t push = ask(&l.bench, bench_push(&l.bench, WIRE_PUSH_PULL, 0, 1, 1, 2));
    for (int i = 0; i < 1000; i++) {
        wire_message *query = bench_request(&l.bench, WIRE_QUERY, WIRE_WORKER, 0, 0, 0);
        query->request = push;
        bench_send(&l.bench, query);
        bench_send(&l.bench, bench_hello(&l.bench, WIRE_WORKER, 1, 1));
    }
    const uint64_t other = ask(&l.bench, bench_push(&l.bench, WIRE_PUSH_PULL, 1, 1, 1, 2));
    bench_expect_nothing(&l.bench);
    let_go(&l);
    assert_int_equal(count_answers(&l), 2 * SHARD_HELD_MAX + 2); /* and those to both pushes */
    wire_message *query = bench_request(&l.bench, WIRE_QUERY, WIRE_WORKER, 1, 0, 0);
    query->request = other + 1;
    bench_send(&l.bench, query);
    bench_expect(&l.bench, WIRE_RESEND, other + 1);
    close_logging(&l);
}

static void a_push_is_answered_once_it_is_durable(void **state)
{
    (void)state;
    logging l;
    open_logging(&l, 1, CONSISTENCY_ASYNC);
    hold(&l);
    uint64_t request = ask(&l.bench, bench_push(&l.bench, WIRE_PUSH_PULL, 0, 1, 1, 2));
    bench_expect_nothing(&l.bench);
    let_go(&l);
    bench_expect_weights(&l.bench, request, 1, -2);
    close_logging(&l);
}

static void a_pull_that_would_show_an_update_waits_for_it(void **state)
{
    (void)state;
    logging l;
    open_logging(&l, 2, CONSISTENCY_ASYNC);
    hold(&l);
    uint64_t push = ask(&l.bench, bench_push(&l.bench, WIRE_PUSH, 0, 1, 1, 2));
    uint64_t pull = ask(&l.bench, bench_pull(&l.bench, WIRE_WORKER, 1, 0));
    bench_expect_nothing(&l.bench);
    let_go(&l);
    bench_expect(&l.bench, WIRE_ACK, push);
    bench_expect_weights(&l.bench, pull, 1, -2);
    close_logging(&l);
}

static void an_answer_waits_for_what_came_before_it_and_no_longer(void **state)
{
    (void)state;
    logging l;
    open_logging(&l, 2, CONSISTENCY_ASYNC);
    hold(&l);
    uint64_t first = ask(&l.bench, bench_push(&l.bench, WIRE_PUSH, 0, 1, 1, 2));
    let_go(&l);
    uint64_t second = ask(&l.bench, bench_push(&l.bench, WIRE_PUSH, 1, 1, 1, 2));
    bench_expect(&l.bench, WIRE_ACK, first);
    bench_expect_nothing(&l.bench);
    let_go(&l);
    bench_expect(&l.bench, WIRE_ACK, second);
    close_logging(&l);
}

static void a_synchronous_push_that_is_acknowledged_survives_before_its_step_is_applied(void **state)
{
    (void)state;
    logging l;
    open_logging(&l, 2, CONSISTENCY_SYNC);
    uint64_t request = ask(&l.bench, bench_push(&l.bench, WIRE_PUSH, 0, 1, 1, 2));
    bench_expect(&l.bench, WIRE_ACK, request);
    restart(&l);
    bench_send(&l.bench, bench_hello(&l.bench, WIRE_WORKER, 0, 1));
    wire_message *welcome = bench_take(&l.bench, WIRE_WELCOME, 0);
    assert_int_equal(welcome->step, 0);
    assert_int_equal(welcome->held, 1);
    wire_destroy(&welcome);
    bench_join(&l.bench, WIRE_WORKER, 1);
    request = ask(&l.bench, bench_push(&l.bench, WIRE_PUSH_PULL, 1, 1, 1, 4));
    bench_expect_weights(&l.bench, request, 1, -3);
    close_logging(&l);
}

static void an_update_that_was_not_acknowledged_is_pushed_again(void **state)
{
    (void)state;
    logging l;
    open_logging(&l, 1, CONSISTENCY_ASYNC);
    hold(&l);
    ask(&l.bench, bench_push(&l.bench, WIRE_PUSH_PULL, 0, 1, 1, 2));
    bench_expect_nothing(&l.bench);
    restart(&l);
    bench_join(&l.bench, WIRE_WORKER, 0);
    uint64_t request = ask(&l.bench, bench_push(&l.bench, WIRE_PUSH_PULL, 0, 1, 1, 2));
    bench_expect_weights(&l.bench, request, 1, -2);
    close_logging(&l);
}

static void a_repeat_after_a_restart_is_answered_and_not_applied_again(void **state)
{
    (void)state;
    logging l;
    open_logging(&l, 1, CONSISTENCY_ASYNC);
    uint64_t request = ask(&l.bench, bench_push(&l.bench, WIRE_PUSH_PULL, 0, 1, 1, 2));
    bench_expect_weights(&l.bench, request, 1, -2);
    restart(&l);
    bench_join(&l.bench, WIRE_WORKER, 0);
    request = ask(&l.bench, bench_push(&l.bench, WIRE_PUSH_PULL, 0, 1, 1, 2));
    bench_expect_weights(&l.bench, request, 1, -2);
    assert_int_equal(shard_count(l.bench.shard)->repeats, 1);
    assert_int_equal(shard_count(l.bench.shard)->steps_applied, 0);
    assert_int_equal(shard_count(l.bench.shard)->examples_applied, 1);
    assert_int_equal(shard_version(l.bench.shard), 1);
    close_logging(&l);
}

static void half_a_gradient_is_still_there_after_a_restart(void **state)
{
    (void)state;
    logging l;
    open_job(&l, 1, 2048);
    l.bench.job.mode = CONSISTENCY_ASYNC;
    open_shard(&l, 1000);
    bench_join(&l.bench, WIRE_WORKER, 0);
    ask(&l.bench, bench_part(&l.bench, WIRE_PUSH_PULL, 0, 1, 1, 2, 0, 1));
    restart(&l);
    bench_send(&l.bench, bench_hello(&l.bench, WIRE_WORKER, 0, 1));
    wire_message *welcome = bench_take(&l.bench, WIRE_WELCOME, 0);
    assert_int_equal(welcome->held, 1);
    wire_destroy(&welcome);
    uint64_t request = ask(&l.bench, bench_part(&l.bench, WIRE_PUSH_PULL, 0, 1, 1, 2, 1, 1));
    bench_expect_weights(&l.bench, request, 1, -2);
    close_logging(&l);
}

static void a_worker_that_restarts_with_its_ps_begins_its_gradient_anew(void **state)
{
    (void)state;
    logging l;
    open_job(&l, 1, 2048);
    l.bench.job.mode = CONSISTENCY_ASYNC;
    open_shard(&l, 1000);
    bench_join(&l.bench, WIRE_WORKER, 0);
    ask(&l.bench, bench_part(&l.bench, WIRE_PUSH_PULL, 0, 1, 1, 2, 0, 1));
    restart(&l);
    bench_send(&l.bench, bench_hello(&l.bench, WIRE_WORKER, 0, 2));
    bench_expect(&l.bench, WIRE_WELCOME, 0);
    wire_message *m = bench_push(&l.bench, WIRE_PUSH_PULL, 0, 1, 3, 5);
    m->incarnation = 2;
    bench_expect_weights(&l.bench, ask(&l.bench, m), 1, -5);
    close_logging(&l);
}

static void who_was_replaced_before_a_restart_is_refused_after_it(void **state)
{
    (void)state;
    logging l;
    open_logging(&l, 1, CONSISTENCY_ASYNC);
    bench_send(&l.bench, bench_hello(&l.bench, WIRE_WORKER, 0, 2));
    bench_expect(&l.bench, WIRE_WELCOME, 0);
    restart(&l);
    bench_send(&l.bench, bench_hello(&l.bench, WIRE_WORKER, 0, 2));
    bench_expect(&l.bench, WIRE_WELCOME, 0);
    bench_refused(&l.bench, bench_hello(&l.bench, WIRE_WORKER, 0, 1), PS_EPEER,
                  "worker 0 has been replaced by a newer process under the same index");
    close_logging(&l);
}

static void an_image_is_kept_only_when_its_segment_is_durable(void **state)
{
    (void)state;
    logging l;
    open_job(&l, 1, 100);
    open_shard(&l, 1);
    bench_join(&l.bench, WIRE_WORKER, 0);
    hold(&l);
    ask(&l.bench, bench_push(&l.bench, WIRE_PUSH_PULL, 0, 1, 1, 2));
    shard_tick(l.bench.shard, l.bench.now_ms);
    assert_non_null(l.bench.shard->held_image);
    assert_true(l.archive->ops->is_idle(l.archive));
    let_go(&l);
    shard_tick(l.bench.shard, l.bench.now_ms);
    assert_null(l.bench.shard->held_image);
    while (!l.archive->ops->is_idle(l.archive))
        ;
    assert_int_equal(l.archive->ops->newest_kept(l.archive), 1);
    close_logging(&l);
}

static void a_log_that_does_not_keep_up_is_spoken_of(void **state)
{
    (void)state;
    logging l;
    log_capture c;
    open_logging(&l, 1, CONSISTENCY_ASYNC);
    log_setup("ps/0", LOG_INFO);
    log_capture_begin(&c);
    shard_tick(l.bench.shard, l.bench.now_ms);
    hold(&l);
    ask(&l.bench, bench_push(&l.bench, WIRE_PUSH, 0, 1, 1, 2));
    shard_tick(l.bench.shard, l.bench.now_ms + 1);
    shard_tick(l.bench.shard, l.bench.now_ms + 1 + SHARD_STALL_MS);
    log_capture_pause(&c);
    log_setup("test", LOG_OFF);
    assert_true(log_capture_has(&c, "answers wait for the log, which has not reached the disk for 5 s"));
    log_capture_end(&c);
    close_logging(&l);
}

static void a_shard_does_not_end_before_its_last_answer_may_leave(void **state)
{
    (void)state;
    logging l;
    open_job(&l, 1, 100);
    open_shard(&l, 1000);
    bench_join(&l.bench, WIRE_WORKER, 0);
    uint64_t finish = ask(&l.bench, bench_request(&l.bench, WIRE_FINISH, WIRE_WORKER, 0, 0, 0));
    bench_expect(&l.bench, WIRE_ACK, finish);
    hold(&l);
    wire_message *last = bench_request(&l.bench, WIRE_FINISH, WIRE_WORKER, 0, 0, 0);
    last->after_finish = true;
    finish = ask(&l.bench, last);
    assert_false(shard_finished(l.bench.shard));
    bench_expect_nothing(&l.bench);
    let_go(&l);
    bench_expect(&l.bench, WIRE_ACK, finish);
    assert_true(shard_finished(l.bench.shard));
    close_logging(&l);
}

static void change_members(logging *l, wire_type type, uint32_t worker)
{
    bench_send(&l->bench, bench_request(&l->bench, type, WIRE_WORKER, worker, 0, 0));
    wire_message *m;
    while ((m = shard_next(l->bench.shard, &l->bench.to)))
        wire_destroy(&m);
    l->bench.members_version = l->bench.shard->consistency.members.version;
}

static void open_shrinking(logging *l, consistency_mode mode, uint64_t image_steps)
{
    open_job(l, 2, 100);
    l->bench.job.on_worker_loss = LOSS_SHRINK;
    l->bench.job.mode = mode;
    open_shard(l, image_steps);
    for (uint32_t w = 0; w < 2; w++)
        bench_join(&l->bench, WIRE_WORKER, w);
}

static void push_and_expect(logging *l, uint64_t step)
{
    uint64_t request = ask(&l->bench, bench_push(&l->bench, WIRE_PUSH_PULL, 0, step, 1, 2));
    bench_expect_weights(&l->bench, request, step, -2 * (float)step);
}

static void who_takes_part_is_known_after_a_restart(void **state)
{
    (void)state;
    logging l;
    open_shrinking(&l, CONSISTENCY_SYNC, 1000);
    change_members(&l, WIRE_LEAVE, 1); /* from step 2 on */
    ask(&l.bench, bench_push(&l.bench, WIRE_PUSH, 1, 1, 1, 2));
    bench_expect(&l.bench, WIRE_ACK, l.bench.request);
    push_and_expect(&l, 1);
    for (int life = 0; life < 2; life++) { /* by the record, and carried over */
        restart(&l);
        assert_int_equal(l.bench.shard->consistency.members.version, 0); /* it has no job yet */
        bench_send(&l.bench, bench_hello(&l.bench, WIRE_WORKER, 0, 1));
        wire_message *welcome = bench_take(&l.bench, WIRE_WELCOME, 0);
        assert_int_equal(welcome->members_version, l.bench.members_version);
        wire_destroy(&welcome);
        push_and_expect(&l, 2 + (uint64_t)life);
        shard_take_last_image(l.bench.shard);
    }
    close_logging(&l);
}

/* Who was ahead of one that was given up had been allowed to. */
static void a_log_is_read_again_in_which_nobody_waited_for_one_that_was_given_up(void **state)
{
    (void)state;
    logging l;
    open_shrinking(&l, CONSISTENCY_SSP, 1000); /* a staleness of 0 */
    shard_give_up(l.bench.shard, 1, 1000);
    for (uint64_t step = 1; step <= 3; step++)
        push_and_expect(&l, step);
    restart(&l);
    bench_join(&l.bench, WIRE_WORKER, 0);
    assert_int_equal(shard_version(l.bench.shard), 3);
    close_logging(&l);
}

/* ---- from every record on ---- */

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

/* ---- images and the journal ---- */

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
        FOLDER_TEST(a_push_is_answered_once_it_is_durable),
        FOLDER_TEST(while_the_log_stands_still_few_of_the_same_questions_are_answered),
        FOLDER_TEST(a_pull_that_would_show_an_update_waits_for_it),
        FOLDER_TEST(an_answer_waits_for_what_came_before_it_and_no_longer),
        FOLDER_TEST(a_synchronous_push_that_is_acknowledged_survives_before_its_step_is_applied),
        FOLDER_TEST(an_update_that_was_not_acknowledged_is_pushed_again),
        FOLDER_TEST(a_repeat_after_a_restart_is_answered_and_not_applied_again),
        FOLDER_TEST(half_a_gradient_is_still_there_after_a_restart),
        FOLDER_TEST(a_worker_that_restarts_with_its_ps_begins_its_gradient_anew),
        FOLDER_TEST(who_takes_part_is_known_after_a_restart),
        FOLDER_TEST(a_log_is_read_again_in_which_nobody_waited_for_one_that_was_given_up),
        FOLDER_TEST(who_was_replaced_before_a_restart_is_refused_after_it),
        FOLDER_TEST(an_image_is_kept_only_when_its_segment_is_durable),
        FOLDER_TEST(a_log_that_does_not_keep_up_is_spoken_of),
        FOLDER_TEST(a_shard_does_not_end_before_its_last_answer_may_leave),
        FOLDER_TEST(it_comes_back_as_it_was_in_every_mode),
        FOLDER_TEST(it_comes_back_as_it_was_with_every_optimizer),
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
        FOLDER_TEST(a_record_that_does_not_fit_the_shard_is_refused_as_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
