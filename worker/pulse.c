/* pulse.c - see pulse.h. */
#include "worker/pulse.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/thread.h"
#include "common/transport.h"

struct pulse {
    transport *transport;
    uint32_t servers;
    pthread_t thread;
    bool has_thread; /* of the caller */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    pulse_identity self;
    uint32_t interval_ms;
    void (*tell)(void *context, worker_figures *figures); /* NULL: nothing */
    void *context;
    bool renewed; /* said something else since the last beat */
    bool ending;

    transport_socket *sockets[]; /* (servers), of the thread while it runs */
};

/* One that cannot leave now is not needed later. */
static void beat(pulse *p, const pulse_identity *self, const worker_figures *figures)
{
    for (uint32_t i = 0; i < p->servers; i++) {
        wire_message *m = wire_create(WIRE_HEARTBEAT, 0);
        if (!m)
            return;
        m->job = self->job;
        m->role = self->role;
        m->index = self->index;
        m->incarnation = self->incarnation;
        if (figures)
            wire_set_figures(m, figures);
        transport_follow_key(p->sockets[i]);
        transport_send(p->sockets[i], NULL, &m);
        wire_destroy(&m);
    }
}

static void *keep_beating(void *context)
{
    pulse *p = context;
    pthread_mutex_lock(&p->lock);
    while (!p->ending) {
        const pulse_identity self = p->self;
        void (*const tell)(void *context, worker_figures *figures) = p->tell;
        void *const context_of_tell = p->context;
        p->renewed = false;
        pthread_mutex_unlock(&p->lock);
        worker_figures figures;
        if (tell)
            tell(context_of_tell, &figures);
        beat(p, &self, tell ? &figures : NULL);
        pthread_mutex_lock(&p->lock);
        const struct timespec next = thread_deadline(p->interval_ms);
        int waited = 0;
        while (!p->ending && !p->renewed && waited == 0)
            waited = pthread_cond_timedwait(&p->changed, &p->lock, &next);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static ps_status start_thread(pulse *p, ps_error *error)
{
    int failed = thread_start(&p->thread, keep_beating, p);
    p->has_thread = failed == 0;
    return failed ? ps_fail(error, PS_ENOMEM, "no thread for heartbeats: %s", strerror(failed)) : PS_OK;
}

static ps_status connect_to_all(pulse *p, const cluster_spec *cluster, const curve_keys *keys,
                                ps_error *error)
{
    ps_status status = transport_create(1, &p->transport, error);
    if (status == PS_OK && keys && keys->wanted)
        status = transport_secure(p->transport, keys, error);
    for (uint32_t i = 0; i < p->servers && status == PS_OK; i++) {
        const cluster_task *task = cluster_find(cluster, ROLE_PS, i);
        status = task ? transport_connect(p->transport, task->host, task->port, &p->sockets[i], error)
                      : ps_fail(error, PS_ECONFIG, "the cluster has no address for ps/%u", i);
    }
    return status;
}

ps_status pulse_create(const cluster_spec *cluster, uint32_t servers, const curve_keys *keys, pulse **out,
                       ps_error *error)
{
    pulse *p = calloc(1, sizeof *p + servers * sizeof(transport_socket *));
    *out = p;
    if (!p)
        return ps_fail(error, PS_ENOMEM, "out of memory for heartbeats");
    p->servers = servers;
    pthread_mutex_init(&p->lock, NULL);
    thread_condition_init(&p->changed);
    ps_status status = connect_to_all(p, cluster, keys, error);
    if (status != PS_OK)
        pulse_destroy(out);
    return status;
}

void pulse_tell(pulse *p, void (*tell)(void *context, worker_figures *figures), void *context)
{
    pthread_mutex_lock(&p->lock);
    p->tell = tell;
    p->context = context;
    pthread_mutex_unlock(&p->lock);
}

ps_status pulse_beat(pulse *p, const pulse_identity *self, uint32_t interval_ms, ps_error *error)
{
    pthread_mutex_lock(&p->lock);
    p->self = *self;
    p->interval_ms = interval_ms;
    p->renewed = true; /* at once: a lease may have become shorter */
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return p->has_thread ? PS_OK : start_thread(p, error);
}

void pulse_destroy(pulse **handle)
{
    pulse *p = *handle;
    *handle = NULL;
    if (!p)
        return;
    if (p->has_thread) {
        pthread_mutex_lock(&p->lock);
        p->ending = true;
        pthread_cond_broadcast(&p->changed);
        pthread_mutex_unlock(&p->lock);
        pthread_join(p->thread, NULL);
    }
    for (uint32_t i = 0; i < p->servers; i++)
        transport_close(&p->sockets[i], 0);
    transport_destroy(&p->transport);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
