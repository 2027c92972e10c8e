/* lease.c - see lease.h. */
#include "worker/lease.h"

#include <assert.h>
#include <time.h>

void lease_init(lease *l)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->returned, &monotonic);
    pthread_condattr_destroy(&monotonic);
    l->lent = 0;
}

void lease_fini(lease *l)
{
    /* The thread that gave back the last buffer may still be on its way out of the lock. */
    pthread_mutex_lock(&l->lock);
    assert(l->lent == 0);
    pthread_mutex_unlock(&l->lock);
    pthread_cond_destroy(&l->returned);
    pthread_mutex_destroy(&l->lock);
}

static void give_back(void *data, void *context)
{
    (void)data;
    lease *l = context;
    pthread_mutex_lock(&l->lock);
    if (--l->lent == 0)
        pthread_cond_broadcast(&l->returned);
    pthread_mutex_unlock(&l->lock);
}

buffer *lease_lend(lease *l, const void *data, size_t bytes)
{
    /* The buffer is only ever read: it goes into messages. */
    buffer *b = buffer_wrap((void *)(uintptr_t)data, bytes, give_back, l);
    if (!b)
        return NULL;
    pthread_mutex_lock(&l->lock);
    l->lent++;
    pthread_mutex_unlock(&l->lock);
    return b;
}

bool lease_is_idle(lease *l)
{
    pthread_mutex_lock(&l->lock);
    bool idle = l->lent == 0;
    pthread_mutex_unlock(&l->lock);
    return idle;
}

bool lease_wait(lease *l, uint32_t timeout_ms)
{
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += timeout_ms / 1000;
    deadline.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&l->lock);
    int waited = 0;
    while (l->lent > 0 && waited == 0)
        waited = pthread_cond_timedwait(&l->returned, &l->lock, &deadline);
    bool idle = l->lent == 0;
    pthread_mutex_unlock(&l->lock);
    return idle;
}
