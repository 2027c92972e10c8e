/* refusals.h - messages that a ps does not take, counted by reason, for /metrics and /status.
 *
 * Of what stands here, only "stale" comes with faults that training gets over by itself; all else means that
 * somebody is not set up as the ps is, or means it harm. A frame that is longer than any may be is not among
 * them: ZeroMQ hangs up on who sends it, and says nothing. */
#ifndef PENSTOCK_PS_REFUSALS_H
#define PENSTOCK_PS_REFUSALS_H

#include <stdint.h>

/* X(constant, name) */
#define REFUSAL_LIST(X)                                                                                    \
    X(REFUSAL_MALFORMED, "malformed")       /* no message of ours, or one that says what none may */       \
    X(REFUSAL_KEY_REMOVED, "key_removed")   /* its key has been taken from the list since it came in */    \
    X(REFUSAL_NOT_ITS_ROLE, "not_its_role") /* of another role or index than its key is for */             \
    X(REFUSAL_FOREIGN_JOB, "foreign_job")   /* of another job or cluster */                                \
    X(REFUSAL_TOO_LARGE, "too_large")       /* a job, or a message of too many frames, is beyond limits */ \
    X(REFUSAL_TOO_MANY, "too_many")         /* the sender has too many requests open */                    \
    X(REFUSAL_IN_FLIGHT, "in_flight")       /* too many bytes are on their way: its connection is cut */   \
    X(REFUSAL_STALE, "stale")               /* meant for, or from, a process or epoch that is over */      \
    X(REFUSAL_OTHER, "other")               /* the job has failed, or memory is out */

#define REFUSAL_ENUM(constant, name) constant,
typedef enum { REFUSAL_LIST(REFUSAL_ENUM) REFUSAL_COUNT } refusal;
#undef REFUSAL_ENUM

typedef struct {
    uint64_t count[REFUSAL_COUNT];
} refusal_counts;

#endif
