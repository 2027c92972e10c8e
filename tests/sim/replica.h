/* replica.h - the model in plain arrays, and updates to any stretch of it.
 *
 * What the simulator holds the shards against. It shares the optimizers' arithmetic with them
 * (ps/optimizer.h) and nothing else: no slices, buffers, versions or messages. */
#ifndef PENSTOCK_TESTS_SIM_REPLICA_H
#define PENSTOCK_TESTS_SIM_REPLICA_H

#include "ps/optimizer.h"
#include "tests/sim/toy.h"

typedef struct {
    const job_config *job; /* borrowed */
    uint64_t elements;
    float *weights;                    /* (elements) */
    float *slots[OPTIMIZER_SLOTS_MAX]; /* (elements) */
} replica;

/* One worker's part in an update. */
typedef struct {
    const float *gradient; /* (elements); not read if the batch has no examples or is not finite */
    toy_batch batch;
} replica_share;

/* The initial weights. PS_ENOMEM leaves it safe to fini. */
ps_status replica_init(replica *r, const job_config *job);
void replica_fini(replica *r);

/* Rows that the shares really contribute. 0: there is nothing to apply. */
uint64_t replica_examples(const replica_share *shares, uint32_t count);

/* Applies the shares, whose examples are not all 0, to `count` elements from `first` on. `update`: how many
 * these have seen, this one included; `step` decides the learning rate. */
void replica_apply(replica *r, uint64_t first, uint64_t count, const replica_share *shares,
                   uint32_t share_count, uint64_t step, uint64_t update);

/* The model after each step of a synchronous run in which nothing goes wrong: computed without any network,
 * on whole tensors, so that it knows of no ps. Where workers come and go it depends on who has taken part in
 * the steps until then, and is computed when it is first asked for. Of a scenario in which weights are no
 * function of the step only the initial ones. */
typedef struct model_version model_version;

typedef struct {
    const scenario *scenario; /* borrowed */
    uint64_t elements;
    model_version *initial;
    float *gradients; /* (workers, elements) */
} trajectory;

/* PS_ENOMEM leaves it safe to fini. */
ps_status trajectory_init(trajectory *t, const scenario *s);
void trajectory_fini(trajectory *t);

/* (elements) f32 after `step`, 0 for the initial ones, with those members; a list that is NULL is empty.
 * NULL: out of memory. */
const float *trajectory_version(const trajectory *t, const members_list *list, uint64_t step);

/* How many examples these weights hold. */
uint64_t trajectory_examples(const trajectory *t, const members_list *list, uint64_t step);

#endif
