/* trace.c - see trace.h.
 *
 * A ring has one writer, its thread, which alone moves `head`, and one reader, the
 * flusher, which alone moves `tail`. A ring whose thread has ended is used by the
 * next thread that comes, once it has been emptied. The lock guards the table of
 * rings and the marks; it is never held while the file is written. The file is the
 * flusher's, and after it has ended that of trace_close. */
#include "common/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/checksum.h"
#include "common/file.h"
#include "common/log.h"
#include "common/path.h"
#include "common/thread.h"

enum {
    CACHE_LINE_BYTES = 64,
    HEAD_CHECKED_FROM = 16,
    MARKS_SHARE = 16, /* of the file, which is left to marks */
};
#define BOOT_ID    "/proc/sys/kernel/random/boot_id"
#define TIME_SPACE "/proc/self/ns/time" /* a time namespace has a clock of its own */

typedef struct {
    _Alignas(CACHE_LINE_BYTES) atomic_uint_fast64_t head; /* the thread's */
    atomic_uint_fast64_t lost;
    _Alignas(CACHE_LINE_BYTES) atomic_uint_fast64_t tail; /* the flusher's */
    atomic_bool left;                                     /* its thread has ended */
    uint32_t thread;                                      /* number */
    char name[TRACE_THREAD_NAME_BYTES];
    bool announced; /* the file has its name */
    trace_event events[TRACE_RING_EVENTS];
} ring;

bool trace_is_on;

/* Only one part at a time. */
static struct {
    int fd;
    uint64_t limit_bytes, written_bytes;
    uint64_t written_events, unwritten_events; /* unwritten: there was no room in the file, or it failed */
    uint64_t said_lost;
    bool full, failed;
    unsigned generation; /* of parts: what a thread remembers of an earlier one is void */
    pthread_key_t leaving;
    pthread_t flusher;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ending;
    atomic_bool hurry; /* a ring is half full */
    uint32_t threads;  /* numbers given out */
    uint32_t ring_count;
    ring *rings[TRACE_THREADS_MAX];
    uint32_t mark_count;
    trace_mark_text marks[TRACE_MARKS_MAX];
    atomic_uint_fast64_t homeless; /* events of threads without a ring, and marks without room */
} part = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The calling thread's ring, if it is of this generation. */
static _Thread_local struct {
    unsigned generation;
    ring *ring; /* NULL: there was none to be had */
} mine;

/* ---- recording ---- */

static void leave(void *value)
{
    atomic_store_explicit(&((ring *)value)->left, true, memory_order_release);
}

/* With the lock: one that is not used any more, else a new one. */
static ring *find_ring(void)
{
    for (uint32_t i = 0; i < part.ring_count; i++) {
        ring *r = part.rings[i];
        if (atomic_load_explicit(&r->left, memory_order_acquire) &&
            atomic_load(&r->head) == atomic_load(&r->tail))
            return r;
    }
    ring *r = part.ring_count < TRACE_THREADS_MAX ? aligned_alloc(CACHE_LINE_BYTES, sizeof *r) : NULL;
    if (!r)
        return NULL;
    memset(r, 0, sizeof *r);
    part.rings[part.ring_count++] = r;
    return r;
}

/* Gives the calling thread a ring, with a name or NULL. */
static void settle(const char *name)
{
    pthread_mutex_lock(&part.lock);
    const bool settled = mine.generation == part.generation && mine.ring;
    ring *r = settled ? mine.ring : find_ring();
    if (r && !settled) {
        r->thread = ++part.threads;
        snprintf(r->name, sizeof r->name, "thread %u", r->thread);
        r->announced = false;
        atomic_store(&r->left, false);
        pthread_setspecific(part.leaving, r);
    }
    if (r && name) {
        snprintf(r->name, sizeof r->name, "%s", name);
        r->announced = false;
    }
    mine.generation = part.generation;
    mine.ring = r;
    pthread_mutex_unlock(&part.lock);
}

void trace_name_thread(const char *name)
{
    if (trace_is_on)
        settle(name);
}

void trace_record(trace_kind kind, uint64_t begun_ns, uint64_t ended_ns, const trace_about *about)
{
    if (mine.generation != part.generation)
        settle(NULL);
    ring *r = mine.ring;
    if (!r) {
        atomic_fetch_add_explicit(&part.homeless, 1, memory_order_relaxed);
        return;
    }
    const uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    const uint64_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
    if (head - tail == TRACE_RING_EVENTS) {
        atomic_fetch_add_explicit(&r->lost, 1, memory_order_relaxed);
        return;
    }
    r->events[head % TRACE_RING_EVENTS] = (trace_event){
        .begun_ns = begun_ns,
        .ended_ns = ended_ns,
        .step = about->step,
        .request = about->request,
        .incarnation = about->incarnation,
        .value = about->value,
        .kind = (uint16_t)kind,
        .member = about->member,
        .peer = about->peer,
    };
    atomic_store_explicit(&r->head, head + 1, memory_order_release);
    if (head - tail == TRACE_RING_EVENTS / 2) { /* a signal that comes too early is not missed for long */
        atomic_store_explicit(&part.hurry, true, memory_order_relaxed);
        pthread_cond_signal(&part.changed);
    }
}

static void copy_text(char *to, size_t bytes, const char *text)
{
    size_t used = strnlen(text, bytes - 1);
    memcpy(to, text, used);
    to[used] = '\0';
}

/* Of the log. */
static void mark(log_level level, const char *event, uint64_t step, const char *text)
{
    trace_mark_text m = {.at_ns = clock_monotonic_ns(), .step = step};
    copy_text(m.name, sizeof m.name, event ? event : level == LOG_WARNING ? "warning" : "error");
    copy_text(m.text, sizeof m.text, text);
    pthread_mutex_lock(&part.lock);
    if (part.mark_count < TRACE_MARKS_MAX)
        part.marks[part.mark_count++] = m;
    else
        atomic_fetch_add_explicit(&part.homeless, 1, memory_order_relaxed);
    pthread_mutex_unlock(&part.lock);
}

/* ---- the file ---- */

/* Whole or, if the disk fails, not any more: a torn block is found by its checksum, but nothing behind
 * it. */
static bool write_all(struct iovec *pieces, int count)
{
    while (count > 0) {
        const ssize_t done = writev(part.fd, pieces, count);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return false;
        size_t left = (size_t)done;
        for (; count > 0 && left >= pieces->iov_len; pieces++, count--)
            left -= pieces->iov_len;
        if (count > 0) {
            pieces->iov_base = (char *)pieces->iov_base + left;
            pieces->iov_len -= left;
        }
    }
    return true;
}

/* False if it could not. */
static bool write_block(trace_block_kind kind, uint32_t thread, const void *bytes, size_t count)
{
    if (part.failed)
        return false;
    const trace_block head = {
        .magic = TRACE_BLOCK_MAGIC,
        .kind = kind,
        .thread = thread,
        .bytes = (uint32_t)count,
        .checksum = checksum(bytes, count),
    };
    struct iovec pieces[] = {{(void *)(uintptr_t)&head, sizeof head}, {(void *)(uintptr_t)bytes, count}};
    if (!write_all(pieces, 2)) {
        part.failed = true;
        log_warning("the trace ends here, for its file cannot be written: %s", strerror(errno));
        return false;
    }
    part.written_bytes += sizeof head + count;
    return true;
}

/* Has the file room for so many bytes more? Events leave some for the marks of what comes after them. */
static bool has_room(size_t bytes)
{
    const uint64_t limit_bytes = part.limit_bytes - part.limit_bytes / MARKS_SHARE;
    if (part.full || part.written_bytes + sizeof(trace_block) + bytes <= limit_bytes)
        return !part.full;
    part.full = true;
    log_warning("the trace is full (--trace-limit %llu): what follows is left out",
                (unsigned long long)part.limit_bytes >> 20);
    return false;
}

static void write_events(const ring *r, uint64_t from, uint64_t count)
{
    const size_t bytes = count * sizeof(trace_event);
    if (count == 0)
        return;
    if (has_room(bytes) &&
        write_block(TRACE_BLOCK_EVENTS, r->thread, &r->events[from % TRACE_RING_EVENTS], bytes))
        part.written_events += count;
    else
        part.unwritten_events += count;
}

static void announce(ring *r)
{
    trace_thread_name named = {""};
    pthread_mutex_lock(&part.lock);
    const bool news = !r->announced;
    memcpy(named.name, r->name, sizeof named.name);
    r->announced = true;
    pthread_mutex_unlock(&part.lock);
    if (news)
        write_block(TRACE_BLOCK_THREAD, r->thread, &named, sizeof named);
}

static void empty_ring(ring *r)
{
    const uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    const uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);
    if (head == tail)
        return;
    announce(r);
    const uint64_t to_the_edge = TRACE_RING_EVENTS - tail % TRACE_RING_EVENTS;
    const uint64_t first = head - tail < to_the_edge ? head - tail : to_the_edge;
    write_events(r, tail, first);
    write_events(r, tail + first, head - tail - first);
    atomic_store_explicit(&r->tail, head, memory_order_release);
}

static void write_marks(void)
{
    static trace_mark_text taken[TRACE_MARKS_MAX]; /* the flusher's */
    pthread_mutex_lock(&part.lock);
    const uint32_t count = part.mark_count;
    memcpy(taken, part.marks, count * sizeof *taken);
    part.mark_count = 0;
    pthread_mutex_unlock(&part.lock);
    for (uint32_t i = 0; i < count; i++)
        if (part.written_bytes >= part.limit_bytes ||
            !write_block(TRACE_BLOCK_MARK, 0, &taken[i], sizeof taken[i]))
            part.unwritten_events++;
}

static uint64_t count_lost(void)
{
    uint64_t lost = part.unwritten_events + atomic_load(&part.homeless);
    for (uint32_t i = 0; i < part.ring_count; i++)
        lost += atomic_load_explicit(&part.rings[i]->lost, memory_order_relaxed);
    return lost;
}

/* For one that is killed; who ends in order says it with its end. */
static void write_lost(void)
{
    pthread_mutex_lock(&part.lock);
    const uint64_t lost = count_lost();
    pthread_mutex_unlock(&part.lock);
    if (lost == part.said_lost || part.written_bytes >= part.limit_bytes)
        return;
    part.said_lost = lost;
    write_block(TRACE_BLOCK_LOST, 0, &lost, sizeof lost);
}

/* Rings are never removed while there is a flusher. */
static void flush(void)
{
    pthread_mutex_lock(&part.lock);
    const uint32_t rings = part.ring_count;
    pthread_mutex_unlock(&part.lock);
    for (uint32_t i = 0; i < rings; i++)
        empty_ring(part.rings[i]);
    write_marks();
    write_lost();
}

static void *keep_flushing(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&part.lock);
    while (!part.ending) {
        pthread_mutex_unlock(&part.lock);
        atomic_store_explicit(&part.hurry, false, memory_order_relaxed);
        flush();
        pthread_mutex_lock(&part.lock);
        const struct timespec next = thread_deadline(TRACE_FLUSH_MS);
        int waited = 0;
        while (!part.ending && !atomic_load_explicit(&part.hurry, memory_order_relaxed) && waited == 0)
            waited = pthread_cond_timedwait(&part.changed, &part.lock, &next);
    }
    pthread_mutex_unlock(&part.lock);
    return NULL;
}

/* ---- opening and closing ---- */

/* Which CLOCK_MONOTONIC is it that this process sees? */
static void name_clock(char name[TRACE_CLOCK_BYTES])
{
    char *boot = NULL;
    struct stat space;
    size_t bytes = 0;
    if (file_read(BOOT_ID, TRACE_CLOCK_BYTES, &boot, &bytes, NULL) != PS_OK)
        return;
    boot[strcspn(boot, "\n")] = '\0';
    const unsigned long long number = stat(TIME_SPACE, &space) == 0 ? (unsigned long long)space.st_ino : 0;
    snprintf(name, TRACE_CLOCK_BYTES, "%.40s %llu", boot, number);
    free(boot);
}

static void describe(const trace_identity *self, trace_head *head)
{
    *head = (trace_head){
        .head_bytes = sizeof *head,
        .incarnation = clock_incarnation(),
        .monotonic_ns = clock_monotonic_ns(),
        .role = self->role,
        .index = self->index,
        .pid = (uint32_t)getpid(),
    };
    memcpy(head->magic, TRACE_MAGIC, sizeof head->magic);
    copy_text(head->who, sizeof head->who, self->who);
    if (gethostname(head->host, sizeof head->host - 1) != 0)
        copy_text(head->host, sizeof head->host, "?");
    name_clock(head->clock);
    head->checksum = checksum((const char *)head + HEAD_CHECKED_FROM, sizeof *head - HEAD_CHECKED_FROM);
}

/* DIR/worker-1-1764385508123456789.part: each life of a process has a file of its own. */
static ps_status open_file(const char *in, const trace_head *head, ps_error *error)
{
    char path[PATH_BYTES], who[TRACE_WHO_BYTES];
    memcpy(who, head->who, sizeof who);
    for (char *c = who; *c; c++)
        if (*c == '/')
            *c = '-';
    ps_status status = path_make(path, error, "%s/%s-%llu" TRACE_PART_ENDING, in, who,
                                 (unsigned long long)head->incarnation);
    if (status == PS_OK)
        status = file_make_folder(in, error);
    if (status != PS_OK)
        return status;
    part.fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0666);
    if (part.fd < 0)
        return ps_fail(error, PS_EIO, "the trace cannot be written to %s: %s", path, strerror(errno));
    struct iovec whole = {(void *)(uintptr_t)head, sizeof *head};
    if (write_all(&whole, 1))
        return PS_OK;
    ps_fail(error, PS_EIO, "the trace cannot be written to %s: %s", path, strerror(errno));
    close(part.fd);
    return PS_EIO;
}

ps_status trace_open(const trace_options *options, const trace_identity *self, ps_error *error)
{
    trace_head head;
    if (!options->folder)
        return PS_OK;
    describe(self, &head);
    ps_status status = open_file(options->folder, &head, error);
    if (status != PS_OK)
        return status;
    part.limit_bytes = options->limit_bytes ? options->limit_bytes : (uint64_t)TRACE_LIMIT_MIB << 20;
    part.written_bytes = sizeof head;
    part.written_events = part.unwritten_events = part.said_lost = 0;
    part.full = part.failed = part.ending = false;
    part.threads = part.ring_count = part.mark_count = 0;
    atomic_store(&part.homeless, 0);
    part.generation++;
    thread_condition_init(&part.changed);
    int failed = pthread_key_create(&part.leaving, leave);
    if (failed) {
        ps_fail(error, PS_ENOMEM, "no memory for a trace: %s", strerror(failed));
        goto no_key;
    }
    log_set_listener(mark);
    failed = thread_start(&part.flusher, keep_flushing, NULL);
    if (failed) {
        ps_fail(error, PS_ENOMEM, "no thread to write a trace: %s", strerror(failed));
        goto no_thread;
    }
    trace_is_on = true;
    return PS_OK;

no_thread:
    log_set_listener(NULL);
    pthread_key_delete(part.leaving);
no_key:
    pthread_cond_destroy(&part.changed);
    close(part.fd);
    return PS_ENOMEM;
}

void trace_close(void)
{
    if (!trace_is_on)
        return;
    trace_is_on = false;
    pthread_mutex_lock(&part.lock);
    part.ending = true;
    pthread_cond_signal(&part.changed);
    pthread_mutex_unlock(&part.lock);
    pthread_join(part.flusher, NULL);
    flush();
    log_set_listener(NULL);
    write_marks(); /* of what the log had to say of that */
    const trace_end end = {.events = part.written_events, .lost = count_lost()};
    write_block(TRACE_BLOCK_END, 0, &end, sizeof end);
    close(part.fd);
    pthread_key_delete(part.leaving); /* no thread of now leaves a ring any more */
    pthread_cond_destroy(&part.changed);
    for (uint32_t i = 0; i < part.ring_count; i++)
        free(part.rings[i]);
    part.ring_count = 0;
    mine.ring = NULL;
}
