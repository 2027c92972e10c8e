/* cluster.h - a whole cluster in one process: the production shards and sessions on the simulated network.
 *
 * Runs one scenario from the first HELLO until every member has finished and the last stray message has
 * arrived. After every event it checks:
 *
 *   exactly once   each shard has applied what has reached it, once, by the rules of the mode   (oracle.h)
 *   same bits      every answer carries the very weights that follow from that                  (oracle.h)
 *   permission     no answer leaves before the mode allows it                                   (oracle.h)
 *   refusal        no request of a process that is current is refused                           (trainee.h)
 *   sync           without backups, every worker sees at every step the weights of a run without a network,
 *                  bit for bit                                                                  (replica.h)
 *   sum            where updates add up: the final weights are the initial ones less rate times all gradients
 *   bounds         messages under way, and messages that one event gives rise to, are limited
 *   liveness       once the weather has calmed down, all members finish within CLUSTER_PATIENCE_MS
 *   *   memory         nothing is written to while a message lends it (network.h); all that a session lent is
 * given back, else it never finishes a push; leaks are for AddressSanitizer to see
 */
#ifndef PENSTOCK_TESTS_SIM_CLUSTER_H
#define PENSTOCK_TESTS_SIM_CLUSTER_H

#include "tests/sim/network.h"
#include "tests/sim/plant.h"

enum {
    CLUSTER_TICK_MS = 5,
    CLUSTER_BURST_MAX = 1024, /* messages that one event may give rise to */
    CLUSTER_PATIENCE_MS = 60000,
};

typedef struct {
    network_counters network;
    uint64_t virtual_ms;
    uint64_t restarts;
} cluster_summary;

/* PS_OK if the scenario of `seed` passed; else which invariant broke, and how, in `error`. `summary` is set
 * either way. */
ps_status cluster_run(uint64_t seed, plant_kind planted, const trace *t, cluster_summary *summary,
                      ps_error *error);

#endif
