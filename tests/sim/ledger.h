/* ledger.h - what every shard's books must add up to, whatever has crashed or gone back.
 *
 * The oracle (oracle.h) follows each message and so knows more, but not once a shard has forgotten some of
 * them. The ledger needs no history: which examples a worker has for a step is a function of the seed, and so
 * are, in synchronous training without backups, the weights after it: of the seed and of who has taken part
 * in the steps until then, where workers come and go. So of any shard at any time it can say
 * whether what it claims to have applied is what its numbers and weights hold, once each. */
#ifndef PENSTOCK_TESTS_SIM_LEDGER_H
#define PENSTOCK_TESTS_SIM_LEDGER_H

#include "common/checkpoint.h"
#include "common/partition.h"
#include "ps/shard.h"
#include "tests/sim/replica.h"

typedef struct ledger ledger;

/* All borrowed. PS_ENOMEM. */
ps_status ledger_create(const scenario *s, const partition *p, const trajectory *t, ledger **out);
void ledger_destroy(ledger **l);

/* The step after which an administrator has the job end, if it has so many, once that is known; 0: none has.
 */
void ledger_set_end(ledger *l, uint64_t step);
uint64_t ledger_end(const ledger *l);

/* How many steps that worker does of a job that is not synchronous: as many as it has begun by its end. */
uint64_t ledger_steps_of(const ledger *l, uint32_t worker);

/* The last step of a synchronous job, with those members. */
uint64_t ledger_last_step(const ledger *l, const members_list *list);

/* `worker` has computed its gradient of `step`. */
void ledger_computed(ledger *l, uint32_t worker, uint64_t step);

/* Clocks within what the workers have computed; updates and examples those of the clocks, each once; open
 * requests and unsettled answers within their limits. */
ps_status ledger_check_shard(const ledger *l, uint32_t server, const shard *s, ps_error *error);

/* Of a shard that has just come back: it must be at `expected`, or, if that is NULL, at the start. */
ps_status ledger_check_recovered(const ledger *l, uint32_t server, const shard *s,
                                 const checkpoint_state *expected, ps_error *error);

/* Weights that a shard sends, and the examples that it counts, are those of the version that it names. */
ps_status ledger_check_answer(const ledger *l, const shard *s, const wire_message *answer, ps_error *error);

/* Of two shards: what both have applied was done by the same members, and lists of one version are the same.
 */
ps_status ledger_check_lists(const ledger *l, const shard *a, const shard *b, ps_error *error);

/* Weights and numbers of an image are those of its step. values: (slices, 1 + slots, elements) f32 */
ps_status ledger_check_image(const ledger *l, uint32_t server, const checkpoint_state *state,
                             const float *values, ps_error *error);

/* The steps of the whole job, done by these members, use each row once in each epoch. */
ps_status ledger_check_rows(const ledger *l, const members_list *list, ps_error *error);

/* Everyone is done: nothing is missing in a shard that still has its job. */
ps_status ledger_check_end(const ledger *l, uint32_t server, const shard *s, ps_error *error);

#endif
