/* crew.h - threads that share the work of an update: a fixed part each, nothing to lock.
 *
 *     static void work(void *context, uint32_t thread);    // the part of `thread`, 0 to crew_threads - 1
 *     crew_run(crew, work, context);                       // back when all have done theirs
 *
 * Thread 0 is the caller of crew_run; the others wait for it between two runs, first awake for some
 * microseconds, then asleep. All that the caller has written before crew_run is seen by every thread, and all
 * that they have written is seen by the caller after it. Parts must not touch what another part writes.
 *
 * One thread owns a crew and calls everything here. NULL is a crew of the caller alone. The crew's own
 * threads flush denormals to zero (common/fpmode.h) and take no signals. */
#ifndef PENSTOCK_PS_CREW_H
#define PENSTOCK_PS_CREW_H

#include <stdint.h>

#include "common/status.h"
#include "ps/processors.h"

enum { CREW_THREADS_MAX = 256 };

typedef struct crew crew;

typedef void crew_work(void *context, uint32_t thread);

/* A crew of `threads` in all, 1 to CREW_THREADS_MAX. Thread k runs on the k-th of `processors` alone; NULL or
 * none listed: where the system puts it. PS_ENOMEM; PS_ELIMIT if the system makes no
 * more threads; PS_EINVAL if a processor is not there. */
ps_status crew_create(uint32_t threads, const processor_list *processors, crew **out, ps_error *error);

/* Puts the calling thread on its processor. Threads that it makes afterwards inherit that. PS_EINVAL. */
ps_status crew_pin_caller(const crew *c, ps_error *error);

uint32_t crew_threads(const crew *c);
void crew_run(crew *c, crew_work *work, void *context);

/* Ends the threads. Nulls the pointer; does nothing on NULL. */
void crew_destroy(crew **c);

#endif
