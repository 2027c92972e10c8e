/* shard_view.h - a shard as it is at the moment, for people to look at: a copy that another thread may read.
 *
 * Taken some times a second by the shard's thread; costs some microseconds for a hundred workers. */
#ifndef PENSTOCK_PS_SHARD_VIEW_H
#define PENSTOCK_PS_SHARD_VIEW_H

#include "common/figures.h"
#include "ps/shard.h"

enum {
    VIEW_WAITS_MAX = 64,
    VIEW_WAITED_FOR_MAX = 16, /* workers that are named for each */
    VIEW_TEXT_MAX = 191,
};

#define MEMBER_STATE_LIST(X)       \
    X(MEMBER_ABSENT, "absent")     \
    X(MEMBER_TRAINING, "training") \
    X(MEMBER_WAITING, "waiting")   \
    X(MEMBER_LOST, "lost")         \
    X(MEMBER_GIVEN_UP, "given_up") \
    X(MEMBER_FINISHED, "finished")

#define MEMBER_STATE_ENUM(state, name) state,
typedef enum { MEMBER_STATE_LIST(MEMBER_STATE_ENUM) } member_state;
#undef MEMBER_STATE_ENUM

/* A worker or evaluator. */
typedef struct {
    member_state state;
    uint64_t incarnation, restarts;
    uint64_t silent_ms; /* since its last sign of life */
    uint64_t step;      /* the last one pushed whole */
    uint64_t behind;    /* steps behind the worker that is furthest */
    bool has_staleness;
    uint64_t staleness;     /* of its last gradient */
    uint64_t figures_count; /* that have come so far; 0: `figures` means nothing */
    worker_figures figures; /* the last */
} member_view;

/* A worker whose oldest request here has to wait. */
typedef struct {
    uint32_t worker;
    uint64_t step, since_ms;
    uint32_t awaited_count;
    uint16_t awaited[VIEW_WAITED_FOR_MAX];
    char text[VIEW_TEXT_MAX + 1];
} wait_view;

typedef struct {
    const job_config *job; /* the shard's, which lives as long as it does; NULL: it has none yet */
    bool failed, finished;
    uint64_t version;
    uint32_t slices, slots;
    uint64_t parameters;
    uint32_t open_requests, held_answers;
    shard_counters counters;
    uint32_t wait_count;
    wait_view waits[VIEW_WAITS_MAX];
    member_view *workers, *evaluators;         /* as many as the job says */
    char (*server_http)[FIGURES_TEXT_MAX + 1]; /* as many as there are ps; empty where not known */
} shard_view;

const char *member_state_name(member_state state);

/* Allocates what the job takes, once there is one. PS_ENOMEM: the view is without a job. Start from zeros. */
ps_status shard_view_take(const shard *s, shard_view *view, uint64_t now_ms);
void shard_view_fini(shard_view *view);

#endif
