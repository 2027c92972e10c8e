/* lease.h - counts who still reads memory that was lent to the transport.
 *
 * ZeroMQ lets go of a frame on its own thread, a little after the peer has it. The lender waits here for the
 * count to fall to zero before it writes the memory again.
 *
 * Threads: one lends and waits; any may drop the buffers. Nobody takes a lock unless the lender is asleep in
 * lease_wait. What was lent once is kept and lent again, so that lending allocates nothing after a while. */
#ifndef PENSTOCK_WORKER_LEASE_H
#define PENSTOCK_WORKER_LEASE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"

/* One buffer, lent or to be lent. */
typedef struct loan loan;

typedef struct {
    atomic_uint lent; /* how many; the highest bit: the lender sleeps and is to be woken */
    pthread_mutex_t lock;
    pthread_cond_t returned;
    loan *_Atomic dropped; /* not lent any more; a stack that any thread pushes to */
    loan *spare;           /* the lender's, taken from `dropped` */
} lease;

void lease_init(lease *l);
/* Nothing may be lent any more. */
void lease_fini(lease *l);

/* A buffer over `data` that is counted as lent until its last reference is dropped. NULL if out of memory. */
buffer *lease_lend(lease *l, const void *data, size_t bytes);

bool lease_is_idle(const lease *l);

/* Waits until nothing is lent, at most `timeout_ms`; false if something still is. */
bool lease_wait(lease *l, uint32_t timeout_ms);

#endif
