/* client_state.h - a client's state, and what its sources share. Private to worker/client*.c:
 *
 *   client.c           from ps_connect to ps_join, and ps_close
 *   client_requests.c  pushes, pulls and steps in pieces
 *   client_move.c      moves messages between session and uplink, and waits for them
 */
#ifndef PENSTOCK_WORKER_CLIENT_STATE_H
#define PENSTOCK_WORKER_CLIENT_STATE_H

#include "common/partition.h"
#include "common/pool.h"
#include "worker/client.h"
#include "worker/judge.h"
#include "worker/pulse.h"
#include "worker/session.h"
#include "worker/uplink.h"
#include "worker/witness.h"

/* Messages to one ps that its socket could not take yet. */
typedef struct {
    uint32_t count;
    wire_message *messages[TRANSPORT_TOGETHER_MAX];
} unsent_messages;

/* Memory given out by ps_allocate. */
typedef struct allocation {
    struct allocation *next;
    buffer *memory;
} allocation;

struct ps_client {
    job_config job;
    const volatile sig_atomic_t *stop;
    void (*worker_lost)(void *context, uint32_t worker);
    void *context;
    uint64_t incarnation; /* 0: that of the first join */
    uint32_t query_first_ms, query_max_ms, deadline_ms;
    uint64_t message_bytes_min, message_bytes_max;
    wire_role role;
    uint32_t index;
    bool joined;
    uint64_t joined_step;
    uint64_t joining_ms, said_ms; /* since when ps_join waits, and when it last said for whom */
    ps_error refusal;             /* why it waits in vain; status PS_OK: it does not */
    partition partition;
    uplink *uplink;
    client_witness witness;
    pulse *pulse;            /* NULL: the shard is in this process */
    worker_figures last;     /* what FINISH tells; no heartbeat would be sure to come before it */
    session *session;        /* from ps_join on */
    unsent_messages *unsent; /* per ps */
    struct {
        bool outstanding, nonfinite;
        bool brings_weights;
        uint64_t step;                  /* for the trace */
    } requests[SESSION_OPERATIONS_MAX]; /* by ticket */
    judge judge;                        /* of the gradient that is pushed, or still coming */
    const float **coming;               /* (tensors) that gradient, while `is_coming` */
    bool is_coming;
    bool small_gradient; /* a push of it is a small message */
    ps_ticket coming_ticket;
    bool finish_once_more; /* a ps has asked for it */
    uint32_t held_back;    /* small requests that leave with the next wait */
    bool waiting;          /* a message is unanswered */
    uint64_t waiting_since_ns;
    uint64_t waiting_ns, blocked_ns; /* so far; as ps_counters has them */
    pool *memory;
    allocation *allocations;
};

/* What a call waits for: an operation's end, or weights of some of its tensors. */
typedef struct {
    ps_ticket ticket;
    uint32_t first, count; /* tensors */
} client_awaited;

typedef bool client_done(ps_client *c, const client_awaited *what);

/* Sends what is due. What is `small` is held back while an answer is outstanding, so that under load many
 * requests share a packet and a wake-up of the ps, as Nagle's algorithm has it: it leaves with the next wait.
 */
void client_send(ps_client *c, bool small);

/* After PS_EROLLBACK: waits for what is lent to outstanding requests, which are void, and forgets them. As
 * client_move_until. */
ps_status client_drop_requests(ps_client *c, uint32_t timeout_ms, ps_error *error);

/* Moves messages until `done` says so. PS_ETIMEDOUT, PS_EINTERRUPTED, or the session's failure. */
ps_status client_move_until(ps_client *c, client_done *done, const client_awaited *what, uint32_t timeout_ms,
                            ps_error *error);

#endif
