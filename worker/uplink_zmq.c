/* uplink_zmq.c - the uplink over ZeroMQ: one connected socket per ps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/handshakes.h"
#include "common/log.h"
#include "worker/uplink.h"

enum {
    SWEEP_MS = 1000, /* between looks for memory of ps that have ended */
};

typedef struct {
    uplink base;
    transport *transport;
    uint32_t servers;
    uint32_t next;         /* receive asks the sockets in turn, so that none is starved */
    wire_message *awaited; /* taken in by the wait for the one server there is; NULL: none */
    cluster_task *tasks;
    bool has_keys;
    uint64_t swept_ms;
    transport_socket *sockets[];
} uplink_zmq;

static uint32_t zmq_send_messages(uplink *self, uint32_t server, wire_message **messages, uint32_t count)
{
    return transport_send_together(((uplink_zmq *)self)->sockets[server], NULL, messages, count);
}

static transport_event zmq_receive_message(uplink *self, uint32_t *server, wire_message **message,
                                           ps_error *error)
{
    uplink_zmq *l = (uplink_zmq *)self;
    if (l->awaited) {
        *server = 0;
        *message = l->awaited;
        l->awaited = NULL;
        return TRANSPORT_MESSAGE;
    }
    for (uint32_t tried = 0; tried < l->servers; tried++) {
        *server = l->next;
        l->next = (l->next + 1) % l->servers;
        transport_event event = transport_receive(l->sockets[*server], NULL, message, error);
        if (event != TRANSPORT_NOTHING)
            return event;
    }
    return TRANSPORT_NOTHING;
}

static bool zmq_has_more(const uplink *self)
{
    const uplink_zmq *l = (const uplink_zmq *)self;
    bool more = l->awaited;
    for (uint32_t i = 0; i < l->servers && !more; i++)
        more = transport_has_more(l->sockets[i]);
    return more;
}

static void sweep_now_and_then(uplink_zmq *l)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (now_ms - l->swept_ms < SWEEP_MS)
        return;
    l->swept_ms = now_ms;
    transport_sweep(l->transport);
    for (uint32_t i = 0; i < l->servers; i++)
        transport_follow_key(l->sockets[i]);
}

static void zmq_wait(uplink *self, int timeout_ms)
{
    uplink_zmq *l = (uplink_zmq *)self;
    if (l->awaited) /* still to be received */
        return;
    sweep_now_and_then(l);
    if (l->servers > 1) {
        transport_poll(l->sockets, l->servers, timeout_ms);
        return;
    }
    ps_error error;
    if (transport_await(l->sockets[0], timeout_ms, NULL, &l->awaited, &error) == TRANSPORT_REFUSED)
        log_warning("ps/0 sent what is no message: %s", error.text);
}

static void zmq_explain(uplink *self, uint32_t server, bool resolve, char *text, size_t bytes)
{
    const cluster_task *task = &((uplink_zmq *)self)->tasks[server];
    address_format(task->host, task->port, text, bytes);
    if (resolve && !transport_resolves(task->host)) {
        size_t used = strlen(text);
        snprintf(text + used, bytes - used, ", a name that does not resolve yet");
    }
}

static ps_status zmq_refuses(uplink *self, uint32_t server, char *text, size_t bytes)
{
    const uplink_zmq *l = (uplink_zmq *)self;
    return handshakes_judge(transport_look_at_handshakes(l->sockets[server]), l->has_keys, text, bytes);
}

static void zmq_destroy(uplink *self, int drain_ms)
{
    uplink_zmq *l = (uplink_zmq *)self;
    wire_destroy(&l->awaited);
    for (uint32_t i = 0; i < l->servers; i++)
        transport_close(&l->sockets[i], drain_ms);
    transport_destroy(&l->transport);
    free(l->tasks);
    free(l);
}

static const uplink_ops zmq_ops = {
    .send = zmq_send_messages,
    .receive = zmq_receive_message,
    .has_more = zmq_has_more,
    .wait = zmq_wait,
    .explain = zmq_explain,
    .refuses = zmq_refuses,
    .destroy = zmq_destroy,
};

ps_status uplink_zmq_create(const cluster_spec *cluster, uint32_t servers, const curve_keys *keys,
                            pool *shared, uplink **out, ps_error *error)
{
    *out = NULL;
    uplink_zmq *l = calloc(1, sizeof *l + servers * sizeof(transport_socket *));
    if (l)
        l->tasks = calloc(servers, sizeof *l->tasks);
    if (!l || !l->tasks) {
        free(l);
        return ps_fail(error, PS_ENOMEM, "out of memory for connections to %u ps", servers);
    }
    l->base.ops = &zmq_ops;
    l->servers = servers;
    l->has_keys = keys && keys->wanted;
    ps_status status = transport_create(1, &l->transport, error);
    if (status == PS_OK && keys && keys->wanted)
        status = transport_secure(l->transport, keys, error);
    if (status == PS_OK && shared && transport_share(l->transport, shared) != PS_OK)
        status = ps_fail(error, PS_ENOMEM, "out of memory for shared memory");
    for (uint32_t i = 0; i < servers && status == PS_OK; i++) {
        const cluster_task *task = cluster_find(cluster, ROLE_PS, i);
        if (!task) {
            status = ps_fail(error, PS_ECONFIG, "the cluster has no address for ps/%u", i);
            break;
        }
        l->tasks[i] = *task;
        status = transport_connect(l->transport, task->host, task->port, &l->sockets[i], error);
    }
    if (status != PS_OK) {
        zmq_destroy(&l->base, 0);
        return status;
    }
    *out = &l->base;
    return PS_OK;
}
