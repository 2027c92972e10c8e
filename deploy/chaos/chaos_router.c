/* chaos_router.c - see chaos_router.h. */
#include "deploy/chaos/chaos_router.h"

#include <stdlib.h>
#include <unistd.h>

#include "deploy/chaos/chaos_link.h"
#include "deploy/launch/network.h"

enum { READ_BATCH = 64 /* packets of a node in a row */ };

typedef struct {
    chaos_net net;
    chaos_links *links;
    int home;
    size_t count;
    network nodes[CHAOS_NODES_MAX];
} router;

static void router_reset(chaos_net *self, size_t worker, size_t server, uint64_t now_ms)
{
    chaos_links_reset(((router *)self)->links, worker, server, now_ms);
}

static size_t router_waits(chaos_net *self, struct pollfd *waits, uint64_t now_ms, uint64_t *wake_ms)
{
    router *r = (router *)self;
    (void)now_ms;
    for (size_t i = 0; i < r->count; i++)
        waits[i] = (struct pollfd){.fd = r->nodes[i].device, .events = POLLIN};
    chaos_wake_by(wake_ms, chaos_links_due(r->links));
    return r->count;
}

/* What a device cannot take is lost, as on any line. */
static void deliver(router *r, uint64_t now_ms)
{
    chaos_arrival arrival;
    while (chaos_links_next(r->links, now_ms, &arrival)) {
        ssize_t ignored = write(r->nodes[arrival.to].device, arrival.data, arrival.bytes);
        (void)ignored;
    }
}

static void router_turn(chaos_net *self, const struct pollfd *waits, uint64_t now_ms)
{
    router *r = (router *)self;
    uint8_t packet[NETWORK_MTU];
    for (size_t i = 0; i < r->count; i++) {
        ssize_t got = waits[i].revents & POLLIN ? 1 : 0;
        for (int n = 0; n < READ_BATCH && got > 0; n++) {
            got = read(r->nodes[i].device, packet, sizeof packet);
            if (got > 0)
                chaos_links_send(r->links, i, packet, (size_t)got, now_ms);
        }
    }
    deliver(r, now_ms);
}

static chaos_net_counters router_count(const chaos_net *self)
{
    return chaos_links_count(((const router *)self)->links);
}

static void router_destroy(chaos_net *self)
{
    router *r = (router *)self;
    for (size_t i = 0; i < r->count; i++)
        network_close(&r->nodes[i]);
    if (r->home >= 0)
        close(r->home);
    chaos_links_destroy(&r->links);
    free(r);
}

static const chaos_net_ops router_ops = {
    .name = "namespaces",
    .reset = router_reset,
    .waits = router_waits,
    .turn = router_turn,
    .count = router_count,
    .destroy = router_destroy,
};

ps_status chaos_router_create(size_t workers, size_t servers, chaos_line line, uint64_t seed, chaos_net **out,
                              ps_error *error)
{
    router *r = calloc(1, sizeof *r);
    *out = NULL;
    if (!r)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    r->net =
        (chaos_net){.ops = &router_ops, .weather = {.workers = workers, .servers = servers, .line = line}};
    r->home = -1;
    ps_status status = chaos_links_create(&r->net.weather, seed, &r->links, error);
    if (status == PS_OK)
        status = network_gain_right(&r->home, error);
    for (; r->count < workers + servers && status == PS_OK; r->count += status == PS_OK)
        status = network_create(r->home, chaos_node_address(r->count), &r->nodes[r->count], error);
    if (status == PS_OK)
        *out = &r->net;
    else
        router_destroy(&r->net);
    return status;
}

static size_t node_of(const chaos_net *self, cluster_role role, size_t index)
{
    return role == ROLE_PS ? chaos_server_node(index) : chaos_worker_node(&self->weather, index);
}

int chaos_router_space(const chaos_net *self, cluster_role role, size_t index)
{
    return ((const router *)self)->nodes[node_of(self, role, index)].space;
}

ps_status chaos_router_reserve(chaos_net *self, cluster_role role, size_t index, int *socket_fd,
                               uint32_t *address, uint16_t *port, ps_error *error)
{
    router *r = (router *)self;
    size_t node = node_of(self, role, index);
    *address = chaos_node_address(node);
    return network_reserve(&r->nodes[node], r->home, *address, role == ROLE_PS, socket_fd, port, error);
}
