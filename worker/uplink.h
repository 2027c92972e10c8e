/* uplink.h - how a session's messages reach its shards: over ZeroMQ, or into a shard in the same process.
 *
 * An uplink only carries; what is sent again and when is the session's business. One thread. */
#ifndef PENSTOCK_WORKER_UPLINK_H
#define PENSTOCK_WORKER_UPLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"
#include "common/cluster.h"
#include "common/job.h"
#include "common/pool.h"
#include "common/status.h"
#include "common/transport.h"
#include "common/wire.h"

typedef struct uplink uplink;

typedef struct {
    /* Sends messages in order, at most TRANSPORT_TOGETHER_MAX. Returns how many have been consumed, and
     * nulled; the rest cannot be taken now. */
    uint32_t (*send)(uplink *self, uint32_t server, wire_message **messages, uint32_t count);

    /* Takes one message if there is one, from the shard `server`. A message that does not decode is reported
     * as TRANSPORT_REFUSED. */
    transport_event (*receive)(uplink *self, uint32_t *server, wire_message **message, ps_error *error);

    /* Is a message at hand, so that `receive` costs nothing? */
    bool (*has_more)(const uplink *self);

    /* Waits until a message may be there, at most `timeout_ms`, or a signal. */
    void (*wait)(uplink *self, int timeout_ms);

    /* Where `server` is looked for, for a person: "host:port"; with `resolve`, also whether that name does
     * not resolve, which may block for as long as the system's resolver does. */
    void (*explain)(uplink *self, uint32_t server, bool resolve, char *text, size_t bytes);

    /* Will `server` and this process not come to speak with each other as they are? PS_OK: nothing says so;
     * PS_ECONFIG: it is plain; PS_EPEER: it has looked so for seconds. Why, for a person, in `text`. */
    ps_status (*refuses)(uplink *self, uint32_t server, char *text, size_t bytes);

    /* Spends at most `drain_ms` on what is queued; afterwards nothing that was sent is referenced. */
    void (*destroy)(uplink *self, int drain_ms);
} uplink_ops;

/* Holds what explain has to say. */
enum { UPLINK_TEXT_MAX = ADDRESS_TEXT_MAX + 64 };

struct uplink {
    const uplink_ops *ops;
};

/* A DEALER to every ps of the cluster, which must know all of them, with `keys` (copied; NULL: none).
 * What lies in `shared` (borrowed; may be NULL) is shared with ps on this host. PS_ENOMEM, PS_EIO. */
ps_status uplink_zmq_create(const cluster_spec *cluster, uint32_t servers, const curve_keys *keys,
                            pool *shared, uplink **out, ps_error *error);

/* One shard in this process, for training without a cluster. PS_ENOMEM. */
ps_status uplink_embedded_create(uplink **out, ps_error *error);

#endif
