/* exposure.h - on which addresses a ps listens, and whether it may without keys.
 *
 * Whoever reaches the port of a ps without keys can read and change the model. So that is for loopback only,
 * unless it is asked for. */
#ifndef PENSTOCK_PS_EXPOSURE_H
#define PENSTOCK_PS_EXPOSURE_H

#include <stdbool.h>

#include "common/cluster.h"
#include "common/status.h"

typedef struct {
    int listen_fd;   /* an inherited socket; -1: none */
    bool bind_given; /* not all interfaces, but the host that the cluster spec names */
    bool has_keys;
    bool insecure; /* without keys, wherever */
} exposure;

/* The host to listen on, borrowed from `self`, or NULL: all interfaces (or the inherited socket's). Without
 * keys a ps whose own address is a loopback one listens there alone. PS_ECONFIG: it would be open to others.
 */
ps_status exposure_settle(const exposure *wanted, const cluster_task *self, const char **host,
                          ps_error *error);

#endif
