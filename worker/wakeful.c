/* wakeful.c - see wakeful.h. */
#include "worker/wakeful.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/clock.h"

#define AWAKE_NS UINT64_C(2000000) /* of one wait: what takes longer does not come soon */

struct wakeful {
    atomic_uint_fast64_t until_ns; /* what the thread spins for; 0: nothing */
    atomic_bool asleep;            /* whoever takes this away wakes the thread, or is it */
    atomic_bool ended;
    atomic_int holders; /* the caller and the thread: the last one frees it */
    sem_t called;
};

static void let_go(wakeful *w)
{
    if (atomic_fetch_sub(&w->holders, 1) > 1)
        return;
    sem_destroy(&w->called);
    free(w);
}

static bool is_over(wakeful *w)
{
    return clock_monotonic_ns() >= atomic_load(&w->until_ns);
}

static void sleep_until_called(wakeful *w)
{
    atomic_store(&w->asleep, true);
    if (!is_over(w) && atomic_exchange(&w->asleep, false)) /* called meanwhile, by someone who saw it awake */
        return;
    while (sem_wait(&w->called) != 0)
        ;
}

static void *spin(void *of_thread)
{
    wakeful *w = of_thread;
    const struct sched_param none = {0};
    /* In any other class it would take time from those who have work. */
    bool idle = pthread_setschedparam(pthread_self(), SCHED_IDLE, &none) == 0;
    while (idle && !atomic_load(&w->ended))
        if (is_over(w))
            sleep_until_called(w);
    let_go(w);
    return NULL;
}

wakeful *wakeful_create(void)
{
    wakeful *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    pthread_t thread;
    sigset_t all, before;
    sem_init(&w->called, 0, 0);
    atomic_init(&w->holders, 2);
    sigfillset(&all); /* signals are for the thread that waits */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&thread, NULL, spin, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure == 0) {
        pthread_detach(thread);
        return w;
    }
    let_go(w);
    let_go(w); /* for the thread */
    return NULL;
}

static void call(wakeful *w)
{
    if (atomic_exchange(&w->asleep, false))
        sem_post(&w->called);
}

void wakeful_destroy(wakeful **handle)
{
    wakeful *w = *handle;
    *handle = NULL;
    if (!w)
        return;
    atomic_store(&w->until_ns, 0);
    atomic_store(&w->ended, true);
    call(w);
    let_go(w);
}

void wakeful_begin(wakeful *w)
{
    if (!w)
        return;
    atomic_store(&w->until_ns, clock_monotonic_ns() + AWAKE_NS);
    call(w);
}

void wakeful_end(wakeful *w)
{
    if (w)
        atomic_store(&w->until_ns, 0);
}
