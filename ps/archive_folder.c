/* archive_folder.c - see archive_folder.h.
 *
 * Threads: the shard's puts an image into `waiting`; the writer takes it from there. The lock guards what is
 * named below it, and is never held while a file is touched. */
#include "ps/archive_folder.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/thread.h"
#include "common/trace.h"
#include "ps/optimizer.h"

enum {
    WRITER_NICE = 10, /* gives way to the arithmetic, but is not starved by it */
    CAUSES_MAX = 4,   /* of failures, that are remembered */
    PAST_MAX = 64,    /* images of which it is known what came of them */
    PAGE_BYTES = 4096,
};

/* A disk that is full stays so for long: what has been said of it is not said of each checkpoint. */
typedef struct {
    ps_error said[CAUSES_MAX]; /* since the last success, the oldest makes room */
    uint64_t count;
} complaints;

typedef struct {
    archive base;
    char *folder;
    uint32_t keep;
    uint64_t damaged_low, damaged_high; /* no step from here to there could be loaded; 0: none */
    pthread_t writer;
    bool has_writer, has_lock;

    /* The writer's. */
    complaints failures, prune_failures;
    uint64_t failed_in_a_row;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    image *waiting; /* to be written next, or NULL */
    buffer **cold;  /* (cold_count) to be written to, or NULL */
    uint32_t cold_count;
    bool writing, ending;
    archive_counters counters;
    uint64_t newest_kept; /* step */
    struct {
        uint64_t step;
        image_fate fate;
    } past[PAST_MAX]; /* of the last images, one for a step; the oldest makes room */
    unsigned next_past;
} archive_folder;

/* ---- the writer ---- */

static ps_status write_image(const archive_folder *a, const image *i, ps_error *error)
{
    checkpoint_source *slices = calloc(i->slices + 1, sizeof *slices);
    if (!slices)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    buffer *const *next = i->arrays;
    for (uint32_t ordinal = 0; ordinal < i->slices; ordinal++)
        for (uint32_t k = 0; k <= i->slots; k++)
            slices[ordinal].arrays[k] = buffer_bytes(*next++);
    ps_status status =
        checkpoint_write(a->folder, i->job, i->partition, i->server, &i->state, i->slots, slices, error);
    free(slices);
    return status;
}

/* Are they the same but for numbers, which tell one checkpoint from another? */
static bool is_same_cause(const ps_error *a, const ps_error *b)
{
    const char *x = a->text, *y = b->text;
    for (;; x++, y++) {
        while (isdigit((unsigned char)*x))
            x++;
        while (isdigit((unsigned char)*y))
            y++;
        if (*x != *y)
            return false;
        if (*x == '\0')
            return a->status == b->status;
    }
}

static bool is_news(complaints *c, const ps_error *now)
{
    for (uint64_t i = 0; i < c->count && i < CAUSES_MAX; i++)
        if (is_same_cause(&c->said[i], now))
            return false;
    c->said[c->count++ % CAUSES_MAX] = *now;
    return true;
}

static void say_failure(archive_folder *a, const image *i, const ps_error *error)
{
    a->failed_in_a_row++;
    if (is_news(&a->failures, error))
        log_event(LOG_ERROR, "checkpoint_failed", i->state.step,
                  "the checkpoint of step %llu could not be written: %s; training goes on, and "
                  "later ones will be tried",
                  (unsigned long long)i->state.step, error->text);
}

static void say_success(archive_folder *a, const image *i, uint64_t begun_ms)
{
    if (a->failed_in_a_row > 0)
        log_warning("checkpoints can be written again, after %llu that could not",
                    (unsigned long long)a->failed_in_a_row);
    a->failed_in_a_row = 0;
    a->failures.count = 0;
    log_event(LOG_INFO, "checkpoint", i->state.step, "checkpoint of step %llu written in %llu ms",
              (unsigned long long)i->state.step, (unsigned long long)(clock_monotonic_ms() - begun_ms));
}

/* True if the image is on the disk. */
static bool keep_image(archive_folder *a, const image *i)
{
    ps_error error;
    uint64_t begun_ms = clock_monotonic_ms();
    const uint64_t begun_ns = trace_begin();
    const ps_status status = write_image(a, i, &error);
    trace_span(TRACE_WRITE_IMAGE, begun_ns, (trace_about){.step = i->state.step});
    if (status != PS_OK) {
        say_failure(a, i, &error);
        return false;
    }
    say_success(a, i, begun_ms);
    if (checkpoint_prune(a->folder, a->keep, i->partition, i->server, i->state.step, &error) == PS_OK)
        a->prune_failures.count = 0;
    else if (is_news(&a->prune_failures, &error))
        log_warning("old checkpoints could not be removed: %s", error.text);
    return true;
}

/* A process gets its memory page by page, when it first writes to it. */
static void touch(buffer *memory)
{
    volatile unsigned char *bytes = buffer_data(memory);
    for (size_t at = 0; at < buffer_size(memory); at += PAGE_BYTES)
        bytes[at] = 0;
}

/* With the lock, which it lets go of meanwhile. An image, or the end, is not kept waiting. */
static void warm_some(archive_folder *a)
{
    while (a->cold_count > 0 && !a->waiting && !a->ending) {
        buffer *next = a->cold[--a->cold_count];
        pthread_mutex_unlock(&a->lock);
        touch(next);
        buffer_unref(&next);
        pthread_mutex_lock(&a->lock);
    }
}

/* With the lock. What is still cold is let go of as it is. */
static void drop_cold(archive_folder *a)
{
    while (a->cold_count > 0)
        buffer_unref(&a->cold[--a->cold_count]);
    free(a->cold);
    a->cold = NULL;
}

/* With the lock. */
static void forget_fate(archive_folder *a, uint64_t step)
{
    for (unsigned i = 0; i < PAST_MAX; i++)
        if (a->past[i].step == step)
            a->past[i].fate = IMAGE_UNKNOWN;
}

/* Likewise. */
static void note_fate(archive_folder *a, uint64_t step, image_fate fate)
{
    forget_fate(a, step);
    a->past[a->next_past].step = step;
    a->past[a->next_past].fate = fate;
    a->next_past = (a->next_past + 1) % PAST_MAX;
}

static void *write_images(void *context)
{
    archive_folder *a = context;
    trace_name_thread("checkpoint writer");
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), WRITER_NICE);
    pthread_mutex_lock(&a->lock);
    for (;;) {
        while (!a->waiting && !a->ending && !a->cold)
            pthread_cond_wait(&a->changed, &a->lock);
        warm_some(a);
        drop_cold(a);
        image *i = a->waiting;
        if (!i && a->ending)
            break;
        if (!i)
            continue;
        a->waiting = NULL;
        a->writing = true;
        pthread_cond_signal(&a->changed);
        pthread_mutex_unlock(&a->lock);
        const uint64_t begun_ms = clock_monotonic_ms();
        bool kept = keep_image(a, i);
        uint64_t step = i->state.step;
        image_destroy(&i);
        pthread_mutex_lock(&a->lock);
        a->newest_kept = kept ? step : a->newest_kept;
        if (kept) {
            a->counters.step = step;
            a->counters.kept_ms = clock_monotonic_ms();
            a->counters.took_ms = a->counters.kept_ms - begun_ms;
        }
        *(kept ? &a->counters.kept : &a->counters.failed) += 1;
        note_fate(a, step, kept ? IMAGE_KEPT : IMAGE_LOST);
        a->writing = false;
        pthread_cond_signal(&a->changed);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

/* ---- the shard's side ---- */

static void folder_keep(archive *self, image **taken)
{
    archive_folder *a = (archive_folder *)self;
    trace_point(TRACE_IMAGE, trace_begin(), (trace_about){.step = (*taken)->state.step});
    const struct timespec end = thread_deadline(ARCHIVE_PATIENCE_MS);
    if ((*taken)->state.step >= a->damaged_low)
        a->damaged_low = a->damaged_high = 0; /* it is written anew */
    pthread_mutex_lock(&a->lock);
    forget_fate(a, (*taken)->state.step); /* of one before training went back */
    while (a->waiting && pthread_cond_timedwait(&a->changed, &a->lock, &end) != ETIMEDOUT)
        ;
    if (!a->waiting) {
        a->waiting = *taken;
        *taken = NULL;
        pthread_cond_signal(&a->changed);
    } else {
        a->counters.dropped++;
        note_fate(a, (*taken)->state.step, IMAGE_LOST);
    }
    pthread_mutex_unlock(&a->lock);
    if (*taken)
        log_error("the checkpoint of step %llu is left out: the disk has not kept up for %d s",
                  (unsigned long long)(*taken)->state.step, ARCHIVE_PATIENCE_MS / 1000);
    image_destroy(taken);
}

static void folder_warm(archive *self, buffer **memory, uint32_t count)
{
    archive_folder *a = (archive_folder *)self;
    pthread_mutex_lock(&a->lock);
    drop_cold(a); /* of a store before */
    a->cold = memory;
    a->cold_count = count;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

static bool folder_is_idle(const archive *self)
{
    archive_folder *a = (archive_folder *)(uintptr_t)self;
    pthread_mutex_lock(&a->lock);
    bool idle = !a->waiting && !a->writing;
    pthread_mutex_unlock(&a->lock);
    return idle;
}

static void say_passed(uint64_t step, const char *why)
{
    log_warning("the checkpoint of step %llu cannot be used: %s", (unsigned long long)step, why);
}

static ps_status folder_newest(archive *self, const job_config *job, uint64_t below, uint64_t *step,
                               ps_error *error)
{
    const archive_folder *a = (const archive_folder *)self;
    ps_status status = checkpoint_newest(a->folder, job, below, step, say_passed, error);
    bool known = status == PS_OK && *step > 0 && *step >= a->damaged_low && *step <= a->damaged_high;
    return known ? checkpoint_newest(a->folder, job, a->damaged_low, step, say_passed, error) : status;
}

/* Where the floats of a store are to be read to; free it. NULL: out of memory. */
static checkpoint_target *list_targets(const partition *p, uint32_t server, uint32_t slots, store *into)
{
    uint32_t count = partition_server_count(p, server);
    checkpoint_target *slices = calloc(count + 1, sizeof *slices);
    for (uint32_t ordinal = 0; slices && ordinal < count; ordinal++)
        for (uint32_t k = 0; k <= slots; k++)
            slices[ordinal].arrays[k] = store_array(into, ordinal, k);
    return slices;
}

static ps_status folder_load(archive *self, uint64_t step, const job_config *job, const partition *p,
                             uint32_t server, store *into, checkpoint_state *state, ps_error *error)
{
    archive_folder *a = (archive_folder *)self;
    uint32_t slots = optimizer_slots(&job->optimizer);
    checkpoint_target *slices = list_targets(p, server, slots, into);
    *state = (checkpoint_state){0};
    if (!slices)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    uint64_t begun_ms = clock_monotonic_ms();
    ps_status status = checkpoint_load(a->folder, step, job, p, server, slots, slices, state, error);
    free(slices);
    if (status == PS_OK)
        log_info("checkpoint of step %llu read in %llu ms", (unsigned long long)step,
                 (unsigned long long)(clock_monotonic_ms() - begun_ms));
    if (status == PS_OK || status == PS_ENOMEM)
        return status;
    a->damaged_low = step; /* tried from the newest on downwards */
    if (a->damaged_high < step)
        a->damaged_high = step;
    return status;
}

static ps_status folder_load_own(archive *self, uint64_t step, const job_config *job, const partition *p,
                                 uint32_t server, store *into, checkpoint_state *state, ps_error *error)
{
    const archive_folder *a = (const archive_folder *)self;
    uint32_t slots = optimizer_slots(&job->optimizer);
    checkpoint_target *slices = list_targets(p, server, slots, into);
    *state = (checkpoint_state){0};
    if (!slices)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    ps_status status = checkpoint_load_own(a->folder, step, job, server, slots, slices, state, error);
    free(slices);
    return status;
}

static ps_status folder_forget_own(archive *self, uint64_t step, const job_config *job, uint32_t server,
                                   ps_error *error)
{
    return checkpoint_remove_own(((const archive_folder *)self)->folder, step, server, job->servers, error);
}

/* What the writer has in hand is let come to its end first. */
static ps_status folder_forget_beyond(archive *self, uint64_t step, const job_config *job, uint32_t server,
                                      ps_error *error)
{
    archive_folder *a = (archive_folder *)self;
    pthread_mutex_lock(&a->lock);
    if (a->waiting && a->waiting->state.step > step)
        image_destroy(&a->waiting);
    while (a->writing)
        pthread_cond_wait(&a->changed, &a->lock);
    pthread_mutex_unlock(&a->lock);
    return checkpoint_remove_own_beyond(a->folder, step, server, job->servers, error);
}

static uint64_t folder_newest_kept(const archive *self)
{
    archive_folder *a = (archive_folder *)(uintptr_t)self;
    pthread_mutex_lock(&a->lock);
    uint64_t step = a->newest_kept;
    pthread_mutex_unlock(&a->lock);
    return step;
}

static image_fate folder_fate(const archive *self, uint64_t step)
{
    archive_folder *a = (archive_folder *)(uintptr_t)self;
    image_fate fate = IMAGE_UNKNOWN;
    pthread_mutex_lock(&a->lock);
    for (unsigned i = 0; i < PAST_MAX && fate == IMAGE_UNKNOWN; i++)
        if (a->past[i].step == step)
            fate = a->past[i].fate;
    pthread_mutex_unlock(&a->lock);
    return fate;
}

static void folder_destroy(archive *self)
{
    archive_folder *a = (archive_folder *)self;
    if (a->has_writer) {
        pthread_mutex_lock(&a->lock);
        a->ending = true;
        pthread_cond_broadcast(&a->changed);
        pthread_mutex_unlock(&a->lock);
        pthread_join(a->writer, NULL);
    }
    if (a->has_lock) {
        pthread_cond_destroy(&a->changed);
        pthread_mutex_destroy(&a->lock);
    }
    free(a->folder);
    free(a);
}

static const archive_ops folder_ops = {
    .keep = folder_keep,
    .warm = folder_warm,
    .is_idle = folder_is_idle,
    .newest = folder_newest,
    .load = folder_load,
    .load_own = folder_load_own,
    .forget_beyond = folder_forget_beyond,
    .forget_own = folder_forget_own,
    .newest_kept = folder_newest_kept,
    .fate = folder_fate,
    .destroy = folder_destroy,
};

static ps_status start_writer(archive_folder *a, ps_error *error)
{
    pthread_mutex_init(&a->lock, NULL);
    thread_condition_init(&a->changed);
    a->has_lock = true;
    int failed = thread_start(&a->writer, write_images, a);
    a->has_writer = failed == 0;
    return failed ? ps_fail(error, PS_ENOMEM, "no thread to write checkpoints: %s", strerror(failed)) : PS_OK;
}

ps_status archive_folder_create(const char *folder, uint32_t keep, archive **out, ps_error *error)
{
    *out = NULL;
    archive_folder *a = calloc(1, sizeof *a);
    if (!a)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    a->base.ops = &folder_ops;
    a->keep = keep;
    a->folder = strdup(folder);
    ps_status status =
        a->folder ? file_make_folder(folder, error) : ps_fail(error, PS_ENOMEM, "out of memory");
    if (status == PS_OK && access(folder, W_OK | X_OK) != 0)
        status = ps_fail(error, PS_EIO, "checkpoints cannot be written to %s: %s", folder, strerror(errno));
    if (status == PS_OK)
        status = start_writer(a, error);
    if (status != PS_OK) {
        folder_destroy(&a->base);
        return status;
    }
    *out = &a->base;
    return PS_OK;
}

archive_counters archive_folder_count(archive *self)
{
    archive_folder *a = (archive_folder *)self;
    pthread_mutex_lock(&a->lock);
    archive_counters counters = a->counters;
    pthread_mutex_unlock(&a->lock);
    return counters;
}

bool archive_folder_is_final(const archive *self)
{
    const archive_folder *a = (const archive_folder *)self;
    checkpoint_cut newest;
    uint32_t count = 0;
    return checkpoint_list(a->folder, false, &newest, 1, &count, NULL) == PS_OK && count > 0 &&
           newest.whole && newest.final;
}
