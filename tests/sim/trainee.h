/* trainee.h - a worker or an evaluator of the simulated cluster: the toy model over the production session.
 *
 * Does what worker/trainer.c and worker/evaluator.c do, without waiting: it is moved on whenever something
 * may have happened. Knows no network; the cluster carries its messages. */
#ifndef PENSTOCK_TESTS_SIM_TRAINEE_H
#define PENSTOCK_TESTS_SIM_TRAINEE_H

#include "tests/sim/oracle.h"
#include "tests/sim/replica.h"

typedef struct {
    const scenario *scenario;
    const partition *partition;
    wire_role role;
    uint32_t index;
    uint64_t incarnation;
    oracle *oracle;               /* is told of gradients, and judges each step; NULL: nobody does */
    const trajectory *trajectory; /* what the weights must be, or NULL where the schedule decides it */
} trainee_config;

typedef struct trainee trainee;

/* `config` is copied, what it points to borrowed. PS_ENOMEM. */
ps_status trainee_create(const trainee_config *config, trainee **out);

/* Messages that hold lent gradients must be gone. */
void trainee_destroy(trainee **t);

/* Moves the session's clock and the training as far as they go. Any status but PS_OK is a violation. */
ps_status trainee_tick(trainee *t, uint64_t now_ms, ps_error *error);

/* From now on nobody judges its steps but the trajectory. */
void trainee_dismiss_oracle(trainee *t);

/* As session_receive and session_next. */
void trainee_receive(trainee *t, uint32_t server, wire_message **message);
wire_message *trainee_next(trainee *t, uint32_t server, uint64_t now_ms);

/* May it end here and come back? A worker that ends in the middle of a push may have left its gradient on
 * some of several ps only, which a new process could not know. */
bool trainee_may_restart(const trainee *t);

/* The step that it has done last. */
uint64_t trainee_step(const trainee *t);

/* It has finished, and every ps knows. */
bool trainee_done(const trainee *t);

/* "computing step 4", for the trace and for whoever wonders what it hangs on. */
void trainee_describe(const trainee *t, char *text, size_t bytes);

#endif
