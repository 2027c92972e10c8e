/* stand_in.c - see stand_in.h.
 *
 * Threads: `thread` runs while `busy`; it alone touches what trainer_stand_in makes. `stop` is set for it. */
#include "worker/stand_in.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/thread.h"
#include "worker/trainer.h"

struct stand_in {
    const worker_options *options;
    const cluster_spec *cluster;
    uint32_t worker;
    pthread_t thread;
    bool has_thread;
    atomic_bool busy;
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
    stand_in *s = context;
    ps_error error;
    log_info("standing in for worker %u, which is lost", s->worker);
    ps_status status = trainer_stand_in(s->options, s->cluster, s->worker, &s->stop, &error);
    if (status == PS_OK)
        log_info("worker %u has left, with all that it had to do", s->worker);
    else if (status == PS_EPEER)
        log_info("no longer standing in for worker %u: %s", s->worker, error.text);
    else if (status != PS_EINTERRUPTED)
        log_warning("standing in for worker %u: %s", s->worker, error.text);
    atomic_store(&s->busy, false);
    return NULL;
}

void stand_in_replace(stand_in *s, uint32_t worker)
{
    if (atomic_load(&s->busy))
        return;
    if (s->has_thread)
        pthread_join(s->thread, NULL);
    s->worker = worker;
    atomic_store(&s->busy, true);
    int failed = thread_start(&s->thread, replace, s);
    s->has_thread = failed == 0;
    if (s->has_thread)
        return;
    atomic_store(&s->busy, false);
    log_warning("no thread to stand in for worker %u: %s", worker, strerror(failed));
}

void stand_in_destroy(stand_in **handle)
{
    stand_in *s = *handle;
    *handle = NULL;
    if (!s)
        return;
    __atomic_store_n(&s->stop, 1, __ATOMIC_RELAXED);
    if (s->has_thread)
        pthread_join(s->thread, NULL);
    free(s);
}
