/* session.h - the worker's core: a pure state machine between a trainer and the ps.
 *
 * Owns no socket, clock or thread. It splits pushes and pulls into one message per ps (several where a
 * message would name too many slices), keeps asking until each is answered, and puts weights into place as
 * they come. Every request may be sent any number of times; the shard makes repeats harmless.
 *
 * Memory that is lent: gradients travel from where they are. The caller must leave them alone until
 * session_finished says so, which is when all answers are in and no message holds a reference any more. */
#ifndef PENSTOCK_WORKER_SESSION_H
#define PENSTOCK_WORKER_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/partition.h"
#include "common/status.h"
#include "common/wire.h"

enum {
    SESSION_OPERATIONS_MAX = 64, /* outstanding at a time */
    SESSION_STALL_MS = 5000,     /* how often it says what it waits for */
};

typedef struct {
    const job_config *job; /* checked; borrowed, as is the partition */
    const partition *partition;
    wire_role role; /* WIRE_WORKER or WIRE_EVALUATOR */
    uint32_t index; /* worker rank or evaluator index */
    uint64_t incarnation;
    /* A request without an answer is asked about after this long; each further time after twice as long, up
     * to the maximum. */
    uint32_t query_first_ms, query_max_ms;
    uint32_t slices_per_message; /* at most WIRE_SLICES_MAX; 0: that many */
} session_config;

typedef struct {
    wire_type type; /* WIRE_PUSH_PULL, WIRE_PUSH, WIRE_PULL or WIRE_FINISH */
    uint64_t step;
    uint32_t examples; /* pushes; 0: nothing to contribute, `gradients` may be NULL */
    float clip_factor;
    bool nonfinite, after_finish;
    const float *const *gradients; /* per tensor of the table; the array is copied, the floats are lent */
    float *const *weights;         /* per tensor; pulled weights are written there */
} session_request;

typedef struct {
    uint64_t step;           /* highest version among the answers; HELLO: last step of this member */
    uint64_t examples_total; /* lowest among the shards: rows applied so far */
    bool job_finished;       /* says every shard: weights that came with it are final */
} session_result;

/* Names an operation until it is collected. */
typedef uint32_t session_ticket;

typedef struct session session;

/* PS_ENOMEM. */
ps_status session_create(const session_config *config, session **out);

/* Forgets all operations. Messages that still hold lent gradients must be gone. */
void session_destroy(session **s);

/* Starts an operation. Messages go out once the ps in question has said WELCOME. PS_ELIMIT if
 * SESSION_OPERATIONS_MAX are outstanding; PS_ENOMEM. */
ps_status session_submit(session *s, const session_request *request, session_ticket *ticket);

/* All ps have said WELCOME. `step`: the step after which this member goes on. */
bool session_joined(const session *s, uint64_t *step);

/* Has this ps said WELCOME? */
bool session_welcomed(const session *s, uint32_t server);

/* Has the operation all its answers, and has everything lent been given back? */
bool session_finished(const session *s, session_ticket ticket);

/* Blocks, for at most `timeout_ms`, until what was lent to a fully answered operation has been given
 * back: the transport's thread may hold on to a frame a little longer than it takes the answer to come. */
void session_await_release(session *s, session_ticket ticket, uint32_t timeout_ms);
bool session_answered(const session *s, session_ticket ticket);

/* Ends an operation that session_finished. PS_OK, or why a ps refused it. */
ps_status session_collect(session *s, session_ticket ticket, session_result *result, ps_error *error);

/* Takes a message from `server`; consumes it and nulls the pointer. Unexpected ones are ignored. */
void session_receive(session *s, uint32_t server, wire_message **message);

/* Time passes: asks about what is unanswered, and logs what it waits for. */
void session_tick(session *s, uint64_t now_ms);

/* The next message for `server`, owned by the caller; NULL if none. */
wire_message *session_next(session *s, uint32_t server, uint64_t now_ms);

/* PS_OK, or why nothing more can be done: a ps refused HELLO, has lost its state, or says that the job cannot
 * go on. What is outstanding then may never be answered. */
ps_status session_failure(const session *s, ps_error *error);

#endif
