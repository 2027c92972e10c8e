/* journal_file.c - see journal_file.h.
 *
 * Who owns what: the shard's thread `position` and `has_place`, and everything while the writer is idle
 * (open, replay); the writer `segments`, `fd` and `owner` while it is not. The lock guards what is named
 * below it, and is never held while a file is touched. */
#include "ps/journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/checksum.h"
#include "common/file.h"
#include "common/log.h"
#include "common/thread.h"
#include "ps/journal_batch.h"
#include "ps/journal_folder.h"
#include "ps/journal_replay.h"

/* What the writer is to do: to append a record, or to begin a segment. */
typedef struct work {
    struct work *next;
    uint64_t sequence;
    bool begins;
    journal_base base;
    uint64_t kept;
    record_head head;
    uint32_t payload_count;
    buffer **payloads;     /* (payload_count) references, NULL where there is none; behind the slices */
    record_slice slices[]; /* (head.slice_count) */
} work;

typedef struct {
    journal base;
    char *folder; /* of all logs */
    int wake;     /* eventfd */
    uint64_t position;
    bool has_place; /* for records: the last segment is the one that the shard means */
    bool finished;  /* to be removed at the end */

    journal_owner owner;
    journal_folder segments;
    int fd;                 /* of the last segment, at its end; -1: there is none */
    uint64_t durable_bytes; /* of that segment */
    int process;            /* lock of `owner` for this process, from its first open on; -1 before */

    pthread_t writer;
    bool has_writer, has_lock;
    atomic_uint_fast64_t durable;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    work *queue, **queue_tail;
    bool writing, ending;
    ps_error failure;
} journal_file;

/* ---- the writer: records ---- */

static bool add_record(journal_batch *b, work *w, uint64_t synced)
{
    static const uint8_t zeros[JOURNAL_ALIGN];
    const size_t table = w->head.slice_count * sizeof w->slices[0];
    uint32_t crc = checksum(w->slices, table);
    for (uint32_t i = 0; i < w->payload_count; i++)
        if (w->payloads[i])
            crc = checksum_more(crc, buffer_bytes(w->payloads[i]), buffer_size(w->payloads[i]));
    record_head_seal(&w->head, synced, crc);
    bool done = journal_batch_add(b, &w->head, sizeof w->head) && journal_batch_add(b, w->slices, table);
    for (uint32_t i = 0; i < w->payload_count && done; i++)
        if (w->payloads[i])
            done = journal_batch_add(b, buffer_bytes(w->payloads[i]), buffer_size(w->payloads[i]));
    return done && journal_batch_add(b, zeros, journal_padding(w->head.body_bytes));
}

static void free_work(work *w)
{
    for (uint32_t i = 0; i < w->payload_count; i++)
        buffer_unref(&w->payloads[i]);
    free(w);
}

static ps_status fail_segment(const journal_file *j, const char *what, ps_error *error)
{
    char path[PATH_BYTES];
    int cause = errno;
    const journal_segment *last = &j->segments.segments[j->segments.count - 1];
    ps_status status = journal_folder_path(&j->segments, last->number, path, error);
    return status == PS_OK ? ps_fail(error, PS_EIO, "cannot %s %s: %s", what, path, strerror(cause)) : status;
}

/* Of the end of a segment that has not become durable nobody knows whether it ever will, though it may be
 * read back from the system's memory. Nothing of it was acknowledged: it goes, lest the next process believe
 * it. */
static ps_status fail_batch(const journal_file *j, const char *what, ps_error *error)
{
    ps_error why;
    ps_status status = fail_segment(j, what, &why);
    if (ftruncate(j->fd, (off_t)j->durable_bytes) == 0)
        return ps_fail(error, status, "%s", why.text);
    return ps_fail(
        error, status,
        "%.300s; nor can its end be cut off (%s): cut it to %llu bytes before this ps starts again", why.text,
        strerror(errno), (unsigned long long)j->durable_bytes);
}

/* The records from `first` up to the next segment, as one durable batch. `*end`: what comes next. */
static ps_status write_records(journal_file *j, work *first, work **end, ps_error *error)
{
    journal_batch b = {.fd = j->fd};
    const uint64_t synced = atomic_load(&j->durable);
    bool done = true;
    work *w = first;
    for (; w && !w->begins && done; w = w->next)
        done = add_record(&b, w, synced);
    done = done && journal_batch_flush(&b);
    *end = w;
    if (!done)
        return fail_batch(j, "write to", error);
    if (fdatasync(j->fd) != 0)
        return fail_batch(j, "sync", error);
    j->durable_bytes += b.bytes;
    return PS_OK;
}

/* ---- the writer: segments ---- */

/* `durable_bytes`: so much of it is, or is to become so at once. */
static ps_status open_last(journal_file *j, uint64_t durable_bytes, ps_error *error)
{
    char path[PATH_BYTES];
    const journal_segment *last = &j->segments.segments[j->segments.count - 1];
    ps_status status = journal_folder_path(&j->segments, last->number, path, error);
    if (status != PS_OK)
        return status;
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0)
        return fail_segment(j, "open", error);
    if (j->fd >= 0)
        close(j->fd);
    j->fd = fd;
    j->durable_bytes = durable_bytes;
    return PS_OK;
}

/* Segments before the last image but one, of those that are known to be kept: as of now that of step `kept`
 * is. */
static uint32_t count_outdated(journal_file *j, uint64_t kept)
{
    journal_segment *segments = j->segments.segments;
    uint32_t at = j->segments.count;
    while (at > 0 && segments[at - 1].base.step != kept)
        at--;
    if (kept == 0 || at == 0)
        return 0;
    segments[--at].usable = true;
    while (at > 0 && !segments[at - 1].usable)
        at--;
    return at > 0 ? at - 1 : 0;
}

/* What is outdated goes before there is more, and before a leap once that is durable. */
static ps_status begin_segment(journal_file *j, const work *w, ps_error *error)
{
    if (!w->base.leap)
        journal_folder_drop(&j->segments, count_outdated(j, w->kept));
    ps_status status = journal_folder_add(&j->segments, &j->owner, &w->base, w->sequence, error);
    if (status == PS_OK)
        status = open_last(j, sizeof(segment_head), error);
    if (status == PS_OK && w->base.leap)
        journal_folder_drop(&j->segments, j->segments.count - 1);
    return status;
}

/* ---- the writer: its thread ---- */

static void wake(const journal_file *j)
{
    const uint64_t one = 1;
    while (write(j->wake, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static void do_all(journal_file *j, work *all)
{
    ps_error error = {PS_OK, ""};
    for (work *w = all, *next; w && error.status == PS_OK; w = next) {
        next = w->next;
        if (w->begins)
            begin_segment(j, w, &error);
        else
            write_records(j, w, &next, &error);
        if (error.status != PS_OK)
            break;
        uint64_t last = w->sequence;
        for (const work *done = w; done != next; done = done->next)
            last = done->sequence;
        atomic_store(&j->durable, last);
        wake(j);
    }
    if (error.status != PS_OK) {
        pthread_mutex_lock(&j->lock);
        j->failure = error;
        pthread_mutex_unlock(&j->lock);
        wake(j);
    }
}

static void *write_all(void *context)
{
    journal_file *j = context;
    pthread_mutex_lock(&j->lock);
    for (;;) {
        while (!j->queue && !j->ending)
            pthread_cond_wait(&j->changed, &j->lock);
        work *all = j->queue;
        if (!all)
            break;
        j->queue = NULL;
        j->queue_tail = &j->queue;
        j->writing = true;
        const bool failed = j->failure.status != PS_OK;
        pthread_mutex_unlock(&j->lock);
        if (!failed)
            do_all(j, all);
        while (all) {
            work *next = all->next;
            free_work(all);
            all = next;
        }
        pthread_mutex_lock(&j->lock);
        j->writing = false;
        pthread_cond_broadcast(&j->changed);
    }
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

/* ---- the shard's side: reading ---- */

static void await_idle(journal_file *j)
{
    pthread_mutex_lock(&j->lock);
    while (j->queue || j->writing)
        pthread_cond_wait(&j->changed, &j->lock);
    pthread_mutex_unlock(&j->lock);
}

/* A second process that is the same ps by mistake, or has been taken for dead, finds out before it reads or
 * writes anything. */
static ps_status file_open(journal *self, const journal_owner *owner, journal_base *bases, uint32_t *count,
                           ps_error *error)
{
    journal_file *j = (journal_file *)self;
    *count = 0;
    await_idle(j);
    journal_folder_fini(&j->segments);
    j->owner = *owner;
    j->has_place = false;
    ps_status status =
        j->process < 0 ? journal_folder_lock(j->folder, owner->server, &j->process, error) : PS_OK;
    if (status == PS_OK)
        status = journal_folder_open(j->folder, owner, &j->segments, error);
    const journal_folder *f = &j->segments;
    for (uint32_t i = f->count; i > 0; i--) {
        bases[(*count)++] = f->segments[i - 1].base;
        if (f->segments[i - 1].base.leap)
            break;
    }
    return status;
}

/* What a crash has left behind the last good record goes. What was read is synced before it counts as
 * durable: it may have come out of the system's memory, where a process that was killed amid a write has left
 * it. */
static ps_status cut_torn_end(journal_file *j, const journal_end *end, ps_error *error)
{
    ps_status status = open_last(j, end->good, error);
    if (status != PS_OK)
        return status;
    if (end->behind > 0 && ftruncate(j->fd, (off_t)end->good) != 0)
        return fail_segment(j, "cut", error);
    if (fsync(j->fd) != 0)
        return fail_segment(j, "sync", error);
    if (end->behind > 0)
        log_info("%s ended in %llu bytes that had not become durable", end->path,
                 (unsigned long long)end->behind);
    return file_sync_folder(j->segments.path, error);
}

static ps_status file_replay(journal *self, uint32_t number, journal_take *take, void *context,
                             ps_error *error)
{
    journal_file *j = (journal_file *)self;
    ps_status status = PS_OK;
    journal_end end;
    await_idle(j);
    const uint32_t first = j->segments.count - 1 - number;
    for (uint32_t i = first; i < j->segments.count && status == PS_OK; i++)
        status = journal_replay_segment(&j->segments, i, i > first, take, context, &end, error);
    if (status == PS_OK)
        status = cut_torn_end(j, &end, error);
    if (status == PS_OK) {
        j->position = end.sequence;
        atomic_store(&j->durable, end.sequence);
    }
    j->has_place = status == PS_OK;
    return status;
}

/* ---- the shard's side: writing ---- */

static uint64_t enqueue(journal_file *j, work *w)
{
    if (!w)
        return 0;
    w->sequence = ++j->position;
    w->head.sequence = w->sequence;
    pthread_mutex_lock(&j->lock);
    *j->queue_tail = w;
    j->queue_tail = &w->next;
    pthread_cond_broadcast(&j->changed);
    pthread_mutex_unlock(&j->lock);
    return j->position;
}

static uint64_t file_begin(journal *self, const journal_base *base, uint64_t kept)
{
    work *w = calloc(1, sizeof *w);
    if (w) {
        w->begins = true;
        w->base = *base;
        w->kept = kept;
    }
    ((journal_file *)self)->has_place = w != NULL;
    return enqueue((journal_file *)self, w);
}

/* A list of members goes as one payload. */
static uint64_t file_append(journal *self, const wire_message *message, bool carried)
{
    const uint32_t slices = message->slice_count, payloads = slices + (message->members ? 1 : 0);
    const bool has_place = ((journal_file *)self)->has_place;
    work *w = NULL;
    if (has_place)
        w = calloc(1, sizeof *w + slices * sizeof w->slices[0] + payloads * sizeof w->payloads[0]);
    if (!w)
        return 0;
    record_head_fill(&w->head, w->slices, message, carried, 0);
    w->payloads = (buffer **)(void *)(w->slices + slices);
    w->payload_count = payloads;
    for (uint32_t i = 0; i < slices; i++)
        if (message->has_payload)
            w->payloads[i] = buffer_ref(message->payloads[i]);
    if (message->members)
        w->payloads[slices] = record_pack_members(message->members);
    if (message->members && !w->payloads[slices]) {
        free_work(w);
        return 0;
    }
    return enqueue((journal_file *)self, w);
}

static uint64_t file_durable(const journal *self)
{
    return atomic_load(&((const journal_file *)self)->durable);
}

static void file_destroy(journal *self)
{
    journal_file *j = (journal_file *)self;
    if (j->has_writer) {
        pthread_mutex_lock(&j->lock);
        j->ending = true;
        pthread_cond_broadcast(&j->changed);
        pthread_mutex_unlock(&j->lock);
        pthread_join(j->writer, NULL);
    }
    if (j->has_lock) {
        pthread_cond_destroy(&j->changed);
        pthread_mutex_destroy(&j->lock);
    }
    if (j->finished && j->failure.status == PS_OK)
        journal_folder_drop(&j->segments, j->segments.count);
    journal_folder_fini(&j->segments);
    if (j->fd >= 0)
        close(j->fd);
    if (j->process >= 0)
        journal_folder_unlock(j->folder, j->owner.server, j->process);
    if (j->wake >= 0)
        close(j->wake);
    free(j->folder);
    free(j);
}

static const journal_ops file_ops = {
    .open = file_open,
    .replay = file_replay,
    .begin = file_begin,
    .append = file_append,
    .durable = file_durable,
    .destroy = file_destroy,
};

static char *log_folder(const char *checkpoints)
{
    static const char name[] = "/log";
    char *path = malloc(strlen(checkpoints) + sizeof name);
    if (path) {
        strcpy(path, checkpoints);
        strcat(path, name);
    }
    return path;
}

static ps_status start_writer(journal_file *j, ps_error *error)
{
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->changed, NULL);
    j->has_lock = true;
    int failed = thread_start(&j->writer, write_all, j);
    j->has_writer = failed == 0;
    return failed ? ps_fail(error, PS_EIO, "no thread to write a log: %s", strerror(failed)) : PS_OK;
}

ps_status journal_file_create(const char *checkpoints, journal **out, ps_error *error)
{
    *out = NULL;
    journal_file *j = calloc(1, sizeof *j);
    if (!j)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    j->base.ops = &file_ops;
    j->queue_tail = &j->queue;
    j->fd = j->process = -1;
    j->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    j->folder = log_folder(checkpoints);
    ps_status status = PS_OK;
    if (j->wake < 0)
        status = ps_fail(error, PS_EIO, "no descriptor for a log: %s", strerror(errno));
    else if (!j->folder)
        status = ps_fail(error, PS_ENOMEM, "out of memory");
    if (status == PS_OK)
        status = start_writer(j, error);
    if (status != PS_OK) {
        file_destroy(&j->base);
        return status;
    }
    *out = &j->base;
    return PS_OK;
}

int journal_file_descriptor(const journal *j)
{
    return ((const journal_file *)j)->wake;
}

void journal_file_hear(journal *j)
{
    uint64_t count;
    while (read(((journal_file *)j)->wake, &count, sizeof count) < 0 && errno == EINTR)
        ;
}

ps_status journal_file_failure(const journal *self, ps_error *error)
{
    journal_file *j = (journal_file *)(uintptr_t)self;
    pthread_mutex_lock(&j->lock);
    const ps_error failure = j->failure;
    pthread_mutex_unlock(&j->lock);
    return failure.status == PS_OK
               ? PS_OK
               : ps_fail(error, PS_ELOG, "no update can be acknowledged any more: %.400s", failure.text);
}

void journal_file_finish(journal *j)
{
    ((journal_file *)j)->finished = true;
}

ps_status journal_file_expect_none(const char *checkpoints, uint32_t server, ps_error *error)
{
    char path[PATH_BYTES], *folder = log_folder(checkpoints);
    ps_status status = folder ? PS_OK : ps_fail(error, PS_ENOMEM, "out of memory");
    if (folder && journal_folder_finds(folder, server, path))
        status = ps_fail(error, PS_ECONFIG,
                         "%s holds updates that may be in no checkpoint: start with --durability log, or "
                         "remove it to go on without them",
                         path);
    free(folder);
    return status;
}
