/* crew.c - see crew.h.
 *
 * Two counters on which the other side waits: `round` rises when there is work, `done` when the last helper
 * has finished its part. Who waits looks at the counter for a while and then sleeps in the kernel on it;
 * whoever raises it makes the system call that wakes sleepers only if there are any. Between a rise of
 * `round` and one of `done` the helpers read `work` and `context`, and the owner does not write them. */
#include "ps/crew.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fpmode.h"

/* Looks at a counter before sleeping: some ten to hundred microseconds, about what being woken costs. */
enum { LOOKS = 2000 };

typedef struct {
    atomic_uint value;
    atomic_uint sleepers;
} counter;

typedef struct {
    crew *crew;
    uint32_t thread;
    pthread_t id;
} helper;

struct crew {
    uint32_t threads;
    int first_processor; /* of thread 0; -1: any */
    crew_work *work;
    void *context;
    bool ended;
    counter round, done;
    atomic_uint busy; /* helpers that have not finished this round */
    uint32_t made;    /* helpers that exist */
    helper helpers[]; /* (threads - 1) */
};

static_assert(sizeof(atomic_uint) == sizeof(uint32_t), "the kernel waits on 32 bits");

static long futex(atomic_uint *word, int operation, unsigned value)
{
    return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* A sleeper counts itself before it looks for the last time, and a rise comes before the look at the count:
 * one of the two sees the other. */
static void counter_raise(counter *c)
{
    atomic_fetch_add(&c->value, 1);
    if (atomic_load(&c->sleepers) > 0)
        futex(&c->value, FUTEX_WAKE, INT_MAX);
}

static void counter_await(counter *c, unsigned seen)
{
    for (int i = 0; i < LOOKS; i++) {
        if (atomic_load_explicit(&c->value, memory_order_acquire) != seen)
            return;
        pause_briefly();
    }
    atomic_fetch_add(&c->sleepers, 1);
    while (atomic_load(&c->value) == seen)
        futex(&c->value, FUTEX_WAIT, seen);
    atomic_fetch_sub(&c->sleepers, 1);
}

static void *help(void *argument)
{
    const helper *self = argument;
    crew *c = self->crew;
    fpmode_flush_denormals();
    for (unsigned round = 0;; round++) {
        counter_await(&c->round, round);
        if (c->ended)
            return NULL;
        c->work(c->context, self->thread);
        if (atomic_fetch_sub(&c->busy, 1) == 1)
            counter_raise(&c->done);
    }
}

static void set_of_one(int processor, cpu_set_t *set)
{
    CPU_ZERO(set);
    CPU_SET((size_t)processor, set);
}

/* processor: -1: any. */
static int start_helper(helper *h, int processor)
{
    pthread_attr_t attributes;
    int failed = pthread_attr_init(&attributes);
    if (failed)
        return failed;
    if (processor >= 0) {
        cpu_set_t set;
        set_of_one(processor, &set);
        failed = pthread_attr_setaffinity_np(&attributes, sizeof set, &set);
    }
    if (!failed)
        failed = pthread_create(&h->id, &attributes, help, h);
    pthread_attr_destroy(&attributes);
    if (!failed) {
        char name[16];
        snprintf(name, sizeof name, "crew/%u", h->thread);
        pthread_setname_np(h->id, name);
    }
    return failed;
}

static int processor_of(const processor_list *processors, uint32_t thread)
{
    return processors && thread < processors->count ? processors->numbers[thread] : -1;
}

ps_status crew_create(uint32_t threads, const processor_list *processors, crew **out, ps_error *error)
{
    crew *c = calloc(1, sizeof *c + (threads - 1) * sizeof c->helpers[0]);
    *out = c;
    if (!c)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    c->threads = threads;
    c->first_processor = processor_of(processors, 0);

    /* Signals are for the thread that owns the crew: helpers inherit that they block all. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = 0;
    for (uint32_t i = 0; i + 1 < threads && !failed; i++) {
        c->helpers[i] = (helper){.crew = c, .thread = i + 1};
        failed = start_helper(&c->helpers[i], processor_of(processors, i + 1));
        c->made += !failed;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed)
        return PS_OK;
    ps_status status = ps_fail(error, failed == EINVAL ? PS_EINVAL : PS_ELIMIT,
                               "cannot make thread %u of %u: %s", c->made + 2, threads, strerror(failed));
    crew_destroy(out);
    return status;
}

ps_status crew_pin_caller(const crew *c, ps_error *error)
{
    if (!c || c->first_processor < 0)
        return PS_OK;
    cpu_set_t set;
    set_of_one(c->first_processor, &set);
    int failed = pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    if (failed)
        return ps_fail(error, PS_EINVAL, "cannot run on processor %d: %s", c->first_processor,
                       strerror(failed));
    return PS_OK;
}

uint32_t crew_threads(const crew *c)
{
    return c ? c->threads : 1;
}

void crew_run(crew *c, crew_work *work, void *context)
{
    if (crew_threads(c) == 1) {
        work(context, 0);
        return;
    }
    unsigned done = atomic_load_explicit(&c->done.value, memory_order_relaxed);
    c->work = work;
    c->context = context;
    atomic_store_explicit(&c->busy, c->threads - 1, memory_order_relaxed);
    counter_raise(&c->round);
    work(context, 0);
    counter_await(&c->done, done);
}

void crew_destroy(crew **handle)
{
    crew *c = *handle;
    *handle = NULL;
    if (!c)
        return;
    c->ended = true;
    counter_raise(&c->round);
    for (uint32_t i = 0; i < c->made; i++)
        pthread_join(c->helpers[i].id, NULL);
    free(c);
}
