/* oracle.h - what every shard must have done by now, and what it may therefore say.
 *
 * The oracle is told what the workers computed and which messages were delivered, nothing of what a shard
 * made of them. From that it works out, by the rules of ps/consistency.h written down a second time, each
 * shard's version, its weights to the last bit and who may have an answer. A shard that applies a push twice,
 * early, in another order or not at all, or answers from other weights, contradicts it at once. */
#ifndef PENSTOCK_TESTS_SIM_ORACLE_H
#define PENSTOCK_TESTS_SIM_ORACLE_H

#include "common/partition.h"
#include "ps/shard.h"
#include "tests/sim/toy.h"

typedef struct oracle oracle;

/* All borrowed. PS_ENOMEM. */
ps_status oracle_create(const scenario *s, const partition *p, oracle **out);
void oracle_destroy(oracle **o);

/* `worker` will push this for `step`. gradient: (elements) f32, copied. */
void oracle_computed(oracle *o, uint32_t worker, uint64_t step, const float *gradient,
                     const toy_batch *batch);

/* `m` reaches the shard of `server`, sent from `address`. */
void oracle_delivered(oracle *o, uint32_t server, uint32_t address, const wire_message *m);

/* Has the shard applied what it should have, and nothing else? */
ps_status oracle_check_shard(const oracle *o, uint32_t server, const shard_counters *counters,
                             ps_error *error);

/* May the shard send this to `address` now? */
ps_status oracle_check_answer(oracle *o, uint32_t server, uint32_t address, const wire_message *answer,
                              ps_error *error);

/* `worker` has all answers to its push of `step`: may it go on? */
ps_status oracle_check_step(const oracle *o, uint32_t worker, uint64_t step, ps_error *error);

/* (elements) f32: every shard's current weights */
const float *oracle_weights(const oracle *o);

#endif
