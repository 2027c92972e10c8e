/* Jobs that are computed together: worker/batcher, on a computation that the test holds up as it likes. */
#include "worker/batcher.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/torture.h"
#include "tests/unit/unit.h"

enum { INPUTS = 2, CLASSES = 1, JOBS = 20, ROWS_MAX = 9, BATCH_MAX = 6 };

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;      /* computing may go on */
    uint32_t begun; /* batches */
    uint32_t rows[JOBS];
    uint32_t done;
    ps_status result;
} plant;

typedef struct {
    batch_job job; /* first */
    plant *plant;
    float features[ROWS_MAX * INPUTS];
    float sum;
    ps_status status;
    uint32_t order; /* among those that are done */
} item;

/* Logits are the sums of a row. */
static ps_status compute(void *context, const float *features, uint32_t rows, float *logits)
{
    plant *p = context;
    pthread_mutex_lock(&p->lock);
    p->rows[p->begun++] = rows;
    pthread_cond_broadcast(&p->changed);
    while (!p->open)
        pthread_cond_wait(&p->changed, &p->lock);
    const ps_status result = p->result;
    pthread_mutex_unlock(&p->lock);
    for (uint32_t r = 0; r < rows; r++)
        logits[r] = features[2 * r] + features[2 * r + 1];
    return result;
}

static void finish(batch_job *job, ps_status status, const float *logits)
{
    item *i = (item *)job;
    plant *p = i->plant;
    pthread_mutex_lock(&p->lock);
    i->status = status;
    for (uint32_t r = 0; status == PS_OK && r < job->rows; r++)
        i->sum += logits[r];
    i->order = p->done++;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

static batcher *make(plant *p, uint32_t batch_max, uint32_t wait_us)
{
    *p = (plant){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    const batcher_config config = {.inputs = INPUTS,
                                   .classes = CLASSES,
                                   .rows_max = ROWS_MAX,
                                   .batch_max = batch_max,
                                   .wait_us = wait_us,
                                   .queue_max = JOBS - 1,
                                   .compute = compute,
                                   .context = p};
    batcher *b;
    assert_int_equal(batcher_create(&config, &b, NULL), PS_OK);
    return b;
}

static void fill(item *i, plant *p, uint32_t rows, float value)
{
    *i = (item){.plant = p, .job = {.features = i->features, .rows = rows, .done = finish}};
    for (uint32_t k = 0; k < rows * INPUTS; k++)
        i->features[k] = value;
}

static void await(plant *p, const uint32_t *what, uint32_t count)
{
    pthread_mutex_lock(&p->lock);
    while (*what < count)
        pthread_cond_wait(&p->changed, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

static void open_up(plant *p)
{
    pthread_mutex_lock(&p->lock);
    p->open = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

/* While the first is computed, others gather. */
static void submit_behind_one(batcher *b, plant *p, item *items, const uint32_t *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        fill(&items[i], p, rows[i], (float)(i + 1));
        assert_int_equal(batcher_submit(b, &items[i].job), PS_OK);
        if (i == 0)
            await(p, &p->begun, 1);
    }
}

static void what_has_gathered_is_computed_together_and_each_gets_its_own(void **state)
{
    (void)state;
    static item items[JOBS];
    static const uint32_t rows[] = {1, 1, 2, 3, 4, 1, 9, 5, 2}, batches[] = {1, 6, 5, 9, 5, 2};
    plant p;
    batcher *b = make(&p, BATCH_MAX, 0);
    submit_behind_one(b, &p, items, rows, 9);
    assert_int_equal(batcher_depth(b), 8);
    open_up(&p);
    await(&p, &p.done, 9);
    assert_int_equal(p.begun, 6);
    assert_memory_equal(p.rows, batches, sizeof batches);
    for (uint32_t i = 0; i < 9; i++) {
        assert_int_equal(items[i].order, i);
        assert_true(items[i].sum == (float)(2 * rows[i] * (i + 1)));
    }
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    batcher_close(b); /* its metrics are of its thread */
    batcher_print(b, out);
    fclose(out);
    assert_non_null(strstr(text, "penstock_serve_rows_total 28\n"));
    assert_non_null(strstr(text, "penstock_serve_batch_rows_bucket{le=\"8\"} 5\n"));
    free(text);
    batcher_destroy(&b);
    assert_null(b);
    batcher_destroy(&b);
}

static void each_is_alone_without_batching(void **state)
{
    (void)state;
    static item items[JOBS];
    static const uint32_t rows[] = {1, 1, 2, 1}, batches[] = {1, 1, 2, 1};
    plant p;
    batcher *b = make(&p, 1, 0);
    submit_behind_one(b, &p, items, rows, 4);
    open_up(&p);
    await(&p, &p.done, 4);
    assert_memory_equal(p.rows, batches, sizeof batches);
    batcher_destroy(&b);
}

/* An hour is longer than any test waits, so it is the full batch that ends the wait; and the end does too. */
static void others_are_waited_for_until_the_batch_is_full(void **state)
{
    (void)state;
    static item items[JOBS];
    static const uint32_t batches[] = {6, 1};
    plant p;
    batcher *b = make(&p, BATCH_MAX, UINT32_MAX);
    open_up(&p);
    for (uint32_t i = 0; i < BATCH_MAX; i++) {
        fill(&items[i], &p, 1, 1);
        assert_int_equal(batcher_submit(b, &items[i].job), PS_OK);
    }
    await(&p, &p.done, BATCH_MAX);
    fill(&items[BATCH_MAX], &p, 1, 1);
    assert_int_equal(batcher_submit(b, &items[BATCH_MAX].job), PS_OK);
    batcher_destroy(&b);
    assert_int_equal(p.done, BATCH_MAX + 1);
    assert_memory_equal(p.rows, batches, sizeof batches);
}

static void the_first_job_waits_no_longer_than_it_should(void **state)
{
    (void)state;
    static item one;
    plant p;
    batcher *b = make(&p, BATCH_MAX, 1000);
    open_up(&p);
    fill(&one, &p, 1, 1);
    assert_int_equal(batcher_submit(b, &one.job), PS_OK);
    await(&p, &p.done, 1);
    batcher_destroy(&b);
}

static void the_queue_is_bounded_and_ends(void **state)
{
    (void)state;
    static item items[JOBS + 1];
    uint32_t rows[JOBS];
    for (int i = 0; i < JOBS; i++)
        rows[i] = 1;
    plant p;
    batcher *b = make(&p, BATCH_MAX, 0);
    submit_behind_one(b, &p, items, rows, JOBS);
    fill(&items[JOBS], &p, 1, 1);
    assert_int_equal(batcher_submit(b, &items[JOBS].job), PS_ELIMIT);
    open_up(&p);
    batcher_close(b);
    assert_int_equal(p.done, JOBS);
    assert_int_equal(batcher_submit(b, &items[JOBS].job), PS_ESTATE);
    batcher_destroy(&b);
}

static void a_failure_is_told_to_all_of_its_batch(void **state)
{
    (void)state;
    static item items[JOBS];
    static const uint32_t rows[] = {1, 2, 2};
    plant p;
    batcher *b = make(&p, BATCH_MAX, 0);
    submit_behind_one(b, &p, items, rows, 3);
    p.result = PS_EINTERNAL;
    open_up(&p);
    batcher_destroy(&b);
    for (int i = 0; i < 3; i++)
        assert_int_equal(items[i].status, PS_EINTERNAL);
}

static void lack_of_memory_is_told(void **state)
{
    (void)state;
    const batcher_config config = {
        .inputs = INPUTS, .classes = CLASSES, .rows_max = ROWS_MAX, .batch_max = BATCH_MAX, .queue_max = 1};
    batcher *b = NULL;
    for (long allowed = 0; !b; allowed++) {
        ps_error error;
        torture_begin(allowed);
        const ps_status status = batcher_create(&config, &b, &error);
        torture_end();
        assert_int_equal(status, b ? PS_OK : PS_ENOMEM);
        assert_true(allowed < 20);
    }
    batcher_destroy(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_gathered_is_computed_together_and_each_gets_its_own),
        cmocka_unit_test(each_is_alone_without_batching),
        cmocka_unit_test(others_are_waited_for_until_the_batch_is_full),
        cmocka_unit_test(the_first_job_waits_no_longer_than_it_should),
        cmocka_unit_test(the_queue_is_bounded_and_ends),
        cmocka_unit_test(a_failure_is_told_to_all_of_its_batch),
        cmocka_unit_test(lack_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
