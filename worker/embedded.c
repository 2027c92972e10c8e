/* embedded.c - the uplink into a shard in the same process: training without a cluster.
 *
 * The one file of worker/ that knows ps/. The very same shard as in penstock-ps answers the very same
 * session, so a worker alone computes the same bits as a cluster of one worker. */
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "ps/shard_trace.h"
#include "worker/uplink.h"

typedef struct {
    uplink base;
    shard *shard;
} uplink_embedded;

static uint32_t embedded_send(uplink *self, uint32_t server, wire_message **messages, uint32_t count)
{
    (void)server;
    wire_route here = {0};
    for (uint32_t i = 0; i < count; i++)
        shard_receive(((uplink_embedded *)self)->shard, &messages[i], &here, clock_monotonic_ms());
    return count;
}

static transport_event embedded_receive(uplink *self, uint32_t *server, wire_message **message,
                                        ps_error *error)
{
    (void)error;
    wire_route here;
    *server = 0;
    *message = shard_next(((uplink_embedded *)self)->shard, &here);
    return *message ? TRANSPORT_MESSAGE : TRANSPORT_NOTHING;
}

static bool embedded_has_more(const uplink *self)
{
    (void)self;
    return false; /* nor does it matter: to look costs nothing */
}

/* The shard answers within send; nothing can come by waiting. */
static void embedded_wait(uplink *self, int timeout_ms)
{
    (void)self;
    (void)timeout_ms;
}

static void embedded_explain(uplink *self, uint32_t server, bool resolve, char *text, size_t bytes)
{
    (void)self;
    (void)server;
    (void)resolve;
    snprintf(text, bytes, "this process");
}

static void embedded_destroy(uplink *self, int drain_ms)
{
    (void)drain_ms;
    uplink_embedded *l = (uplink_embedded *)self;
    shard_destroy(&l->shard);
    free(l);
}

static ps_status embedded_refuses(uplink *self, uint32_t server, char *text, size_t bytes)
{
    (void)self;
    (void)server;
    (void)text;
    (void)bytes;
    return PS_OK;
}

static const uplink_ops embedded_ops = {
    .send = embedded_send,
    .receive = embedded_receive,
    .has_more = embedded_has_more,
    .wait = embedded_wait,
    .explain = embedded_explain,
    .refuses = embedded_refuses,
    .destroy = embedded_destroy,
};

ps_status uplink_embedded_create(uplink **out, ps_error *error)
{
    *out = NULL;
    uplink_embedded *l = calloc(1, sizeof *l);
    shard_config config = {.index = 0, .incarnation = 1, .listener = shard_trace_listener()};
    if (!l || shard_create(&config, &l->shard) != PS_OK) {
        free(l);
        return ps_fail(error, PS_ENOMEM, "out of memory for a shard in this process");
    }
    l->base.ops = &embedded_ops;
    *out = &l->base;
    return PS_OK;
}
