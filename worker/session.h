/* session.h - the worker's core: a pure state machine between a trainer and the ps.
 *
 * Owns no socket, clock or thread. It splits pushes and pulls into messages to each ps, keeps asking until
 * each is answered, and puts weights into place as they come. Every request may be sent any number of times;
 * the shard makes repeats harmless.
 *
 * A push may start before its gradient is complete, and then leaves as tensors get ready: what is ready for a
 * ps is gathered until it is worth a message, and of what is ready the lowest tensors go first, which the
 * next forward pass needs first. The last message to every ps waits until the whole gradient has been judged,
 * so that all shards treat it alike wherever its slices live.
 *
 * A ps that restarts, or goes back to an earlier step with the others (ps/shard.h), is found out by what it
 * refuses, and all are asked anew where they are. If they know of everything that this member has an answer
 * for, what is unanswered is sent again and nobody notices. Else all operations end with PS_EROLLBACK, and
 * the trainer goes on from where the ps are. So they do when the members have changed (common/members.h): the
 * list is that of all ps whenever the session has joined. Of synchronous workers that of rank 0 brings
 * together ps that are at different steps.
 *
 * Memory that is lent: gradients travel from where they are. The caller must leave them alone until
 * session_finished says so, which is when all answers are in and no message holds a reference any more. Those
 * of tensors that travel in another codec than fp32 are encoded once per push, into memory of the session's.
 *
 * After warm-up, which ends when as many operations have been outstanding together as ever will be, nothing
 * is allocated. No call but a tick at which something is late takes longer for the number of outstanding
 * operations. */
#ifndef PENSTOCK_WORKER_SESSION_H
#define PENSTOCK_WORKER_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/partition.h"
#include "common/pool.h"
#include "common/status.h"
#include "common/wire.h"

enum {
    SESSION_OPERATIONS_MAX = 64,    /* outstanding at a time */
    SESSION_STALL_MS = 5000,        /* how often it says what it waits for */
    SESSION_TICK_MAX_MS = 1000,     /* between two ticks, while somebody waits */
    SESSION_SETTLE_BYTES = 4 << 20, /* of weights taken from a ps, after which it is told so at the latest */
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
    uint32_t deadline_ms; /* for a ps that owes an answer and is silent, once all had answered; 0: none */
    pool *memory;         /* for encoded gradients; borrowed; NULL: from the heap */
    uint32_t slices_per_message; /* at most WIRE_SLICES_MAX; 0: that many */
    /* Bytes of slices: what is ready waits for more below the minimum, unless there is no more; a message of
     * several slices holds at most the maximum (0: any number). */
    uint64_t message_bytes_min, message_bytes_max;
} session_config;

typedef struct {
    wire_type type; /* WIRE_PUSH_PULL, WIRE_PUSH, WIRE_PULL, WIRE_FINISH, WIRE_LEAVE or WIRE_ENTER */
    uint64_t step;
    uint32_t examples; /* pushes; 0: nothing to contribute, `gradients` may be NULL */
    float clip_factor;
    bool nonfinite, after_finish;
    bool by_tensor;    /* pushes: no gradient is complete yet; session_ready and session_judge will follow */
    bool judged_first; /* ... and nothing leaves before session_judge; always so if a residual is kept */
    bool exact;        /* pulls: of version `step`, which all ps have (session_joined) */
    const float *const *gradients; /* per tensor of the table; the array is copied, the floats are lent */
    float *const *weights;         /* per tensor; pulled weights are written there */
    const worker_figures *figures; /* FINISH: how this process fares in the end, or NULL; lent */
} session_request;

typedef struct {
    uint64_t step;           /* highest version among the answers; HELLO: last step of this member */
    uint64_t examples_total; /* lowest among the shards: rows applied so far */
    bool job_finished;       /* says every shard: weights that came with it are final */
    bool once_more;          /* FINISH: says a shard: when all have answered, it is to be said again */
} session_result;

/* What has happened so far. Bytes are those of tensors as they travel; of copies, as they are. */
typedef struct {
    uint64_t bytes_pushed; /* repeats included */
    uint64_t bytes_pulled;
    uint64_t bytes_copied; /* by the session: weights into their place */
    uint64_t requests;     /* repeats not included */
    uint64_t resent;
    uint64_t received; /* messages, of whatever kind */
    uint64_t rollbacks;
} session_counters;

/* Names an operation until it is collected. */
typedef uint32_t session_ticket;

typedef struct session session;

/* PS_ENOMEM. */
ps_status session_create(const session_config *config, session **out);

/* Forgets all operations. Messages that still hold lent gradients must be gone. */
void session_destroy(session **s);

/* ---- operations ---- */

/* Starts an operation. Messages go out once all ps have said WELCOME. PS_EROLLBACK until session_resume;
 * PS_ELIMIT if
 * SESSION_OPERATIONS_MAX are outstanding; PS_ESTATE for a push while the gradient of one before it is not
 * judged, since pushes leave in the order of their steps; PS_ENOMEM. */
ps_status session_submit(session *s, const session_request *request, session_ticket *ticket);

/* The gradients of `count` tensors from `first` on are complete and may be sent. Of a push by tensor; each
 * tensor once: else PS_EINVAL, and none is taken as ready. */
ps_status session_ready(session *s, session_ticket ticket, uint32_t first, uint32_t count);

/* All tensors of a push by tensor are ready, and this is what the gradient as a whole is worth. Parts that
 * have been sent before said 1 and "finite"; a factor below 1 is possible only if none was. */
void session_judge(session *s, session_ticket ticket, bool nonfinite, float clip_factor);

/* Are the weights of `count` tensors from `first` on in place? */
bool session_has_weights(const session *s, session_ticket ticket, uint32_t first, uint32_t count);

/* Has the operation all its answers? */
bool session_answered(const session *s, session_ticket ticket);

/* ... and has everything lent been given back? */
bool session_finished(const session *s, session_ticket ticket);

/* Blocks, for at most `timeout_ms`, until what was lent to a fully answered operation has been given
 * back: the transport's thread may hold on to a frame a little longer than it takes the answer to come. */
void session_await_release(session *s, session_ticket ticket, uint32_t timeout_ms);

/* PS_OK, or why a ps has refused a part of the operation. Weights of that part will not come. */
ps_status session_refusal(const session *s, session_ticket ticket, ps_error *error);

/* Ends an operation that session_finished. PS_OK, or why a ps refused it. */
ps_status session_collect(session *s, session_ticket ticket, session_result *result, ps_error *error);

const session_counters *session_count(const session *s);

/* Is any message that has been sent unanswered? */
bool session_is_waiting(const session *s);

/* ---- members ---- */

/* All ps have said WELCOME, and fit together. `step`: the step after which this member goes on. */
bool session_joined(const session *s, uint64_t *step);

/* All operations have ended with PS_EROLLBACK, and no other is taken. */
bool session_rolled_back(const session *s);

/* The trainer has heard of that, and collected them all. */
void session_resume(session *s);

/* Who takes part in which steps, as of the last time the session joined. */
const members_list *session_members(const session *s);

/* Has a ps said that this request of ours waits for a worker that is lost, and given up? Then its index,
 * once.
 */
bool session_lost_worker(session *s, uint32_t *worker);

/* Has an administrator ended the job? Then the step after which nobody is to push any more, as ps 0 says in
 * its answers, or the one with which this worker finished in an earlier life, as any ps may; in ssp and async
 * it may be one that is over. 0: no. Known in time: of a synchronous step, once the answers to the one before
 * it are here. */
uint64_t session_end_step(const session *s);

/* How often the ps want to hear that this process lives, and as which incarnation they know it; 0 ms: never.
 */
uint32_t session_heartbeat_ms(const session *s);
uint64_t session_incarnation(const session *s);

/* The job, as messages name it. */
uint64_t session_fingerprint(const session *s);

/* Has this ps said WELCOME? */
bool session_welcomed(const session *s, uint32_t server);

/* encoder_residual of a tensor. */
float *session_residual(session *s, uint32_t t);

/* PS_OK, or why nothing more can be done: a ps refused HELLO, has lost its state, or says that the job cannot
 * go on. What is outstanding then may never be answered. */
ps_status session_failure(const session *s, ps_error *error);

/* ---- messages and time ---- */

/* Request numbers rise in the order in which requests are first sent, with gaps: the low digits say which
 * operation it is. The serial number, 1, 2, ..., has none. */
static inline uint64_t session_serial(uint64_t request)
{
    return request / SESSION_OPERATIONS_MAX;
}

/* Takes a message from `server`; consumes it and nulls the pointer. Unexpected ones are ignored. */
void session_receive(session *s, uint32_t server, wire_message **message);

/* Time passes: asks about what is unanswered, logs what it waits for, and looks whether the deadline of a
 * silent ps is over. */
void session_tick(session *s, uint64_t now_ms);

/* The next message for `server`, owned by the caller; NULL if none. */
wire_message *session_next(session *s, uint32_t server, uint64_t now_ms);

#endif
