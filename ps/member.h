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

/* The gradient of one step, as its parts come in. */
typedef struct {
    uint64_t step;     /* 0: none */
    buffer **slices;   /* (slices of the shard), NULL until received */
    uint32_t received; /* slices named so far, with or without a gradient */
    bool *named;       /* (slices of the shard) */
    uint32_t examples; /* 0: contributes nothing */
    float clip_factor;
    bool nonfinite;
} member_push;

typedef struct {
    bool joined, finished;
    uint64_t incarnation;
    member_push push;
    uint64_t late_step;     /* last step whose gradient came after the step had been applied */
    open_request *requests; /* oldest first */
    uint32_t request_count;
} member;

/* Room for gradients of `slices` slices (0 for an evaluator). PS_ENOMEM. */
ps_status member_init(member *m, uint32_t slices);
void member_fini(member *m, uint32_t slices);

/* Forgets the gradient being collected, or held for its step. */
void member_drop_push(member *m, uint32_t slices);

/* Forgets every open request. */
void member_drop_requests(member *m);

/* The open request of that number, or NULL. */
open_request *member_find(const member *m, uint64_t request);

/* Opens a request; takes the message and drops its payloads. PS_ENOMEM leaves it with the caller. */
ps_status member_open(member *m, wire_message **message, const wire_route *from, uint64_t now_ms);

/* Takes `*link`, a place in m->requests, out of the list and frees it. */
void member_close(member *m, open_request **link);

#endif
