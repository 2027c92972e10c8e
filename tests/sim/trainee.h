/* trainee.h - a worker or an evaluator of the simulated cluster: the toy model over the production session.
 *
 * Does what worker/trainer.c and worker/evaluator.c do, without waiting: it is moved on whenever something
 * may have happened. Knows no network; the cluster carries its messages. */
#ifndef PENSTOCK_TESTS_SIM_TRAINEE_H
#define PENSTOCK_TESTS_SIM_TRAINEE_H

#include "tests/sim/oracle.h"
#include "tests/sim/replica.h"

/* As worker/setup.c: so long a member that has finished waits for a ps that says nothing. */
enum { TRAINEE_FINISH_MS = 30000 };

typedef struct {
    const scenario *scenario;
    const partition *partition;
    wire_role role;
    uint32_t index;
    uint64_t incarnation;
    oracle *oracle;               /* is told of gradients, and judges each step; NULL: nobody does */
    const trajectory *trajectory; /* what the weights must be, or NULL where the schedule decides it */
    bool stands_in;               /* for a worker that is lost: it leaves the job, and ends */
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

/* As session_end_step. */
uint64_t trainee_end_step(const trainee *t);

/* The last step whose gradient it has computed. */
uint64_t trainee_computed(const trainee *t);

/* As session_lost_worker, and session_members. */
bool trainee_lost_worker(trainee *t, uint32_t *worker);
const members_list *trainee_members(const trainee *t);

/* It has said goodbye: to the first ps at least, whether or not all have heard it. */
bool trainee_has_finished(const trainee *t);

/* It has done all its steps, as the chief, and waits for the others' end. */
bool trainee_concludes(const trainee *t);

/* It has said the last that it has to say: what it does not know is only whether that was heard. `twice`: ps
 * that may have to go back want to hear it twice. */
bool trainee_said_all(const trainee *t, bool twice);

/* It has finished, and every ps knows; or it has heard nothing for so long that it has given up waiting. */
bool trainee_done(const trainee *t);
bool trainee_gave_up(const trainee *t);

/* It has gone back to an earlier step, for a ps had forgotten what it had answered. */
bool trainee_went_back(const trainee *t);

/* "computing step 4", for the trace and for whoever wonders what it hangs on. */
void trainee_describe(const trainee *t, char *text, size_t bytes);

#endif
