/* member.h - what a shard knows of one worker or evaluator: its life, its gradient, its open requests.
 *
 * Bookkeeping for shard.c alone; decides nothing. */
#ifndef PENSTOCK_PS_MEMBER_H
#define PENSTOCK_PS_MEMBER_H

#include "common/wire.h"
#include "ps/shard.h"

/* A request that waits for its answer. */
typedef struct open_request {
    struct open_request *next;
    wire_message *message; /* the request without its payloads */
    wire_route from;       /* where it came from last */
    uint64_t since_ms;
} open_request;

/* An answer that brought weights and that the member has not yet said to have taken. */
typedef struct unsettled_answer {
    struct unsettled_answer *next;
    uint64_t number; /* 1, 2, ... of this member */
    uint64_t request;
    uint64_t bytes;
    uint32_t lent_count;
    buffer *lent[]; /* what it reads in our memory; none if the weights were sent */
} unsettled_answer;

/* The gradient of one step, as its parts come in. */
typedef struct {
    uint64_t step;     /* 0: none */
    buffer **slices;   /* (slices of the shard), NULL until received */
    uint32_t received; /* slices named so far, with or without a gradient */
    bool *named;       /* (slices of the shard) */
    uint32_t examples; /* 0: contributes nothing */
    float clip_factor;
    bool nonfinite;
    uint64_t whole_ms; /* when the last part came */
} member_push;

typedef struct {
    bool joined, finished;
    bool back;         /* a new process has come since, and has not said so itself */
    bool gone;         /* it has the word of all ps that they know, and will not come again */
    bool lost;         /* not heard of for the lease's time, */
    bool given_up;     /* nor for the job's grace time after that (policy shrink) */
    uint64_t heard_ms; /* when it last gave a sign of life; 0: not since it joined */
    uint64_t incarnation;
    wire_route route; /* by which its last HELLO came */
    member_push push;
    uint64_t late_step;     /* last step whose gradient came after the step had been applied */
    bool readable;          /* its memory can be read here */
    open_request *requests; /* by step, then by first slice; else oldest first */
    uint32_t request_count;
    uint64_t answers;          /* that brought weights, so far */
    uint64_t answered_request; /* the greatest number of a request that one of them was for */
    unsettled_answer *unsettled, *unsettled_last; /* by number */
    uint32_t unsettled_count;
    uint64_t unsettled_bytes;
    wire_route answered; /* where the last of them went */

    /* For those who look. */
    uint64_t restarts; /* processes after the first */
    bool has_weights;  /* it has been sent some: of version `weights` last */
    uint64_t weights;
    bool has_staleness; /* and has pushed a gradient since, so many updates later */
    uint64_t staleness;
    uint64_t figures_count; /* heartbeats that told figures */
    worker_figures figures;
} member;

/* Room for gradients of `slices` slices (0 for an evaluator). PS_ENOMEM. */
ps_status member_init(member *m, uint32_t slices);
void member_fini(member *m, uint32_t slices);

/* Forgets the gradient being collected, or held for its step. */
void member_drop_push(member *m, uint32_t slices);

/* Forgets every open request and unsettled answer. */
void member_drop_requests(member *m);

/* The open request of that number, or NULL. */
open_request *member_find(const member *m, uint64_t request);

/* Opens a request; takes the message and drops its payloads. PS_ENOMEM leaves it with the caller. */
ps_status member_open(member *m, wire_message **message, const wire_route *from, uint64_t now_ms);

/* Notes that weights are sent, or lent, in answer to a request, and numbers the answer. PS_ENOMEM. */
ps_status member_note_answer(member *m, wire_message *answer);

/* An answer is to go there: if those before it went by another connection, what was sent by that does not
 * hold up this one. How much may be on its way there, whoever it is, the transport bounds. What was lent
 * stays. */
void member_turn_to(member *m, const wire_route *to);

/* The member has taken the answers up to number `settled`, or will not. */
void member_settle(member *m, uint64_t settled);

/* It has not, and will not, take the answer to this request: it asks again. */
void member_settle_one(member *m, uint64_t request);

/* Takes `*link`, a place in m->requests, out of the list and frees it. */
void member_close(member *m, open_request **link);

#endif
