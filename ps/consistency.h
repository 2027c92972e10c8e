/* consistency.h - when may an update be applied, and when may a worker go on?
 *
 * Pure policy: no tensors, sockets or clocks. The shard tells it what arrived; it answers what may
 * happen. One instance per shard. BSP and backup workers: Chen et al. 2016; SSP: Ho et al. 2013.
 *
 * | mode  | a gradient applies                                   | a worker that pushed step t goes on      |
 * |-------|------------------------------------------------------|------------------------------------------|
 * | sync  | with all of its step (with backups: the first n - b) | once step t is applied                   |
 * | ssp   | on arrival                                           | once the slowest worker is at t - s      |
 * | async | on arrival                                           | at once                                  |
 *
 * In sync "all" are the members of that step (common/members.h). In ssp and async nobody waits for a worker
 * that is absent; one that returns is not waited for until it has caught up.
 */
#ifndef PENSTOCK_PS_CONSISTENCY_H
#define PENSTOCK_PS_CONSISTENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/job.h"
#include "common/members.h"
#include "common/status.h"

/* Members of a set of workers, in rising order. */
typedef struct {
    uint32_t count;
    uint16_t workers[JOB_WORKERS_MAX];
} worker_set;

typedef enum {
    ARRIVAL_FRESH,  /* to be kept: it will be part of an update */
    ARRIVAL_REPEAT, /* this worker pushed that step before */
    ARRIVAL_LATE,   /* backup workers: the step was applied without it; to be dropped */
} arrival;

typedef struct {
    uint64_t pushed; /* last step pushed whole; 0: none */
    uint64_t before; /* what `pushed` was before the gradient that waits: with backups, not one less */
    bool waiting;    /* `pushed` is not applied yet */
    bool finished;   /* pushes no more; nobody waits for it */
    bool absent;     /* ssp, async: lost for so long that nobody waits for it */
    bool behind;     /* ssp: nobody waits for it before it has caught up */
} consistency_clock;

typedef struct {
    consistency_mode mode;
    uint32_t workers, staleness, backup_workers;
    bool resumed; /* it has gone on from elsewhere; ssp: clocks may be further apart than workers have been
                     allowed elsewhere */
    uint64_t applied;          /* sync: last step applied; else number of updates applied */
    members_list members;      /* sync: who takes part in which step */
    consistency_clock *clocks; /* (workers) */
} consistency;

/* Of a checked job. PS_ENOMEM. */
ps_status consistency_init(consistency *c, const job_config *job);
void consistency_fini(consistency *c);

/* How would the gradient of `worker` for `step` (1, 2, ...) be taken? Changes nothing. PS_EPROTOCOL: a step
 * that this worker cannot have reached, in which it takes no part, or a worker that has finished. */
ps_status consistency_judge(const consistency *c, uint32_t worker, uint64_t step, arrival *verdict,
                            ps_error *error);

/* The gradient, judged ARRIVAL_FRESH, has arrived whole. */
void consistency_arrive(consistency *c, uint32_t worker, uint64_t step);

/* As after a restart of the shard: `applied` as saved, and of each of `count` workers what it had pushed, all
 * of which had been applied; nobody has finished. With another number of workers than the job has, each goes
 * on from where the slowest was. In synchronous mode all go on from `applied`. */
void consistency_resume(consistency *c, uint64_t applied, const uint64_t *pushed, uint32_t count);

/* From now on this is the list of members; taken over, and `list` is empty. Of steps that are applied already
 * it says what the one before said. */
void consistency_set_members(consistency *c, members_list *list);

/* Nobody waits for this worker; or it has been heard of again. */
void consistency_set_absent(consistency *c, uint32_t worker, bool absent);

/* Is its end to be waited for? Not that of an absent one, or of one that is no member any more. */
bool consistency_awaits_end(const consistency *c, uint32_t worker);

/* A worker starts anew after a restart: its gradient that waits, if any, is forgotten. */
void consistency_forget(consistency *c, uint32_t worker);

/* Is there an update that may be applied now? Then its step and contributors, in worker order. To be called
 * until it says no, each time followed by consistency_applied. */
bool consistency_ready(const consistency *c, uint64_t *step, worker_set *contributors);

/* That update is in the weights. */
void consistency_applied(consistency *c, uint64_t step, const worker_set *contributors);

/* Has the gradient of `worker` for `step` arrived whole, or its step been applied without it? */
bool consistency_settled(const consistency *c, uint32_t worker, uint64_t step);

/* May a worker have its answer to the push of `step`, or to a pull that wants at least `step`? */
bool consistency_may_answer(const consistency *c, uint64_t step);

/* `worker` asks for what is left when the others have finished: it is done, perhaps before them. In ssp
 * nobody waits for its clock, unless it pushes after all, and catches up. */
void consistency_conclude(consistency *c, uint32_t worker);

/* `worker` will push no more. What it pushed still counts. */
void consistency_finish(consistency *c, uint32_t worker);
bool consistency_all_finished(const consistency *c);

/* The workers that `step` waits for: those whose gradient (sync) or clock (ssp) is missing. */
void consistency_missing(const consistency *c, uint64_t step, worker_set *missing);

#endif
