/* thread.h - what threads of ours need that pthreads leaves to each: signals that are somebody else's, and
 * waits by the clock that never goes back. */
#ifndef PENSTOCK_COMMON_THREAD_H
#define PENSTOCK_COMMON_THREAD_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* Starts a thread in which all signals are blocked: they are for the one that serves or trains. 0, or the
 * cause as pthread_create has it. */
int thread_start(pthread_t *thread, void *(*run)(void *context), void *context);

/* A condition whose timed waits go by thread_deadline's clock. */
void thread_condition_init(pthread_cond_t *condition);

/* The time `ms` from now. */
struct timespec thread_deadline(uint32_t ms);

#endif
