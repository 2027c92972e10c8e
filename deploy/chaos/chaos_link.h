/* chaos_link.h - the links of a bad network of packets: which come through, when, and which connections end.
 *
 * Nodes are the processes: first the ps, then the workers, each with an address. What passes between a worker
 * and a ps passes their link, and its weather; anything else has none. Every packet takes the line out of its
 * host and the one into the other. As on a real line, what is blocked, lost, or too much for the queue of a
 * narrow link is gone, and TCP sends it again.
 *
 * A connection is reset as by a firewall that has forgotten it: both ends get an RST at once, with the next
 * sequence number that they wait for, as far as passing packets have told; and any packet of it that comes
 * later is answered by another, with the number that the packet itself asks for, as a host without the
 * connection would. The first is enough as a rule; the second ends those that wait for another number.
 *
 * Pure: no descriptors and no clock. Times are of clock_monotonic_ms. Chance is drawn from the seed. */
#ifndef PENSTOCK_DEPLOY_CHAOS_LINK_H
#define PENSTOCK_DEPLOY_CHAOS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"
#include "deploy/chaos/chaos_net.h"

enum {
    CHAOS_NODES_MAX = CHAOS_WORKERS_MAX + CHAOS_SERVERS_MAX,
    CHAOS_PACKETS_MAX = 32768,         /* on their way; more are lost */
    CHAOS_LINK_QUEUE_MS = 1000,        /* what a narrow link holds back, of its rate; more is lost ... */
    CHAOS_LINK_QUEUE_BYTES = 64 << 10, /* ... but for so much */
    CHAOS_FLOWS_MAX = 64,              /* connections of a link that are remembered, the latest */
};

typedef struct chaos_links chaos_links;

/* A packet that has arrived. */
typedef struct {
    size_t to; /* node */
    size_t bytes;
    const uint8_t *data; /* until the next call of anything */
} chaos_arrival;

/* `weather` is borrowed. PS_ENOMEM. */
ps_status chaos_links_create(const chaos_weather *weather, uint64_t seed, chaos_links **out, ps_error *error);
void chaos_links_destroy(chaos_links **l);

/* In the network of the nodes. */
uint32_t chaos_node_address(size_t node);

/* The number of a process as a node. */
size_t chaos_server_node(size_t server);
size_t chaos_worker_node(const chaos_weather *weather, size_t worker);

/* A node has sent a packet. What is no IPv4 packet to another node is dropped. */
void chaos_links_send(chaos_links *l, size_t from, const uint8_t *data, size_t bytes, uint64_t now_ms);

/* Ends all connections of these links. */
void chaos_links_reset(chaos_links *l, size_t worker, size_t server, uint64_t now_ms);

/* The next packet that has arrived by now; false: none. */
bool chaos_links_next(chaos_links *l, uint64_t now_ms, chaos_arrival *arrival);

/* When the next one arrives; UINT64_MAX: none is on its way. */
uint64_t chaos_links_due(const chaos_links *l);

chaos_net_counters chaos_links_count(const chaos_links *l);

#endif
