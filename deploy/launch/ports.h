/* ports.h - free ports of this machine, kept from others by holding the sockets.
 *
 * The kernel chooses each port as the socket is bound to 127.0.0.1, so nobody can take it in between. */
#ifndef PENSTOCK_DEPLOY_PORTS_H
#define PENSTOCK_DEPLOY_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"

/* A TCP socket (close-on-exec) bound to a free port of 127.0.0.1, and the port. With `listening` it
 * accepts connections already; without, connections to it are refused. PS_EIO. */
ps_status port_reserve(bool listening, int *socket_fd, uint16_t *port, ps_error *error);

/* The same of another address of this machine, or of the network namespace that we are in. */
ps_status port_reserve_at(uint32_t at, bool listening, int *socket_fd, uint16_t *port, ps_error *error);

#endif
