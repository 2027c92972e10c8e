/* batcher.c - see batcher.h.
 *
 * The lock guards the queue and `ending`; buffers and metrics are the thread's own. Who submits wakes the
 * thread only if it can have something to do: for the first job of a queue, or once a batch is full. */
#include "worker/batcher.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/metrics.h"
#include "common/thread.h"

enum { COUNTED_ROWS, COUNTED_BATCH, COUNTED_COMPUTE, COUNTED };

static const uint64_t batch_limits[] = {1, 2, 4, 8, 16, 32, 64, 128, 256};
static const metric_buckets batch_buckets = {sizeof batch_limits / sizeof batch_limits[0], batch_limits};
static const metric table[COUNTED] = {
    [COUNTED_ROWS] = COUNTER_ROW("penstock_serve_rows_total", "Rows computed."),
    [COUNTED_BATCH] = HISTOGRAM_ROW(METRIC_ONE, &batch_buckets, "penstock_serve_batch_rows",
                                    "Rows that were computed together."),
    [COUNTED_COMPUTE] = HISTOGRAM_ROW(METRIC_NS, &metric_buckets_ns, "penstock_serve_compute_seconds",
                                      "How long a batch was computed."),
};

struct batcher {
    batcher_config config;
    pthread_t thread;
    bool has_thread;
    float *features, *logits; /* of a batch */
    metrics *counted;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    batch_job *first, **last; /* the queue; `last`: where the next one is hung in */
    uint32_t jobs;
    uint64_t rows; /* of all that wait */
    bool ending;
};

/* ---- the thread ---- */

static struct timespec time_of(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
}

/* With the lock: until there is a job, and a full batch or the time of the first is over. */
static void await_jobs(batcher *b)
{
    while (!b->first && !b->ending)
        pthread_cond_wait(&b->changed, &b->lock);
    if (!b->first || b->config.wait_us == 0)
        return;
    const struct timespec over = time_of(b->first->queued_ns + (uint64_t)b->config.wait_us * 1000);
    while (b->rows < b->config.batch_max && !b->ending)
        if (pthread_cond_timedwait(&b->changed, &b->lock, &over) != 0)
            break;
}

/* With the lock: takes the jobs of the next batch off the queue. NULL: there are none. */
static batch_job *take_batch(batcher *b, uint32_t *rows)
{
    batch_job *taken = b->first, **end = &taken;
    *rows = 0;
    while (*end && (*rows == 0 || *rows + (*end)->rows <= b->config.batch_max)) {
        *rows += (*end)->rows;
        b->jobs--;
        end = &(*end)->next;
    }
    b->rows -= *rows;
    b->first = *end;
    if (!b->first)
        b->last = &b->first;
    *end = NULL;
    return taken;
}

/* The features of all jobs in a row; those of a job alone are where they are. */
static const float *gather(batcher *b, const batch_job *jobs)
{
    if (!jobs->next)
        return jobs->features;
    float *to = b->features;
    for (const batch_job *job = jobs; job; job = job->next) {
        const size_t count = (size_t)job->rows * b->config.inputs;
        memcpy(to, job->features, count * sizeof *to);
        to += count;
    }
    return b->features;
}

static void run_batch(batcher *b, batch_job *jobs, uint32_t rows)
{
    const float *features = gather(b, jobs), *logits = b->logits;
    const uint64_t begun_ns = clock_monotonic_ns();
    ps_status status = b->config.compute(b->config.context, features, rows, b->logits);
    metrics_observe(b->counted, COUNTED_COMPUTE, 0, clock_monotonic_ns() - begun_ns);
    metrics_observe(b->counted, COUNTED_BATCH, 0, rows);
    metrics_add(b->counted, COUNTED_ROWS, 0, rows);
    for (batch_job *job = jobs, *next; job; job = next) {
        const size_t count = (size_t)job->rows * b->config.classes;
        next = job->next;
        job->done(job, status, status == PS_OK ? logits : NULL);
        logits += count;
    }
}

static void *work(void *context)
{
    batcher *b = context;
    for (;;) {
        uint32_t rows;
        pthread_mutex_lock(&b->lock);
        await_jobs(b);
        batch_job *jobs = take_batch(b, &rows);
        pthread_mutex_unlock(&b->lock);
        if (!jobs)
            return NULL;
        run_batch(b, jobs, rows);
    }
}

/* ---- everybody else ---- */

ps_status batcher_create(const batcher_config *config, batcher **out, ps_error *error)
{
    batcher *b = calloc(1, sizeof *b);
    *out = b;
    if (!b)
        return ps_fail(error, PS_ENOMEM, "out of memory for batches");
    b->config = *config;
    b->last = &b->first;
    pthread_mutex_init(&b->lock, NULL);
    thread_condition_init(&b->changed);
    const size_t together = config->batch_max;
    const size_t most = together > config->rows_max ? together : config->rows_max;
    b->features = malloc(together * config->inputs * sizeof *b->features);
    b->logits = malloc(most * config->classes * sizeof *b->logits);
    b->counted = metrics_create(table, COUNTED);
    b->has_thread = b->features && b->logits && b->counted && thread_start(&b->thread, work, b) == 0;
    if (b->has_thread)
        return PS_OK;
    batcher_destroy(out);
    return ps_fail(error, PS_ENOMEM, "out of memory for batches of %zu rows", most);
}

ps_status batcher_submit(batcher *b, batch_job *job)
{
    pthread_mutex_lock(&b->lock);
    const ps_status status = b->ending ? PS_ESTATE : b->jobs >= b->config.queue_max ? PS_ELIMIT : PS_OK;
    if (status == PS_OK) {
        job->next = NULL;
        job->queued_ns = clock_monotonic_ns();
        *b->last = job;
        b->last = &job->next;
        b->rows += job->rows;
        if (b->jobs++ == 0 || b->rows >= b->config.batch_max)
            pthread_cond_signal(&b->changed);
    }
    pthread_mutex_unlock(&b->lock);
    return status;
}

uint32_t batcher_depth(batcher *b)
{
    pthread_mutex_lock(&b->lock);
    const uint32_t jobs = b->jobs;
    pthread_mutex_unlock(&b->lock);
    return jobs;
}

void batcher_print(const batcher *b, FILE *out)
{
    metrics_print(b->counted, out);
}

void batcher_close(batcher *b)
{
    if (!b)
        return;
    pthread_mutex_lock(&b->lock);
    b->ending = true;
    pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->lock);
    if (b->has_thread)
        pthread_join(b->thread, NULL);
    b->has_thread = false;
}

void batcher_destroy(batcher **handle)
{
    batcher *b = *handle;
    *handle = NULL;
    if (!b)
        return;
    batcher_close(b);
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->lock);
    metrics_destroy(&b->counted);
    free(b->features);
    free(b->logits);
    free(b);
}
