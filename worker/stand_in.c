/* stand_in.c - see stand_in.h.
 *
 * Threads: each replacement has one of its own, which alone touches what trainer_stand_in makes, and clears
 * `busy` at its end. All else is the caller's. `stop` is set for all threads. */
#include "worker/stand_in.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/thread.h"
#include "common/trace.h"
#include "worker/trainer.h"

typedef struct replacement {
    struct replacement *next;
    stand_in *all;
    uint32_t worker;
    uint64_t incarnation;
    pthread_t thread;
    bool has_thread;
    atomic_bool busy;
} replacement;

struct stand_in {
    const worker_options *options;
    const cluster_spec *cluster;
    replacement *replacements; /* at most one for each worker */
    volatile sig_atomic_t stop;
};

ps_status stand_in_create(const worker_options *options, const cluster_spec *cluster, stand_in **out)
{
    stand_in *s = calloc(1, sizeof *s);
    *out = s;
    if (!s)
        return PS_ENOMEM;
    s->options = options;
    s->cluster = cluster;
    return PS_OK;
}

static void *replace(void *context)
{
    replacement *r = context;
    const stand_in *s = r->all;
    char name[TRACE_THREAD_NAME_BYTES];
    snprintf(name, sizeof name, "for worker %u", r->worker);
    trace_name_thread(name);
    ps_error error;
    log_info("standing in for worker %u, which is lost", r->worker);
    ps_status status = trainer_stand_in(s->options, s->cluster, r->worker, r->incarnation, &s->stop, &error);
    if (status == PS_OK)
        log_info("worker %u has left, with all that it had to do", r->worker);
    else if (status == PS_EPEER)
        log_info("no longer standing in for worker %u: %s", r->worker, error.text);
    else if (status != PS_EINTERRUPTED)
        log_warning("standing in for worker %u: %s", r->worker, error.text);
    atomic_store(&r->busy, false);
    return NULL;
}

/* That of a worker, made if need be; NULL: out of memory. */
static replacement *find(stand_in *s, uint32_t worker)
{
    for (replacement *r = s->replacements; r; r = r->next)
        if (r->worker == worker)
            return r;
    replacement *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->all = s;
    made->worker = worker;
    made->next = s->replacements;
    s->replacements = made;
    return made;
}

static void join_thread(replacement *r)
{
    if (r->has_thread)
        pthread_join(r->thread, NULL);
    r->has_thread = false;
}

void stand_in_replace(stand_in *s, uint32_t worker)
{
    replacement *r = find(s, worker);
    if (!r)
        log_warning("no memory to stand in for worker %u", worker);
    if (!r || atomic_load(&r->busy))
        return;
    join_thread(r);
    r->incarnation = clock_incarnation(); /* it comes back while data are opened: then it is the newer one */
    atomic_store(&r->busy, true);
    int failed = thread_start(&r->thread, replace, r);
    r->has_thread = failed == 0;
    if (r->has_thread)
        return;
    atomic_store(&r->busy, false);
    log_warning("no thread to stand in for worker %u: %s", worker, strerror(failed));
}

void stand_in_destroy(stand_in **handle)
{
    stand_in *s = *handle;
    *handle = NULL;
    if (!s)
        return;
    __atomic_store_n(&s->stop, 1, __ATOMIC_RELAXED);
    for (replacement *r = s->replacements, *next; r; r = next) {
        next = r->next;
        join_thread(r);
        free(r);
    }
    free(s);
}
