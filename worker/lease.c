/* lease.c - see lease.h.
 *
 * Whoever drops the last buffer may find the lender asleep, and then has to touch the lease once more to wake
 * it. So the lender leaves its sleep only when the mark that it slept has been taken away, under the lock:
 * by then the other has nothing left to do but to unlock. */
#include "worker/lease.h"

#include <assert.h>
#include <stdlib.h>

#include "common/thread.h"

#define ASLEEP (1U << 31)

struct loan {
    buffer_place place;
    lease *lease;
    loan *next; /* of those that are not lent */
};

void lease_init(lease *l)
{
    pthread_mutex_init(&l->lock, NULL);
    thread_condition_init(&l->returned);
    atomic_init(&l->lent, 0);
    atomic_init(&l->dropped, NULL);
    l->spare = NULL;
}

static void free_loans(loan *first)
{
    while (first) {
        loan *next = first->next;
        free(first);
        first = next;
    }
}

void lease_fini(lease *l)
{
    assert(lease_is_idle(l));
    /* The thread that woke the lender may still be on its way out of the lock. */
    pthread_mutex_lock(&l->lock);
    pthread_mutex_unlock(&l->lock);
    pthread_cond_destroy(&l->returned);
    pthread_mutex_destroy(&l->lock);
    free_loans(l->spare);
    free_loans(atomic_load_explicit(&l->dropped, memory_order_acquire));
}

static void wake_lender(lease *l)
{
    pthread_mutex_lock(&l->lock);
    atomic_fetch_and_explicit(&l->lent, ~ASLEEP, memory_order_acq_rel);
    pthread_cond_signal(&l->returned);
    pthread_mutex_unlock(&l->lock);
}

/* The loan first, then the count: once that is zero, the lease may be gone. */
static void give_back(void *data, void *context)
{
    (void)data;
    loan *dropped = context;
    lease *l = dropped->lease;
    dropped->next = atomic_load_explicit(&l->dropped, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&l->dropped, &dropped->next, dropped, memory_order_release,
                                                  memory_order_relaxed))
        ;
    if (atomic_fetch_sub_explicit(&l->lent, 1, memory_order_acq_rel) == (ASLEEP | 1))
        wake_lender(l);
}

/* Only the lender takes from `dropped`, and always all: no loan can come back under its hands. */
static loan *take_loan(lease *l)
{
    if (!l->spare)
        l->spare = atomic_exchange_explicit(&l->dropped, NULL, memory_order_acquire);
    loan *taken = l->spare;
    if (taken)
        l->spare = taken->next;
    else
        taken = malloc(sizeof *taken);
    return taken;
}

buffer *lease_lend(lease *l, const void *data, size_t bytes)
{
    loan *taken = take_loan(l);
    if (!taken)
        return NULL;
    taken->lease = l;
    atomic_fetch_add_explicit(&l->lent, 1, memory_order_relaxed);
    /* The buffer is only ever read: it goes into messages. */
    return buffer_wrap_at(&taken->place, (void *)(uintptr_t)data, bytes, give_back, taken);
}

bool lease_is_idle(const lease *l)
{
    /* Acquire pairs with the drops: what others read is over before the lender writes. */
    return atomic_load_explicit(&l->lent, memory_order_acquire) == 0;
}

/* Takes the mark away again, unless someone is about to do so: then that one must be waited for. */
static bool give_up_sleep(lease *l)
{
    unsigned seen = atomic_load_explicit(&l->lent, memory_order_acquire);
    while (seen & ~ASLEEP)
        if (atomic_compare_exchange_weak_explicit(&l->lent, &seen, seen & ~ASLEEP, memory_order_acq_rel,
                                                  memory_order_acquire))
            return true;
    return false;
}

bool lease_wait(lease *l, uint32_t timeout_ms)
{
    if (lease_is_idle(l))
        return true;
    struct timespec deadline = thread_deadline(timeout_ms);
    bool idle = true;
    pthread_mutex_lock(&l->lock);
    unsigned lent = atomic_fetch_or_explicit(&l->lent, ASLEEP, memory_order_acq_rel);
    if (lent == 0) { /* the last was dropped meanwhile, without a mark to see */
        atomic_fetch_and_explicit(&l->lent, ~ASLEEP, memory_order_acq_rel);
    } else {
        while (atomic_load_explicit(&l->lent, memory_order_acquire) & ASLEEP) {
            int waited = pthread_cond_timedwait(&l->returned, &l->lock, &deadline);
            if (waited != 0 && give_up_sleep(l))
                idle = false;
        }
    }
    pthread_mutex_unlock(&l->lock);
    return idle;
}
