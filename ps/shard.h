/* shard.h - the server's core: a pure state machine from messages to messages.
 *
 * Owns no socket, clock, thread or file. The caller hands it decoded messages and the time, and takes
 * from it the messages to send; the daemon feeds it from ZeroMQ, a worker without a cluster feeds it
 * directly, the simulator from a seeded network. It answers every request exactly by the rules of
 * proto/penstock.proto; a message that it refuses changes nothing.
 *
 * When an update applies is decided by consistency.h, how by optimizer.h, where a slice lives by
 * partition.h. What is left here: who is a member, which requests wait, and which were seen before.
 *
 * Faults. With an archive (ps/archive.h) the shard begins where its images end. In synchronous mode a step
 * has the same bits whenever it is computed, so shards need only be at the same step to fit together: one
 * that comes back at an earlier step than the others is found out by its WELCOME, the chief names a step that
 * all can go to (RESTORE), and the workers replay from there. In the other modes it goes on alone, from its
 * last image. With a journal (ps/journal.h) beside the archive it is, in every mode, where it was: what it
 * has taken in since an image is taken in again. */
#ifndef PENSTOCK_PS_SHARD_H
#define PENSTOCK_PS_SHARD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cluster.h"
#include "common/metrics.h"
#include "common/pool.h"
#include "common/status.h"
#include "common/wire.h"
#include "ps/archive.h"
#include "ps/crew.h"
#include "ps/journal.h"
#include "ps/refusals.h"

enum {
    SHARD_REQUESTS_MAX = 64, /* requests of one member that may wait at a time, unless slices demand more */
    /* Bytes of weights that may be on their way to one member: what it has taken it says with its next
     * request, or in between (SETTLE). One answer may be larger. */
    SHARD_WINDOW_BYTES = 16 << 20,
    SHARD_STALL_MS = 5000, /* how often the shard says what it waits for */
    /* A shard that comes back after its job's end waits so long for a worker that has not heard of the end.
     */
    SHARD_ABANDONED_MS = 10000,
    /* Answers to each member that may wait for the journal; then QUERY and HELLO, which come again, get none.
     */
    SHARD_HELD_MAX = 32,
    SHARD_TICK_MAX_MS = 1000,       /* between two ticks; whoever ticks later has been asleep */
    SHARD_WIND_UP_MS = 2000,        /* for the gradients of the step under way */
    SHARD_HEARTBEATS_PER_LEASE = 4, /* so that the loss of some does no harm */
    SHARD_HEARTBEAT_MAX_MS = 1000,  /* what they tell of workers shall not be old */
    /* And so long for one that has said that it is done, but not that it knows all ps to know. It waits half
     * as long itself (worker/setup.c). */
    SHARD_FORSAKEN_MS = 60000,
};

/* Told of updates as they are made; the shard itself has no clock. */
typedef struct {
    /* One begins. What this returns comes with all that is told of it. */
    uint64_t (*begins)(void);
    /* It takes in what this worker pushed for this step of its own. */
    void (*takes)(uint64_t begun, uint32_t worker, uint64_t incarnation, uint64_t step);
    /* It has been made, and was `step`, of so many gradients. */
    void (*applied)(uint64_t begun, uint64_t step, uint32_t gradients);
} shard_listener;

typedef struct {
    uint32_t index;       /* of this ps */
    uint64_t incarnation; /* rises with every restart */
    /* What the cluster spec says, to be held against the job; 0 where it does not know. */
    uint32_t servers, workers;
    uint64_t memory_max_bytes; /* a job that needs more is refused; 0: no limit */
    pool *pool;                /* where weights are kept, borrowed; NULL: in memory of the shard's own */
    crew *threads;             /* that share its arithmetic, borrowed; NULL: the caller's alone */
    archive *archive;          /* borrowed; NULL: the shard's state ends with it */
    uint32_t
        lease_ms; /* a member that has not been heard of for so long is lost; 0: members are not watched */
    uint32_t deadline_ms; /* the job ends if nothing moves for so long: no update, nobody who joins or
                             finishes; 0: never */
    journal *journal;     /* borrowed; NULL: what came after the last image ends with it. Needs an archive */
    metrics *counted;     /* of ps/ps_metrics.h, borrowed; NULL: nobody looks */
    uint64_t image_steps; /* an image is kept after every so many steps, and after the last; 0: that only */
    uint64_t
        image_ms; /* but in synchronous mode: in place of that, so often (ps/image_timer.h); 0: as above */
    const shard_listener *listener; /* borrowed; NULL: nobody is told */
} shard_config;

typedef struct {
    uint64_t steps_applied;
    uint64_t examples_applied;
    uint64_t repeats;           /* pushes seen before, answered without being applied again */
    uint64_t late_gradients;    /* dropped: came after their step (backup workers) */
    uint64_t nonfinite_refused; /* contributions left out by the guard, whole or where they held NaN or Inf */
    uint64_t messages_refused;  /* answered by ERROR */
    refusal_counts refused;     /* ... by reason */
    uint64_t restores;          /* times that it went to another step by RESTORE */
    uint64_t resumes;           /* ... that it began where an image or a journal ends */
    uint64_t pushes;            /* gradients of a worker and step that came whole and were kept */
    uint64_t members_lost, members_returned, members_restarted;
} shard_counters;

typedef struct shard shard;

/* A shard that waits for its first HELLO. PS_ENOMEM. */
ps_status shard_create(const shard_config *config, shard **out);
void shard_destroy(shard **s);

/* Where this ps shows itself over HTTP, which it tells its members. */
void shard_tell_http(shard *s, const char *address);

/* Takes a decoded message, payloads attached; consumes it and nulls the pointer. */
void shard_receive(shard *s, wire_message **message, const wire_route *from, uint64_t now_ms);

/* Time passes: logs, at most every SHARD_STALL_MS, what the shard waits for; looks who is lost, and whether
 * the deadline is over; answers what waited for the archive. */
void shard_tick(shard *s, uint64_t now_ms);

/* The next message to be sent, owned by the caller; NULL if none, or if it waits for the journal. */
wire_message *shard_next(shard *s, wire_route *to);

/* Does an answer wait for the archive, and so for a tick? */
bool shard_awaits_archive(const shard *s);

/* Asks the shard to end before its job does, so that it can be started again from where it is. A synchronous
 * step under way is completed, if its gradients come within SHARD_WIND_UP_MS; from then on nothing is applied
 * or answered, and an image is kept. */
void shard_wind_up(shard *s, uint64_t now_ms);

/* ... and all that is done. */
bool shard_is_wound_up(const shard *s);

/* Everybody who was expected has finished, and the last image is kept: the process may end once its messages
 * have left. */
bool shard_finished(const shard *s);

/* Is everything that the journal holds in a durable image too, and the job at its end? */
bool shard_needs_no_journal(const shard *s);

/* Synchronous mode: the last step applied; else the number of updates, ever. */
uint64_t shard_version(const shard *s);

/* PS_OK, or why the job cannot go on (a gradient refused under `--guard stop`, out of memory). Where it has
 * no job, the shard could not come back by its log and says nothing more: PS_ELOG: its next life may;
 * PS_EFORMAT: only when somebody has mended what is damaged. */
ps_status shard_failure(const shard *s, ps_error *error);

/* Has a worker brought the job? */
bool shard_has_job(const shard *s);

/* Borrowed; NULL: it has none. */
const job_config *shard_job(const shard *s);

const shard_counters *shard_count(const shard *s);

#endif
