/* network.h - network namespaces for processes of this machine, each with one link whose packets we carry.
 *
 * A namespace has loopback and a TUN device, and no other way out: every IPv4 packet that its processes send
 * to an address of the device's network can be read from the device's descriptor, and what is written there
 * they receive. A namespace has no name. It lives as long as a process is in it or a descriptor of it open,
 * so that nothing remains of it, however its maker ends.
 *
 * It takes the right to make namespaces: CAP_SYS_ADMIN, as root has it, or a kernel that lets everybody have
 * user namespaces; and /dev/net/tun. Single-threaded: a thread that makes one is in it meanwhile. */
#ifndef PENSTOCK_DEPLOY_NETWORK_H
#define PENSTOCK_DEPLOY_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"

enum {
    NETWORK_MTU = 9000,  /* a jumbo frame: a sixth of the packets that we have to carry */
    NETWORK_PREFIX = 24, /* bits that the addresses of one network share */
};

/* Descriptors, close-on-exec; -1: none. */
typedef struct {
    int space;  /* for setns */
    int device; /* non-blocking; a packet with each read and write */
} network;

/* Gets the right, and the namespace to come back to, as a descriptor. Without CAP_SYS_ADMIN this process
 * moves for good into namespaces of its own, of users, where it and all its children keep their numbers, and
 * of networks, where there is only loopback. PS_ECONFIG if it has no right, or there is no TUN. */
ps_status network_gain_right(int *home, ps_error *error);

/* PS_EIO names the step that failed. */
ps_status network_create(int home, uint32_t address, network *out, ps_error *error);
void network_close(network *n);

/* As port_reserve, of that address in the namespace. */
ps_status network_reserve(const network *n, int home, uint32_t address, bool listening, int *socket_fd,
                          uint16_t *port, ps_error *error);

#endif
