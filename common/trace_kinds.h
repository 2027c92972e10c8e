/* trace_kinds.h - what a trace tells of: the list from which its events, and their names, are made. Adding
 * one is adding a line, at the end: numbers stand in files (common/trace_format.h).
 *
 * A span has a beginning and an end, and a lane: spans of one thread in one lane lie beside or inside each
 * other. A point says which message a span was about; from points come the arrows between lanes. A mark is a
 * moment of its own. */
#ifndef PENSTOCK_COMMON_TRACE_KINDS_H
#define PENSTOCK_COMMON_TRACE_KINDS_H

/*    lane              name */
#define TRACE_LANES(X)                \
    X(TRACE_COMPUTE, "compute")       \
    X(TRACE_PUSH, "push")             \
    X(TRACE_WAIT, "wait")             \
    X(TRACE_APPLY, "apply")           \
    X(TRACE_PULL, "pull")             \
    X(TRACE_CHECKPOINT, "checkpoint") \
    X(TRACE_MARKS, "marks")

typedef enum {
#define TRACE_LANE_ENUM(id, name) id,
    TRACE_LANES(TRACE_LANE_ENUM)
#undef TRACE_LANE_ENUM
        TRACE_LANE_COUNT,
} trace_lane;

typedef enum { TRACE_SPAN, TRACE_POINT, TRACE_MARK } trace_shape;

/*    kind, shape, lane, name, what `value` is (NULL: nothing that is shown) */
#define TRACE_KINDS(X)                                                                                   \
    /* A worker's. A point's `member` is the worker, its `peer` the ps. */                               \
    X(TRACE_STEP, TRACE_SPAN, TRACE_COMPUTE, "step", "rows")                                             \
    X(TRACE_GATHER, TRACE_SPAN, TRACE_COMPUTE, "gather", "rows")                                         \
    X(TRACE_FORWARD, TRACE_SPAN, TRACE_COMPUTE, "forward", "layer")                                      \
    X(TRACE_TURN, TRACE_SPAN, TRACE_COMPUTE, "forward and backward", "layer") /* of the last layer */    \
    X(TRACE_BACKWARD, TRACE_SPAN, TRACE_COMPUTE, "backward", "layer")                                    \
    X(TRACE_ENQUEUE, TRACE_SPAN, TRACE_COMPUTE, "enqueue", NULL)                                         \
    X(TRACE_DEVICE, TRACE_SPAN, TRACE_COMPUTE, "await device", "layer")                                  \
    X(TRACE_EVALUATE, TRACE_SPAN, TRACE_COMPUTE, "evaluate", NULL)                                       \
    X(TRACE_SAVE, TRACE_SPAN, TRACE_COMPUTE, "save", NULL)                                               \
    X(TRACE_SEND_PUSH, TRACE_SPAN, TRACE_PUSH, "push", "messages")                                       \
    X(TRACE_SEND_OTHER, TRACE_SPAN, TRACE_PUSH, "ask", "messages")                                       \
    X(TRACE_AWAIT, TRACE_SPAN, TRACE_WAIT, "wait", NULL)                                                 \
    X(TRACE_TAKE_WEIGHTS, TRACE_SPAN, TRACE_PULL, "pull", "slices")                                      \
    X(TRACE_TAKE_OTHER, TRACE_SPAN, TRACE_PULL, "hear", NULL)                                            \
    X(TRACE_PUSH_SENT, TRACE_POINT, TRACE_PUSH, "push sent", NULL)                                       \
    X(TRACE_PULL_SENT, TRACE_POINT, TRACE_PUSH, "pull sent", NULL)                                       \
    X(TRACE_TAKEN, TRACE_POINT, TRACE_PULL, "answer taken", NULL)                                        \
    /* A ps'. A point's `peer` is the worker; `value` the connection. */                                 \
    X(TRACE_IDLE, TRACE_SPAN, TRACE_WAIT, "wait", NULL)                                                  \
    X(TRACE_RECEIVE_PUSH, TRACE_SPAN, TRACE_PUSH, "receive push", "slices")                              \
    X(TRACE_RECEIVE_OTHER, TRACE_SPAN, TRACE_PUSH, "receive", NULL)                                      \
    X(TRACE_UPDATE, TRACE_SPAN, TRACE_APPLY, "apply", "gradients")                                       \
    X(TRACE_ANSWER, TRACE_SPAN, TRACE_PULL, "answer", "messages")                                        \
    X(TRACE_WRITE_IMAGE, TRACE_SPAN, TRACE_CHECKPOINT, "write checkpoint", NULL)                         \
    X(TRACE_PUSH_RECEIVED, TRACE_POINT, TRACE_PUSH, "push received", NULL)                               \
    X(TRACE_PULL_RECEIVED, TRACE_POINT, TRACE_PUSH, "pull received", NULL)                               \
    X(TRACE_APPLIED, TRACE_POINT, TRACE_APPLY, "applied", NULL) /* one for each gradient of an update */ \
    X(TRACE_ANSWERED, TRACE_POINT, TRACE_PULL, "answered", NULL)                                         \
    X(TRACE_REPEAT, TRACE_MARK, TRACE_MARKS, "duplicate refused", NULL)                                  \
    X(TRACE_LATE, TRACE_MARK, TRACE_MARKS, "late gradient dropped", NULL)                                \
    X(TRACE_NONFINITE, TRACE_MARK, TRACE_MARKS, "NaN or Inf left out", NULL)                             \
    X(TRACE_REFUSED, TRACE_MARK, TRACE_MARKS, "message refused", NULL)                                   \
    X(TRACE_IMAGE, TRACE_MARK, TRACE_MARKS, "checkpoint taken", NULL)

typedef enum {
#define TRACE_KIND_ENUM(id, shape, lane, name, value) id,
    TRACE_KINDS(TRACE_KIND_ENUM)
#undef TRACE_KIND_ENUM
        TRACE_KIND_COUNT,
} trace_kind;

#endif
