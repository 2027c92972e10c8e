/* chaos_router.h - a bad network of packets: each process in a network namespace of its own, and we between.
 *
 * The namespaces are network.h's, what becomes of a packet is chaos_link.h's: this reads from the devices of
 * the one, asks the other, and writes. Daemons run unchanged, at addresses of that network. */
#ifndef PENSTOCK_DEPLOY_CHAOS_ROUTER_H
#define PENSTOCK_DEPLOY_CHAOS_ROUTER_H

#include "common/cluster.h"
#include "deploy/chaos/chaos_net.h"

/* Makes a namespace for every process, with that line. PS_ECONFIG: what is missing for that; PS_EIO,
 * PS_ENOMEM. */
ps_status chaos_router_create(size_t workers, size_t servers, chaos_line line, uint64_t seed, chaos_net **out,
                              ps_error *error);

/* The namespace of a process, for setns. */
int chaos_router_space(const chaos_net *self, cluster_role role, size_t index);

/* Address and port of a process in its namespace, with the socket that holds it, which listens if it is of a
 * ps. PS_EIO. */
ps_status chaos_router_reserve(chaos_net *self, cluster_role role, size_t index, int *socket_fd,
                               uint32_t *address, uint16_t *port, ps_error *error);

#endif
