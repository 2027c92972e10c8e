/* session_state.h - a session's state, and what its sources share. Private to worker/session*.c:
 *
 *   session.c             life and time: what is asked about, what is said to wait
 *   session_members.c     joining, finding out that a ps has restarted, and going back together
 *   session_operations.c  what the trainer starts, waits for and collects
 *   session_send.c        cuts operations into parts and makes their messages
 *   session_receive.c     takes answers in
 *
 * An operation has, for each ps, a lane: what is still to be cut into parts for it. A part is one message and
 * its answer. It is cut at the moment at which it can be sent, so that what is needed first leaves first.
 * From then on it is in the list of open parts until it is answered; while it has to be sent again, or asked
 * about, also in its peer's list of what is due.
 *
 * Memory: a slot for an operation gets its arrays when it is first used and keeps them. All of them depend
 * only on the partition, so that after warm-up nothing is allocated. */
#ifndef PENSTOCK_WORKER_SESSION_STATE_H
#define PENSTOCK_WORKER_SESSION_STATE_H

#include <sys/queue.h>

#include "worker/encoder.h"
#include "worker/lease.h"
#include "worker/session.h"

typedef enum { PART_TO_SEND, PART_SENT, PART_TO_QUERY, PART_DONE } part_state;

typedef struct operation operation;

typedef struct part {
    TAILQ_ENTRY(part) open; /* until it is answered */
    TAILQ_ENTRY(part) due;  /* while PART_TO_SEND or PART_TO_QUERY */
    operation *operation;
    uint64_t request;
    uint32_t server;
    uint32_t count;
    const uint32_t *slices; /* (count) numbers, rising */
    part_state state;
    uint32_t sent; /* how often */
    uint32_t query_after_ms;
    uint64_t query_at_ms;
    uint64_t since_ms; /* when it was cut */
} part;

typedef TAILQ_HEAD(part_list, part) part_list;

typedef struct lane {
    TAILQ_ENTRY(lane) link; /* while anything is uncut */
    operation *operation;
    uint32_t server;
    uint32_t uncut;       /* slices that are in no part yet */
    uint32_t ready;       /* those of them that may be sent */
    uint64_t ready_bytes; /* ... and their bytes */
    uint32_t next;        /* no slice with a lower ordinal is ready */
    bool linked;          /* in its peer's list */
} lane;

typedef TAILQ_HEAD(lane_list, lane) lane_list;

struct operation {
    bool used;
    session_request request;
    uint32_t slot;
    const float **gradients; /* (tensors) copies of the caller's arrays of pointers */
    float **weights;
    lane *lanes;         /* (servers) */
    uint32_t open_lanes; /* with something uncut */
    part *parts;         /* (session.parts_max), request numbers rise */
    uint32_t part_count, parts_done;
    uint32_t *missing; /* (tensors) slices of weights that are not in place yet */
    session_result result;
    ps_error failure;
    lease lease;

    /* Of pushes whose gradient comes layer by layer. */
    bool judged;        /* all of it is there, and what it is worth is known; others: from the start */
    uint32_t unready;   /* tensors */
    bool *tensor_ready; /* (tensors) */
    bool *slice_ready;  /* (slices) ready and uncut */
    uint32_t *order;    /* (slices) grouped by server as in the partition, in the order of the parts */
};

typedef struct {
    bool welcomed;
    uint64_t incarnation;         /* 0: it has never said WELCOME */
    uint64_t epoch, step, oldest; /* as it said in its last WELCOME */
    uint64_t members_version;     /* ... and of this version is its list */
    bool reborn;           /* since the session had joined: it may have forgotten what it had answered */
    uint64_t acknowledged; /* the last step that it must know of: pushed there and answered, or joined at */
    uint64_t hello_at_ms;  /* when HELLO, or RESTORE, is due again; 0: at once */
    uint32_t hello_after_ms;
    uint64_t held;         /* of our gradients, it said there, it has what it acknowledged up to this step */
    uint32_t heartbeat_ms; /* as it said in its last WELCOME */
    bool heard;            /* since the last tick */
    uint64_t heard_ms;     /* at which tick it was known that something had come */
    bool reads_ours, read_by_us; /* it can map our memory, we its */
    uint32_t open_parts;
    bool to_be_reminded;               /* of this member, though it waits for nothing from it */
    uint64_t taken;                    /* highest number of the WEIGHTS that came from it */
    uint64_t taken_bytes;              /* of weights, since a message last told it what has been taken */
    part_list due;                     /* by request number */
    lane_list lanes;                   /* oldest operation first */
    char waits_for[WIRE_TEXT_MAX + 1]; /* what it said to the last QUERY, if it was PENDING */
} peer;

struct session {
    session_config config;
    uint64_t fingerprint;
    ps_error failure;
    session_counters counters;
    uint64_t next_serial;
    uint64_t said_ms;     /* 0 until the first tick */
    uint64_t ticked_ms;   /* when the last tick was */
    uint64_t query_at_ms; /* no part is to be asked about before */
    uint32_t unwelcomed;
    bool joined;          /* all have said WELCOME, and fit together */
    bool rolled_back;     /* ... at an earlier step: no operation until session_resume */
    bool unfit;           /* all had said WELCOME, but do not fit together */
    bool doubtful;        /* ... in the round before this one */
    uint64_t oldest_seen; /* the highest `oldest` of that round, */
    uint64_t newest_seen; /* and the version of the newest list */
    uint64_t round;       /* of HELLOs: the request number of what is no operation's */
    bool has_joined;      /* ever */
    bool has_place;       /* it has joined before: `step` and what is acknowledged mean something */
    bool has_pushed;      /* since it joined */
    uint64_t pushed;      /* the last step pushed, or where it joined */
    uint64_t step;        /* where it joined */
    struct {
        uint64_t request; /* 0: nothing is being restored */
        uint64_t epoch, step;
    } restoring;            /* by the chief */
    members_list members;   /* as of the last time it joined */
    members_list newest;    /* the newest list that a ps told of while it joins, to be told to all */
    uint32_t lost_worker;   /* 1 + one that a ps has given up, and nobody has asked for yet; 0: none */
    uint64_t end_step;      /* after which the job ends, as ps 0 has told; 0: it has not */
    uint32_t parts_max;     /* of an operation */
    uint32_t *slice_counts; /* (tensors) */
    peer *peers;            /* (servers) */
    encoder *encoder;
    part_list open; /* by request number */
    operation operations[SESSION_OPERATIONS_MAX];
    uint32_t free_slots[SESSION_OPERATIONS_MAX]; /* a stack: slots used before are used again first */
    uint32_t free_count;
    operation *unjudged; /* the push whose gradient is still coming, or NULL */
};

/* ---- session_operations.c ---- */

void session_operation_init(operation *op, uint32_t slot);
void session_operation_fini(operation *op);

/* The unanswered part of that number, or NULL. */
part *session_find_part(session *s, uint64_t request);

/* Ends all operations, unanswered, with that failure; what is lent comes back as messages let go of it. */
void session_abandon_all(session *s, const ps_error *why);

/* ---- session_members.c ---- */

/* The worker of rank 0, who brings ps together. */
bool session_is_chief(const session *s);

void session_handle_welcome(session *s, uint32_t server, const wire_message *welcome);

/* An ERROR that answers no part: to HELLO, SETTLE or RESTORE. */
void session_handle_member_error(session *s, uint32_t server, const wire_message *refusal);

/* A ps may have restarted, or gone to another step: asks all of them anew. */
void session_rejoin(session *s);

/* HELLO or RESTORE, if one is due to a ps that has not said WELCOME. */
wire_message *session_next_hello(session *s, uint32_t server, uint64_t now_ms);

/* ---- session_send.c ---- */

/* Fills in what every message carries; passes NULL on. */
wire_message *session_stamp(const session *s, uint32_t server, wire_message *m, uint64_t request);

/* ---- session.c ---- */

/* Nothing more can be done; the first reason counts. */
void session_fail(session *s, uint32_t server, ps_status status, const char *why);

/* Takes a part out of the lists: it is done. */
void session_close_part(session *s, part *p);

/* Puts it back. */
void session_reopen_part(session *s, part *p);

/* Has the part sent, or asked about, before what its ps has not been sent yet. */
void session_make_due(session *s, part *p, part_state state);

#endif
