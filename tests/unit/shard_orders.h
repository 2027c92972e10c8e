/* shard_orders.h - a shard on the bench to which an administrator gives orders. */
#ifndef PENSTOCK_TESTS_SHARD_ORDERS_H
#define PENSTOCK_TESTS_SHARD_ORDERS_H

#include "tests/unit/shard_bench.h"
#include "tests/unit/silence.h"

/* An archive that is busy with what it was given until told otherwise. */
typedef struct {
    archive base;
    uint64_t old;         /* step of an image of another life; 0: none */
    uint64_t taken, kept; /* the last steps */
    uint32_t images;
    bool busy, fails, is_final;
    image_fate fates[64]; /* by step */
} slow_archive;

static inline void slow_keep(archive *self, image **taken)
{
    slow_archive *a = (slow_archive *)self;
    a->taken = (*taken)->state.step;
    a->images++;
    a->is_final = (*taken)->state.final;
    if (!a->busy && !a->fails)
        a->kept = a->taken;
    a->fates[a->taken] = a->busy ? IMAGE_UNKNOWN : a->fails ? IMAGE_LOST : IMAGE_KEPT;
    image_destroy(taken);
}

static inline bool slow_is_idle(const archive *self)
{
    return !((const slow_archive *)self)->busy;
}

static inline ps_status slow_newest(archive *self, const job_config *job, uint64_t below, uint64_t *step,
                                    ps_error *error)
{
    (void)job, (void)error;
    const uint64_t old = ((const slow_archive *)self)->old;
    *step = old < below ? old : 0;
    return PS_OK;
}

static inline ps_status slow_load(archive *self, uint64_t step, const job_config *job, const partition *p,
                                  uint32_t server, store *into, checkpoint_state *state, ps_error *error)
{
    (void)self, (void)job, (void)p, (void)server, (void)error;
    store_initialize(into);
    *state = (checkpoint_state){.step = step, .updates = step};
    return PS_OK;
}

static inline uint64_t slow_newest_kept(const archive *self)
{
    return ((const slow_archive *)self)->kept;
}

static inline image_fate slow_fate(const archive *self, uint64_t step)
{
    return ((const slow_archive *)self)->fates[step];
}

static const archive_ops slow_ops = {
    .keep = slow_keep,
    .is_idle = slow_is_idle,
    .newest = slow_newest,
    .load = slow_load,
    .newest_kept = slow_newest_kept,
    .fate = slow_fate,
};

/* ps/`index` of two, of which ps/0 holds the one slice there is, and one worker, which has joined. */
static inline void open_joined(shard_bench *b, slow_archive *a, uint32_t index)
{
    *a = (slow_archive){.base.ops = &slow_ops};
    bench_open(b, 2, 1, 100);
    b->config.index = index;
    b->config.archive = &a->base;
    bench_reopen(b);
    bench_join(b, WIRE_WORKER, 0);
}

static inline wire_message *order(shard_bench *b, wire_type type, uint64_t step)
{
    wire_message *m = bench_request(b, type, WIRE_ADMINISTRATOR, 0, 0, 0);
    m->job = 0; /* which it does not know */
    m->receiver = b->config.index;
    m->step = step;
    return m;
}

static inline void train(shard_bench *b, uint64_t step)
{
    bench_send(b, bench_push(b, WIRE_PUSH_PULL, 0, step, 1, 1));
    bench_expect(b, WIRE_WEIGHTS, b->request);
}

/* Gives an order, and has that answer. */
static inline void expect_answer(shard_bench *b, wire_type type, uint64_t step, wire_type answer)
{
    bench_send(b, order(b, type, step));
    bench_expect(b, answer, b->request);
}

/* Orders a checkpoint of `step`; the shard says that it is to come, and where it is. */
static inline void expect_pending(shard_bench *b, uint64_t step, uint64_t at)
{
    bench_send(b, order(b, WIRE_CHECKPOINT, step));
    wire_message *m = bench_take(b, WIRE_PENDING, b->request);
    assert_int_equal(m->step, at);
    assert_true(m->text && m->text[0]);
    wire_destroy(&m);
    bench_expect_nothing(b);
}

/* One shard, and two workers that have joined. */
static inline void open_two(shard_bench *b, consistency_mode mode)
{
    bench_open(b, 1, 2, 100);
    b->job.mode = mode;
    for (uint32_t w = 0; w < 2; w++)
        bench_join(b, WIRE_WORKER, w);
}

#endif
