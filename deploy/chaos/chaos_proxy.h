/* chaos_proxy.h - a bad network between workers and ps of one host: TCP, on loopback, without privileges.
 *
 * Every link, which is one worker and one ps, has a port of its own; what a worker sends there goes to the ps
 * and back, as well as the faults of the link let it. A connection that is held up stays open and loses
 * nothing, as TCP has it: bytes wait with their sender, who sees nothing but silence. Single packets it
 * cannot lose or let overtake each other. */
#ifndef PENSTOCK_DEPLOY_CHAOS_PROXY_H
#define PENSTOCK_DEPLOY_CHAOS_PROXY_H

#include "deploy/chaos/chaos_net.h"

/* Listens for every link. PS_EIO, PS_ENOMEM. */
ps_status chaos_proxy_create(size_t workers, size_t servers, uint64_t seed, chaos_net **out, ps_error *error);

/* Where this worker finds this ps. */
uint16_t chaos_proxy_port(const chaos_net *p, size_t worker, size_t server);

#endif
