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
 *   ledger         whatever has crashed: what a shard holds, sends and keeps are the steps that it says, once
 *                  each; it comes back at the newest image that all have; nothing that it was sent is held
 *                  without limit                                                                (ledger.h)
 *   log            what a ps with a log is, has a record, and so it comes back as the very shard that it was,
 *                  bit for bit, in every mode, with all that anybody has heard of; and where all ps have one
 *                  nobody is told to go back, nor forgets what it had acknowledged            (history.h)
 *   members        where workers may be lost for good: of what two ps have applied they say that the same
 *                  have taken part, lists of one version are the same, the weights are those that follow
 *                  from who took part, and in each epoch every row is used once                 (ledger.h)
 *   orders         a checkpoint of which an administrator hears that it is kept, is; a job that it ends
 *                  has one last step, which nobody passes, and with which all end      (cluster_orders.c)
 *   the last word  no worker is told that its end is known before the last image is safe
 *   bounds         messages and bytes under way, and messages that one event gives rise to, are limited
 *   memory         nothing is written to while a message lends it (network.h); all that a session lent is
 *                  given back, else it never finishes a push; leaks are for AddressSanitizer to see
 *
 * and, once everybody has finished:
 *
 *   sum            where updates add up: the final weights are the initial ones less rate times all gradients
 *   end            every shard that still has its job has all steps, and the weights after them
 *
 * In liveness mode the faults stop at some time, and then
 *
 *   liveness       all members finish within CLUSTER_PATIENCE_MS
 *
 * In safety mode they never do; the cluster is watched for CLUSTER_SAFETY_MS at most.
 *
 * What the protocol does not promise, and so is not tried:
 *
 *   - A ps that keeps no images is not killed once a member has begun to finish, or, where workers may be
 *     lost, the chief waits for their end; nor are its images of the last step lost: who could replay what is
 *     lost with it may be gone.
 *   - Nobody goes on without a worker that is lost before the first step: one that has gone for good is
 *     started again then.
 *   - A worker without which the job has come to its end may find nobody when it comes back.
 *   - Of the images of a ps with a log no two in a row are damaged; and once one is found to be, the chief
 *     may order a way back where all ps have logs: a ps that ended with a sound image, but has lost the one
 *     before it, has no version before its current one, for a worker that has to compute the last step again.
 *   - With backup workers it may order one though no ps has forgotten anything: who joins goes on from where
 *     the furthest ps is, and one that is too far behind would wait for gradients of its next step that
 *     nobody pushes any more.
 *   - An order to end the job is forgotten if ps 0 and the chief are lost at once: such a run ends there.
 *     Where workers may be lost, one that comes back after such an end may hear of it from nobody, and train
 *     on: such jobs nobody ends here. Of those with backup workers there are no orders at all.
 *   - A member that is done does not come back. One that dies amid its last word may find that the ps that it
 *     has told are gone, and no other can tell it more; so may one that dies before it, if the ps have come
 *     back after the end of the job and it takes longer than they wait for it (SHARD_ABANDONED_MS).
 */
#ifndef PENSTOCK_TESTS_SIM_CLUSTER_H
#define PENSTOCK_TESTS_SIM_CLUSTER_H

#include "tests/sim/network.h"
#include "tests/sim/plant.h"
#include "tests/sim/scenario.h"

enum {
    CLUSTER_TICK_MS = 5,
    CLUSTER_BURST_MAX = 1024, /* messages that one event may give rise to */
    CLUSTER_PATIENCE_MS = 60000,
    CLUSTER_SAFETY_MS = 4000,
};

typedef struct {
    network_counters network;
    uint64_t virtual_ms;
    uint64_t crashes, pauses, jumps;
    uint64_t moments[MOMENT_COUNT]; /* crashes of ps, by when they came */
    uint64_t logs, recoveries;      /* ps with a log, and how often one has come back by it */
    uint64_t torn;                  /* records of them */
    uint64_t shrinking;             /* 1: workers may come and go */
    uint64_t stand_ins, replaced; /* processes that stood in for one; workers that found their place taken */
    uint64_t left, entered;       /* LEAVEs and ENTERs of which ps 0 made a list */
    uint64_t restores;            /* taken by a ps, where workers may come and go */
    uint64_t images_kept, images_failed, images_lost;
    uint64_t stops, checkpoints_ordered, stops_lost; /* of administrators */
    uint64_t ended;                                  /* 1: everybody was done */
} cluster_summary;

/* PS_OK if the scenario of `seed` passed; else which invariant broke, and how, in `error`. `summary` is set
 * either way. */
ps_status cluster_run(uint64_t seed, scenario_mode mode, plant_kind planted, const trace *t,
                      cluster_summary *summary, ps_error *error);

#endif
